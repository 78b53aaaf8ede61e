//! What becomes of a version: stored, there already, replaced, refused.

use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use tokio::task::JoinSet;
use tonic::Code;

use super::rig::{Tablet, edited, hash, outcome, reasons, stored, sync};
use crate::desk::reason;
use crate::expect::refuses;
use crate::ground::tasks::Works;
use crate::harness::{fresh_id, in_world};

#[tokio::test]
async fn a_report_is_stored_once_and_its_receipt_is_the_same_every_time() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = tablet.progress(400);
        let first = tablet.submit(&report).await.unwrap();
        assert_eq!((outcome(&first), reasons(&first.holds)), ("STORED", vec![]));
        let receipt = first.receipt.clone().unwrap();
        assert_eq!((receipt.version, receipt.content_sha256.clone()), (1, hash(&report)));
        assert_eq!(receipt.reference.len(), 8);
        for _ in 0..3 {
            let again = tablet.submit(&report).await.unwrap();
            assert_eq!(outcome(&again), "ALREADY_STORED");
            assert_eq!(again.receipt, first.receipt);
            assert_eq!(again.sync_state, first.sync_state);
        }
        assert_eq!(Tablet::count(world).await, 1);
        let read = tablet.get(&report.report_id, 0).await;
        assert_eq!(read.report.as_ref(), Some(&report));
        assert_eq!((read.kind(), read.state()), (pb::ReportKind::Progress, pb::ReportState::Received));
        assert_eq!((read.version, read.newest_version, read.complete), (1, 1, true));
        assert_eq!(read.program_id, tablet.works.desk.program_id);
        // The tablet's clock is right, so it was written an hour ago.
        assert_eq!(read.captured_at.unwrap().seconds, read.received_at.unwrap().seconds - 3_600);
    })
    .await;
}

#[tokio::test]
async fn other_content_under_an_id_is_refused_with_the_field_that_differs() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = tablet.progress(400);
        tablet.submit(&report).await.unwrap();
        let mut other = report.clone();
        if let Some(Body::Progress(progress)) = &mut other.body {
            progress.machine_minutes = 60;
        }
        let differs = "report.progress.machine_minutes";
        let facts = [("kind", "report"), ("id", &*report.report_id), ("differs", differs)];
        refuses(tablet.submit(&other).await, Code::AlreadyExists, "ID_TAKEN", &facts);
        // Both in one group, where the first is not in the database yet.
        let (mut one, mut two) = (tablet.find(), tablet.find());
        one.note = "one".to_owned();
        two.report_id.clone_from(&one.report_id);
        let answers = tablet.sync(&[one.clone(), two, one]).await;
        assert_eq!(outcome(stored(&answers[0])), "STORED");
        assert_eq!(super::rig::refusal(&answers[1]).0, Code::AlreadyExists);
        assert_eq!(outcome(stored(&answers[2])), "ALREADY_STORED");
    })
    .await;
}

#[tokio::test]
async fn edits_replace_their_base_and_a_base_that_was_replaced_is_stale() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = tablet.progress(400);
        tablet.submit(&report).await.unwrap();
        let edit = edited(&tablet, &report, 1, "measured again");
        assert_eq!(outcome(&tablet.submit(&edit).await.unwrap()), "NEW_VERSION");
        let other = edited(&tablet, &report, 1, "another edit of the same version");
        let facts = [("expected", "1"), ("current", "2")];
        refuses(tablet.submit(&other).await, Code::Aborted, "STALE_REVISION", &facts);
        let read = tablet.get(&report.report_id, 0).await;
        assert_eq!((read.version, read.report), (2, Some(edit)));
        assert_eq!(tablet.get(&report.report_id, 1).await.report, Some(report.clone()));
        let request = pb::GetReportRequest { report_id: report.report_id, version: 3, min_revision: 0 };
        let missing = tablet.service.clone().get_report(request).await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn versions_that_arrive_backwards_end_as_if_they_had_come_in_order() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = tablet.progress(400);
        let edits: Vec<_> =
            (1..4).map(|base| edited(&tablet, &report, base, &format!("edit {base}"))).collect();
        let newest = tablet.submit(&edits[2]).await.unwrap();
        assert_eq!((outcome(&newest), reasons(&newest.holds)), ("HELD", vec!["BASE_MISSING"]));
        for older in [&edits[1], &report] {
            let answer = tablet.submit(older).await.unwrap();
            assert_ne!(outcome(&answer), "HELD");
            assert_eq!(tablet.get(&report.report_id, 0).await.state(), pb::ReportState::Held);
        }
        assert_eq!(outcome(&tablet.submit(&edits[0]).await.unwrap()), "NEW_VERSION");
        let settled = tablet.get(&report.report_id, 0).await;
        assert_eq!((settled.version, settled.state()), (4, pb::ReportState::Received));
        assert_eq!(settled.holds, []);
        let again = tablet.submit(&edits[2]).await.unwrap();
        assert_eq!((outcome(&again), again.holds.len()), ("ALREADY_STORED", 0));
        for (version, sent) in [(1, &report), (2, &edits[0]), (3, &edits[1]), (4, &edits[2])] {
            assert_eq!(tablet.get(&report.report_id, version).await.report.as_ref(), Some(sent));
        }
    })
    .await;
}

#[tokio::test]
async fn eight_senders_of_the_same_fifty_reports_store_fifty() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let replica = world.replica().await;
        let reports: Vec<_> = (0..50).map(|_| tablet.find()).collect();
        let mut senders = JoinSet::new();
        for sender in 0..8_usize {
            let (mut reports, unary) = (reports.clone(), sender % 2 == 0);
            let service = if sender < 4 { tablet.service.clone() } else { replica.field_reports() };
            reports.rotate_left(sender * 6);
            senders.spawn(async move {
                if !unary {
                    let answers = sync(&service, &reports).await.expect("the stream ends well");
                    return answers.iter().map(|answer| outcome(stored(answer))).collect::<Vec<_>>();
                }
                let mut outcomes = Vec::new();
                for report in &reports {
                    outcomes.push(outcome(&super::rig::submit(&service, report).await.expect("stored")));
                }
                outcomes
            });
        }
        let outcomes = senders.join_all().await.concat();
        let count = |word: &str| outcomes.iter().filter(|outcome| **outcome == word).count();
        assert_eq!((count("STORED"), count("ALREADY_STORED")), (50, 350));
        assert_eq!(Tablet::count(world).await, 50);
        let state = tablet.state().await;
        assert_eq!((state.durable_through, state.highest, state.missing_count), (50, 50, 0));
        replica.finish().await;
    })
    .await;
}

#[tokio::test]
async fn of_many_edits_of_one_version_at_once_exactly_one_wins() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = tablet.progress(400);
        tablet.submit(&report).await.unwrap();
        let mut senders = JoinSet::new();
        for sender in 0..8 {
            let edit = edited(&tablet, &report, 1, &format!("edit of sender {sender}"));
            let service = tablet.service.clone();
            senders.spawn(async move { super::rig::submit(&service, &edit).await });
        }
        let answers = senders.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 7));
        for refused in lost {
            let facts = [("expected", "1"), ("current", "2")];
            refuses(refused, Code::Aborted, "STALE_REVISION", &facts);
        }
    })
    .await;
}

#[tokio::test]
async fn a_report_that_was_decided_takes_no_more_versions() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = tablet.progress(400);
        tablet.submit(&report).await.unwrap();
        Works::run(world, "UPDATE reports SET state = 'APPROVED', approved_version = 1".to_owned()).await;
        let refused = tablet.submit(&edited(&tablet, &report, 1, "late")).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::FailedPrecondition, "WRONG_STATE"));
        assert_eq!(outcome(&tablet.submit(&report).await.unwrap()), "ALREADY_STORED");
        // What was returned comes back as a new version.
        Works::run(world, "UPDATE reports SET state = 'RETURNED', approved_version = NULL".to_owned()).await;
        let mended = edited(&tablet, &report, 1, "mended");
        assert_eq!(outcome(&tablet.submit(&mended).await.unwrap()), "NEW_VERSION");
        assert_eq!(tablet.get(&report.report_id, 0).await.state(), pb::ReportState::Received);
    })
    .await;
}

#[tokio::test]
async fn what_is_malformed_or_too_large_is_not_stored() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let bad = pb::FieldReport { device_sequence: 0, work_date: None, ..tablet.progress(-400) };
        let fields = ["report.device_sequence", "report.work_date", "report.progress.areas[0].area_m2"];
        crate::bad_input::names(tablet.submit(&bad).await, &fields);
        let mut large = tablet.find();
        let items = vec![super::rig::item(); 400];
        let model = "m".repeat(100);
        large.body = Some(Body::Ordnance(pb::OrdnanceReport { site_id: String::new(), items }));
        if let Some(Body::Ordnance(found)) = &mut large.body {
            for item in &mut found.items {
                item.model.clone_from(&model);
            }
        }
        tablet.submit(&large).await.expect("that is not too large");
        large.report_id = fresh_id();
        large.note = "x".repeat(520_000);
        let size = prost::Message::encoded_len(&large).to_string();
        let facts = [("what", "bytes of a report"), ("max", "524288"), ("field", "report"), ("size", &*size)];
        refuses(tablet.submit(&large).await, Code::ResourceExhausted, "QUOTA_EXCEEDED", &facts);
        let empty = tablet.service.clone().submit_report(pb::SubmitReportRequest::default()).await;
        crate::bad_input::names(empty, &["report"]);
        assert_eq!(Tablet::count(world).await, 1);
    })
    .await;
}
