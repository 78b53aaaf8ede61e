//! Whole files by their hash, in whatever object store there is.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _, WriteMultipart};
use tokio_stream::{Stream, StreamExt as _};

use crate::error::{Away, Error};
use crate::files::staging::Staging;
use crate::files::{Sha256Sum, UploadKey, from_hex, hex};

/// Bytes of one part of a file that is sent to a bucket; S3 takes no smaller ones.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Parts of one file that are sent at a time.
const PARTS_MAX: usize = 2;

/// A whole file in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its hash.
    pub sha256: Sha256Sum,
    /// Bytes.
    pub size: u64,
    /// When it was written.
    pub written_at: Timestamp,
}

/// The store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// Whether uploads are in the same folder, so that a file is linked instead of copied.
    links: bool,
}

fn place_of(sum: &Sha256Sum) -> Path {
    let hex = hex(sum);
    Path::from_iter(["objects", &hex[..2], &hex])
}

/// The text of a store stays inside: it names paths and hosts.
fn away(error: &StoreError) -> Error {
    tracing::error!(%error, "the store of attachments failed");
    Error::Unavailable(Away::Files)
}

impl Objects {
    pub(super) fn new(store: Arc<dyn ObjectStore>, links: bool) -> Self {
        Self { store, links }
    }

    /// Puts a whole upload into the store, for good. A file that is there is left as it is: it has the same hash.
    ///
    /// # Errors
    /// `Files` when the store fails.
    pub async fn put(&self, staging: &Staging, key: &UploadKey) -> Result<(), Error> {
        let to = place_of(&key.sha256);
        if self.links {
            let from = Path::from(format!("uploads/{}", Staging::name(key)));
            return match self.store.copy_if_not_exists(&from, &to).await {
                Ok(()) | Err(StoreError::AlreadyExists { .. }) => Ok(()),
                Err(error) => {
                    // Not every file system has links.
                    tracing::debug!(%error, "an upload could not be linked to its place");
                    self.send(staging, key, &to).await
                }
            };
        }
        self.send(staging, key, &to).await
    }

    async fn send(&self, staging: &Staging, key: &UploadKey, to: &Path) -> Result<(), Error> {
        let mut file = File::open(staging.path(key)).map_err(|error| io_away(&error))?;
        if usize::try_from(key.size).is_ok_and(|size| size <= PART_BYTES) {
            let (_, whole) = read_part(file).await?;
            self.store.put(to, whole.into()).await.map_err(|error| away(&error))?;
            return Ok(());
        }
        let upload = self.store.put_multipart(to).await.map_err(|error| away(&error))?;
        let mut sending = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        loop {
            sending.wait_for_capacity(PARTS_MAX).await.map_err(|error| away(&error))?;
            let (rest, part) = read_part(file).await?;
            file = rest;
            if part.is_empty() {
                break;
            }
            sending.put(part);
        }
        sending.finish().await.map_err(|error| away(&error))?;
        Ok(())
    }

    /// Whether a file is in the store.
    ///
    /// # Errors
    /// `Files` when the store fails.
    pub async fn has(&self, sum: &Sha256Sum) -> Result<bool, Error> {
        match self.store.head(&place_of(sum)).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(away(&error)),
        }
    }

    /// A part of a file.
    ///
    /// # Errors
    /// `Files` when the store fails, or has lost the file.
    pub async fn read(&self, sum: &Sha256Sum, from: u64, to: u64) -> Result<Bytes, Error> {
        self.store.get_range(&place_of(sum), from..to).await.map_err(|error| away(&error))
    }

    /// Every file of the store. What is not a file of this service is passed over.
    pub fn list(&self) -> impl Stream<Item = Result<Object, Error>> + Send + use<> {
        let found = self.store.list(Some(&Path::from("objects")));
        found.filter_map(|found| match found {
            Err(error) => Some(Err(away(&error))),
            Ok(meta) => {
                let sha256 = meta.location.filename().and_then(from_hex)?;
                let written = meta.last_modified;
                let written_at = Timestamp::new(written.timestamp(), 0).ok()?;
                Some(Ok(Object { sha256, size: meta.size, written_at }))
            }
        })
    }

    /// Deletes a file; one that is not there is no error.
    ///
    /// # Errors
    /// `Files` when the store fails.
    pub async fn delete(&self, sum: &Sha256Sum) -> Result<(), Error> {
        match self.store.delete(&place_of(sum)).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(away(&error)),
        }
    }

    /// Asks the store for something, to see whether it answers.
    ///
    /// # Errors
    /// What the store says, for the operator's log.
    pub async fn probe(&self) -> Result<(), String> {
        match self.store.list(Some(&Path::from("objects/00"))).next().await {
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

/// The next part of a file, empty at its end.
async fn read_part(mut file: File) -> Result<(File, Bytes), Error> {
    let read = tokio::task::spawn_blocking(move || {
        let mut part = Vec::new();
        (&mut file).take(PART_BYTES as u64).read_to_end(&mut part)?;
        Ok((file, Bytes::from(part)))
    });
    let read = read.await.map_err(|lost| Error::Internal(Box::new(lost)))?;
    read.map_err(|error| io_away(&error))
}

/// What the caller is told of a file that cannot be read or written.
pub(crate) fn io_away(error: &std::io::Error) -> Error {
    tracing::error!(%error, "the folder of uploads failed");
    Error::Unavailable(Away::Files)
}
