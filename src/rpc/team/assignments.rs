//! Assignments of `TeamService`.

use crate::app::App;
use crate::app::assignment::{AssignTeam, Candidates, EndAssignment};
use crate::app::change::Changed;
use crate::app::person::NamesByPerson;
use crate::domain::assignment::facts::{Asked, AskedCover};
use crate::domain::caller::Caller;
use crate::domain::ids::{AssignmentId, OrganizationId, PersonId, TaskId, TeamId};
use crate::domain::kind::Kind;
use crate::domain::text::Reason;
use crate::error::Error;
use crate::rpc::change::{answered, request as asked};
use crate::rpc::convert::assignment as convert;
use crate::rpc::convert::team::team;
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::read::Reader;
use crate::store::assignment::AssignmentFilter;

fn assignment_of(changed: &Changed) -> Result<Option<pb::Assignment>, Error> {
    let pick = |record| if let Record::Assignment(of) = record { Some(of) } else { None };
    answered(changed, pick).map(Some)
}

pub(super) async fn assign(
    app: &App,
    caller: &Caller,
    sent: pb::AssignTeamRequest,
) -> Result<pb::AssignTeamResponse, Error> {
    let mut reader = Reader::default();
    let new = reader.need("assignment", sent.assignment.as_ref());
    let id = new.and_then(|new| reader.id("assignment.assignment_id", &new.assignment_id, AssignmentId::new));
    let proposal = new.and_then(|new| convert::read_proposal(&mut reader, new));
    let override_reason = reader.optional("override_reason", &sent.override_reason, Reason::parse);
    let ((id, proposal), override_reason) = reader.finish(id.zip(proposal).zip(override_reason))?;
    let asked = asked(id.uuid(), Kind::Assignment, "TeamService/AssignTeam", &sent);
    let new = AssignTeam { id, proposal, override_reason, policy: app.policy() };
    let changed = app.assign_team(caller, asked, new).await?;
    Ok(pb::AssignTeamResponse { assignment: assignment_of(&changed)?, revision: changed.revision })
}

pub(super) async fn check(
    app: &App,
    caller: &Caller,
    sent: pb::CheckAssignmentRequest,
) -> Result<pb::CheckAssignmentResponse, Error> {
    let mut reader = Reader::default();
    let proposal = reader.need("assignment", sent.assignment.as_ref());
    let proposal = proposal.and_then(|sent| convert::read_proposal(&mut reader, sent));
    let id = sent.assignment.as_ref().map_or("", |of| of.assignment_id.as_str());
    let id = reader.optional_id("assignment.assignment_id", id, AssignmentId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let ((id, proposal), min_revision) = reader.finish(id.zip(proposal).zip(min_revision))?;
    let (checked, names) = app.check_assignment(caller, id, proposal, min_revision).await?;
    Ok(pb::CheckAssignmentResponse {
        findings: convert::findings(&checked.findings, &names),
        overridable: checked.overridable,
    })
}

pub(super) async fn end(
    app: &App,
    caller: &Caller,
    sent: pb::EndAssignmentRequest,
) -> Result<pb::EndAssignmentResponse, Error> {
    let mut reader = Reader::default();
    let request = reader.id("request_id", &sent.request_id, |id| id);
    let id = reader.id("assignment_id", &sent.assignment_id, AssignmentId::new);
    let last_day = reader.date("last_day", sent.last_day);
    let reason = reader.parse("reason", Reason::parse(&sent.reason));
    let expected_revision = reader.revision("expected_revision", sent.expected_revision);
    let all = request.zip(id).zip(last_day.zip(reason)).zip(expected_revision);
    let (((request, id), (last_day, reason)), expected_revision) = reader.finish(all)?;
    let asked = asked(request, Kind::Request, "TeamService/EndAssignment", &sent);
    let new = EndAssignment { id, last_day, reason, expected_revision };
    let changed = app.end_assignment(caller, asked, new).await?;
    Ok(pb::EndAssignmentResponse { assignment: assignment_of(&changed)?, revision: changed.revision })
}

pub(super) async fn get(
    app: &App,
    caller: &Caller,
    sent: pb::GetAssignmentRequest,
) -> Result<pb::GetAssignmentResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("assignment_id", &sent.assignment_id, AssignmentId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let (id, min_revision) = reader.finish(id.zip(min_revision))?;
    let found = app.get_assignment(caller, id, min_revision).await?;
    Ok(pb::GetAssignmentResponse { assignment: Some(convert::assignment(&found)) })
}

pub(super) async fn list(
    app: &App,
    caller: &Caller,
    sent: pb::ListAssignmentsRequest,
) -> Result<pb::ListAssignmentsResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let operator = reader.id("organization_id", &sent.organization_id, OrganizationId::new);
    let team = reader.optional_id("team_id", &sent.team_id, TeamId::new);
    let task = reader.optional_id("task_id", &sent.task_id, TaskId::new);
    let person = reader.optional_id("person_id", &sent.person_id, PersonId::new);
    let from = sent.first_day.and_then(|day| reader.date("first_day", Some(day)));
    let until = sent.last_day.and_then(|day| reader.date("last_day", Some(day)));
    if let (Some(from), Some(until)) = (from, until)
        && until < from
    {
        reader.bad("last_day", format!("{until} is before the first day {from}"));
    }
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let all = page.zip(operator).zip(team.zip(task)).zip(person.zip(min_revision));
    let (((page, operator), (team, task)), (person, min_revision)) = reader.finish(all)?;
    let filter = AssignmentFilter { operator, team, task, person, from, until, after: None };
    let found = app.list_assignments(caller, filter, min_revision, page).await?;
    Ok(pb::ListAssignmentsResponse {
        assignments: found.rows.iter().map(convert::assignment).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

pub(super) async fn find_available(
    app: &App,
    caller: &Caller,
    sent: pb::FindAvailableTeamsRequest,
) -> Result<pb::FindAvailableTeamsResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let task = reader.id("task_id", &sent.task_id, TaskId::new);
    let days = convert::read_days(&mut reader, "", sent.first_day, sent.last_day);
    let operator = reader.optional_id("organization_id", &sent.organization_id, OrganizationId::new);
    if sent.include_overridable && !sent.available_only {
        reader.bad("include_overridable", "is given without available_only");
    }
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let all = page.zip(task).zip(days.zip(operator)).zip(min_revision);
    let (((page, task), ((first_day, last_day), operator)), min_revision) = reader.finish(all)?;
    let wanted = Candidates {
        task,
        asked: Asked { first_day, last_day, cover: AskedCover::default() },
        operator,
        available_only: sent.available_only,
        include_overridable: sent.include_overridable,
    };
    let found = app.find_available_teams(caller, wanted, min_revision, page).await?;
    let names = match found.rows.first() {
        // All are teams of one operator.
        Some(first) => {
            let findings = found.rows.iter().flat_map(|of| &of.checked.findings);
            app.names_in_findings(caller, first.team.organization, findings).await?
        }
        None => NamesByPerson::new(),
    };
    let candidate = |of: &crate::app::assignment::Candidate| pb::Candidate {
        team: Some(team(&of.team)),
        findings: convert::findings(&of.checked.findings, &names),
        overridable: of.checked.overridable,
    };
    Ok(pb::FindAvailableTeamsResponse {
        candidates: found.rows.iter().map(candidate).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}
