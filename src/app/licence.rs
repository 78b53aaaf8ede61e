//! Use cases of task licences: which task an operator may do.

use crate::app::App;
use crate::app::change::{Changed, Changing, Ground, Record, Request};
use crate::app::page::{Page, PageRequest};
use crate::app::rights::may_act_for;
use crate::app::token::Filter;
use crate::domain::accreditation::TaskLicence;
use crate::domain::caller::Caller;
use crate::domain::days::Days;
use crate::domain::ids::{LicenceId, OrganizationId, ScopeId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::organization::OrganizationKind;
use crate::domain::refusal::Refusal;
use crate::domain::text::Reference;
use crate::error::Error;
use crate::store::Connection;
use crate::store::licence::{LicenceFilter, find_licensed_task, insert_licence, list_licences};

/// Permit an operator to do a task.
#[derive(Debug, Clone)]
pub struct GrantTaskLicence {
    /// Id of the licence.
    pub id: LicenceId,
    /// The operator.
    pub operator: OrganizationId,
    /// The authority that gives it.
    pub authority: OrganizationId,
    /// The task.
    pub task: TaskId,
    /// The number on the paper.
    pub certificate: Reference,
    /// On which days it holds.
    pub days: Days,
}

impl Changing for GrantTaskLicence {
    /// The first licence ever for a task makes others need one, so it must not come while the task's own operator sends
    /// a team.
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        let task = find_licensed_task(conn, self.task).await?;
        let other = task.and_then(|task| task.operator).filter(|other| *other != self.operator);
        Ok([self.operator].into_iter().chain(other).map(OrganizationId::scope).collect())
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let task = find_licensed_task(&mut *ground.conn, self.task).await?;
        let task = task.ok_or_else(|| Error::not_found(Kind::Task, self.task))?;
        if let Some(owner) = task.authority.filter(|owner| *owner != self.authority) {
            let (id, organization) = (self.task.uuid(), self.authority);
            return Err(Refusal::BelongsElsewhere { kind: Kind::Task, id, owner, organization }.into());
        }
        let scope = self.operator.scope();
        let licence = TaskLicence {
            id: self.id,
            organization: self.operator,
            authority: self.authority,
            program: task.program,
            task: self.task,
            certificate: self.certificate.clone(),
            days: self.days,
            created_at: ground.now,
            revision: ground.revision(scope)?,
        };
        insert_licence(ground.conn, &licence).await?;
        ground.record(scope, Record::Licence(licence))
    }
}

impl App {
    /// Permits an operator to do a task.
    ///
    /// # Errors
    /// `Forbidden` to all but the authority; `NotFound` when there is no such task; refuses a task of another
    /// authority, and one that is not an operator.
    pub async fn grant_task_licence(
        &self,
        caller: &Caller,
        request: Request,
        new: GrantTaskLicence,
    ) -> Result<Changed, Error> {
        may_act_for(caller, new.authority)?;
        self.expect_organization(new.authority, OrganizationKind::Authority).await?;
        self.expect_organization(new.operator, OrganizationKind::Operator).await?;
        self.change(caller, request, new).await
    }

    /// Licences of an operator by id.
    ///
    /// # Errors
    /// `NotFound` when the caller may not see the operator's licences; `PageToken` when the token is of another list.
    pub async fn list_task_licences(
        &self,
        caller: &Caller,
        mut filter: LicenceFilter,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<TaskLicence>, Error> {
        self.expect_seen(caller, filter.operator, Kind::Organization, filter.operator).await?;
        self.feed.reach(filter.operator.scope(), min_revision).await?;
        let task = format!("{:?}", filter.task);
        let bound = Filter::of(&[b"task licences", filter.operator.uuid().as_bytes(), task.as_bytes()]);
        filter.after = page.id_position(self, bound)?;
        let rows = list_licences(self.store.pool(), &filter, page.limit()).await?;
        Ok(page.cut(self, bound, rows, |row| row.id.uuid().as_bytes().to_vec()))
    }
}
