//! Posting the legs of an entry: the checks of period, leaf and remainder, and the change of the buckets.
//! Everything is tried on copies first, so that a refused entry changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::currency::Currency;
use crate::domain::entry::{Action, Entry, Expend, ExpendSource};
use crate::domain::ids::{AllocationId, PeriodId};
use crate::domain::ledger::{Effect, Ledger};
use crate::domain::legs::{Legs, Movement, ObligationDelta, Place};
use crate::domain::money::TOTAL_MAX;
use crate::domain::program::{Allocation, Balance, Bucket, Obligation, Period, PeriodState, Reservation};
use crate::domain::refusal::Refusal;
use crate::seeded::{Bug, seeded};

/// What a posting would change, before it is taken over.
struct Draft {
    balances: BTreeMap<AllocationId, Balance>,
    reservation: Option<Reservation>,
    obligation: Option<Obligation>,
}

impl Ledger {
    /// Whether the periods that the legs touch take the entry on its day.
    pub(super) fn check_period(&self, entry: &Entry, legs: &Legs) -> Result<(), Refusal> {
        let undone = match &entry.action {
            Action::Reverse { entry: target, .. } => self.reversible.get(target),
            Action::CarryOver { from, to, .. } if from == to => return Err(Refusal::SamePeriod(*from)),
            _ => None,
        };
        let new_money = entry.action.uses_new_money()
            || undone.is_some_and(|past| past.entry.action.undoing_uses_new_money());
        let periods = self.periods_of(legs)?;
        for period in &periods {
            check_state(period, new_money, entry.action.word())?;
        }
        // What is carried over is new money of the period that takes it, so it never goes back in time.
        if let Action::CarryOver { to, .. } = &entry.action {
            check_day(self.period(*to)?, entry, new_money)?;
        }
        // Money that crosses periods is dated in the later one.
        if let (Action::Reverse { entry: target, .. }, Some(past)) = (&entry.action, undone)
            && entry.effective_on < past.entry.effective_on
        {
            let (effective_on, earliest) = (entry.effective_on, past.entry.effective_on);
            return Err(Refusal::EffectiveBeforeEntry { entry: *target, effective_on, earliest });
        }
        let dated = periods.iter().max_by_key(|period| (period.first_day, period.id));
        dated.map_or(Ok(()), |period| check_day(period, entry, new_money))
    }

    fn periods_of(&self, legs: &Legs) -> Result<Vec<&Period>, Refusal> {
        let mut ids = BTreeSet::new();
        for leg in &legs.movements {
            for place in [leg.from, leg.to] {
                if let Place::In(id, _) = place {
                    ids.insert(self.allocation(id)?.period);
                }
            }
        }
        ids.into_iter().map(|id| self.period(id)).collect()
    }

    /// Reservations and obligations are new where they must be, and of the right allocation.
    pub(super) fn check_new_objects(&self, entry: &Entry) -> Result<(), Refusal> {
        match &entry.action {
            Action::Reserve { reservation, .. } if self.reservations.contains_key(reservation) => {
                Err(Refusal::ReservationTaken(*reservation))
            }
            Action::Obligate { obligation, .. } if self.obligations.contains_key(obligation) => {
                Err(Refusal::ObligationTaken(*obligation))
            }
            Action::Obligate { allocation, reservation: Some(id), .. } => {
                let held = self.reservation(*id)?;
                let elsewhere =
                    Refusal::ReservationElsewhere { reservation: *id, allocation: held.allocation };
                if held.allocation == *allocation { Ok(()) } else { Err(elsewhere) }
            }
            _ => Ok(()),
        }
    }

    /// Tries the legs on copies and takes them over when nothing refuses.
    pub(super) fn post(&mut self, entry: Entry, legs: Legs, revision: i64) -> Result<Effect, Refusal> {
        let draft = self.draft(&entry, &legs, revision)?;
        let mut periods: BTreeSet<PeriodId> = legs.original.iter().map(|(id, _)| *id).collect();
        let allocations = draft.balances.keys().copied().collect();
        for (id, balance) in draft.balances {
            if let Some(allocation) = self.allocations.get_mut(&id) {
                allocation.balance = balance;
                allocation.revision = revision;
                if allocation.parent.is_none()
                    && let Some(period) = self.periods.get_mut(&allocation.period)
                    && period.authorized != balance.buckets.received
                {
                    period.authorized = balance.buckets.received;
                    period.authorization_revision = revision;
                    periods.insert(period.id);
                }
            }
        }
        self.reservations.extend(draft.reservation.map(|reservation| (reservation.id, reservation)));
        self.obligations.extend(draft.obligation.map(|obligation| (obligation.id, obligation)));
        if let Some((id, change)) = legs.original
            && let Some(period) = self.periods.get_mut(&id)
        {
            period.original += change;
            period.authorization_revision = revision;
        }
        Ok(Effect { entry, legs, allocations, periods })
    }

    fn draft(&self, entry: &Entry, legs: &Legs, revision: i64) -> Result<Draft, Refusal> {
        // Remainders first: they name the reservation or obligation, which says more than the bucket.
        let reservation = self.draft_reservation(entry, legs)?;
        let obligation = self.draft_obligation(entry, legs, revision)?;
        let mut draft = Draft { balances: BTreeMap::new(), reservation, obligation };
        let mut short = Vec::new();
        for leg in &legs.movements {
            match self.draft_from(&mut draft.balances, leg) {
                // The others are tried all the same, so that the caller hears of every node in the way.
                Err(refusal @ Refusal::InsufficientAvailable { .. }) => short.push(refusal),
                taken => taken?,
            }
            self.draft_to(&mut draft.balances, leg)?;
        }
        blocked(short)?;
        if let Some(after) = &draft.obligation
            && let Some(balance) = draft.balances.get_mut(&after.allocation)
        {
            let before = self.obligations.get(&after.id).is_some_and(Obligation::open);
            balance.open_obligations += i32::from(after.open()) - i32::from(before);
        }
        Ok(draft)
    }

    fn draft_reservation(&self, entry: &Entry, legs: &Legs) -> Result<Option<Reservation>, Refusal> {
        let Some((id, change)) = legs.reservation else { return Ok(None) };
        let held = match &entry.action {
            Action::Reserve { reservation, allocation, .. } => {
                Reservation { id: *reservation, allocation: *allocation, remaining: 0 }
            }
            _ => *self.reservation(id)?,
        };
        let remaining = held.remaining + change;
        if remaining < 0 {
            let requested = -change;
            return Err(Refusal::InsufficientReserved {
                reservation: id,
                remaining: held.remaining,
                requested,
            });
        }
        Ok(Some(Reservation { remaining, ..held }))
    }

    fn draft_obligation(
        &self,
        entry: &Entry,
        legs: &Legs,
        revision: i64,
    ) -> Result<Option<Obligation>, Refusal> {
        let Some(delta) = legs.obligation else { return Ok(None) };
        let before = match &entry.action {
            Action::Obligate { obligation, allocation, payee, .. } => Obligation {
                id: *obligation,
                allocation: *allocation,
                payee: payee.clone(),
                obligated: 0,
                advanced: 0,
                expended: 0,
                revision,
            },
            _ => self.obligation(delta.id)?.clone(),
        };
        check_remainder(&before, delta)?;
        check_draw(entry, &before)?;
        Ok(Some(Obligation {
            obligated: before.obligated + delta.obligated,
            advanced: before.advanced + delta.advanced,
            expended: before.expended + delta.expended,
            revision,
            ..before
        }))
    }

    fn draft_from(
        &self,
        balances: &mut BTreeMap<AllocationId, Balance>,
        leg: &Movement,
    ) -> Result<(), Refusal> {
        let amount = leg.amount.get();
        let parent_of = |id| self.allocation(id).map(|allocation| allocation.parent);
        if let Place::In(id, bucket) = leg.from {
            let allocation = self.allocation(id)?;
            let inside = matches!(leg.to, Place::In(to, _) if to == id);
            let to_child = matches!(leg.to, Place::In(to, _) if parent_of(to)? == Some(id));
            let balance = balances.entry(id).or_insert(allocation.balance);
            take(allocation, balance, bucket, amount, self.currency)?;
            match (inside, to_child) {
                (true, _) if bucket == Bucket::Expended => balance.turnover.expended_out += amount,
                (true, _) => {}
                (false, true) => balance.buckets.allocated_out += amount,
                (false, false) => {
                    balance.buckets.received -= amount;
                    balance.turnover.returned_out += amount;
                }
            }
        }
        Ok(())
    }

    fn draft_to(
        &self,
        balances: &mut BTreeMap<AllocationId, Balance>,
        leg: &Movement,
    ) -> Result<(), Refusal> {
        let amount = leg.amount.get();
        let parent_of = |id| self.allocation(id).map(|allocation| allocation.parent);
        if let Place::In(id, bucket) = leg.to {
            let allocation = self.allocation(id)?;
            let inside = matches!(leg.from, Place::In(from, _) if from == id);
            let from_child = matches!(leg.from, Place::In(from, _) if parent_of(from)? == Some(id));
            let balance = balances.entry(id).or_insert(allocation.balance);
            put(allocation, balance, bucket, amount, inside || from_child)?;
            if from_child {
                balance.buckets.allocated_out -= amount;
            }
        }
        Ok(())
    }
}

/// The first shortfall, naming the other allocations that fall short as well.
fn blocked(short: Vec<Refusal>) -> Result<(), Refusal> {
    let mut short = short.into_iter();
    let Some(mut first) = short.next() else { return Ok(()) };
    if let Refusal::InsufficientAvailable { allocation: named, also, .. } = &mut first {
        for refusal in short {
            if let Refusal::InsufficientAvailable { allocation, .. } = refusal
                && allocation != *named
                && !also.contains(&allocation)
            {
                also.push(allocation);
            }
        }
    }
    Err(first)
}

fn check_state(period: &Period, new_money: bool, action: &'static str) -> Result<(), Refusal> {
    match period.state {
        PeriodState::Closed => Err(Refusal::PeriodClosed { period: period.id, action }),
        PeriodState::Expired if new_money => Err(Refusal::PeriodExpired { period: period.id, action }),
        PeriodState::Open | PeriodState::Expired => Ok(()),
    }
}

/// Payments may come after the last day; new promises may not.
fn check_day(period: &Period, entry: &Entry, new_money: bool) -> Result<(), Refusal> {
    let early = entry.effective_on < period.first_day;
    let late = new_money && period.last_day < entry.effective_on;
    if early || late {
        return Err(Refusal::EffectiveOutsidePeriod {
            period: period.id,
            effective_on: entry.effective_on,
            first_day: period.first_day,
            last_day: period.last_day,
        });
    }
    Ok(())
}

fn check_remainder(before: &Obligation, delta: ObligationDelta) -> Result<(), Refusal> {
    if before.obligated + delta.obligated < 0 {
        let (remaining, requested) = (before.obligated, -delta.obligated);
        return Err(Refusal::InsufficientObligated { obligation: before.id, remaining, requested });
    }
    if before.advanced + delta.advanced < 0 {
        let (remaining, requested) = (before.advanced, -delta.advanced);
        return Err(Refusal::InsufficientAdvanced { obligation: before.id, remaining, requested });
    }
    Ok(())
}

/// Drawing beyond an obligation adjusts it upward, which even an expired period allows. So it needs a live
/// obligation that the invoice uses up; else it would be a way around the rule against new obligations.
fn check_draw(entry: &Entry, before: &Obligation) -> Result<(), Refusal> {
    let Action::Expend(Expend { source, amount, draw_from_available: Some(draw), .. }) = &entry.action else {
        return Ok(());
    };
    let remaining = match source {
        ExpendSource::Advanced(_) => before.advanced,
        ExpendSource::Obligated(_) | ExpendSource::Available(_) => before.obligated,
    };
    let left = remaining - (amount.get() - draw.get()).max(0);
    if remaining == 0 || left != 0 {
        return Err(Refusal::DrawNotNeeded { obligation: before.id, remaining, left });
    }
    Ok(())
}

fn take(
    allocation: &Allocation,
    balance: &mut Balance,
    bucket: Bucket,
    amount: i64,
    currency: Currency,
) -> Result<(), Refusal> {
    let held = balance.buckets.bucket_mut(bucket);
    if *held < amount && !seeded(Bug::Overspend) {
        // Only available can fall short here: the other buckets are the sums of the reservations and
        // obligations that were checked before, and an expenditure is undone at most once.
        return Err(Refusal::InsufficientAvailable {
            allocation: allocation.id,
            available: *held,
            requested: amount,
            currency,
            also: Vec::new(),
        });
    }
    *held -= amount;
    Ok(())
}

fn put(
    allocation: &Allocation,
    balance: &mut Balance,
    bucket: Bucket,
    amount: i64,
    already_received: bool,
) -> Result<(), Refusal> {
    if bucket != Bucket::Available && allocation.child_count != 0 {
        let (allocation, child_count) = (allocation.id, allocation.child_count);
        return Err(Refusal::NotALeaf { allocation, child_count });
    }
    // Counters only grow and bound every bucket, so they are the only sums that can overflow.
    let grown = |counter: i64| {
        let sum = counter.checked_add(amount).filter(|sum| *sum <= TOTAL_MAX);
        sum.ok_or(Refusal::AmountTooLarge(allocation.id))
    };
    if bucket == Bucket::Expended {
        balance.turnover.expended_in = grown(balance.turnover.expended_in)?;
    }
    if !already_received {
        balance.turnover.received_in = grown(balance.turnover.received_in)?;
        balance.buckets.received += amount;
    }
    *balance.buckets.bucket_mut(bucket) += amount;
    Ok(())
}
