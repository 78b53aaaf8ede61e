//! Noting that files are whole. Whoever has the operator's turn notes all files that wait for it, in one transaction, as
//! intake does with reports: a commit for each photo of a team that is back in the office would take longer than the photo.
//! It locks nothing, and is fenced by the head of the journal that it has read; when somebody else has moved that meanwhile,
//! it is done again under the lock of the head.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

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
use crate::error::Error;
use crate::files::Sha256Sum;
use crate::store::attachment::Present;
use crate::store::attachment::note::{Absent, Declaring, NewAttachment, Note, find_absent, note};
use crate::store::journal::{EventKind, NewEvent};
use crate::store::{Connection, Planned};

/// The most files that are noted together, so that reports of the operator do not wait long.
const GROUP_MAX: usize = 64;
/// Reports that an event names.
const NAMED_MAX: usize = 1_000;

/// A file that is in the object store.
#[derive(Debug)]
struct Whole {
    file: Present,
    sent_by: String,
    /// Whether it is present by now.
    noted: AtomicBool,
}

/// Files that wait to be noted. One whose upload is gone waits no longer. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<Mutex<HashMap<OrganizationId, Vec<Weak<Whole>>>>>);

impl Waiting {
    fn push(&self, operator: OrganizationId, whole: &Arc<Whole>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = waiting.entry(operator).or_default();
        queue.retain(|other| other.strong_count() != 0);
        queue.push(Arc::downgrade(whole));
    }

    /// A file with all that wait with it. One that somebody else took into a group which failed is noted alone.
    fn group_of(&self, operator: OrganizationId, own: &Arc<Whole>) -> Vec<Arc<Whole>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut group = vec![Arc::clone(own)];
        let Some(queue) = waiting.get_mut(&operator) else { return group };
        let waits = queue.len();
        queue.retain(|of| of.as_ptr() != Arc::as_ptr(own));
        if queue.len() != waits {
            let others = queue.drain(..queue.len().min(GROUP_MAX - 1));
            group.extend(others.filter_map(|other| other.upgrade()));
        }
        if queue.is_empty() {
            waiting.remove(&operator);
        }
        group
    }
}

/// Files to be noted together.
struct Noting {
    operator: OrganizationId,
    group: Vec<Arc<Whole>>,
    codec: EventCodec,
}

impl App {
    /// Says that a file is present.
    pub(super) async fn note(
        &self,
        operator: OrganizationId,
        file: Present,
        sent_by: String,
    ) -> Result<(), Error> {
        let own = Arc::new(Whole { file, sent_by, noted: AtomicBool::new(false) });
        self.attachments.waiting.push(operator, &own);
        // Where reports wait, so that uploads do not take every connection either.
        let turn = self.turns.take(operator).await?;
        if own.noted.load(Ordering::Acquire) {
            return Ok(());
        }
        let group = self.attachments.waiting.group_of(operator, &own);
        let alone = group.len() == 1;
        let noted = match self.note_group(operator, group).await {
            // Everybody hears what is wrong with their own file, not with another one.
            Err(error) if !alone => {
                tracing::debug!(%error, "files could not be noted together");
                self.note_group(operator, vec![Arc::clone(&own)]).await
            }
            noted => noted,
        };
        let revision = noted?;
        drop(turn);
        if let Some(revision) = revision {
            self.feed.tell(operator.scope(), revision);
        }
        Ok(())
    }

    /// The last revision of what was noted; none when all was present already, of which whoever noted it tells the feed.
    async fn note_group(
        &self,
        operator: OrganizationId,
        group: Vec<Arc<Whole>>,
    ) -> Result<Option<i64>, Error> {
        let noting = Arc::new(Noting { operator, group, codec: self.codec });
        let (tried, now) = (Arc::clone(&noting), self.clock.now());
        let fenced = self.store.fenced(move |conn| Box::pin(async move { tried.note(conn, now).await }));
        let revision = match fenced.await {
            Err(Error::Contended) => self.note_locked(Arc::clone(&noting)).await?,
            noted => noted?,
        };
        for whole in &noting.group {
            // Before the turn ends: whoever has the next one looks.
            whole.noted.store(true, Ordering::Release);
        }
        Ok(revision)
    }

    /// The same where the fence did not hold: with the head locked it does.
    async fn note_locked(&self, noting: Arc<Noting>) -> Result<Option<i64>, Error> {
        let clock = Arc::clone(&self.clock);
        let noted = self.store.transaction_planned("attachment.keep", Planned::Once, move |conn| {
            let (noting, now) = (Arc::clone(&noting), clock.now());
            Box::pin(async move {
                lock_head(conn, noting.operator).await?;
                noting.note(conn, now).await
            })
        });
        noted.await
    }
}

impl Noting {
    /// Notes all that is not present yet: another replica may have been faster, or the store had lost it.
    ///
    /// # Errors
    /// `Contended` when somebody else has moved the head of the journal meanwhile: then nothing was noted.
    async fn note(&self, conn: &mut Connection, now: Timestamp) -> Result<Option<i64>, Error> {
        let sums: Vec<Sha256Sum> = self.group.iter().map(|whole| whole.file.sha256).collect();
        let Some(absent) = find_absent(&mut *conn, self.operator, &sums).await? else { return Ok(None) };
        let new = self.new_note(absent, now);
        if note(conn, &new).await? {
            Ok(new.files.last().map(|of| of.revision))
        } else {
            Err(Error::Contended)
        }
    }

    fn new_note(&self, Absent { head, mut files }: Absent, now: Timestamp) -> Note {
        let at = recorded_at(now, head.recorded_at);
        let (reports, mut revision) = (BTreeMap::new(), head.revision);
        let mut new = Note { head, at, files: Vec::new(), events: Vec::new(), reports, holds: Vec::new() };
        for whole in &self.group {
            if let Some(declaring) = files.remove(&whole.file.sha256) {
                revision += 1;
                self.note_one(&mut new, whole, revision, &declaring);
            }
        }
        new
    }

    fn note_one(&self, note: &mut Note, whole: &Whole, revision: i64, declaring: &[Declaring]) {
        let holds: Vec<_> = declaring.iter().filter_map(|of| hold(&whole.file, of)).collect();
        let reports = distinct(declaring.iter().map(|of| of.report));
        let lied_to = distinct(holds.iter().map(|(report, _)| *report));
        let (operator, file, stored_by) = (self.operator, whole.file.clone(), whole.sent_by.clone());
        let new = NewAttachment { operator, file, stored_at: note.at, stored_by, revision };
        let named = |of: &[ReportId]| of.iter().copied().take(NAMED_MAX).collect::<Vec<_>>();
        let payload = Bytes::from((self.codec.encode_attachment)(&new, &named(&reports), &named(&lied_to)));
        // The same for whoever stores it, so that the journal holds it once.
        let request = Uuid::new_v5(&self.operator.uuid(), &whole.file.sha256);
        let (kind, digest) = (EventKind::AttachmentStored, None);
        note.events.push(NewEvent { revision, kind, payload, request, digest });
        note.files.push(new);
        note.holds.extend(holds);
        note.reports.extend(reports.into_iter().map(|report| (report, revision)));
    }
}

fn hold(file: &Present, of: &Declaring) -> Option<(ReportId, Hold)> {
    let hold = hold_of(&of.declared, file.size, &file.media_type)?;
    Some((of.report, hold))
}

fn distinct(of: impl Iterator<Item = ReportId>) -> Vec<ReportId> {
    of.collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(number: u8) -> Arc<Whole> {
        let file = Present { sha256: [number; 32], size: 1, media_type: "text/plain".to_owned() };
        Arc::new(Whole { file, sent_by: "tablet".to_owned(), noted: AtomicBool::new(false) })
    }

    fn sums(group: &[Arc<Whole>]) -> Vec<u8> {
        group.iter().map(|whole| whole.file.sha256[0]).collect()
    }

    #[test]
    fn who_has_the_turn_takes_all_that_wait_and_who_was_taken_goes_alone() {
        let (waiting, one, two) =
            (Waiting::default(), OrganizationId::new(Uuid::from_u128(1)), Uuid::from_u128(2));
        let two = OrganizationId::new(two);
        let all = [whole(1), whole(2), whole(3)];
        waiting.push(two, &whole(9));
        for of in &all {
            waiting.push(one, of);
        }
        waiting.push(one, &whole(4));
        assert_eq!(sums(&waiting.group_of(one, &all[1])), [2, 1, 3], "not the one whose upload is gone");
        assert_eq!(sums(&waiting.group_of(one, &all[0])), [1]);
        assert_eq!(waiting.0.lock().unwrap().len(), 1, "the other operator's");
        let many: Vec<_> = (0..=u8::try_from(GROUP_MAX).unwrap()).map(whole).collect();
        for of in &many {
            waiting.push(one, of);
        }
        assert_eq!(waiting.group_of(one, &many[0]).len(), GROUP_MAX);
        assert_eq!(sums(&waiting.group_of(one, &many[GROUP_MAX])), [64]);
    }
}
