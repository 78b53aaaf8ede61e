//! Land that is claimed twice: by two programs, in two ways, after the site was measured larger, and without outlines.

use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use tonic::Code;

use super::land::measured;
use super::{Board, look_past};
use crate::bad_input::day;
use crate::desk::reason;
use crate::expect::refuses;
use crate::harness::{World, fresh_id, in_world};

/// A task that is at work on the sites of the tablet.
async fn at_work(board: &Board, task: pb::Task) -> String {
    let works = &board.tablet.works;
    let mut task = works.create(task).await.expect("it is recorded");
    for name in ["Plan", "Issue", "Accept", "Mobilise", "Start"] {
        task = works.step(&task, name).await.unwrap_or_else(|refused| panic!("{name}: {refused}"));
    }
    task.task_id
}

/// Stores a report, whether or not it is held.
async fn stored(board: &Board, report: pb::FieldReport) -> String {
    board.tablet.submit(&report).await.expect("it is stored");
    report.report_id
}

/// Lets the authority approve, whatever holds it.
async fn settle(board: &Board, report: &str) -> Result<pb::ReviewReportResponse, tonic::Status> {
    board.decide(board.authority(), report, look_past("seen on the ground")).await
}

async fn remeasured(world: &World, board: &Board, area_m2: i64, date: i32) {
    let site = board.site(world).await;
    let request = pb::RecordRemeasurementRequest {
        request_id: fresh_id(),
        site_id: site.site_id.clone(),
        expected_revision: site.revision,
        area_m2,
        measured_on: Some(day(1998, 6, date)),
        reason: "walked with a receiver".to_owned(),
        ..pb::RecordRemeasurementRequest::default()
    };
    world.sites().record_remeasurement(request).await.expect("it is booked");
}

#[tokio::test]
async fn of_two_programs_on_one_site_only_one_is_credited_for_the_same_lane() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let other = board.tablet.works.desk.beside("US-HD-1999").await;
        let second = pb::Task {
            program_id: other.program_id.clone(),
            allocation_id: other.node("T1"),
            ..board.tablet.works.task("T-2")
        };
        let second = at_work(&board, second).await;
        let ours = board.sent(measured(&board, 2, (0, 2))).await;
        let theirs = pb::FieldReport { task_id: second.clone(), ..measured(&board, 3, (0, 2)) };
        let theirs = stored(&board, theirs).await;
        // At the same moment, whoever comes first.
        let (one, another) = tokio::join!(settle(&board, &ours), settle(&board, &theirs));
        assert_eq!(usize::from(one.is_ok()) + usize::from(another.is_ok()), 1, "{one:?} {another:?}");
        let (credited, refused) = if one.is_ok() { (&ours, &theirs) } else { (&theirs, &ours) };
        let facts = [("report_id", refused.as_str()), ("credited_to", credited.as_str())];
        refuses(settle(&board, refused).await, Code::FailedPrecondition, "AREA_CREDITED", &facts);
        assert_eq!(board.site(world).await.area_m2, 10_000 - 2 * 465, "the land left once");
        board.void(board.authority(), credited).await.unwrap();
        settle(&board, refused).await.expect("nobody else has it");
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_lane_that_one_task_reduced_is_not_cleared_by_another() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let works = &board.tablet.works;
        let accreditation = pb::Accreditation {
            accreditation_id: fresh_id(),
            level: pb::AccreditationLevel::Organization.into(),
            subject_id: works.desk.operator_id.clone(),
            authority_id: works.authority_id.clone(),
            activity: pb::ActivityType::Ts.into(),
            certificate: "C-2".to_owned(),
            first_day: Some(day(1998, 1, 1)),
            ..pb::Accreditation::default()
        };
        let grant = Some(pb::grant_accreditation_request::Grant::Accreditation(accreditation));
        world.teams().grant_accreditation(pb::GrantAccreditationRequest { grant }).await.unwrap();
        let survey = pb::Task { activity: pb::ActivityType::Ts.into(), depth_cm: 0, ..works.task("T-2") };
        let mut reduced = measured(&board, 2, (0, 2));
        reduced.task_id = at_work(&board, survey).await;
        if let Some(Body::Progress(progress)) = &mut reduced.body {
            progress.activity = pb::ActivityType::Ts.into();
            progress.areas[0].r#type = pb::ReleaseType::Reduced.into();
            progress.areas[0].depth_cm = 0;
        }
        let reduced = stored(&board, reduced).await;
        let cleared = board.sent(measured(&board, 3, (1, 3))).await;
        settle(&board, &reduced).await.expect("technical survey reduces");
        let refused = settle(&board, &cleared).await;
        let text = refused.as_ref().unwrap_err().message().to_owned();
        assert!(text.contains("REDUCED"), "{text}");
        let facts = [("report_id", &*cleared), ("credited_to", &*reduced)];
        refuses(refused, Code::FailedPrecondition, "AREA_CREDITED", &facts);
        assert_eq!(board.site(world).await.area_m2, 10_000 - 2 * 465);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_site_that_is_measured_larger_does_not_forget_what_was_credited_but_new_evidence_does() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let first = board.sent(measured(&board, 2, (0, 2))).await;
        board.approve(&first).await.unwrap();
        let left = board.site(world).await.area_m2;
        remeasured(world, &board, left + 65, 10).await;
        let again = board.sent(measured(&board, 12, (0, 2))).await;
        let facts = [("report_id", &*again), ("credited_to", &*first)];
        refuses(board.approve(&again).await, Code::FailedPrecondition, "AREA_CREDITED", &facts);
        assert_eq!(board.site(world).await.area_m2, left + 65);
        let survey = pb::Survey {
            survey_id: fresh_id(),
            site_id: board.tablet.site(),
            kind: pb::SurveyKind::Nts.into(),
            result: pb::SurveyResult::DirectEvidence.into(),
            surveyed_on: Some(day(1998, 6, 11)),
            ..pb::Survey::default()
        };
        world.sites().record_survey(pb::RecordSurveyRequest { survey: Some(survey) }).await.unwrap();
        board.approve(&again).await.expect("it was found to be dangerous since");
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn parts_without_an_outline_before_a_measurement_are_never_more_than_the_site_had_then() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let dated = |date: i32, area_m2: i64| pb::FieldReport {
            work_date: Some(day(1998, 6, date)),
            ..board.tablet.progress(area_m2)
        };
        let moved = stored(&board, dated(1, 1_000)).await;
        settle(&board, &moved).await.unwrap();
        remeasured(world, &board, 9_500, 10).await;
        let most = stored(&board, dated(2, 6_000)).await;
        settle(&board, &most).await.expect("the site had 9000 m2 then");
        let refuse = async |report: &str, told: &str| {
            let refused = settle(&board, report).await.unwrap_err();
            assert_eq!(reason(&refused).0, "NOT_READY");
            assert!(refused.message().contains(told), "{refused}");
            assert!(refused.message().contains("give the outline"), "{refused}");
        };
        let again = stored(&board, dated(3, 6_000)).await;
        refuse(&again, "6000 m2 are more than the 3000 m2 that site").await;
        let rest = stored(&board, dated(4, 3_000)).await;
        settle(&board, &rest).await.expect("just what was left");
        let one = stored(&board, dated(5, 1)).await;
        refuse(&one, "1 m2 are more than the 0 m2 that site").await;
        assert_eq!(board.site(world).await.area_m2, 9_500, "the measurement has all of it");
        // With an outline its ground is told apart.
        let outlined = board.sent(measured(&board, 6, (0, 2))).await;
        board.approve(&outlined).await.expect("nobody has this lane");
        board.void(board.authority(), &most).await.unwrap();
        board.void(board.authority(), &moved).await.unwrap();
        // 10000 - 3000 - 2 * 465, of which the land of the voided ones is free again.
        settle(&board, &again).await.expect("nobody is credited with it");
        // Nobody knows what it had before it was recorded.
        let mut early = board.tablet.progress(10);
        early.work_date = Some(day(1998, 2, 20));
        refuse(&stored(&board, early).await, "nobody knows how much land").await;
        board.finish().await;
    })
    .await;
}
