//! What is drawn: dice, which become a command only when the ledger is known. So about half of the commands
//! are taken, and a shorter failing case is still a sensible one.

use jiff::civil::Date;
use jiff::{Span, Timestamp};
use proptest::prelude::*;

use crate::domain::entry::{Action, Entry, ExpendSource, IncreaseBy};
use crate::domain::ids::{AllocationId, ObligationId, PeriodId};
use crate::domain::ledger::invariants::desk::{
    allocation, allocation_id, entry, entry_id, increase, obligation_id, percent, period, period_id,
    reservation_id, reverse,
};
use crate::domain::ledger::invariants::desk::{amount, expend, obligate};
use crate::domain::ledger::{Effect, Ledger, Reversible};
use crate::domain::money::Amount;
use crate::domain::program::{Allocation, Bucket, Obligation, Period, PeriodState, Purpose};
use crate::domain::refusal::Refusal;

/// What a run may ask of a ledger.
#[derive(Debug, Clone)]
pub(super) enum Command {
    Open(Period),
    Add(Allocation),
    Change { period: PeriodId, to: PeriodState, expected_revision: i64 },
    Post(Entry),
}

impl Command {
    pub(super) fn apply(self, ledger: &mut Ledger, revision: i64) -> Result<Option<Effect>, Refusal> {
        match self {
            Self::Open(period) => ledger.open_period(period, Timestamp::UNIX_EPOCH).map(|()| None),
            Self::Add(allocation) => ledger.add_allocation(allocation).map(|_| None),
            Self::Change { period, to, expected_revision } => {
                ledger.change_period(period, to, expected_revision, revision).map(|_| None)
            }
            Self::Post(entry) => ledger.apply(entry, revision).map(Some),
        }
    }
}

/// The dice of one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dice {
    kind: u8,
    pick: usize,
    other: usize,
    /// Size of the amount in percent of what is there: above 100 it is too large.
    size: u8,
    day: u8,
    /// At zero the choice is not limited to what makes sense.
    sense: u8,
}

impl Dice {
    fn sensible(self) -> bool {
        self.sense != 0
    }
}

pub(super) fn dice() -> impl Strategy<Value = Dice> {
    let numbers = (0..28_u8, 0..1_000_usize, 0..1_000_usize, 0..=130_u8, 0..200_u8, 0..6_u8);
    numbers.prop_map(|(kind, pick, other, size, day, sense)| Dice { kind, pick, other, size, day, sense })
}

/// The command of the dice; `number` makes new ids.
pub(super) fn command(ledger: &Ledger, dice: Dice, number: u64, revision: i64) -> Command {
    match dice.kind {
        24 => Command::Open(period(1 + dice.pick as u64 % 4, revision)),
        25 | 26 => add(ledger, dice, number),
        27 => change(ledger, dice),
        _ => {
            let action = action(ledger, dice, number);
            let day = day(home(ledger, &action), dice.day);
            Command::Post(entry(number, day, action))
        }
    }
}

fn add(ledger: &Ledger, dice: Dice, number: u64) -> Command {
    let parent = one_of(ledger.allocations.values(), dice.pick);
    let purposes =
        [Purpose::Country, Purpose::Grant, Purpose::Task, Purpose::Support, Purpose::Grant, Purpose::Root];
    let mut new = allocation(100 + number, 1, 1, purposes[dice.other % purposes.len()]);
    if let Some(parent) = parent {
        (new.parent, new.period) = (Some(parent.id), parent.period);
    }
    if !dice.sensible() {
        new.id = one_of(ledger.allocations.values(), dice.other).map_or(new.id, |taken| taken.id);
    }
    Command::Add(new)
}

fn change(ledger: &Ledger, dice: Dice) -> Command {
    let found = one_of(ledger.periods.values(), dice.pick);
    let period = found.map_or(period_id(9), |found| found.id);
    let expected_revision = found.map_or(0, |found| found.revision) + i64::from(!dice.sensible());
    let next = match found.map(|found| found.state) {
        Some(PeriodState::Open) => PeriodState::Expired,
        _ => PeriodState::Closed,
    };
    let to = if dice.size < 100 { next } else { PeriodState::Open };
    Command::Change { period, to, expected_revision }
}

fn one_of<T>(all: impl Iterator<Item = T>, pick: usize) -> Option<T> {
    let mut all: Vec<T> = all.collect();
    if all.is_empty() { None } else { Some(all.swap_remove(pick % all.len())) }
}

/// The dice's share of what is there, at least one unit. Without sense it is as large as it can be.
fn part(held: i64, dice: Dice) -> Amount {
    if !dice.sensible() && dice.size < 20 {
        return amount(Amount::MAX);
    }
    let share = i128::from(held) * i128::from(dice.size) / 100;
    amount(i64::try_from(share).unwrap().clamp(1, Amount::MAX))
}

fn action(ledger: &Ledger, dice: Dice, number: u64) -> Action {
    let period = one_of(ledger.periods.values(), dice.pick);
    let (id, root) = period.map_or((period_id(9), allocation_id(9)), |found| (found.id, found.root));
    let there = available(ledger, root);
    match dice.kind {
        0 => Action::Authorize { period: id, amount: part(100_000, dice) },
        1 => increase_of(ledger, dice, id),
        2 => Action::Rescind { period: id, amount: part(there / 2, dice) },
        3 => {
            let to = one_of(ledger.periods.values(), dice.other).map_or(period_id(9), |to| to.id);
            Action::CarryOver { from: id, to, amount: part(there, dice) }
        }
        4..=6 => down_or_up(ledger, dice),
        7..=9 => hold(ledger, dice, number),
        10..=12 => promise(ledger, dice, number),
        13..=16 => adjust(ledger, dice),
        17..=20 => use_up(ledger, dice),
        _ => undo(ledger, dice),
    }
}

fn available(ledger: &Ledger, id: AllocationId) -> i64 {
    ledger.allocations.get(&id).map_or(0, |allocation| allocation.balance.buckets.available)
}

fn increase_of(ledger: &Ledger, dice: Dice, id: PeriodId) -> Action {
    let share = percent(1 + 4_000 * i64::from(dice.size));
    let by = match dice.other % 3 {
        0 => IncreaseBy::Amount(part(50_000, dice)),
        1 => IncreaseBy::PercentOfOriginal(share),
        _ => IncreaseBy::PercentOfCurrent(share),
    };
    let mut action = increase(1, by, dice.day.is_multiple_of(2));
    if let Action::Increase(increase) = &mut action {
        increase.period = id;
        let base = ledger.periods.get(&id).map(|found| found.authorization_revision);
        increase.base_revision = base.map(|base| base - i64::from(dice.size / 110));
    }
    action
}

fn down_or_up(ledger: &Ledger, dice: Dice) -> Action {
    let all = ledger.allocations.values().filter(|child| child.parent.is_some() || !dice.sensible());
    let child = one_of(all, dice.pick);
    let id = child.map_or(allocation_id(99), |child| child.id);
    if dice.kind == 6 {
        return Action::Deallocate { allocation: id, amount: part(available(ledger, id) / 2, dice) };
    }
    let there = child.and_then(|child| child.parent).map_or(0, |parent| available(ledger, parent));
    Action::Allocate { allocation: id, amount: part(there, dice) }
}

fn leaf(ledger: &Ledger, dice: Dice) -> AllocationId {
    let fits =
        |leaf: &&Allocation| !dice.sensible() || leaf.child_count == 0 && leaf.balance.buckets.available != 0;
    one_of(ledger.allocations.values().filter(fits), dice.pick).map_or(allocation_id(99), |leaf| leaf.id)
}

fn hold(ledger: &Ledger, dice: Dice, number: u64) -> Action {
    let sensible = dice.sensible();
    if dice.kind == 9 {
        let all = ledger.reservations.values().filter(|held| !sensible || held.remaining != 0);
        let held = one_of(all, dice.pick);
        let reservation = held.map_or(reservation_id(9_999), |held| held.id);
        return Action::Release { reservation, amount: part(held.map_or(0, |held| held.remaining), dice) };
    }
    let allocation = leaf(ledger, dice);
    // A new id, or without sense perhaps one that is taken.
    let reservation = reservation_id(if sensible { number } else { number / 2 });
    Action::Reserve { reservation, allocation, amount: part(available(ledger, allocation), dice) }
}

fn promise(ledger: &Ledger, dice: Dice, number: u64) -> Action {
    let number = if dice.sensible() { number } else { number / 2 };
    let leaf = leaf(ledger, dice);
    let held = one_of(ledger.reservations.values().filter(|held| held.remaining != 0), dice.other);
    let mut action = obligate(number, 1, 1, None);
    if let Action::Obligate { allocation, amount, reservation, .. } = &mut action {
        (*allocation, *amount) = (leaf, part(available(ledger, leaf), dice));
        if let Some(held) = held.filter(|_| dice.kind == 12) {
            *allocation = if dice.sensible() { held.allocation } else { leaf };
            (*reservation, *amount) = (Some(held.id), part(held.remaining, dice));
        }
    }
    action
}

fn adjust(ledger: &Ledger, dice: Dice) -> Action {
    let from = if dice.kind == 16 { Bucket::Advanced } else { Bucket::Obligated };
    let (obligation, there) = promised(ledger, dice, from);
    let amount = part(there, dice);
    match dice.kind {
        13 => Action::Deobligate { obligation, amount },
        16 => Action::Refund { obligation, amount },
        _ => Action::Disburse { obligation, amount },
    }
}

fn promised(ledger: &Ledger, dice: Dice, from: Bucket) -> (ObligationId, i64) {
    let rest = |promise: &Obligation| match from {
        Bucket::Advanced => promise.advanced,
        _ => promise.obligated,
    };
    let all = ledger.obligations.values().filter(|promise| !dice.sensible() || rest(promise) != 0);
    let found = one_of(all, dice.pick);
    found.map_or((obligation_id(9_999), 0), |promise| (promise.id, rest(promise)))
}

fn use_up(ledger: &Ledger, dice: Dice) -> Action {
    if dice.kind == 17 {
        let leaf = leaf(ledger, dice);
        return expend(ExpendSource::Available(leaf), part(available(ledger, leaf), dice).get(), None);
    }
    let from = if dice.kind == 18 { Bucket::Advanced } else { Bucket::Obligated };
    let (id, there) = promised(ledger, dice, from);
    let source = if dice.kind == 18 { ExpendSource::Advanced(id) } else { ExpendSource::Obligated(id) };
    let total = part(there, dice).get();
    let lacking = Some(total - there).filter(|lacking| 0 < *lacking && !dice.other.is_multiple_of(4));
    expend(source, total, lacking)
}

fn undo(ledger: &Ledger, dice: Dice) -> Action {
    let fits = |past: &&Reversible| {
        let reversal = matches!(past.entry.action, Action::Reverse { .. });
        !dice.sensible() || past.reversed_by.is_none() && !reversal
    };
    let past = one_of(ledger.reversible.values().filter(fits), dice.pick);
    reverse(past.map_or(entry_id(99_999), |past| past.entry.id))
}

/// The period in whose days the entry should be.
fn home<'a>(ledger: &'a Ledger, action: &Action) -> Option<&'a Period> {
    let of = |id| ledger.allocations.get(id).and_then(|found| ledger.periods.get(&found.period));
    match action {
        Action::Authorize { period, .. } | Action::Rescind { period, .. } => ledger.periods.get(period),
        Action::Increase(increase) => ledger.periods.get(&increase.period),
        Action::CarryOver { from, to, .. } => [from, to]
            .into_iter()
            .filter_map(|id| ledger.periods.get(id))
            .max_by_key(|period| period.first_day),
        Action::Allocate { allocation, .. }
        | Action::Deallocate { allocation, .. }
        | Action::Reserve { allocation, .. }
        | Action::Obligate { allocation, .. } => of(allocation),
        Action::Release { reservation, .. } => of(&ledger.reservations.get(reservation)?.allocation),
        Action::Deobligate { obligation, .. }
        | Action::Disburse { obligation, .. }
        | Action::Refund { obligation, .. } => of(&ledger.obligations.get(obligation)?.allocation),
        Action::Expend(expend) => match &expend.source {
            ExpendSource::Available(leaf) => of(leaf),
            ExpendSource::Obligated(id) | ExpendSource::Advanced(id) => {
                of(&ledger.obligations.get(id)?.allocation)
            }
        },
        Action::Reverse { entry, .. } => home(ledger, &ledger.reversible.get(entry)?.entry.action),
    }
}

/// Mostly inside the period, sometimes on its edges, before it or after it.
fn day(period: Option<&Period>, dice: u8) -> Date {
    let days = |days: u8| Span::new().days(i64::from(days));
    let (first, last) = period.map_or_else(
        || (jiff::civil::date(2025, 1, 1), jiff::civil::date(2025, 12, 31)),
        |period| (period.first_day, period.last_day),
    );
    match dice {
        0..170 => first.saturating_add(days(dice) * 2),
        170..180 => first.saturating_sub(days(dice - 169)),
        180..190 => last.saturating_add(days(dice - 179)),
        190..195 => first,
        _ => last,
    }
}
