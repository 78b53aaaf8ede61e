//! The ledger of one program as a pure state machine: a working set, and [`Ledger::apply`], which takes an
//! entry or refuses it and leaves the set as it was.
//!
//! The working set need not be the whole program: it holds what the entries at hand name. Everything else
//! about money is loading that set and writing the [`Effect`].
//!
//! Periods and allocations enter the set by the functions of `structure.rs`.

#[cfg(test)]
mod invariants;
mod posting;
mod structure;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::currency::Currency;
use crate::domain::entry::{Action, Entry, Increase, IncreaseBy, Increased};
use crate::domain::ids::{AllocationId, EntryId, ObligationId, PeriodId, ReservationId};
use crate::domain::legs::{Legs, legs_of};
use crate::domain::money::{Amount, Percent, split_pro_rata};
use crate::domain::program::{Allocation, Obligation, Period, Reservation};
use crate::domain::refusal::Refusal;

/// An entry that may be reversed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reversible {
    /// The entry as it was applied.
    pub entry: Entry,
    /// The entry that reversed it.
    pub reversed_by: Option<EntryId>,
}

/// What an applied entry changed. Ids only: the new values are in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The entry, with the outcome of an increase.
    pub entry: Entry,
    /// What moved.
    pub legs: Legs,
    /// The allocations whose balance changed.
    pub allocations: BTreeSet<AllocationId>,
    /// The periods whose authorization changed.
    pub periods: BTreeSet<PeriodId>,
}

/// The working set of one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// The currency of every amount.
    pub currency: Currency,
    /// Every period of the program.
    pub periods: BTreeMap<PeriodId, Period>,
    /// The allocations at hand.
    pub allocations: BTreeMap<AllocationId, Allocation>,
    /// The reservations at hand.
    pub reservations: BTreeMap<ReservationId, Reservation>,
    /// The obligations at hand.
    pub obligations: BTreeMap<ObligationId, Obligation>,
    /// Past entries that the entries at hand may reverse.
    pub reversible: BTreeMap<EntryId, Reversible>,
    /// Whether entries that are applied can be reversed by later ones of the same work. Without it they need
    /// not be kept.
    pub remembers: bool,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub const fn new(currency: Currency) -> Self {
        Self {
            currency,
            periods: BTreeMap::new(),
            allocations: BTreeMap::new(),
            reservations: BTreeMap::new(),
            obligations: BTreeMap::new(),
            reversible: BTreeMap::new(),
            remembers: true,
        }
    }

    /// Allocations, reservations and obligations at hand.
    #[must_use]
    pub fn objects(&self) -> usize {
        self.allocations.len() + self.reservations.len() + self.obligations.len()
    }

    /// Applies one entry as `revision`, or refuses it and changes nothing.
    ///
    /// # Errors
    /// The refusal names what stands in the way.
    pub fn apply(&mut self, entry: Entry, revision: i64) -> Result<Effect, Refusal> {
        let entry = self.resolve(entry, revision)?;
        let legs = match &entry.action {
            Action::Reverse { entry: target, .. } => self.undo(*target)?,
            _ => legs_of(self, &entry)?,
        };
        self.check_period(&entry, &legs)?;
        self.check_new_objects(&entry)?;
        let effect = self.post(entry, legs, revision)?;
        if self.remembers {
            self.remember(&effect.entry);
        }
        Ok(effect)
    }

    /// The period, or a refusal.
    pub(crate) fn period(&self, id: PeriodId) -> Result<&Period, Refusal> {
        self.periods.get(&id).ok_or(Refusal::UnknownPeriod(id))
    }

    /// The allocation, or a refusal.
    pub(crate) fn allocation(&self, id: AllocationId) -> Result<&Allocation, Refusal> {
        self.allocations.get(&id).ok_or(Refusal::UnknownAllocation(id))
    }

    /// The parent of an allocation that is not a root, or a refusal.
    pub(crate) fn parent(&self, id: AllocationId) -> Result<AllocationId, Refusal> {
        self.allocation(id)?.parent.ok_or(Refusal::RootHasNoParent(id))
    }

    /// The reservation, or a refusal.
    pub(crate) fn reservation(&self, id: ReservationId) -> Result<&Reservation, Refusal> {
        self.reservations.get(&id).ok_or(Refusal::UnknownReservation(id))
    }

    /// The obligation, or a refusal.
    pub(crate) fn obligation(&self, id: ObligationId) -> Result<&Obligation, Refusal> {
        self.obligations.get(&id).ok_or(Refusal::UnknownObligation(id))
    }

    /// Works out what an increase adds and who gets it; other entries stay as they are.
    fn resolve(&self, mut entry: Entry, revision: i64) -> Result<Entry, Refusal> {
        if let Action::Increase(increase) = &mut entry.action {
            increase.outcome = Some(self.increased(increase, revision)?);
        }
        Ok(entry)
    }

    fn increased(&self, increase: &Increase, revision: i64) -> Result<Increased, Refusal> {
        let period = self.period(increase.period)?;
        if let Some(base_revision) = increase.base_revision
            && base_revision < period.authorization_revision
        {
            return Err(Refusal::BaseChanged {
                period: period.id,
                base_revision,
                authorization_revision: period.authorization_revision,
            });
        }
        // A base of the future would let every retry pass.
        if let Some(requested) = increase.base_revision.filter(|base| revision <= *base) {
            return Err(Refusal::RevisionAhead { requested, revision: revision - 1 });
        }
        let share = |percent: Percent, base: i64| {
            let added = percent.of(base).ok_or(Refusal::AmountTooLarge(period.root))?;
            let refusal = Refusal::IncreaseIsZero { period: period.id, base, percent_ppm: percent.ppm() };
            if added == 0 { Err(refusal) } else { Ok(added) }
        };
        let too_large = Refusal::AmountTooLarge(period.root);
        let added = match increase.by {
            IncreaseBy::Amount(amount) => amount.get(),
            IncreaseBy::PercentOfOriginal(percent) => share(percent, period.original)?,
            IncreaseBy::PercentOfCurrent(percent) => share(percent, period.authorized)?,
        };
        if Amount::new(added).is_none() {
            return Err(too_large);
        }
        let pushed_down = if increase.push_down { self.push_down(period.root, added)? } else { Vec::new() };
        Ok(Increased { added, pushed_down })
    }

    /// Shares the new money among the root's children by what they have received.
    fn push_down(&self, root: AllocationId, added: i64) -> Result<Vec<(AllocationId, i64)>, Refusal> {
        let children = self.allocations.values().filter(|allocation| allocation.parent == Some(root));
        let weights: Vec<_> = children.map(|child| (child.id, child.balance.buckets.received)).collect();
        let parts = split_pro_rata(added, &weights).ok_or(Refusal::NothingToPushDown(root))?;
        Ok(parts.into_iter().filter(|(_, part)| *part != 0).collect())
    }

    /// The legs that undo a past entry, if it may be undone.
    fn undo(&self, target: EntryId) -> Result<Legs, Refusal> {
        let past = self.reversible.get(&target).ok_or(Refusal::UnknownEntry(target))?;
        if let Some(by) = past.reversed_by {
            return Err(Refusal::AlreadyReversed { entry: target, by });
        }
        Ok(legs_of(self, &past.entry)?.mirrored())
    }

    /// Keeps an applied entry so that a later one in the same batch can reverse it.
    fn remember(&mut self, entry: &Entry) {
        if let Action::Reverse { entry: target, .. } = &entry.action
            && let Some(past) = self.reversible.get_mut(target)
        {
            past.reversed_by = Some(entry.id);
        }
        // An entry that is known keeps its mark: nothing may be reversed twice.
        let known = Reversible { entry: entry.clone(), reversed_by: None };
        self.reversible.entry(entry.id).or_insert(known);
    }
}

/// The instant to record, never before the one recorded last: clocks step back, journals do not.
#[must_use]
pub fn recorded_at(now: Timestamp, last: Timestamp) -> Timestamp {
    now.max(last)
}
