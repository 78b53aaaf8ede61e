//! Reading assignments.

use std::sync::Arc;

use jiff::civil::Date;
use uuid::Uuid;

use crate::app::App;
use crate::app::page::{Page, PageRequest};
use crate::app::token::Filter;
use crate::domain::assignment::Assignment;
use crate::domain::caller::Caller;
use crate::domain::ids::{AssignmentId, OrganizationId, PersonId, TaskId, TeamId};
use crate::domain::kind::Kind;
use crate::error::Error;
use crate::store::assignment::{AssignmentFilter, find_assignment, find_operator_of, list_assignments};

/// Bytes of an id in a page token.
const ID_LEN: usize = 16;

impl App {
    /// One assignment.
    ///
    /// # Errors
    /// `NotFound` when there is none that the caller may see.
    pub async fn get_assignment(
        &self,
        caller: &Caller,
        id: AssignmentId,
        min_revision: i64,
    ) -> Result<Assignment, Error> {
        let missing = || Error::not_found(Kind::Assignment, id);
        let operator = find_operator_of(self.store.pool(), id).await?.ok_or_else(missing)?;
        self.expect_seen(caller, operator, Kind::Assignment, id).await?;
        self.feed.reach(operator.scope(), min_revision).await?;
        let found = self.store.snapshot(move |conn| Box::pin(async move { find_assignment(conn, id).await }));
        found.await?.ok_or_else(missing)
    }

    /// Assignments of an operator by first day and id.
    ///
    /// # Errors
    /// `NotFound` when the caller may not see them; `PageToken` when the token is of another list.
    pub async fn list_assignments(
        &self,
        caller: &Caller,
        mut filter: AssignmentFilter,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<Assignment>, Error> {
        self.expect_seen(caller, filter.operator, Kind::Organization, filter.operator).await?;
        self.feed.reach(filter.operator.scope(), min_revision).await?;
        let bound = bound(&filter);
        filter.after = page.position(self, bound)?.map(|position| read_position(&position)).transpose()?;
        let (filter, limit) = (Arc::new(filter), page.limit());
        let rows = self.store.snapshot(move |conn| {
            let filter = Arc::clone(&filter);
            Box::pin(async move { list_assignments(conn, &filter, limit).await })
        });
        Ok(page.cut(self, bound, rows.await?, position))
    }
}

fn bound(filter: &AssignmentFilter) -> Filter {
    let operator = OrganizationId::uuid(filter.operator);
    let id = |id: Option<Uuid>| id.unwrap_or_default().into_bytes();
    let day = |day: Option<Date>| day.map(|day| day.to_string()).unwrap_or_default();
    Filter::of(&[
        b"assignments",
        operator.as_bytes(),
        &id(filter.team.map(TeamId::uuid)),
        &id(filter.task.map(TaskId::uuid)),
        &id(filter.person.map(PersonId::uuid)),
        day(filter.from).as_bytes(),
        day(filter.until).as_bytes(),
    ])
}

/// The id, then the first day in its usual form.
fn position(of: &Assignment) -> Vec<u8> {
    let mut bytes = of.id.uuid().as_bytes().to_vec();
    bytes.extend(of.first_day.to_string().into_bytes());
    bytes
}

fn read_position(bytes: &[u8]) -> Result<(Date, AssignmentId), Error> {
    let parsed = || {
        let (id, day) = bytes.split_at_checked(ID_LEN)?;
        let day = std::str::from_utf8(day).ok()?.parse().ok()?;
        Some((day, AssignmentId::new(Uuid::from_slice(id).ok()?)))
    };
    parsed().ok_or(Error::PageToken)
}
