//! What `SiteService` does to one site: read the request, change the site, answer it.

use crate::app::App;
use crate::app::change::{Changed, Request};
use crate::app::site::acts::{ChangeSite, Remeasurement, SiteAct};
use crate::domain::caller::Caller;
use crate::domain::geometry::Comparisons;
use crate::domain::ids::SiteId;
use crate::domain::kind::Kind;
use crate::domain::site::SuspensionCause;
use crate::domain::text::{Reason, Title};
use crate::error::Error;
use crate::rpc::change::{answered, request as asked};
use crate::rpc::convert::site as convert;
use crate::rpc::convert::survey::read_survey;
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::read::Reader;
use crate::rpc::site::sites::site_of;

/// What each of these requests has: the id of the call, the site and its revision.
type Known = (uuid::Uuid, (SiteId, i64));

fn read_known(reader: &mut Reader, request_id: &str, site_id: &str, revision: i64) -> Option<Known> {
    let id = reader.id("request_id", request_id, |id| id);
    let site = reader.id("site_id", site_id, SiteId::new);
    let revision = reader.revision("expected_revision", revision);
    id.zip(site.zip(revision))
}

/// Ends the reading and changes the site.
async fn change(
    app: &App,
    caller: &Caller,
    reader: Reader,
    read: Option<(Known, SiteAct)>,
    asked: impl Fn(uuid::Uuid) -> Request,
) -> Result<Changed, Error> {
    let ((id, (site, revision)), act) = reader.finish(read)?;
    let change = ChangeSite { site, expected_revision: Some(revision), act };
    app.change_site(caller, asked(id), change).await
}

pub(super) async fn rename(
    app: &App,
    caller: &Caller,
    sent: &pb::RenameSiteRequest,
) -> Result<pb::RenameSiteResponse, Error> {
    let mut reader = Reader::default();
    let known = read_known(&mut reader, &sent.request_id, &sent.site_id, sent.expected_revision);
    let name = reader.parse("name", Title::parse(&sent.name));
    let asked = |id| asked(id, Kind::Request, "SiteService/RenameSite", sent);
    let changed = change(app, caller, reader, known.zip(name.map(SiteAct::Rename)), asked).await?;
    Ok(pb::RenameSiteResponse { site: site_of(&changed)?, revision: changed.revision })
}

pub(super) async fn remeasure(
    app: &App,
    caller: &Caller,
    sent: &pb::RecordRemeasurementRequest,
) -> Result<pb::RecordRemeasurementResponse, Error> {
    let mut reader = Reader::default();
    let known = read_known(&mut reader, &sent.request_id, &sent.site_id, sent.expected_revision);
    let act = read_remeasurement(&mut reader, sent).map(|new| SiteAct::Remeasure(Box::new(new)));
    let asked = |id| asked(id, Kind::Request, "SiteService/RecordRemeasurement", sent);
    let changed = change(app, caller, reader, known.zip(act), asked).await?;
    Ok(pb::RecordRemeasurementResponse { site: site_of(&changed)?, revision: changed.revision })
}

fn read_remeasurement(reader: &mut Reader, sent: &pb::RecordRemeasurementRequest) -> Option<Remeasurement> {
    let area_m2 = reader.within("area_m2", sent.area_m2, 1, convert::AREA_M2_MAX);
    let measured_on = reader.date("measured_on", sent.measured_on);
    let reason = reader.parse("reason", Reason::parse(&sent.reason));
    let outline = convert::read_outline(
        reader,
        "boundary_geojson",
        &sent.boundary_geojson,
        &mut Comparisons::default(),
    );
    Some(Remeasurement { area_m2: area_m2?, measured_on: measured_on?, reason: reason?, outline: outline? })
}

pub(super) async fn suspend(
    app: &App,
    caller: &Caller,
    sent: &pb::SuspendSiteRequest,
) -> Result<pb::SuspendSiteResponse, Error> {
    let mut reader = Reader::default();
    let known = read_known(&mut reader, &sent.request_id, &sent.site_id, sent.expected_revision);
    let cause = reader.word("cause", sent.cause);
    if cause == Some(SuspensionCause::SafetyStop) {
        reader
            .bad("cause", "is SAFETY_STOP, which only a safety stop sets; call TaskService/IssueSafetyStop");
    }
    let reason = reader.parse("reason", Reason::parse(&sent.reason));
    let act = cause.zip(reason).map(|(cause, _)| SiteAct::Suspend(cause));
    let asked = |id| asked(id, Kind::Request, "SiteService/SuspendSite", sent);
    let changed = change(app, caller, reader, known.zip(act), asked).await?;
    Ok(pb::SuspendSiteResponse { site: site_of(&changed)?, revision: changed.revision })
}

pub(super) async fn resume(
    app: &App,
    caller: &Caller,
    sent: &pb::ResumeSiteRequest,
) -> Result<pb::ResumeSiteResponse, Error> {
    let mut reader = Reader::default();
    let known = read_known(&mut reader, &sent.request_id, &sent.site_id, sent.expected_revision);
    let reason = reader.parse("reason", Reason::parse(&sent.reason));
    let asked = |id| asked(id, Kind::Request, "SiteService/ResumeSite", sent);
    let act = reason.map(|_| SiteAct::Resume);
    let changed = change(app, caller, reader, known.zip(act), asked).await?;
    Ok(pb::ResumeSiteResponse { site: site_of(&changed)?, revision: changed.revision })
}

pub(super) async fn close(
    app: &App,
    caller: &Caller,
    sent: &pb::CloseSiteRequest,
) -> Result<pb::CloseSiteResponse, Error> {
    let mut reader = Reader::default();
    let known = read_known(&mut reader, &sent.request_id, &sent.site_id, sent.expected_revision);
    let release = convert::read_release(&mut reader, "release", sent.release.as_ref());
    let asked = |id| asked(id, Kind::Request, "SiteService/CloseSite", sent);
    let changed = change(app, caller, reader, known.zip(release.map(SiteAct::Close)), asked).await?;
    Ok(pb::CloseSiteResponse { site: site_of(&changed)?, revision: changed.revision })
}

pub(super) async fn hand_over(
    app: &App,
    caller: &Caller,
    sent: &pb::HandOverSiteRequest,
) -> Result<pb::HandOverSiteResponse, Error> {
    let mut reader = Reader::default();
    let known = read_known(&mut reader, &sent.request_id, &sent.site_id, sent.expected_revision);
    let day = reader.date("handed_over_on", sent.handed_over_on);
    let asked = |id| asked(id, Kind::Request, "SiteService/HandOverSite", sent);
    let changed = change(app, caller, reader, known.zip(day.map(SiteAct::HandOver)), asked).await?;
    Ok(pb::HandOverSiteResponse { site: site_of(&changed)?, revision: changed.revision })
}

pub(super) async fn record_survey(
    app: &App,
    caller: &Caller,
    sent: &pb::RecordSurveyRequest,
) -> Result<pb::RecordSurveyResponse, Error> {
    let mut reader = Reader::default();
    let survey = reader.need("survey", sent.survey.as_ref());
    let survey = survey.and_then(|survey| read_survey(&mut reader, survey));
    let survey = reader.finish(survey)?;
    let asked = asked(survey.id.uuid(), Kind::Survey, "SiteService/RecordSurvey", sent);
    let (site, act) = (survey.site, SiteAct::Survey(survey));
    let changed = app.change_site(caller, asked, ChangeSite { site, expected_revision: None, act }).await?;
    let pick = |record| if let Record::Survey(survey) = record { Some(survey) } else { None };
    Ok(pb::RecordSurveyResponse {
        survey: Some(answered(&changed, pick)?),
        site: site_of(&changed)?,
        revision: changed.revision,
    })
}
