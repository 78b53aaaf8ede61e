//! On what was measured.

use std::fs;
use std::process::Command;

use safelane::clock::{Clock as _, SystemClock};
use serde::Serialize;

/// What a reader must know to compare.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_mb: u64,
    pub(crate) kernel: String,
    /// The commit of this tree, with `, changed` when it is not exactly that.
    pub(crate) commit: String,
    pub(crate) date: String,
}

impl Machine {
    /// Looks around. What a system does not tell is `unknown`, which is no reason not to measure.
    pub(crate) fn look() -> Self {
        let unknown = || "unknown".to_owned();
        let now = SystemClock.now().to_string();
        Self {
            processor: line("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(0, Into::into),
            memory_mb: memory_mb().unwrap_or_default(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| unknown(), |text| text.trim().to_owned()),
            commit: commit().unwrap_or_else(unknown),
            date: now.split('T').next().unwrap_or_default().to_owned(),
        }
    }
}

fn memory_mb() -> Option<u64> {
    let kb: u64 = line("/proc/meminfo", "MemTotal")?.split_whitespace().next()?.parse().ok()?;
    Some(kb / 1_024)
}

/// The text after `name:` in a file of the kernel.
fn line(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let found = text.lines().find(|line| line.starts_with(name))?;
    Some(found.split_once(':')?.1.trim().to_owned())
}

fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let folder = env!("CARGO_MANIFEST_DIR");
        let output = Command::new("git").args(["-C", folder]).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let head = git(&["rev-parse", "--short=12", "HEAD"])?;
    // What a run writes does not change what it measured.
    let status = git(&["status", "--porcelain", "--", ".", ":!benches/results"])?;
    Some(if status.is_empty() { head } else { format!("{head}, changed") })
}
