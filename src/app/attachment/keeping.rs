//! Keeping a file that is whole: first it is in the object store, then one transaction says so, and only then is it
//! present. The same transaction holds reports that say something else of the file.
//!
//! Collecting what nobody refers to cannot come in between: whoever keeps a file holds a lock of the database on its hash
//! and makes sure that the object is still there, before it refers to it. See [`super::orphans`].

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use crate::app::App;
use crate::app::codec::EventCodec;
use crate::app::field_report::lock_head;
use crate::domain::field_report::Hold;
use crate::domain::field_report::media::hold_of;
use crate::domain::ids::{OrganizationId, ReportId};
use crate::domain::ledger::recorded_at;
use crate::error::{Away, Error};
use crate::files::UploadKey;
use crate::files::objects::io_away;
use crate::store::Connection;
use crate::store::attachment::{
    Declaring, NewAttachment, Present, hold_reports, insert_attachment, keep_object, keep_plans,
    list_declaring, list_present,
};
use crate::store::field_report::write::append_events;
use crate::store::journal::{EventKind, NewEvent};

/// How often a file is put into the store that is collected in the same moment.
const TRIES_MAX: usize = 3;
/// Reports that an event names.
const NAMED_MAX: usize = 1_000;

/// What a transaction needs.
struct Keeping {
    operator: OrganizationId,
    file: Present,
    sent_by: String,
    codec: EventCodec,
}

impl App {
    /// Keeps a file whose bytes are all there, verified and durable.
    pub(super) async fn keep(
        &self,
        operator: OrganizationId,
        key: UploadKey,
        file: &Present,
        sent_by: &str,
    ) -> Result<(), Error> {
        let (file, sent_by, codec) = (file.clone(), sent_by.to_owned(), self.codec);
        let keeping = Arc::new(Keeping { operator, file, sent_by, codec });
        for _ in 0..TRIES_MAX {
            self.attachments.objects.put(&self.attachments.staging, &key).await?;
            if let Some(revision) = self.note(Arc::clone(&keeping)).await? {
                self.feed.tell(operator.scope(), revision);
                let staging = self.attachments.staging.clone();
                return self.block(move || staging.forget(&key).map_err(|error| io_away(&error))).await;
            }
        }
        Err(Error::Unavailable(Away::Files))
    }

    /// Says that a file is present. None when its object has been collected.
    async fn note(&self, keeping: Arc<Keeping>) -> Result<Option<i64>, Error> {
        // Where reports wait, so that uploads do not take every connection either.
        let _turn = self.turns.take(keeping.operator).await?;
        let (clock, objects) = (Arc::clone(&self.clock), self.attachments.objects.clone());
        let noted = self.store.transaction("attachment.keep", move |conn| {
            let (keeping, objects, now) = (Arc::clone(&keeping), objects.clone(), clock.now());
            Box::pin(async move {
                let sha256 = keeping.file.sha256;
                keep_plans(conn).await?;
                keep_object(conn, sha256).await?;
                if !objects.has(&sha256).await? {
                    return Ok(None);
                }
                keeping.note(conn, now).await.map(Some)
            })
        });
        noted.await
    }
}

impl Keeping {
    async fn note(&self, conn: &mut Connection, now: Timestamp) -> Result<i64, Error> {
        let head = lock_head(conn, self.operator).await?;
        if !list_present(&mut *conn, self.operator, &[self.file.sha256]).await?.is_empty() {
            // Another replica was faster.
            return Ok(head.revision);
        }
        let declaring = list_declaring(&mut *conn, self.operator, self.file.sha256).await?;
        let holds: Vec<(ReportId, Hold)> = declaring.iter().filter_map(|of| self.hold(of)).collect();
        let reports: Vec<ReportId> = distinct(declaring.iter().map(|of| of.report));
        let lied_to: Vec<ReportId> = distinct(holds.iter().map(|(report, _)| *report));
        let new = NewAttachment {
            operator: self.operator,
            file: self.file.clone(),
            stored_at: recorded_at(now, head.recorded_at),
            stored_by: self.sent_by.clone(),
            revision: head.revision + 1,
        };
        let named = |of: &[ReportId]| of.iter().copied().take(NAMED_MAX).collect::<Vec<_>>();
        let payload = Bytes::from((self.codec.encode_attachment)(&new, &named(&reports), &named(&lied_to)));
        // The same for whoever stores it, so that the journal holds it once.
        let request = Uuid::new_v5(&self.operator.uuid(), &self.file.sha256);
        let (revision, kind, digest) = (new.revision, EventKind::AttachmentStored, None);
        let event = NewEvent { revision, kind, payload, request, digest };
        append_events(&mut *conn, head, new.stored_at, vec![event]).await?;
        insert_attachment(&mut *conn, &new, &reports).await?;
        hold_reports(conn, &holds).await?;
        Ok(revision)
    }

    fn hold(&self, of: &Declaring) -> Option<(ReportId, Hold)> {
        let hold = hold_of(&of.declared, self.file.size, &self.file.media_type)?;
        Some((of.report, hold))
    }
}

fn distinct(of: impl Iterator<Item = ReportId>) -> Vec<ReportId> {
    of.collect::<BTreeSet<_>>().into_iter().collect()
}
