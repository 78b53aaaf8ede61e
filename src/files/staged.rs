//! One upload with its writer. It holds a lock of its file, so that there is one writer among all processes that share the
//! folder; a file that somebody else has locked, or put another in the place of, is refused with `WouldBlock`.

mod rested;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
#[cfg(target_os = "linux")]
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

#[cfg(target_os = "linux")]
use rustix::fs::{Advice, fadvise};

use crate::domain::field_report::media::WINDOW;
use crate::files::content::Content;
use crate::files::staging::{Staging, remove};
use crate::files::{Sha256Sum, UploadKey};

pub(super) use rested::Rested;

/// So many bytes are made durable at once: a flush for every chunk would cost far more than the chunk.
const SYNC_BYTES: u64 = 8 * 1024 * 1024;
#[cfg(target_os = "linux")]
/// So many bytes are given to the disk at once, see [`Staged::write_back`].
const WRITE_BACK_BYTES: u64 = 512 * 1024;
/// Bytes that are read at a time when an upload goes on.
const READ_BYTES: usize = 256 * 1024;

/// An upload with its writer.
#[derive(Debug)]
pub struct Staged {
    staging: Staging,
    key: UploadKey,
    /// None until there are bytes: whoever sends none takes no room.
    file: Option<File>,
    offset: u64,
    unsynced: u64,
    /// Whether its name is durable.
    named: bool,
    /// Why something could not be written. What is there is then not what it should be.
    broken: Option<ErrorKind>,
}

impl Staged {
    pub(super) fn open(staging: &Staging, key: &UploadKey) -> io::Result<(Self, Content)> {
        let mut staged = Self {
            staging: staging.clone(),
            key: *key,
            file: None,
            offset: 0,
            unsynced: 0,
            named: false,
            broken: None,
        };
        let content = match OpenOptions::new().read(true).append(true).open(staged.path()) {
            Ok(file) => staged.read(file)?,
            Err(error) if error.kind() == ErrorKind::NotFound => Content::default(),
            Err(error) => return Err(error),
        };
        Ok((staged, content))
    }

    /// Takes in what is there: only the hash of all of it counts.
    fn read(&mut self, file: File) -> io::Result<Content> {
        let mut file = self.lock(file)?;
        let mut content = Content::default();
        let mut piece = vec![0; READ_BYTES];
        loop {
            let read = file.read(&mut piece)?;
            if read == 0 {
                break;
            }
            content.update(&piece[..read]);
        }
        self.file = Some(file);
        self.offset = content.length();
        self.unsynced = self.offset;
        Ok(content)
    }

    fn create(&mut self) -> io::Result<&mut File> {
        let path = self.path();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        self.staging.expect_space()?;
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let file = self.lock(file)?;
        if file.metadata()?.len() != 0 {
            // Somebody else was here since this one was opened.
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(self.file.insert(file))
    }

    fn lock(&self, file: File) -> io::Result<File> {
        file.try_lock()?;
        if self.is_in_place(&file)? { Ok(file) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    /// Whether the name still is that of this file: whoever finished it meanwhile has taken the name away.
    fn is_in_place(&self, file: &File) -> io::Result<bool> {
        let there = match fs::metadata(self.path()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            there => there?,
        };
        let this = file.metadata()?;
        Ok((there.dev(), there.ino()) == (this.dev(), this.ino()))
    }

    pub(super) fn path(&self) -> PathBuf {
        self.staging.path(&self.key)
    }

    /// Which one it is.
    #[must_use]
    pub const fn key(&self) -> &UploadKey {
        &self.key
    }

    /// Bytes that are there.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether all bytes are there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        i64::try_from(self.offset) == Ok(self.key.size)
    }

    /// Why something could not be written: this writer must not go on, and what is there must not be kept.
    #[must_use]
    pub fn broken(&self) -> Option<io::Error> {
        self.broken.map(io::Error::from)
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    /// Fails when they cannot be written; then this writer must not go on. `WouldBlock` when somebody else writes.
    pub fn append(&mut self, pieces: &[impl AsRef<[u8]>]) -> io::Result<()> {
        let written = self.write(pieces);
        self.broken = written.as_ref().err().map(io::Error::kind);
        written
    }

    fn write(&mut self, pieces: &[impl AsRef<[u8]>]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.create()?,
        };
        let written = write_all(file, pieces)?;
        let from = self.offset;
        self.offset += written;
        self.unsynced += written;
        self.write_back(from);
        if SYNC_BYTES <= self.unsynced { self.sync() } else { Ok(()) }
    }

    /// Lets the disk begin with every half of a mebibyte that is full, while the next one comes: Linux begins to write what it is told
    /// that nobody needs. The last one is left to the flush that follows at once.
    #[cfg(target_os = "linux")]
    fn write_back(&self, from: u64) {
        let Some(file) = self.file.as_ref().filter(|_| !self.is_whole()) else { return };
        let (begin, end) = (from / WRITE_BACK_BYTES, self.offset / WRITE_BACK_BYTES);
        let Some(length) = NonZeroU64::new((end - begin) * WRITE_BACK_BYTES) else { return };
        if let Err(error) = fadvise(file, begin * WRITE_BACK_BYTES, Some(length), Advice::DontNeed) {
            // Only a hint: what cannot be written is told by the flush.
            tracing::debug!(%error, "the disk was not told to begin");
        }
    }

    /// Other systems have no such hint.
    #[cfg(not(target_os = "linux"))]
    fn write_back(&self, _from: u64) {}

    /// Makes everything durable.
    ///
    /// # Errors
    /// Fails when the disk does: then nothing of the upload is left.
    pub fn sync(&mut self) -> io::Result<()> {
        self.sync_content()?;
        if self.file.is_some() && !self.named {
            self.staging.sync_name(&self.path())?;
            self.named = true;
        }
        Ok(())
    }

    /// Makes the bytes durable, not the name: that is enough for a file that gets another one at once.
    fn sync_content(&mut self) -> io::Result<()> {
        if let Some(error) = self.broken() {
            return Err(error);
        }
        let Some(file) = self.file.as_ref().filter(|_| self.unsynced != 0) else { return Ok(()) };
        if let Err(error) = file.sync_data() {
            // The kernel tells it once: a second flush would succeed without these bytes.
            self.broken = Some(error.kind());
            remove(&self.path())?;
            return Err(error);
        }
        self.unsynced = 0;
        Ok(())
    }

    /// Hash and media type of a file whose bytes are all there, which are durable now. `content` is what they came to.
    ///
    /// # Errors
    /// Fails when the disk does; `WouldBlock` when the file is not the one that was written here.
    pub fn look(&mut self, content: Content) -> io::Result<(Sha256Sum, &'static str)> {
        self.sync_content()?;
        let tail = match &self.file {
            None => Vec::new(),
            Some(file) if file.metadata()?.len() == content.length() && self.is_in_place(file)? => {
                let mut tail = vec![0; WINDOW.min(usize::try_from(self.offset).unwrap_or(WINDOW))];
                let from = self.offset - tail.len() as u64;
                file.read_exact_at(&mut tail, from)?;
                tail
            }
            Some(_) => return Err(ErrorKind::WouldBlock.into()),
        };
        Ok(content.finish(&tail))
    }

    /// Deletes what is there: it was kept, or is not the file that it was to be.
    ///
    /// # Errors
    /// Fails when the folder cannot be written.
    pub fn discard(self) -> io::Result<()> {
        remove(&self.path())
    }
}

/// Writes pieces in one call of the kernel, where it takes all of them.
fn write_all(file: &mut File, pieces: &[impl AsRef<[u8]>]) -> io::Result<u64> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece.as_ref())).collect();
    let mut left = slices.as_mut_slice();
    // Without those that are empty: nothing is written of them, which would look like a failure.
    IoSlice::advance_slices(&mut left, 0);
    let mut all = 0;
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => {
                IoSlice::advance_slices(&mut left, written);
                all += written as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use sha2::{Digest as _, Sha256};
    use uuid::Uuid;

    use super::*;

    const KEY: UploadKey = UploadKey { operator: Uuid::nil(), sha256: [1; 32], size: 9 };

    fn folder() -> (tempfile::TempDir, Staging) {
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::new(folder.path().to_owned());
        (folder, staging)
    }

    fn add(upload: &mut (Staged, Content), piece: &[u8]) {
        upload.1.update(piece);
        upload.0.append(&[piece]).unwrap();
    }

    #[test]
    fn after_a_failed_flush_nothing_is_left_and_no_second_one_succeeds() {
        let (_folder, staging) = folder();
        let mut upload = staging.open(&KEY).unwrap();
        add(&mut upload, b"12345");
        let (mut staged, content) = upload;
        // A socket takes bytes, and cannot be flushed.
        let (socket, _peer) = UnixStream::pair().unwrap();
        staged.file = Some(File::from(OwnedFd::from(socket)));
        staged.sync().unwrap_err();
        assert!(staged.broken().is_some() && !staging.has(&KEY));
        staged.sync().unwrap_err();
        staged.look(Content::default()).unwrap_err();
        assert!(staged.rest(content).is_none());
        assert_eq!(staging.open(&KEY).unwrap().0.offset(), 0, "it begins anew");
    }

    #[test]
    fn there_is_one_writer_whatever_process_it_is_in() {
        let (_folder, staging) = folder();
        let blocked =
            |opened: io::Result<(Staged, Content)>| opened.unwrap_err().kind() == ErrorKind::WouldBlock;
        let (mut one, (mut two, _)) = (staging.open(&KEY).unwrap(), staging.open(&KEY).unwrap());
        add(&mut one, b"123");
        let (mut one, content) = one;
        assert_eq!(two.append(&[b"123"]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(two.broken().is_some() && blocked(staging.open(&KEY)));
        one.sync().unwrap();
        let rested = one.rest(content).unwrap();
        let mut three = staging.open(&KEY).unwrap();
        assert_eq!((three.0.offset(), three.1.length()), (3, 3));
        rested.wake().unwrap_err();
        add(&mut three, b"456789");
        let mut three = three.0;
        let content = || {
            let mut content = Content::default();
            content.update(b"123456789");
            content
        };
        assert!(three.is_whole());
        // Somebody who ignores locks.
        let path = three.path();
        File::options().append(true).open(&path).unwrap().write_all(b"x").unwrap();
        assert_eq!(three.look(content()).unwrap_err().kind(), ErrorKind::WouldBlock);
        File::options().write(true).open(&path).unwrap().set_len(9).unwrap();
        assert_eq!(three.look(content()).unwrap().1, "text/plain");
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"123456789").unwrap();
        assert_eq!(
            three.look(content()).unwrap_err().kind(),
            ErrorKind::WouldBlock,
            "another file of that name"
        );
    }

    #[test]
    fn one_that_rested_goes_on_without_being_read_unless_it_has_changed() {
        let (_folder, staging) = folder();
        let (mut staged, mut content) = staging.open(&KEY).unwrap();
        content.update(b"1234");
        staged.append(&[b"1234"]).unwrap();
        staged.sync().unwrap();
        let rested = staged.rest(content).unwrap();
        assert!(rested.is_as_it_was());
        let mut upload = rested.wake().unwrap().unwrap();
        add(&mut upload, b"5678");
        upload.0.sync().unwrap();
        let path = upload.0.path();
        let rested = upload.0.rest(upload.1).unwrap();
        fs::write(&path, b"12345").unwrap();
        assert!(!rested.is_as_it_was() && rested.wake().unwrap().is_none());
        let mut upload = staging.open(&KEY).unwrap();
        add(&mut upload, b"6789");
        let (mut staged, mut content) = upload;
        let (sha256, _) = staged.look(content).unwrap();
        assert_eq!(sha256, <[u8; 32]>::from(Sha256::digest(b"123456789")));
        staged.sync().unwrap();
        content = Content::default();
        content.update(b"12345678");
        assert!(staged.rest(content).is_none(), "not what was hashed");
    }

    #[test]
    fn who_sends_nothing_takes_no_room_and_a_full_disk_takes_nothing_new() {
        let (_folder, staging) = folder();
        let (staged, content) = staging.open(&KEY).unwrap();
        assert!(staged.rest(content).is_none() && !staging.has(&KEY));
        let (mut staged, _) = staging.with_reserve(u64::MAX).open(&KEY).unwrap();
        assert_eq!(staged.append(&[b"1"]).unwrap_err().kind(), ErrorKind::StorageFull);
        assert!(!staging.has(&KEY));
    }
}
