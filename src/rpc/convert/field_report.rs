//! Field reports on the wire. Every field is checked here, so that what is stored can be read by everyone; whether the
//! report fits the work is judged later, and never refused.

mod attachment;
mod bodies;
mod clock;
mod files;
mod out;
mod parts;
pub mod review;
mod victims;

use jiff::civil::Date;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::domain::field_report::sequence::SEQUENCE_MAX;
use crate::domain::field_report::{BASE_VERSION_MAX, FieldReport, ReportKind};
use crate::domain::ids::{DeviceId, ReportId, TaskId, TeamId};
use crate::domain::text::Text;
use crate::error::Error;
use crate::rpc::convert::site::read_position;
use crate::rpc::pb;
use crate::rpc::read::Reader;

use bodies::read_body;
use files::read_attachments;
use victims::split;

pub use attachment::{encode_attachment, upload_state};
pub use clock::read_clock;
pub use files::read_sha256;
pub use out::{encode_stored, holds, receipt, stored, sync_state};
pub use victims::victims_of;

/// The most bytes of a report.
pub const REPORT_BYTES_MAX: usize = 512 * 1024;

/// Reads a report with all that it says.
///
/// # Errors
/// Every bad field; `TooLarge` when it is.
pub fn read_report(sent: Option<&pb::FieldReport>) -> Result<FieldReport, Error> {
    let size = sent.map_or(0, pb::FieldReport::encoded_len);
    if REPORT_BYTES_MAX < size {
        return Err(Error::TooLarge {
            field: "report",
            what: "bytes of a report",
            size: size as u64,
            max: REPORT_BYTES_MAX as u64,
            way_out: "move long texts into an attachment, or make two reports of it",
        });
    }
    let mut reader = Reader::default();
    let report = reader.need("report", sent).and_then(|sent| read_fields(&mut reader, sent));
    reader.finish(report)
}

/// Reads the content of a stored report.
///
/// # Errors
/// A bug when it cannot be read: it was checked when it came.
pub fn read_content(stored: &[u8]) -> Result<FieldReport, Error> {
    let stored = pb::FieldReport::decode(stored).map_err(|error| Error::Internal(Box::new(error)))?;
    read_report(Some(&stored)).map_err(|error| Error::bug(format!("a stored report is unreadable: {error}")))
}

fn read_fields(reader: &mut Reader, sent: &pb::FieldReport) -> Option<FieldReport> {
    let id = reader.id("report.report_id", &sent.report_id, ReportId::new);
    let device = reader.id("report.device_id", &sent.device_id, DeviceId::new);
    let sequence = reader.within("report.device_sequence", sent.device_sequence, 1, SEQUENCE_MAX);
    let team = reader.id("report.team_id", &sent.team_id, TeamId::new);
    // Any day of the calendar: one that cannot be right is held, since the work behind it may be real.
    let work_date = read_any_day(reader, "report.work_date", sent.work_date);
    let captured = reader.need("report.captured", sent.captured.as_ref());
    let captured = captured.and_then(|sent| read_clock(reader, "report.captured", sent));
    let position = read_position(reader, "report.position", sent.position.as_ref());
    let base_version = reader.within("report.base_version", sent.base_version, 0, BASE_VERSION_MAX);
    let attachments = read_attachments(reader, &sent.attachments);
    reader.parse("report.note", Text::<0, 4_000>::parse(&sent.note));
    let body = reader.need("report.body", sent.body.as_ref());
    let kind = body.map(kind_of);
    let claims = body.and_then(|body| read_body(reader, body));
    let task = read_task(reader, &sent.task_id, kind);
    let (content, personal) = split(sent);
    Some(FieldReport {
        id: id?,
        device: device?,
        sequence: sequence?,
        team: team?,
        task: task?,
        work_date: work_date?,
        captured: captured?,
        position: position?,
        base_version: base_version?,
        kind: kind?,
        attachments: attachments?,
        claims: claims?,
        personal,
        content_sha256: Sha256::digest(&content).into(),
        content,
    })
}

/// The work of a task says which; what can happen on the road may have none.
#[expect(clippy::option_option, reason = "bad, absent and given are three things")]
fn read_task(reader: &mut Reader, sent: &str, kind: Option<ReportKind>) -> Option<Option<TaskId>> {
    match kind {
        Some(kind) if kind.needs_task() && sent.is_empty() => {
            reader.bad("report.task_id", format!("is missing; a report of kind {kind} is about a task"));
            None
        }
        _ => reader.optional_id("report.task_id", sent, TaskId::new),
    }
}

/// Any day of the calendar.
fn read_any_day(reader: &mut Reader, field: &str, sent: Option<pb::Date>) -> Option<Date> {
    let sent = reader.need(field, sent)?;
    let made = calendar_day(sent);
    if made.is_none() {
        let given = format!("{}-{}-{}", sent.year, sent.month, sent.day);
        reader.bad(field, format!("{given} is not a day of the calendar"));
    }
    made
}

fn calendar_day(sent: pb::Date) -> Option<Date> {
    let part = |value: i32| i8::try_from(value).ok();
    match (i16::try_from(sent.year), part(sent.month), part(sent.day)) {
        (Ok(year), Some(month), Some(day)) if 0 < year => Date::new(year, month, day).ok(),
        _ => None,
    }
}

fn kind_of(body: &pb::field_report::Body) -> ReportKind {
    use pb::field_report::Body;
    match body {
        Body::Progress(_) => ReportKind::Progress,
        Body::Survey(_) => ReportKind::Survey,
        Body::Ordnance(_) => ReportKind::Ordnance,
        Body::Completion(_) => ReportKind::Completion,
        Body::SpotTask(_) => ReportKind::SpotTask,
        Body::Accident(_) => ReportKind::Accident,
        Body::RiskEducation(_) => ReportKind::RiskEducation,
        Body::Inspection(_) => ReportKind::Inspection,
        Body::ExpenseClaim(_) => ReportKind::ExpenseClaim,
    }
}

#[cfg(test)]
mod tests;
