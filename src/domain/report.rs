//! Budget reports: totals of a scope, and the words in which profiles name the columns.

use jiff::Timestamp;

use crate::domain::currency::Currency;
use crate::domain::ids::{PeriodId, ProgramId};
use crate::domain::program::Allocation;

/// Sums of a report's scope, in minor units. What one allocation of the scope gave another is not counted
/// twice, so `received = available + reserved + obligated + advanced + expended`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Received by the top of the scope.
    pub received: i64,
    /// Available anywhere in it.
    pub available: i64,
    /// Reserved anywhere in it.
    pub reserved: i64,
    /// Obligated anywhere in it.
    pub obligated: i64,
    /// Advanced anywhere in it.
    pub advanced: i64,
    /// Expended anywhere in it.
    pub expended: i64,
    /// Obligations with anything obligated or advanced.
    pub open_obligations: i32,
}

impl Totals {
    /// Sums allocations whose tops are `top_len` codes deep. None when a sum does not fit 63 bits.
    #[must_use]
    pub fn of(rows: &[Allocation], top_len: usize) -> Option<Self> {
        let mut sum = Self::default();
        for row in rows {
            let buckets = row.balance.buckets;
            if row.path.len() == top_len {
                sum.received = sum.received.checked_add(buckets.received)?;
            }
            sum.available = sum.available.checked_add(buckets.available)?;
            sum.reserved = sum.reserved.checked_add(buckets.reserved)?;
            sum.obligated = sum.obligated.checked_add(buckets.obligated)?;
            sum.advanced = sum.advanced.checked_add(buckets.advanced)?;
            sum.expended = sum.expended.checked_add(buckets.expended)?;
            sum.open_obligations = sum.open_obligations.checked_add(row.balance.open_obligations)?;
        }
        Some(sum)
    }
}

/// A report of one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetReport {
    /// The program.
    pub program: ProgramId,
    /// The period; none for all.
    pub period: Option<PeriodId>,
    /// The revision that it shows.
    pub revision: i64,
    /// When that was recorded.
    pub as_of: Timestamp,
    /// The currency of every amount.
    pub currency: Currency,
    /// Allocations, parents before children.
    pub rows: Vec<Allocation>,
    /// Sums of the scope, rows that are not shown included.
    pub totals: Totals,
}

/// In whose words the columns are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Safelane's own.
    Safelane,
    /// The US federal government's (GAO-05-734SP).
    UsFederal,
    /// IATI 2.03.
    Iati,
    /// UN OCHA's Financial Tracking Service.
    Fts,
}

impl Profile {
    /// The buckets with what the profile calls them, in the order of a report.
    #[must_use]
    pub const fn columns(self) -> [(&'static str, &'static str); 7] {
        match self {
            Self::Safelane => [
                ("received", "Received"),
                ("available", "Available"),
                ("allocated_out", "Allocated out"),
                ("reserved", "Reserved"),
                ("obligated", "Obligated"),
                ("advanced", "Advanced"),
                ("expended", "Expended"),
            ],
            Self::UsFederal => [
                ("received", "Budget authority"),
                ("available", "Unobligated balance"),
                ("allocated_out", "Allotments"),
                ("reserved", "Commitments"),
                ("obligated", "Unliquidated obligations"),
                ("advanced", "Advances"),
                ("expended", "Expended authority"),
            ],
            Self::Iati => [
                ("received", "Budget"),
                ("available", "Uncommitted budget"),
                ("allocated_out", "Budget of child activities"),
                ("reserved", "Earmarked, not committed"),
                ("obligated", "Outgoing commitment"),
                ("advanced", "Disbursement"),
                ("expended", "Expenditure"),
            ],
            Self::Fts => [
                ("received", "Funding received"),
                ("available", "Unallocated funds"),
                ("allocated_out", "Allocated onward"),
                ("reserved", "Indicative allocation"),
                ("obligated", "Commitment"),
                ("advanced", "Paid contribution"),
                ("expended", "Spent"),
            ],
        }
    }
}
