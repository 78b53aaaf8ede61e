//! Programs, their fiscal periods, and the tree of allocations with its buckets.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::currency::Currency;
use crate::domain::ids::{
    AllocationId, ObligationId, OrganizationId, PeriodId, ProgramId, ReservationId, TaskId,
};
use crate::domain::text::{Code, CountryCode, Reference, Title};

/// How many levels a tree may have below its root.
pub const DEPTH_MAX: usize = 16;
/// How many allocations one allocation may have right below it. It bounds the size of a push-down.
pub const CHILDREN_MAX: i32 = 1_000;
/// How many periods a program may have.
pub const PERIODS_MAX: usize = 200;

/// A funded effort with one funder and one currency. All of this never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its id, which is also its journal.
    pub id: ProgramId,
    /// Its short code, unique among all programs.
    pub code: Code,
    /// What people call it.
    pub title: Title,
    /// Who gives the money.
    pub funder: OrganizationId,
    /// Who runs it.
    pub office: OrganizationId,
    /// The currency of every amount.
    pub currency: Currency,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Revision of its journal at which it was recorded: always the first.
    pub revision: i64,
}

/// What a fiscal period still takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeriodState {
    /// Everything.
    Open,
    /// Adjusting and paying what exists.
    Expired,
    /// Nothing.
    Closed,
}

impl PeriodState {
    /// The word for it in storage and in error metadata.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Expired => "EXPIRED",
            Self::Closed => "CLOSED",
        }
    }

    /// The state of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Open, Self::Expired, Self::Closed].into_iter().find(|state| state.word() == word)
    }
}

/// A fiscal period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Its id.
    pub id: PeriodId,
    /// The program.
    pub program: ProgramId,
    /// Its short code, unique in the program.
    pub code: Code,
    /// What people call it.
    pub title: Title,
    /// First day on which its money may be used.
    pub first_day: Date,
    /// Last day on which its money may be newly promised.
    pub last_day: Date,
    /// The root of its tree.
    pub root: AllocationId,
    /// What it still takes.
    pub state: PeriodState,
    /// Sum of the authorize entries that stand, in minor units.
    pub original: i64,
    /// What the root has received, in minor units.
    pub authorized: i64,
    /// Revision at which `original` or `authorized` last changed.
    pub authorization_revision: i64,
    /// Revision at which the state last changed.
    pub revision: i64,
}

/// What an allocation stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The authorization of a period.
    Root,
    /// A country's share.
    Country,
    /// A recipient's share under an agreement.
    Grant,
    /// Work on ground.
    Task,
    /// What is not a task.
    Support,
}

impl Purpose {
    const ALL: [Self; 5] = [Self::Root, Self::Country, Self::Grant, Self::Task, Self::Support];

    /// The word for it in storage and in error metadata.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Root => "ROOT",
            Self::Country => "COUNTRY",
            Self::Grant => "GRANT",
            Self::Task => "TASK",
            Self::Support => "SUPPORT",
        }
    }

    /// The purpose of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.word() == word)
    }

    /// Whether an allocation of this purpose may stand right below one of `parent`.
    #[must_use]
    pub const fn fits_below(self, parent: Self) -> bool {
        match self {
            Self::Root => false,
            Self::Country => matches!(parent, Self::Root),
            Self::Grant | Self::Task | Self::Support => !matches!(parent, Self::Task | Self::Support),
        }
    }
}

/// One place in an allocation where money can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// May be allocated, reserved, obligated or spent.
    Available,
    /// Held for a purpose.
    Reserved,
    /// Promised and not paid.
    Obligated,
    /// Paid ahead.
    Advanced,
    /// Used up.
    Expended,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Available => "available",
            Self::Reserved => "reserved",
            Self::Obligated => "obligated",
            Self::Advanced => "advanced",
            Self::Expended => "expended",
        })
    }
}

/// Where the money of an allocation is, in minor units.
///
/// Always `received = available + allocated_out + reserved + obligated + advanced + expended`, and none
/// below zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Buckets {
    /// What came in, less what was given back.
    pub received: i64,
    /// May be allocated, reserved, obligated or spent.
    pub available: i64,
    /// What the children have received.
    pub allocated_out: i64,
    /// Held for a purpose.
    pub reserved: i64,
    /// Promised and not paid.
    pub obligated: i64,
    /// Paid ahead.
    pub advanced: i64,
    /// Used up.
    pub expended: i64,
}

impl Buckets {
    /// The bucket to change.
    pub const fn bucket_mut(&mut self, bucket: Bucket) -> &mut i64 {
        match bucket {
            Bucket::Available => &mut self.available,
            Bucket::Reserved => &mut self.reserved,
            Bucket::Obligated => &mut self.obligated,
            Bucket::Advanced => &mut self.advanced,
            Bucket::Expended => &mut self.expended,
        }
    }

    /// Whether the allocation was reserved, obligated or spent from, and still shows it.
    #[must_use]
    pub const fn in_use(&self) -> bool {
        self.reserved != 0 || self.obligated != 0 || self.advanced != 0 || self.expended != 0
    }

    /// Whether anything still waits to be released, paid or accounted for.
    #[must_use]
    pub const fn unsettled(&self) -> bool {
        self.reserved != 0 || self.obligated != 0 || self.advanced != 0
    }
}

/// Sums of movements in one direction, in minor units; they never go down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turnover {
    /// Everything that ever came in.
    pub received_in: i64,
    /// Everything that was given back.
    pub returned_out: i64,
    /// Everything that was ever expended.
    pub expended_in: i64,
    /// What reversals took back.
    pub expended_out: i64,
}

/// The part of an allocation that entries change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// Where the money is.
    pub buckets: Buckets,
    /// Sums of movements.
    pub turnover: Turnover,
    /// Obligations with anything obligated or advanced.
    pub open_obligations: i32,
}

/// A node of a period's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// Its id.
    pub id: AllocationId,
    /// The program.
    pub program: ProgramId,
    /// The period.
    pub period: PeriodId,
    /// The allocation above; none for the root.
    pub parent: Option<AllocationId>,
    /// Its short code, unique in the period.
    pub code: Code,
    /// What people call it.
    pub title: Title,
    /// What it stands for.
    pub purpose: Purpose,
    /// Whose share it is, for a country.
    pub country: Option<CountryCode>,
    /// Who uses the money.
    pub recipient: Option<OrganizationId>,
    /// The task that it pays for.
    pub task: Option<TaskId>,
    /// Codes from the root down to this one. Its order is the order of the tree.
    pub path: Vec<String>,
    /// Allocations right below.
    pub child_count: i32,
    /// What entries change.
    pub balance: Balance,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Revision at which it was recorded.
    pub created_revision: i64,
    /// Revision at which its balance last changed.
    pub revision: i64,
}

impl Allocation {
    /// 0 for the root.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.path.len().saturating_sub(1)
    }
}

/// A non-binding hold on an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// Its id.
    pub id: ReservationId,
    /// The allocation that holds the money.
    pub allocation: AllocationId,
    /// What is left of it, in minor units.
    pub remaining: i64,
}

/// A binding promise to a payee, paid in any number of parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligation {
    /// Its id.
    pub id: ObligationId,
    /// The allocation that pays.
    pub allocation: AllocationId,
    /// Who is paid.
    pub payee: Payee,
    /// Promised and not paid, in minor units.
    pub obligated: i64,
    /// Paid ahead, in minor units.
    pub advanced: i64,
    /// Used up, in minor units.
    pub expended: i64,
    /// Revision of the last change.
    pub revision: i64,
}

impl Obligation {
    /// Whether anything is still to be paid or accounted for.
    #[must_use]
    pub const fn open(&self) -> bool {
        self.obligated != 0 || self.advanced != 0
    }
}

/// Who is paid, and on which paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payee {
    /// The payee's name.
    pub name: Title,
    /// The payee's organization, if it is known.
    pub organization: Option<OrganizationId>,
    /// Number of the contract or order.
    pub reference: Reference,
}
