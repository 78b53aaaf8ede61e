//! Budget reports: totals of a scope, and the words in which profiles name the columns.

use jiff::Timestamp;

use crate::domain::currency::Currency;
use crate::domain::field_report::outputs::Outputs;
use crate::domain::ids::{PeriodId, ProgramId};
use crate::domain::money::round_half_even;
use crate::domain::program::Allocation;

/// A row of a report: an allocation, and what the tasks that it pays for brought about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// The allocation.
    pub allocation: Allocation,
    /// Outputs of approved reports, at the revision of the report.
    pub approved: Outputs,
    /// What reports claim that wait for a decision, as it was when the row was read; none in a report of the past.
    pub provisional: Option<Outputs>,
    /// The last revision at which approved outputs changed; 0 for none.
    pub approved_revision: i64,
}

impl ReportRow {
    /// The last revision at which its balance or its approved outputs changed.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.allocation.revision.max(self.approved_revision)
    }
}

/// What each square metre cost, in minor units, rounded half to even; none when nothing was released.
#[must_use]
pub fn cost_per_m2(expended: i64, released: &Outputs) -> Option<i64> {
    let released = released.all_released_m2();
    if released <= 0 {
        return None;
    }
    i64::try_from(round_half_even(expended.into(), released.into())).ok()
}

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
    /// Outputs of approved reports.
    pub approved: Outputs,
    /// What reports claim that wait for a decision; none in a report of the past.
    pub provisional: Option<Outputs>,
}

impl Totals {
    /// Sums allocations whose tops are `top_len` codes deep. None when a sum does not fit 63 bits.
    #[must_use]
    pub fn of(rows: &[ReportRow], top_len: usize) -> Option<Self> {
        let mut sum = Self::default();
        for ReportRow { allocation: row, approved, provisional, .. } in rows {
            sum.approved = sum.approved.plus(approved);
            if let Some(provisional) = provisional {
                sum.provisional = Some(sum.provisional.unwrap_or_default().plus(provisional));
            }
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
    pub rows: Vec<ReportRow>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::site::ReleaseType;

    #[test]
    fn a_square_metre_costs_what_was_spent_for_it_and_nothing_where_none_was_released() {
        let released = |area| {
            let mut outputs = Outputs::default();
            outputs.release(ReleaseType::Cleared, area);
            outputs
        };
        assert_eq!(cost_per_m2(310, &released(100)), Some(3));
        assert_eq!(cost_per_m2(250, &released(100)), Some(2), "half to even");
        assert_eq!(cost_per_m2(350, &released(100)), Some(4), "half to even");
        assert_eq!(cost_per_m2(0, &released(100)), Some(0));
        assert_eq!(cost_per_m2(310, &Outputs::default()), None);
    }
}
