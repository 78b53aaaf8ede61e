//! Who sees a task, and who may do what with it. A task belongs to the office of its program; its operator does the
//! work.

use crate::app::App;
use crate::app::rights::{is_of, may_act_for};
use crate::domain::caller::{Caller, Role};
use crate::domain::kind::Kind;
use crate::domain::task::Task;
use crate::domain::task::transitions::TaskAction;
use crate::error::Error;

/// Who may do an action.
enum Doer {
    Office,
    Operator,
    Either,
}

/// The parts of the two sides. The inspection is the office's: nobody inspects its own work.
const fn doer(action: TaskAction) -> Doer {
    match action {
        TaskAction::Plan
        | TaskAction::Issue
        | TaskAction::PassControl
        | TaskAction::FailControl
        | TaskAction::HandOver
        | TaskAction::Close
        | TaskAction::Cancel => Doer::Office,
        TaskAction::Accept | TaskAction::Mobilise | TaskAction::Start | TaskAction::Complete => {
            Doer::Operator
        }
        TaskAction::Suspend | TaskAction::Resume => Doer::Either,
    }
}

impl App {
    /// What is not seen does not exist for the caller.
    pub(crate) async fn expect_task_seen(&self, caller: &Caller, task: &Task) -> Result<(), Error> {
        match self.program(caller, task.program).await {
            Ok(_) => Ok(()),
            Err(Error::NotFound { .. }) if sees_as_other(caller, task) => Ok(()),
            Err(Error::NotFound { .. }) => Err(Error::not_found(Kind::Task, task.id)),
            Err(error) => Err(error),
        }
    }

    /// Refuses who is not of the task's office. What is not seen does not exist.
    pub(crate) async fn expect_task_office(&self, caller: &Caller, task: &Task) -> Result<(), Error> {
        self.expect_task_seen(caller, task).await?;
        match self.program(caller, task.program).await {
            Ok(program) => may_act_for(caller, program.office),
            Err(Error::NotFound { .. }) => Err(Error::Forbidden),
            Err(error) => Err(error),
        }
    }

    /// Refuses who may not do an action. What is not seen does not exist.
    pub(crate) async fn expect_task_doer(
        &self,
        caller: &Caller,
        task: &Task,
        action: TaskAction,
    ) -> Result<(), Error> {
        let operator = task.plan.operator.filter(|_| task.is_issued());
        let of_operator = operator.is_some_and(|operator| is_of(caller, operator));
        match doer(action) {
            Doer::Either | Doer::Operator if of_operator => Ok(()),
            Doer::Office | Doer::Either => self.expect_task_office(caller, task).await,
            Doer::Operator => {
                self.expect_task_seen(caller, task).await?;
                if caller.role() == Role::Admin { Ok(()) } else { Err(Error::Forbidden) }
            }
        }
    }
}

/// Whether a caller who does not see the program sees a task all the same: once it is issued, its operator does, and
/// coordinators of the authority of its sites. Funders see tasks of their own programs only.
fn sees_as_other(caller: &Caller, task: &Task) -> bool {
    let of_operator = task.plan.operator.is_some_and(|operator| is_of(caller, operator));
    let of_authority = task.authority.is_some_and(|authority| is_of(caller, authority));
    task.is_issued()
        && match caller.role() {
            Role::Field => of_operator,
            Role::Coordinator => of_operator || of_authority,
            Role::Funder | Role::Auditor | Role::Admin => false,
        }
}
