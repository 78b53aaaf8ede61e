//! The outbox of a device: one folder with an SQLite file and the files of reports, each named by its SHA-256.
//!
//! Whatever a function here answered is on the disk: SQLite runs with a write-ahead log that is flushed at each commit,
//! and a file is flushed before a row names it. So the process may be killed at any moment.
//!
//! Reports name victims, so nobody but the owner of the folder reads it, and what SQLite deletes it overwrites.

mod answers;
mod files;
mod knowledge;
mod partly;
mod reports;
mod uploads;

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::StartError;

pub use answers::{Refused, Verdict};
pub(super) use files::hex;
pub use files::{KeptFile, Pruned};
pub(super) use knowledge::FeedChange;
pub use knowledge::Heard;
pub use reports::{Due, Entry, EntryState};
pub use uploads::{BrokenFile, FileCount, Upload, UploadEnd};

/// Name of the SQLite file.
const FILE: &str = "outbox.db";
/// How long one process waits for another that writes.
const BUSY: Duration = Duration::from_secs(10);
/// The schema, by SQLite's own number of it.
const SCHEMA_VERSION: i64 = 4;
const SCHEMA: &str = include_str!("outbox.sql");
/// What came to it with each later version, from the second on.
const LATER: [(i64, &str); 3] =
    [(2, include_str!("outbox_2.sql")), (3, include_str!("outbox_3.sql")), (4, include_str!("outbox_4.sql"))];
/// Folders and files of the owner alone.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// What the outbox of a device is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Id of the device, made with the outbox.
    pub device_id: String,
    /// Team that reports.
    pub team_id: String,
    /// URL of the service.
    pub server: String,
    /// File with the caller's token; none when the service asks for none.
    pub token_file: Option<PathBuf>,
    /// File with the certificates of the authority that the service has its own from; none for those of the system.
    pub ca_file: Option<PathBuf>,
    /// Whether reports may go over a network in the clear.
    pub insecure: bool,
}

/// The outbox of one device.
#[derive(Debug)]
pub struct Outbox {
    dir: PathBuf,
    connection: Mutex<Connection>,
}

impl Outbox {
    /// Makes an outbox in a folder that has none.
    pub fn init(dir: &Path, settings: &Settings) -> Result<Self, StartError> {
        let mut folders = fs::DirBuilder::new();
        folders.recursive(true).mode(FOLDER_MODE);
        folders.create(dir.join("files")).map_err(|error| cannot(dir, &error))?;
        let outbox = Self::connect(dir)?;
        let version: i64 = outbox.read(|db| db.pragma_query_value(None, "user_version", |row| row.get(0)))?;
        if version != 0 {
            let dir = dir.display();
            return Err(StartError::Refused(format!(
                "{dir} is an outbox already; use it, or give another --outbox for another device"
            )));
        }
        let token_file = settings.token_file.as_ref().map(|path| path.display().to_string());
        let rows = (&settings.device_id, &settings.team_id, &settings.server, token_file);
        outbox.change(|tx| {
            tx.execute_batch(SCHEMA)?;
            LATER.iter().try_for_each(|(_, added)| tx.execute_batch(added))?;
            tx.execute(
                "-- outbox.init
                 INSERT INTO device (only, device_id, team_id, server, token_file) VALUES (1, ?1, ?2, ?3, ?4)",
                rows,
            )?;
            set_link(tx, settings)?;
            tx.pragma_update(None, "user_version", SCHEMA_VERSION)
        })?;
        // The names of new files are durable with their folder.
        sync_dir(dir)?;
        Ok(outbox)
    }

    /// Opens an outbox.
    pub fn open(dir: &Path) -> Result<Self, StartError> {
        let shown = dir.display();
        if !dir.join(FILE).is_file() {
            let told =
                format!("{shown} is no outbox; make one with `safelane field init --outbox {shown} ...`");
            return Err(StartError::Refused(told));
        }
        let outbox = Self::connect(dir)?;
        match outbox.change(brought_up)? {
            SCHEMA_VERSION => Ok(outbox),
            0 => Err(StartError::Refused(format!(
                "{shown} was not made to the end; run `safelane field init --outbox {shown} ...` again"
            ))),
            other => Err(StartError::Refused(format!(
                "{shown} has schema {other}, and this program knows {SCHEMA_VERSION}; use the newest program"
            ))),
        }
    }

    fn connect(dir: &Path) -> Result<Self, StartError> {
        let connection = Connection::open(dir.join(FILE)).map_err(|error| cannot(dir, &error))?;
        private(dir).map_err(|error| cannot(dir, &error))?;
        let set = || {
            connection.busy_timeout(BUSY)?;
            connection.pragma_update(None, "secure_delete", true)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)
        };
        set().map_err(|error| cannot(dir, &error))?;
        Ok(Self { dir: dir.to_owned(), connection: Mutex::new(connection) })
    }

    /// Where the outbox is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it was made with.
    pub fn settings(&self) -> Result<Settings, StartError> {
        self.read(|db| {
            let sql = "-- outbox.settings
                       SELECT device_id, team_id, server, token_file, ca_file, insecure FROM device";
            db.query_row(sql, (), |row| {
                let (token_file, ca_file): (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
                Ok(Settings {
                    device_id: row.get(0)?,
                    team_id: row.get(1)?,
                    server: row.get(2)?,
                    token_file: token_file.map(PathBuf::from),
                    ca_file: ca_file.map(PathBuf::from),
                    insecure: row.get(5)?,
                })
            })
        })
    }

    /// Makes this process the only one that syncs the outbox, until what it answers is dropped.
    pub fn alone(&self) -> Result<fs::File, StartError> {
        self.locked("sync.lock")?.ok_or_else(|| {
            let dir = self.dir.display();
            StartError::Refused(format!("another sync of {dir} is going on; wait for it"))
        })
    }

    /// Makes this the only one that takes the team feed, until what it answers is dropped; none while another does. Two
    /// that take it at once would forget what the other one got.
    pub fn alone_with_feed(&self) -> Result<Option<fs::File>, StartError> {
        self.locked("feed.lock")
    }

    fn locked(&self, name: &str) -> Result<Option<fs::File>, StartError> {
        let file = fs::File::create(self.dir.join(name)).map_err(|error| cannot(&self.dir, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(cannot(&self.dir, &error)),
        }
    }

    /// Sends to another address from now on, or in another way.
    pub fn set_link(&self, settings: &Settings) -> Result<(), StartError> {
        self.change(|tx| set_link(tx, settings))
    }

    /// Reads, without a transaction.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StartError> {
        work(&self.lock()).map_err(|error| cannot(&self.dir, &error))
    }

    /// Changes the outbox as a whole or not at all, for good.
    fn change<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StartError> {
        let mut connection = self.lock();
        let whole = || {
            // Immediate: one that reads first and then writes could not wait for another process.
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&tx)?;
            tx.commit()?;
            Ok(done)
        };
        whole().map_err(|error: rusqlite::Error| cannot(&self.dir, &error))
    }

    /// A panic in the middle of a transaction rolled it back.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set_link(tx: &Transaction<'_>, settings: &Settings) -> rusqlite::Result<()> {
    let ca_file = settings.ca_file.as_ref().map(|path| path.display().to_string());
    tx.execute(
        "-- outbox.set_link
         UPDATE device SET server = ?1, ca_file = ?2, insecure = ?3",
        (&settings.server, ca_file, settings.insecure),
    )?;
    Ok(())
}

/// The version of the schema, after an older one was brought up to it.
fn brought_up(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if !(1..SCHEMA_VERSION).contains(&version) {
        return Ok(version);
    }
    for (_, added) in LATER.iter().filter(|(later, _)| version < *later) {
        tx.execute_batch(added)?;
    }
    tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    Ok(SCHEMA_VERSION)
}

/// Keeps everybody else out of a folder and its database. SQLite gives its other files the mode of that.
fn private(dir: &Path) -> std::io::Result<()> {
    for (path, mode) in
        [(dir.to_owned(), FOLDER_MODE), (dir.join("files"), FOLDER_MODE), (dir.join(FILE), FILE_MODE)]
    {
        let permissions = fs::metadata(&path)?.permissions();
        if permissions.mode() & 0o777 != mode {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

fn cannot(dir: &Path, error: &dyn std::fmt::Display) -> StartError {
    let dir = dir.display();
    StartError::Refused(format!("the outbox {dir} cannot be used: {error}; see that its disk has room"))
}

fn sync_dir(dir: &Path) -> Result<(), StartError> {
    fs::File::open(dir).and_then(|folder| folder.sync_all()).map_err(|error| cannot(dir, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_of_the_first_schema_is_brought_up_with_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        let old = Connection::open(folder.path().join(FILE)).unwrap();
        old.execute_batch(SCHEMA).unwrap();
        old.execute_batch(
            "INSERT INTO device (only, device_id, team_id, server, next_number) VALUES (1, 'D', 'T', 'S', 8);
             PRAGMA user_version = 1",
        )
        .unwrap();
        drop(old);
        for _ in 0..2 {
            let outbox = Outbox::open(folder.path()).unwrap();
            assert_eq!(outbox.settings().unwrap().device_id, "D");
            assert_eq!(outbox.entries().unwrap().len(), 0);
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(folder.path()), mode(&folder.path().join(FILE))), (0o700, 0o600));
    }
}
