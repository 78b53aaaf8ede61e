//! Accreditation: who is recognised as competent for what, on which days (IMAS 07.30).

mod stand_down;
mod states;
mod validity;

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use crate::domain::activity::ActivityType;
use crate::domain::days::Days;
use crate::domain::ids::{
    AccreditationId, LicenceId, OrganizationId, PersonId, ProgramId, RefresherId, TaskId,
};
use crate::domain::text::{Note, Reason, Reference};
use crate::domain::words::words;

pub use stand_down::{STAND_DOWN_DAYS_DEFAULT, stood_down};
pub use states::{AccreditationChange, Objection};
pub use validity::{counts_for, valid_days};

words! {
    /// What is recognised.
    AccreditationLevel {
        /// An operator.
        Organization = "ORGANIZATION",
        /// A team.
        Team = "TEAM",
        /// A person.
        Person = "PERSON",
    }
}

words! {
    /// How far an accreditation is.
    AccreditationState {
        /// Was asked for.
        Applied = "APPLIED",
        /// Is being read.
        DeskReview = "DESK_REVIEW",
        /// Is being tested in the field.
        FieldAssessment = "FIELD_ASSESSMENT",
        /// Holds on its days.
        Accredited = "ACCREDITED",
        /// Does not hold until it is reinstated.
        Suspended = "SUSPENDED",
        /// Has ended for ever.
        Withdrawn = "WITHDRAWN",
        /// Is past its last day. Never stored.
        Expired = "EXPIRED",
    }
}

/// An accreditation that is asked for, or granted at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccreditation {
    /// Its id.
    pub id: AccreditationId,
    /// What the subject is.
    pub level: AccreditationLevel,
    /// The operator, team or person.
    pub subject: Uuid,
    /// The national authority that is asked, or grants it.
    pub authority: OrganizationId,
    /// What it is for.
    pub activity: ActivityType,
    /// The number on the paper.
    pub certificate: Reference,
    /// On which days it holds.
    pub days: Days,
}

/// The recognition of an organization, team or person for one activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accreditation {
    /// Its id.
    pub id: AccreditationId,
    /// What the subject is.
    pub level: AccreditationLevel,
    /// The operator, team or person.
    pub subject: Uuid,
    /// The operator that the subject belongs to.
    pub organization: OrganizationId,
    /// The national authority that grants it.
    pub authority: OrganizationId,
    /// What it is for.
    pub activity: ActivityType,
    /// The number on the paper.
    pub certificate: Reference,
    /// On which days it holds, unless suspended or withdrawn.
    pub days: Days,
    /// How far it is.
    pub state: AccreditationState,
    /// Times in which it does not hold, the oldest first.
    pub suspensions: Vec<Suspension>,
    /// When it became accredited; none for what was never more than an application.
    pub granted_at: Option<Timestamp>,
    /// The first day on which it no longer holds, and why.
    pub withdrawn: Option<(Date, Reason)>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Revision of the operator's journal at the last change.
    pub revision: i64,
}

/// A time in which an accreditation does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    /// When; without end while it goes on.
    pub days: Days,
    /// Why.
    pub reason: Reason,
}

/// Training after which a person who stood down may work again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refresher {
    /// Its id.
    pub id: RefresherId,
    /// The person.
    pub person: PersonId,
    /// The person's operator.
    pub organization: OrganizationId,
    /// The day of the training.
    pub held_on: Date,
    /// Anything else.
    pub note: Note,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Revision of the operator's journal.
    pub revision: i64,
}

/// An authority's permission for an operator to do one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskLicence {
    /// Its id.
    pub id: LicenceId,
    /// The operator.
    pub organization: OrganizationId,
    /// The national authority that gives it.
    pub authority: OrganizationId,
    /// The task's program.
    pub program: ProgramId,
    /// The task.
    pub task: TaskId,
    /// The number on the paper.
    pub certificate: Reference,
    /// On which days it holds.
    pub days: Days,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Revision of the operator's journal.
    pub revision: i64,
}

#[cfg(test)]
pub(crate) mod sample {
    use super::*;

    /// A person's accreditation that was granted for these days.
    pub(crate) fn granted(days: Days) -> Accreditation {
        Accreditation {
            id: AccreditationId::new(Uuid::from_u128(1)),
            level: AccreditationLevel::Person,
            subject: Uuid::from_u128(2),
            organization: OrganizationId::new(Uuid::from_u128(3)),
            authority: OrganizationId::new(Uuid::from_u128(4)),
            activity: ActivityType::ManualClearance,
            certificate: Reference::default(),
            days,
            state: AccreditationState::Accredited,
            suspensions: Vec::new(),
            granted_at: Some(Timestamp::UNIX_EPOCH),
            withdrawn: None,
            created_at: Timestamp::UNIX_EPOCH,
            revision: 1,
        }
    }
}
