//! Land that reports release: never more than there is, never the same ground twice, and by the right method.

use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use tonic::Code;

use super::{Board, approve};
use crate::bad_input::day;
use crate::desk::reason;
use crate::expect::refuses;
use crate::harness::{fresh_id, in_world};

type Change<'a> = &'a dyn Fn(&mut pb::ProgressReport);

/// A rectangle east of a meridian near the site, of steps of 0.0002 degrees, about 21 m by 22 m each.
fn lane(from: u32, to: u32) -> String {
    let (west, east) = (328_000 + 2 * from, 328_000 + 2 * to);
    let (south, north) = (-191_000, -190_998);
    let ring = [(west, south), (east, south), (east, north), (west, north), (west, south)];
    let ring: Vec<String> = ring.iter().map(|(x, y)| format!("[{x}e-4,{y}e-4]")).collect();
    format!(r#"{{"type":"Polygon","coordinates":[[{}]]}}"#, ring.join(","))
}

/// A day's progress with an outline of so many steps, each of about 465 square metres.
pub(super) fn measured(board: &Board, date: i32, (from, to): (u32, u32)) -> pb::FieldReport {
    let mut report = board.tablet.progress(i64::from(to - from) * 465);
    report.work_date = Some(day(1998, 6, date));
    if let Some(Body::Progress(progress)) = &mut report.body {
        progress.areas[0].boundary_geojson = lane(from, to);
        progress.worked[0].people = 40;
        progress.worked[0].minutes = 40 * 480;
    }
    report
}

#[tokio::test]
async fn the_same_ground_is_never_credited_to_two_reports() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let first = board.sent(measured(&board, 2, (0, 2))).await;
        let beside = board.sent(measured(&board, 3, (2, 4))).await;
        let again = board.sent(measured(&board, 4, (1, 2))).await;
        board.approve(&first).await.unwrap();
        board.approve(&beside).await.expect("lanes may touch");
        let refused = board.approve(&again).await;
        let facts = [("report_id", &*again), ("credited_to", &*first)];
        refuses(refused, Code::FailedPrecondition, "AREA_CREDITED", &facts);
        assert_eq!(board.state(&again).await, pb::ReportState::Received, "nothing was approved");
        assert_eq!(board.site(world).await.area_m2, 10_000 - 4 * 465);
        // Once the first is voided, its ground may be credited.
        board.void(board.authority(), &first).await.unwrap();
        board.approve(&again).await.expect("nobody else has it");
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn one_report_does_not_release_the_same_ground_in_two_ways() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let mut report = measured(&board, 2, (0, 1));
        if let Some(Body::Progress(progress)) = &mut report.body {
            progress.areas.push(progress.areas[0].clone());
        }
        let report = board.sent(report).await;
        let refused = board.approve(&report).await;
        let facts = [("report_id", &*report), ("credited_to", &*report)];
        refuses(refused, Code::FailedPrecondition, "AREA_CREDITED", &facts);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn reports_of_many_days_never_release_more_than_there_is_in_whatever_order_they_are_approved() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let mut sent = Vec::new();
        for date in 1..=4 {
            let mut report = board.tablet.progress(3_000);
            report.work_date = Some(day(1998, 6, date));
            board.tablet.submit(&report).await.unwrap();
            sent.push(report.report_id);
        }
        for report in sent[1..].iter().rev() {
            let why = super::look_past("machines worked, the hours follow");
            board.decide(board.authority(), report, why).await.expect("days in any order");
        }
        assert_eq!(board.site(world).await.area_m2, 1_000);
        let refused = board.decide(board.authority(), &sent[0], super::look_past("so")).await.unwrap_err();
        assert_eq!(reason(&refused).0, "NOT_READY");
        assert!(refused.message().contains("more than the 1000 m2"), "{refused}");
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_method_releases_only_as_it_can_and_to_the_depth_that_was_ordered() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let shallow = |progress: &mut pb::ProgressReport| progress.areas[0].depth_cm = 12;
        let cancelled = |progress: &mut pb::ProgressReport| {
            progress.areas[0].r#type = pb::ReleaseType::Cancelled.into();
            progress.areas[0].depth_cm = 0;
        };
        let surveyed = |progress: &mut pb::ProgressReport| progress.activity = pb::ActivityType::Nts.into();
        let wrong: [(i32, Change<'_>, &str); 3] = [
            (1, &shallow, "cleared to 12 cm, 13 cm were ordered"),
            (2, &cancelled, "MANUAL_CLEARANCE does not release land as CANCELLED"),
            (3, &surveyed, "it is about NTS, MANUAL_CLEARANCE was ordered"),
        ];
        for (date, change, told) in wrong {
            let mut report = Box::new(board.tablet.progress(200));
            report.work_date = Some(day(1998, 6, date));
            if let Some(Body::Progress(progress)) = &mut report.body {
                change(progress);
            }
            board.tablet.submit(&report).await.unwrap();
            let why = super::look_past("whatever it is");
            let refused = board.decide(board.authority(), &report.report_id, why).await.unwrap_err();
            assert_eq!(reason(&refused).0, "NOT_READY");
            assert!(refused.message().contains(told), "{refused}");
        }
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn work_that_a_later_measurement_has_already_counts_and_moves_no_land() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let mut report = board.tablet.progress(200);
        report.work_date = Some(day(1998, 6, 2));
        let report = board.sent(report).await;
        let site = board.site(world).await;
        let measured = pb::RecordRemeasurementRequest {
            request_id: fresh_id(),
            site_id: site.site_id.clone(),
            expected_revision: site.revision,
            area_m2: 9_000,
            measured_on: Some(day(1998, 6, 10)),
            reason: "walked with a receiver".to_owned(),
            ..pb::RecordRemeasurementRequest::default()
        };
        world.sites().record_remeasurement(measured).await.unwrap();
        board.approve(&report).await.expect("the work was done");
        assert_eq!(board.site(world).await.area_m2, 9_000, "the measurement has it already");
        assert_eq!(board.task().await.approved.unwrap().cleared_m2, 200);
        board.void(board.authority(), &report).await.unwrap();
        assert_eq!(board.site(world).await.area_m2, 9_000);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn one_report_releases_land_of_two_sites_and_is_amended_to_one() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let mut report = board.tablet.progress(200);
        let Some(Body::Progress(progress)) = &mut report.body else { panic!("progress") };
        let other = board.tablet.works.site_ids[1].clone();
        progress.areas.push(pb::ReleasedArea {
            site_id: other.clone(),
            area_m2: 50,
            ..progress.areas[0].clone()
        });
        board.sent(report.clone()).await;
        board.approve(&report.report_id).await.expect("both move");
        let left = async |site_id: &str| {
            let request = pb::GetSiteRequest { site_id: site_id.to_owned(), min_revision: 0 };
            world.sites().get_site(request).await.unwrap().into_inner().site.unwrap().area_m2
        };
        assert_eq!((left(&board.tablet.site()).await, left(&other).await), (9_800, 9_950));
        let mut amended = pb::FieldReport { base_version: 1, ..report.clone() };
        if let Some(Body::Progress(progress)) = &mut amended.body {
            progress.areas.pop();
        }
        let request = pb::AmendReportRequest { report: Some(amended), reason: "one lane only".to_owned() };
        let request =
            board.gate.sent_by("amira", "coordinator", &board.tablet.works.desk.operator_id, request);
        board.gate.server.field_reports().amend_report(request).await.unwrap();
        board.approve(&report.report_id).await.unwrap();
        assert_eq!((left(&board.tablet.site()).await, left(&other).await), (9_800, 10_000));
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_small_lane_is_credited_once_as_well_and_on_whichever_site() {
    in_world(async |world| {
        let board = Board::open(world).await;
        // About 5 m by 11 m.
        let lane = |from: u32, to: u32| {
            let (west, east) = (3_280_000 + from, 3_280_000 + to);
            let (south, north) = (-191_000, -190_999);
            let ring = [(west, south), (east, south), (east, north), (west, north), (west, south)];
            let ring: Vec<String> = ring.iter().map(|(x, y)| format!("[{x}e-5,{y}e-4]")).collect();
            format!(r#"{{"type":"Polygon","coordinates":[[{}]]}}"#, ring.join(","))
        };
        let small = |board: &Board, date: i32, site_id: String| {
            let mut report = board.tablet.progress(58);
            report.work_date = Some(day(1998, 6, date));
            if let Some(Body::Progress(progress)) = &mut report.body {
                progress.areas[0].site_id = site_id;
                progress.areas[0].boundary_geojson = lane(0, 5);
            }
            report
        };
        let first = board.sent(small(&board, 2, board.tablet.site())).await;
        let again = board.sent(small(&board, 3, board.tablet.works.site_ids[1].clone())).await;
        board.approve(&first).await.unwrap();
        let refused = board.approve(&again).await;
        let facts = [("report_id", &*again), ("credited_to", &*first)];
        refuses(refused, Code::FailedPrecondition, "AREA_CREDITED", &facts);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn an_approved_completion_report_completes_its_task_and_releases_the_rest() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let areas = vec![pb::ReleasedArea {
            site_id: board.tablet.site(),
            r#type: pb::ReleaseType::Cleared.into(),
            area_m2: 10_000,
            depth_cm: 13,
            ..pb::ReleasedArea::default()
        }];
        let body = pb::CompletionReport { reference: "CR-7".to_owned(), areas, ..Default::default() };
        let report = board.sent(board.tablet.report(Body::Completion(body))).await;
        board.approve(&report).await.unwrap();
        let task = board.task().await;
        assert_eq!(task.state(), pb::TaskState::Completed);
        let completion = task.completion.unwrap();
        assert_eq!(
            (completion.reference.as_str(), completion.completed_on),
            ("CR-7", Some(day(1998, 6, 15)))
        );
        let site = board.site(world).await;
        assert_eq!((site.area_m2, site.status()), (0, pb::SiteStatus::Open), "the authority closes it");
        let voided = board.void(board.authority(), &report).await.unwrap();
        assert_eq!(voided.state(), pb::ReportState::Voided);
        assert_eq!(board.site(world).await.area_m2, 10_000);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_completion_report_of_a_task_that_stands_still_is_not_approved_and_its_land_stays() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let areas = vec![pb::ReleasedArea {
            site_id: board.tablet.site(),
            r#type: pb::ReleaseType::Cleared.into(),
            area_m2: 100,
            depth_cm: 13,
            ..pb::ReleasedArea::default()
        }];
        let body = pb::CompletionReport { reference: "CR-7".to_owned(), areas, ..Default::default() };
        let report = board.sent(board.tablet.report(Body::Completion(body))).await;
        let task = board.task().await;
        board.tablet.works.step(&task, "Suspend").await.unwrap();
        let refused = board.decide(board.authority(), &report, approve()).await.unwrap_err();
        assert_eq!(reason(&refused).0, "WRONG_STATE");
        assert_eq!(board.site(world).await.area_m2, 10_000);
        assert_eq!(board.state(&report).await, pb::ReportState::Received);
        board.finish().await;
    })
    .await;
}
