//! `PostEntries`: submits what has arrived, and answers in order while the next entries are submitted.
//!
//! `groups.rs` bounds memory by flow control. Besides, a stream is read only while the writer's queue has room.

use std::sync::Arc;

use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::Streaming;
use tracing::Instrument as _;

use crate::app::command::PUSH_DOWN_BYTES;
use crate::app::funding::Submitted;
use crate::app::seats::Seat;
use crate::app::writer::Written;
use crate::domain::caller::Caller;
use crate::error::Error;
use crate::rpc::funding::FundingRpc;
use crate::rpc::groups::{Answered, End, Group, GroupedAnswers, read_group};
use crate::rpc::pb;
use crate::rpc::pb::entry::Action;
use crate::rpc::pb::post_entries_response::Outcome;
use crate::rpc::status::in_band;
use crate::rpc::stored::EntryPosted;
use crate::seeded::{Bug, seeded};

/// The most entries of one stream that are submitted together.
const GROUP_ENTRIES_MAX: usize = 512;
/// The most bytes of one stream's entries that are not answered. Above the largest message.
const BYTES_WAITING_MAX: u32 = 1024 * 1024;
/// What even an empty entry holds: its answer is a status.
const ENTRY_BYTES_MIN: usize = 256;
/// Groups that are submitted and wait for their turn to be answered.
const GROUPS_WAITING_MAX: usize = 16;
/// Groups of answers that a slow client has not taken.
const ANSWERS_WAITING_MAX: usize = 2;

/// A group that was submitted.
struct InFlight {
    ids: Vec<String>,
    submitted: Submitted,
    share: OwnedSemaphorePermit,
}

/// What the answering task takes: groups in order, and how the stream ends.
type Next = Result<InFlight, End>;
impl FundingRpc {
    /// Answers until the client half-closes, or the server drains. Entries that were read are booked even
    /// when the client is gone: it may have sent them and lost the link.
    pub(super) fn answer_entries(
        &self,
        caller: Caller,
        sent: Streaming<pb::PostEntriesRequest>,
    ) -> Result<GroupedAnswers<pb::PostEntriesResponse>, Error> {
        let place = self.app.take_seat(&caller)?;
        let (submitting, submitted) = mpsc::channel(GROUPS_WAITING_MAX);
        let (answering, groups) = mpsc::channel(ANSWERS_WAITING_MAX);
        let rpc = self.clone();
        let caller = Arc::new(caller);
        tokio::spawn(async move { rpc.submit_all(&caller, sent, submitting).await }.in_current_span());
        tokio::spawn(answer_all(submitted, answering, place).in_current_span());
        Ok(GroupedAnswers::of(groups))
    }

    async fn submit_all(
        &self,
        caller: &Arc<Caller>,
        mut sent: Streaming<pb::PostEntriesRequest>,
        submitting: mpsc::Sender<Next>,
    ) {
        let budget = Arc::new(Semaphore::new(BYTES_WAITING_MAX as usize));
        let drain = self.app.feed().drain().clone();
        loop {
            let full = (GROUP_ENTRIES_MAX, BYTES_WAITING_MAX / 4);
            let read = drain.run_until_cancelled(read_group(&mut sent, full, with_share)).await;
            let group = read.unwrap_or_else(Group::drained);
            let drops = group.last.is_some() && seeded(Bug::HalfCloseDropsWaiting);
            if !group.requests.is_empty() && !drops {
                // The budget is never closed.
                let share = Arc::clone(&budget).acquire_many_owned(group.bytes.min(BYTES_WAITING_MAX)).await;
                let Ok(share) = share else { return };
                let in_flight = self.submit(caller, group.requests, share).await;
                // Nobody takes it when the client is gone; it is booked all the same.
                let _gone = submitting.send(Ok(in_flight)).await;
            }
            if let Some(last) = group.last {
                let _gone = submitting.send(Err(last)).await;
                return;
            }
        }
    }

    async fn submit(
        &self,
        caller: &Arc<Caller>,
        sent: Vec<pb::PostEntriesRequest>,
        share: OwnedSemaphorePermit,
    ) -> InFlight {
        let (mut ids, mut entries) = (Vec::with_capacity(sent.len()), Vec::with_capacity(sent.len()));
        for pb::PostEntriesRequest { entry } in sent {
            entries.push(self.read_entry(caller, entry.as_ref()).await);
            ids.push(entry.map(|entry| entry.entry_id).unwrap_or_default());
        }
        InFlight { ids, submitted: self.app.submit_entries(caller, entries).await, share }
    }
}

fn with_share(request: pb::PostEntriesRequest) -> (pb::PostEntriesRequest, u32) {
    let share = share_of(&request);
    (request, share)
}

/// Bytes that an entry holds until it is answered, with what becomes of it. A push-down becomes much.
fn share_of(request: &pb::PostEntriesRequest) -> u32 {
    let action = request.entry.as_ref().and_then(|entry| entry.action.as_ref());
    let pushes_down =
        matches!(action, Some(Action::Increase(sent)) if sent.push_down == pb::PushDown::ProRata as i32);
    let least = if pushes_down { PUSH_DOWN_BYTES } else { ENTRY_BYTES_MIN };
    u32::try_from(request.encoded_len().max(least)).unwrap_or(BYTES_WAITING_MAX)
}

/// Answers groups in the order in which they were submitted.
async fn answer_all(
    mut submitted: mpsc::Receiver<Next>,
    answering: mpsc::Sender<Answered<pb::PostEntriesResponse>>,
    _seat: Seat,
) {
    while let Some(next) = submitted.recv().await {
        let answered = match next {
            Ok(group) => Ok((answer(group.ids, group.submitted).await, group.share)),
            Err(end) => Err(end),
        };
        // Whoever is gone gets no answer; what was read is booked all the same.
        let _gone = answering.send(answered).await;
    }
}

async fn answer(ids: Vec<String>, submitted: Submitted) -> Vec<pb::PostEntriesResponse> {
    let outcomes = submitted.outcomes().await;
    let answer = |(entry_id, outcome): (String, Result<Written, Error>)| {
        let outcome = match outcome {
            Ok(written) => Outcome::Accepted(EntryPosted { stored: written.message, previous_revision: 0 }),
            Err(error) => Outcome::Refused(in_band(&error)),
        };
        pb::PostEntriesResponse { entry_id, outcome: Some(outcome) }
    };
    let mut answers: Vec<_> = ids.into_iter().zip(outcomes).map(answer).collect();
    if seeded(Bug::AnswersOutOfOrder) {
        answers.reverse();
    }
    answers
}
