//! Reading reports and numberings.

use jiff::Timestamp;

use crate::app::App;
use crate::domain::caller::Caller;
use crate::domain::ids::{DeviceId, OrganizationId, ReportId, TaskId, TeamId};
use crate::error::Error;
use crate::rpc::convert::field_report::{stored, sync_state as told};
use crate::rpc::pb;
use crate::rpc::read::Reader;
use crate::store::field_report::listing::ReportFilter;

use super::submit::halt_answer;

pub(super) async fn sync_state(
    app: &App,
    caller: &Caller,
    sent: &pb::GetSyncStateRequest,
) -> Result<pb::GetSyncStateResponse, Error> {
    let mut reader = Reader::default();
    let device = reader.id("device_id", &sent.device_id, DeviceId::new);
    let device = reader.finish(device)?;
    let state = app.get_sync_state(caller, device).await?;
    Ok(pb::GetSyncStateResponse { sync_state: Some(told(&state)) })
}

pub(super) async fn get(
    app: &App,
    caller: &Caller,
    sent: &pb::GetReportRequest,
) -> Result<pb::GetReportResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("report_id", &sent.report_id, ReportId::new);
    let version = reader.within("version", sent.version, 0, i32::MAX);
    let revision = reader.revision("min_revision", sent.min_revision);
    let (id, (version, revision)) = reader.finish(id.zip(version.zip(revision)))?;
    let report = app.get_report(caller, id, version, revision).await?;
    let halt = app.halt_answer(&report).await?.map(halt_answer);
    Ok(pb::GetReportResponse { report: Some(stored(&report)?), halt })
}

pub(super) async fn list(
    app: &App,
    caller: &Caller,
    sent: &pb::ListReportsRequest,
) -> Result<pb::ListReportsResponse, Error> {
    let mut reader = Reader::default();
    let filter = read_filter(&mut reader, sent);
    let page = reader.page(sent.page_size, &sent.page_token);
    let revision = reader.revision("min_revision", sent.min_revision);
    let (filter, (page, revision)) = reader.finish(filter.zip(page.zip(revision)))?;
    let page = app.list_reports(caller, filter, revision, page).await?;
    Ok(pb::ListReportsResponse {
        reports: page.rows.iter().map(stored).collect::<Result<_, _>>()?,
        next_page_token: page.next.unwrap_or_default(),
    })
}

fn read_filter(reader: &mut Reader, sent: &pb::ListReportsRequest) -> Option<ReportFilter> {
    let operator = reader.id("operator_id", &sent.operator_id, OrganizationId::new);
    let task = reader.optional_id("task_id", &sent.task_id, TaskId::new);
    let team = reader.optional_id("team_id", &sent.team_id, TeamId::new);
    let device = reader.optional_id("device_id", &sent.device_id, DeviceId::new);
    let kind = reader.optional_word("kind", sent.kind);
    let state = reader.optional_word("state", sent.state);
    let hold = reader.optional_word("hold", sent.hold);
    let from = reader.optional_date("worked_from", sent.worked_from);
    let until = reader.optional_date("worked_until", sent.worked_until);
    let received_before = read_moment(reader, sent.received_before.as_ref());
    Some(ReportFilter {
        operator: operator?,
        task: task?,
        team: team?,
        device: device?,
        kind: kind?,
        state: state?,
        hold: hold?,
        from: from?,
        until: until?,
        to_review: sent.to_review,
        received_before: received_before?,
        after: (0, uuid::Uuid::nil()),
    })
}

/// A moment that may be absent: `Some(None)` is that, `None` is bad.
#[expect(clippy::option_option, reason = "bad, absent and given are three things")]
fn read_moment(reader: &mut Reader, sent: Option<&prost_types::Timestamp>) -> Option<Option<Timestamp>> {
    let Some(sent) = sent else { return Some(None) };
    let read = Timestamp::new(sent.seconds, sent.nanos);
    reader.parse("received_before", read.map_err(|_| "is not a moment of the calendar".to_owned())).map(Some)
}
