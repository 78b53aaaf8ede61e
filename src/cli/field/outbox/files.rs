//! Files of reports, kept by their content.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::cli::field::clock;
use crate::cli::field::outbox::{FILE_MODE, Outbox, cannot, sync_dir};
use crate::error::StartError;

/// How much is copied at once.
const PART_BYTES: usize = 64 * 1_024;
/// How much of a file tells what it is.
const HEAD_BYTES: usize = 512;

/// A file that is in the outbox for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
    /// Its size in bytes.
    pub size: i64,
    /// Its first bytes, at most 512.
    pub head: Vec<u8>,
}

/// What pruning made room by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Copies that were deleted.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Outbox {
    /// Copies a file into the outbox. The copy is durable when this answers.
    pub fn keep_file(&self, from: &Path) -> Result<KeptFile, StartError> {
        let wrong = |error: io::Error| {
            StartError::Refused(format!(
                "{} cannot be attached: {error}; nothing was captured",
                from.display()
            ))
        };
        let folder = self.dir().join("files");
        let draft = folder.join(format!("{}.part", clock::fresh_id()));
        let kept = copy(from, &draft).map_err(wrong)?;
        fs::rename(&draft, self.path_of(&kept.sha256)).map_err(wrong)?;
        sync_dir(&folder)?;
        Ok(kept)
    }

    /// Where a file is.
    #[must_use]
    pub fn path_of(&self, sha256: &[u8]) -> PathBuf {
        self.dir().join("files").join(hex(sha256))
    }

    /// Whether the copy in the outbox still is what its name says.
    pub fn is_whole(&self, sha256: &[u8; 32]) -> bool {
        let path = self.path_of(sha256);
        copy_into(&path, &mut io::sink()).is_ok_and(|kept| kept.sha256 == *sha256)
    }

    /// Deletes the copies of files that the service has, as it said last. Those of a report that it has not stay.
    pub fn prune(&self) -> Result<Pruned, StartError> {
        let mut pruned = Pruned::default();
        for sha256 in self.files_there()? {
            let path = self.path_of(&sha256);
            // One that was pruned before.
            let Ok(of) = fs::metadata(&path) else { continue };
            fs::remove_file(&path).map_err(|error| cannot(self.dir(), &error))?;
            pruned.files += 1;
            pruned.bytes += of.len();
        }
        Ok(pruned)
    }

    /// Bytes of a file from an offset on: as many as asked for, or less at its end.
    pub fn part_of(&self, sha256: &[u8], offset: i64, limit: usize) -> Result<Vec<u8>, StartError> {
        let path = self.path_of(sha256);
        let read = || {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(u64::try_from(offset).unwrap_or(0)))?;
            let mut part = Vec::with_capacity(limit);
            file.take(limit as u64).read_to_end(&mut part)?;
            Ok(part)
        };
        read().map_err(|error: io::Error| {
            StartError::Refused(format!("{} cannot be read: {error}", path.display()))
        })
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<KeptFile> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(to)?;
    let kept = copy_into(from, &mut file).and_then(|kept| file.sync_all().map(|()| kept));
    if kept.is_err() {
        // It is only a draft, and what failed is told.
        fs::remove_file(to).ok();
    }
    kept
}

fn copy_into(from: &Path, to: &mut dyn io::Write) -> io::Result<KeptFile> {
    let mut file = File::open(from)?;
    let (mut digest, mut size, mut head) = (Sha256::new(), 0_i64, Vec::new());
    let mut part = vec![0; PART_BYTES];
    loop {
        let count = file.read(&mut part)?;
        let Some(read) = part.get(..count).filter(|read| !read.is_empty()) else { break };
        digest.update(read);
        head.extend(read.iter().take(HEAD_BYTES.saturating_sub(head.len())));
        size = size.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
        to.write_all(read)?;
    }
    Ok(KeptFile { sha256: digest.finalize().into(), size, head })
}

/// Bytes as hexadecimal digits.
pub(in crate::cli::field) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to text cannot fail.
        write!(digits, "{byte:02x}").ok();
        digits
    })
}
