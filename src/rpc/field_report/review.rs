//! Reviews of reports in `FieldReportService`.

use tonic::Status;
use uuid::Uuid;

use crate::app::App;
use crate::app::change::Changed;
use crate::app::field_report::review::DecideReport;
use crate::domain::caller::Caller;
use crate::domain::field_report::BASE_VERSION_MAX;
use crate::domain::field_report::review::Decision;
use crate::domain::ids::ReportId;
use crate::domain::kind::Kind;
use crate::domain::text::Reason;
use crate::error::Error;
use crate::rpc::change::{answered, request as asked};
use crate::rpc::convert::field_report::review::read_decision;
use crate::rpc::convert::field_report::{holds, receipt};
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::read::Reader;
use crate::rpc::status::status;

use super::submit::{details_not_kept, halt_answer, read_sent};

fn review_of(changed: &Changed) -> Result<pb::ReportReview, Error> {
    let pick = |record| if let Record::ReportReview(review) = record { Some(review) } else { None };
    answered(changed, pick)
}

/// The entry that pays a claim has the id of its report, so that no request in the same journal may.
fn expect_own(reader: &mut Reader, request: &str, report: &str) {
    if !request.is_empty() && request == report {
        reader.bad("request_id", "is the id of the report; make a new one for the request");
    }
}

pub(super) async fn review(
    app: &App,
    caller: &Caller,
    sent: pb::ReviewReportRequest,
) -> Result<pb::ReviewReportResponse, Error> {
    let mut reader = Reader::default();
    let request = reader.id("request_id", &sent.request_id, |id| id);
    let report = reader.id("report_id", &sent.report_id, ReportId::new);
    let version = reader.within("version", sent.version, 1, BASE_VERSION_MAX + 1);
    expect_own(&mut reader, &sent.request_id, &sent.report_id);
    let expected_revision = reader.revision("expected_revision", sent.expected_revision);
    let decision = read_decision(&mut reader, sent.decision.as_ref());
    let read = request.zip(report).zip(version.zip(expected_revision)).zip(decision);
    let (((request, report), (version, expected_revision)), decision) = reader.finish(read)?;
    let asked = asked(request, Kind::Request, "FieldReportService/ReviewReport", &sent);
    let decide = DecideReport { report, version: Some(version), expected_revision, decision };
    let changed = app.decide_report(caller, asked, decide).await?;
    Ok(pb::ReviewReportResponse { review: Some(review_of(&changed)?), revision: changed.revision })
}

pub(super) async fn void(
    app: &App,
    caller: &Caller,
    sent: pb::VoidReportRequest,
) -> Result<pb::VoidReportResponse, Error> {
    let mut reader = Reader::default();
    let request: Option<Uuid> = reader.id("request_id", &sent.request_id, |id| id);
    let report = reader.id("report_id", &sent.report_id, ReportId::new);
    let expected_revision = reader.revision("expected_revision", sent.expected_revision);
    expect_own(&mut reader, &sent.request_id, &sent.report_id);
    let reason = reader.parse("reason", Reason::parse(&sent.reason));
    let ((request, report), (expected_revision, reason)) =
        reader.finish(request.zip(report).zip(expected_revision.zip(reason)))?;
    let asked = asked(request, Kind::Request, "FieldReportService/VoidReport", &sent);
    let decide = DecideReport { report, version: None, expected_revision, decision: Decision::Void(reason) };
    let changed = app.decide_report(caller, asked, decide).await?;
    Ok(pb::VoidReportResponse { review: Some(review_of(&changed)?), revision: changed.revision })
}

pub(super) async fn amend(
    app: &App,
    caller: &Caller,
    sent: &pb::AmendReportRequest,
) -> Result<pb::AmendReportResponse, Status> {
    let report = read_sent(sent.report.as_ref(), None);
    let mut reader = Reader::default();
    let reason = reader.parse("reason", Reason::parse(&sent.reason));
    let (report, reason) = (report?.report, reader.finish(reason)?);
    match app.amend_report(caller, report, reason).await {
        Ok(done) => Ok(pb::AmendReportResponse {
            holds: holds(&done.holds),
            receipt: Some(receipt(&done.receipt)),
            details_not_kept: details_not_kept(&done),
            halt: done.halt.map(halt_answer),
        }),
        Err(error) => Err(status(&error)),
    }
}
