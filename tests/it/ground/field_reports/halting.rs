//! Safety: an accident or a critical finding stops the work at once, before anybody has read the report.

use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use safelane::rpc::pb::stream_team_feed_response::Message;

use super::rig::{Tablet, outcome, reasons};
use crate::bad_input::day;
use crate::ground::feed_rig::{open, told};
use crate::harness::{World, fresh_id, in_world};

fn accident(tablet: &Tablet) -> pb::FieldReport {
    tablet.report(Body::Accident(pb::AccidentReport {
        kind: pb::AccidentKind::DeminingAccident.into(),
        description: "A mine went off in lane 3.".to_owned(),
        halt_work: true,
        ..pb::AccidentReport::default()
    }))
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
        assert_eq!(outcome(&tablet.submit(&report).await.unwrap()), "STORED");
        let task = tablet.works.get(&tablet.task.task_id).await;
        assert_eq!(task.state(), pb::TaskState::Suspended, "when the answer is there, the work stands still");
        let Message::SafetyStop(stop) = told(&mut feed).await else { panic!("the stop comes first") };
        assert_eq!(stop.cause(), pb::SafetyStopCause::Accident);
        assert!(stop.reason.contains(&report.report_id), "{}", stop.reason);
        // The same report again, after the stop was lifted, stops nothing.
        let lift = pb::LiftSafetyStopRequest {
            request_id: fresh_id(),
            safety_stop_id: stop.safety_stop_id.clone(),
            expected_revision: stop.revision,
            reason: "the lane was checked".to_owned(),
        };
        world.tasks().lift_safety_stop(lift).await.unwrap();
        assert_eq!(outcome(&tablet.submit(&report).await.unwrap()), "ALREADY_STORED");
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
        assert_eq!(answers.len(), 2);
        let all = stops(world, &tablet).await;
        assert_eq!(all.len(), 1);
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
        assert_eq!(outcome(&tablet.submit(&road).await.unwrap()), "STORED");
        assert_eq!(outcome(&tablet.submit(&unknown).await.unwrap()), "HELD");
        assert_eq!(stops(world, &tablet).await, []);
        let mut held = accident(&tablet);
        held.work_date = Some(day(1998, 7, 1));
        assert_eq!(outcome(&tablet.submit(&held).await.unwrap()), "HELD", "a wrong clock");
        assert_eq!(stops(world, &tablet).await.len(), 1, "it stops the work all the same");
    })
    .await;
}
