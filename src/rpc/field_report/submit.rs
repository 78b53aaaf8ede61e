//! Submitting one report, and what every report that is sent has in common.

use tonic::Status;

use crate::app::App;
use crate::app::field_report::{Sent, Submitted};
use crate::domain::caller::Caller;
use crate::domain::field_report::halt::HaltAnswer;
use crate::error::Error;
use crate::rpc::convert::field_report::{holds, read_clock, read_report, receipt, sync_state};
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::pb;
use crate::rpc::read::Reader;
use crate::rpc::status::{reason_of, status};

pub(super) async fn submit(
    app: &App,
    caller: &Caller,
    sent: &pb::SubmitReportRequest,
) -> Result<pb::SubmitReportResponse, Status> {
    let sent = read_sent(sent.report.as_ref(), sent.sent.as_ref())?;
    match app.submit_reports(caller, vec![sent]).await.pop() {
        Some(Ok(submitted)) => Ok(response(&submitted)),
        Some(Err(error)) => Err(status(&error)),
        None => Err(Error::bug("a report without its answer").into()),
    }
}

/// Reads a report and the clock that was sent along.
pub(super) fn read_sent(
    report: Option<&pb::FieldReport>,
    clock: Option<&pb::DeviceClock>,
) -> Result<Sent, Error> {
    let report = read_report(report);
    let mut reader = Reader::default();
    let clock = match clock {
        None => Some(None),
        Some(sent) => read_clock(&mut reader, "sent", sent).map(Some),
    };
    match (report, reader.finish(clock)) {
        (Ok(report), Ok(clock)) => Ok(Sent { report, clock, amendment: None }),
        // The caller hears of everything at once.
        (Err(Error::Invalid(mut all)), Err(Error::Invalid(more))) => {
            for violation in more.list() {
                all.add(violation.field.clone(), violation.rule.clone());
            }
            Err(Error::Invalid(all))
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

pub(super) fn response(of: &Submitted) -> pb::SubmitReportResponse {
    pb::SubmitReportResponse {
        outcome: of.outcome.wire(),
        holds: holds(&of.holds),
        receipt: Some(receipt(&of.receipt)),
        sync_state: Some(sync_state(&of.sync_state)),
        details_not_kept: details_not_kept(of),
        halt: of.halt.map(halt_answer),
    }
}

/// What became of a safety stop that a report asks for.
pub(super) fn halt_answer(of: HaltAnswer) -> pb::HaltAnswer {
    let safety_stop_id = of.stop().map_or(String::new(), |stop| stop.to_string());
    pb::HaltAnswer { safety_stop_id, text: of.to_string() }
}

/// Why details are not stored that came with a report.
pub(super) fn details_not_kept(of: &Submitted) -> Option<pb::DetailsNotKept> {
    let refusal = of.details_not_kept.as_ref()?;
    Some(pb::DetailsNotKept { reason: reason_of(refusal).into(), text: refusal.to_string() })
}
