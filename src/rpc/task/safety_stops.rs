//! Safety stops of `TaskService`.

use crate::app::App;
use crate::app::change::Changed;
use crate::app::safety_stop::LiftStop;
use crate::app::safety_stop::list::StopsOf;
use crate::domain::caller::Caller;
use crate::domain::ids::{OrganizationId, ProgramId, SafetyStopId, SiteId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::text::Reason;
use crate::error::Error;
use crate::rpc::change::{answered, request as asked};
use crate::rpc::convert::safety_stop as convert;
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::pb::list_safety_stops_request::Of;
use crate::rpc::read::Reader;

fn stop_of(changed: &Changed) -> Result<Option<pb::SafetyStop>, Error> {
    let pick = |record| if let Record::SafetyStop(stop) = record { Some(stop) } else { None };
    answered(changed, pick).map(Some)
}

pub(super) async fn issue(
    app: &App,
    caller: &Caller,
    sent: pb::IssueSafetyStopRequest,
) -> Result<pb::IssueSafetyStopResponse, Error> {
    let mut reader = Reader::default();
    let stop = reader.need("safety_stop", sent.safety_stop.as_ref());
    let halt = stop.and_then(|stop| convert::read_halt(&mut reader, stop));
    let halt = reader.finish(halt)?;
    let asked = asked(halt.id.uuid(), Kind::SafetyStop, "TaskService/IssueSafetyStop", &sent);
    let changed = app.issue_safety_stop(caller, asked, halt).await?;
    Ok(pb::IssueSafetyStopResponse { safety_stop: stop_of(&changed)?, revision: changed.revision })
}

pub(super) async fn lift(
    app: &App,
    caller: &Caller,
    sent: pb::LiftSafetyStopRequest,
) -> Result<pb::LiftSafetyStopResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("request_id", &sent.request_id, |id| id);
    let stop = reader.id("safety_stop_id", &sent.safety_stop_id, SafetyStopId::new);
    let reason = reader.parse("reason", Reason::parse(&sent.reason));
    let expected_revision = reader.revision("expected_revision", sent.expected_revision);
    let all = id.zip(stop).zip(reason.zip(expected_revision));
    let ((id, stop), (reason, expected_revision)) = reader.finish(all)?;
    let asked = asked(id, Kind::Request, "TaskService/LiftSafetyStop", &sent);
    let lift = LiftStop { stop, reason, expected_revision };
    let changed = app.lift_safety_stop(caller, asked, lift).await?;
    Ok(pb::LiftSafetyStopResponse { safety_stop: stop_of(&changed)?, revision: changed.revision })
}

pub(super) async fn list(
    app: &App,
    caller: &Caller,
    sent: pb::ListSafetyStopsRequest,
) -> Result<pb::ListSafetyStopsResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let of = match &sent.of {
        None => {
            reader.bad("of", "is missing; give program_id, operator_id, task_id or site_id");
            None
        }
        Some(Of::ProgramId(id)) => reader.id("program_id", id, ProgramId::new).map(StopsOf::Program),
        Some(Of::OperatorId(id)) => reader.id("operator_id", id, OrganizationId::new).map(StopsOf::Operator),
        Some(Of::TaskId(id)) => reader.id("task_id", id, TaskId::new).map(StopsOf::Task),
        Some(Of::SiteId(id)) => reader.id("site_id", id, SiteId::new).map(StopsOf::Site),
    };
    let ((page, min_revision), of) = reader.finish(page.zip(min_revision).zip(of))?;
    let found = app.list_safety_stops(caller, of, sent.in_force_only, min_revision, page).await?;
    Ok(pb::ListSafetyStopsResponse {
        safety_stops: found.rows.iter().map(convert::safety_stop).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}
