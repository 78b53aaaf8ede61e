//! The worked example to the cent: the figures of the file that people check by hand.

use std::collections::BTreeMap;

use crate::domain::currency::Currency;
use crate::domain::entry::{Action, ExpendSource, ForeignAmount, IncreaseBy};
use crate::domain::ledger::invariants::desk::{
    Desk, allocate, allocation_id, amount, authorize, deallocate, deobligate, disburse, expend, increase,
    obligate, obligation_id, percent, refund, release, reserve,
};
use crate::domain::money::Money;
use crate::domain::program::{Buckets, Purpose};
use crate::domain::rate::Rate;
use crate::domain::text::Source;

const FILE: &str = include_str!("../../../cli/program_example.csv");

/// P, A, B, C, A1 and T1.
const TREE: [(u64, &str); 6] = [(1, "P"), (10, "A"), (11, "B"), (12, "C"), (13, "A1"), (14, "T1")];

/// The minor units of each step.
fn figures() -> BTreeMap<&'static str, i64> {
    let lines = FILE.lines().filter(|line| !line.starts_with('#')).skip(1);
    let figure = |line: &'static str| {
        let fields: Vec<&str> = line.split(',').collect();
        (fields[0], fields[4].parse().unwrap())
    };
    lines.map(figure).collect()
}

fn step(desk: &mut Desk, action: Action) {
    desk.done(action);
    super::checks::whole_ledger(&desk.ledger);
}

/// Steps 1 to 6: the money on its way down.
fn shared(figures: &BTreeMap<&str, i64>) -> Desk {
    let mut desk = Desk::new();
    step(&mut desk, authorize(1, figures["1"]));
    for (number, name) in [(10, "2a"), (11, "2b"), (12, "2c")] {
        desk.add(number, 1, Purpose::Country);
        step(&mut desk, allocate(number, figures[name]));
    }
    let quarter = IncreaseBy::PercentOfOriginal(percent(250_000));
    let effect = desk.post(increase(1, quarter, true)).unwrap();
    let Action::Increase(increase) = effect.entry.action else { panic!("an increase") };
    let outcome = increase.outcome.unwrap();
    assert_eq!(outcome.added, figures["3"]);
    let parts =
        [(10, "4a"), (11, "4b"), (12, "4c")].map(|(number, name)| (allocation_id(number), figures[name]));
    assert_eq!(outcome.pushed_down, parts);
    desk.add(13, 10, Purpose::Grant);
    step(&mut desk, allocate(13, figures["5"]));
    desk.add(14, 13, Purpose::Task);
    step(&mut desk, allocate(14, figures["6"]));
    desk
}

/// Step 10: EUR 34,500.00 at 1.0887.
fn foreign_expense(units: i64) -> Action {
    let mut action = expend(ExpendSource::Advanced(obligation_id(1)), units, None);
    let original = Money { currency: Currency::parse("EUR").unwrap(), amount: amount(3_450_000) };
    let rate = Rate::parse("1.0887").unwrap();
    let booked = Money { currency: Currency::parse("USD").unwrap(), amount: amount(units) };
    assert!(rate.fits(original, booked));
    if let Action::Expend(expend) = &mut action {
        let (rate_date, source) = (jiff::civil::date(2025, 5, 30), Source::parse("ECB").unwrap());
        expend.foreign = Some(ForeignAmount { original, rate, rate_date, source });
    }
    action
}

#[test]
fn the_worked_example_is_right_to_the_cent() {
    let figures = figures();
    assert_eq!(figures.len(), 18, "every line of the file is a step");
    let mut desk = shared(&figures);
    for action in [
        reserve(1, 14, figures["7"]),
        obligate(1, 14, figures["8a"], Some(1)),
        release(1, figures["8b"]),
        disburse(1, figures["9"]),
        foreign_expense(figures["10"]),
        refund(1, figures["11"]),
        deobligate(1, figures["12"]),
    ] {
        step(&mut desk, action);
    }
    let spent = figures["10"];
    let after_12 =
        Buckets { received: figures["6"], available: figures["13"], expended: spent, ..Buckets::default() };
    assert_eq!(desk.buckets(14), after_12);
    step(&mut desk, deallocate(14, figures["13"]));
    assert_eq!(desk.buckets(14), Buckets { received: spent, expended: spent, ..Buckets::default() });
    assert_eq!(desk.obligation(1).expended, spent);
    assert!(!desk.obligation(1).open());
}

#[test]
fn the_worked_example_ends_with_all_of_the_authority_in_the_tree() {
    let desk = shared(&figures());
    let available = TREE.map(|(number, _)| desk.buckets(number).available);
    let received = TREE.map(|(number, _)| desk.buckets(number).received);
    assert_eq!(available, [0, 2_300_000_000, 2_750_000_000, 2_250_000_000, 1_160_000_000, 40_000_000]);
    assert_eq!(
        received,
        [8_500_000_000, 3_500_000_000, 2_750_000_000, 2_250_000_000, 1_200_000_000, 40_000_000]
    );
}
