//! What becomes of assignments when their task is cancelled.

use crate::app::assignment::cannot_end;
use crate::app::change::{Ground, Record};
use crate::domain::assignment::AssignmentState;
use crate::domain::assignment::ending::end;
use crate::domain::ids::TaskId;
use crate::domain::text::Reason;
use crate::error::Error;
use crate::store::assignment::held::list_standing_at;
use crate::store::assignment::{end_assignment, find_assignments};

const REASON: &str = "The task was cancelled.";

/// Frees teams, people and assets that are sent to a task from tomorrow on; what has not begun never takes place. Teams
/// that are out there stay assigned today, and go on to hear of safety stops, as those do whose days are over.
pub(crate) async fn call_off(ground: &mut Ground<'_>, task: TaskId) -> Result<(), Error> {
    let reason = Reason::parse(REASON).map_err(Error::bug)?;
    for held in list_standing_at(&mut *ground.conn, task).await? {
        if held.ahead(ground.now).is_none() {
            continue;
        }
        let today = held.today(ground.now);
        for assignment in find_assignments(ground.conn, &[held.id]).await? {
            let last_day = if today < assignment.first_day {
                assignment.first_day.yesterday().map_err(|error| Error::bug(error.to_string()))?
            } else {
                today.min(assignment.last_day)
            };
            let mut ended = end(&assignment, last_day, today, reason.clone()).map_err(cannot_end)?;
            let scope = ended.organization.scope();
            ended.revision = ground.revision(scope)?;
            end_assignment(ground.conn, &ended, ended.state == AssignmentState::Cancelled).await?;
            ground.record(scope, Record::Assignment(Box::new(ended)))?;
        }
    }
    Ok(())
}
