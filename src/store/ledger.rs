//! Loading the working set of a ledger, and writing what entries changed. Both run under the lock of the
//! program's head, so nothing else needs a lock.

mod load;
mod write;

use std::collections::BTreeSet;

use crate::domain::ids::{AllocationId, EntryId, ObligationId, PeriodId, ReservationId};

pub use load::{list_reversals, load_ledger, load_whole_ledger};
pub use write::write_ledger;

/// What the commands at hand name, and so what the working set must hold.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Periods whose root is needed.
    pub periods: BTreeSet<PeriodId>,
    /// Periods whose root's children are needed, for a push-down.
    pub shared: BTreeSet<PeriodId>,
    /// Periods of which everything unsettled is needed, for closing.
    pub closing: BTreeSet<PeriodId>,
    /// Allocations, with their parents.
    pub allocations: BTreeSet<AllocationId>,
    /// Allocations by code, to see whether the code is taken.
    pub codes: Vec<(PeriodId, String)>,
    /// Reservations, with their allocation.
    pub reservations: BTreeSet<ReservationId>,
    /// Obligations, with their allocation.
    pub obligations: BTreeSet<ObligationId>,
    /// Entries that may be reversed.
    pub entries: BTreeSet<EntryId>,
}

/// What of a working set must be written.
#[derive(Debug, Clone, Default)]
pub struct Dirty {
    /// New periods.
    pub new_periods: BTreeSet<PeriodId>,
    /// Changed periods.
    pub periods: BTreeSet<PeriodId>,
    /// New allocations.
    pub new_allocations: BTreeSet<AllocationId>,
    /// Changed allocations.
    pub allocations: BTreeSet<AllocationId>,
    /// New or changed reservations.
    pub reservations: BTreeSet<ReservationId>,
    /// New or changed obligations.
    pub obligations: BTreeSet<ObligationId>,
    /// Entries with the entry that reversed them.
    pub reversals: Vec<(EntryId, EntryId)>,
}
