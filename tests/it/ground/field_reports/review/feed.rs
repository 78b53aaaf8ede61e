//! Returned reports reach the team by its feed, with the remark on the field, until they are mended.

use safelane::rpc::pb;
use safelane::rpc::pb::stream_team_feed_response::Message;

use super::{Board, give_back};
use crate::ground::feed_rig::{open, told};
use crate::ground::field_reports::rig::edited;
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
