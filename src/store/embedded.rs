//! The embedded PostgreSQL: a private cluster that lives and dies with the service.
//!
//! Without `DATABASE_URL` the service owns one data directory and runs the PostgreSQL of the machine in it,
//! reachable through a Unix socket only. Layout of the data directory:
//!
//! ```text
//! safelane.lock   held while a service uses the directory
//! postgres/       the cluster (postgres.new/ while it is being made)
//! postgres.log    what this run's server wrote (postgres.log.1: the run before)
//! socket/         the Unix socket, mode 0700
//! ```
//!
//! Starting happens before anything is served, so plain blocking file calls are good enough here.

mod account;
mod binaries;
mod claim;
mod cluster;
mod leftover;
mod server;
mod socket;

use std::path::{Path, PathBuf};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::error::StartError;

use account::Account;
use claim::Claim;
use server::Server;
use socket::SocketDir;

/// The superuser of the cluster, which is also the user of the service.
const USER: &str = "safelane";
/// The database of the service.
const DATABASE: &str = "safelane";
/// Only names the socket file, as there is no TCP.
const PORT: u16 = 5432;

/// How to run the embedded PostgreSQL.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory that the service owns. It is created when it is missing.
    pub data_dir: PathBuf,
    /// Where the server programs are, when they should not be searched for.
    pub bin_dir: Option<PathBuf>,
    /// Whether a commit survives a power cut. Only tests may say no.
    pub durable: bool,
    /// How many connections the service may open. A few more are kept for the operator's `psql`.
    pub max_connections: u16,
}

/// A running PostgreSQL that belongs to this process.
///
/// Call [`Embedded::stop`] at the end. Dropping it also stops the server, but blocks the thread meanwhile.
#[derive(Debug)]
pub struct Embedded {
    // Fields drop in this order: the lock must outlive the server.
    server: Server,
    socket: SocketDir,
    _claim: Claim,
}

impl Embedded {
    /// Makes the cluster when there is none, starts its server and waits until it answers.
    ///
    /// A server that an earlier, killed service left running is stopped first.
    ///
    /// # Errors
    /// Fails with one line for the operator that names the obstacle and the way out.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let claim = Claim::take(&options.data_dir).await?;
        let data_dir = claim.data_dir();
        let cluster = cluster::path(data_dir);
        let binaries = binaries::find(options.bin_dir.as_deref(), cluster::major(&cluster)?)?;
        let account = Account::choose(&cluster)?;
        let socket = SocketDir::prepare(data_dir, &account)?;
        leftover::stop(&cluster, &binaries, &account).await?;
        socket.sweep()?;
        if !cluster.exists() {
            cluster::create(&claim, &binaries, &account, options.durable).await?;
        }
        let mut server = Server::spawn(data_dir, &binaries, &account, &socket, &options)?;
        server.ready(&connect_options(socket.path())).await?;
        tracing::info!(
            pid = server.pid(),
            version = binaries.major,
            data_dir = %data_dir.display(),
            "embedded PostgreSQL is ready"
        );
        Ok(Self { server, socket, _claim: claim })
    }

    /// How to connect to the service's database.
    #[must_use]
    pub fn connect_options(&self) -> PgConnectOptions {
        connect_options(self.socket.path())
    }

    /// The process id of the server.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Waits until the server ends without having been asked to, and tells why in one line.
    ///
    /// Cancel-safe: meant for a `select!` beside the service's other reasons to end.
    pub async fn died(&mut self) -> String {
        self.server.died().await
    }

    /// Stops the server: open transactions are rolled back, committed ones are kept.
    ///
    /// Bounded: after 10 seconds the server is told to quit at once, which costs only a recovery at the
    /// next start.
    pub async fn stop(mut self) {
        self.server.stop().await;
    }
}

/// Nothing is taken from `PGHOST`, `PGUSER`, `PGSSLMODE` and the like: they are about other servers.
fn connect_options(socket: &Path) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket)
        .port(PORT)
        .username(USER)
        .database(DATABASE)
        .ssl_mode(PgSslMode::Disable)
}
