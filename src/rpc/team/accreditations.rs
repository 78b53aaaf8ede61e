//! Accreditations of `TeamService`.

use uuid::Uuid;

use crate::app::App;
use crate::app::accreditation::{ApplyForAccreditation, ChangeAccreditation, GrantAccreditation};
use crate::app::change::Changed;
use crate::domain::accreditation::{AccreditationChange, AccreditationState};
use crate::domain::caller::Caller;
use crate::domain::ids::{AccreditationId, OrganizationId};
use crate::domain::kind::Kind;
use crate::domain::text::{Reason, Reference};
use crate::error::Error;
use crate::rpc::change::{answered, request as asked};
use crate::rpc::convert::accreditation as convert;
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::pb::grant_accreditation_request::Grant;
use crate::rpc::read::Reader;
use crate::store::accreditation::AccreditationFilter;

fn accreditation_of(changed: &Changed) -> Result<Option<pb::Accreditation>, Error> {
    let pick = |record| if let Record::Accreditation(of) = record { Some(of) } else { None };
    answered(changed, pick).map(Some)
}

pub(super) async fn apply(
    app: &App,
    caller: &Caller,
    sent: pb::ApplyForAccreditationRequest,
) -> Result<pb::ApplyForAccreditationResponse, Error> {
    let mut reader = Reader::default();
    let accreditation = reader.need("accreditation", sent.accreditation.as_ref());
    let new = accreditation.and_then(|of| convert::read_accreditation(&mut reader, of));
    let new = reader.finish(new)?;
    let asked = asked(new.id.uuid(), Kind::Accreditation, "TeamService/ApplyForAccreditation", &sent);
    let changed = app.apply_for_accreditation(caller, asked, ApplyForAccreditation(new)).await?;
    let accreditation = accreditation_of(&changed)?;
    Ok(pb::ApplyForAccreditationResponse { accreditation, revision: changed.revision })
}

pub(super) async fn grant(
    app: &App,
    caller: &Caller,
    sent: pb::GrantAccreditationRequest,
) -> Result<pb::GrantAccreditationResponse, Error> {
    const METHOD: &str = "TeamService/GrantAccreditation";
    let mut reader = Reader::default();
    let changed = match reader.need("grant", sent.grant.as_ref()) {
        None => return reader.finish(None),
        Some(Grant::Accreditation(of)) => {
            let new = convert::read_accreditation(&mut reader, of);
            let new = reader.finish(new)?;
            let asked = asked(new.id.uuid(), Kind::Accreditation, METHOD, &sent);
            app.grant_accreditation(caller, asked, GrantAccreditation(new)).await?
        }
        Some(Grant::Application(of)) => {
            let field = |name: &str| format!("application.{name}");
            let step = read_step(
                &mut reader,
                "application.",
                &of.request_id,
                &of.accreditation_id,
                of.expected_revision,
            );
            let certificate = reader.parse(&field("certificate"), Reference::parse(&of.certificate));
            let days = reader.days(&field(""), of.first_day, of.last_day);
            let grant = certificate.zip(days);
            let grant = grant.map(|(certificate, days)| AccreditationChange::Grant { certificate, days });
            let (step, change) = reader.finish(step.zip(grant))?;
            let asked = asked(step.request, Kind::Request, METHOD, &sent);
            app.change_accreditation(caller, asked, step.with(change)).await?
        }
    };
    let accreditation = accreditation_of(&changed)?;
    Ok(pb::GrantAccreditationResponse { accreditation, revision: changed.revision })
}

pub(super) async fn assess(
    app: &App,
    caller: &Caller,
    sent: pb::AssessAccreditationRequest,
) -> Result<pb::AssessAccreditationResponse, Error> {
    let mut reader = Reader::default();
    let step = read_step(&mut reader, "", &sent.request_id, &sent.accreditation_id, sent.expected_revision);
    let change = reader.word("stage", sent.stage).and_then(|stage| match stage {
        AccreditationState::DeskReview => Some(AccreditationChange::Review),
        AccreditationState::FieldAssessment => Some(AccreditationChange::Assess),
        other => {
            reader.bad("stage", format!("is {other}; give DESK_REVIEW or FIELD_ASSESSMENT"));
            None
        }
    });
    let (step, change) = reader.finish(step.zip(change))?;
    let asked = asked(step.request, Kind::Request, "TeamService/AssessAccreditation", &sent);
    let changed = app.change_accreditation(caller, asked, step.with(change)).await?;
    let accreditation = accreditation_of(&changed)?;
    Ok(pb::AssessAccreditationResponse { accreditation, revision: changed.revision })
}

pub(super) async fn suspend(
    app: &App,
    caller: &Caller,
    sent: pb::SuspendAccreditationRequest,
) -> Result<pb::SuspendAccreditationResponse, Error> {
    let mut reader = Reader::default();
    let step = read_step(&mut reader, "", &sent.request_id, &sent.accreditation_id, sent.expected_revision);
    let first_day = reader.date("first_day", sent.first_day);
    let reason = reader.parse("reason", Reason::parse(&sent.reason));
    let change = first_day.zip(reason);
    let change = change.map(|(first_day, reason)| AccreditationChange::Suspend { first_day, reason });
    let (step, change) = reader.finish(step.zip(change))?;
    let asked = asked(step.request, Kind::Request, "TeamService/SuspendAccreditation", &sent);
    let changed = app.change_accreditation(caller, asked, step.with(change)).await?;
    let accreditation = accreditation_of(&changed)?;
    Ok(pb::SuspendAccreditationResponse { accreditation, revision: changed.revision })
}

pub(super) async fn reinstate(
    app: &App,
    caller: &Caller,
    sent: pb::ReinstateAccreditationRequest,
) -> Result<pb::ReinstateAccreditationResponse, Error> {
    let mut reader = Reader::default();
    let step = read_step(&mut reader, "", &sent.request_id, &sent.accreditation_id, sent.expected_revision);
    let on_day = reader.date("on_day", sent.on_day);
    let change = on_day.map(|on_day| AccreditationChange::Reinstate { on_day });
    let (step, change) = reader.finish(step.zip(change))?;
    let asked = asked(step.request, Kind::Request, "TeamService/ReinstateAccreditation", &sent);
    let changed = app.change_accreditation(caller, asked, step.with(change)).await?;
    let accreditation = accreditation_of(&changed)?;
    Ok(pb::ReinstateAccreditationResponse { accreditation, revision: changed.revision })
}

pub(super) async fn withdraw(
    app: &App,
    caller: &Caller,
    sent: pb::WithdrawAccreditationRequest,
) -> Result<pb::WithdrawAccreditationResponse, Error> {
    let mut reader = Reader::default();
    let step = read_step(&mut reader, "", &sent.request_id, &sent.accreditation_id, sent.expected_revision);
    let on_day = reader.date("on_day", sent.on_day);
    let reason = reader.parse("reason", Reason::parse(&sent.reason));
    let change = on_day.zip(reason);
    let change = change.map(|(on_day, reason)| AccreditationChange::Withdraw { on_day, reason });
    let (step, change) = reader.finish(step.zip(change))?;
    let asked = asked(step.request, Kind::Request, "TeamService/WithdrawAccreditation", &sent);
    let changed = app.change_accreditation(caller, asked, step.with(change)).await?;
    let accreditation = accreditation_of(&changed)?;
    Ok(pb::WithdrawAccreditationResponse { accreditation, revision: changed.revision })
}

/// What every change of an accreditation says.
struct Step {
    request: Uuid,
    id: AccreditationId,
    expected_revision: i64,
}

impl Step {
    const fn with(self, change: AccreditationChange) -> ChangeAccreditation {
        ChangeAccreditation { id: self.id, change, expected_revision: self.expected_revision }
    }
}

fn read_step(
    reader: &mut Reader,
    before: &str,
    request: &str,
    id: &str,
    expected_revision: i64,
) -> Option<Step> {
    let request = reader.id(&format!("{before}request_id"), request, |id| id);
    let id = reader.id(&format!("{before}accreditation_id"), id, AccreditationId::new);
    let expected_revision = reader.revision(&format!("{before}expected_revision"), expected_revision);
    Some(Step { request: request?, id: id?, expected_revision: expected_revision? })
}

pub(super) async fn get(
    app: &App,
    caller: &Caller,
    sent: pb::GetAccreditationRequest,
) -> Result<pb::GetAccreditationResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("accreditation_id", &sent.accreditation_id, AccreditationId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let (id, min_revision) = reader.finish(id.zip(min_revision))?;
    let found = app.get_accreditation(caller, id, min_revision).await?;
    Ok(pb::GetAccreditationResponse { accreditation: Some(convert::shown(&found)) })
}

pub(super) async fn list(
    app: &App,
    caller: &Caller,
    sent: pb::ListAccreditationsRequest,
) -> Result<pb::ListAccreditationsResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let filter = read_filter(&mut reader, &sent, app);
    let ((page, min_revision), filter) = reader.finish(page.zip(min_revision).zip(filter))?;
    let found = app.list_accreditations(caller, filter, min_revision, page).await?;
    Ok(pb::ListAccreditationsResponse {
        accreditations: found.rows.iter().map(convert::shown).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

fn read_filter(
    reader: &mut Reader,
    sent: &pb::ListAccreditationsRequest,
    app: &App,
) -> Option<AccreditationFilter> {
    let operator = reader.id("organization_id", &sent.organization_id, OrganizationId::new);
    let level = reader.optional_word("level", sent.level);
    let subject = reader.optional_id("subject_id", &sent.subject_id, |id: Uuid| id);
    let activity = reader.optional_word("activity", sent.activity);
    let state = reader.optional_word("state", sent.state);
    Some(AccreditationFilter {
        operator: operator?,
        level: level?,
        subject: subject?,
        activity: activity?,
        state: state?,
        today: app.today(),
        after: Uuid::nil(),
    })
}
