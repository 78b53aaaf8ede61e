//! Use cases of safety stops: issuing and lifting here, who may and who is concerned in `parties`, lists in [`list`].
//!
//! A stop holds the journals of its target and of the program and the operator of every task that it concerns. Steps
//! that lead to work hold the journal of every possible target, so that none slips through while a stop is written.

pub mod list;
mod parties;

use crate::app::App;
use crate::app::change::{Changed, Changing, Ground, Record, Request};
use crate::app::safety_stop::parties::Parties;
use crate::app::site::known_site;
use crate::app::task::record;
use crate::app::team::expect_revision;
use crate::domain::caller::{Caller, Role};
use crate::domain::ids::{OrganizationId, ProgramId, SafetyStopId, ScopeId, SiteId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::safety_stop::{Lifted, SafetyStop, SafetyStopCause, StopTarget, halt_site, halt_task};
use crate::domain::task::{Task, scopes_of};
use crate::domain::text::Reason;
use crate::error::Error;
use crate::store::Connection;
use crate::store::safety_stop::{add_told, find_stop, insert_stop, list_in_force, list_told, update_lifted};
use crate::store::site::{find_site, update_site};
use crate::store::task::{find_task, list_concerned, update_progress};

/// What a caller wants to halt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halted {
    /// A task of a program.
    Task(ProgramId, TaskId),
    /// A site.
    Site(SiteId),
    /// All work of an operator.
    Operator(OrganizationId),
}

/// A safety stop to issue.
#[derive(Debug, Clone)]
pub struct Halt {
    /// Its id.
    pub id: SafetyStopId,
    /// What to halt.
    pub what: Halted,
    /// Why, for programs.
    pub cause: SafetyStopCause,
    /// Why, for people.
    pub reason: Reason,
}

/// Halt a target that is there.
struct IssueStop {
    halt: Halt,
    target: StopTarget,
}

/// End a safety stop.
pub struct LiftStop {
    /// The stop.
    pub stop: SafetyStopId,
    /// Why work may go on.
    pub reason: Reason,
    /// Its revision as the caller knows it.
    pub expected_revision: i64,
}

/// The organization for which a caller acts; none for an administrator, who acts for everyone.
fn organization_of(caller: &Caller) -> Option<OrganizationId> {
    caller.organization_id().filter(|_| caller.role() != Role::Admin).map(OrganizationId::new)
}

/// The journals that a stop of a target concerns: the target's first, then those of the tasks.
fn scopes(target: StopTarget, concerned: &[Task], more: Vec<ScopeId>) -> Vec<ScopeId> {
    let first = target.scope();
    let mut rest = scopes_of(concerned);
    rest.extend(more);
    rest.sort_unstable();
    rest.dedup();
    rest.retain(|scope| *scope != first);
    std::iter::once(first).chain(rest).collect()
}

impl Changing for IssueStop {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(scopes(self.target, &list_concerned(conn, self.target).await?, Vec::new()))
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let mut tasks = list_concerned(&mut *ground.conn, self.target).await?;
        let told = scopes(self.target, &tasks, Vec::new());
        let suspended_tasks =
            tasks.iter_mut().filter_map(|task| halt_task(task).then_some(task.id)).collect();
        let Halt { id, cause, reason, .. } = self.halt.clone();
        let stop = SafetyStop {
            id,
            target: self.target,
            cause,
            reason,
            issued_by: ground.caller.subject().to_owned(),
            issued_by_organization: organization_of(ground.caller),
            issued_at: ground.now,
            lifted: None,
            suspended_tasks,
            revision: ground.revision(self.target.scope())?,
        };
        insert_stop(ground.conn, &stop, &told).await?;
        // First in every journal.
        for scope in &told {
            ground.record(*scope, Record::SafetyStop(Box::new(stop.clone())))?;
        }
        for mut task in tasks {
            task.safety_stops.push(id);
            touch(ground, task).await?;
        }
        match self.target {
            StopTarget::Site(_, site) => suspend_site(ground, site, &told).await,
            StopTarget::Task(..) | StopTarget::Operator(_) => Ok(()),
        }
    }
}

/// Records a task that came under a stop or out of one, also where its state stays: its history is to tell.
async fn touch(ground: &mut Ground<'_>, mut task: Task) -> Result<(), Error> {
    task.revision = ground.revision(task.program.scope())?;
    update_progress(ground.conn, &task).await?;
    record(ground, &task)
}

/// Suspends a site and records it wherever its changes are told: in the journals of its authority and of the
/// operators on it.
async fn suspend_site(ground: &mut Ground<'_>, site: SiteId, told: &[ScopeId]) -> Result<(), Error> {
    let mut site = known_site(ground.conn, site).await?;
    if !halt_site(&mut site) {
        return Ok(());
    }
    site.revision = ground.revision(site.authority.scope())?;
    update_site(ground.conn, &site).await?;
    let operators = crate::store::site::list_operators_on(&mut *ground.conn, &[site.id]).await?;
    for scope in std::iter::once(site.authority).chain(operators).map(OrganizationId::scope) {
        if told.contains(&scope) {
            ground.record(scope, Record::Site(Box::new(site.clone())))?;
        }
    }
    Ok(())
}

impl Changing for LiftStop {
    /// Whoever was told that it was issued is told that it is lifted, and whoever is concerned by now.
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        let stop = known_stop(conn, self.stop).await?;
        let concerned = list_concerned(&mut *conn, stop.target).await?;
        Ok(scopes(stop.target, &concerned, list_told(conn, stop.id).await?))
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let mut stop = known_stop(ground.conn, self.stop).await?;
        expect_revision(Kind::SafetyStop, stop.id, self.expected_revision, stop.revision)?;
        let by = ground.caller.subject().to_owned();
        stop.lift(Lifted { by, at: ground.now, reason: self.reason.clone() })?;
        stop.revision = ground.revision(stop.target.scope())?;
        let told = self.scopes(ground.conn).await?;
        update_lifted(ground.conn, &stop, &told).await?;
        for scope in told {
            ground.record(scope, Record::SafetyStop(Box::new(stop.clone())))?;
        }
        for task in list_concerned(&mut *ground.conn, stop.target).await? {
            touch(ground, task).await?;
        }
        Ok(())
    }
}

/// A stop that must be there.
async fn known_stop(conn: &mut Connection, id: SafetyStopId) -> Result<SafetyStop, Error> {
    find_stop(conn, id).await?.ok_or_else(|| Error::not_found(Kind::SafetyStop, id))
}

/// Tells the journals of a task that was just issued of the stops in force for it, before the task itself.
pub(crate) async fn tell_of_stops(ground: &mut Ground<'_>, task: &Task) -> Result<(), Error> {
    let stops = list_in_force(&mut *ground.conn, &StopTarget::all_of(task)).await?;
    for stop in stops {
        let told = list_told(&mut *ground.conn, stop.id).await?;
        for scope in task.scopes().into_iter().filter(|scope| !told.contains(scope)) {
            add_told(ground.conn, stop.id, scope).await?;
            ground.record(scope, Record::SafetyStop(Box::new(stop.clone())))?;
        }
    }
    Ok(())
}

impl App {
    /// Halts a task, a site or all work of an operator.
    ///
    /// # Errors
    /// `NotFound` for what does not exist or does not concern the caller.
    pub async fn issue_safety_stop(
        &self,
        caller: &Caller,
        request: Request,
        halt: Halt,
    ) -> Result<Changed, Error> {
        let target = self.stop_target(halt.what).await?;
        let parties = Parties::of(&self.store, target).await?;
        // Whoever issued it may be no party any more when the call is sent again.
        if !parties.may_issue(caller) && !Parties::told(&self.store, halt.id).await?.may_issue(caller) {
            return Err(unknown(target));
        }
        self.raise_stop(caller, request, halt, target).await
    }

    /// Halts a target, whoever asks for it.
    pub(crate) async fn raise_stop(
        &self,
        caller: &Caller,
        request: Request,
        halt: Halt,
        target: StopTarget,
    ) -> Result<Changed, Error> {
        self.change(caller, request, IssueStop { halt, target }).await
    }

    /// Ends a safety stop.
    ///
    /// # Errors
    /// `Stale` when the caller knows an older state; `WrongState` when it was lifted before; `Forbidden` for who may
    /// stop work but not let it go on.
    pub async fn lift_safety_stop(
        &self,
        caller: &Caller,
        request: Request,
        lift: LiftStop,
    ) -> Result<Changed, Error> {
        let found = find_stop(self.store.pool(), lift.stop).await?;
        let stop = found.ok_or_else(|| Error::not_found(Kind::SafetyStop, lift.stop))?;
        // A call that is sent again gets its answer, even from who is no party any more; nothing is lifted twice.
        if stop.lifted.is_some() && Parties::told(&self.store, stop.id).await?.may_issue(caller) {
            return self.change(caller, request, lift).await;
        }
        let parties = Parties::of(&self.store, stop.target).await?;
        if !parties.may_issue(caller) {
            return Err(Error::not_found(Kind::SafetyStop, lift.stop));
        }
        if !parties.may_lift(caller, &stop) {
            return Err(Error::Forbidden);
        }
        self.change(caller, request, lift).await
    }

    /// The target that is meant, which must be there.
    async fn stop_target(&self, what: Halted) -> Result<StopTarget, Error> {
        let pool = self.store.pool();
        match what {
            Halted::Task(program, id) => {
                let found = find_task(pool, id).await?.filter(|task| task.program == program);
                found.map(|_| StopTarget::Task(program, id)).ok_or_else(|| Error::not_found(Kind::Task, id))
            }
            Halted::Site(id) => {
                let found = find_site(pool, id).await?;
                let site = found.ok_or_else(|| Error::not_found(Kind::Site, id))?;
                Ok(StopTarget::Site(site.authority, id))
            }
            Halted::Operator(id) => {
                self.expect_organization(id, crate::domain::organization::OrganizationKind::Operator).await?;
                Ok(StopTarget::Operator(id))
            }
        }
    }
}

/// A target that is not the caller's to know of.
fn unknown(target: StopTarget) -> Error {
    let kind = match target {
        StopTarget::Task(..) => Kind::Task,
        StopTarget::Site(..) => Kind::Site,
        StopTarget::Operator(_) => Kind::Organization,
    };
    Error::not_found(kind, target.id())
}
