//! `PreviewEntry` answers what `PostEntry` would, and changes nothing.

use prost::Message as _;
use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use safelane::rpc::pb::preview_entry_response::Outcome;
use tonic::{Code, Status};

use crate::desk::{Desk, bad_fields, reason};
use crate::harness::{fresh_id, in_world};

async fn preview(desk: &Desk, entry: &pb::Entry) -> Result<Outcome, Status> {
    let request = pb::PreviewEntryRequest { entry: Some(entry.clone()) };
    let answer = desk.funding.clone().preview_entry(request).await?.into_inner();
    Ok(answer.outcome.expect("an outcome"))
}

/// A refusal in the answer as the status that it stands for.
fn status(refused: &tonic_types::Status) -> Status {
    let details = refused.encode_to_vec().into();
    Status::with_details(Code::from(refused.code), refused.message.clone(), details)
}

/// Previews twice, posts, and expects three times the same.
async fn agrees(desk: &Desk, action: Action) {
    let entry = desk.entry(action);
    let before = desk.state().await;
    let first = preview(desk, &entry).await.unwrap();
    match (&first, preview(desk, &entry).await.unwrap()) {
        // Metadata is a map: its bytes have no order, so it is compared as a map.
        (Outcome::Refused(first), Outcome::Refused(again)) => {
            assert_eq!(reason(&status(first)), reason(&status(&again)));
        }
        (first, again) => assert_eq!(*first, again, "a preview changed something"),
    }
    assert_eq!(desk.state().await, before, "a preview changed the program");
    match (first, desk.post_entry(entry).await) {
        (Outcome::Accepted(previewed), Ok(posted)) => {
            assert_eq!(previewed.revision, posted.revision - 1);
            assert_eq!(pb::PostEntryResponse { revision: posted.revision, ..previewed }, posted);
        }
        (Outcome::Refused(previewed), Err(posted)) => {
            let previewed = status(&previewed);
            assert_eq!((previewed.code(), previewed.message()), (posted.code(), posted.message()));
            assert_eq!(reason(&previewed), reason(&posted));
        }
        (previewed, posted) => panic!("previewed {previewed:?}, posted {posted:?}"),
    }
}

#[tokio::test]
async fn a_preview_is_what_posting_answers_whether_accepted_or_refused() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let (held, promised) = (fresh_id(), fresh_id());
        agrees(&desk, Action::Increase(desk.increase())).await;
        desk.fund().await;
        for action in [
            Action::Increase(desk.increase()),
            desk.allocate("T1", 2_000_000_000),
            desk.reserve(&held, "T1", 100),
            desk.reserve(&held, "T1", 100),
            desk.release(&held, 101),
            desk.reserve(&fresh_id(), "A", 1),
            Action::Obligate(pb::Obligate {
                reservation_id: held.clone(),
                ..desk.obligate(&promised, "T1", 60)
            }),
            desk.disburse(&promised, 50),
            Action::Expend(desk.pay(pb::ExpendSource::Advanced, &promised, 51)),
            Action::Expend(desk.pay(pb::ExpendSource::Advanced, &promised, 50)),
            desk.refund(&promised, 1),
            desk.deobligate(&promised, 10),
            desk.deallocate("P", 1),
            desk.rescind(1),
            desk.release(&fresh_id(), 1),
            desk.reverse(&fresh_id()),
        ] {
            agrees(&desk, action).await;
        }
        let spent = desk.entry(Action::Expend(desk.expend("T1", 5)));
        desk.post_entry(spent.clone()).await.unwrap();
        agrees(&desk, desk.reverse(&spent.entry_id)).await;
        agrees(&desk, desk.reverse(&spent.entry_id)).await;
    })
    .await;
}

#[tokio::test]
async fn a_preview_of_what_was_booked_is_its_first_answer() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let entry = desk.entry(desk.authorize(5));
        let posted = desk.post_entry(entry.clone()).await.unwrap();
        desk.post(desk.authorize(7)).await.unwrap();
        assert_eq!(preview(&desk, &entry).await.unwrap(), Outcome::Accepted(posted));
        let other = pb::Entry { note: "another".to_owned(), ..entry };
        let Outcome::Refused(refused) = preview(&desk, &other).await.unwrap() else { panic!("accepted") };
        assert_eq!(Code::from(refused.code), Code::AlreadyExists);
        let malformed = pb::Entry { effective_on: None, ..desk.entry(desk.authorize(0)) };
        let status = preview(&desk, &malformed).await.unwrap_err();
        assert_eq!(bad_fields(&status), ["entry.effective_on", "entry.authorize.amount.minor_units"]);
    })
    .await;
}

#[tokio::test]
async fn a_preview_names_every_allocation_that_stands_in_the_way() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let increase = desk.post(Action::Increase(desk.increase())).await.unwrap();
        // Each country reserves nearly all that it has, so none can give its part of the increase back.
        for (name, held) in [("B", 2_700_000_000), ("C", 2_200_000_000)] {
            desk.post(desk.reserve(&fresh_id(), name, held)).await.unwrap();
        }
        let undone = increase.entry.unwrap().entry_id;
        let request = pb::PreviewEntryRequest { entry: Some(desk.entry(desk.reverse(&undone))) };
        let answer = desk.funding.clone().preview_entry(request).await.unwrap().into_inner();
        let Some(pb::preview_entry_response::Outcome::Refused(refused)) = answer.outcome else {
            panic!("the reversal is refused");
        };
        let info = tonic_types::RpcStatusExt::get_details_error_info(&refused).expect("an ErrorInfo");
        let named: std::collections::BTreeSet<&str> =
            [&info.metadata["allocation_id"], &info.metadata["also_blocking"]].map(String::as_str).into();
        let (b, c) = (desk.node("B"), desk.node("C"));
        assert_eq!(named, [b.as_str(), c.as_str()].into());
    })
    .await;
}
