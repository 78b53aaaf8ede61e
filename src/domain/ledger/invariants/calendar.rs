//! States and days: what an expired or closed period takes, and when an entry may have happened.

use jiff::civil::date;

use crate::domain::entry::{Action, ExpendSource, IncreaseBy};
use crate::domain::ledger::invariants::desk::{
    Desk, allocate, allocation_id, amount, authorize, carry_over, deallocate, deobligate, disburse, expend,
    increase, obligate, obligation_id, period_id, refund, release, rescind, reserve, reverse,
};
use crate::domain::program::PeriodState;
use crate::domain::refusal::Refusal;

const TASK: u64 = 10;

fn from_obligated(number: u64) -> ExpendSource {
    ExpendSource::Obligated(obligation_id(number))
}

fn from_task() -> ExpendSource {
    ExpendSource::Available(allocation_id(TASK))
}

/// Every action that an expired period refuses, with what it needs.
fn new_money() -> Vec<Action> {
    let by = IncreaseBy::Amount(amount(1));
    vec![
        authorize(1, 1),
        increase(1, by, false),
        carry_over(1, 2, 1),
        carry_over(2, 1, 1),
        allocate(TASK, 1),
        reserve(9, TASK, 1),
        obligate(9, TASK, 1, None),
        obligate(9, TASK, 1, Some(1)),
        expend(from_task(), 1, None),
    ]
}

/// Every action that an expired period takes.
fn old_money() -> Vec<Action> {
    vec![
        release(1, 20),
        disburse(1, 8),
        refund(1, 2),
        expend(from_obligated(1), 1, None),
        expend(ExpendSource::Advanced(obligation_id(1)), 6, None),
        deobligate(1, 3),
        deallocate(TASK, 1),
        rescind(1, 1),
    ]
}

fn with_promises() -> Desk {
    let mut desk = Desk::with_task(100);
    desk.open(2);
    desk.done(reserve(1, TASK, 20));
    desk.done(obligate(1, TASK, 10, None));
    desk
}

#[test]
fn an_expired_period_adjusts_and_pays_what_exists_and_takes_nothing_new() {
    let mut desk = with_promises();
    desk.today = date(2026, 6, 1);
    desk.done(authorize(2, 5));
    desk.expire();
    for action in new_money() {
        let refusal = Refusal::PeriodExpired { period: period_id(1), action: action.word() };
        assert_eq!(desk.refused(action), refusal);
    }
    for action in old_money() {
        desk.done(action);
    }
    assert!(!desk.buckets(TASK).unsettled());
}

#[test]
fn a_closed_period_takes_nothing() {
    let mut desk = with_promises();
    desk.today = date(2026, 6, 1);
    desk.done(authorize(2, 5));
    let paid = desk.done(disburse(1, 10));
    desk.done(expend(ExpendSource::Advanced(obligation_id(1)), 10, None));
    desk.done(release(1, 20));
    desk.expire();
    desk.change(PeriodState::Closed).unwrap();
    for action in new_money().into_iter().chain([rescind(1, 1), deallocate(TASK, 1), reverse(paid)]) {
        let refusal = Refusal::PeriodClosed { period: period_id(1), action: action.word() };
        assert_eq!(desk.refused(action), refusal);
    }
}

#[test]
fn new_money_is_dated_inside_its_period_and_the_rest_not_before_it() {
    let mut desk = with_promises();
    let outside = |refusal: &Refusal| matches!(refusal, Refusal::EffectiveOutsidePeriod { .. });
    for day in [date(2024, 12, 31), date(2026, 1, 1)] {
        desk.today = day;
        for action in new_money().into_iter().filter(|action| action.word() != "carry_over") {
            let refusal = desk.refused(action);
            assert!(outside(&refusal), "{day}: {refusal}");
        }
    }
    desk.today = date(2024, 12, 31);
    for action in old_money() {
        let refusal = desk.refused(action);
        assert!(outside(&refusal), "{refusal}");
    }
    desk.today = date(2026, 1, 1);
    for action in old_money() {
        desk.done(action);
    }
    for (day, leaf) in [(date(2025, 1, 1), TASK), (date(2025, 12, 31), TASK)] {
        desk.today = day;
        desk.done(expend(ExpendSource::Available(allocation_id(leaf)), 1, None));
    }
}

#[test]
fn a_carry_over_is_dated_in_the_later_period() {
    let mut desk = with_promises();
    for day in [date(2025, 12, 31), date(2027, 1, 1)] {
        desk.today = day;
        let refusal = desk.refused(carry_over(1, 2, 7));
        assert!(matches!(refusal, Refusal::EffectiveOutsidePeriod { period, .. } if period == period_id(2)));
    }
    desk.today = date(2026, 1, 1);
    desk.done(carry_over(1, 2, 7));
    assert_eq!((desk.buckets(1).received, desk.buckets(2).received), (993, 7));
}

#[test]
fn nothing_is_carried_over_into_an_earlier_period() {
    let mut desk = with_promises();
    desk.today = date(2026, 6, 1);
    desk.done(authorize(2, 5));
    for day in [date(2025, 12, 31), date(2026, 6, 1)] {
        desk.today = day;
        let refusal = desk.refused(carry_over(2, 1, 1));
        assert!(matches!(refusal, Refusal::EffectiveOutsidePeriod { .. }), "{day}: {refusal}");
    }
}
