//! The replay: every stored event goes through the pure rules again, and must come out as it is stored.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};

use jiff::Timestamp;

use crate::app::codec::EventCodec;
use crate::app::command::Event;
use crate::app::verify::Invariant;
use crate::domain::currency::Currency;
use crate::domain::entry::{Action, Entry, PostedEntry};
use crate::domain::ids::{AllocationId, EntryId};
use crate::domain::ledger::{Ledger, Reversible};
use crate::domain::program::{Allocation, Balance, Period, PeriodState, Turnover};
use crate::store::journal::{Event as Stored, leaf_hash};

const READABLE: usize = 0;
const ACCEPTED: usize = 1;
const SAME_ANSWERS: usize = 2;
const SAME_ROWS: usize = 3;
const SAME_REVERSALS: usize = 4;
const COUNTERS_GROW: usize = 5;

/// Names and meanings of what the replay checks, in the order of the constants above.
const CHECKS: [(&str, &str); 6] = [
    (
        "events_are_readable",
        "every stored event decodes, hashes to its leaf, and stands where and when it says",
    ),
    ("replay_accepts_every_event", "the rules accept every event of the journal again"),
    ("replay_gives_the_stored_answers", "every event comes out of the rules as it was stored"),
    ("stored_balances_are_the_replay", "the rows of the present are what the journal replays to"),
    ("stored_reversals_are_the_replay", "an entry counts as reversed exactly when an entry reversed it"),
    ("counters_never_decrease", "cumulative sums only grow"),
];

/// A replay in progress.
pub(super) struct Replay {
    codec: EventCodec,
    ledger: Ledger,
    revision: i64,
    events: i64,
    entries: i64,
    differences: [i64; CHECKS.len()],
    first: Option<String>,
    reversals: BTreeMap<EntryId, EntryId>,
}

impl Replay {
    pub(super) const fn new(codec: EventCodec, currency: Currency) -> Self {
        Self {
            codec,
            ledger: Ledger::new(currency),
            revision: 0,
            events: 0,
            entries: 0,
            differences: [0; CHECKS.len()],
            first: None,
            reversals: BTreeMap::new(),
        }
    }

    pub(super) const fn revision(&self) -> i64 {
        self.revision
    }

    pub(super) const fn currency(&self) -> Currency {
        self.ledger.currency
    }

    /// Revision, events and entries read.
    pub(super) const fn counts(&self) -> (i64, i64, i64) {
        (self.revision, self.events, self.entries)
    }

    /// What was found for each check, and the first difference.
    pub(super) fn outcome(self) -> (Vec<Invariant>, Option<String>) {
        let found = CHECKS.into_iter().zip(self.differences);
        let invariants =
            found.map(|((name, meaning), differences)| Invariant { name, meaning, differences }).collect();
        (invariants, self.first)
    }

    /// The past entry that an event reverses.
    pub(super) fn reverses(&self, stored: &Stored) -> Option<EntryId> {
        let Ok(Event::Entry(posted)) = (self.codec.decode)(stored.kind, &stored.payload) else { return None };
        match posted.entry.action {
            Action::Reverse { entry, .. } => Some(entry),
            _ => None,
        }
    }

    /// Brings a past entry that is about to be reversed to hand.
    pub(super) fn offer(&mut self, stored: &Stored) {
        if let Ok(Event::Entry(past)) = (self.codec.decode)(stored.kind, &stored.payload)
            && past.revision <= self.revision
        {
            let reversed_by = self.reversals.get(&past.entry.id).copied();
            let past = Reversible { entry: past.entry, reversed_by };
            self.ledger.reversible.insert(past.entry.id, past);
        }
    }

    /// Replays one event.
    pub(super) fn take(&mut self, stored: &Stored) {
        self.events += 1;
        let follows = stored.revision == self.revision + 1;
        self.revision = stored.revision;
        self.check(READABLE, follows, || "the revision before it is missing".to_owned());
        let hashes = stored.leaf_hash == leaf_hash(&stored.payload);
        self.check(READABLE, hashes, || "its bytes do not hash to its leaf".to_owned());
        match (self.codec.decode)(stored.kind, &stored.payload) {
            Ok(Event::Period(period)) => {
                self.check_place(stored, period.revision, stored.recorded_at);
                self.take_period(period, stored);
            }
            Ok(Event::Allocation(allocation)) => {
                self.check_place(stored, allocation.revision, allocation.created_at);
                self.take_allocation(allocation);
            }
            Ok(Event::Entry(posted)) => {
                self.check_place(stored, posted.revision, posted.recorded_at);
                self.take_entry(&posted);
            }
            // It moves no money. Its record is what the audit compares.
            Ok(Event::Changed(place)) => self.check_place(stored, place.revision, place.recorded_at),
            Ok(Event::Program(new)) => self.check_place(stored, new.revision, new.created_at),
            Ok(Event::Organization(new)) => self.check_place(stored, new.revision, new.created_at),
            Err(error) => {
                tracing::warn!(?error, revision = stored.revision, "a stored event does not decode");
                self.check(READABLE, false, || "it does not decode".to_owned());
            }
        }
    }

    /// Holds what a message says of its own place against where it is stored.
    fn check_place(&mut self, stored: &Stored, revision: i64, recorded_at: Timestamp) {
        let fits = stored.revision == revision && stored.recorded_at == recorded_at;
        self.check(READABLE, fits, || "it tells of another revision or time than that of its row".to_owned());
    }

    fn take_period(&mut self, period: Period, stored: &Stored) {
        let known = self.ledger.periods.get(&period.id).map(|known| known.revision);
        let done = match (known, period.state) {
            (None, PeriodState::Open) => self.ledger.open_period(period.clone(), stored.recorded_at),
            (None, _) => Ok(()),
            (Some(expected), to) => {
                self.ledger.change_period(period.id, to, expected, self.revision).map(|_| ())
            }
        };
        match done {
            Ok(()) => {
                let replayed = self.ledger.periods.get(&period.id).cloned();
                self.same(SAME_ANSWERS, &Some(period), &replayed);
            }
            Err(refusal) => self.check(ACCEPTED, false, || refusal.to_string()),
        }
    }

    fn take_allocation(&mut self, allocation: Allocation) {
        match self.ledger.add_allocation(allocation.clone()) {
            Ok(id) => {
                let replayed = self.ledger.allocations.get(&id).cloned();
                // The path is not part of the message; it follows from the parents.
                let path = replayed.as_ref().map(|replayed| replayed.path.clone()).unwrap_or_default();
                self.same(SAME_ANSWERS, &Some(Allocation { path, ..allocation }), &replayed);
            }
            Err(refusal) => self.check(ACCEPTED, false, || refusal.to_string()),
        }
    }

    fn take_entry(&mut self, posted: &PostedEntry) {
        self.entries += 1;
        let before: Vec<(AllocationId, Turnover)> =
            posted.balances.iter().map(|(id, _)| (*id, self.balance(*id).turnover)).collect();
        match self.ledger.apply(asked(posted.entry.clone()), self.revision) {
            Ok(effect) => {
                self.ledger.reversible.clear();
                if let Action::Reverse { entry, .. } = &effect.entry.action {
                    self.reversals.insert(*entry, effect.entry.id);
                }
                self.same(SAME_ANSWERS, &posted.entry, &effect.entry);
                let replayed: Vec<(AllocationId, Balance)> =
                    effect.allocations.iter().map(|id| (*id, self.balance(*id))).collect();
                self.same(SAME_ANSWERS, &posted.balances, &replayed);
            }
            Err(refusal) => self.check(ACCEPTED, false, || refusal.to_string()),
        }
        for (id, old) in before {
            let new = self.balance(id).turnover;
            let grown = old.received_in <= new.received_in
                && old.returned_out <= new.returned_out
                && old.expended_in <= new.expended_in
                && old.expended_out <= new.expended_out;
            self.check(COUNTERS_GROW, grown, || format!("a counter of allocation {id} went down"));
        }
    }

    fn balance(&self, id: AllocationId) -> Balance {
        self.ledger.allocations.get(&id).map_or_else(Balance::default, |found| found.balance)
    }

    /// Compares what the replay came to with the rows of the present.
    pub(super) fn compare(&mut self, stored: &Ledger, reversals: &[(EntryId, EntryId)]) {
        let replayed = std::mem::replace(&mut self.ledger, Ledger::new(stored.currency));
        self.same_rows("period", &stored.periods, &replayed.periods);
        self.same_rows("allocation", &stored.allocations, &replayed.allocations);
        self.same_rows("reservation", &stored.reservations, &replayed.reservations);
        self.same_rows("obligation", &stored.obligations, &replayed.obligations);
        let stored: BTreeMap<EntryId, EntryId> = reversals.iter().copied().collect();
        let replayed = std::mem::take(&mut self.reversals);
        self.same(SAME_REVERSALS, &stored, &replayed);
    }

    fn same_rows<K: Ord + Copy + Display, V: PartialEq + Debug>(
        &mut self,
        kind: &str,
        stored: &BTreeMap<K, V>,
        replayed: &BTreeMap<K, V>,
    ) {
        let mut ids: Vec<&K> = stored.keys().chain(replayed.keys()).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let (row, replay) = (stored.get(id), replayed.get(id));
            let same = row == replay;
            if !same {
                tracing::warn!(kind, ?row, ?replay, "a row is not what the journal replays to");
            }
            self.check(SAME_ROWS, same, || {
                format!("the row of {kind} {id} is not what the journal replays to")
            });
        }
    }

    fn same<T: PartialEq + Debug>(&mut self, check: usize, stored: &T, replayed: &T) {
        let same = stored == replayed;
        if !same {
            tracing::warn!(
                ?stored,
                ?replayed,
                revision = self.revision,
                "a replay differs from what is stored"
            );
        }
        self.check(check, same, || "what is stored is not what the rules say".to_owned());
    }

    fn check(&mut self, check: usize, holds: bool, told: impl FnOnce() -> String) {
        if holds {
            return;
        }
        self.differences[check] += 1;
        if self.first.is_none() {
            self.first = Some(format!("{} at revision {}: {}", CHECKS[check].0, self.revision, told()));
        }
    }
}

/// The entry as its caller sent it: what the rules worked out is taken off again.
fn asked(mut entry: Entry) -> Entry {
    if let Action::Increase(increase) = &mut entry.action {
        increase.outcome = None;
    }
    entry
}
