//! `SyncReports`: takes in what has arrived as one group, and answers in order while the next group is taken in.

use std::sync::Arc;

use prost::Message as _;
use tokio::sync::{Semaphore, mpsc};
use tonic::Streaming;
use tracing::Instrument as _;

use crate::app::App;
use crate::app::field_report::Sent;
use crate::app::seats::Seat;
use crate::domain::caller::Caller;
use crate::error::Error;
use crate::rpc::groups::{Answered, Group, GroupedAnswers, read_group};
use crate::rpc::pb;
use crate::rpc::pb::sync_reports_response::Outcome;
use crate::rpc::status::in_band;

use super::submit::{read_sent, response};

/// The most reports of one stream that are taken in together.
const GROUP_REPORTS_MAX: usize = 256;
/// A group that has this many bytes is not filled further.
const GROUP_BYTES_MAX: u32 = 1024 * 1024;
/// The most bytes of one stream's reports that are not answered. Above the largest group: of a report that is too large
/// nothing is kept but its ids.
const BYTES_WAITING_MAX: u32 = 2 * 1024 * 1024;
/// What even an empty report holds: its answer has a numbering or a status.
const REPORT_BYTES_MIN: usize = 512;
/// Groups of answers that a slow client has not taken.
const ANSWERS_WAITING_MAX: usize = 2;

/// Answers until the client half-closes, or the server drains. Reports that were read are stored even when the client is
/// gone: that is what links in the field do.
pub(super) fn answer(
    app: &App,
    caller: Caller,
    sent: Streaming<pb::SyncReportsRequest>,
) -> Result<GroupedAnswers<pb::SyncReportsResponse>, Error> {
    let place = app.take_seat(&caller)?;
    let (answering, groups) = mpsc::channel(ANSWERS_WAITING_MAX);
    let app = app.clone();
    tokio::spawn(async move { answer_all(&app, &caller, sent, answering, place).await }.in_current_span());
    Ok(GroupedAnswers::of(groups))
}

async fn answer_all(
    app: &App,
    caller: &Caller,
    mut sent: Streaming<pb::SyncReportsRequest>,
    answering: mpsc::Sender<Answered<pb::SyncReportsResponse>>,
    _seat: Seat,
) {
    let budget = Arc::new(Semaphore::new(BYTES_WAITING_MAX as usize));
    let drain = app.feed().drain().clone();
    loop {
        let full = (GROUP_REPORTS_MAX, GROUP_BYTES_MAX);
        let read = drain.run_until_cancelled(read_group(&mut sent, full, kept)).await;
        let group = read.unwrap_or_else(Group::drained);
        if !group.requests.is_empty() {
            // The budget is never closed.
            let share = Arc::clone(&budget).acquire_many_owned(group.bytes.min(BYTES_WAITING_MAX)).await;
            let Ok(share) = share else { return };
            let answers = take_in(app, caller, group.requests).await;
            // Nobody takes them when the client is gone; the reports are stored all the same.
            let _gone = answering.send(Ok((answers, share))).await;
        }
        if let Some(last) = group.last {
            let _gone = answering.send(Err(last)).await;
            return;
        }
    }
}

/// A report that was read, or why it cannot be, and what its answer repeats.
struct Read {
    report_id: String,
    device_sequence: i64,
    sent: Result<Sent, Error>,
}

/// Reads a report, with the bytes that it holds until it is answered.
fn kept(request: pb::SyncReportsRequest) -> (Read, u32) {
    let sent = read_sent(request.report.as_ref(), request.sent.as_ref());
    let bytes = request.encoded_len();
    let pb::FieldReport { report_id, device_sequence, .. } = request.report.unwrap_or_default();
    let bytes = if matches!(sent, Err(Error::TooLarge { .. })) { report_id.len() } else { bytes };
    let share = u32::try_from(bytes.max(REPORT_BYTES_MIN)).unwrap_or(BYTES_WAITING_MAX);
    (Read { report_id, device_sequence, sent }, share)
}

/// Takes in a group. What is malformed is refused alone.
async fn take_in(app: &App, caller: &Caller, read: Vec<Read>) -> Vec<pb::SyncReportsResponse> {
    let (mut answers, mut places, mut reports) =
        (Vec::with_capacity(read.len()), Vec::new(), Vec::<Sent>::new());
    for (index, Read { report_id, device_sequence, sent }) in read.into_iter().enumerate() {
        let refused = match sent {
            Ok(sent) => {
                places.push(index);
                reports.push(sent);
                None
            }
            Err(error) => Some(Outcome::Refused(in_band(&error))),
        };
        answers.push(pb::SyncReportsResponse { outcome: refused, report_id, device_sequence });
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
