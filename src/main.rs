//! The binary. Everything is in the library; see `cli`.

use std::process::ExitCode;

/// Returns memory to the system sooner than the default allocator and is faster under load.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    safelane::cli::run()
}
