//! What nobody needs any more: uploads that nobody went on with, and objects that no row refers to, which a crash between
//! store and database leaves behind.
//!
//! No object that is referred to is ever deleted. An object must have been seen without a row for long by this database,
//! whatever its age, so that files that a restored backup does not know yet are not taken for rubbish. Then a mark says that
//! it is being deleted, is committed, and goes when the store has confirmed the deletion. Whoever keeps a file takes the
//! mark away before it puts the file into the store, and so has as long as a new mark must stand; where a deletion has
//! begun, it is refused until that is over. See `keeping.rs`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_stream::StreamExt as _;

use crate::app::App;
use crate::error::Error;
use crate::files::hex;
use crate::files::objects::{Object, io_away};
use crate::files::staging::Left;
use crate::store::orphan::{Orphan, begin_deletion, end_deletion, get_installation, list_due, mark};

/// Uploads to which nothing was added for so long are deleted.
pub const UPLOAD_AGE_MAX: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Objects are deleted when nobody has referred to them for so long since this database first saw them.
pub const ORPHAN_AGE_MIN: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A deletion that was begun so long ago is not under way any more: it is begun again.
pub const DELETION_MAX: SignedDuration = SignedDuration::from_hours(1);
/// How often to look.
pub const INTERVAL: Duration = Duration::from_hours(6);
/// Objects that are looked up at a time.
const BATCH: usize = 1_000;
/// Objects that are deleted at a time.
const DUE: i64 = 1_000;

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
    /// Deletes what nobody needs any more; nothing at all when the files are those of another installation.
    ///
    /// # Errors
    /// Fails when the folder, the store or the database does; what was deleted until then stays deleted.
    pub async fn collect_orphans(&self) -> Result<Collected, Error> {
        let mut collected = Collected::default();
        let ours = get_installation(self.store.pool()).await?;
        let theirs = self.attachments.objects.installation(ours).await?;
        if theirs != ours.to_string() {
            tracing::error!(
                %ours, %theirs,
                "the attachments are those of another installation, so none is collected; give each installation a place \
                 of its own (--attachments, SAFELANE_ATTACHMENTS), or delete `installation` there if the other is gone"
            );
            return Ok(collected);
        }
        self.collect_uploads(&mut collected).await?;
        self.mark_objects().await?;
        self.collect_objects(&mut collected).await?;
        Ok(collected)
    }

    async fn collect_uploads(&self, collected: &mut Collected) -> Result<(), Error> {
        let staging = self.attachments.staging.clone();
        let left = self.block(move || staging.list().map_err(|error| io_away(&error))).await?;
        let old = self.clock.now() - UPLOAD_AGE_MAX;
        for left in left.into_iter().filter(|left| left.written_at < old) {
            if let Some(size) = self.collect_upload(left, old).await? {
                collected.uploads += 1;
                collected.upload_bytes += size;
            }
        }
        Ok(())
    }

    /// Deletes an upload, unless somebody goes on with it, or has.
    async fn collect_upload(&self, left: Left, old: Timestamp) -> Result<Option<u64>, Error> {
        let Some(writing) = self.attachments.writers.try_take(left.key) else { return Ok(None) };
        let staging = self.attachments.staging.clone();
        let size =
            self.block(move || staging.collect(&left.key, old).map_err(|error| io_away(&error))).await?;
        drop(writing);
        Ok(size)
    }

    /// Notes what is in the store and nobody refers to.
    async fn mark_objects(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let mut found = std::pin::pin!(self.attachments.objects.list());
        let mut batch: Vec<Orphan> = Vec::new();
        while let Some(object) = found.next().await {
            let Object { sha256, size } = object?;
            batch.push(Orphan { sha256, size: i64::try_from(size).unwrap_or(i64::MAX) });
            if BATCH <= batch.len() {
                mark(self.store.pool(), &batch, now).await?;
                batch.clear();
            }
        }
        mark(self.store.pool(), &batch, now).await
    }

    async fn collect_objects(&self, collected: &mut Collected) -> Result<(), Error> {
        let now = self.clock.now();
        let due = (now - ORPHAN_AGE_MIN, now - DELETION_MAX);
        loop {
            let found = list_due(self.store.pool(), due.0, due.1, DUE).await?;
            let mut deleted = 0;
            for Orphan { sha256, size } in found {
                if begin_deletion(self.store.pool(), sha256, now, due).await? {
                    if let Err(error) = self.attachments.objects.delete(&sha256).await {
                        // It may be deleted still, so the mark stays; the others can be deleted all the same.
                        let sha256 = hex(&sha256);
                        tracing::warn!(%error, %sha256, "a file that nobody needs could not be deleted");
                        continue;
                    }
                    end_deletion(self.store.pool(), sha256, now).await?;
                    deleted += 1;
                    collected.objects += 1;
                    collected.object_bytes += size.unsigned_abs();
                }
            }
            if deleted == 0 {
                return Ok(());
            }
        }
    }
}
