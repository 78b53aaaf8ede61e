//! Photos, and short ways to declare, upload and download them.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use safelane::rpc::pb;
use safelane::rpc::pb::download_attachment_response::Part as Downloaded;
use safelane::rpc::pb::field_report_service_client::FieldReportServiceClient;
use safelane::rpc::pb::upload_attachment_request::Part;
use sha2::{Digest as _, Sha256};
use tonic::Status;
use tonic::transport::Channel;

use super::super::rig::Tablet;
use crate::harness::{World, files_of};

/// Longer than anything here takes.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

pub(super) type Service = FieldReportServiceClient<Channel>;

/// The largest chunk.
pub(super) const CHUNK: usize = 64 * 1024;
/// The first bytes of every JPEG.
pub(super) const JPEG: &[u8] = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01";

/// A photo, a different one for each seed.
pub(super) fn photo(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // No byte of markup, so that nothing is one by chance.
        state.to_be_bytes()[3] | 0x80
    };
    let noise = std::iter::repeat_with(&mut next).take(size - JPEG.len());
    JPEG.iter().copied().chain(noise).collect()
}

pub(super) fn sha256(content: &[u8]) -> Vec<u8> {
    Sha256::digest(content).to_vec()
}

/// The digits by which a file is stored.
pub(super) fn digits(content: &[u8]) -> String {
    safelane::files::hex(&Sha256::digest(content).into())
}

/// Where a file is that is whole.
pub(in crate::ground::field_reports) fn object_path(world: &World, content: &[u8]) -> PathBuf {
    let digits = digits(content);
    files_of(&world.database.name).join("objects").join(&digits[..2]).join(&digits)
}

/// What the clock of the disk says now.
pub(super) fn disk_now(world: &World) -> SystemTime {
    let probe = files_of(&world.database.name).join("now");
    std::fs::write(&probe, b"").expect("it can be written");
    let now = std::fs::metadata(&probe).and_then(|found| found.modified()).expect("a time");
    std::fs::remove_file(probe).expect("it is there");
    now
}

pub(super) fn attachment(content: &[u8], media_type: &str, name: &str) -> pb::Attachment {
    pb::Attachment {
        sha256: sha256(content),
        size: i64::try_from(content.len()).unwrap(),
        media_type: media_type.to_owned(),
        name: name.to_owned(),
    }
}

/// A report of the tablet that declares photos.
pub(super) fn with_photos(tablet: &Tablet, photos: &[&[u8]]) -> pb::FieldReport {
    let attachments = photos.iter().map(|photo| attachment(photo, "image/jpeg", "photo.jpg")).collect();
    pb::FieldReport { attachments, ..tablet.find() }
}

/// The same, submitted.
pub(super) async fn submitted(tablet: &Tablet, photos: &[&[u8]]) -> pb::FieldReport {
    let report = with_photos(tablet, photos);
    tablet.submit(&report).await.expect("it is stored");
    report
}

pub(super) fn begin(report: &str, sha256: Vec<u8>) -> pb::UploadAttachmentRequest {
    let begin = pb::UploadBegin { report_id: report.to_owned(), sha256 };
    pb::UploadAttachmentRequest { part: Some(Part::Begin(begin)) }
}

pub(super) fn chunk(write_offset: usize, content: &[u8]) -> pb::UploadAttachmentRequest {
    let write_offset = i64::try_from(write_offset).unwrap();
    let chunk = pb::UploadChunk { write_offset, content: content.to_vec().into() };
    pb::UploadAttachmentRequest { part: Some(Part::Chunk(chunk)) }
}

/// The messages that upload a part of a file.
pub(super) fn messages(
    report: &str,
    content: &[u8],
    range: std::ops::Range<usize>,
    step: usize,
) -> Vec<pb::UploadAttachmentRequest> {
    let mut all = vec![begin(report, sha256(content))];
    let mut at = range.start;
    while at < range.end {
        let to = (at + step).min(range.end);
        all.push(chunk(at, &content[at..to]));
        at = to;
    }
    all
}

pub(super) async fn send(
    service: &Service,
    messages: Vec<pb::UploadAttachmentRequest>,
) -> Result<pb::UploadState, Status> {
    let answer = service.clone().upload_attachment(tokio_stream::iter(messages)).await?;
    Ok(answer.into_inner().upload.expect("a state"))
}

/// Uploads a whole file.
pub(super) async fn upload(
    service: &Service,
    report: &str,
    content: &[u8],
) -> Result<pb::UploadState, Status> {
    send(service, messages(report, content, 0..content.len(), CHUNK)).await
}

pub(super) async fn state(
    service: &Service,
    report: &str,
    sha256: Vec<u8>,
) -> Result<pb::UploadState, Status> {
    let request = pb::GetUploadStateRequest { report_id: report.to_owned(), sha256 };
    Ok(service.clone().get_upload_state(request).await?.into_inner().upload.expect("a state"))
}

/// How many bytes are durable, and whether the file is whole.
pub(super) async fn durable(service: &Service, report: &str, content: &[u8]) -> (usize, bool) {
    let state = state(service, report, sha256(content)).await.expect("a state");
    (usize::try_from(state.durable_offset).unwrap(), state.present)
}

/// A range of a file, with what is said of it.
pub(super) async fn download(
    service: &Service,
    report: &str,
    sha256: Vec<u8>,
    (from, limit): (usize, usize),
) -> Result<(pb::DownloadedFile, Vec<u8>), Status> {
    let (read_offset, read_limit) = (i64::try_from(from).unwrap(), i64::try_from(limit).unwrap());
    let request =
        pb::DownloadAttachmentRequest { report_id: report.to_owned(), sha256, read_offset, read_limit };
    let mut parts = service.clone().download_attachment(request).await?.into_inner();
    let first = parts.message().await?.and_then(|first| first.part);
    let Some(Downloaded::File(file)) = first else { panic!("the file is first: {first:?}") };
    let mut content = Vec::new();
    while let Some(part) = parts.message().await? {
        let Some(Downloaded::Chunk(chunk)) = part.part else { panic!("only chunks follow") };
        assert_eq!(usize::try_from(chunk.read_offset).unwrap(), from + content.len(), "without gaps");
        assert!(chunk.content.len() <= CHUNK && !chunk.content.is_empty());
        content.extend(chunk.content);
    }
    Ok((file, content))
}

/// Every file below the folder of a world, by its path in there, but for the one that says whose they are.
pub(super) fn files(world: &World) -> Vec<String> {
    let root = files_of(&world.database.name);
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(&root).expect("below").display().to_string());
            }
        }
    }
    found.retain(|path| path != "installation");
    found.sort();
    found
}

/// The same once nothing is left of uploads: the last of one that is kept goes a moment after its answer.
pub(in crate::ground::field_reports) async fn settled(world: &World) -> Vec<String> {
    let settled = async {
        while files(world).iter().any(|path| path.starts_with("uploads/")) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("uploads that are kept go");
    files(world)
}

/// The files that are whole.
pub(super) fn objects(world: &World) -> Vec<String> {
    files(world).into_iter().filter(|path| path.starts_with("objects/")).collect()
}
