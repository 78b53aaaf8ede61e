//! The history of a task: every change of it, as the journal of its program keeps them.

use bytes::Bytes;

use crate::app::App;
use crate::app::page::{Page, PageRequest};
use crate::app::token::Filter;
use crate::domain::caller::Caller;
use crate::domain::ids::{ProgramId, TaskId};
use crate::domain::kind::Kind;
use crate::error::Error;
use crate::store::change::list_revisions_of;
use crate::store::journal::list_events_at;
use crate::store::task::find_issued_revision;

/// Changes of a task, as stored events.
pub struct TaskHistory {
    /// The change before the first of the page; none when the caller may read none.
    pub before: Option<Bytes>,
    /// The page, the oldest first.
    pub page: Page<Bytes>,
}

impl App {
    /// Changes of a task, the oldest first. Who does not see the program reads from the issuing on: what was
    /// considered before is not the operator's to know.
    ///
    /// # Errors
    /// `NotFound` when there is no task of the program that the caller may see; `PageToken` when the token is of
    /// another list.
    pub async fn task_history(
        &self,
        caller: &Caller,
        (program, id): (ProgramId, TaskId),
        min_revision: i64,
        page: PageRequest,
    ) -> Result<TaskHistory, Error> {
        let task = self.get_task(caller, id, 0).await?;
        if task.program != program {
            return Err(Error::not_found(Kind::Task, id));
        }
        self.feed.reach(program.scope(), min_revision).await?;
        let hidden = self.hidden_until(caller, program, id).await?;
        let bound = Filter::of(&[b"task history", id.uuid().as_bytes(), &hidden.to_be_bytes()]);
        let last = match page.position(self, bound)? {
            None => None,
            Some(bytes) => Some(i64::from_be_bytes(bytes.try_into().map_err(|_| Error::PageToken)?)),
        };
        let after = last.unwrap_or(hidden);
        let pool = self.store.pool();
        let found = list_revisions_of(pool, program.scope(), id.uuid(), after, page.limit()).await?;
        let Page { rows, next } = page.cut(self, bound, found, |revision| revision.to_be_bytes().to_vec());
        let wanted: Vec<i64> = last.into_iter().chain(rows).collect();
        let mut events: Vec<Bytes> = list_events_at(pool, program.scope(), &wanted)
            .await?
            .into_iter()
            .map(|event| event.payload)
            .collect();
        let before = (last.is_some() && !events.is_empty()).then(|| events.remove(0));
        Ok(TaskHistory { before, page: Page { rows: events, next } })
    }

    /// The last revision of the program that the caller may not read of a task that it sees; 0 for none.
    async fn hidden_until(&self, caller: &Caller, program: ProgramId, id: TaskId) -> Result<i64, Error> {
        match self.program(caller, program).await {
            Ok(_) => Ok(0),
            Err(Error::NotFound { .. }) => {
                let issued = find_issued_revision(self.store.pool(), id).await?;
                issued.map(|revision| revision - 1).ok_or_else(|| Error::not_found(Kind::Task, id))
            }
            Err(error) => Err(error),
        }
    }
}
