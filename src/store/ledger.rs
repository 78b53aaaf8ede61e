//! Loading the working set of a ledger, and writing what entries changed, under the lock of the program's head or
//! fenced by its revision; nothing else needs a lock.

mod book;
mod load;
mod write;

use std::collections::BTreeSet;

use crate::domain::ids::{AllocationId, EntryId, ObligationId, PeriodId, ReservationId};
use crate::domain::ledger::Ledger;

pub use book::{Booking, book};
pub use load::{find_reversals, list_reversals, load_ledger, load_whole_ledger};
pub use write::write_structure;

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

impl Wanted {
    /// Leaves out what a working set holds. An allocation is held with its parent.
    pub fn leave_out(&mut self, ledger: &Ledger) {
        let held = |id: &AllocationId| {
            ledger.allocations.get(id).is_some_and(|found| {
                found.parent.is_none_or(|parent| ledger.allocations.contains_key(&parent))
            })
        };
        self.allocations.retain(|id| !held(id));
        self.periods.retain(|id| ledger.periods.get(id).is_none_or(|period| !held(&period.root)));
        self.reservations.retain(|id| !ledger.reservations.contains_key(id));
        self.obligations.retain(|id| !ledger.obligations.contains_key(id));
    }

    /// Whether there is nothing to load. Entries are loaded by themselves.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.periods.is_empty()
            && self.shared.is_empty()
            && self.closing.is_empty()
            && self.allocations.is_empty()
            && self.codes.is_empty()
            && self.reservations.is_empty()
            && self.obligations.is_empty()
    }
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
