//! The state machine of a task: what can be done in which state, and where it leads.

use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;
use crate::domain::task::{Task, TaskState};

/// What moves a task from state to state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskAction {
    /// The plan is complete.
    Plan,
    /// The order goes to the operator.
    Issue,
    /// The operator takes it.
    Accept,
    /// Site and medical cover are prepared.
    Mobilise,
    /// Work begins, at first or again after a failed inspection.
    Start,
    /// Work stands still.
    Suspend,
    /// Work goes on.
    Resume,
    /// The operator reports that the work is done.
    Complete,
    /// An inspection accepted the work.
    PassControl,
    /// An inspection found that it must be done again.
    FailControl,
    /// The users have their land back.
    HandOver,
    /// Nothing is left to do.
    Close,
    /// The task is given up.
    Cancel,
}

/// Where an action leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leads {
    To(TaskState),
    /// To the state in which the task was when it was suspended.
    Back,
}

/// One row for each action: what it is called in a refusal, from which states it is allowed, where it leads.
const TRANSITIONS: [(TaskAction, &str, &[TaskState], Leads); 13] = {
    use Leads::{Back, To};
    use TaskState::{
        Accepted, Active, Cancelled, Closed, Completed, Draft, HandedOver, Issued, Mobilised, Planned,
        QcFailed, QcPassed, Suspended,
    };
    [
        (TaskAction::Plan, "be planned", &[Draft], To(Planned)),
        (TaskAction::Issue, "be issued", &[Planned], To(Issued)),
        (TaskAction::Accept, "be accepted", &[Issued], To(Accepted)),
        (TaskAction::Mobilise, "be mobilised", &[Accepted], To(Mobilised)),
        (TaskAction::Start, "be started", &[Mobilised, QcFailed], To(Active)),
        (TaskAction::Suspend, "be suspended", &[Mobilised, Active], To(Suspended)),
        (TaskAction::Resume, "be resumed", &[Suspended], Back),
        (TaskAction::Complete, "be completed", &[Active], To(Completed)),
        (TaskAction::PassControl, "be inspected", &[Completed], To(QcPassed)),
        (TaskAction::FailControl, "be inspected", &[Completed], To(QcFailed)),
        (TaskAction::HandOver, "be handed over", &[QcPassed], To(HandedOver)),
        (TaskAction::Close, "be closed", &[HandedOver], To(Closed)),
        (
            TaskAction::Cancel,
            "be cancelled",
            &[Draft, Planned, Issued, Accepted, Mobilised, Active, Suspended],
            To(Cancelled),
        ),
    ]
};

impl TaskAction {
    /// Every action.
    pub const ALL: [Self; 13] = {
        let mut all = [Self::Plan; 13];
        let mut row = 0;
        while row < all.len() {
            all[row] = TRANSITIONS[row].0;
            row += 1;
        }
        all
    };

    /// What a task cannot do when the action is refused, such as `be issued`.
    #[must_use]
    pub fn phrase(self) -> &'static str {
        self.row().map_or("be changed", |(_, phrase, ..)| phrase)
    }

    fn row(self) -> Option<&'static (Self, &'static str, &'static [TaskState], Leads)> {
        TRANSITIONS.iter().find(|(action, ..)| *action == self)
    }
}

/// The state to which an action brings a task.
///
/// # Errors
/// `WrongState` names the states in which the action is allowed.
pub fn next(task: &Task, action: TaskAction) -> Result<TaskState, Refusal> {
    let (from, leads) = action.row().map_or((&[][..], Leads::Back), |(_, _, from, leads)| (*from, *leads));
    let back = task.suspension.map(|(_, resumes_to)| resumes_to);
    let to = match leads {
        Leads::To(state) => Some(state),
        Leads::Back => back,
    };
    match to {
        Some(to) if from.contains(&task.state) => Ok(to),
        _ => Err(Refusal::WrongState {
            kind: Kind::Task,
            id: task.id.uuid(),
            state: task.state.word(),
            action: action.phrase(),
            allowed: from.iter().map(|state| state.word()).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::site::SuspensionCause;
    use crate::domain::task::tests::task;

    /// Every step that is allowed, written out: whoever changes the table must change this too.
    const ALLOWED: &str = "DRAFT Plan PLANNED; DRAFT Cancel CANCELLED; \
        PLANNED Issue ISSUED; PLANNED Cancel CANCELLED; \
        ISSUED Accept ACCEPTED; ISSUED Cancel CANCELLED; \
        ACCEPTED Mobilise MOBILISED; ACCEPTED Cancel CANCELLED; \
        MOBILISED Start ACTIVE; MOBILISED Suspend SUSPENDED; MOBILISED Cancel CANCELLED; \
        ACTIVE Suspend SUSPENDED; ACTIVE Complete COMPLETED; ACTIVE Cancel CANCELLED; \
        SUSPENDED Resume MOBILISED; SUSPENDED Cancel CANCELLED; \
        COMPLETED PassControl QC_PASSED; COMPLETED FailControl QC_FAILED; \
        QC_PASSED HandOver HANDED_OVER; QC_FAILED Start ACTIVE; HANDED_OVER Close CLOSED";

    #[test]
    fn every_pair_of_state_and_action_is_allowed_or_refused_as_written() {
        let mut walked = Vec::new();
        for state in TaskState::ALL.iter().copied() {
            for action in TaskAction::ALL {
                let mut task = task();
                task.state = state;
                task.suspension = (state == TaskState::Suspended)
                    .then_some((SuspensionCause::Season, TaskState::Mobilised));
                match next(&task, action) {
                    Ok(to) => walked.push(format!("{state} {action:?} {to}")),
                    Err(Refusal::WrongState { state: told, allowed, .. }) => {
                        assert_eq!(told, state.word());
                        assert!(
                            !allowed.is_empty() && !allowed.contains(&state.word()),
                            "{state} {action:?}"
                        );
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
        let mut allowed: Vec<&str> = ALLOWED.split("; ").collect();
        allowed.sort_unstable();
        walked.sort_unstable();
        assert_eq!(walked, allowed);
    }

    #[test]
    fn a_suspended_task_goes_back_to_where_it_was() {
        for before in [TaskState::Mobilised, TaskState::Active] {
            let mut task = task();
            task.state = TaskState::Suspended;
            task.suspension = Some((SuspensionCause::Security, before));
            assert_eq!(next(&task, TaskAction::Resume), Ok(before));
        }
    }

    #[test]
    fn closed_and_cancelled_are_final() {
        for state in [TaskState::Closed, TaskState::Cancelled] {
            let mut task = task();
            task.state = state;
            assert!(TaskAction::ALL.into_iter().all(|action| next(&task, action).is_err()), "{state}");
        }
    }
}
