//! `SyncReports`: takes in what has arrived as one group, and answers in order while the next group is taken in.
//!
//! Flow control bounds memory both ways: a stream is read only while its reports that are not answered fit its byte
//! budget, and a client that does not take its answers soon holds the whole budget.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Status, Streaming};
use tracing::Instrument as _;

use crate::app::App;
use crate::app::field_report::Sent;
use crate::app::seats::Seat;
use crate::domain::caller::Caller;
use crate::error::{Away, Error};
use crate::rpc::pb;
use crate::rpc::pb::sync_reports_response::Outcome;
use crate::rpc::status::{in_band, not_taken_in};

use super::submit::{read_sent, response};

/// The most reports of one stream that are taken in together.
const GROUP_REPORTS_MAX: usize = 256;
/// A group that has this many bytes is not filled further.
const GROUP_BYTES_MAX: u32 = 1024 * 1024;
/// The most bytes of one stream's reports that are not answered. Above the largest group.
const BYTES_WAITING_MAX: u32 = 2 * 1024 * 1024;
/// What even an empty report holds: its answer has a numbering or a status.
const REPORT_BYTES_MIN: usize = 512;
/// Groups of answers that a slow client has not taken.
const ANSWERS_WAITING_MAX: usize = 2;

/// Reports that were read together.
#[derive(Default)]
struct Group {
    reports: Vec<pb::SyncReportsRequest>,
    bytes: u32,
    /// How the stream ends after them, if it does.
    last: Option<End>,
}

/// How a stream ends.
enum End {
    HalfClosed,
    Failed(Status),
}

/// Answers of one group with its share of the byte budget, or how the stream ends.
type Answered = Result<(Vec<pb::SyncReportsResponse>, OwnedSemaphorePermit), End>;

/// Answers until the client half-closes, or the server drains. Reports that were read are stored even when the client is
/// gone: that is what links in the field do.
pub(super) fn answer(
    app: &App,
    caller: Caller,
    sent: Streaming<pb::SyncReportsRequest>,
) -> Result<Answers, Error> {
    let place = app.take_seat(&caller)?;
    let (answering, groups) = mpsc::channel(ANSWERS_WAITING_MAX);
    let app = app.clone();
    tokio::spawn(async move { answer_all(&app, &caller, sent, answering, place).await }.in_current_span());
    Ok(Answers { groups, current: VecDeque::new(), share: None, ended: false })
}

async fn answer_all(
    app: &App,
    caller: &Caller,
    mut sent: Streaming<pb::SyncReportsRequest>,
    answering: mpsc::Sender<Answered>,
    _seat: Seat,
) {
    let budget = Arc::new(Semaphore::new(BYTES_WAITING_MAX as usize));
    let drain = app.feed().drain().clone();
    loop {
        let read = drain.run_until_cancelled(read_group(&mut sent)).await;
        let group = read.unwrap_or_else(|| Group { last: Some(draining()), ..Group::default() });
        if !group.reports.is_empty() {
            // The budget is never closed.
            let share = Arc::clone(&budget).acquire_many_owned(group.bytes.min(BYTES_WAITING_MAX)).await;
            let Ok(share) = share else { return };
            let answers = take_in(app, caller, group.reports).await;
            // Nobody takes them when the client is gone; the reports are stored all the same.
            let _gone = answering.send(Ok((answers, share))).await;
        }
        if let Some(last) = group.last {
            let _gone = answering.send(Err(last)).await;
            return;
        }
    }
}

fn draining() -> End {
    End::Failed(Error::Unavailable(Away::Draining).into())
}

/// Waits for a report, and takes what else has arrived by then. A message that cannot be decoded ends the stream.
async fn read_group(sent: &mut Streaming<pb::SyncReportsRequest>) -> Group {
    let mut group = Group::default();
    let mut next = sent.next().await;
    loop {
        match next {
            Some(Ok(request)) => {
                let bytes = request.encoded_len().max(REPORT_BYTES_MIN);
                group.bytes = group.bytes.saturating_add(u32::try_from(bytes).unwrap_or(BYTES_WAITING_MAX));
                group.reports.push(request);
            }
            Some(Err(status)) => group.last = Some(End::Failed(not_taken_in(&status).unwrap_or(status))),
            None => group.last = Some(End::HalfClosed),
        }
        let full = GROUP_REPORTS_MAX <= group.reports.len() || GROUP_BYTES_MAX <= group.bytes;
        if full || group.last.is_some() {
            return group;
        }
        let arrived = poll_fn(|context| Poll::Ready(Pin::new(&mut *sent).poll_next(context))).await;
        match arrived {
            Poll::Ready(arrived) => next = arrived,
            Poll::Pending => return group,
        }
    }
}

/// Takes in a group. What is malformed is refused alone.
async fn take_in(
    app: &App,
    caller: &Caller,
    sent: Vec<pb::SyncReportsRequest>,
) -> Vec<pb::SyncReportsResponse> {
    let (mut answers, mut places, mut reports) =
        (Vec::with_capacity(sent.len()), Vec::new(), Vec::<Sent>::new());
    for (index, request) in sent.into_iter().enumerate() {
        let refused = match read_sent(request.report.as_ref(), request.sent.as_ref()) {
            Ok(sent) => {
                places.push(index);
                reports.push(sent);
                None
            }
            Err(error) => Some(Outcome::Refused(in_band(&error))),
        };
        let report = request.report.unwrap_or_default();
        answers.push(pb::SyncReportsResponse {
            outcome: refused,
            report_id: report.report_id,
            device_sequence: report.device_sequence,
        });
    }
    if reports.is_empty() {
        return answers;
    }
    for (place, answer) in places.into_iter().zip(app.submit_reports(caller, reports).await) {
        answers[place].outcome = Some(match answer {
            Ok(submitted) => Outcome::Stored(response(&submitted)),
            Err(error) => Outcome::Refused(in_band(&error)),
        });
    }
    answers
}

/// The answers of one stream, in the order of its reports.
pub struct Answers {
    groups: mpsc::Receiver<Answered>,
    current: VecDeque<pb::SyncReportsResponse>,
    /// The share of the byte budget that the current answers hold.
    share: Option<OwnedSemaphorePermit>,
    /// Whether the end was told.
    ended: bool,
}

impl Stream for Answers {
    type Item = Result<pb::SyncReportsResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(answer) = self.current.pop_front() {
                return Poll::Ready(Some(Ok(answer)));
            }
            self.share = None;
            match self.groups.poll_recv(context) {
                Poll::Ready(Some(Ok((answers, share)))) => {
                    self.current = answers.into();
                    self.share = Some(share);
                }
                Poll::Ready(Some(Err(End::HalfClosed))) => {
                    self.ended = true;
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(End::Failed(status)))) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(status)));
                }
                Poll::Ready(None) if self.ended => return Poll::Ready(None),
                // The task of the stream panicked: an end in good order would hide the answers that are missing.
                Poll::Ready(None) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(Error::Panicked.into())));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
