//! Safety stops: everything halts at once.

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::ids::{OrganizationId, ProgramId, SafetyStopId, ScopeId, SiteId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;
use crate::domain::site::release::suspend;
use crate::domain::site::{Site, SuspensionCause};
use crate::domain::task::Task;
use crate::domain::task::transitions::{TaskAction, next};
use crate::domain::text::Reason;
use crate::domain::words::words;

words! {
    /// Why all must stop.
    SafetyStopCause {
        /// An accident or incident.
        Accident = "ACCIDENT",
        /// A critical finding of quality management.
        CriticalNonconformity = "CRITICAL_NONCONFORMITY",
        /// Ordnance found on released ground.
        MissedOrdnance = "MISSED_ORDNANCE",
        /// Fighting or crime.
        Security = "SECURITY",
        /// Lost medical cover.
        MedicalCoverLost = "MEDICAL_COVER_LOST",
        /// Anything else.
        Other = "OTHER",
    }
}

/// What is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopTarget {
    /// A task of a program.
    Task(ProgramId, TaskId),
    /// A site of an authority.
    Site(OrganizationId, SiteId),
    /// All work of an operator.
    Operator(OrganizationId),
}

impl StopTarget {
    /// Everything by which a task may be stopped: itself, its sites and its operator.
    #[must_use]
    pub fn all_of(task: &Task) -> Vec<Self> {
        // A task with sites has their authority.
        let sites = task.plan.sites.iter().filter_map(|site| Some(Self::Site(task.authority?, *site)));
        let operator = task.plan.operator.map(Self::Operator);
        std::iter::once(Self::Task(task.program, task.id)).chain(sites).chain(operator).collect()
    }

    /// The journal of the target.
    #[must_use]
    pub const fn scope(self) -> ScopeId {
        match self {
            Self::Task(program, _) => program.scope(),
            Self::Site(organization, _) | Self::Operator(organization) => organization.scope(),
        }
    }

    /// The word for the kind of target.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Task(..) => "TASK",
            Self::Site(..) => "SITE",
            Self::Operator(_) => "OPERATOR",
        }
    }

    /// The id of the target.
    #[must_use]
    pub const fn id(self) -> Uuid {
        match self {
            Self::Task(_, task) => task.uuid(),
            Self::Site(_, site) => site.uuid(),
            Self::Operator(operator) => operator.uuid(),
        }
    }
}

/// A halt of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafetyStop {
    /// Its id.
    pub id: SafetyStopId,
    /// What is stopped.
    pub target: StopTarget,
    /// Why, for programs.
    pub cause: SafetyStopCause,
    /// Why, for people.
    pub reason: Reason,
    /// Who stopped it.
    pub issued_by: String,
    /// The organization of who stopped it; none for an administrator.
    pub issued_by_organization: Option<OrganizationId>,
    /// When.
    pub issued_at: Timestamp,
    /// Who lifted it, when and why; none while it is in force.
    pub lifted: Option<Lifted>,
    /// Tasks that were at work and were suspended by it.
    pub suspended_tasks: Vec<TaskId>,
    /// Revision of the target's journal at the last change.
    pub revision: i64,
}

/// The end of a safety stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifted {
    /// Who lifted it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
}

impl SafetyStop {
    /// The operator that stopped all of its own work, if it is such a stop.
    #[must_use]
    pub fn self_imposed_by(&self) -> Option<OrganizationId> {
        match self.target {
            StopTarget::Operator(operator) => {
                Some(operator).filter(|_| self.issued_by_organization == Some(operator))
            }
            StopTarget::Task(..) | StopTarget::Site(..) => None,
        }
    }

    /// Ends the stop.
    ///
    /// # Errors
    /// `WrongState` when it was lifted before.
    pub fn lift(&mut self, lifted: Lifted) -> Result<(), Refusal> {
        if self.lifted.is_some() {
            return Err(Refusal::WrongState {
                kind: Kind::SafetyStop,
                id: self.id.uuid(),
                state: "LIFTED",
                action: "be lifted",
                allowed: vec!["IN_FORCE"],
            });
        }
        self.lifted = Some(lifted);
        Ok(())
    }
}

/// Suspends a task if it is prepared for work or at work, and says whether it was. One that stands still for another
/// cause stays as it is: the stop bars it from going on.
pub fn halt_task(task: &mut Task) -> bool {
    match next(task, TaskAction::Suspend) {
        Ok(suspended) => {
            task.suspension = Some((SuspensionCause::SafetyStop, task.state));
            task.state = suspended;
            true
        }
        Err(_) => false,
    }
}

/// Suspends an open site, and says whether anything changed. One that stands still for another cause stays as it is:
/// the stop bars it from going on, and when it is lifted the other cause still holds.
pub fn halt_site(site: &mut Site) -> bool {
    suspend(site, SuspensionCause::SafetyStop).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::task::TaskState;
    use crate::domain::task::tests::task;

    #[test]
    fn only_what_is_prepared_or_at_work_is_suspended_and_it_knows_where_it_was() {
        for state in TaskState::ALL.iter().copied() {
            let mut task = task();
            task.state = state;
            let halted = halt_task(&mut task);
            assert_eq!(halted, matches!(state, TaskState::Mobilised | TaskState::Active), "{state}");
            if halted {
                assert_eq!(task.state, TaskState::Suspended);
                assert_eq!(task.suspension, Some((SuspensionCause::SafetyStop, state)));
            } else {
                assert_eq!((task.state, task.suspension), (state, None));
            }
        }
    }

    #[test]
    fn a_stop_is_lifted_once() {
        let lifted = Lifted {
            by: "lea".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            reason: Reason::parse("Safe").unwrap(),
        };
        let mut stop = SafetyStop {
            id: SafetyStopId::new(Uuid::from_u128(1)),
            target: StopTarget::Operator(OrganizationId::new(Uuid::from_u128(2))),
            cause: SafetyStopCause::Accident,
            reason: Reason::parse("An accident").unwrap(),
            issued_by: "tom".to_owned(),
            issued_by_organization: None,
            issued_at: Timestamp::UNIX_EPOCH,
            lifted: None,
            suspended_tasks: Vec::new(),
            revision: 1,
        };
        assert_eq!(stop.lift(lifted.clone()), Ok(()));
        assert!(matches!(stop.lift(lifted), Err(Refusal::WrongState { state: "LIFTED", .. })));
    }
}
