//! What can be asked to change, and the event that comes of it.

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::entry::{Entry, PostedEntry};
use crate::domain::ids::{PeriodId, ProgramId, RequestId, ScopeId};
use crate::domain::kind::Kind;
use crate::domain::organization::Organization;
use crate::domain::program::{Allocation, Period, PeriodState, Program};
use crate::store::journal::EventKind;

/// What a push-down becomes: a balance for each of up to 1,000 children, in the event and in the answer.
pub const PUSH_DOWN_BYTES: usize = 256 * 1_024;

/// A write, parsed and authorized. Fields that the server sets hold placeholders until it is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Record an organization.
    CreateOrganization(Organization),
    /// Record a program.
    CreateProgram(Program),
    /// Open a period with its root.
    OpenPeriod(Period),
    /// Expire or close a period.
    ChangePeriod(ChangePeriod),
    /// Add an allocation.
    CreateAllocation(Allocation),
    /// Book an entry.
    PostEntry(Entry),
}

/// Expire or close a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangePeriod {
    /// The call's id.
    pub request: RequestId,
    /// The program.
    pub program: ProgramId,
    /// The period.
    pub period: PeriodId,
    /// The state to reach.
    pub to: PeriodState,
    /// The period's revision as the caller knows it.
    pub expected_revision: i64,
}

impl Command {
    /// The journal that it writes to.
    #[must_use]
    pub const fn scope(&self) -> ScopeId {
        match self {
            Self::CreateOrganization(new) => new.id.scope(),
            Self::CreateProgram(new) => new.id.scope(),
            Self::OpenPeriod(new) => new.program.scope(),
            Self::ChangePeriod(change) => change.program.scope(),
            Self::CreateAllocation(new) => new.program.scope(),
            Self::PostEntry(entry) => entry.program.scope(),
        }
    }

    /// The id that makes a retry find the first answer.
    #[must_use]
    pub const fn request(&self) -> Uuid {
        match self {
            Self::CreateOrganization(new) => new.id.uuid(),
            Self::CreateProgram(new) => new.id.uuid(),
            Self::OpenPeriod(new) => new.id.uuid(),
            Self::ChangePeriod(change) => change.request.uuid(),
            Self::CreateAllocation(new) => new.id.uuid(),
            Self::PostEntry(entry) => entry.id.uuid(),
        }
    }

    /// What its id is an id of.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::CreateOrganization(_) => Kind::Organization,
            Self::CreateProgram(_) => Kind::Program,
            Self::OpenPeriod(_) => Kind::Period,
            Self::ChangePeriod(_) => Kind::Request,
            Self::CreateAllocation(_) => Kind::Allocation,
            Self::PostEntry(_) => Kind::Entry,
        }
    }

    /// Bytes that it holds while it waits to be written, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        let texts = match self {
            Self::PostEntry(entry) if entry.pushes_down() => PUSH_DOWN_BYTES,
            Self::PostEntry(entry) => entry.text_bytes(),
            // Titles and codes: they are short, and such commands are rare.
            _ => 1_024,
        };
        size_of::<Self>() + texts
    }

    /// Whether it begins a journal.
    #[must_use]
    pub const fn begins_scope(&self) -> bool {
        matches!(self, Self::CreateOrganization(_) | Self::CreateProgram(_))
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An organization was recorded.
    Organization(Organization),
    /// A program was recorded.
    Program(Program),
    /// A period was opened, expired or closed.
    Period(Period),
    /// An allocation was added.
    Allocation(Allocation),
    /// An entry was booked.
    Entry(PostedEntry),
    /// Something of the operations side changed. Money needs to know only that it did, and where it stands.
    Changed(Place),
}

/// Where and when an event stands in its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its revision.
    pub revision: i64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

impl Event {
    /// Its kind in the journal.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Organization(_) => EventKind::OrganizationCreated,
            Self::Program(_) => EventKind::ProgramCreated,
            Self::Period(_) => EventKind::PeriodChanged,
            Self::Allocation(_) => EventKind::AllocationCreated,
            Self::Entry(_) => EventKind::EntryPosted,
            Self::Changed(_) => EventKind::Changed,
        }
    }
}
