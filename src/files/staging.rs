//! What came of files so far. A file is appended to by one writer at a time, which whoever opens it sees to. Everything
//! here blocks; callers run it on threads for that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::field_report::media::Sniffer;
use crate::files::{Sha256Sum, UploadKey, from_hex, hex};

/// So many bytes are made durable at once: a flush for every chunk would cost far more than the chunk.
const SYNC_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes that are read at a time when an upload goes on.
const READ_BYTES: usize = 256 * 1024;

/// The folder of uploads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Staging {
    folder: PathBuf,
}

/// An upload that nobody has finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Which one.
    pub key: UploadKey,
    /// Bytes that are there.
    pub size: u64,
    /// When something was last written to it.
    pub written_at: Timestamp,
}

impl Staging {
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Name of an upload below the folder.
    pub(super) fn name(key: &UploadKey) -> String {
        format!("{}/{}-{}", key.operator, hex(&key.sha256), key.size)
    }

    pub(super) fn path(&self, key: &UploadKey) -> PathBuf {
        self.folder.join(Self::name(key))
    }

    /// Goes on with an upload, or begins it: what is there is read, since only the hash of all of it counts.
    ///
    /// # Errors
    /// Fails when the folder cannot be read or written.
    pub fn open(&self, key: &UploadKey) -> io::Result<Staged> {
        let path = self.path(key);
        let folder = self.folder.join(key.operator.to_string());
        fs::create_dir_all(&folder)?;
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)?;
        let (mut digest, mut sniffer, mut offset) = (Sha256::new(), Sniffer::default(), 0);
        let mut piece = vec![0; READ_BYTES];
        loop {
            let read = file.read(&mut piece)?;
            if read == 0 {
                break;
            }
            digest.update(&piece[..read]);
            sniffer.update(&piece[..read]);
            offset += read as u64;
        }
        Ok(Staged {
            file,
            path,
            offset,
            unsynced: offset,
            staging: self.clone(),
            named: false,
            digest,
            sniffer,
        })
    }

    /// Makes the name of an upload durable: a flush of a file does that for its bytes only.
    fn sync_name(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        File::open(&self.folder)?.sync_all()
    }

    /// How much of an upload is there for good.
    ///
    /// # Errors
    /// Fails when the folder cannot be read.
    pub fn durable(&self, key: &UploadKey) -> io::Result<u64> {
        let path = self.path(key);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        // The length first: what a writer adds meanwhile may not be flushed.
        let length = file.metadata()?.len();
        file.sync_data()?;
        self.sync_name(&path)?;
        Ok(length)
    }

    /// Whether an upload was begun.
    #[must_use]
    pub fn has(&self, key: &UploadKey) -> bool {
        self.path(key).exists()
    }

    /// Bytes of all uploads of an operator that are not finished.
    ///
    /// # Errors
    /// Fails when the folder cannot be read.
    pub fn bytes_of(&self, operator: Uuid) -> io::Result<u64> {
        Ok(self.left_of(operator)?.iter().map(|left| left.size).sum())
    }

    /// Every upload that is not finished.
    ///
    /// # Errors
    /// Fails when the folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<Left>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            if let Some(operator) = name.to_str().and_then(|name| name.parse().ok()) {
                all.extend(self.left_of(operator)?);
            }
        }
        Ok(all)
    }

    fn left_of(&self, operator: Uuid) -> io::Result<Vec<Left>> {
        let folder = match fs::read_dir(self.folder.join(operator.to_string())) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut left = Vec::new();
        for entry in folder {
            let entry = entry?;
            // One that was finished in between is gone.
            let Ok(found) = entry.metadata() else { continue };
            let written = found.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
            let key = entry.file_name().to_str().and_then(|name| key_of(operator, name));
            let (Some(written_at), Some(key)) = (written, key) else { continue };
            left.push(Left { key, size: found.len(), written_at });
        }
        Ok(left)
    }

    /// Deletes an upload that was finished, or that nobody goes on with.
    ///
    /// # Errors
    /// Fails when the folder cannot be written.
    pub fn forget(&self, key: &UploadKey) -> io::Result<()> {
        remove(&self.path(key))
    }
}

/// The upload whose file has a name.
fn key_of(operator: Uuid, name: &str) -> Option<UploadKey> {
    let (digits, size) = name.split_once('-')?;
    Some(UploadKey { operator, sha256: from_hex(digits)?, size: size.parse().ok()? })
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// An upload with its writer.
#[derive(Debug)]
pub struct Staged {
    file: File,
    path: PathBuf,
    offset: u64,
    unsynced: u64,
    staging: Staging,
    /// Whether its name is durable.
    named: bool,
    digest: Sha256,
    sniffer: Sniffer,
}

impl Staged {
    /// Bytes that are there.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Adds the next bytes.
    ///
    /// # Errors
    /// Fails when they cannot be written; then this writer must not go on.
    pub fn append(&mut self, content: &[u8]) -> io::Result<()> {
        self.file.write_all(content)?;
        self.digest.update(content);
        self.sniffer.update(content);
        self.offset += content.len() as u64;
        self.unsynced += content.len() as u64;
        if SYNC_BYTES <= self.unsynced {
            self.sync()?;
        }
        Ok(())
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// Fails when the disk does.
    pub fn sync(&mut self) -> io::Result<()> {
        self.sync_content()?;
        if !self.named {
            self.staging.sync_name(&self.path)?;
            self.named = true;
        }
        Ok(())
    }

    /// Makes the bytes durable, not the name: that is enough for a file that gets another one at once.
    ///
    /// # Errors
    /// Fails when the disk does.
    pub fn sync_content(&mut self) -> io::Result<()> {
        if self.unsynced != 0 {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Hash and media type of what is there.
    #[must_use]
    pub fn look(&self) -> (Sha256Sum, &'static str) {
        (self.digest.clone().finalize().into(), self.sniffer.media_type())
    }

    /// Throws away what is there: it is not the file that it was to be.
    ///
    /// # Errors
    /// Fails when the folder cannot be written.
    pub fn discard(self) -> io::Result<()> {
        remove(&self.path)
    }
}
