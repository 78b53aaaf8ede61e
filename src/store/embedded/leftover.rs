//! What a killed service leaves behind: a server that still runs, or a pid file that lies.
//!
//! PostgreSQL refuses to start when its pid file names a living process of the same user, even if that
//! process is something else by now. Deleting the file while a server does run would destroy the database,
//! so the process is looked at closely.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::error::StartError;

use super::account::Account;
use super::binaries::Binaries;

const PID_FILE: &str = "postmaster.pid";

/// How long each kind of stop may take; the first writes all dirty pages to disk.
const STOPS: [(&str, u64); 2] = [("fast", 60), ("immediate", 15)];

/// Who has the process id that the pid file names.
#[derive(Debug, PartialEq, Eq)]
enum Process {
    /// Nobody.
    Gone,
    /// The server of this cluster.
    Server,
    /// Something that has nothing to do with this cluster.
    Stranger,
    /// A PostgreSQL server of which we cannot see what it serves.
    Unclear,
}

/// Makes sure that no server runs in the cluster and that no old pid file is in the way.
pub(super) async fn stop(cluster: &Path, binaries: &Binaries, account: &Account) -> Result<(), StartError> {
    let file = cluster.join(PID_FILE);
    let pid = match fs::read_to_string(&file) {
        Ok(text) => text.lines().next().and_then(|line| line.trim().parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(stuck(&file, &error.to_string())),
    };
    let process = pid.and_then(Pid::from_raw).map_or(Process::Gone, |pid| identify(pid, cluster));
    match process {
        Process::Server => stop_server(cluster, binaries, account).await,
        Process::Gone | Process::Stranger => {
            tracing::warn!(file = %file.display(), pid, "removing the pid file of a server that is gone");
            fs::remove_file(&file).map_err(|error| stuck(&file, &error.to_string()))
        }
        Process::Unclear => Err(stuck(&file, "its process is a PostgreSQL server that may use it")),
    }
}

async fn stop_server(cluster: &Path, binaries: &Binaries, account: &Account) -> Result<(), StartError> {
    let program = binaries.program("pg_ctl");
    for (mode, limit_s) in STOPS {
        tracing::warn!(cluster = %cluster.display(), mode, "stopping the server that an earlier run left");
        let mut command = account.command(&program, cluster);
        command.args(["stop", "-s", "-w", "-m", mode, "-t"]).arg(limit_s.to_string());
        command.arg("-D").arg(cluster);
        let output = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| account.cannot_run(&program, cluster, &error))?;
        // It may also have ended by itself just before pg_ctl looked.
        if output.status.success() || !cluster.join(PID_FILE).exists() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        tracing::warn!(answer = %text.trim(), "the server did not stop");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(stuck(&cluster.join(PID_FILE), "its server does not stop"))
}

fn stuck(file: &Path, why: &str) -> StartError {
    StartError::Refused(format!(
        "the pid file {} is in the way: {why}; stop the process that it names, then remove the file",
        file.display()
    ))
}

/// Looks at a process through `/proc`. Where there is none, the pid file's word is all we have.
fn identify(pid: Pid, cluster: &Path) -> Process {
    if test_kill_process(pid) == Err(Errno::SRCH) {
        return Process::Gone;
    }
    let folder = Path::new("/proc").join(pid.to_string());
    let Ok(program) = fs::read_to_string(folder.join("comm")) else {
        return Process::Server;
    };
    if !["postgres", "postmaster"].contains(&program.trim()) {
        return Process::Stranger;
    }
    // A server works in its cluster's directory. Containers may forbid even root to see that.
    if let Ok(works_in) = fs::read_link(folder.join("cwd")) {
        return if works_in == cluster { Process::Server } else { Process::Stranger };
    }
    by_arguments(&fs::read(folder.join("cmdline")).unwrap_or_default(), cluster)
}

/// Goes by the command line: ours names the cluster, and the workers of a server call themselves so.
fn by_arguments(arguments: &[u8], cluster: &Path) -> Process {
    if arguments.split(|byte| *byte == 0).any(|argument| argument == cluster.as_os_str().as_bytes()) {
        Process::Server
    } else if arguments.starts_with(b"postgres: ") {
        Process::Stranger
    } else {
        Process::Unclear
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_not_postgres_is_a_stranger() {
        let own = rustix::process::getpid();
        assert_eq!(identify(own, Path::new("/srv/postgres")), Process::Stranger);
    }

    #[test]
    fn a_pid_without_a_process_is_gone() {
        // Above the kernel's largest pid.
        let pid = Pid::from_raw(i32::MAX).unwrap();
        assert_eq!(identify(pid, Path::new("/srv/postgres")), Process::Gone);
    }

    #[test]
    fn a_command_line_tells_servers_workers_and_others_apart() {
        let cluster = Path::new("/srv/postgres");
        let of = |arguments: &[u8]| by_arguments(arguments, cluster);
        assert_eq!(of(b"/usr/bin/postgres\0-D\0/srv/postgres\0"), Process::Server);
        assert_eq!(of(b"postgres: checkpointer \0"), Process::Stranger);
        assert_eq!(of(b"/usr/bin/postgres\0-D\0elsewhere\0"), Process::Unclear);
        assert_eq!(of(b""), Process::Unclear);
    }
}
