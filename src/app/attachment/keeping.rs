//! Keeping a file that is whole: first it is in the object store, then one transaction says so, and only then is it
//! present. The same transaction holds reports that say something else of the file.
//!
//! Collecting what nobody refers to cannot come in between: whoever keeps a file takes the mark of an orphan away before it
//! looks at the store, and no object is deleted until a new mark has stood for long. So neither a lock nor a connection is
//! held while the store is asked. See [`super::orphans`].

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
use crate::files::objects::io_away;
use crate::files::staged::Staged;
use crate::store::attachment::{
    Declaring, NewAttachment, Present, hold_reports, insert_attachment, list_declaring,
};
use crate::store::field_report::write::append_events;
use crate::store::journal::{EventKind, NewEvent};
use crate::store::orphan::{is_deleted, unmark};
use crate::store::{Connection, Planned};

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
    /// Keeps a file whose bytes are all there, verified and durable. Nobody else writes it meanwhile: its lock is held.
    pub(super) async fn keep(
        &self,
        operator: OrganizationId,
        staged: Staged,
        file: &Present,
        sent_by: &str,
    ) -> Result<(), Error> {
        self.expect_not_deleted(file).await?;
        self.attachments.objects.put(&staged).await?;
        let (file, sent_by, codec) = (file.clone(), sent_by.to_owned(), self.codec);
        let revision = self.note(Arc::new(Keeping { operator, file, sent_by, codec })).await?;
        self.feed.tell(operator.scope(), revision);
        self.block(move || staged.discard().map_err(|error| io_away(&error))).await
    }

    /// Sees to it that the object of a file is not being deleted, and will not be for long.
    async fn expect_not_deleted(&self, file: &Present) -> Result<(), Error> {
        let pool = self.store.pool();
        let safe = match is_deleted(pool, file.sha256).await? {
            None => true,
            Some(is_deleted) => !is_deleted && unmark(pool, file.sha256).await?,
        };
        if safe { Ok(()) } else { Err(Error::Unavailable(Away::Files)) }
    }

    /// Says that a file is present.
    async fn note(&self, keeping: Arc<Keeping>) -> Result<i64, Error> {
        // Where reports wait, so that uploads do not take every connection either.
        let _turn = self.turns.take(keeping.operator).await?;
        let clock = Arc::clone(&self.clock);
        let noted = self.store.transaction_planned("attachment.keep", Planned::Once, move |conn| {
            let (keeping, now) = (Arc::clone(&keeping), clock.now());
            Box::pin(async move { keeping.note(conn, now).await })
        });
        noted.await
    }
}

impl Keeping {
    async fn note(&self, conn: &mut Connection, now: Timestamp) -> Result<i64, Error> {
        let head = lock_head(conn, self.operator).await?;
        let Some(declaring) = list_declaring(&mut *conn, self.operator, self.file.sha256).await? else {
            // Another replica was faster, or the store had lost it.
            return Ok(head.revision);
        };
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
