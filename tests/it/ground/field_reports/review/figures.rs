//! What an approval counts for: land, task, outputs of the budget report, approved against provisional.

use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use safelane::rpc::pb::stream_budget_report_response::Message;

use super::{Board, approve, look_past, reject, take};
use crate::desk::reason;
use crate::ground::field_reports::rig::item;
use crate::harness::{World, in_world};

#[tokio::test]
async fn an_approval_moves_the_land_the_task_and_the_outputs_at_once_and_only_once() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let report = board.sent(board.tablet.progress(200)).await;
        let before = board.row(world, 0).await;
        assert_eq!(before.provisional.as_ref().unwrap().cleared_m2, 200);
        assert_eq!(before.approved.as_ref().unwrap().cleared_m2, 0);
        assert_eq!(before.cost_per_m2_released, None);

        let request = board.request(&report, approve()).await;
        let done = board.ask(board.authority(), request.clone()).await.unwrap();
        assert_eq!(
            board.ask(board.authority(), request).await.unwrap(),
            done,
            "a retry gets the first answer"
        );
        let review = done.review.unwrap();
        assert_eq!((review.state(), review.approved_version), (pb::ReportState::Approved, 1));
        let credit = review.credit.unwrap();
        assert_eq!(credit.outputs.unwrap().cleared_m2, 200);
        assert_eq!((credit.approved_by.as_str(), credit.version), ("coordinator", 1));

        assert_eq!(board.site(world).await.area_m2, 9_800);
        assert_eq!(board.task().await.approved.unwrap().cleared_m2, 200);
        let after = board.row(world, 0).await;
        assert_eq!(after.provisional.unwrap().cleared_m2, 0);
        assert_eq!(after.approved.unwrap().cleared_m2, 200);
        assert_eq!(after.cost_per_m2_released, Some(0), "nothing was expended yet");
        let (head, _) = board.tablet.works.desk.state().await;
        let past = board.row(world, head - 1).await;
        assert_eq!((past.approved.unwrap().cleared_m2, past.provisional), (0, None));
        let now = board.row(world, head).await;
        assert_eq!(now.approved.unwrap().cleared_m2, 200);

        expect_ledger(world, &board).await;
        board.finish().await;
    })
    .await;
}

async fn expect_ledger(world: &World, board: &Board) {
    let ledger = pb::GetLandLedgerRequest {
        authority_id: board.authority().to_owned(),
        site_id: board.tablet.site(),
        first_day: Some(crate::bad_input::day(1998, 1, 1)),
        last_day: Some(crate::bad_input::day(1998, 12, 31)),
        ..pb::GetLandLedgerRequest::default()
    };
    let totals = world.sites().get_land_ledger(ledger).await.unwrap().into_inner().totals.unwrap();
    assert_eq!((totals.identified_m2, totals.cleared_m2, totals.closing_m2), (10_000, -200, 9_800));
}

#[tokio::test]
async fn ordnance_and_people_are_counted_by_category_and_group() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let mut items = vec![item()];
        items.push(pb::OrdnanceItem { quantity: 3, disposal: pb::OrdnanceDisposal::Burned.into(), ..item() });
        items.push(pb::OrdnanceItem {
            quantity: 50,
            disposal: pb::OrdnanceDisposal::LeftMarked.into(),
            ..item()
        });
        items.push(pb::OrdnanceItem { quantity: 9, category: pb::OrdnanceCategory::Scrap.into(), ..item() });
        let found =
            board.tablet.report(Body::Ordnance(pb::OrdnanceReport { site_id: board.tablet.site(), items }));
        let session = board.tablet.report(Body::RiskEducation(pb::RiskEducationReport {
            topic: "Do not touch".to_owned(),
            minutes: 60,
            direct: Some(pb::Beneficiaries { girls: 12, boys: 9, women: 4, men: 1 }),
            ..pb::RiskEducationReport::default()
        }));
        for report in [found, session] {
            let report = board.sent(report).await;
            let office = board.office().to_owned();
            board.decide(&office, &report, approve()).await.expect("the office approves what moves no land");
        }
        let approved = board.row(world, 0).await.approved.unwrap();
        let destroyed: Vec<_> = approved.destroyed.iter().map(|of| (of.category(), of.quantity)).collect();
        assert_eq!(
            destroyed,
            [(pb::OrdnanceCategory::ApMine, 4)],
            "what was left or is scrap was not destroyed"
        );
        assert_eq!(approved.direct, Some(pb::Reached { girls: 12, boys: 9, women: 4, men: 1 }));
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_held_report_counts_only_when_somebody_says_why_and_is_not_provisional() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let mut report = board.tablet.progress(200);
        report.work_date = Some(crate::bad_input::day(1998, 5, 20));
        let held = board.tablet.submit(&report).await.unwrap();
        assert!(!held.holds.is_empty());
        assert_eq!(board.row(world, 0).await.provisional.unwrap().cleared_m2, 0);
        let refused = board.approve(&report.report_id).await.unwrap_err();
        assert_eq!(reason(&refused).0, "NOT_READY");
        assert!(
            refused.message().contains("NOT_ASSIGNED") && refused.message().contains("looked_past"),
            "{refused}"
        );
        assert_eq!(board.state(&report.report_id).await, pb::ReportState::Held);
        // Whoever takes it up does not make it any better.
        board.decide(board.authority(), &report.report_id, take()).await.unwrap();
        assert_eq!(board.row(world, 0).await.provisional.unwrap().cleared_m2, 0);
        let why = look_past("the assignment was recorded late");
        let done = board.decide(board.authority(), &report.report_id, why).await.unwrap().review.unwrap();
        assert_eq!(done.decision, "the assignment was recorded late");
        assert_eq!(board.row(world, 0).await.approved.unwrap().cleared_m2, 200);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn nothing_that_has_not_happened_and_no_unknown_task_can_be_looked_past() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let mut ahead = board.tablet.find();
        ahead.work_date = Some(crate::bad_input::day(1998, 6, 20));
        let mut unknown = board.tablet.find();
        unknown.task_id = crate::harness::fresh_id();
        for (report, told) in [(ahead, "1998-06-20 has not come anywhere"), (unknown, "was not ordered")] {
            board.tablet.submit(&report).await.unwrap();
            let request = board.request(&report.report_id, look_past("it does not matter")).await;
            // By an administrator, who may approve everything that can be approved.
            let request = board.gate.sent("admin", board.office(), request);
            let refused = board.gate.server.field_reports().review_report(request).await.unwrap_err();
            assert_eq!(reason(&refused).0, "NOT_READY");
            assert!(refused.message().contains(told), "{refused}");
        }
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_taken_stays_in_the_queue_and_what_is_decided_leaves_it() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let (one, other) = (board.sent(board.tablet.find()).await, board.sent(board.tablet.find()).await);
        let queue = async || {
            let request = pb::ListReportsRequest {
                operator_id: board.tablet.works.desk.operator_id.clone(),
                to_review: true,
                ..pb::ListReportsRequest::default()
            };
            let listed =
                board.tablet.service.clone().list_reports(request).await.unwrap().into_inner().reports;
            listed.into_iter().map(|of| of.report.unwrap().report_id).collect::<Vec<_>>()
        };
        board.decide(board.office(), &one, take()).await.unwrap();
        assert_eq!(board.state(&one).await, pb::ReportState::UnderReview);
        assert_eq!(queue().await, [one.clone(), other.clone()]);
        board.decide(board.office(), &one, reject()).await.unwrap();
        assert_eq!(queue().await, std::slice::from_ref(&other));
        let again = board.decide(board.office(), &one, take()).await.unwrap_err();
        assert_eq!(reason(&again).0, "WRONG_STATE");
        let earlier = pb::ListReportsRequest {
            operator_id: board.tablet.works.desk.operator_id.clone(),
            received_before: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            ..pb::ListReportsRequest::default()
        };
        let none = board.tablet.service.clone().list_reports(earlier).await.unwrap().into_inner();
        assert_eq!(none.reports, [], "none is that old");
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_funder_who_holds_a_stream_open_sees_the_square_metres_when_they_are_approved() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let report = board.sent(board.tablet.progress(200)).await;
        let request = pb::StreamBudgetReportRequest {
            program_id: board.tablet.works.desk.program_id.clone(),
            delivery: pb::Delivery::State.into(),
            ..pb::StreamBudgetReportRequest::default()
        };
        let mut stream = world.reports().stream_budget_report(request).await.unwrap().into_inner();
        loop {
            let message = stream.message().await.unwrap().expect("it goes on").message.unwrap();
            if let Message::SnapshotEnd(end) = message {
                assert_eq!(end.totals.unwrap().approved.unwrap().cleared_m2, 0);
                break;
            }
        }
        board.approve(&report).await.unwrap();
        let told = loop {
            if let Message::Report(told) =
                stream.message().await.unwrap().expect("it goes on").message.unwrap()
            {
                break told;
            }
        };
        let codes: Vec<_> = told.rows.iter().map(|row| row.code.as_str()).collect();
        assert_eq!(codes, ["T1"], "no other row changed");
        assert_eq!(told.rows[0].approved.as_ref().unwrap().cleared_m2, 200);
        assert_eq!(told.totals.unwrap().approved.unwrap().cleared_m2, 200);
        drop(stream);
        board.finish().await;
    })
    .await;
}
