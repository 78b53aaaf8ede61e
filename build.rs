//! Compiles the proto files. No protoc is needed: protox is a compiler in Rust.

use std::path::PathBuf;

use prost::Message as _;

/// Services and the files that they stand in; everything else is imported by these.
const FILES: [&str; 9] = [
    "safelane/v1/change.proto",
    "safelane/v1/field_report_service.proto",
    "safelane/v1/organization_service.proto",
    "safelane/v1/site_service.proto",
    "safelane/v1/task_service.proto",
    "safelane/v1/team_service.proto",
    "safelane/v1/funding_service.proto",
    "safelane/v1/budget_report_service.proto",
    "safelane/v1/error_reason.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=migrations");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(false).include_imports(true).open_files(FILES)?;
    // The encoded set keeps the access options; going through prost's types would drop them.
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptor.bin"), compiler.encode_file_descriptor_set())?;

    let mut documented = protox::Compiler::new(["proto"])?;
    documented.include_source_info(true).include_imports(true).open_files(FILES)?;
    let set = prost_types_of(&documented.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        // Stored bytes are sent as they are; see src/rpc/stored.rs.
        .extern_path(".safelane.v1.EntryPosted", "crate::rpc::stored::EntryPosted")
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        // Tasks are passed about by value.
        .boxed(".safelane.v1.Task.approved")
        // Pieces of files are passed on as they came, without a copy.
        .bytes(".safelane.v1.UploadChunk.content")
        .bytes(".safelane.v1.DownloadChunk.content")
        .compile_fds(set)?;
    Ok(())
}

fn prost_types_of(bytes: &[u8]) -> Result<prost_types::FileDescriptorSet, prost::DecodeError> {
    prost_types::FileDescriptorSet::decode(bytes)
}
