//! Periods and allocations: what does not fit the tree, and steps out of order.

use jiff::Timestamp;

use crate::domain::entry::ExpendSource;
use crate::domain::kind::Kind;
use crate::domain::ledger::invariants::checks;
use crate::domain::ledger::invariants::desk::{
    Desk, allocate, allocation, allocation_id, authorize, disburse, expend, obligate, obligation_id, period,
    period_id, reserve, reverse,
};
use crate::domain::program::{
    Allocation, CHILDREN_MAX, DEPTH_MAX, PERIODS_MAX, Period, PeriodState, Purpose,
};
use crate::domain::refusal::Refusal;
use crate::domain::text::Code;

const TASK: u64 = 10;

/// The refusal of an allocation that changes nothing.
fn not_added(desk: &mut Desk, new: Allocation) -> Refusal {
    let before = desk.ledger.clone();
    let refusal = desk.ledger.add_allocation(new).unwrap_err();
    assert_eq!(desk.ledger, before, "{refusal}");
    refusal
}

fn not_opened(desk: &mut Desk, new: Period) -> Refusal {
    let before = desk.ledger.clone();
    let refusal = desk.ledger.open_period(new, Timestamp::UNIX_EPOCH).unwrap_err();
    assert_eq!(desk.ledger, before, "{refusal}");
    refusal
}

fn not_changed(desk: &mut Desk, to: PeriodState) -> Refusal {
    let before = desk.ledger.clone();
    let refusal = desk.change(to).unwrap_err();
    assert_eq!(desk.ledger, before, "{refusal}");
    refusal
}

#[test]
fn a_period_needs_a_code_and_a_root_of_its_own() {
    let mut desk = Desk::new();
    let mut same_code = period(2, 1);
    same_code.code = Code::parse("P1").unwrap();
    let code = same_code.code.clone();
    assert_eq!(not_opened(&mut desk, same_code), Refusal::CodeTaken { kind: Kind::Period, code });
    let mut same_root = period(2, 1);
    same_root.root = allocation_id(1);
    assert_eq!(not_opened(&mut desk, same_root), Refusal::AllocationTaken(allocation_id(1)));
}

#[test]
fn a_program_has_so_many_periods_and_no_more() {
    let mut desk = Desk::new();
    for number in 2..=PERIODS_MAX as u64 {
        desk.open(number);
    }
    let refusal = not_opened(&mut desk, period(999, 1));
    assert_eq!(refusal, Refusal::too_many_periods());
    assert!(refusal.to_string().contains("200"), "{refusal}");
}

#[test]
fn an_allocation_needs_an_id_a_code_and_a_parent_of_its_own_period() {
    let mut desk = Desk::with_task(100);
    desk.open(2);
    let same_id = allocation(1, 1, 1, Purpose::Task);
    assert_eq!(not_added(&mut desk, same_id), Refusal::AllocationTaken(allocation_id(1)));
    let mut same_code = allocation(11, 1, 1, Purpose::Task);
    same_code.code = Code::parse("A10").unwrap();
    let code = same_code.code.clone();
    assert_eq!(not_added(&mut desk, same_code), Refusal::CodeTaken { kind: Kind::Allocation, code });
    let (parent, period) = (allocation_id(1), period_id(2));
    let elsewhere = allocation(11, 2, 1, Purpose::Task);
    assert_eq!(not_added(&mut desk, elsewhere), Refusal::OtherPeriod { parent, period });
    let orphan = allocation(11, 1, 88, Purpose::Task);
    assert_eq!(not_added(&mut desk, orphan), Refusal::UnknownAllocation(allocation_id(88)));
    let nowhere = allocation(11, 8, 1, Purpose::Task);
    assert_eq!(not_added(&mut desk, nowhere), Refusal::UnknownPeriod(period_id(8)));
    let mut second_root = allocation(11, 1, 1, Purpose::Root);
    second_root.parent = None;
    assert_eq!(not_added(&mut desk, second_root), Refusal::UnknownAllocation(allocation_id(11)));
}

#[test]
fn the_same_code_may_stand_in_two_periods() {
    let mut desk = Desk::with_task(100);
    desk.open(2);
    let mut twin = allocation(11, 2, 2, Purpose::Task);
    twin.code = Code::parse("A10").unwrap();
    desk.ledger.add_allocation(twin).unwrap();
    assert_eq!(desk.ledger.allocations[&allocation_id(11)].path, ["P2", "A10"]);
}

#[test]
fn purposes_stand_below_those_that_they_fit() {
    use Purpose::{Country, Grant, Root, Support, Task};
    for (parent, fitting) in [
        (Root, vec![Country, Grant, Task, Support]),
        (Country, vec![Grant, Task, Support]),
        (Grant, vec![Grant, Task, Support]),
        (Task, vec![]),
        (Support, vec![]),
    ] {
        for purpose in [Root, Country, Grant, Task, Support] {
            let mut desk = Desk::new();
            let below = if parent == Root { 1 } else { 20 };
            if parent != Root {
                desk.add(below, 1, parent);
            }
            let added = desk.ledger.add_allocation(allocation(21, 1, below, purpose));
            let refusal = Refusal::WrongPurpose { purpose, parent };
            let expected = if fitting.contains(&purpose) { Ok(allocation_id(21)) } else { Err(refusal) };
            assert_eq!(added, expected);
        }
    }
}

#[test]
fn a_tree_is_so_deep_and_no_deeper() {
    let mut desk = Desk::new();
    let deepest = 100 + DEPTH_MAX as u64;
    desk.add(101, 1, Purpose::Grant);
    for number in 102..=deepest {
        desk.add(number, number - 1, Purpose::Grant);
    }
    assert_eq!(desk.ledger.allocations[&allocation_id(deepest)].depth(), DEPTH_MAX);
    let refusal = not_added(&mut desk, allocation(200, 1, deepest, Purpose::Grant));
    let (parent, depth) = (allocation_id(deepest), DEPTH_MAX + 1);
    assert_eq!(refusal, Refusal::AllocationTooDeep { parent, depth });
}

#[test]
fn an_allocation_has_so_many_children_and_no_more() {
    let mut desk = Desk::with_task(100);
    // A working set need not hold all the children; the count is what is asked.
    desk.ledger.allocations.get_mut(&allocation_id(1)).unwrap().child_count = CHILDREN_MAX - 1;
    desk.add(11, 1, Purpose::Task);
    let refusal = not_added(&mut desk, allocation(12, 1, 1, Purpose::Task));
    assert_eq!(refusal, Refusal::too_many_children());
}

#[test]
fn a_new_allocation_has_no_children_and_no_money_whatever_it_says() {
    let mut desk = Desk::new();
    let mut new = allocation(TASK, 1, 1, Purpose::Task);
    new.child_count = 5;
    new.balance.buckets.available = 5;
    desk.ledger.add_allocation(new).unwrap();
    checks::whole_ledger(&desk.ledger);
}

#[test]
fn what_is_spent_from_gets_no_children() {
    let mut desk = Desk::new();
    desk.done(authorize(1, 100));
    desk.add(TASK, 1, Purpose::Grant);
    desk.done(allocate(TASK, 100));
    let refused = |desk: &mut Desk| {
        let refusal = not_added(desk, allocation(11, 1, TASK, Purpose::Task));
        assert_eq!(refusal, Refusal::AllocationInUse(allocation_id(TASK)));
    };
    let held = desk.done(reserve(1, TASK, 10));
    refused(&mut desk);
    desk.done(reverse(held));
    desk.done(obligate(1, TASK, 10, None));
    refused(&mut desk);
    desk.done(disburse(1, 10));
    refused(&mut desk);
    desk.done(expend(ExpendSource::Advanced(obligation_id(1)), 10, None));
    refused(&mut desk);
}

#[test]
fn periods_go_from_open_to_expired_to_closed_and_never_back() {
    use PeriodState::{Closed, Expired, Open};
    let mut desk = Desk::with_task(100);
    let period = period_id(1);
    assert_eq!(not_changed(&mut desk, Closed), Refusal::PeriodNotExpired { period, state: Open });
    assert_eq!(not_changed(&mut desk, Open), Refusal::PeriodNotOpen { period, state: Open });
    desk.expire();
    for to in [Open, Expired] {
        assert_eq!(not_changed(&mut desk, to), Refusal::PeriodNotOpen { period, state: Expired });
    }
    let new = allocation(11, 1, 1, Purpose::Task);
    let action = "create_allocation";
    assert_eq!(not_added(&mut desk, new.clone()), Refusal::PeriodExpired { period, action });
    desk.change(Closed).unwrap();
    assert_eq!(desk.ledger.periods[&period].state, Closed);
    assert_eq!(desk.ledger.periods[&period].revision, desk.revision);
    assert_eq!(not_added(&mut desk, new), Refusal::PeriodClosed { period, action });
    assert_eq!(not_changed(&mut desk, Expired), Refusal::PeriodNotOpen { period, state: Closed });
    assert_eq!(not_changed(&mut desk, Closed), Refusal::PeriodNotExpired { period, state: Closed });
}

#[test]
fn a_period_is_not_changed_by_who_has_not_seen_it() {
    let mut desk = Desk::new();
    let id = period_id(1).to_string();
    let current = desk.revision;
    let stale = desk.ledger.change_period(period_id(1), PeriodState::Expired, current + 1, 9).map(|_| ());
    let expected = current + 1;
    assert_eq!(stale, Err(Refusal::Stale { kind: Kind::Period, id, expected, current }));
    let unknown = desk.ledger.change_period(period_id(8), PeriodState::Expired, 1, 9).map(|_| ());
    assert_eq!(unknown, Err(Refusal::UnknownPeriod(period_id(8))));
}

#[test]
fn a_period_is_closed_once_everything_in_it_is_settled() {
    let mut desk = Desk::with_task(100);
    desk.open(2);
    let held = desk.done(reserve(1, TASK, 10));
    desk.done(obligate(1, TASK, 20, None));
    desk.done(disburse(1, 5));
    desk.expire();
    let allocations = vec![allocation_id(TASK)];
    let (period, reserved, obligated, advanced) = (period_id(1), 10, 15, 5);
    let refusal = Refusal::PeriodNotSettled { period, reserved, obligated, advanced, allocations };
    assert_eq!(not_changed(&mut desk, PeriodState::Closed), refusal);
    desk.done(reverse(held));
    desk.done(expend(ExpendSource::Advanced(obligation_id(1)), 5, None));
    desk.done(expend(ExpendSource::Obligated(obligation_id(1)), 15, None));
    desk.change(PeriodState::Closed).unwrap();
}
