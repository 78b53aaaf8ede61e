//! Safety stops: everything halts at once.

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::ids::{OrganizationId, ProgramId, SafetyStopId, ScopeId, SiteId, TaskId};
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
