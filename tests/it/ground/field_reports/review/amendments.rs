//! What is approved is changed only by an amendment with a review of its own, or voided.

use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use tonic::{Code, Status};

use super::{Board, look_past, reject};
use crate::desk::{bad_fields, reason};
use crate::ground::field_reports::rig::{Tablet, edited, outcome, reasons};
use crate::ground::tasks::Works;
use crate::harness::{fresh_id, in_world};

pub(super) async fn amend(
    board: &Board,
    report: &pb::FieldReport,
) -> Result<pb::AmendReportResponse, Status> {
    let message = pb::AmendReportRequest {
        report: Some(report.clone()),
        reason: "the lane was measured again".to_owned(),
    };
    let message = board.gate.sent_by("amira", "coordinator", &board.tablet.works.desk.operator_id, message);
    Ok(board.gate.server.field_reports().amend_report(message).await?.into_inner())
}

/// The report with another area, on top of a version.
fn corrected(report: &pb::FieldReport, base_version: i32, area_m2: i64) -> pb::FieldReport {
    let mut corrected = pb::FieldReport { base_version, ..report.clone() };
    if let Some(Body::Progress(progress)) = &mut corrected.body {
        progress.areas[0].area_m2 = area_m2;
    }
    corrected
}

#[tokio::test]
async fn an_amendment_counts_once_it_is_approved_and_until_then_what_was_approved_does() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let report = board.tablet.progress(200);
        board.sent(report.clone()).await;
        let id = &report.report_id;
        let early = amend(&board, &corrected(&report, 1, 150)).await.unwrap_err();
        assert_eq!(reason(&early).0, "WRONG_STATE", "it is not approved");
        board.approve(id).await.unwrap();
        let amended = corrected(&report, 1, 150);
        let stored = amend(&board, &amended).await.unwrap();
        assert_eq!((stored.holds.len(), stored.receipt.as_ref().unwrap().version), (0, 2));
        assert_eq!(amend(&board, &amended).await.unwrap().receipt, stored.receipt, "it is stored once");
        // What the tablet sent is no amendment.
        let own = amend(&board, &report).await.unwrap_err();
        assert_eq!(own.code(), Code::Aborted);
        let now = board.tablet.get(id, 0).await;
        assert_eq!((now.state(), now.approved_version), (pb::ReportState::Received, 1));
        assert_eq!(now.amendment, "the lane was measured again");
        assert_eq!(board.task().await.approved.unwrap().cleared_m2, 200, "as it was");
        let row = board.row(world, 0).await;
        assert_eq!(row.provisional.unwrap().cleared_m2, 0, "what counts is not counted again");
        // The tablet cannot change what counts.
        let late = board.tablet.submit(&edited(&board.tablet, &report, 2, "no, 210")).await.unwrap_err();
        assert_eq!(reason(&late).0, "WRONG_STATE");
        board.approve(id).await.unwrap();
        assert_eq!(board.task().await.approved.unwrap().cleared_m2, 150);
        assert_eq!(board.site(world).await.area_m2, 9_850);
        assert_eq!(board.tablet.get(id, 0).await.approved_version, 2);
        board.finish().await;
    })
    .await;
}

/// A base that came late, after a reviewer had looked past its absence.
#[tokio::test]
async fn what_was_replaced_before_it_came_is_stored_although_a_newer_version_counts() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let report = board.tablet.progress(200);
        let newest = edited(&board.tablet, &report, 1, "with a note");
        assert_eq!(reasons(&board.tablet.submit(&newest).await.unwrap().holds), ["BASE_MISSING"]);
        let id = &report.report_id;
        board.decide(board.authority(), id, look_past("the tablet is lost")).await.unwrap();
        assert_eq!(outcome(&board.tablet.submit(&report).await.unwrap()), "STORED");
        let now = board.tablet.get(id, 0).await;
        assert_eq!((now.state(), now.version, now.approved_version), (pb::ReportState::Approved, 2, 2));
        assert_eq!(board.tablet.get(id, 1).await.report, Some(report));
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn central_794_who_sends_a_decided_report_again_is_told_a_final_state_and_nothing_is_stored() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let (rejected, voided) = (board.tablet.find(), board.tablet.progress(40));
        for report in [&rejected, &voided] {
            let answer = board.tablet.submit(report).await.unwrap();
            assert_eq!(answer.receipt.unwrap().state(), pb::ReportState::Received);
        }
        board.decide(board.office(), &rejected.report_id, reject()).await.unwrap();
        board.approve(&voided.report_id).await.unwrap();
        board.void(board.authority(), &voided.report_id).await.unwrap();
        let states = [(&rejected, pb::ReportState::Rejected), (&voided, pb::ReportState::Voided)];
        for (report, state) in states {
            let answer = board.tablet.submit(report).await.unwrap();
            assert_eq!(answer.outcome(), pb::ReportOutcome::AlreadyStored);
            let receipt = answer.receipt.unwrap();
            assert_eq!((receipt.state(), receipt.version), (state, 1));
        }
        assert_eq!(Tablet::count(world).await, 2);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_rejected_amendment_leaves_what_was_approved() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let report = board.tablet.progress(200);
        board.sent(report.clone()).await;
        board.approve(&report.report_id).await.unwrap();
        amend(&board, &corrected(&report, 1, 900)).await.unwrap();
        board.decide(board.authority(), &report.report_id, reject()).await.unwrap();
        let now = board.tablet.get(&report.report_id, 0).await;
        assert_eq!(
            (now.state(), now.approved_version, now.newest_version),
            (pb::ReportState::Approved, 1, 2)
        );
        assert_eq!(board.task().await.approved.unwrap().cleared_m2, 200);
        let voided = board.void(board.authority(), &report.report_id).await.unwrap();
        assert_eq!((voided.state(), voided.version), (pb::ReportState::Voided, 1), "what counted is voided");
        assert_eq!(board.task().await.approved.unwrap().cleared_m2, 0);
        assert_eq!(board.site(world).await.area_m2, 10_000);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn on_a_site_that_is_decided_a_note_is_amended_its_land_is_not_and_what_is_voided_is_contested() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let report = board.tablet.progress(200);
        board.sent(report.clone()).await;
        let id = &report.report_id;
        board.approve(id).await.unwrap();
        // What other services record: the site is released and its users have it back.
        let released = format!(
            "INSERT INTO land_movements (authority_id, revision, ordinal, site_id, country_code, kind, area_m2, effective_on,
                    note)
             SELECT authority_id, 100000, 1, site_id, country_code, 'CLEARED', -area_m2, '1998-06-15', ''
               FROM sites WHERE site_id = '{0}';
             UPDATE sites SET status = 'CLOSED', area_m2 = 0 WHERE site_id = '{0}'",
            board.tablet.site()
        );
        Works::run(world, released).await;
        let noted = pb::FieldReport { base_version: 1, note: "lane 3".to_owned(), ..report.clone() };
        amend(&board, &noted).await.unwrap();
        board.approve(id).await.expect("the land is as it was");
        amend(&board, &corrected(&report, 2, 150)).await.unwrap();
        let why = look_past("the site is released");
        let refused = board.decide(board.authority(), id, why).await.unwrap_err();
        assert!(refused.message().contains("its land is decided"), "{refused}");
        board.decide(board.authority(), id, reject()).await.unwrap();
        board.void(board.authority(), id).await.unwrap();
        let site = board.site(world).await;
        assert_eq!((site.area_m2, site.status()), (0, pb::SiteStatus::Closed));
        assert!(site.conflict.contains(id.as_str()), "its authority must look: {}", site.conflict);
        assert_eq!(board.task().await.approved.unwrap().cleared_m2, 0, "it counts no more");
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn an_amendment_is_of_the_same_report_and_on_top_of_the_newest() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let report = board.tablet.progress(200);
        board.sent(report.clone()).await;
        board.approve(&report.report_id).await.unwrap();
        let other = pb::FieldReport { device_sequence: 77, ..corrected(&report, 1, 150) };
        let other = pb::FieldReport { task_id: fresh_id(), ..other };
        let refused = amend(&board, &other).await.unwrap_err();
        assert_eq!(bad_fields(&refused), ["report.device_sequence", "report.task_id"]);
        let stale = amend(&board, &corrected(&report, 0, 150)).await.unwrap_err();
        assert_eq!(stale.code(), Code::Aborted);
        let gate = board.gate.sent(
            "coordinator",
            board.office(),
            pb::AmendReportRequest { report: Some(corrected(&report, 1, 150)), reason: "so".to_owned() },
        );
        let refused = board.gate.server.field_reports().amend_report(gate).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "the operator corrects its reports itself");
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn voiding_books_land_task_and_outputs_back_and_old_reports_stay_as_they_were() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let report = board.sent(board.tablet.progress(200)).await;
        board.approve(&report).await.unwrap();
        let (approved, _) = board.tablet.works.desk.state().await;
        board.void(board.authority(), &report).await.unwrap();
        assert_eq!(board.site(world).await.area_m2, 10_000);
        assert_eq!(board.task().await.approved.unwrap().cleared_m2, 0);
        assert_eq!(board.row(world, 0).await.approved.unwrap().cleared_m2, 0);
        assert_eq!(
            board.row(world, approved).await.approved.unwrap().cleared_m2,
            200,
            "as it was known then"
        );
        let late = board.tablet.get(&report, 0).await;
        assert_eq!(
            (late.state(), late.decision.as_str()),
            (pb::ReportState::Voided, "the photo shows another place")
        );
        board.finish().await;
    })
    .await;
}
