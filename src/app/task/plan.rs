//! Creating tasks and editing their plans.

use crate::app::App;
use crate::app::change::{Changed, Changing, Ground, Request};
use crate::app::rights::may_act_for;
use crate::app::task::{known_task, record};
use crate::app::team::expect_revision;
use crate::domain::caller::Caller;
use crate::domain::ids::{OrganizationId, ScopeId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::organization::OrganizationKind;
use crate::domain::refusal::Refusal;
use crate::domain::task::plan::{
    PlanEdit, SitePlace, check_days, edited, missing, missing_of_work, one_authority, with_period,
};
use crate::domain::task::{Task, TaskState};
use crate::error::{Error, Violations};
use crate::store::Connection;
use crate::store::assignment::held::list_standing_at;
use crate::store::funding::{find_allocation, list_periods};
use crate::store::task::facts::list_places;
use crate::store::task::{insert_task, update_plan};

/// Record a task.
pub struct CreateTask(pub Task);

/// Change the plan of a task.
pub struct UpdateTask {
    /// The task.
    pub task: TaskId,
    /// The new values.
    pub edits: Vec<PlanEdit>,
    /// Its revision as the caller knows it.
    pub expected_revision: i64,
}

impl Changing for CreateTask {
    async fn scopes(&self, _conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![self.0.program.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let revision = ground.revision(self.0.program.scope())?;
        let mut task = Task { created_at: ground.now, revision, ..self.0.clone() };
        place(ground.conn, &mut task).await?;
        insert_task(ground.conn, &task).await?;
        let task = known_task(ground.conn, task.id).await?;
        record(ground, &task)
    }
}

impl Changing for UpdateTask {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(known_task(conn, self.task).await?.scopes())
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let mut task = known_task(ground.conn, self.task).await?;
        expect_revision(Kind::Task, task.id, self.expected_revision, task.revision)?;
        let last_day = task.plan.last_day;
        task.plan = edited(&task, &self.edits)?;
        let places = place(ground.conn, &mut task).await?;
        let missing = match task.state {
            TaskState::Draft => Vec::new(),
            TaskState::Planned => missing_for_order(ground.conn, &task, &places).await?,
            _ => missing_of_work(&task.plan),
        };
        expect_ready(&task, "lose what an order needs", missing)?;
        if task.plan.last_day < last_day {
            expect_nobody_later(ground.conn, &task).await?;
        }
        task.revision = ground.revision(task.program.scope())?;
        update_plan(ground.conn, &task).await?;
        // Read again, since other sites or another operator may be under a safety stop.
        let task = known_task(ground.conn, task.id).await?;
        record(ground, &task)
    }
}

/// Refuses a last day before that of a team that is still assigned.
async fn expect_nobody_later(conn: &mut Connection, task: &Task) -> Result<(), Error> {
    let held = list_standing_at(conn, task.id).await?;
    let later = held.iter().filter(|of| task.plan.last_day < of.days.last());
    let missing = later.map(|of| {
        let until = of.days.last().unwrap_or(of.days.first());
        format!("assignment {} stands until {until}; end that with EndAssignment first", of.id)
    });
    expect_ready(task, "end earlier", missing.collect())
}

/// The sites of a plan, which must all be there; sets the authority and the country that follow from them.
async fn place(conn: &mut Connection, task: &mut Task) -> Result<Vec<SitePlace>, Error> {
    check_days(&task.plan).map_err(|rule| Violations::one("task.last_day", rule))?;
    let places = list_places(&mut *conn, &task.plan.sites).await?;
    let unknown = task.plan.sites.iter().find(|site| places.iter().all(|place| place.site != **site));
    if let Some(site) = unknown {
        return Err(Error::not_found(Kind::Site, site));
    }
    (task.authority, task.country) = one_authority(&places)?.unzip();
    Ok(places)
}

/// What a task lacks to be an order. Asked under the lock of the program's journal, so that neither the tree nor the
/// period changes in between.
pub(super) async fn missing_for_order(
    conn: &mut Connection,
    task: &Task,
    places: &[SitePlace],
) -> Result<Vec<String>, Error> {
    let allocation = match task.plan.allocation {
        Some(id) => find_allocation(&mut *conn, task.program, id).await?,
        None => None,
    };
    let periods = list_periods(&mut *conn, task.program).await?;
    Ok(missing(task.id, &task.plan, with_period(allocation.as_ref(), &periods), places))
}

/// Refuses with everything that is missing, if anything is.
pub(super) fn expect_ready(task: &Task, action: &'static str, missing: Vec<String>) -> Result<(), Error> {
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::NotReady { kind: Kind::Task, id: task.id.uuid(), action, missing }.into())
}

impl App {
    /// Records a task.
    ///
    /// # Errors
    /// Refuses a code that is taken, sites of several authorities, and an operator that is none; `NotFound` for an
    /// allocation, site or operator that does not exist.
    pub async fn create_task(
        &self,
        caller: &Caller,
        request: Request,
        new: CreateTask,
    ) -> Result<Changed, Error> {
        let program = self.program(caller, new.0.program).await?;
        may_act_for(caller, program.office)?;
        self.expect_operator(new.0.plan.operator).await?;
        self.change(caller, request, new).await
    }

    /// Changes the plan of a task.
    ///
    /// # Errors
    /// `Stale` when the caller knows an older state; `WrongState` when the task is too far; `NotReady` when it would no
    /// longer be complete; and what [`App::create_task`] refuses.
    pub async fn update_task(
        &self,
        caller: &Caller,
        request: Request,
        update: UpdateTask,
    ) -> Result<Changed, Error> {
        let task = self.get_task(caller, update.task, 0).await?;
        self.expect_task_office(caller, &task).await?;
        for edit in &update.edits {
            if let PlanEdit::Operator(operator) = edit {
                self.expect_operator(*operator).await?;
            }
        }
        self.change(caller, request, update).await
    }

    async fn expect_operator(&self, operator: Option<OrganizationId>) -> Result<(), Error> {
        if let Some(operator) = operator {
            self.expect_organization(operator, OrganizationKind::Operator).await?;
        }
        Ok(())
    }
}
