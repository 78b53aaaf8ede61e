//! Whole files by their hash, in whatever object store there is.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _};
use tokio_stream::{Stream, StreamExt as _};
use uuid::Uuid;

use crate::error::{Away, Error};
use crate::files::staged::Staged;
use crate::files::{Sha256Sum, UploadKey, bucket, folder, from_hex, hex};

/// How long the store may take to look at a file, or to delete one.
const SHORT_MAX: Duration = Duration::from_secs(10);
/// Says whose objects these are.
const INSTALLATION: &str = "installation";

/// A whole file in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its hash.
    pub sha256: Sha256Sum,
    /// Bytes.
    pub size: u64,
}

/// The store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// The folder in which uploads are, too, so that a file is linked instead of copied.
    folder: Option<PathBuf>,
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
    pub(super) fn new(store: Arc<dyn ObjectStore>, folder: Option<PathBuf>) -> Self {
        Self { store, folder }
    }

    /// Puts a whole upload into the store, for good. A file of this size that is there is left as it is: it has the same
    /// hash.
    ///
    /// # Errors
    /// `Files` when the store fails.
    pub async fn put(&self, staged: &Staged) -> Result<(), Error> {
        let key = *staged.key();
        if self.folder.is_some() {
            let (objects, from) = (self.clone(), staged.path());
            let linked = tokio::task::spawn_blocking(move || objects.link(&from, &key)).await;
            if linked.map_err(|lost| Error::Internal(Box::new(lost)))? {
                return Ok(());
            }
        }
        let (to, size) = (place_of(&key.sha256), key.size.unsigned_abs());
        if self.size_of(&key.sha256).await? == Some(size) {
            return Ok(());
        }
        bucket::send(&self.store, staged.path(), &to, size).await.map_err(|error| io_away(&error))
    }

    /// The same by a link, where the store is the folder in which uploads are. This blocks.
    #[must_use]
    pub fn put_here(&self, staged: &Staged) -> bool {
        self.link(&staged.path(), staged.key())
    }

    fn link(&self, from: &FilePath, key: &UploadKey) -> bool {
        let Some(folder) = &self.folder else { return false };
        let place = folder.join(place_of(&key.sha256).as_ref());
        let linked = folder::link(from, &place, key.size.unsigned_abs());
        if let Err(error) = &linked {
            // Not every file system has links.
            tracing::debug!(%error, "an upload could not be linked to its place");
        }
        linked.is_ok()
    }

    /// Bytes of a file; none when it is not in the store.
    ///
    /// # Errors
    /// `Files` when the store fails, or takes long.
    pub async fn size_of(&self, sum: &Sha256Sum) -> Result<Option<u64>, Error> {
        match soon(self.store.head(&place_of(sum))).await? {
            Ok(found) => Ok(Some(found.size)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(away(&error)),
        }
    }

    /// Whose objects these are, which is `ours` if nobody has said so.
    ///
    /// # Errors
    /// `Files` when the store fails, or takes long.
    pub async fn installation(&self, ours: Uuid) -> Result<String, Error> {
        let place = Path::from(INSTALLATION);
        let read = async { self.store.get(&place).await?.bytes().await };
        match soon(read).await? {
            Ok(told) => Ok(String::from_utf8_lossy(&told).trim().to_owned()),
            Err(StoreError::NotFound { .. }) => {
                let told = format!("{ours}\n");
                soon(self.store.put(&place, told.into())).await?.map_err(|error| away(&error))?;
                Ok(ours.to_string())
            }
            Err(error) => Err(away(&error)),
        }
    }

    /// A part of a file; none when it is not in the store.
    ///
    /// # Errors
    /// `Files` when the store fails.
    pub async fn read(&self, sum: &Sha256Sum, from: u64, to: u64) -> Result<Option<Bytes>, Error> {
        match self.store.get_range(&place_of(sum), from..to).await {
            Ok(read) => Ok(Some(read)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(away(&error)),
        }
    }

    /// Every file of the store. What is not a file of this service is passed over.
    pub fn list(&self) -> impl Stream<Item = Result<Object, Error>> + Send + use<> {
        let found = self.store.list(Some(&Path::from("objects")));
        found.filter_map(|found| match found {
            Err(error) => Some(Err(away(&error))),
            Ok(meta) => {
                let sha256 = meta.location.filename().and_then(from_hex)?;
                Some(Ok(Object { sha256, size: meta.size }))
            }
        })
    }

    /// Deletes a file; one that is not there is no error.
    ///
    /// # Errors
    /// `Files` when the store fails, or takes long: then it may be deleted still.
    pub async fn delete(&self, sum: &Sha256Sum) -> Result<(), Error> {
        match soon(self.store.delete(&place_of(sum))).await? {
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

/// What the store answers, if it does so in time.
async fn soon<T>(asked: impl Future<Output = T>) -> Result<T, Error> {
    let answer = tokio::time::timeout(SHORT_MAX, asked).await;
    answer.map_err(|_| {
        tracing::error!("the store of attachments does not answer");
        Error::Unavailable(Away::Files)
    })
}

/// What the caller is told of a file that cannot be read or written now, or that somebody else writes.
pub(crate) fn io_away(error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::WouldBlock {
        return Error::Contended;
    }
    tracing::error!(%error, "the store of attachments or the folder of uploads failed");
    Error::Unavailable(Away::Files)
}
