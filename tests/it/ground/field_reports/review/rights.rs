//! Who reviews: nobody their own, and who may book something by hand approves it.

use safelane::rpc::pb;
use tonic::Code;

use super::{Board, approve, give_back, reject, take};
use crate::desk::reason;
use crate::expect::refuses;
use crate::ground::teams::organization;
use crate::harness::in_world;

#[tokio::test]
async fn nobody_reviews_what_they_sent_not_even_an_administrator() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let report = board.tablet.find();
        let operator = board.tablet.works.desk.operator_id.clone();
        let message = pb::SubmitReportRequest { report: Some(report.clone()), sent: None };
        let sent = board.gate.sent("coordinator", &operator, message);
        board.gate.server.field_reports().submit_report(sent).await.unwrap();
        // Another person sends the next version; the first one has still sent a version of it.
        let edited =
            crate::ground::field_reports::rig::edited(&board.tablet, &report, 1, "at the second tree");
        board.tablet.submit(&edited).await.unwrap();
        for decision in [take(), approve(), give_back("note", "which tree?"), reject()] {
            let refused = board.decide(&operator, &report.report_id, decision.clone()).await.map(|_| ());
            let facts = [("report_id", &*report.report_id)];
            if matches!(decision, pb::review_report_request::Decision::Approve(_)) {
                assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied, "of a program");
            } else {
                refuses(refused, Code::FailedPrecondition, "OWN_REPORT", &facts);
            }
        }
        let request = board.request(&report.report_id, approve()).await;
        let mut own = board.tablet.service.clone();
        let refused = own.review_report(request).await.map(|_| ());
        refuses(refused, Code::FailedPrecondition, "OWN_REPORT", &[("report_id", &*report.report_id)]);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn land_is_approved_by_its_authority_money_by_the_office_and_operators_only_send_back() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let operator = board.tablet.works.desk.operator_id.clone();
        let stranger = organization(world, pb::OrganizationKind::Operator, "OTHER", "ZW").await;
        let foreign = organization(world, pb::OrganizationKind::Authority, "FOREIGN", "MZ").await;
        let land = board.sent(board.tablet.progress(200)).await;
        for of in [operator.as_str(), board.office(), foreign.as_str()] {
            let refused = board.decide(of, &land, approve()).await.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied);
        }
        let hidden = board.decide(&stranger, &land, take()).await.map(|_| ());
        refuses(hidden, Code::NotFound, "NOT_FOUND", &[("kind", "report"), ("id", &*land)]);
        let claim = board.sent(board.tablet.report(super::claims::claim(5_000))).await;
        for of in [operator.as_str(), board.authority()] {
            let refused = board.decide(of, &claim, approve()).await.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied);
        }
        for of in [operator.as_str(), board.office(), board.authority()] {
            board.decide(of, &land, take()).await.expect("each of them may review");
        }
        board
            .decide(&operator, &land, give_back("note", "which lane?"))
            .await
            .expect("its own quality check");
        for role in ["field", "funder", "auditor"] {
            let request = board.request(&claim, approve()).await;
            let request = board.gate.sent(role, board.office(), request);
            let refused = board.gate.server.field_reports().review_report(request).await.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "{role}");
        }
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_report_without_a_task_is_approved_by_another_of_its_operator() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let mut report = board.tablet.find();
        report.task_id = String::new();
        let report = board.sent(report).await;
        let refused = board.decide(board.office(), &report, approve()).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let operator = board.tablet.works.desk.operator_id.clone();
        let done = board.decide(&operator, &report, approve()).await.unwrap().review.unwrap();
        assert_eq!(
            (done.state(), done.credit),
            (pb::ReportState::Approved, None),
            "it counts for no program"
        );
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_reviewer_who_has_read_something_older_is_told_so() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let report = board.tablet.find();
        board.tablet.submit(&report).await.unwrap();
        let read = board.request(&report.report_id, approve()).await;
        let edited = crate::ground::field_reports::rig::edited(&board.tablet, &report, 1, "two more");
        board.tablet.submit(&edited).await.unwrap();
        let stale = board.ask(board.office(), read.clone()).await.unwrap_err();
        assert_eq!((stale.code(), reason(&stale).0.as_str()), (Code::Aborted, "STALE_REVISION"));
        let newest = pb::ReviewReportRequest { version: 2, ..read };
        let stale = board.ask(board.office(), newest).await.unwrap_err();
        assert_eq!(stale.code(), Code::Aborted, "the revision is older");
        assert_eq!(board.state(&report.report_id).await, pb::ReportState::Received);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn remarks_name_fields_that_a_report_has() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let report = board.sent(board.tablet.progress(200)).await;
        let unknown = give_back("progress.areas[0].colour", "which?");
        let refused = board.decide(board.authority(), &report, unknown).await.unwrap_err();
        assert_eq!(crate::desk::bad_fields(&refused), ["return.remarks[0].field"]);
        let none = pb::review_report_request::Decision::Return(pb::ReviewReturn { remarks: vec![] });
        let refused = board.decide(board.authority(), &report, none).await.unwrap_err();
        assert_eq!(crate::desk::bad_fields(&refused), ["return.remarks"]);
        board.finish().await;
    })
    .await;
}
