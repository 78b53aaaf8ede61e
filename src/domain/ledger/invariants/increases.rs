//! Increases: the base that the caller read, what is shared below, and what a retry does.

use crate::domain::entry::{Action, IncreaseBy, Increased};
use crate::domain::ids::AllocationId;
use crate::domain::ledger::invariants::desk::{
    Desk, allocate, allocation_id, amount, authorize, increase, percent, period_id, rescind, reverse,
};
use crate::domain::program::Purpose;
use crate::domain::refusal::Refusal;

const QUARTER: i64 = 250_000;

fn original(ppm: i64) -> IncreaseBy {
    IncreaseBy::PercentOfOriginal(percent(ppm))
}

fn current(ppm: i64) -> IncreaseBy {
    IncreaseBy::PercentOfCurrent(percent(ppm))
}

/// An increase by a caller who read the base at this revision.
fn at(base_revision: i64, by: IncreaseBy) -> Action {
    let mut action = increase(1, by, false);
    if let Action::Increase(increase) = &mut action {
        increase.base_revision = Some(base_revision);
    }
    action
}

fn authorized(desk: &Desk) -> i64 {
    desk.ledger.periods[&period_id(1)].authorized
}

fn desk_of(units: i64) -> Desk {
    let mut desk = Desk::new();
    desk.done(authorize(1, units));
    desk
}

/// What was added and who got it.
fn outcome(desk: &mut Desk, action: Action) -> (i64, Vec<(AllocationId, i64)>) {
    let Action::Increase(increase) = desk.post(action).unwrap().entry.action else { panic!("an increase") };
    increase.outcome.map(|outcome| (outcome.added, outcome.pushed_down)).unwrap()
}

#[test]
fn a_second_quarter_of_the_same_base_is_refused() {
    for by in [original(QUARTER), current(QUARTER), IncreaseBy::Amount(amount(25))] {
        let mut desk = desk_of(100);
        let base_revision = desk.revision;
        desk.done(at(base_revision, by));
        let (period, authorization_revision) = (period_id(1), desk.revision);
        let refusal = desk.refused(at(base_revision, by));
        assert_eq!(refusal, Refusal::BaseChanged { period, base_revision, authorization_revision });
        assert_eq!(authorized(&desk), 125);
    }
}

#[test]
fn a_base_of_the_future_is_refused() {
    let mut desk = desk_of(100);
    let revision = desk.revision;
    for requested in [revision + 1, i64::MAX] {
        let refusal = desk.refused(at(requested, original(QUARTER)));
        assert_eq!(refusal, Refusal::RevisionAhead { requested, revision });
    }
    desk.done(at(revision, original(QUARTER)));
}

#[test]
fn a_quarter_of_the_original_does_not_compound_and_one_of_the_current_does() {
    for (by, authority) in [(original(QUARTER), 15_000), (current(QUARTER), 15_625)] {
        let mut desk = desk_of(10_000);
        for _ in 0..2 {
            desk.done(at(desk.revision, by));
        }
        assert_eq!(authorized(&desk), authority);
    }
}

#[test]
fn only_authorizations_change_the_base() {
    let mut desk = desk_of(100);
    let base = desk.revision;
    desk.add(10, 1, Purpose::Task);
    desk.done(allocate(10, 40));
    desk.done(at(base, original(QUARTER)));
    for change in [authorize(1, 1), rescind(1, 1)] {
        let base = desk.revision;
        desk.done(change);
        assert!(matches!(desk.refused(at(base, original(QUARTER))), Refusal::BaseChanged { .. }));
    }
}

#[test]
fn a_reversed_authorization_is_no_longer_a_base() {
    let mut desk = desk_of(100);
    let base = desk.revision;
    let more = desk.done(authorize(1, 900));
    desk.done(reverse(more));
    assert!(matches!(desk.refused(at(base, original(QUARTER))), Refusal::BaseChanged { .. }));
    assert_eq!(outcome(&mut desk, increase(1, original(QUARTER), false)).0, 25);
}

#[test]
fn an_increase_that_rounds_to_nothing_is_refused() {
    let mut desk = desk_of(2);
    let refusal = Refusal::IncreaseIsZero { period: period_id(1), base: 2, percent_ppm: QUARTER };
    assert_eq!(desk.refused(increase(1, original(QUARTER), false)), refusal);
    assert_eq!(desk.refused(increase(1, current(QUARTER), false)), refusal);
}

#[test]
fn an_increase_of_a_period_without_authorization_is_refused_unless_it_is_an_amount() {
    let mut desk = Desk::new();
    let refusal = Refusal::IncreaseIsZero { period: period_id(1), base: 0, percent_ppm: QUARTER };
    assert_eq!(desk.refused(increase(1, original(QUARTER), false)), refusal);
    desk.done(increase(1, IncreaseBy::Amount(amount(5)), false));
    assert_eq!((authorized(&desk), desk.ledger.periods[&period_id(1)].original), (5, 0));
}

#[test]
fn nothing_is_pushed_down_to_children_that_received_nothing() {
    let mut desk = desk_of(100);
    let refusal = Refusal::NothingToPushDown(allocation_id(1));
    assert_eq!(desk.refused(increase(1, original(QUARTER), true)), refusal);
    desk.add(10, 1, Purpose::Country);
    assert_eq!(desk.refused(increase(1, original(QUARTER), true)), refusal);
}

#[test]
fn only_the_roots_own_children_that_received_something_share_an_increase() {
    let mut desk = desk_of(100);
    for (number, parent) in [(10, 1), (11, 1), (12, 1), (13, 10)] {
        desk.add(number, parent, if number == 13 { Purpose::Task } else { Purpose::Country });
    }
    for (number, units) in [(10, 30), (12, 60), (13, 30)] {
        desk.done(allocate(number, units));
    }
    let (added, parts) = outcome(&mut desk, increase(1, original(QUARTER), true));
    assert_eq!((added, parts), (25, vec![(allocation_id(10), 8), (allocation_id(12), 17)]));
    assert_eq!(desk.buckets(1).available, 10);
    assert_eq!((desk.buckets(10).available, desk.buckets(11).received), (8, 0));
}

#[test]
fn ties_of_a_push_down_go_to_the_smaller_id() {
    let mut desk = desk_of(99);
    for number in [12, 10, 11] {
        desk.add(number, 1, Purpose::Country);
        desk.done(allocate(number, 33));
    }
    let (_, parts) = outcome(&mut desk, increase(1, IncreaseBy::Amount(amount(4)), true));
    assert_eq!(parts, [(10, 2), (11, 1), (12, 1)].map(|(number, part)| (allocation_id(number), part)));
}

#[test]
fn an_outcome_that_a_caller_sends_along_is_worked_out_anew() {
    let mut desk = desk_of(100);
    let mut action = increase(1, original(QUARTER), false);
    if let Action::Increase(increase) = &mut action {
        increase.outcome = Some(Increased { added: 999, pushed_down: vec![(allocation_id(1), 9)] });
    }
    assert_eq!(outcome(&mut desk, action), (25, Vec::new()));
    assert_eq!(authorized(&desk), 125);
}
