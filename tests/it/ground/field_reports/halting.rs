//! Safety: an accident or a critical finding stops the work at once, before anybody has read the report.

use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use safelane::rpc::pb::stream_team_feed_response::Message;

use super::rig::{Tablet, outcome, reasons, stored};
use crate::bad_input::day;
use crate::ground::feed_rig::{open, told};
use crate::ground::tasks::Works;
use crate::ground::teams::organization;
use crate::harness::{World, fresh_id, in_world};

fn accident(tablet: &Tablet) -> pb::FieldReport {
    tablet.report(Body::Accident(pb::AccidentReport {
        kind: pb::AccidentKind::DeminingAccident.into(),
        description: "A mine went off in lane 3.".to_owned(),
        halt_work: true,
        ..pb::AccidentReport::default()
    }))
}

/// What a reader of the report is told of its stop.
async fn read_halt(tablet: &Tablet, report: &pb::FieldReport) -> Option<pb::HaltAnswer> {
    let request = pb::GetReportRequest { report_id: report.report_id.clone(), ..Default::default() };
    tablet.service.clone().get_report(request).await.unwrap().into_inner().halt
}

/// Expects that no stop was raised for a reason, and that it is told whom to call.
fn says_none(halt: Option<&pb::HaltAnswer>, why: &str) {
    let halt = halt.expect("silence would pass for a stop");
    assert_eq!(halt.safety_stop_id, "");
    for part in ["NO safety stop was raised", why, "call your coordinator and the mine action authority"] {
        assert!(halt.text.contains(part), "{}", halt.text);
    }
}

async fn stops(world: &World, tablet: &Tablet) -> Vec<pb::SafetyStop> {
    let request = pb::ListSafetyStopsRequest {
        of: Some(pb::list_safety_stops_request::Of::TaskId(tablet.task.task_id.clone())),
        ..pb::ListSafetyStopsRequest::default()
    };
    world.tasks().list_safety_stops(request).await.unwrap().into_inner().safety_stops
}

#[tokio::test]
async fn an_accident_stops_the_task_before_it_is_acknowledged_and_once() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let mut feed = open(world.teams(), &tablet.team, "").await.unwrap();
        while !matches!(told(&mut feed).await, Message::SnapshotEnd(_)) {}
        let report = accident(&tablet);
        let answer = tablet.submit(&report).await.unwrap();
        assert_eq!(outcome(&answer), "STORED");
        let task = tablet.works.get(&tablet.task.task_id).await;
        assert_eq!(task.state(), pb::TaskState::Suspended, "when the answer is there, the work stands still");
        let Message::SafetyStop(stop) = told(&mut feed).await else { panic!("the stop comes first") };
        assert_eq!(stop.cause(), pb::SafetyStopCause::Accident);
        assert!(stop.reason.contains(&report.report_id), "{}", stop.reason);
        let told = answer.halt.unwrap();
        assert_eq!(told.safety_stop_id, stop.safety_stop_id);
        assert!(told.text.contains("is stopped by"), "{}", told.text);
        assert_eq!(read_halt(&tablet, &report).await, Some(told.clone()));
        // The same report again, after the stop was lifted, stops nothing.
        let lift = pb::LiftSafetyStopRequest {
            request_id: fresh_id(),
            safety_stop_id: stop.safety_stop_id.clone(),
            expected_revision: stop.revision,
            reason: "the lane was checked".to_owned(),
        };
        world.tasks().lift_safety_stop(lift).await.unwrap();
        let again = tablet.submit(&report).await.unwrap();
        assert_eq!(outcome(&again), "ALREADY_STORED");
        let lifted = again.halt.unwrap();
        assert_eq!(lifted.safety_stop_id, stop.safety_stop_id);
        assert!(lifted.text.contains("was lifted"), "{}", lifted.text);
        // Nor does a version with another day in it: it is stored, and this report has stopped this task.
        let mut other_day = super::rig::edited(&tablet, &report, 1, "it was the day before");
        other_day.work_date = Some(day(1998, 6, 14));
        assert_eq!(outcome(&tablet.submit(&other_day).await.unwrap()), "NEW_VERSION");
        let all = stops(world, &tablet).await;
        assert!(all.len() == 1 && all[0].lifted_at.is_some(), "{all:?}");
        drop(feed);
    })
    .await;
}

#[tokio::test]
async fn a_critical_finding_stops_the_task_and_work_of_that_day_is_stored_and_flagged() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let finding = tablet.report(Body::Inspection(pb::InspectionReport {
            result: pb::InspectionResult::Critical.into(),
            findings: "A lane without marking.".to_owned(),
            halt_work: true,
            ..pb::InspectionReport::default()
        }));
        let other = tablet.find();
        let answers = tablet.sync(&[finding.clone(), other]).await;
        let all = stops(world, &tablet).await;
        assert_eq!(all.len(), 1);
        let told: Vec<_> = answers.iter().map(|answer| stored(answer).halt.clone()).collect();
        assert_eq!(told[0].as_ref().map(|halt| &halt.safety_stop_id), Some(&all[0].safety_stop_id));
        assert_eq!(told[1..], [None], "it asks for none");
        assert_eq!(all[0].cause(), pb::SafetyStopCause::CriticalNonconformity);
        let late = tablet.submit(&tablet.progress(200)).await.unwrap();
        assert_eq!((outcome(&late), reasons(&late.holds)), ("HELD", vec!["AFTER_SAFETY_STOP"]));
    })
    .await;
}

#[tokio::test]
async fn an_accident_on_the_road_or_on_an_unknown_task_stops_nothing_and_is_stored() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let road = pb::FieldReport { task_id: String::new(), ..accident(&tablet) };
        let unknown = pb::FieldReport { task_id: fresh_id(), ..accident(&tablet) };
        let draft = tablet.works.create(tablet.works.task("T-9")).await.unwrap();
        let draft = pb::FieldReport { task_id: draft.task_id, ..accident(&tablet) };
        let not_ordered = "the task was not ordered from this operator";
        let cases = [
            (&road, "STORED", "the report names no task"),
            (&unknown, "HELD", not_ordered),
            (&draft, "HELD", not_ordered),
        ];
        for (report, expected, why) in cases {
            let answer = tablet.submit(report).await.unwrap();
            assert_eq!(outcome(&answer), expected);
            says_none(answer.halt.as_ref(), why);
            assert_eq!(read_halt(&tablet, report).await, answer.halt);
        }
        let again = tablet.sync(&[road, unknown]).await;
        says_none(stored(&again[0]).halt.as_ref(), "the report names no task");
        says_none(stored(&again[1]).halt.as_ref(), not_ordered);
        assert_eq!(stops(world, &tablet).await, []);
        let mut held = accident(&tablet);
        held.work_date = Some(day(1998, 7, 1));
        assert_eq!(outcome(&tablet.submit(&held).await.unwrap()), "HELD", "a wrong clock");
        assert_eq!(stops(world, &tablet).await.len(), 1, "it stops the work all the same");
    })
    .await;
}

#[tokio::test]
async fn an_inspector_of_somebody_elses_task_is_told_that_nothing_stands_still() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let other = organization(world, pb::OrganizationKind::Operator, "OP-2", "ZW").await;
        let accreditation = pb::Accreditation {
            accreditation_id: fresh_id(),
            level: pb::AccreditationLevel::Organization.into(),
            subject_id: other.clone(),
            authority_id: tablet.works.authority_id.clone(),
            activity: pb::ActivityType::ManualClearance.into(),
            certificate: "C-2".to_owned(),
            first_day: Some(day(1998, 1, 1)),
            ..pb::Accreditation::default()
        };
        let grant = Some(pb::grant_accreditation_request::Grant::Accreditation(accreditation));
        world.teams().grant_accreditation(pb::GrantAccreditationRequest { grant }).await.unwrap();
        let theirs = pb::Task { operator_id: other, ..tablet.works.task("T-5") };
        let mut theirs = tablet.works.create(theirs).await.unwrap();
        for step in ["Plan", "Issue"] {
            theirs = tablet.works.step(&theirs, step).await.unwrap();
        }
        let finding = tablet.report(Body::Inspection(pb::InspectionReport {
            result: pb::InspectionResult::Critical.into(),
            findings: "A lane without marking.".to_owned(),
            halt_work: true,
            ..pb::InspectionReport::default()
        }));
        let answer = tablet.submit(&pb::FieldReport { task_id: theirs.task_id, ..finding }).await.unwrap();
        says_none(answer.halt.as_ref(), "the task was not ordered from this operator");
    })
    .await;
}

#[tokio::test]
async fn a_stop_that_was_not_raised_before_the_service_ended_is_told_until_the_report_is_sent_again() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = accident(&tablet);
        let answer = tablet.submit(&report).await.unwrap();
        // As if the service had ended between the report and its stop.
        let forgotten = format!("UPDATE safety_stops SET safety_stop_id = '{}'", fresh_id());
        Works::run(world, forgotten).await;
        let told = read_halt(&tablet, &report).await;
        says_none(told.as_ref(), "send the report again");
        let stop = answer.halt.unwrap().safety_stop_id;
        Works::run(world, format!("UPDATE safety_stops SET safety_stop_id = '{stop}'")).await;
        assert_eq!(read_halt(&tablet, &report).await.unwrap().safety_stop_id, stop);
    })
    .await;
}
