//! Use cases of assignments: sending a team, ending that, and reading what was decided.
//!
//! An assignment is in the journal of the team's operator. Whoever stops work locks the head of that journal too, so
//! what is read under it holds until the assignment is recorded: no team is sent after a stop was answered.

mod calling_off;
mod check;
mod facts;
pub(crate) mod holding;
mod reads;

pub(crate) use calling_off::call_off;
pub use check::{Candidate, Candidates, Checked};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::app::App;
use crate::app::assignment::facts::{Loaded, load, named_work};
use crate::app::change::{Changed, Changing, Ground, Record, Request};
use crate::app::rights::is_of;
use crate::app::team::{expect_revision, known_team};
use crate::domain::assignment::ending::{CannotEnd, end};
use crate::domain::assignment::facts::{Asked, Work};
use crate::domain::assignment::gate::overridable;
use crate::domain::assignment::{
    AssignedPerson, Assignment, AssignmentState, Finding, FindingReason, Override,
};
use crate::domain::caller::{Caller, Role};
use crate::domain::days::today_in;
use crate::domain::ids::{AssetId, AssignmentId, OrganizationId, ScopeId, TaskId, TeamId};
use crate::domain::kind::Kind;
use crate::domain::policy::Policy;
use crate::domain::refusal::Refusal;
use crate::domain::text::Reason;
use crate::error::{Error, Violations};
use crate::store::Connection;
use crate::store::assignment::facts::find_office_of_task;
use crate::store::assignment::held::list_standing_of;
use crate::store::assignment::{
    Taken, end_assignment, find_assignment, find_assignments, find_operator_of, insert_assignment,
};

/// How long ago an assignment may have begun when it is recorded: an order by radio reaches the office late.
pub const BEGUN_DAYS_MAX: i64 = 30;
/// The most days of one assignment: a leap year.
pub const DAYS_MAX: i64 = 366;
/// The most assets of one assignment.
pub const ASSETS_MAX: usize = 200;

/// A team that is to be sent to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The team.
    pub team: TeamId,
    /// The task.
    pub task: TaskId,
    /// When, and with which medical cover.
    pub asked: Asked,
    /// What the team takes along.
    pub assets: Vec<AssetId>,
}

/// Send a team to a task.
pub struct AssignTeam {
    /// Id of the assignment.
    pub id: AssignmentId,
    /// Who, where and when.
    pub proposal: Proposal,
    /// Why it is to be done all the same.
    pub override_reason: Option<Reason>,
    /// What whoever runs the service allows.
    pub policy: Policy,
}

/// Move the last day of an assignment.
pub struct EndAssignment {
    /// The assignment.
    pub id: AssignmentId,
    /// Its last day from now on.
    pub last_day: Date,
    /// Why.
    pub reason: Reason,
    /// Its revision as the caller knows it.
    pub expected_revision: i64,
}

impl Changing for AssignTeam {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![known_team(conn, self.proposal.team).await?.organization.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let team = known_team(ground.conn, self.proposal.team).await?;
        let operator = team.organization;
        let loaded = load(ground.conn, team, &self.proposal, None).await?;
        expect_recent(&loaded.work, &self.proposal.asked, ground.now)?;
        let findings = loaded.findings(&self.proposal.asked, ground.now, self.policy)?;
        let overridden = self.overriding(ground.caller, findings)?;
        let mut assignment = self.assignment(&loaded, overridden)?;
        assignment.created_at = ground.now;
        assignment.revision = ground.revision(operator.scope())?;
        if let Some(taken) = insert_assignment(ground.conn, &assignment).await? {
            return Err(self.refused(vec![beaten(taken, &assignment)]));
        }
        ground.record(operator.scope(), Record::Assignment(Box::new(assignment)))?;
        end_past(ground, operator, self.proposal.team).await
    }
}

/// Ends the assignments of a team whose last day is over. Until its next one a team goes on to hear of safety stops where
/// it was last; it must not hear of everything it ever did.
async fn end_past(ground: &mut Ground<'_>, operator: OrganizationId, team: TeamId) -> Result<(), Error> {
    let standing = list_standing_of(&mut *ground.conn, team).await?;
    let past = standing.iter().filter(|held| held.ahead(ground.now).is_none());
    let past: Vec<AssignmentId> = past.map(|held| held.id).collect();
    for mut assignment in find_assignments(ground.conn, &past).await? {
        assignment.state = AssignmentState::Ended;
        assignment.revision = ground.revision(operator.scope())?;
        end_assignment(ground.conn, &assignment, false).await?;
        ground.record(operator.scope(), Record::Assignment(Box::new(assignment)))?;
    }
    Ok(())
}

impl AssignTeam {
    fn refused(&self, findings: Vec<Finding>) -> Error {
        Refusal::AssignmentRefused { team: self.proposal.team, task: self.proposal.task, findings }.into()
    }

    /// The override that the findings need, if they need one.
    fn overriding(&self, caller: &Caller, findings: Vec<Finding>) -> Result<Option<Override>, Error> {
        if findings.is_empty() {
            return Ok(None);
        }
        match &self.override_reason {
            Some(reason) if overridable(&findings) => {
                let by = caller.subject().to_owned();
                Ok(Some(Override { reason: reason.clone(), by, findings }))
            }
            _ => Err(self.refused(findings)),
        }
    }

    fn assignment(&self, loaded: &Loaded, overridden: Option<Override>) -> Result<Assignment, Error> {
        let asked = &self.proposal.asked;
        let medical_cover = asked.cover.complete();
        let medical_cover =
            medical_cover.ok_or_else(|| Error::bug("a team was sent without medical cover"))?;
        let people = loaded.crew.members.iter().map(|member| AssignedPerson {
            person: member.person,
            first_day: member.first_day,
            last_day: member.last_day,
        });
        let mut assets = self.proposal.assets.clone();
        assets.sort_unstable();
        Ok(Assignment {
            id: self.id,
            team: self.proposal.team,
            organization: loaded.operator.id,
            program: loaded.work.program,
            task: loaded.work.task,
            first_day: asked.first_day,
            last_day: asked.last_day,
            assets,
            medical_cover,
            overridden,
            end_reason: None,
            people: people.collect(),
            state: AssignmentState::Standing,
            created_at: Timestamp::UNIX_EPOCH,
            revision: 0,
        })
    }
}

/// What the database found taken. The transaction is over by then, so it cannot be asked by whom.
fn beaten(taken: Taken, assignment: &Assignment) -> Finding {
    let (reason, what) = match taken {
        Taken::Team => (FindingReason::TeamBusy, "the team"),
        Taken::Person => (FindingReason::PersonBusy, "a member of the team"),
        Taken::Asset => (FindingReason::AssetBusy, "an asset"),
    };
    let text =
        format!("{what} was given to another assignment at the same moment; ask CheckAssignment which");
    Finding { reason, text, subject: assignment.team.uuid(), first_day: None, blocking: None }
}

/// The day it is where a task is.
fn today_at(work: &Work, now: Timestamp) -> Date {
    today_in(&TimeZone::get(&work.time_zone).unwrap_or(TimeZone::UTC), now)
}

fn expect_recent(work: &Work, asked: &Asked, now: Timestamp) -> Result<(), Error> {
    let today = today_at(work, now);
    let earliest = today.saturating_sub(Span::new().days(BEGUN_DAYS_MAX));
    if earliest <= asked.first_day {
        return Ok(());
    }
    let rule = format!(
        "{} is more than {BEGUN_DAYS_MAX} days before {today}, which is today in {}",
        asked.first_day, work.time_zone
    );
    Err(Violations::one("assignment.first_day", rule))
}

impl Changing for EndAssignment {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        let operator = find_operator_of(conn, self.id).await?;
        let operator = operator.ok_or_else(|| Error::not_found(Kind::Assignment, self.id))?;
        Ok(vec![operator.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let found = find_assignment(ground.conn, self.id).await?;
        let assignment = found.ok_or_else(|| Error::not_found(Kind::Assignment, self.id))?;
        expect_revision(Kind::Assignment, self.id, self.expected_revision, assignment.revision)?;
        let (work, _) = named_work(ground.conn, assignment.task, assignment.organization).await?;
        let today = today_at(&work, ground.now);
        let mut ended = end(&assignment, self.last_day, today, self.reason.clone()).map_err(cannot_end)?;
        let scope = assignment.organization.scope();
        ended.revision = ground.revision(scope)?;
        end_assignment(ground.conn, &ended, ended.state == AssignmentState::Cancelled).await?;
        ground.record(scope, Record::Assignment(Box::new(ended)))
    }
}

fn cannot_end(why: CannotEnd) -> Error {
    match why {
        CannotEnd::Refused(refusal) => (*refusal).into(),
        CannotEnd::Day(rule) => Violations::one("last_day", rule),
    }
}

/// An administrator assigns for everyone; coordinators for their own operator, and those of an office for its
/// programs' tasks.
fn may_assign(caller: &Caller, operator: OrganizationId, office: OrganizationId) -> Result<(), Error> {
    if caller.role() == Role::Admin || is_of(caller, operator) || is_of(caller, office) {
        return Ok(());
    }
    Err(Error::Forbidden)
}

impl App {
    /// Sends a team to a task.
    ///
    /// # Errors
    /// Refuses with every finding; `NotFound` for a team or a task that is not there for the caller; `Forbidden` for an override by anyone but a coordinator who is a party.
    pub async fn assign_team(
        &self,
        caller: &Caller,
        request: Request,
        new: AssignTeam,
    ) -> Result<Changed, Error> {
        let team = self.get_team(caller, new.proposal.team, 0).await?;
        let (operator, task) = (team.organization, new.proposal.task);
        self.get_task(caller, task, 0).await?;
        may_assign(caller, operator, self.office_of(task).await?)?;
        if new.override_reason.is_some() && caller.role() != Role::Coordinator {
            return Err(Error::Forbidden);
        }
        let done = self.change(caller, request, new).await;
        self.naming(caller, operator, done).await
    }

    /// Moves the last day of an assignment.
    ///
    /// # Errors
    /// `Stale` when the caller knows an older state; refuses what does not stand and a later day.
    pub async fn end_assignment(
        &self,
        caller: &Caller,
        request: Request,
        new: EndAssignment,
    ) -> Result<Changed, Error> {
        let assignment = self.get_assignment(caller, new.id, 0).await?;
        let (operator, task) = (assignment.organization, assignment.task);
        may_assign(caller, operator, self.office_of(task).await?)?;
        self.change(caller, request, new).await
    }

    /// The office of a task's program.
    async fn office_of(&self, task: TaskId) -> Result<OrganizationId, Error> {
        let office = find_office_of_task(self.store.pool(), task).await?;
        office.ok_or_else(|| Error::not_found(Kind::Task, task))
    }
}
