//! Random runs: every step is checked against the invariants, the second books and a replay.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::domain::entry::{Action, Entry};
use crate::domain::ids::AllocationId;
use crate::domain::ledger::invariants::books::Books;
use crate::domain::ledger::invariants::checks;
use crate::domain::ledger::invariants::commands::{Command, Dice, command, dice};
use crate::domain::ledger::invariants::desk::{
    allocate, allocation, authorize, entry, entry_id, period, reverse, usd,
};
use crate::domain::ledger::{Effect, Ledger, recorded_at};
use crate::domain::legs::Place;
use crate::domain::program::{Bucket, Purpose};
use crate::domain::refusal::Refusal;

/// Runs of this many cases stay below five seconds in a debug build.
const CASES: u32 = 160;
const STEPS_MAX: usize = 80;

/// A ledger with everything that was ever asked of it.
struct Run {
    ledger: Ledger,
    books: Books,
    taken: Vec<(Command, i64)>,
    effects: Vec<Effect>,
    /// How often each action was taken and refused.
    tally: BTreeMap<&'static str, (u32, u32)>,
    /// What was reversed.
    undone: Vec<Action>,
    steps: u64,
}

impl Run {
    /// A small tree in two periods, so that the first dice already find something.
    fn new() -> Self {
        let mut run = Self {
            ledger: Ledger::new(usd()),
            books: Books::default(),
            taken: Vec::new(),
            effects: Vec::new(),
            tally: BTreeMap::new(),
            undone: Vec::new(),
            steps: 0,
        };
        for number in [1, 2] {
            run.take(Command::Open(period(number, 0)));
            let day = period(number, 0).first_day;
            run.take(Command::Post(entry(9_000 + number, day, authorize(number, 80_000))));
        }
        for (number, period, parent, purpose) in [
            (10, 1, 1, Purpose::Country),
            (11, 1, 1, Purpose::Country),
            (12, 1, 10, Purpose::Grant),
            (13, 1, 12, Purpose::Task),
            (14, 2, 2, Purpose::Support),
        ] {
            run.take(Command::Add(allocation(number, period, parent, purpose)));
            let day = jiff::civil::date(2026, 1, 1);
            let day = if period == 1 { day.yesterday().unwrap() } else { day };
            run.take(Command::Post(entry(9_000 + number, day, allocate(number, 20_000))));
        }
        run
    }

    fn step(&mut self, dice: Dice) {
        self.steps += 1;
        let command = command(&self.ledger, dice, self.steps, self.revision());
        self.take(command);
    }

    fn revision(&self) -> i64 {
        1 + i64::try_from(self.taken.len()).unwrap()
    }

    fn take(&mut self, command: Command) {
        let (before, revision) = (self.ledger.clone(), self.revision());
        let outcome = command.clone().apply(&mut self.ledger, revision);
        if let Command::Post(entry) = &command {
            let tally = self.tally.entry(entry.action.word()).or_default();
            if outcome.is_ok() { tally.0 += 1 } else { tally.1 += 1 }
        }
        match outcome {
            Ok(effect) => {
                self.taken.push((command, revision));
                if let Some(effect) = effect {
                    self.booked(&before, effect, revision);
                }
            }
            Err(refusal) => {
                assert_eq!(self.ledger, before, "refused by {refusal}, and yet changed");
                checks::a_shortage_is_real(&before, &refusal);
            }
        }
        checks::whole_ledger(&self.ledger);
        self.books.agree_with(&self.ledger);
        self.books.sum_to_zero();
        self.replay_is_identical();
        self.order_of_days_does_not_matter();
    }

    fn booked(&mut self, before: &Ledger, effect: Effect, revision: i64) {
        checks::accepted(before, &self.ledger, &effect);
        self.books.book(&self.ledger, &effect.entry);
        a_reversal_restores(before, &self.ledger, &effect.entry, revision + 1);
        if let Action::Reverse { entry, .. } = &effect.entry.action {
            self.undone.push(before.reversible[entry].entry.action.clone());
        }
        self.effects.push(effect);
    }

    /// Invariant 10: What is stored is the replay of what was taken.
    fn replay_is_identical(&self) {
        let mut replayed = Ledger::new(usd());
        for (command, revision) in &self.taken {
            command.clone().apply(&mut replayed, *revision).unwrap();
        }
        assert_eq!(replayed, self.ledger);
    }

    /// Invariant 9: Sums over all entries are the same in the order of their days and in the order of the journal.
    fn order_of_days_does_not_matter(&self) {
        let mut by_day: Vec<&Effect> = self.effects.iter().collect();
        by_day.sort_by_key(|effect| effect.entry.effective_on);
        let mut sums: BTreeMap<(AllocationId, Bucket), i128> = BTreeMap::new();
        for leg in by_day.iter().flat_map(|effect| &effect.legs.movements) {
            for (place, units) in
                [(leg.from, -i128::from(leg.amount.get())), (leg.to, leg.amount.get().into())]
            {
                if let Place::In(id, bucket) = place {
                    *sums.entry((id, bucket)).or_insert(0) += units;
                }
            }
        }
        for ((id, bucket), sum) in sums {
            let mut buckets = self.ledger.allocations[&id].balance.buckets;
            assert_eq!(i128::from(*buckets.bucket_mut(bucket)), sum, "{id} {bucket}");
        }
    }
}

impl Drop for Run {
    /// The commands say more than the dice. The last case that is shown is the smallest.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("taken: {:#?}", self.taken.iter().skip(14).collect::<Vec<_>>());
        }
    }
}

/// Invariant 8: A reversal right after its entry restores every bucket and remainder, and can be made once only.
fn a_reversal_restores(before: &Ledger, after: &Ledger, past: &Entry, revision: i64) {
    // A reversal is not undone.
    if matches!(past.action, Action::Reverse { .. }) {
        return;
    }
    let day = past.effective_on;
    let mut undone = after.clone();
    match undone.apply(entry(77_777, day, reverse(past.id)), revision) {
        Err(Refusal::AmountTooLarge(_)) => return,
        Err(Refusal::PeriodExpired { .. } | Refusal::EffectiveOutsidePeriod { .. }) => {
            let word = past.action.word();
            assert!(["rescind", "deallocate", "release"].contains(&word), "{word} cannot be undone");
            return;
        }
        Err(refusal) => panic!("{past:?} cannot be undone: {refusal}"),
        Ok(_) => {}
    }
    same_money(before, &undone);
    let again = undone.apply(entry(77_778, day, reverse(past.id)), revision + 1);
    assert_eq!(again, Err(Refusal::AlreadyReversed { entry: past.id, by: entry_id(77_777) }));
}

fn same_money(before: &Ledger, undone: &Ledger) {
    for (id, allocation) in &undone.allocations {
        let (old, new) = (before.allocations[id].balance, allocation.balance);
        assert_eq!((old.buckets, old.open_obligations), (new.buckets, new.open_obligations), "{id}");
    }
    for (id, held) in &undone.reservations {
        assert_eq!(before.reservations.get(id).map_or(0, |old| old.remaining), held.remaining, "{id}");
    }
    for (id, new) in &undone.obligations {
        let old =
            before.obligations.get(id).map_or((0, 0, 0), |old| (old.obligated, old.advanced, old.expended));
        assert_eq!(old, (new.obligated, new.advanced, new.expended), "{id}");
    }
    for (id, period) in &undone.periods {
        let old = &before.periods[id];
        assert_eq!((old.original, old.authorized), (period.original, period.authorized), "{id}");
    }
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(CASES) })]

    #[test]
    fn every_step_of_a_random_run_keeps_the_invariants(steps in vec(dice(), 1..STEPS_MAX)) {
        let mut run = Run::new();
        for dice in steps {
            run.step(dice);
        }
    }

    #[test]
    fn recorded_instants_never_go_back(now in 0..1_000_i64, last in 0..1_000_i64) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let recorded = recorded_at(at(now), at(last));
        prop_assert!(at(last) <= recorded && at(now) <= recorded);
    }
}

#[test]
fn random_runs_take_and_refuse_every_action() {
    let mut runner = TestRunner::deterministic();
    let mut tally: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let mut undone = Vec::new();
    for _ in 0..CASES {
        let mut run = Run::new();
        for dice in vec(dice(), STEPS_MAX).new_tree(&mut runner).unwrap().current() {
            run.step(dice);
        }
        for (word, (taken, refused)) in &run.tally {
            let sum = tally.entry(word).or_default();
            *sum = (sum.0 + taken, sum.1 + refused);
        }
        undone.append(&mut run.undone);
    }
    assert_eq!(tally.len(), 14, "{tally:?}");
    assert!(tally.values().all(|(taken, refused)| 0 < *taken && 0 < *refused), "{tally:?}");
    let (taken, refused) = tally.values().fold((0, 0), |sum, (a, b)| (sum.0 + a, sum.1 + b));
    assert!(taken < 2 * refused && refused < 2 * taken, "{taken} taken, {refused} refused: {tally:?}");
    let pushed_down = |action: &Action| matches!(action, Action::Increase(increase) if increase.push_down);
    assert!(undone.iter().any(pushed_down), "no increase with a push-down was reversed");
    let words: BTreeSet<_> = undone.iter().map(Action::word).collect();
    assert_eq!(words.len(), 13, "everything but a reversal is reversed at some time: {words:?}");
}
