//! A second bookkeeping, written from the table of the design and not from the code under test: what each
//! entry does to each bucket, with nothing checked and nothing cached.

use std::collections::BTreeMap;

use crate::domain::entry::{Action, Entry, Expend, ExpendSource};
use crate::domain::ids::{AllocationId, EntryId, ObligationId, PeriodId, ReservationId};
use crate::domain::ledger::Ledger;
use crate::domain::money::Amount;
use crate::domain::program::Bucket::{self, Advanced, Available, Expended, Obligated, Reserved};

/// What one entry changed. `None` is outside the program.
#[derive(Debug, Clone, Default)]
struct Change {
    places: Vec<(Option<(AllocationId, Bucket)>, i128)>,
    promised: Vec<(ObligationId, i128)>,
    held: Vec<(ReservationId, i128)>,
    original: Vec<(PeriodId, i128)>,
}

/// Where all the money is, by nothing but the entries.
#[derive(Debug, Default)]
pub(super) struct Books {
    places: BTreeMap<Option<(AllocationId, Bucket)>, i128>,
    promised: BTreeMap<ObligationId, i128>,
    held: BTreeMap<ReservationId, i128>,
    original: BTreeMap<PeriodId, i128>,
    changes: BTreeMap<EntryId, Change>,
}

impl Books {
    /// Books an accepted entry. The ledger is asked for facts that never change, and for nothing else.
    pub(super) fn book(&mut self, ledger: &Ledger, entry: &Entry) {
        let (change, sign) = match &entry.action {
            Action::Reverse { entry: target, .. } => (self.changes[target].clone(), -1),
            action => (change(ledger, action), 1),
        };
        add(&mut self.places, &change.places, sign);
        add(&mut self.promised, &change.promised, sign);
        add(&mut self.held, &change.held, sign);
        add(&mut self.original, &change.original, sign);
        self.changes.insert(entry.id, change);
    }

    /// The ledger says of every bucket, hold, promise and period what the books say.
    pub(super) fn agree_with(&self, ledger: &Ledger) {
        for allocation in ledger.allocations.values() {
            let mut buckets = allocation.balance.buckets;
            for bucket in [Available, Reserved, Obligated, Advanced, Expended] {
                let booked = get(&self.places, &Some((allocation.id, bucket)));
                assert_eq!(i128::from(*buckets.bucket_mut(bucket)), booked, "{} {bucket}", allocation.id);
            }
        }
        for held in ledger.reservations.values() {
            assert_eq!(i128::from(held.remaining), get(&self.held, &held.id), "reservation {}", held.id);
        }
        for promise in ledger.obligations.values() {
            let kept = [promise.obligated, promise.advanced, promise.expended].map(i128::from);
            let promised = get(&self.promised, &promise.id);
            assert_eq!(kept.iter().sum::<i128>(), promised, "obligation {}", promise.id);
        }
        for period in ledger.periods.values() {
            let original = get(&self.original, &period.id);
            assert_eq!(i128::from(period.original), original, "period {}", period.id);
        }
    }

    /// What came from outside is what stands in the buckets.
    pub(super) fn sum_to_zero(&self) {
        assert_eq!(self.places.values().sum::<i128>(), 0);
    }
}

fn get<K: Ord>(sums: &BTreeMap<K, i128>, key: &K) -> i128 {
    sums.get(key).copied().unwrap_or(0)
}

fn add<K: Ord + Copy>(sums: &mut BTreeMap<K, i128>, parts: &[(K, i128)], sign: i128) {
    for (key, part) in parts {
        *sums.entry(*key).or_insert(0) += sign * part;
    }
}

fn moved(from: Option<(AllocationId, Bucket)>, to: Option<(AllocationId, Bucket)>, units: i64) -> Change {
    let units = i128::from(units);
    Change { places: vec![(from, -units), (to, units)], ..Change::default() }
}

fn change(ledger: &Ledger, action: &Action) -> Change {
    let root = |period: &PeriodId| Some((ledger.periods[period].root, Available));
    let of_child = |child: &AllocationId| {
        let parent = ledger.allocations[child].parent.unwrap();
        (Some((parent, Available)), Some((*child, Available)))
    };
    match action {
        Action::Authorize { period, amount } => {
            let original = vec![(*period, i128::from(amount.get()))];
            Change { original, ..moved(None, root(period), amount.get()) }
        }
        Action::Increase(increase) => {
            let outcome = increase.outcome.as_ref().unwrap();
            let mut change = moved(None, root(&increase.period), outcome.added);
            for (child, part) in &outcome.pushed_down {
                let (parent, child) = of_child(child);
                change.places.extend(moved(parent, child, *part).places);
            }
            change
        }
        Action::Rescind { period, amount } => moved(root(period), None, amount.get()),
        Action::CarryOver { from, to, amount } => moved(root(from), root(to), amount.get()),
        Action::Allocate { allocation, amount } => {
            let (parent, child) = of_child(allocation);
            moved(parent, child, amount.get())
        }
        Action::Deallocate { allocation, amount } => {
            let (parent, child) = of_child(allocation);
            moved(child, parent, amount.get())
        }
        Action::Reverse { .. } => unreachable!("a reversal has the change of its target"),
        spending => spent(ledger, spending),
    }
}

/// What happens inside one leaf.
fn spent(ledger: &Ledger, action: &Action) -> Change {
    let within = |leaf: AllocationId, from, to, units| moved(Some((leaf, from)), Some((leaf, to)), units);
    let leaf = |id: &ObligationId| ledger.obligations[id].allocation;
    match action {
        Action::Reserve { reservation, allocation, amount } => {
            let held = vec![(*reservation, i128::from(amount.get()))];
            Change { held, ..within(*allocation, Available, Reserved, amount.get()) }
        }
        Action::Release { reservation, amount } => {
            let held = vec![(*reservation, -i128::from(amount.get()))];
            let leaf = ledger.reservations[reservation].allocation;
            Change { held, ..within(leaf, Reserved, Available, amount.get()) }
        }
        Action::Obligate { obligation, allocation, amount, reservation, .. } => {
            let from = reservation.map_or(Available, |_| Reserved);
            let promised = vec![(*obligation, i128::from(amount.get()))];
            let held = reservation.iter().map(|id| (*id, -i128::from(amount.get()))).collect();
            Change { promised, held, ..within(*allocation, from, Obligated, amount.get()) }
        }
        Action::Deobligate { obligation, amount } => {
            let promised = vec![(*obligation, -i128::from(amount.get()))];
            Change { promised, ..within(leaf(obligation), Obligated, Available, amount.get()) }
        }
        Action::Disburse { obligation, amount } => {
            within(leaf(obligation), Obligated, Advanced, amount.get())
        }
        Action::Refund { obligation, amount } => within(leaf(obligation), Advanced, Obligated, amount.get()),
        Action::Expend(expend) => used(ledger, expend),
        other => unreachable!("{} is not inside one leaf", other.word()),
    }
}

fn used(ledger: &Ledger, expend: &Expend) -> Change {
    let (total, drawn) = (expend.amount.get(), expend.draw_from_available.map_or(0, Amount::get));
    let (from, id) = match expend.source {
        ExpendSource::Available(leaf) => {
            return moved(Some((leaf, Available)), Some((leaf, Expended)), total);
        }
        ExpendSource::Obligated(id) => (Obligated, id),
        ExpendSource::Advanced(id) => (Advanced, id),
    };
    let leaf = ledger.obligations[&id].allocation;
    let mut change = moved(Some((leaf, from)), Some((leaf, Expended)), total - drawn);
    change.places.extend(moved(Some((leaf, Available)), Some((leaf, Expended)), drawn).places);
    // What is drawn makes the promise larger by what it lacked.
    change.promised.push((id, i128::from(drawn)));
    change
}
