//! Reversals: once, never of a reversal, and never of money that has gone on.

use jiff::civil::date;

use crate::domain::entry::{Action, ExpendSource, IncreaseBy};
use crate::domain::ledger::invariants::desk::{
    Desk, allocate, allocation_id, amount, authorize, carry_over, deallocate, deobligate, disburse, expend,
    increase, obligate, obligation_id, period_id, refund, release, rescind, reservation_id, reserve, reverse,
};
use crate::domain::program::Purpose;
use crate::domain::refusal::Refusal;

const TASK: u64 = 10;

#[test]
fn an_entry_is_reversed_once() {
    let mut desk = Desk::with_task(100);
    let entry = desk.done(reserve(1, TASK, 10));
    let by = desk.done(reverse(entry));
    assert_eq!(desk.refused(reverse(entry)), Refusal::AlreadyReversed { entry, by });
    assert_eq!(desk.refused(reverse(by)), Refusal::NotReversible(by));
}

#[test]
fn a_reversal_never_takes_what_has_gone_on() {
    let mut desk = Desk::with_task(100);
    let allocated = desk.done(allocate(TASK, 50));
    let reserved = desk.done(reserve(1, TASK, 60));
    let obligated = desk.done(obligate(1, TASK, 40, Some(1)));
    let disbursed = desk.done(disburse(1, 30));
    desk.done(expend(ExpendSource::Advanced(obligation_id(1)), 20, None));
    let kinds = [allocated, reserved, obligated, disbursed].map(|entry| desk.post(reverse(entry)));
    assert!(kinds[0].is_ok(), "90 are still available");
    assert!(matches!(kinds[1], Err(Refusal::InsufficientReserved { remaining: 20, requested: 60, .. })));
    assert!(matches!(kinds[2], Err(Refusal::InsufficientObligated { remaining: 10, requested: 40, .. })));
    assert!(matches!(kinds[3], Err(Refusal::InsufficientAdvanced { remaining: 10, requested: 30, .. })));
    let refund = desk.done(refund(1, 10));
    desk.done(deobligate(1, 20));
    let refusal = desk.refused(reverse(refund));
    assert!(matches!(refusal, Refusal::InsufficientObligated { remaining: 0, requested: 10, .. }));
}

#[test]
fn an_increase_is_not_reversed_once_a_child_has_used_its_part() {
    let mut desk = Desk::with_task(100);
    let increased = desk.done(increase(1, IncreaseBy::Amount(amount(25)), true));
    let spent = desk.done(expend(ExpendSource::Available(allocation_id(TASK)), 101, None));
    let refusal = desk.refused(reverse(increased));
    let short = matches!(refusal, Refusal::InsufficientAvailable { available: 24, requested: 25, .. });
    assert!(short, "{refusal}");
    desk.done(reverse(spent));
    desk.done(reverse(increased));
    assert_eq!((desk.buckets(1).received, desk.buckets(TASK).received), (1_000, 100));
}

#[test]
fn a_reversed_increase_takes_back_the_parts_of_its_day_and_not_of_today() {
    let mut desk = Desk::with_task(100);
    let increased = desk.done(increase(1, IncreaseBy::Amount(amount(25)), true));
    desk.add(11, 1, Purpose::Task);
    desk.done(allocate(11, 300));
    desk.done(reverse(increased));
    assert_eq!((desk.buckets(TASK).available, desk.buckets(11).available), (100, 300));
}

#[test]
fn a_promise_does_not_come_back_to_an_allocation_that_got_children() {
    let mut desk = Desk::new();
    desk.done(authorize(1, 1_000));
    desk.add(TASK, 1, Purpose::Grant);
    desk.done(allocate(TASK, 100));
    desk.done(obligate(1, TASK, 40, None));
    let deobligated = desk.done(deobligate(1, 40));
    desk.done(reserve(1, TASK, 20));
    let released = desk.done(release(1, 20));
    desk.add(11, TASK, Purpose::Task);
    let allocation = allocation_id(TASK);
    for entry in [deobligated, released] {
        assert_eq!(desk.refused(reverse(entry)), Refusal::NotALeaf { allocation, child_count: 1 });
    }
}

#[test]
fn a_promise_from_a_reservation_goes_back_to_it() {
    let mut desk = Desk::with_task(100);
    desk.done(reserve(1, TASK, 30));
    let obligated = desk.done(obligate(1, TASK, 30, Some(1)));
    desk.done(reverse(obligated));
    assert_eq!(desk.ledger.reservations[&reservation_id(1)].remaining, 30);
    assert_eq!(desk.buckets(TASK).reserved, 30);
    assert_eq!(desk.refused(obligate(1, TASK, 30, None)), Refusal::ObligationTaken(obligation_id(1)));
}

#[test]
fn a_reversed_overrun_goes_back_where_it_came_from() {
    let mut desk = Desk::with_task(100);
    desk.done(obligate(1, TASK, 10, None));
    let before = desk.buckets(TASK);
    let invoice = desk.done(expend(ExpendSource::Obligated(obligation_id(1)), 12, Some(2)));
    desk.done(reverse(invoice));
    assert_eq!(desk.buckets(TASK), before);
    assert_eq!((desk.obligation(1).obligated, desk.obligation(1).expended), (10, 0));
    let turnover = desk.ledger.allocations[&allocation_id(TASK)].balance.turnover;
    assert_eq!((turnover.expended_in, turnover.expended_out), (12, 12));
}

#[test]
fn a_reversed_carry_over_restores_both_periods_and_needs_both_open() {
    let mut desk = Desk::with_task(100);
    desk.open(2);
    desk.today = date(2026, 1, 1);
    let carried = desk.done(carry_over(1, 2, 7));
    let again = desk.done(carry_over(1, 2, 3));
    desk.done(reverse(carried));
    assert_eq!((desk.buckets(1).received, desk.buckets(2).received), (997, 3));
    let authorized = |number| desk.ledger.periods[&period_id(number)].authorized;
    assert_eq!((authorized(1), authorized(2)), (997, 3));
    desk.expire();
    let refusal = Refusal::PeriodExpired { period: period_id(1), action: "reverse" };
    assert_eq!(desk.refused(reverse(again)), refusal);
}

/// Entries whose undoing asks for new money, and whether an expired period undoes them.
fn undone_when_expired(make: &[Action], undone: bool) {
    let mut desk = Desk::with_task(100);
    let last = make.iter().map(|action| desk.done(action.clone())).last().unwrap();
    desk.expire();
    if undone {
        desk.done(reverse(last));
    } else {
        let refusal = Refusal::PeriodExpired { period: period_id(1), action: "reverse" };
        assert_eq!(desk.refused(reverse(last)), refusal);
    }
}

#[test]
fn an_expired_period_undoes_no_rescission_deallocation_or_release() {
    undone_when_expired(&[rescind(1, 1)], false);
    undone_when_expired(&[deallocate(TASK, 1)], false);
    undone_when_expired(&[reserve(1, TASK, 1), release(1, 1)], false);
}

#[test]
fn an_expired_period_undoes_the_rest() {
    undone_when_expired(&[authorize(1, 1)], true);
    undone_when_expired(&[increase(1, IncreaseBy::Amount(amount(25)), true)], true);
    undone_when_expired(&[allocate(TASK, 1)], true);
    undone_when_expired(&[reserve(1, TASK, 1)], true);
    undone_when_expired(&[obligate(1, TASK, 1, None)], true);
    undone_when_expired(&[expend(ExpendSource::Available(allocation_id(TASK)), 1, None)], true);
    undone_when_expired(&[obligate(1, TASK, 1, None), deobligate(1, 1)], true);
    undone_when_expired(&[obligate(1, TASK, 1, None), disburse(1, 1)], true);
    undone_when_expired(&[obligate(1, TASK, 1, None), disburse(1, 1), refund(1, 1)], true);
}

#[test]
fn undoing_that_uses_new_money_is_dated_inside_the_period() {
    let mut desk = Desk::with_task(100);
    let rescinded = desk.done(rescind(1, 1));
    let reserved = desk.done(reserve(1, TASK, 1));
    desk.today = date(2026, 1, 1);
    assert!(matches!(desk.refused(reverse(rescinded)), Refusal::EffectiveOutsidePeriod { .. }));
    desk.done(reverse(reserved));
    desk.today = date(2025, 12, 31);
    desk.done(reverse(rescinded));
    assert_eq!(desk.buckets(1).received, 1_000);
}
