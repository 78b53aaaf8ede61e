//! The one PostgreSQL that everything here is measured on: its databases, its settings, its folder.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use safelane::store::embedded::{self, Embedded};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

use crate::Failure;
use crate::figures::{Micros, median};

/// For pgbench's clients, two services and what this program asks itself.
const CONNECTIONS: u16 = 70;
/// What the report quotes.
const QUOTED: [&str; 9] = [
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_sync_method",
    "wal_compression",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
];
/// PostgreSQL writes its log in pages of this size, and flushes a file that has its full length already.
const PAGE: usize = 8_192;
const PAGES: u64 = 2_048;
const FLUSHES: u64 = 500;

/// A running cluster in a folder of its own, which goes when this is dropped.
pub(crate) struct Cluster {
    embedded: Option<Embedded>,
    folder: PathBuf,
}

impl Cluster {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("safelane-posting-{}", std::process::id()));
        let mut cluster = Self { embedded: None, folder };
        let options = embedded::Options {
            data_dir: cluster.folder.join("cluster"),
            bin_dir: std::env::var_os("SAFELANE_PG_BIN_DIR").map(PathBuf::from),
            durable: true,
            max_connections: CONNECTIONS,
        };
        cluster.embedded = Some(Embedded::start(options).await?);
        Ok(cluster)
    }

    pub(crate) async fn stop(mut self) {
        if let Some(embedded) = self.embedded.take() {
            embedded.stop().await;
        }
    }

    /// Where logs of what runs here may go.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The process id of the postmaster.
    pub(crate) fn pid(&self) -> u32 {
        self.embedded.as_ref().map_or(0, Embedded::pid)
    }

    fn options(&self, database: &str) -> Result<sqlx::postgres::PgConnectOptions, Failure> {
        let embedded = self.embedded.as_ref().ok_or("the cluster is stopped")?;
        Ok(embedded.connect_options().database(database))
    }

    /// For `DATABASE_URL`.
    pub(crate) fn url(&self, database: &str) -> Result<String, Failure> {
        Ok(self.options(database)?.to_url_lossy().to_string())
    }

    /// Host and user as PostgreSQL's own programs take them. The socket asks for no password.
    pub(crate) fn host_and_user(&self) -> Result<(PathBuf, String), Failure> {
        let options = self.options("postgres")?;
        let socket = options.get_socket().ok_or("the cluster has no socket")?;
        Ok((socket.clone(), options.get_username().to_owned()))
    }

    /// A program from the folder of the server that runs.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf, Failure> {
        let server = fs::read_link(format!("/proc/{}/exe", self.pid()))?;
        let beside = server.with_file_name(name);
        if beside.is_file() {
            return Ok(beside);
        }
        Err(format!("{name} is not beside {}; install PostgreSQL's client programs", server.display()).into())
    }

    pub(crate) async fn connect(&self, database: &str) -> Result<PgConnection, Failure> {
        Ok(PgConnection::connect_with(&self.options(database)?).await?)
    }

    /// Runs statements one by one, outside of any transaction.
    pub(crate) async fn run(&self, database: &str, statements: &[String]) -> Result<(), Failure> {
        let mut connection = self.connect(database).await?;
        for statement in statements {
            sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut connection).await?;
        }
        Ok(connection.close().await?)
    }

    /// Makes a database anew, empty or as a copy.
    pub(crate) async fn make(&self, database: &str, template: Option<&str>) -> Result<(), Failure> {
        let copied = template.map_or_else(String::new, |template| format!(" TEMPLATE {template}"));
        let made = format!("CREATE DATABASE {database}{copied}");
        self.run("postgres", &[format!("DROP DATABASE IF EXISTS {database}"), made]).await
    }

    pub(crate) async fn remove(&self, database: &str) -> Result<(), Failure> {
        self.run("postgres", &[format!("DROP DATABASE {database}")]).await
    }

    /// The same start for whatever is measured next: no dead rows, fresh statistics, nothing left to flush.
    pub(crate) async fn settle(&self, database: &str) -> Result<(), Failure> {
        self.run(database, &["VACUUM ANALYZE".to_owned(), "CHECKPOINT".to_owned()]).await
    }

    /// Settings as the server tells them.
    pub(crate) async fn settings(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut connection = self.connect("postgres").await?;
        let mut told = Vec::new();
        for name in QUOTED {
            let shown = sqlx::query_scalar::<_, String>(AssertSqlSafe(format!("SHOW {name}")));
            told.push((name.to_owned(), shown.fetch_one(&mut connection).await?));
        }
        connection.close().await?;
        Ok(told)
    }

    /// What the tables of a database take with their indexes.
    pub(crate) async fn stored_bytes(connection: &mut PgConnection) -> Result<u64, Failure> {
        const STORED: &str = "-- bench.stored_bytes
            SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0)::BIGINT
            FROM pg_class c
            WHERE c.relkind = 'r' AND c.relnamespace = 'public'::REGNAMESPACE";
        let bytes = sqlx::query_scalar::<_, i64>(STORED).fetch_one(connection).await?;
        Ok(u64::try_from(bytes)?)
    }

    /// How long one flush of the disk takes, as PostgreSQL flushes its log: a page over an old one, then
    /// fdatasync. The median of several hundred.
    pub(crate) fn flush_time(&self) -> Result<Micros, Failure> {
        let path = self.folder.join("cluster").join("flush");
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(&path)?;
        let page = [0x5a_u8; PAGE];
        for place in 0..PAGES {
            file.write_all_at(&page, place * PAGE as u64)?;
        }
        file.sync_all()?;
        let mut times = Vec::new();
        for round in 0..FLUSHES {
            let begun = Instant::now();
            file.write_all_at(&page, (round % PAGES) * PAGE as u64)?;
            file.sync_data()?;
            times.push(u64::try_from(begun.elapsed().as_micros())?);
        }
        fs::remove_file(path)?;
        Ok(Micros(median(times)))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The server first: it must not write into a folder that goes.
        drop(self.embedded.take());
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            crate::progress(&format!("{} stays behind: {error}", self.folder.display()));
        }
    }
}
