//! Lists of safety stops.

use jiff::Timestamp;
use uuid::Uuid;

use crate::app::App;
use crate::app::page::{Page, PageRequest};
use crate::app::safety_stop::Halted;
use crate::app::safety_stop::parties::Parties;
use crate::app::token::Filter;
use crate::domain::caller::{Caller, Role};
use crate::domain::ids::{OrganizationId, ProgramId, ScopeId, SiteId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::safety_stop::{SafetyStop, StopTarget};
use crate::domain::task::Task;
use crate::error::Error;
use crate::store::safety_stop::{StopFilter, list_stops};

/// Whose safety stops to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopsOf {
    /// All in the journal of a program.
    Program(ProgramId),
    /// All in the journal of an operator.
    Operator(OrganizationId),
    /// Those of a task, its sites and its operator.
    Task(TaskId),
    /// Those of a site.
    Site(SiteId),
}

impl StopsOf {
    const fn id(self) -> Uuid {
        match self {
            Self::Program(id) => id.uuid(),
            Self::Operator(id) => id.uuid(),
            Self::Task(id) => id.uuid(),
            Self::Site(id) => id.uuid(),
        }
    }
}

impl App {
    /// Safety stops, the newest first.
    ///
    /// # Errors
    /// `NotFound` for what the caller does not see; `PageToken` when the token is of another list.
    pub async fn list_safety_stops(
        &self,
        caller: &Caller,
        of: StopsOf,
        in_force_only: bool,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<SafetyStop>, Error> {
        let (journal, mut filter) = self.stops_seen(caller, of).await?;
        self.feed.reach(journal, min_revision).await?;
        let bound = Filter::of(&[b"safety stops", of.id().as_bytes(), &[u8::from(in_force_only)]]);
        let position = page.position(self, bound)?;
        filter.before = position.map(|bytes| read_position(&bytes)).transpose()?;
        filter.in_force_only = in_force_only;
        let rows = list_stops(self.store.pool(), &filter, page.limit()).await?;
        Ok(page.cut(self, bound, rows, |row| {
            [&row.issued_at.as_microsecond().to_be_bytes()[..], row.id.uuid().as_bytes()].concat()
        }))
    }

    /// The journal to wait for, and the filter, if the caller sees what is asked for.
    async fn stops_seen(&self, caller: &Caller, of: StopsOf) -> Result<(ScopeId, StopFilter), Error> {
        let told = |scope| (scope, StopFilter { told: Some(scope), ..StopFilter::default() });
        let aimed = |scope, targets| (scope, StopFilter { targets: Some(targets), ..StopFilter::default() });
        match of {
            StopsOf::Program(id) => {
                self.program(caller, id).await?;
                Ok(told(id.scope()))
            }
            StopsOf::Operator(id) => {
                self.expect_seen(caller, id, Kind::Organization, id).await?;
                Ok(told(id.scope()))
            }
            StopsOf::Task(id) => {
                let task = self.get_task(caller, id, 0).await?;
                Ok(aimed(task.program.scope(), self.targets_seen(caller, &task).await?))
            }
            StopsOf::Site(id) => {
                let target = self.stop_target(Halted::Site(id)).await?;
                let seen = self.sees_stops_of(caller, target).await?;
                let found = seen.then(|| aimed(target.scope(), vec![target]));
                found.ok_or_else(|| Error::not_found(Kind::Site, id))
            }
        }
    }

    /// What of a task a caller may read the stops of. A plan may name any site and any operator, so until the order only
    /// those whose stops the caller could list without it.
    async fn targets_seen(&self, caller: &Caller, task: &Task) -> Result<Vec<StopTarget>, Error> {
        let mut seen = Vec::new();
        for target in StopTarget::all_of(task) {
            if task.is_issued() || self.sees_stops_of(caller, target).await? {
                seen.push(target);
            }
        }
        Ok(seen)
    }

    /// Whether a caller may list the stops of a target by itself; of a task that it sees, always.
    async fn sees_stops_of(&self, caller: &Caller, target: StopTarget) -> Result<bool, Error> {
        match target {
            StopTarget::Task(..) => Ok(true),
            StopTarget::Operator(operator) => self.sees_operator(caller, operator).await,
            StopTarget::Site(..) if caller.role() == Role::Auditor => Ok(true),
            StopTarget::Site(..) => Ok(Parties::of(&self.store, target).await?.may_issue(caller)),
        }
    }
}

/// The stop after which a page begins.
fn read_position(bytes: &[u8]) -> Result<(Timestamp, Uuid), Error> {
    let (at, id) = bytes.split_at_checked(8).ok_or(Error::PageToken)?;
    let at = i64::from_be_bytes(at.try_into().map_err(|_| Error::PageToken)?);
    let at = Timestamp::from_microsecond(at).map_err(|_| Error::PageToken)?;
    Ok((at, Uuid::from_slice(id).map_err(|_| Error::PageToken)?))
}
