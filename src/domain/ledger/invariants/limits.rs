//! Amounts near the limits are refused; nothing overflows. Debug builds panic on overflow, so every case
//! here would.

use crate::domain::entry::{Action, ExpendSource, IncreaseBy};
use crate::domain::ledger::invariants::checks;
use crate::domain::ledger::invariants::desk::{
    Desk, allocate, allocation_id, amount, authorize, carry_over, deallocate, deobligate, disburse, expend,
    increase, obligate, obligation_id, percent, refund, release, rescind, reserve, reverse,
};
use crate::domain::money::{Amount, Percent, TOTAL_MAX};
use crate::domain::program::Purpose;
use crate::domain::refusal::Refusal;

const MOST: i64 = Amount::MAX;

/// A root that has received all that it can, in four entries.
fn full() -> Desk {
    let mut desk = Desk::new();
    for _ in 0..4 {
        desk.done(authorize(1, MOST));
    }
    assert_eq!(desk.buckets(1).received, TOTAL_MAX);
    desk
}

#[test]
fn amounts_are_above_zero_and_at_most_the_limit() {
    for units in [0, -1, i64::MIN, i64::MAX, MOST + 1] {
        assert_eq!(Amount::new(units), None, "{units}");
    }
    assert_eq!(amount(MOST).get(), MOST);
    for ppm in [0, -1, i64::MIN, i64::MAX, Percent::PPM_MAX + 1] {
        assert_eq!(Percent::new(ppm), None, "{ppm}");
    }
}

#[test]
fn a_root_receives_no_more_than_the_limit() {
    let mut desk = full();
    let refusal = Refusal::AmountTooLarge(allocation_id(1));
    let increases = [
        IncreaseBy::Amount(amount(1)),
        IncreaseBy::Amount(amount(MOST)),
        IncreaseBy::PercentOfOriginal(percent(1)),
        IncreaseBy::PercentOfOriginal(percent(Percent::PPM_MAX)),
        IncreaseBy::PercentOfCurrent(percent(Percent::PPM_MAX)),
    ];
    for action in increases.map(|by| increase(1, by, false)).into_iter().chain([authorize(1, 1)]) {
        assert_eq!(desk.refused(action), refusal);
    }
    checks::whole_ledger(&desk.ledger);
}

#[test]
fn what_was_given_back_still_counts() {
    let mut desk = full();
    desk.done(rescind(1, MOST));
    assert_eq!(desk.refused(authorize(1, 1)), Refusal::AmountTooLarge(allocation_id(1)));
    desk.open(2);
    desk.today = jiff::civil::date(2026, 1, 1);
    desk.done(carry_over(1, 2, MOST));
    checks::whole_ledger(&desk.ledger);
}

#[test]
fn a_share_that_no_entry_could_hold_is_refused() {
    let mut desk = Desk::new();
    desk.done(authorize(1, MOST));
    let most = IncreaseBy::PercentOfOriginal(percent(1_000_000));
    let more = IncreaseBy::PercentOfOriginal(percent(1_000_001));
    assert_eq!(desk.refused(increase(1, more, false)), Refusal::AmountTooLarge(allocation_id(1)));
    desk.done(increase(1, most, false));
    assert_eq!(desk.buckets(1).received, 2 * MOST);
}

#[test]
fn allocating_to_and_fro_stops_at_the_limit_and_not_at_an_overflow() {
    let mut desk = full();
    desk.add(10, 1, Purpose::Task);
    for _ in 0..4 {
        desk.done(allocate(10, MOST));
        desk.done(deallocate(10, MOST));
    }
    assert_eq!(desk.refused(allocate(10, 1)), Refusal::AmountTooLarge(allocation_id(10)));
    checks::whole_ledger(&desk.ledger);
}

#[test]
fn a_push_down_over_the_limit_of_a_child_leaves_the_root_as_it_was() {
    let mut desk = Desk::new();
    desk.done(authorize(1, MOST));
    desk.add(10, 1, Purpose::Task);
    for _ in 0..3 {
        desk.done(allocate(10, MOST));
        desk.done(deallocate(10, MOST));
    }
    desk.done(allocate(10, MOST));
    let by = IncreaseBy::Amount(amount(1));
    assert_eq!(desk.refused(increase(1, by, true)), Refusal::AmountTooLarge(allocation_id(10)));
    desk.done(increase(1, by, false));
}

#[test]
fn expending_and_undoing_stops_at_the_limit_and_not_at_an_overflow() {
    let mut desk = full();
    let source = ExpendSource::Available(allocation_id(1));
    for _ in 0..4 {
        let spent = desk.done(expend(source, MOST, None));
        desk.done(reverse(spent));
    }
    assert_eq!(desk.refused(expend(source, 1, None)), Refusal::AmountTooLarge(allocation_id(1)));
    checks::whole_ledger(&desk.ledger);
}

#[test]
fn the_largest_amounts_pass_through_every_bucket() {
    let mut desk = full();
    for number in 1..=3 {
        desk.done(reserve(number, 1, MOST));
        desk.done(obligate(number, 1, MOST, Some(number)));
        desk.done(disburse(number, MOST));
        checks::whole_ledger(&desk.ledger);
    }
    desk.done(refund(1, MOST));
    desk.done(deobligate(1, MOST));
    desk.done(expend(ExpendSource::Advanced(obligation_id(2)), MOST, None));
    desk.done(expend(ExpendSource::Advanced(obligation_id(3)), MOST, None));
    checks::whole_ledger(&desk.ledger);
}

#[test]
fn a_draw_above_the_amount_is_refused() {
    let mut desk = Desk::with_task(100);
    desk.done(obligate(1, 10, 10, None));
    let refusal = Refusal::DrawNotNeeded { obligation: obligation_id(1), remaining: 10, left: 10 };
    assert_eq!(desk.refused(expend(ExpendSource::Obligated(obligation_id(1)), 5, Some(7))), refusal);
    checks::whole_ledger(&desk.ledger);
}

#[test]
fn the_largest_amount_is_refused_where_there_is_little() {
    let mut desk = Desk::with_task(100);
    desk.done(reserve(1, 10, 10));
    desk.done(obligate(1, 10, 10, None));
    desk.done(disburse(1, 5));
    let obligation = obligation_id(1);
    let greedy: [Action; 14] = [
        rescind(1, MOST),
        allocate(10, MOST),
        deallocate(10, MOST),
        reserve(2, 10, MOST),
        release(1, MOST),
        obligate(2, 10, MOST, None),
        obligate(2, 10, MOST, Some(1)),
        deobligate(1, MOST),
        disburse(1, MOST),
        refund(1, MOST),
        expend(ExpendSource::Available(allocation_id(10)), MOST, None),
        expend(ExpendSource::Obligated(obligation), MOST, None),
        expend(ExpendSource::Advanced(obligation), MOST, None),
        expend(ExpendSource::Obligated(obligation), MOST, Some(MOST)),
    ];
    for action in greedy {
        let refusal = desk.refused(action);
        checks::a_shortage_is_real(&desk.ledger, &refusal);
    }
}
