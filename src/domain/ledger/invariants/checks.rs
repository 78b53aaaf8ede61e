//! The invariants of the money design, one function each, with its number. Those about requests, commit
//! order and storage (6 and 13) cannot show in a pure machine.

use std::collections::BTreeMap;

use crate::domain::entry::{Action, Entry, ExpendSource};
use crate::domain::ids::{AllocationId, PeriodId};
use crate::domain::ledger::{Effect, Ledger};
use crate::domain::legs::Place;
use crate::domain::program::{Allocation, Buckets, Obligation, PeriodState, Reservation};
use crate::domain::refusal::Refusal;

/// Everything that must hold of a ledger at any time.
pub(super) fn whole_ledger(ledger: &Ledger) {
    authority_is_the_sum_over_the_tree(ledger);
    no_bucket_is_below_zero_and_all_sum_to_received(ledger);
    children_received_what_the_parent_allocated(ledger);
    reservations_and_obligations_are_the_buckets(ledger);
    only_leaves_hold_what_is_spent(ledger);
    what_is_closed_is_settled(ledger);
}

/// Everything that must hold of an accepted entry, given the ledger before and after it.
pub(super) fn accepted(before: &Ledger, after: &Ledger, effect: &Effect) {
    legs_sum_to_zero_and_are_what_changed(before, after, effect);
    counters_never_decrease(before, after);
    periods_take_what_their_state_allows(before, effect);
    effective_dates_fit_the_period(before, effect);
    money_moves_between_neighbours_only(after, effect);
    ids_and_revisions_tell_what_changed(before, after, effect);
}

fn status(buckets: &Buckets) -> i128 {
    let parts = [buckets.available, buckets.reserved, buckets.obligated, buckets.advanced, buckets.expended];
    parts.into_iter().map(i128::from).sum()
}

/// Invariant 1: The legs of an entry sum to zero, and each bucket changes by exactly its legs.
fn legs_sum_to_zero_and_are_what_changed(before: &Ledger, after: &Ledger, effect: &Effect) {
    let (mut inside, mut outside) = (BTreeMap::new(), 0_i128);
    for leg in &effect.legs.movements {
        for (place, units) in [(leg.from, -i128::from(leg.amount.get())), (leg.to, leg.amount.get().into())] {
            match place {
                Place::Outside => outside += units,
                Place::In(id, _) => *inside.entry(id).or_insert(0) += units,
            }
        }
    }
    assert_eq!(inside.values().sum::<i128>() + outside, 0, "{effect:?}");
    for (id, allocation) in &after.allocations {
        let change = status(&allocation.balance.buckets) - status(&before.allocations[id].balance.buckets);
        assert_eq!(change, inside.get(id).copied().unwrap_or(0), "allocation {id}");
    }
}

/// Invariant 2: The authority of a period is what its root received and what stands in the tree's buckets.
fn authority_is_the_sum_over_the_tree(ledger: &Ledger) {
    for period in ledger.periods.values() {
        let tree = ledger.allocations.values().filter(|allocation| allocation.period == period.id);
        let sum: i128 = tree.map(|allocation| status(&allocation.balance.buckets)).sum();
        assert_eq!(sum, i128::from(period.authorized), "period {}", period.id);
        assert_eq!(period.authorized, ledger.allocations[&period.root].balance.buckets.received);
        assert!(0 <= period.original, "period {}", period.id);
    }
}

/// Invariant 3: Every bucket is at or above zero, and together they are what was received.
fn no_bucket_is_below_zero_and_all_sum_to_received(ledger: &Ledger) {
    for allocation in ledger.allocations.values() {
        let all = allocation.balance.buckets;
        let parts =
            [all.available, all.allocated_out, all.reserved, all.obligated, all.advanced, all.expended];
        assert!(parts.iter().all(|part| 0 <= *part), "{all:?}");
        assert_eq!(status(&all) + i128::from(all.allocated_out), i128::from(all.received), "{all:?}");
    }
}

/// Invariant 4: What the children have received is what the parent has allocated, so never more than it received.
fn children_received_what_the_parent_allocated(ledger: &Ledger) {
    for parent in ledger.allocations.values() {
        let received = children(ledger, parent).map(|child| i128::from(child.balance.buckets.received));
        assert_eq!(received.sum::<i128>(), i128::from(parent.balance.buckets.allocated_out), "{}", parent.id);
    }
}

fn children<'a>(ledger: &'a Ledger, parent: &'a Allocation) -> impl Iterator<Item = &'a Allocation> {
    ledger.allocations.values().filter(|child| child.parent == Some(parent.id))
}

/// Invariant 5: Counters never decrease, and their differences are the buckets.
fn counters_never_decrease(before: &Ledger, after: &Ledger) {
    for (id, allocation) in &after.allocations {
        let (old, new) = (before.allocations[id].balance.turnover, allocation.balance.turnover);
        assert!(old.received_in <= new.received_in && old.returned_out <= new.returned_out, "{id}");
        assert!(old.expended_in <= new.expended_in && old.expended_out <= new.expended_out, "{id}");
        let buckets = allocation.balance.buckets;
        assert_eq!(new.received_in - new.returned_out, buckets.received, "{id}");
        assert_eq!(new.expended_in - new.expended_out, buckets.expended, "{id}");
    }
}

/// Whether money that nobody had promised yet is used, by the words of the design.
fn new_money(before: &Ledger, entry: &Entry) -> bool {
    match &entry.action {
        Action::Reverse { entry: target, .. } => {
            let word = before.reversible[target].entry.action.word();
            ["rescind", "carry_over", "deallocate", "release"].contains(&word)
        }
        Action::Expend(expend) => matches!(expend.source, ExpendSource::Available(_)),
        action => {
            let new = ["authorize", "increase", "carry_over", "allocate", "reserve", "obligate"];
            new.contains(&action.word())
        }
    }
}

fn touched(before: &Ledger, effect: &Effect) -> Vec<PeriodId> {
    let mut periods: Vec<_> = effect.allocations.iter().map(|id| before.allocations[id].period).collect();
    periods.sort_by_key(|id| before.periods[id].first_day);
    periods
}

/// Invariant 7: A closed period takes nothing; an expired one takes no new money.
fn periods_take_what_their_state_allows(before: &Ledger, effect: &Effect) {
    for id in touched(before, effect) {
        match before.periods[&id].state {
            PeriodState::Open => {}
            PeriodState::Expired => assert!(!new_money(before, &effect.entry), "{effect:?}"),
            PeriodState::Closed => panic!("a closed period took {effect:?}"),
        }
    }
}

/// Invariant 7: Nothing in a closed period waits to be released, paid or accounted for.
fn what_is_closed_is_settled(ledger: &Ledger) {
    for allocation in ledger.allocations.values() {
        let closed = ledger.periods[&allocation.period].state == PeriodState::Closed;
        let all = allocation.balance.buckets;
        assert!(!closed || all.reserved + all.obligated + all.advanced == 0, "{all:?}");
    }
}

/// Invariant 9: Nothing is dated before its period, and no new money after it.
fn effective_dates_fit_the_period(before: &Ledger, effect: &Effect) {
    let period = &before.periods[touched(before, effect).last().unwrap()];
    let day = effect.entry.effective_on;
    assert!(period.first_day <= day, "{effect:?}");
    assert!(!new_money(before, &effect.entry) || day <= period.last_day, "{effect:?}");
    if let Action::CarryOver { to, .. } = &effect.entry.action {
        let takes = &before.periods[to];
        assert!(takes.first_day <= day && day <= takes.last_day, "{effect:?}");
    }
}

/// Invariant 11: Liquidation stays within the obligation: each remainder is at or above zero, and the remainders of
/// an allocation are its buckets. The same holds for reservations.
fn reservations_and_obligations_are_the_buckets(ledger: &Ledger) {
    for allocation in ledger.allocations.values() {
        let buckets = allocation.balance.buckets;
        let held: Vec<&Reservation> =
            ledger.reservations.values().filter(|held| held.allocation == allocation.id).collect();
        assert!(held.iter().all(|held| 0 <= held.remaining), "{held:?}");
        assert_eq!(held.iter().map(|held| held.remaining).sum::<i64>(), buckets.reserved);
        let promises: Vec<&Obligation> =
            ledger.obligations.values().filter(|promise| promise.allocation == allocation.id).collect();
        let least = |promise: &&Obligation| promise.obligated.min(promise.advanced).min(promise.expended);
        assert!(promises.iter().all(|promise| 0 <= least(promise)), "{promises:?}");
        assert_eq!(promises.iter().map(|promise| promise.obligated).sum::<i64>(), buckets.obligated);
        assert_eq!(promises.iter().map(|promise| promise.advanced).sum::<i64>(), buckets.advanced);
        assert!(promises.iter().map(|promise| promise.expended).sum::<i64>() <= buckets.expended);
        let open = promises.iter().filter(|promise| 0 < promise.obligated + promise.advanced).count();
        assert_eq!(usize::try_from(allocation.balance.open_obligations), Ok(open), "{promises:?}");
    }
}

/// Invariant 12: Money moves inside an allocation, between parent and child, between roots, or in and out of a root:
/// no fund pays another's node.
fn money_moves_between_neighbours_only(ledger: &Ledger, effect: &Effect) {
    let parent = |id: AllocationId| ledger.allocations[&id].parent;
    for leg in &effect.legs.movements {
        let fits = match (leg.from, leg.to) {
            (Place::Outside, Place::Outside) => false,
            (Place::Outside, Place::In(id, _)) | (Place::In(id, _), Place::Outside) => parent(id).is_none(),
            (Place::In(a, _), Place::In(b, _)) if a == b || parent(a) == Some(b) || parent(b) == Some(a) => {
                true
            }
            (Place::In(a, _), Place::In(b, _)) => parent(a).is_none() && parent(b).is_none(),
        };
        assert!(fits, "{leg:?}");
    }
}

/// Invariant 14: Only leaves hold what is reserved, promised, advanced or used, and children are counted right.
fn only_leaves_hold_what_is_spent(ledger: &Ledger) {
    for allocation in ledger.allocations.values() {
        let count = children(ledger, allocation).count();
        assert_eq!(usize::try_from(allocation.child_count), Ok(count), "{}", allocation.id);
        let all = allocation.balance.buckets;
        let spent = all.reserved + all.obligated + all.advanced + all.expended;
        assert!(count == 0 || spent == 0, "{all:?}");
        assert!(count != 0 || all.allocated_out == 0, "{all:?}");
    }
}

/// The effect names exactly what storage has to write.
fn ids_and_revisions_tell_what_changed(before: &Ledger, after: &Ledger, effect: &Effect) {
    for (id, allocation) in &after.allocations {
        let changed = *allocation != before.allocations[id];
        assert_eq!(effect.allocations.contains(id), changed, "allocation {id}");
        let stamped = before.allocations[id].revision < allocation.revision;
        assert_eq!(stamped, changed, "allocation {id}");
    }
    for (id, period) in &after.periods {
        let changed = *period != before.periods[id];
        assert_eq!(effect.periods.contains(id), changed, "period {id}");
        let stamped = before.periods[id].authorization_revision < period.authorization_revision;
        assert_eq!(stamped, changed, "period {id}");
    }
}

/// A refusal for want of money tells a figure that is really too small.
pub(super) fn a_shortage_is_real(ledger: &Ledger, refusal: &Refusal) {
    let (told, kept, requested) = match refusal {
        Refusal::InsufficientAvailable { available, requested, .. } => (*available, *available, *requested),
        Refusal::InsufficientReserved { reservation, remaining, requested } => {
            (*remaining, ledger.reservations[reservation].remaining, *requested)
        }
        Refusal::InsufficientObligated { obligation, remaining, requested } => {
            (*remaining, ledger.obligations[obligation].obligated, *requested)
        }
        Refusal::InsufficientAdvanced { obligation, remaining, requested } => {
            (*remaining, ledger.obligations[obligation].advanced, *requested)
        }
        _ => return,
    };
    assert!(told == kept && told < requested, "{refusal}");
}
