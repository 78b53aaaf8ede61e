//! Reviews on the wire.

use crate::domain::field_report::credit::Credit;
use crate::domain::field_report::review::{Decision, REMARKS_MAX, Remark, Review};
use crate::domain::text::{Reason, Text};
use crate::rpc::convert::outputs::outputs;
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::convert::{date, timestamp};
use crate::rpc::difference::has_path;
use crate::rpc::pb;
use crate::rpc::pb::review_report_request::Decision as Sent;
use crate::rpc::read::Reader;

/// Reads what a reviewer decides.
pub fn read_decision(reader: &mut Reader, sent: Option<&Sent>) -> Option<Decision> {
    match reader.need("decision", sent)? {
        Sent::Take(_) => Some(Decision::Take),
        Sent::Approve(sent) if sent.looked_past.is_empty() => Some(Decision::Approve(None)),
        Sent::Approve(sent) => {
            let reason = reader.parse("approve.looked_past", Reason::parse(&sent.looked_past));
            reason.map(|reason| Decision::Approve(Some(reason)))
        }
        Sent::Return(sent) => read_remarks(reader, &sent.remarks).map(Decision::Return),
        Sent::Reject(sent) => {
            reader.parse("reject.reason", Reason::parse(&sent.reason)).map(Decision::Reject)
        }
    }
}

fn read_remarks(reader: &mut Reader, sent: &[pb::Remark]) -> Option<Vec<Remark>> {
    if sent.is_empty() || REMARKS_MAX < sent.len() {
        let rule =
            format!("are {}; give 1 to {REMARKS_MAX}, so that the team knows what to change", sent.len());
        reader.bad("return.remarks", rule);
        return None;
    }
    let read = |(index, sent): (usize, &pb::Remark)| {
        let at = |name: &str| format!("return.remarks[{index}].{name}");
        let field = reader.parse(&at("field"), Text::parse(&sent.field));
        if !sent.field.is_empty() && !has_path("safelane.v1.FieldReport", &sent.field) {
            let rule = format!("{} is no field of a report; give one, or nothing for the whole", sent.field);
            reader.bad(at("field"), rule);
        }
        let text = reader.parse(&at("text"), Reason::parse(&sent.text));
        Some(Remark { field: field?, text: text? })
    };
    let all: Vec<Option<Remark>> = sent.iter().enumerate().map(read).collect();
    all.into_iter().collect()
}

/// Remarks of a return.
#[must_use]
pub fn remarks(of: &[Remark]) -> Vec<pb::Remark> {
    let remark =
        |of: &Remark| pb::Remark { field: of.field.as_str().to_owned(), text: of.text.as_str().to_owned() };
    of.iter().map(remark).collect()
}

/// What was decided about a report.
#[must_use]
pub fn review(of: &Review) -> pb::ReportReview {
    pb::ReportReview {
        report_id: of.report.to_string(),
        version: of.version,
        content_sha256: of.content_sha256.to_vec(),
        state: of.state.wire(),
        remarks: remarks(&of.reviewed.remarks),
        reviewed_by: of.reviewed.by.clone(),
        reviewed_at: of.reviewed.at.map(timestamp),
        decision: of.reviewed.decision.clone(),
        approved_version: of.reviewed.approved_version.unwrap_or(0),
        credit: of.credit.as_ref().map(credit),
    }
}

/// What an approved version counts for.
#[must_use]
pub fn credit(of: &Credit) -> pb::ReportCredit {
    let ended = of.ended.as_ref();
    pb::ReportCredit {
        report_id: of.report.to_string(),
        version: of.version,
        operator_id: of.operator.to_string(),
        task_id: of.task.to_string(),
        allocation_id: of.allocation.to_string(),
        work_date: Some(date(of.work_date)),
        outputs: Some(outputs(&of.outputs)),
        entry_id: of.entry.map(|id| id.to_string()).unwrap_or_default(),
        approved_at: Some(timestamp(of.approved_at)),
        approved_by: of.approved_by.clone(),
        ended_at: ended.map(|ended| timestamp(ended.at)),
        ended_by: ended.map(|ended| ended.by.clone()).unwrap_or_default(),
        ended_reason: ended.map(|ended| ended.reason.clone()).unwrap_or_default(),
    }
}
