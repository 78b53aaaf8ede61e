//! Malformed entries, field by field: amounts, increases, expenditures, days, texts and ids.

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;

use crate::bad_input::{day, money, posts_badly};
use crate::desk::{Desk, usd};
use crate::harness::{fresh_id, in_world};

#[tokio::test]
async fn amounts_are_positive_bounded_and_in_the_programs_currency() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let authorize =
            |amount| Action::Authorize(pb::Authorize { period_id: desk.period_id.clone(), amount });
        let (currency, units) =
            ("entry.authorize.amount.currency_code", "entry.authorize.amount.minor_units");
        for bad in [i64::MIN, -1, 0, 1_000_000_000_000_000_001, i64::MAX] {
            posts_badly(&desk, desk.entry(authorize(usd(bad))), &[units]).await;
        }
        for bad in ["EUR", "", "usd", "US$", "ZZZ", "USDX"] {
            posts_badly(&desk, desk.entry(authorize(money(bad, 1))), &[currency]).await;
        }
        posts_badly(&desk, desk.entry(authorize(money("EUR", 0))), &[currency, units]).await;
        posts_badly(&desk, desk.entry(authorize(None)), &["entry.authorize.amount"]).await;
    })
    .await;
}

#[tokio::test]
async fn an_increase_says_what_of_what_and_since_when() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let bad = |increase| desk.entry(Action::Increase(increase));
        let percent = |ppm| Some(pb::increase::Amount::PercentPpm(ppm));
        for ppm in [i64::MIN, -1, 0, 10_000_001] {
            let increase = pb::Increase { amount: percent(ppm), ..desk.increase() };
            posts_badly(&desk, bad(increase), &["entry.increase.percent_ppm"]).await;
        }
        let current = pb::Increase { base: pb::IncreaseBase::Current.into(), ..desk.increase() };
        posts_badly(&desk, bad(current), &["entry.increase.base_revision"]).await;
        let unknown = pb::Increase { base: 99, push_down: 99, base_revision: -1, ..desk.increase() };
        let fields = ["entry.increase.base", "entry.increase.push_down", "entry.increase.base_revision"];
        posts_badly(&desk, bad(unknown), &fields).await;
        let empty = pb::Increase { amount: None, ..desk.increase() };
        posts_badly(&desk, bad(empty), &["entry.increase.amount"]).await;
    })
    .await;
}

#[tokio::test]
async fn an_expenditure_names_one_source_and_a_true_rate() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let bad = |expend| desk.entry(Action::Expend(expend));
        let unknown = pb::Expend { source: 99, category: 99, ..desk.expend("T1", 1) };
        posts_badly(&desk, bad(unknown), &["entry.expend.source", "entry.expend.category"]).await;
        let both = pb::Expend { obligation_id: fresh_id(), ..desk.expend("T1", 1) };
        posts_badly(&desk, bad(both), &["entry.expend.obligation_id"]).await;
        let obligated = pb::ExpendSource::Obligated;
        let both = pb::Expend { allocation_id: desk.node("T1"), ..desk.pay(obligated, &fresh_id(), 1) };
        posts_badly(&desk, bad(both), &["entry.expend.allocation_id"]).await;
        let over = pb::Expend { draw_from_available: usd(2), ..desk.pay(obligated, &fresh_id(), 1) };
        posts_badly(&desk, bad(over), &["entry.expend.draw_from_available"]).await;
        let drawn = pb::Expend { draw_from_available: usd(1), ..desk.expend("T1", 1) };
        posts_badly(&desk, bad(drawn), &["entry.expend.draw_from_available"]).await;
        let foreign = |currency: &str, rate: &str| pb::ForeignAmount {
            original: money(currency, 100),
            rate: rate.to_owned(),
            rate_date: Some(day(1998, 1, 14)),
            rate_source: "ECB".to_owned(),
        };
        let paid = |foreign| bad(pb::Expend { foreign: Some(foreign), ..desk.expend("T1", 200) });
        let own = ["entry.expend.foreign.original.currency_code"];
        posts_badly(&desk, paid(foreign("USD", "2")), &own).await;
        for rate in ["2.1", "1e3", "-2", "0", "", "2.", "1234567890123456789"] {
            posts_badly(&desk, paid(foreign("EUR", rate)), &["entry.expend.foreign.rate"]).await;
        }
        let nowhere =
            pb::ForeignAmount { rate_date: None, rate_source: "s".repeat(101), ..foreign("EUR", "2") };
        let fields = ["entry.expend.foreign.rate_date", "entry.expend.foreign.rate_source"];
        posts_badly(&desk, paid(nowhere), &fields).await;
    })
    .await;
}

#[tokio::test]
async fn days_exist_and_are_at_most_one_day_ahead() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let dated = |on| pb::Entry { effective_on: Some(on), ..desk.entry(desk.authorize(1)) };
        for (year, month, of_month) in [
            (1998, 2, 29),
            (1998, 13, 1),
            (1998, 0, 1),
            (1998, 4, 31),
            (1998, 4, 0),
            (1989, 12, 31),
            (2200, 1, 1),
            (0, 0, 0),
            (i32::MAX, i32::MIN, i32::MAX),
            (1998, 257, 1),
        ] {
            posts_badly(&desk, dated(day(year, month, of_month)), &["entry.effective_on"]).await;
        }
        // It is 15 June, noon, in UTC.
        posts_badly(&desk, dated(day(1998, 6, 17)), &["entry.effective_on"]).await;
        desk.post_entry(dated(day(1998, 6, 16))).await.unwrap();
        world.clock.set("1998-06-16T00:00:00Z");
        desk.post_entry(dated(day(1998, 6, 17))).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn texts_hold_no_control_characters_and_ids_have_hyphens() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        for note in ["\u{0}", "a\u{7f}", "\u{1b}[31m", "\u{85}"] {
            let entry = pb::Entry { note: note.to_owned(), ..desk.entry(desk.authorize(1)) };
            posts_badly(&desk, entry, &["entry.note"]).await;
        }
        let id = fresh_id();
        let braced = format!("{{{id}}}");
        for bad in ["", "not-a-uuid", &id[1..], &id.replace('-', ""), &braced, "urn:uuid:0"] {
            let entry = pb::Entry { entry_id: bad.to_owned(), ..desk.entry(desk.authorize(1)) };
            posts_badly(&desk, entry, &["entry.entry_id"]).await;
        }
        for reason in ["", " ", "\u{0}", &"r".repeat(1_001)] {
            let undo = Action::Reverse(pb::Reverse { entry_id: fresh_id(), reason: reason.to_owned() });
            posts_badly(&desk, desk.entry(undo), &["entry.reverse.reason"]).await;
        }
    })
    .await;
}
