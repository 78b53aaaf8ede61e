//! Checks without effect: one proposal, or all teams of an operator for one task.

use std::sync::Arc;

use crate::app::App;
use crate::app::assignment::facts::{load, load_crews, named_work, window};
use crate::app::assignment::{Proposal, expect_recent, today_at};
use crate::app::page::{Page, PageRequest};
use crate::app::person::NamesByPerson;
use crate::app::token::Filter;
use crate::domain::assignment::facts::{Asked, Facts, Operator};
use crate::domain::assignment::gate::{findings, overridable};
use crate::domain::assignment::{AssignmentState, Finding};
use crate::domain::caller::Caller;
use crate::domain::ids::{AssignmentId, OrganizationId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::team::Team;
use crate::error::Error;
use crate::store::Connection;
use crate::store::assignment::find_assignment;
use crate::store::team::{TeamFilter, list_teams};

/// The most teams that one call looks at when it leaves out those that may not be sent.
const LOOKED_AT_MAX: usize = 1_000;
/// The fewest teams that are read at a time when those that may not be sent are left out: a small page must not take
/// hundreds of turns.
const BATCH_MIN: usize = 100;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Why the team should not be sent; empty when it may be.
    pub findings: Vec<Finding>,
    /// Whether there are findings and a coordinator may override all of them.
    pub overridable: bool,
}

impl Checked {
    fn new(findings: Vec<Finding>) -> Self {
        Self { overridable: !findings.is_empty() && overridable(&findings), findings }
    }
}

/// Which teams to look at for which task.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// The task.
    pub task: TaskId,
    /// The days. The medical cover in it is not looked at.
    pub asked: Asked,
    /// Whose teams; none for the operator that the task is issued to.
    pub operator: Option<OrganizationId>,
    /// Leaves out teams that may not be sent.
    pub available_only: bool,
    /// Takes teams for available whose findings may all be overridden.
    pub include_overridable: bool,
}

/// A team that could be sent.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The team.
    pub team: Team,
    /// What stands in the way.
    pub checked: Checked,
}

impl Candidates {
    fn wants(&self, checked: &Checked) -> bool {
        let fit = checked.findings.is_empty() || (self.include_overridable && checked.overridable);
        !self.available_only || fit
    }

    fn bound(&self, operator: OrganizationId) -> Filter {
        let (first, last) = (self.asked.first_day.to_string(), self.asked.last_day.to_string());
        Filter::of(&[
            b"candidates",
            operator.uuid().as_bytes(),
            self.task.uuid().as_bytes(),
            first.as_bytes(),
            last.as_bytes(),
            &[u8::from(self.available_only), u8::from(self.include_overridable)],
        ])
    }
}

impl App {
    /// What `assign_team` would find, and the names in it that the caller may read. With the id of a standing assignment
    /// of the team, what stands in its way by now, apart from itself.
    ///
    /// # Errors
    /// `NotFound` for a team, task, person or asset that is not there for the caller.
    pub async fn check_assignment(
        &self,
        caller: &Caller,
        id: Option<AssignmentId>,
        proposal: Proposal,
        min_revision: i64,
    ) -> Result<(Checked, NamesByPerson), Error> {
        let team = self.get_team(caller, proposal.team, min_revision).await?;
        let operator = team.organization;
        self.get_task(caller, proposal.task, 0).await?;
        let (now, policy) = (self.now(), self.policy);
        let shared = Arc::new((team, proposal));
        let checked = self.store.look_up(move |conn| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let (team, proposal) = &*shared;
                let own = own_standing(conn, id, team).await?;
                let loaded = load(conn, team.clone(), proposal, own).await?;
                if own.is_none() {
                    expect_recent(&loaded.work, &proposal.asked, now)?;
                }
                loaded.findings(&proposal.asked, now, policy)
            })
        });
        let checked = checked.await.map(Checked::new)?;
        let names = self.names_in_findings(caller, operator, checked.findings.iter()).await?;
        Ok((checked, names))
    }

    /// Teams of an operator by code, each with what stands in the way.
    ///
    /// # Errors
    /// `NotFound` for a task or an operator that is not there for the caller; `PageToken` when the token is of another
    /// list.
    pub async fn find_available_teams(
        &self,
        caller: &Caller,
        wanted: Candidates,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<Candidate>, Error> {
        let task = self.get_task(caller, wanted.task, 0).await?;
        let operator = wanted.operator.or(task.plan.operator);
        let operator = operator.ok_or_else(|| Error::not_found(Kind::Task, wanted.task))?;
        self.expect_seen(caller, operator, Kind::Task, wanted.task).await?;
        self.feed.reach(operator.scope(), min_revision).await?;
        let bound = wanted.bound(operator);
        let mut after_code = page.text_position(self, bound)?;
        let size = usize::from(page.size);
        let batch = if wanted.available_only { size.max(BATCH_MIN) } else { size };
        let (mut found, mut looked_at) = (Vec::new(), 0);
        while found.len() < size && looked_at < LOOKED_AT_MAX {
            let filter = TeamFilter {
                operator,
                kind: None,
                code_prefix: String::new(),
                after_code: after_code.clone(),
            };
            // One more than is looked at, to see whether there is a next batch.
            let judged = self.judge(&wanted, filter, batch + 1).await?;
            let last_batch = judged.len() <= batch;
            let mut judged = judged.into_iter().take(batch);
            // The next page looks again at what is left when this one is full.
            while found.len() < size
                && let Some(candidate) = judged.next()
            {
                looked_at += 1;
                candidate.team.code.as_str().clone_into(&mut after_code);
                if wanted.wants(&candidate.checked) {
                    found.push(candidate);
                }
            }
            if last_batch && judged.len() == 0 {
                return Ok(Page { rows: found, next: None });
            }
        }
        let next = Some(self.sealer.seal(bound, after_code.as_bytes()));
        Ok(Page { rows: found, next })
    }

    /// Looks at some teams of an operator, on one snapshot.
    async fn judge(
        &self,
        wanted: &Candidates,
        filter: TeamFilter,
        count: usize,
    ) -> Result<Vec<Candidate>, Error> {
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        let (now, policy) = (self.now(), self.policy);
        let shared = Arc::new((wanted.clone(), filter));
        let judged = self.store.look_up(move |conn| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let (wanted, filter) = &*shared;
                let (work, licensed) = named_work(conn, wanted.task, filter.operator).await?;
                expect_recent(&work, &wanted.asked, now)?;
                let teams = list_teams(&mut *conn, filter, limit).await?;
                let window = window(wanted.task, &wanted.asked, None);
                let (accredited, crews) = load_crews(conn, filter.operator, teams, &work, window).await?;
                let operator = Operator { id: filter.operator, accredited, licensed };
                let today = today_at(&work, now);
                let judge = |crew| {
                    let facts = Facts { work: &work, operator: &operator, crew: &crew, gear: None };
                    let checked = findings(facts, &wanted.asked, today, policy).map(Checked::new);
                    Ok(Candidate { checked: checked.map_err(Error::bug)?, team: crew.team })
                };
                crews.into_iter().map(judge).collect()
            })
        });
        judged.await
    }
}

/// The assignment that is meant when it is one of the team that stands.
async fn own_standing(
    conn: &mut Connection,
    id: Option<AssignmentId>,
    team: &Team,
) -> Result<Option<AssignmentId>, Error> {
    let Some(id) = id else { return Ok(None) };
    let found = find_assignment(conn, id).await?;
    let own = found.filter(|of| of.team == team.id && of.state == AssignmentState::Standing);
    Ok(own.map(|of| of.id))
}
