//! The worked example: USD 68,000,000 and 25 %, to the cent, over the wire.

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;

use crate::desk::Desk;
use crate::harness::{fresh_id, in_world};

#[tokio::test]
async fn the_68_million_program_and_its_increase_hold_to_the_cent() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let increase = desk.entry(Action::Increase(desk.increase()));
        let first = desk.post_entry(increase.clone()).await.unwrap();
        let received = async |name| desk.buckets(name).await.received;
        assert_eq!(received("P").await, 8_500_000_000);
        assert_eq!(received("A").await, 3_500_000_000);
        assert_eq!(received("B").await, 2_750_000_000);
        assert_eq!(received("C").await, 2_250_000_000);
        for _ in 0..10 {
            assert_eq!(desk.post_entry(increase.clone()).await.unwrap(), first);
        }
        let (revision, period) = desk.state().await;
        assert_eq!(revision, first.revision);
        assert_eq!(period.authorization, 8_500_000_000);
        assert_eq!(period.original_authorization, 6_800_000_000);
        spend(&desk).await;
    })
    .await;
}

/// Steps 7 to 13 of the example.
async fn spend(desk: &Desk) {
    let (held, promised) = (fresh_id(), fresh_id());
    desk.post(desk.reserve(&held, "T1", 12_500_000)).await.unwrap();
    let obligate =
        pb::Obligate { reservation_id: held.clone(), ..desk.obligate(&promised, "T1", 12_000_000) };
    desk.post(Action::Obligate(obligate)).await.unwrap();
    desk.post(desk.release(&held, 500_000)).await.unwrap();
    desk.post(desk.disburse(&promised, 4_000_000)).await.unwrap();
    desk.post(Action::Expend(euro_expense(desk, &promised))).await.unwrap();
    desk.post(desk.refund(&promised, 243_985)).await.unwrap();
    desk.post(desk.deobligate(&promised, 8_243_985)).await.unwrap();
    let task = desk.buckets("T1").await;
    assert_eq!((task.available, task.expended, task.received), (36_243_985, 3_756_015, 40_000_000));
    desk.post(desk.deallocate("T1", 36_243_985)).await.unwrap();
    let task = desk.buckets("T1").await;
    assert_eq!((task.available, task.expended, task.received), (0, 3_756_015, 3_756_015));
}

fn euro_expense(desk: &Desk, obligation_id: &str) -> pb::Expend {
    let foreign = pb::ForeignAmount {
        original: Some(pb::Money { currency_code: "EUR".to_owned(), minor_units: 3_450_000 }),
        rate: "1.0887".to_owned(),
        rate_date: Some(pb::Date { year: 1998, month: 1, day: 14 }),
        rate_source: "European Central Bank".to_owned(),
    };
    pb::Expend { foreign: Some(foreign), ..desk.pay(pb::ExpendSource::Advanced, obligation_id, 3_756_015) }
}
