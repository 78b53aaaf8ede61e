//! What nobody needs any more: uploads that nobody went on with, and objects that no row refers to, which a crash between
//! store and database leaves behind.
//!
//! No object that is referred to is ever deleted: this holds a lock of the database on its hash while it looks and deletes,
//! and whoever keeps a file holds the same lock while it looks and refers. Young objects stay in any case. After a backup of
//! the database was restored, that is the time to notice that files are missing in it.

use std::time::Duration;

use jiff::SignedDuration;
use tokio_stream::StreamExt as _;

use crate::app::App;
use crate::error::Error;
use crate::files::Sha256Sum;
use crate::files::objects::{Object, io_away};
use crate::files::staging::Left;
use crate::store::attachment::{claim_object, list_referred};

/// Uploads to which nothing was added for so long are deleted.
pub const UPLOAD_AGE_MAX: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Objects that are younger are never deleted.
pub const ORPHAN_AGE_MIN: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How often to look.
pub const INTERVAL: Duration = Duration::from_hours(6);
/// Objects that are looked up at a time.
const BATCH: usize = 1_000;

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Uploads.
    pub uploads: u64,
    /// Their bytes.
    pub upload_bytes: u64,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub object_bytes: u64,
}

impl App {
    /// Deletes what nobody needs any more.
    ///
    /// # Errors
    /// Fails when the folder, the store or the database does; what was deleted until then stays deleted.
    pub async fn collect_orphans(&self) -> Result<Collected, Error> {
        let mut collected = Collected::default();
        self.collect_uploads(&mut collected).await?;
        let old = self.clock.now() - ORPHAN_AGE_MIN;
        let mut found = std::pin::pin!(self.attachments.objects.list());
        let mut batch: Vec<Object> = Vec::new();
        while let Some(object) = found.next().await {
            let object = object?;
            if object.written_at < old {
                batch.push(object);
            }
            if BATCH <= batch.len() {
                self.collect_objects(std::mem::take(&mut batch), &mut collected).await?;
            }
        }
        self.collect_objects(batch, &mut collected).await?;
        Ok(collected)
    }

    async fn collect_uploads(&self, collected: &mut Collected) -> Result<(), Error> {
        let staging = self.attachments.staging.clone();
        let left = self.block(move || staging.list().map_err(|error| io_away(&error))).await?;
        let old = self.clock.now() - UPLOAD_AGE_MAX;
        for left in left.into_iter().filter(|left| left.written_at < old) {
            let size = left.size;
            if self.delete_upload(left).await? {
                collected.uploads += 1;
                collected.upload_bytes += size;
            }
        }
        Ok(())
    }

    /// Deletes an upload, unless somebody goes on with it.
    async fn delete_upload(&self, left: Left) -> Result<bool, Error> {
        let Some(writing) = self.attachments.writers.try_take(left.key) else { return Ok(false) };
        let staging = self.attachments.staging.clone();
        self.block(move || staging.forget(&left.key).map_err(|error| io_away(&error))).await?;
        drop(writing);
        Ok(true)
    }

    async fn collect_objects(&self, batch: Vec<Object>, collected: &mut Collected) -> Result<(), Error> {
        let sums: Vec<Sha256Sum> = batch.iter().map(|object| object.sha256).collect();
        let referred = list_referred(self.store.pool(), &sums).await?;
        for object in batch.into_iter().filter(|object| !referred.contains(&object.sha256)) {
            if self.delete_object(object.sha256).await? {
                collected.objects += 1;
                collected.object_bytes += object.size;
            }
        }
        Ok(())
    }

    async fn delete_object(&self, sha256: Sha256Sum) -> Result<bool, Error> {
        let objects = self.attachments.objects.clone();
        let deleted = self.store.transaction("attachment.collect", move |conn| {
            let objects = objects.clone();
            Box::pin(async move {
                let nobodys = claim_object(conn, sha256).await?;
                if nobodys {
                    objects.delete(&sha256).await?;
                }
                Ok(nobodys)
            })
        });
        deleted.await
    }
}
