//! A reporting period is frozen; late reports, amendments and voided ones change what is known, and it is said why.

use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use tonic::{Code, Status};

use super::Board;
use crate::bad_input::{day, names};
use crate::desk::reason;
use crate::harness::{World, fresh_id, in_world};

fn period(board: &Board, code: &str, last: (i32, i32)) -> pb::ReportingPeriod {
    pb::ReportingPeriod {
        reporting_period_id: fresh_id(),
        program_id: board.tablet.works.desk.program_id.clone(),
        code: code.to_owned(),
        first_day: Some(day(1998, 6, 1)),
        last_day: Some(day(1998, last.0, last.1)),
        ..pb::ReportingPeriod::default()
    }
}

async fn freeze(world: &World, of: pb::ReportingPeriod) -> Result<pb::ReportingPeriod, Status> {
    let request = pb::FreezeReportingPeriodRequest { reporting_period: Some(of) };
    Ok(world.reports().freeze_reporting_period(request).await?.into_inner().reporting_period.unwrap())
}

async fn restated(world: &World, of: &pb::ReportingPeriod, page_size: i32) -> pb::GetRestatementResponse {
    let mut request = pb::GetRestatementRequest {
        program_id: of.program_id.clone(),
        reporting_period_id: of.reporting_period_id.clone(),
        page_size,
        ..pb::GetRestatementRequest::default()
    };
    let mut all: Option<pb::GetRestatementResponse> = None;
    loop {
        let page = world.reports().get_restatement(request.clone()).await.unwrap().into_inner();
        request.page_token.clone_from(&page.next_page_token);
        match &mut all {
            None => all = Some(page),
            Some(all) => all.changes.extend(page.changes),
        }
        if request.page_token.is_empty() {
            return all.expect("a page");
        }
    }
}

async fn worked(board: &Board, date: i32, area_m2: i64) -> Box<pb::FieldReport> {
    let mut report = board.tablet.progress(area_m2);
    report.work_date = Some(day(1998, 6, date));
    board.sent(report.clone()).await;
    Box::new(report)
}

/// Cleared square metres of the sums of a restatement: told, known, the difference, and that of all changes.
fn cleared(of: &pb::GetRestatementResponse) -> [i64; 4] {
    let [told, known, difference] =
        [&of.told, &of.known, &of.difference].map(|of| of.as_ref().unwrap().cleared_m2);
    let changes = of.changes.iter().map(|change| change.difference.as_ref().unwrap().cleared_m2);
    [told, known, difference, changes.sum()]
}

#[tokio::test]
async fn what_was_told_stays_and_every_difference_is_explained() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let (first, second) = (worked(&board, 2, 200).await, worked(&board, 3, 150).await);
        let third = worked(&board, 4, 100).await;
        board.approve(&first.report_id).await.unwrap();
        board.approve(&second.report_id).await.unwrap();
        let frozen = freeze(world, period(&board, "1998-06A", (6, 10))).await.unwrap();
        assert_eq!(frozen.told.as_ref().unwrap().cleared_m2, 350);
        assert_eq!(cleared(&restated(world, &frozen, 0).await), [350, 350, 0, 0]);

        // One comes late, one is amended, one is voided, and one is of another time.
        board.approve(&third.report_id).await.unwrap();
        let mut amended = Box::new(pb::FieldReport { base_version: 1, ..(*first).clone() });
        if let Some(Body::Progress(progress)) = &mut amended.body {
            progress.areas[0].area_m2 = 180;
        }
        let request = pb::AmendReportRequest { report: Some(*amended), reason: "measured again".to_owned() };
        let request =
            board.gate.sent_by("amira", "coordinator", &board.tablet.works.desk.operator_id, request);
        board.gate.server.field_reports().amend_report(request).await.unwrap();
        board.approve(&first.report_id).await.unwrap();
        board.void(board.authority(), &second.report_id).await.unwrap();
        let outside = worked(&board, 12, 300).await;
        board.approve(&outside.report_id).await.unwrap();

        let now = restated(world, &frozen, 2).await;
        assert_eq!(cleared(&now), [350, 280, -70, -70], "the changes are the difference");
        let causes: Vec<_> = now
            .changes
            .iter()
            .map(|of| (of.cause(), of.reason.as_str(), of.difference.as_ref().unwrap().cleared_m2))
            .collect();
        let (late, amended) = (pb::RestatementCause::LateReport, pb::RestatementCause::Amended);
        assert_eq!(
            causes,
            [
                (late, "", 100),
                (amended, "measured again", -200),
                (amended, "measured again", 180),
                (pb::RestatementCause::Voided, "the photo shows another place", -150),
            ]
        );
        let row = &now.rows[0];
        assert_eq!((now.rows.len(), row.code.as_str()), (1, "T1"));
        assert_eq!(row.told, now.told, "told of its allocations");
        // A period that is frozen now tells what is known now.
        let again = freeze(world, period(&board, "1998-06B", (6, 10))).await.unwrap();
        assert_eq!(again.told, now.known);
        let listed = pb::ListReportingPeriodsRequest {
            program_id: frozen.program_id.clone(),
            ..pb::ListReportingPeriodsRequest::default()
        };
        let listed = world.reports().list_reporting_periods(listed).await.unwrap().into_inner();
        assert_eq!(listed.reporting_periods, [frozen, again]);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_period_is_frozen_once_after_its_last_day_and_by_the_office() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let ahead = freeze(world, period(&board, "1998-06", (6, 15))).await.map(|_| ());
        names(ahead, &["reporting_period.last_day"]);
        let good = period(&board, "1998-06", (6, 10));
        let frozen = freeze(world, good.clone()).await.unwrap();
        assert_eq!(freeze(world, good.clone()).await.unwrap(), frozen, "a retry gets the first answer");
        let taken =
            freeze(world, pb::ReportingPeriod { reporting_period_id: fresh_id(), ..good.clone() }).await;
        assert_eq!(reason(&taken.unwrap_err()).0, "CODE_TAKEN");
        let mut reports = board.gate.server.reports();
        let request = pb::FreezeReportingPeriodRequest {
            reporting_period: Some(pb::ReportingPeriod {
                reporting_period_id: fresh_id(),
                code: "OTHER".to_owned(),
                ..good
            }),
        };
        for (role, of, code) in [
            ("funder", &board.tablet.works.desk.funder_id, Code::PermissionDenied),
            ("coordinator", &board.tablet.works.desk.funder_id, Code::PermissionDenied),
            ("coordinator", &board.tablet.works.desk.operator_id, Code::NotFound),
        ] {
            let refused = reports.freeze_reporting_period(board.gate.sent(role, of, request.clone())).await;
            assert_eq!(refused.unwrap_err().code(), code, "{role}");
        }
        let by_office = board.gate.sent("coordinator", board.office(), request);
        reports.freeze_reporting_period(by_office).await.expect("the office freezes");
        drop(reports);
        board.finish().await;
    })
    .await;
}
