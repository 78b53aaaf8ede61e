//! One case for each way in which an entry is refused for what it names, for its money, or for its day.
//! A refused entry changes nothing: [`Desk::refused`] compares.

use jiff::civil::date;

use crate::domain::entry::{ExpendSource, IncreaseBy};
use crate::domain::ledger::invariants::desk::{
    Desk, allocate, allocation_id, amount, authorize, carry_over, deallocate, deobligate, disburse, entry_id,
    expend, increase, obligate, obligation_id, period_id, refund, release, rescind, reservation_id, reserve,
    reverse, usd,
};
use crate::domain::program::{Bucket, Purpose};
use crate::domain::refusal::Refusal;

const TASK: u64 = 10;

fn from_obligated(number: u64) -> ExpendSource {
    ExpendSource::Obligated(obligation_id(number))
}

fn from_task() -> ExpendSource {
    ExpendSource::Available(allocation_id(TASK))
}

fn short(number: u64, available: i64, requested: i64) -> Refusal {
    let currency = usd();
    let (allocation, also) = (allocation_id(number), Vec::new());
    Refusal::InsufficientAvailable { allocation, available, requested, currency, also }
}

#[test]
fn what_is_unknown_is_refused_by_its_kind() {
    let mut desk = Desk::with_task(100);
    let by = IncreaseBy::Amount(amount(1));
    for action in [authorize(8, 1), increase(8, by, false), rescind(8, 1), carry_over(8, 1, 1)] {
        assert_eq!(desk.refused(action), Refusal::UnknownPeriod(period_id(8)));
    }
    assert_eq!(desk.refused(carry_over(1, 8, 1)), Refusal::UnknownPeriod(period_id(8)));
    for action in [allocate(88, 1), deallocate(88, 1), reserve(1, 88, 1), obligate(1, 88, 1, None)] {
        assert_eq!(desk.refused(action), Refusal::UnknownAllocation(allocation_id(88)));
    }
    let nowhere = expend(ExpendSource::Available(allocation_id(88)), 1, None);
    assert_eq!(desk.refused(nowhere), Refusal::UnknownAllocation(allocation_id(88)));
    for action in [release(8, 1), obligate(1, TASK, 1, Some(8))] {
        assert_eq!(desk.refused(action), Refusal::UnknownReservation(reservation_id(8)));
    }
    for action in [deobligate(8, 1), disburse(8, 1), refund(8, 1), expend(from_obligated(8), 1, None)] {
        assert_eq!(desk.refused(action), Refusal::UnknownObligation(obligation_id(8)));
    }
    assert_eq!(desk.refused(reverse(entry_id(88))), Refusal::UnknownEntry(entry_id(88)));
}

#[test]
fn an_id_that_is_taken_is_not_taken_again_even_when_nothing_is_left_of_it() {
    let mut desk = Desk::with_task(100);
    desk.done(reserve(1, TASK, 10));
    desk.done(release(1, 10));
    assert_eq!(desk.refused(reserve(1, TASK, 10)), Refusal::ReservationTaken(reservation_id(1)));
    desk.done(obligate(1, TASK, 10, None));
    desk.done(deobligate(1, 10));
    assert_eq!(desk.refused(obligate(1, TASK, 10, None)), Refusal::ObligationTaken(obligation_id(1)));
}

#[test]
fn nothing_takes_more_than_is_available() {
    let mut desk = Desk::with_task(100);
    desk.open(2);
    assert_eq!(desk.refused(rescind(1, 901)), short(1, 900, 901));
    desk.today = date(2026, 6, 1);
    assert_eq!(desk.refused(carry_over(1, 2, 901)), short(1, 900, 901));
    desk.today = date(2025, 6, 1);
    assert_eq!(desk.refused(allocate(TASK, 901)), short(1, 900, 901));
    for action in [
        deallocate(TASK, 101),
        reserve(1, TASK, 101),
        obligate(1, TASK, 101, None),
        expend(from_task(), 101, None),
    ] {
        assert_eq!(desk.refused(action), short(TASK, 100, 101));
    }
    desk.done(expend(from_task(), 100, None));
    assert_eq!(desk.buckets(TASK).expended, 100);
}

#[test]
fn a_reservation_gives_no_more_than_it_holds() {
    let mut desk = Desk::with_task(100);
    desk.done(reserve(1, TASK, 10));
    desk.done(reserve(2, TASK, 50));
    for action in [release(1, 11), obligate(1, TASK, 11, Some(1))] {
        let (reservation, remaining, requested) = (reservation_id(1), 10, 11);
        assert_eq!(desk.refused(action), Refusal::InsufficientReserved { reservation, remaining, requested });
    }
    desk.done(obligate(1, TASK, 10, Some(1)));
    assert_eq!(desk.buckets(TASK).reserved, 50);
}

#[test]
fn the_reservation_of_another_allocation_is_not_drawn_on() {
    let mut desk = Desk::with_task(100);
    desk.add(11, 1, Purpose::Task);
    desk.done(allocate(11, 100));
    desk.done(reserve(1, 11, 50));
    desk.done(reserve(2, TASK, 50));
    let (reservation, allocation) = (reservation_id(1), allocation_id(11));
    let refusal = desk.refused(obligate(1, TASK, 10, Some(1)));
    assert_eq!(refusal, Refusal::ReservationElsewhere { reservation, allocation });
}

#[test]
fn an_obligation_pays_no_more_than_its_own_remainder() {
    let mut desk = Desk::with_task(100);
    desk.done(obligate(1, TASK, 10, None));
    desk.done(obligate(2, TASK, 50, None));
    desk.done(disburse(2, 20));
    let obligation = obligation_id(1);
    for action in [deobligate(1, 11), disburse(1, 11), expend(from_obligated(1), 11, None)] {
        let refusal = Refusal::InsufficientObligated { obligation, remaining: 10, requested: 11 };
        assert_eq!(desk.refused(action), refusal);
    }
    desk.done(disburse(1, 4));
    for action in [refund(1, 5), expend(ExpendSource::Advanced(obligation), 5, None)] {
        let refusal = Refusal::InsufficientAdvanced { obligation, remaining: 4, requested: 5 };
        assert_eq!(desk.refused(action), refusal);
    }
}

#[test]
fn an_invoice_above_the_remainder_says_what_it_draws_from_available() {
    let mut desk = Desk::with_task(100);
    desk.done(obligate(1, TASK, 10, None));
    let invoice = |draw| expend(from_obligated(1), 12, draw);
    let obligation = obligation_id(1);
    for (draw, requested) in [(None, 12), (Some(1), 11)] {
        let refusal = Refusal::InsufficientObligated { obligation, remaining: 10, requested };
        assert_eq!(desk.refused(invoice(draw)), refusal);
    }
    let too_dear = expend(from_obligated(1), 101, Some(91));
    assert_eq!(desk.refused(too_dear), short(TASK, 90, 91));
    desk.done(invoice(Some(2)));
    let buckets = desk.buckets(TASK);
    assert_eq!((buckets.available, buckets.obligated, buckets.expended), (88, 0, 12));
    assert_eq!((desk.obligation(1).obligated, desk.obligation(1).expended), (0, 12));
}

#[test]
fn a_draw_needs_a_live_obligation_that_the_invoice_uses_up() {
    let mut desk = Desk::with_task(100);
    let promised = desk.done(obligate(1, TASK, 10, None));
    let obligation = obligation_id(1);
    let early = Refusal::DrawNotNeeded { obligation, remaining: 10, left: 1 };
    assert_eq!(desk.refused(expend(from_obligated(1), 12, Some(3))), early);
    desk.done(reverse(promised));
    let dead = Refusal::DrawNotNeeded { obligation, remaining: 0, left: 0 };
    assert_eq!(desk.refused(expend(from_obligated(1), 12, Some(12))), dead);
}

#[test]
fn an_invoice_of_an_advance_draws_from_available_too() {
    let mut desk = Desk::with_task(100);
    desk.done(obligate(1, TASK, 10, None));
    desk.done(disburse(1, 6));
    desk.done(expend(ExpendSource::Advanced(obligation_id(1)), 8, Some(2)));
    let buckets = desk.buckets(TASK);
    let kept = (buckets.available, buckets.obligated, buckets.advanced, buckets.expended);
    assert_eq!(kept, (88, 4, 0, 8));
    assert!(desk.obligation(1).open());
}

#[test]
fn only_a_leaf_is_spent_from() {
    let mut desk = Desk::with_task(100);
    for action in [
        reserve(1, 1, 1),
        obligate(1, 1, 1, None),
        expend(ExpendSource::Available(allocation_id(1)), 1, None),
    ] {
        let allocation = allocation_id(1);
        assert_eq!(desk.refused(action), Refusal::NotALeaf { allocation, child_count: 1 });
    }
}

#[test]
fn a_root_has_no_parent_to_take_from_or_give_to() {
    let mut desk = Desk::with_task(100);
    for action in [allocate(1, 1), deallocate(1, 1)] {
        assert_eq!(desk.refused(action), Refusal::RootHasNoParent(allocation_id(1)));
    }
}

#[test]
fn a_period_carries_nothing_over_to_itself() {
    let mut desk = Desk::with_task(100);
    assert_eq!(desk.refused(carry_over(1, 1, 1)), Refusal::SamePeriod(period_id(1)));
}

#[test]
fn buckets_have_names_for_people() {
    let all = [Bucket::Available, Bucket::Reserved, Bucket::Obligated, Bucket::Advanced, Bucket::Expended];
    let names = all.map(|bucket| bucket.to_string());
    assert_eq!(names, ["available", "reserved", "obligated", "advanced", "expended"]);
}
