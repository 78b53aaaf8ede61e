//! The files of the cluster: where they are, of which version, and how they come to be.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::StartError;

use super::USER;
use super::account::Account;
use super::binaries::Binaries;
use super::claim::Claim;

/// Where the cluster is in a data directory.
pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres")
}

/// The major version of the cluster, or nothing when there is no cluster yet.
pub(super) fn major(cluster: &Path) -> Result<Option<u32>, StartError> {
    if !cluster.exists() {
        return Ok(None);
    }
    let version = fs::read_to_string(cluster.join("PG_VERSION"))
        .and_then(|text| text.trim().parse().map_err(io::Error::other));
    version.map(Some).map_err(|error| {
        StartError::Refused(format!(
            "{} is not a readable PostgreSQL cluster (PG_VERSION: {error}): move it away, or choose \
             another directory with --data-dir",
            cluster.display()
        ))
    })
}

/// Makes the cluster in one step: it is built under another name and renamed when it is complete.
pub(super) async fn create(
    claim: &Claim,
    binaries: &Binaries,
    account: &Account,
    durable: bool,
) -> Result<(), StartError> {
    let data_dir = claim.data_dir();
    let unfinished = data_dir.join("postgres.new");
    tracing::info!(data_dir = %data_dir.display(), version = binaries.major, "making a new database");
    prepare(&unfinished, account).map_err(|error| cannot_write(&unfinished, &error))?;
    let program = binaries.program("initdb");
    let mut command = account.command(&program, data_dir);
    describe(&mut command, &unfinished, durable);
    // An initdb that outlives us keeps the lock until it has ended, so that nobody builds beside it. For
    // the same reason it is not killed when this start is given up: its children would live on unseen.
    command.stdin(claim.shared().map_err(|error| cannot_write(data_dir, &error))?);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let output = tokio::process::Command::from(command)
        .output()
        .await
        .map_err(|error| account.cannot_run(&program, data_dir, &error))?;
    if !output.status.success() {
        return Err(failed(&unfinished, &output.stderr));
    }
    // initdb has flushed the files; the rename itself lasts only when the directory is flushed too.
    fs::rename(&unfinished, path(data_dir))
        .and_then(|()| File::open(data_dir)?.sync_all())
        .map_err(|error| cannot_write(data_dir, &error))
}

/// An empty directory, whatever an interrupted initdb left there.
fn prepare(unfinished: &Path, account: &Account) -> io::Result<()> {
    if unfinished.exists() {
        tracing::warn!(path = %unfinished.display(), "throwing away an unfinished database");
        fs::remove_dir_all(unfinished)?;
    }
    DirBuilder::new().mode(0o700).create(unfinished)?;
    account.own(unfinished)
}

/// The properties of the cluster that cannot be changed later.
fn describe(command: &mut Command, cluster: &Path, durable: bool) {
    command.arg("--pgdata").arg(cluster);
    command.args(["--username", USER, "--encoding", "UTF8", "--locale", "C", "--data-checksums"]);
    // Trust is safe here: only one user can reach the socket, and there is no TCP.
    command.args(["--auth-local", "trust", "--auth-host", "reject", "--no-instructions"]);
    if !durable {
        command.arg("--no-sync");
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> StartError {
    StartError::Refused(format!(
        "cannot write to {}: {error}; mend its permissions, or choose another directory with --data-dir",
        path.display()
    ))
}

fn failed(cluster: &Path, stderr: &[u8]) -> StartError {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    StartError::Refused(format!(
        "PostgreSQL could not make a database in {}: {}; mend that and start again, or set DATABASE_URL",
        cluster.display(),
        lines.join(" | ")
    ))
}
