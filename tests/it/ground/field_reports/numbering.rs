//! What the server has of a device's numbering, and what it says when the numbering breaks.

use safelane::rpc::pb;
use tonic::Code;

use super::rig::{Tablet, outcome, reasons, stored};
use crate::expect::refuses;
use crate::harness::{fresh_id, in_world};

fn range(first: i64, last: i64) -> pb::SequenceRange {
    pb::SequenceRange { first, last }
}

#[tokio::test]
async fn a_lost_report_shows_as_a_gap_until_it_arrives() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let nothing = tablet.state().await;
        assert_eq!((nothing.durable_through, nothing.highest, nothing.missing), (0, 0, vec![]));
        let reports: Vec<_> = (0..43).map(|_| tablet.find()).collect();
        let sent: Vec<_> = reports.iter().filter(|report| report.device_sequence != 42).cloned().collect();
        let answers = tablet.sync(&sent).await;
        let state = stored(answers.last().unwrap()).sync_state.clone().unwrap();
        assert_eq!((state.durable_through, state.highest), (41, 43));
        assert_eq!((state.missing.clone(), state.missing_count), (vec![range(42, 42)], 1));
        assert_eq!(tablet.state().await, state);
        let filled = tablet.submit(&reports[41]).await.unwrap().sync_state.unwrap();
        assert_eq!((filled.durable_through, filled.highest, filled.missing), (43, 43, vec![]));
    })
    .await;
}

#[tokio::test]
async fn a_number_that_was_used_before_is_held_and_a_refused_one_is_free() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let first = tablet.find();
        tablet.submit(&first).await.unwrap();
        let other = pb::FieldReport { report_id: fresh_id(), note: "other".to_owned(), ..first.clone() };
        let held = tablet.submit(&other).await.unwrap();
        assert_eq!((outcome(&held), reasons(&held.holds)), ("HELD", vec!["SEQUENCE_REUSED"]));
        assert_eq!(held.holds[0].subject_id, first.report_id);
        let again = tablet.submit(&other).await.unwrap();
        assert_eq!((outcome(&again), reasons(&again.holds)), ("ALREADY_STORED", vec!["SEQUENCE_REUSED"]));
        let bad = pb::FieldReport { team_id: String::new(), ..tablet.find() };
        tablet.submit(&bad).await.unwrap_err();
        let mended = pb::FieldReport { team_id: first.team_id.clone(), ..bad };
        assert_eq!(outcome(&tablet.submit(&mended).await.unwrap()), "STORED");
        assert_eq!(tablet.state().await.durable_through, 2);
    })
    .await;
}

#[tokio::test]
async fn a_device_with_a_thousand_gaps_must_fill_some_first() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let at = |number: i64| pb::FieldReport { device_sequence: number, ..tablet.find() };
        let sparse: Vec<_> = (1..=1_000).map(|number| at(number * 2)).collect();
        for answer in tablet.sync(&sparse).await {
            stored(&answer);
        }
        let state = tablet.state().await;
        assert_eq!((state.durable_through, state.missing_count, state.missing.len()), (0, 1_000, 100));
        let facts = [("what", "the number of gaps in the numbering of a device"), ("max", "1000")];
        let beyond = at(5_000);
        refuses(tablet.submit(&beyond).await, Code::ResourceExhausted, "QUOTA_EXCEEDED", &facts);
        tablet.submit(&at(1)).await.unwrap();
        tablet.submit(&at(3)).await.unwrap();
        assert_eq!(outcome(&tablet.submit(&beyond).await.unwrap()), "STORED");
    })
    .await;
}
