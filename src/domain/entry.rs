//! The entries of the ledger: what a caller may ask to happen to money.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::currency::Currency;
use crate::domain::ids::{
    AllocationId, EntryId, ObligationId, PeriodId, ProgramId, ReportId, ReservationId, TaskId,
};
use crate::domain::money::{Amount, Money, Percent};
use crate::domain::program::{Balance, Payee};
use crate::domain::rate::Rate;
use crate::domain::text::{Note, Reason, Source};

/// How many days `effective_on` may be after the server's UTC date: places up to UTC+14, and clocks that
/// are a little fast.
pub const EFFECTIVE_AHEAD_DAYS_MAX: i64 = 1;

/// One change of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id, made by the caller.
    pub id: EntryId,
    /// The ledger.
    pub program: ProgramId,
    /// The program's currency, in which every amount of the action is.
    pub currency: Currency,
    /// When it happened.
    pub effective_on: Date,
    /// A remark.
    pub note: Note,
    /// SHA-256 of the paper behind it.
    pub evidence: Option<[u8; 32]>,
    /// Which money moves.
    pub action: Action,
}

impl Entry {
    /// Whether it touches every child of a root.
    #[must_use]
    pub const fn pushes_down(&self) -> bool {
        matches!(&self.action, Action::Increase(increase) if increase.push_down)
    }

    /// Bytes of its texts.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let of_action = match &self.action {
            Action::Obligate { payee, .. } => payee.name.as_str().len() + payee.reference.as_str().len(),
            Action::Reverse { reason, .. } => reason.as_str().len(),
            Action::Expend(Expend { foreign: Some(foreign), .. }) => foreign.source.as_str().len(),
            _ => 0,
        };
        self.note.as_str().len() + of_action
    }
}

/// Which money moves. The README draws the buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// New money into a period.
    Authorize {
        /// The period.
        period: PeriodId,
        /// How much.
        amount: Amount,
    },
    /// More of what was authorized.
    Increase(Increase),
    /// Authorized money taken away.
    Rescind {
        /// The period.
        period: PeriodId,
        /// How much.
        amount: Amount,
    },
    /// Available money brought into another period.
    CarryOver {
        /// The period that gives.
        from: PeriodId,
        /// The period that takes.
        to: PeriodId,
        /// How much.
        amount: Amount,
    },
    /// From the parent to the child.
    Allocate {
        /// The child.
        allocation: AllocationId,
        /// How much.
        amount: Amount,
    },
    /// From the child back to the parent.
    Deallocate {
        /// The child.
        allocation: AllocationId,
        /// How much.
        amount: Amount,
    },
    /// Hold available money.
    Reserve {
        /// The new hold.
        reservation: ReservationId,
        /// The leaf.
        allocation: AllocationId,
        /// How much.
        amount: Amount,
    },
    /// Give held money back.
    Release {
        /// The hold.
        reservation: ReservationId,
        /// How much.
        amount: Amount,
    },
    /// Make a binding promise.
    Obligate {
        /// The new promise.
        obligation: ObligationId,
        /// The leaf.
        allocation: AllocationId,
        /// How much.
        amount: Amount,
        /// The hold to take it from, if not from available.
        reservation: Option<ReservationId>,
        /// To whom.
        payee: Payee,
    },
    /// Give back what a promise no longer needs.
    Deobligate {
        /// The promise.
        obligation: ObligationId,
        /// How much.
        amount: Amount,
    },
    /// Pay an advance.
    Disburse {
        /// The promise.
        obligation: ObligationId,
        /// How much.
        amount: Amount,
    },
    /// Take unspent advance back.
    Refund {
        /// The promise.
        obligation: ObligationId,
        /// How much.
        amount: Amount,
    },
    /// Book money as used.
    Expend(Expend),
    /// Undo one entry.
    Reverse {
        /// The entry to undo.
        entry: EntryId,
        /// Why.
        reason: Reason,
    },
}

impl Action {
    /// The word for it in messages and error metadata.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Authorize { .. } => "authorize",
            Self::Increase(_) => "increase",
            Self::Rescind { .. } => "rescind",
            Self::CarryOver { .. } => "carry_over",
            Self::Allocate { .. } => "allocate",
            Self::Deallocate { .. } => "deallocate",
            Self::Reserve { .. } => "reserve",
            Self::Release { .. } => "release",
            Self::Obligate { .. } => "obligate",
            Self::Deobligate { .. } => "deobligate",
            Self::Disburse { .. } => "disburse",
            Self::Refund { .. } => "refund",
            Self::Expend(_) => "expend",
            Self::Reverse { .. } => "reverse",
        }
    }

    /// Whether it uses new money: only an open period takes that, and not after its last day.
    #[must_use]
    pub const fn uses_new_money(&self) -> bool {
        match self {
            Self::Authorize { .. }
            | Self::Increase(_)
            | Self::CarryOver { .. }
            | Self::Allocate { .. }
            | Self::Reserve { .. }
            | Self::Obligate { .. }
            | Self::Expend(Expend { source: ExpendSource::Available(_), .. }) => true,
            Self::Rescind { .. }
            | Self::Deallocate { .. }
            | Self::Release { .. }
            | Self::Deobligate { .. }
            | Self::Disburse { .. }
            | Self::Refund { .. }
            | Self::Expend(_)
            | Self::Reverse { .. } => false,
        }
    }

    /// Whether undoing it uses new money: taking back a rescission authorizes, and so on.
    #[must_use]
    pub const fn undoing_uses_new_money(&self) -> bool {
        matches!(
            self,
            Self::Rescind { .. } | Self::CarryOver { .. } | Self::Deallocate { .. } | Self::Release { .. }
        )
    }

    /// Whether money enters or leaves the program by it. Only the funder's side may do that.
    #[must_use]
    pub const fn changes_authorization(&self) -> bool {
        matches!(
            self,
            Self::Authorize { .. } | Self::Increase(_) | Self::Rescind { .. } | Self::CarryOver { .. }
        )
    }
}

/// An increase of what was authorized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Increase {
    /// The period.
    pub period: PeriodId,
    /// How much.
    pub by: IncreaseBy,
    /// Revision at which the caller read the base. If the authorization changed after it, the entry is
    /// refused.
    pub base_revision: Option<i64>,
    /// Whether the root's children share it.
    pub push_down: bool,
    /// What came of it, once it was applied.
    pub outcome: Option<Increased>,
}

/// How much an increase adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncreaseBy {
    /// An amount.
    Amount(Amount),
    /// A share of the sum of the authorize entries.
    PercentOfOriginal(Percent),
    /// A share of the authorization at `base_revision`, which must be given.
    PercentOfCurrent(Percent),
}

/// What came of an increase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Increased {
    /// What was added to the root, in minor units.
    pub added: i64,
    /// What each child of the root got of it, by id.
    pub pushed_down: Vec<(AllocationId, i64)>,
}

/// An expenditure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expend {
    /// Which bucket pays.
    pub source: ExpendSource,
    /// What is booked.
    pub amount: Amount,
    /// The part of `amount` that an invoice takes beyond its obligation. Below or equal to `amount`.
    pub draw_from_available: Option<Amount>,
    /// What it was used for.
    pub category: CostCategory,
    /// The task that it was used for.
    pub task: Option<TaskId>,
    /// The field report that claims it.
    pub report: Option<ReportId>,
    /// What was paid when it was another currency.
    pub foreign: Option<ForeignAmount>,
}

/// Which bucket pays an expenditure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpendSource {
    /// The available money of a leaf.
    Available(AllocationId),
    /// The unpaid part of an obligation.
    Obligated(ObligationId),
    /// The advance on an obligation.
    Advanced(ObligationId),
}

/// What money was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostCategory {
    /// People.
    Personnel,
    /// Detectors, machines, protective gear.
    Equipment,
    /// Vehicles and fuel.
    Vehicles,
    /// What destroys ordnance.
    Explosives,
    /// Medical cover.
    Medical,
    /// Training.
    Training,
    /// Contractors.
    Services,
    /// Administration.
    Overhead,
    /// Told in the note.
    Other,
}

/// What was paid in another currency. It is kept beside the booked amount and never recomputed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignAmount {
    /// What was paid.
    pub original: Money,
    /// Units of the booked currency for one unit of the original.
    pub rate: Rate,
    /// The day of the rate.
    pub rate_date: Date,
    /// Who published it.
    pub source: Source,
}

/// An entry that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedEntry {
    /// The entry, with the outcome of an increase.
    pub entry: Entry,
    /// Its revision in the program's journal.
    pub revision: i64,
    /// When the service knew.
    pub recorded_at: Timestamp,
    /// Who sent it.
    pub recorded_by: String,
    /// The allocations that it touched, after it, by id.
    pub balances: Vec<(AllocationId, Balance)>,
}
