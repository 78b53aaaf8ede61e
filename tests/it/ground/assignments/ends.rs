//! Ending assignments: what is cut, what is freed, and what is refused.

use safelane::rpc::pb;
use tonic::{Code, Status};

use super::yard::{Yard, day, names};
use crate::desk::{bad_fields, reason};
use crate::harness::{fresh_id, in_world};

fn ending(assignment: &pb::Assignment, last: &str) -> pb::EndAssignmentRequest {
    pb::EndAssignmentRequest {
        request_id: fresh_id(),
        assignment_id: assignment.assignment_id.clone(),
        last_day: Some(day(last)),
        reason: "The rains came early.".to_owned(),
        expected_revision: assignment.revision,
    }
}

async fn end(yard: &mut Yard, request: pb::EndAssignmentRequest) -> Result<pb::Assignment, Status> {
    let answer = yard.teams.end_assignment(request).await?;
    Ok(answer.into_inner().assignment.expect("the assignment"))
}

#[tokio::test]
async fn an_end_cuts_days_and_frees_team_people_and_assets() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let sent = yard.assign(yard.assignment("06-15", "06-25")).await.unwrap().assignment.unwrap();
        world.clock.set("1998-06-19T12:00:00Z");
        let request = ending(&sent, "06-18");
        let ended = end(&mut yard, request.clone()).await.unwrap();
        assert_eq!((ended.state(), ended.last_day), (pb::AssignmentState::Ended, Some(day("06-18"))));
        assert!(ended.people.iter().all(|person| person.last_day == Some(day("06-18"))));
        assert_eq!((ended.asset_ids.len(), ended.end_reason.as_str()), (1, "The rains came early."));
        assert_eq!(end(&mut yard, request).await.unwrap(), ended, "a retry gets the first answer");
        let get = pb::GetAssignmentRequest { assignment_id: sent.assignment_id.clone(), min_revision: 0 };
        assert_eq!(
            yard.teams.get_assignment(get).await.unwrap().into_inner().assignment.as_ref(),
            Some(&ended)
        );
        assert_eq!(yard.findings(yard.assignment("06-19", "06-25")).await, [], "they are free the day after");
        let busy = yard.findings(yard.assignment("06-18", "06-25")).await;
        assert_eq!(names(&busy), ["TEAM_BUSY", "ASSET_BUSY"]);
        let again = end(&mut yard, ending(&ended, "06-17")).await.unwrap_err();
        assert_eq!((again.code(), reason(&again).0.as_str()), (Code::FailedPrecondition, "WRONG_STATE"));
    })
    .await;
}

#[tokio::test]
async fn sending_a_team_anew_ends_what_is_over_at_the_place_and_nothing_else() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let over = yard.assign(yard.assignment("06-15", "06-18")).await.unwrap().assignment.unwrap();
        let today = yard.assign(yard.assignment("06-19", "06-21")).await.unwrap().assignment.unwrap();
        // 22:30 UTC is half past midnight of the 21st in Harare.
        world.clock.set("1998-06-20T22:30:00Z");
        let next = pb::AssignTeamRequest {
            assignment: Some(yard.assignment("06-25", "06-28")),
            ..pb::AssignTeamRequest::default()
        };
        let sent = yard.teams.assign_team(next.clone()).await.unwrap().into_inner();
        assert_eq!(yard.teams.assign_team(next.clone()).await.unwrap().into_inner(), sent);
        assert_eq!(sent.assignment.as_ref().unwrap().first_day, Some(day("06-25")), "not the one that ended");
        let mut states = Vec::new();
        for id in [&over.assignment_id, &today.assignment_id, &next.assignment.unwrap().assignment_id] {
            let get = pb::GetAssignmentRequest { assignment_id: id.clone(), min_revision: 0 };
            let found = yard.teams.get_assignment(get).await.unwrap().into_inner().assignment.unwrap();
            states.push((found.state(), found.revision == sent.revision));
        }
        let (ended, standing) = (pb::AssignmentState::Ended, pb::AssignmentState::Standing);
        assert_eq!(states, [(ended, true), (standing, false), (standing, true)]);
        let told = yard.count(&format!("change_subjects WHERE subject_id = '{}'", over.assignment_id)).await;
        assert_eq!(told, 2, "the feed hears of it");
    })
    .await;
}

#[tokio::test]
async fn what_has_not_begun_is_cancelled_and_leaves_no_days() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let sent = yard.assign(yard.assignment("06-20", "06-24")).await.unwrap().assignment.unwrap();
        let ended = end(&mut yard, ending(&sent, "06-19")).await.unwrap();
        assert_eq!(ended.state(), pb::AssignmentState::Cancelled);
        assert!(ended.people.is_empty() && ended.asset_ids.is_empty());
        for table in ["assignment_people", "assignment_assets"] {
            assert_eq!(yard.count(table).await, 0, "{table}");
        }
        yard.assign(yard.assignment("06-20", "06-24")).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_end_to_come_leaves_it_standing_and_ends_are_in_the_days_of_the_place() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let sent = yard.assign(yard.assignment("06-15", "06-25")).await.unwrap().assignment.unwrap();
        // 22:30 UTC is half past midnight of the 21st in Harare.
        world.clock.set("1998-06-20T22:30:00Z");
        let cut = end(&mut yard, ending(&sent, "06-22")).await.unwrap();
        assert_eq!((cut.state(), cut.last_day), (pb::AssignmentState::Standing, Some(day("06-22"))));
        // The team is out there today, and must hear of a safety stop.
        let today = end(&mut yard, ending(&cut, "06-21")).await.unwrap();
        assert_eq!((today.state(), today.last_day), (pb::AssignmentState::Standing, Some(day("06-21"))));
        assert!(today.people.iter().all(|person| person.last_day == Some(day("06-21"))));
        let ended = end(&mut yard, ending(&today, "06-20")).await.unwrap();
        assert_eq!(ended.state(), pb::AssignmentState::Ended);
    })
    .await;
}

#[tokio::test]
async fn ends_that_make_no_sense_are_refused() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let sent = yard.assign(yard.assignment("06-15", "06-25")).await.unwrap().assignment.unwrap();
        // On its first day it has begun.
        let refused = end(&mut yard, ending(&sent, "06-14")).await.unwrap_err();
        assert_eq!(bad_fields(&refused), ["last_day"]);
        world.clock.set("1998-06-17T12:00:00Z");
        for late in ["06-26", "06-14"] {
            let refused = end(&mut yard, ending(&sent, late)).await.unwrap_err();
            assert_eq!(bad_fields(&refused), ["last_day"], "{late}: {refused:?}");
        }
        let stale = pb::EndAssignmentRequest { expected_revision: 1, ..ending(&sent, "06-20") };
        let refused = end(&mut yard, stale).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::Aborted, "STALE_REVISION"));
        let refused = end(&mut yard, pb::EndAssignmentRequest::default()).await.unwrap_err();
        assert_eq!(bad_fields(&refused), ["request_id", "assignment_id", "last_day", "reason"]);
        let unknown = pb::EndAssignmentRequest { assignment_id: fresh_id(), ..ending(&sent, "06-20") };
        assert_eq!(end(&mut yard, unknown).await.unwrap_err().code(), Code::NotFound);
    })
    .await;
}
