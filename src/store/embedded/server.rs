//! The server process: its settings, its birth, its readiness and its end.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::time::{sleep, timeout};

use crate::error::StartError;

use super::account::Account;
use super::binaries::Binaries;
use super::socket::SocketDir;
use super::{DATABASE, Options, PORT, cluster};

/// How often readiness and the end of the process are looked at.
const STEP: Duration = Duration::from_millis(10);
/// How often an unexpected end is looked for while all is well.
const WATCH_STEP: Duration = Duration::from_millis(250);
/// Recovery after a crash reads all of the journal since the last checkpoint, which may take a while.
const READY_LIMIT: Duration = Duration::from_mins(2);
/// For a fast shutdown, and then again for an immediate one.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How many [`STEP`]s a drop may block its thread.
const DROP_STEPS: u32 = 300;
/// Connections beyond the service's own: the superuser's reserve of 3, and two for the operator.
const SPARE_CONNECTIONS: u32 = 5;
/// How much of the log goes into an error.
const LOG_LINES: usize = 5;

/// Settings that are the same for everyone. No setting is left to `postgresql.conf`.
const SETTINGS: [&str; 14] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "ssl=off",
    "cluster_name=safelane",
    "shared_buffers=64MB",
    "jit=off",
    "wal_compression=on",
    "max_logical_replication_workers=0",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_destination=stderr",
    "logging_collector=off",
    "log_checkpoints=off",
    "log_line_prefix=%m [%p] ",
];

/// A `postgres` process that is our child.
///
/// It is std's child, not tokio's: that one is tied to the runtime that started it.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts the server. It is not ready yet.
    pub(super) fn spawn(
        data_dir: &Path,
        binaries: &Binaries,
        account: &Account,
        socket: &SocketDir,
        options: &Options,
    ) -> Result<Self, StartError> {
        let log = data_dir.join("postgres.log");
        let (output, errors) = open_log(&log).map_err(|error| {
            StartError::Refused(format!("cannot write {}: {error}; mend its permissions", log.display()))
        })?;
        let program = binaries.program("postgres");
        let mut command = account.command(&program, data_dir);
        command.arg("-D").arg(cluster::path(data_dir));
        for setting in settings(options, socket.path()) {
            command.arg("-c").arg(setting);
        }
        // In a group of its own, so that Ctrl-C in the terminal reaches the service only.
        command.process_group(0).stdout(output).stderr(errors);
        let child = command.spawn().map_err(|error| account.cannot_run(&program, data_dir, &error))?;
        Ok(Self { child, log })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the service's database takes connections, and creates it when it is missing.
    pub(super) async fn ready(&mut self, options: &PgConnectOptions) -> Result<(), StartError> {
        match timeout(READY_LIMIT, self.poll_ready(options)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(StartError::Refused(format!(
                "PostgreSQL was not ready after {} seconds: see {}, then start again; recovery goes on \
                 where it was",
                READY_LIMIT.as_secs(),
                self.log.display()
            ))),
        }
    }

    async fn poll_ready(&mut self, options: &PgConnectOptions) -> Result<(), StartError> {
        loop {
            match PgConnection::connect_with(options).await {
                Ok(connection) => {
                    // Only a courtesy to the server: it notices a lost connection as well.
                    connection.close().await.ok();
                    return Ok(());
                }
                Err(sqlx::Error::Database(error)) => match error.code().as_deref() {
                    Some("3D000") => create_database(options).await?,
                    // It says "starting up" while it recovers.
                    Some("57P03") => {}
                    _ => return Err(refused(&error.to_string(), &self.log)),
                },
                // Not listening yet, or never: the process tells.
                Err(_) => {}
            }
            if let Some(end) = self.end() {
                return Err(refused(&end, &self.log));
            }
            sleep(STEP).await;
        }
    }

    /// Waits for an end that nobody asked for.
    pub(super) async fn died(&mut self) -> String {
        loop {
            if let Some(end) = self.end() {
                return format!("PostgreSQL {end} unexpectedly ({})", last_lines(&self.log));
            }
            sleep(WATCH_STEP).await;
        }
    }

    /// Fast shutdown, then an immediate one.
    pub(super) async fn stop(&mut self) {
        for (signal, kind) in [(Signal::INT, "fast"), (Signal::QUIT, "immediate")] {
            self.signal(signal);
            let ended = timeout(STOP_LIMIT, async {
                while self.end().is_none() {
                    sleep(STEP).await;
                }
            });
            if ended.await.is_ok() {
                tracing::info!(kind, "embedded PostgreSQL has stopped");
                return;
            }
            tracing::warn!(kind, limit_s = STOP_LIMIT.as_secs(), "embedded PostgreSQL did not stop in time");
        }
    }

    /// How the process ended, or nothing while it runs.
    fn end(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(status) => status.map(|status: ExitStatus| format!("ended with {status}")),
            Err(error) => Some(format!("cannot be watched: {error}")),
        }
    }

    /// Sends a signal, unless the process has ended: its number may be somebody else's by then.
    fn signal(&mut self, signal: Signal) {
        if self.end().is_none()
            && let Err(error) = kill_process(Pid::from_child(&self.child), signal)
        {
            tracing::warn!(%error, "embedded PostgreSQL could not be signalled");
        }
    }
}

impl Drop for Server {
    /// The last resort, after a panic or a failed start. Leaves a server behind rather than hang: the next
    /// start stops it.
    fn drop(&mut self) {
        self.signal(Signal::INT);
        for _ in 0..DROP_STEPS {
            if self.end().is_some() {
                return;
            }
            thread::sleep(STEP);
        }
        tracing::warn!(pid = self.pid(), "embedded PostgreSQL is still stopping");
    }
}

/// The settings of this start, as `name=value`.
fn settings(options: &Options, socket: &Path) -> Vec<OsString> {
    let durability = if options.durable { "on" } else { "off" };
    let connections = u32::from(options.max_connections) + SPARE_CONNECTIONS;
    let mut settings: Vec<OsString> = SETTINGS.iter().map(OsString::from).collect();
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        settings.push(format!("{name}={durability}").into());
    }
    settings.push(format!("port={PORT}").into());
    settings.push(format!("max_connections={connections}").into());
    let mut directories = OsString::from("unix_socket_directories=");
    directories.push(socket);
    settings.push(directories);
    settings
}

/// A fresh log for both output streams. The log of the run before is kept beside it.
fn open_log(log: &Path) -> io::Result<(File, File)> {
    if log.exists() {
        fs::rename(log, log.with_extension("log.1"))?;
    }
    // Append, as both streams write to it.
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
    Ok((file.try_clone()?, file))
}

async fn create_database(options: &PgConnectOptions) -> Result<(), StartError> {
    let outcome = async {
        let mut connection = PgConnection::connect_with(&options.clone().database("postgres")).await?;
        sqlx::query("CREATE DATABASE safelane").execute(&mut connection).await?;
        connection.close().await
    };
    outcome.await.map_err(|error: sqlx::Error| {
        StartError::Refused(format!(
            "the database {DATABASE} cannot be created: {error}; see postgres.log in the data directory"
        ))
    })
}

fn refused(why: &str, log: &Path) -> StartError {
    StartError::Refused(format!(
        "PostgreSQL did not start: {why} ({}); mend that and start again, or set DATABASE_URL",
        last_lines(log)
    ))
}

/// The end of the log, in one line.
fn last_lines(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let start = lines.len().saturating_sub(LOG_LINES);
    format!("last lines of {}: {}", log.display(), lines[start..].join(" | "))
}
