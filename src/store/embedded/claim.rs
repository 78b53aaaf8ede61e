//! The claim on a data directory: at most one service uses it at a time.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::error::StartError;

const LOCK_FILE: &str = "safelane.lock";
/// How long a service that is just stopping, or its last initdb, is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(20);

/// The data directory, locked. The system frees the lock when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Claim {
    data_dir: PathBuf,
    lock: File,
}

impl Claim {
    /// Creates the directory when it is missing, and locks it.
    pub(super) async fn take(data_dir: &Path) -> Result<Self, StartError> {
        let unusable = |error: io::Error| {
            StartError::Refused(format!(
                "the data directory {} cannot be used: {error}; choose another with --data-dir",
                data_dir.display()
            ))
        };
        let data_dir = create(data_dir).map_err(unusable)?;
        // Not truncated on opening: the text belongs to the holder until we have the lock.
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(data_dir.join(LOCK_FILE))
            .map_err(unusable)?;
        match timeout(PATIENCE, locked(&lock)).await {
            Ok(outcome) => outcome.map_err(unusable)?,
            Err(_) => return Err(taken(&data_dir, &mut lock)),
        }
        lock.set_len(0).map_err(unusable)?;
        writeln!(lock, "{}", std::process::id()).map_err(unusable)?;
        Ok(Self { data_dir, lock })
    }

    /// The absolute path of the directory.
    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The lock as a child's standard input: the directory stays locked until that child has ended too.
    pub(super) fn shared(&self) -> io::Result<Stdio> {
        self.lock.try_clone().map(Stdio::from)
    }
}

/// Waits for the lock. Polled, as the system's own wait would block the thread.
async fn locked(lock: &File) -> io::Result<()> {
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => sleep(STEP).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// The absolute path of the directory, which exists afterwards.
fn create(data_dir: &Path) -> io::Result<PathBuf> {
    if !data_dir.exists() {
        fs::create_dir_all(data_dir)?;
        // A root service runs PostgreSQL as another user, who must pass through but need not list.
        let mode = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
        fs::set_permissions(data_dir, Permissions::from_mode(mode))?;
    }
    fs::canonicalize(data_dir)
}

fn taken(data_dir: &Path, lock: &mut File) -> StartError {
    let mut pid = String::new();
    // The pid is a courtesy: the refusal stands without it.
    let holder = match lock.read_to_string(&mut pid) {
        Ok(_) if !pid.trim().is_empty() => format!("process {}", pid.trim()),
        _ => "unknown process".to_owned(),
    };
    StartError::Refused(format!(
        "the data directory {} is in use by another safelane ({holder}): stop it, or choose another \
         directory with --data-dir",
        data_dir.display()
    ))
}
