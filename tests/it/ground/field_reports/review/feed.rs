//! Returned reports reach the team by its feed, with the remark on the field, until they are mended.

use safelane::rpc::pb;
use safelane::rpc::pb::stream_team_feed_response::Message;

use super::{Board, give_back};
use crate::ground::feed_rig::{open, told};
use crate::ground::field_reports::rig::{edited, outcome, reasons};
use crate::ground::teams::organization;
use crate::harness::in_world;

#[tokio::test]
async fn a_remark_reaches_the_team_that_is_online_and_the_one_that_comes_back_later() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let report = board.tablet.progress(200);
        board.sent(report.clone()).await;
        let mut feed = open(world.teams(), &board.tablet.team, "").await.unwrap();
        while !matches!(told(&mut feed).await, Message::SnapshotEnd(_)) {}
        let field = "progress.areas[0].area_m2";
        board
            .decide(board.authority(), &report.report_id, give_back(field, "the lane has 150 m2"))
            .await
            .unwrap();
        let Message::ReturnedReport(returned) = told(&mut feed).await else {
            panic!("not a returned report")
        };
        assert_eq!((returned.state(), returned.version), (pb::ReportState::Returned, 1));
        let remark = &returned.remarks[0];
        assert_eq!((remark.field.as_str(), remark.text.as_str()), (field, "the lane has 150 m2"));

        // A tablet that was away finds it in its snapshot.
        let mut later = open(world.teams(), &board.tablet.team, "").await.unwrap();
        let mut found = 0;
        let end = loop {
            match told(&mut later).await {
                Message::ReturnedReport(of) => {
                    assert_eq!(of.report.unwrap().report_id, report.report_id);
                    found += 1;
                }
                Message::SnapshotEnd(end) => break end,
                _ => {}
            }
        };
        assert_eq!((found, end.returned_report_count), (1, 1));

        // The mended version takes it away again.
        board.tablet.submit(&edited(&board.tablet, &report, 1, "150 m2 it is")).await.unwrap();
        let Message::Removed(removed) = told(&mut feed).await else { panic!("not removed") };
        assert_eq!((removed.kind(), &removed.id), (pb::FeedRecordKind::ReturnedReport, &report.report_id));
        let now = board.tablet.get(&report.report_id, 0).await;
        assert_eq!((now.state(), now.remarks.len()), (pb::ReportState::Received, 1), "the remark is kept");
        drop((feed, later));
        board.finish().await;
    })
    .await;
}

/// Reports that a snapshot has, until it ends.
async fn returned_in(feed: &mut tonic::Streaming<pb::StreamTeamFeedResponse>) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        match told(feed).await {
            Message::ReturnedReport(of) => all.push(of.report.unwrap().report_id),
            Message::SnapshotEnd(end) => {
                assert_eq!(usize::try_from(end.returned_report_count), Ok(all.len()));
                return all;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_report_of_another_operator_that_names_the_team_never_reaches_its_feed() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let team = board.tablet.team.clone();
        let stranger = organization(world, pb::OrganizationKind::Operator, "OTHER", "ZW").await;
        let foreign = board.tablet.find();
        let message = pb::SubmitReportRequest { report: Some(foreign.clone()), sent: None };
        let request = board.gate.sent("field", &stranger, message);
        let answer = board.gate.server.field_reports().submit_report(request).await.unwrap().into_inner();
        let expected = ("HELD", vec!["UNKNOWN_TEAM", "UNKNOWN_TASK"]);
        assert_eq!((outcome(&answer), reasons(&answer.holds)), expected);
        let own = board.sent(board.tablet.find()).await;
        let later = board.sent(board.tablet.find()).await;

        // Somebody follows while the other operator returns it. The next that comes is the team's own.
        let mut feed = open(world.teams(), &team, "").await.unwrap();
        assert_eq!(returned_in(&mut feed).await, [] as [String; 0]);
        board.decide(&stranger, &foreign.report_id, give_back("team_id", "whose?")).await.unwrap();
        assert_eq!(board.state(&foreign.report_id).await, pb::ReportState::Returned);
        board.decide(board.authority(), &own, give_back("", "add the depth")).await.unwrap();
        let Message::ReturnedReport(returned) = told(&mut feed).await else { panic!("not the team's own") };
        assert_eq!(returned.report.unwrap().report_id, own);

        // Whoever comes later finds nothing of it in the snapshot, nor in the changes after that.
        let mut after = open(world.teams(), &team, "").await.unwrap();
        assert_eq!(returned_in(&mut after).await, [own]);
        let mended = pb::SubmitReportRequest {
            report: Some(edited(&board.tablet, &foreign, 1, "the other operator's own matter")),
            sent: None,
        };
        let request = board.gate.sent("field", &stranger, mended);
        board.gate.server.field_reports().submit_report(request).await.unwrap();
        board.decide(&stranger, &foreign.report_id, give_back("", "again")).await.unwrap();
        board.decide(board.authority(), &later, give_back("", "add the depth")).await.unwrap();
        for feed in [&mut feed, &mut after] {
            let Message::ReturnedReport(returned) = told(feed).await else { panic!("not the team's own") };
            assert_eq!(returned.report.unwrap().report_id, later);
        }
        drop((feed, after));
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn decisions_about_other_reports_do_not_reach_the_team() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let (first, second) = (board.sent(board.tablet.find()).await, board.sent(board.tablet.find()).await);
        let mut feed = open(world.teams(), &board.tablet.team, "").await.unwrap();
        while !matches!(told(&mut feed).await, Message::SnapshotEnd(_)) {}
        board.decide(board.office(), &first, super::reject()).await.unwrap();
        board.decide(board.office(), &second, give_back("", "add the depth")).await.unwrap();
        let Message::ReturnedReport(returned) = told(&mut feed).await else { panic!("not the returned one") };
        assert_eq!(returned.report.unwrap().report_id, second);
        drop(feed);
        board.finish().await;
    })
    .await;
}
