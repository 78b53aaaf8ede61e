//! Use cases of tasks: creating and reading here, edits of the plan in [`plan`], steps from state to state in [`step`],
//! who may do which in `rights`.

pub mod history;
pub mod plan;
mod rights;
pub mod step;

use uuid::Uuid;

use crate::app::App;
use crate::app::change::{Ground, Record};
use crate::app::page::{Page, PageRequest};
use crate::app::token::Filter;
use crate::domain::caller::{Caller, Role};
use crate::domain::ids::{OrganizationId, ProgramId, SiteId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::task::{Task, TaskState};
use crate::error::Error;
use crate::store::Connection;
use crate::store::task::{TaskFilter, find_task, list_tasks};

/// A task that must be there.
pub(crate) async fn known_task(conn: &mut Connection, id: TaskId) -> Result<Task, Error> {
    find_task(conn, id).await?.ok_or_else(|| Error::not_found(Kind::Task, id))
}

/// Records a task in every journal that holds it.
pub(crate) fn record(ground: &mut Ground<'_>, task: &Task) -> Result<(), Error> {
    for scope in task.scopes() {
        ground.record(scope, Record::Task(Box::new(task.clone())))?;
    }
    Ok(())
}

impl App {
    /// One task.
    ///
    /// # Errors
    /// `NotFound` when there is none that the caller may see.
    pub async fn get_task(&self, caller: &Caller, id: TaskId, min_revision: i64) -> Result<Task, Error> {
        let found = find_task(self.store.pool(), id).await?;
        let task = found.ok_or_else(|| Error::not_found(Kind::Task, id))?;
        self.expect_task_seen(caller, &task).await?;
        if min_revision == 0 {
            return Ok(task);
        }
        self.feed.reach(task.program.scope(), min_revision).await?;
        let found = find_task(self.store.pool(), id).await?;
        found.ok_or_else(|| Error::not_found(Kind::Task, id))
    }

    /// Tasks by code, of those that the caller sees.
    ///
    /// # Errors
    /// `PageToken` when the token is of another list.
    pub async fn list_tasks(
        &self,
        caller: &Caller,
        mut filter: TaskFilter,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<Task>, Error> {
        filter.seen_by = match caller.role() {
            Role::Admin | Role::Auditor => None,
            // These roles always have an organization; the nil one has no tasks.
            Role::Funder | Role::Coordinator | Role::Field => {
                Some(OrganizationId::new(caller.organization_id().unwrap_or_default()))
            }
        };
        filter.as_operator = matches!(caller.role(), Role::Coordinator | Role::Field);
        filter.as_authority = caller.role() == Role::Coordinator;
        let journal = filter.program.map(ProgramId::scope).or(filter.operator.map(OrganizationId::scope));
        if let Some(journal) = journal {
            self.feed.reach(journal, min_revision).await?;
        }
        let bound = bound(&filter);
        let position = page.position(self, bound)?;
        filter.after = position.map_or(Ok((String::new(), Uuid::nil())), |bytes| read_position(&bytes))?;
        let rows = list_tasks(self.store.pool(), &filter, page.limit()).await?;
        Ok(page.cut(self, bound, rows, |row| {
            [row.id.uuid().as_bytes(), row.plan.code.as_str().as_bytes()].concat()
        }))
    }
}

/// What a page token of a list of tasks is bound to.
fn bound(filter: &TaskFilter) -> Filter {
    Filter::of(&[
        b"tasks",
        filter.program.map(ProgramId::uuid).unwrap_or_default().as_bytes(),
        filter.operator.map(OrganizationId::uuid).unwrap_or_default().as_bytes(),
        filter.site.map(SiteId::uuid).unwrap_or_default().as_bytes(),
        filter.state.map_or("", TaskState::word).as_bytes(),
        filter.code_prefix.as_bytes(),
    ])
}

/// The code and the task after which a page begins.
fn read_position(bytes: &[u8]) -> Result<(String, Uuid), Error> {
    let (id, code) = bytes.split_at_checked(16).ok_or(Error::PageToken)?;
    let id = Uuid::from_slice(id).map_err(|_| Error::PageToken)?;
    let code = String::from_utf8(code.to_vec()).map_err(|_| Error::PageToken)?;
    Ok((code, id))
}
