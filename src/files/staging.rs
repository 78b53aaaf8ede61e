//! The folder of what came of files so far. Everything here blocks; callers run it on threads for that.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use crate::files::content::Content;
use crate::files::staged::Staged;
use crate::files::{UploadKey, from_hex, hex};

/// Uploads leave so many bytes of the disk free: a database may be on it, too.
const RESERVE_BYTES: u64 = 512 * 1024 * 1024;

/// The folder of uploads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Staging {
    folder: PathBuf,
    reserve: u64,
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

/// What an operator's unfinished uploads come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// How many there are.
    pub count: u64,
    /// The bytes that they will have when they are finished.
    pub bytes: u64,
}

impl Staging {
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder, reserve: RESERVE_BYTES }
    }

    #[cfg(test)]
    pub(super) fn with_reserve(&self, reserve: u64) -> Self {
        Self { reserve, ..self.clone() }
    }

    pub(super) fn path(&self, key: &UploadKey) -> PathBuf {
        self.folder.join(key.operator.to_string()).join(format!("{}-{}", hex(&key.sha256), key.size))
    }

    /// Goes on with an upload, or begins it: what is there is read, since only the hash of all of it counts.
    ///
    /// # Errors
    /// Fails when the folder cannot be read; `WouldBlock` when somebody else writes it.
    pub fn open(&self, key: &UploadKey) -> io::Result<(Staged, Content)> {
        Staged::open(self, key)
    }

    /// Whether there is room for more. Makes the folder if somebody took it away.
    ///
    /// # Errors
    /// `StorageFull` when there is not; otherwise fails when the folder does.
    pub fn expect_space(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let found = rustix::fs::statvfs(&self.folder)?;
        if found.f_bavail.saturating_mul(found.f_frsize) < self.reserve {
            return Err(io::Error::new(ErrorKind::StorageFull, "less than the reserve of the disk is free"));
        }
        Ok(())
    }

    /// Makes the name of an upload durable: a flush of a file does that for its bytes only.
    pub(super) fn sync_name(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        File::open(&self.folder)?.sync_all()
    }

    /// How much of an upload is there for good.
    ///
    /// # Errors
    /// Fails when the folder cannot be read, or the disk cannot be written: then nothing of it is left.
    pub fn durable(&self, key: &UploadKey) -> io::Result<u64> {
        let path = self.path(key);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        // The length first: what a writer adds meanwhile may not be flushed.
        let length = file.metadata()?.len();
        if let Err(error) = file.sync_data() {
            // The kernel tells it once: a second flush would succeed without these bytes.
            remove(&path)?;
            return Err(error);
        }
        self.sync_name(&path)?;
        Ok(length)
    }

    /// Whether an upload was begun.
    #[must_use]
    pub fn has(&self, key: &UploadKey) -> bool {
        self.path(key).exists()
    }

    /// What an operator's unfinished uploads come to, by what their reports declare.
    ///
    /// # Errors
    /// Fails when the folder cannot be read.
    pub fn unfinished(&self, operator: Uuid) -> io::Result<Unfinished> {
        let keys = self.keys_of(operator)?;
        let bytes = keys.iter().map(|key| key.size.unsigned_abs()).fold(0, u64::saturating_add);
        Ok(Unfinished { count: keys.len() as u64, bytes })
    }

    /// Every upload that is not finished.
    ///
    /// # Errors
    /// Fails when the folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<Left>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let Some(operator) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            let keys = self.keys_of(operator)?;
            // One that was finished in between is gone.
            all.extend(keys.into_iter().filter_map(|key| left(key, &fs::metadata(self.path(&key)).ok()?)));
        }
        Ok(all)
    }

    fn keys_of(&self, operator: Uuid) -> io::Result<Vec<UploadKey>> {
        let folder = match fs::read_dir(self.folder.join(operator.to_string())) {
            Ok(folder) => folder,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut keys = Vec::new();
        for entry in folder {
            keys.extend(entry?.file_name().to_str().and_then(|name| key_of(operator, name)));
        }
        Ok(keys)
    }

    /// Deletes an upload to which nothing was added since, and tells its size. None when somebody writes it, or has.
    ///
    /// # Errors
    /// Fails when the folder cannot be read or written.
    pub fn collect(&self, key: &UploadKey, since: Timestamp) -> io::Result<Option<u64>> {
        let path = self.path(key);
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        // Whoever writes it has this lock, and may have added something since it was found.
        if file.try_lock().is_err() {
            return Ok(None);
        }
        let Some(left) = left(*key, &file.metadata()?).filter(|left| left.written_at < since) else {
            return Ok(None);
        };
        remove(&path)?;
        Ok(Some(left.size))
    }
}

fn left(key: UploadKey, found: &fs::Metadata) -> Option<Left> {
    let written_at = Timestamp::try_from(found.modified().ok()?).ok()?;
    Some(Left { key, size: found.len(), written_at })
}

/// The upload whose file has a name.
fn key_of(operator: Uuid, name: &str) -> Option<UploadKey> {
    let (digits, size) = name.split_once('-')?;
    Some(UploadKey { operator, sha256: from_hex(digits)?, size: size.parse().ok()? })
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_upload_stays_when_somebody_goes_on_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::new(folder.path().to_owned());
        let key = UploadKey { operator: Uuid::nil(), sha256: [1; 32], size: 9 };
        let (mut staged, _) = staging.open(&key).unwrap();
        staged.append(&[b"123"]).unwrap();
        let left = staging.list().unwrap().pop().unwrap();
        assert_eq!((left.key, left.size), (key, 3));
        let later = left.written_at + jiff::SignedDuration::from_secs(1);
        assert_eq!(staging.collect(&key, later).unwrap(), None, "it is written");
        drop(staged);
        assert_eq!(staging.collect(&key, left.written_at).unwrap(), None, "something was added since");
        assert_eq!(staging.unfinished(Uuid::nil()).unwrap(), Unfinished { count: 1, bytes: 9 });
        assert_eq!(staging.collect(&key, later).unwrap(), Some(3));
        assert_eq!(staging.collect(&key, later).unwrap(), None);
        assert_eq!(staging.unfinished(Uuid::nil()).unwrap(), Unfinished::default());
    }
}
