//! What may still change of an order, what bars the work, and what becomes of its teams and its money.

use safelane::rpc::pb;
use tonic::Status;

use super::Works;
use crate::bad_input::{day, names};
use crate::desk::reason;
use crate::ground::assets;
use crate::ground::land::{cleared, close};
use crate::ground::team_feed_story::{assign, ready_team};
use crate::harness::{fresh_id, in_world};

/// Expects that something is missing.
fn lacks(refused: Result<pb::Task, Status>, what: &str) {
    let refused = refused.expect_err("it is refused");
    assert_eq!(reason(&refused).0, "NOT_READY", "{refused}");
    assert!(refused.message().contains(what), "{what}: {}", refused.message());
}

#[tokio::test]
async fn an_order_is_edited_after_its_period_is_over_and_a_site_is_closed() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let issued = works.walked("T-1", &["Plan", "Issue"]).await;
        works.desk.move_period().await.unwrap();
        let site = works.site(world, &works.site_ids[0]).await;
        close(world, &site, cleared(day(1998, 6, 14))).await.unwrap();
        let new = pb::Task { instructions: "Take the northern path.".to_owned(), ..issued.clone() };
        let edited = works.update(&new, &["instructions"]).await.unwrap();
        assert_eq!(edited.instructions, new.instructions);
        let flat = pb::Task { planned_area_m2: 0, ..edited.clone() };
        lacks(works.update(&flat, &["planned_area_m2"]).await, "planned_area_m2 is 0");
        let endless = pb::Task { last_day: None, ..edited };
        lacks(works.update(&endless, &["last_day"]).await, "last_day is missing");
    })
    .await;
}

#[tokio::test]
async fn nobody_works_on_suspended_ground_nor_without_accreditation_that_day() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let site = &works.site_ids[1];
        let suspended = format!(
            "UPDATE sites SET status = 'SUSPENDED', suspension_cause = 'SEASON' WHERE site_id = '{site}'"
        );
        let opened =
            format!("UPDATE sites SET status = 'OPEN', suspension_cause = NULL WHERE site_id = '{site}'");
        let lapsed = "UPDATE accreditations SET last_day = '1998-06-14'".to_owned();
        let renewed = "UPDATE accreditations SET last_day = NULL".to_owned();
        let mut task = works.walked("T-1", &["Plan", "Issue", "Accept"]).await;
        for step in ["Mobilise", "Start", "Resume"] {
            if step == "Resume" {
                task = works.step(&task, "Suspend").await.unwrap();
            }
            Works::run(world, suspended.clone()).await;
            lacks(
                works.step(&task, step).await,
                &format!("site {site} is SUSPENDED; its authority resumes it"),
            );
            Works::run(world, opened.clone()).await;
            Works::run(world, lapsed.clone()).await;
            lacks(works.step(&task, step).await, "not accredited for MANUAL_CLEARANCE on 1998-06-15");
            Works::run(world, renewed.clone()).await;
            task = works.step(&task, step).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn the_way_to_the_hospital_and_the_tasks_of_an_ambulance_are_bounded() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let task = works.walked("T-1", &["Plan", "Issue", "Accept"]).await;
        let shared = assets::registered(world, assets::ambulance(&works.desk.operator_id, "AMB-2", 1)).await;
        let cover = pb::MedicalCover { ambulance_id: shared.asset_id.clone(), ..works.cover.clone() };
        let mobilise = async |task: &pb::Task, cover: pb::MedicalCover| {
            let request = pb::MobiliseTaskRequest {
                request_id: fresh_id(),
                task_id: task.task_id.clone(),
                expected_revision: task.revision,
                medical_cover: Some(cover),
            };
            Ok(works.tasks.clone().mobilise_task(request).await?.into_inner().task.unwrap())
        };
        let far = pb::MedicalCover { evacuation_minutes: 121, ..cover.clone() };
        lacks(mobilise(&task, far).await, "121 minutes away, 120 are allowed");
        let task = mobilise(&task, cover.clone()).await.unwrap();
        // The task itself does not count.
        let task = works.step(&task, "Start").await.unwrap();
        let other = works.walked("T-2", &["Plan", "Issue", "Accept"]).await;
        lacks(mobilise(&other, cover.clone()).await, "serves 1 tasks already, 1 are allowed");
        works.step(&task, "Complete").await.unwrap();
        mobilise(&other, cover).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn work_begins_on_the_days_of_the_plan_and_is_not_done_before() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let later = pb::Task { first_day: Some(day(1998, 6, 16)), ..works.task("T-1") };
        let mut task = works.create(later).await.unwrap();
        for step in ["Plan", "Issue", "Accept", "Mobilise"] {
            task = works.step(&task, step).await.unwrap();
        }
        lacks(works.step(&task, "Start").await, "1998-06-15 is outside the days of the task, 1998-06-16 to");
        world.clock.set("1998-06-16T12:00:00Z");
        task = works.step(&task, "Start").await.unwrap();
        let early = pb::CompleteTaskRequest {
            request_id: fresh_id(),
            task_id: task.task_id.clone(),
            expected_revision: task.revision,
            completion: Some(super::steps::completion(15)),
        };
        names(works.tasks.clone().complete_task(early).await, &["completion.completed_on"]);
        let mut other = works.mobilised("T-2").await;
        world.clock.set("1998-10-01T12:00:00Z");
        lacks(works.step(&other, "Start").await, "moves last_day with UpdateTask");
        other.last_day = Some(day(1998, 10, 31));
        other = works.update(&other, &["last_day"]).await.unwrap();
        works.step(&other, "Start").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_task_frees_its_teams_and_no_order_ends_before_a_team_does() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let mut task = works.mobilised("T-1").await;
        let (here, coming) = (
            ready_team(world, &works, "MT-1", "1998-06-14").await,
            ready_team(world, &works, "MT-2", "1998-06-14").await,
        );
        let at_work = assign(world, &works, (&here, &task), ("1998-06-15", "1998-06-25")).await;
        let to_come = assign(world, &works, (&coming, &task), ("1998-06-20", "1998-06-24")).await;
        let shorter = pb::Task { last_day: Some(day(1998, 6, 24)), ..task.clone() };
        let late = format!("assignment {} stands until 1998-06-25", at_work.assignment_id);
        lacks(works.update(&shorter, &["last_day"]).await, &late);
        let shorter = pb::Task { last_day: Some(day(1998, 6, 25)), ..task.clone() };
        task = works.update(&shorter, &["last_day"]).await.unwrap();
        works.step(&task, "Cancel").await.unwrap();
        let read = async |assignment: &pb::Assignment| {
            let assignment_id = assignment.assignment_id.clone();
            let get = pb::GetAssignmentRequest { assignment_id, min_revision: 0 };
            world.teams().get_assignment(get).await.unwrap().into_inner().assignment.unwrap()
        };
        let (at_work, to_come) = (read(&at_work).await, read(&to_come).await);
        assert_eq!(
            (at_work.state(), at_work.last_day, at_work.end_reason.as_str()),
            (pb::AssignmentState::Standing, Some(day(1998, 6, 15)), "The task was cancelled.")
        );
        assert_eq!((to_come.state(), to_come.people.len()), (pb::AssignmentState::Cancelled, 0));
        assert_eq!(at_work.revision, to_come.revision, "one event of the operator's journal");
        // They are free for another task.
        let other = works.mobilised("T-2").await;
        assign(world, &works, (&here, &other), ("1998-06-16", "1998-06-25")).await;
        assign(world, &works, (&coming, &other), ("1998-06-20", "1998-06-24")).await;
    })
    .await;
}

#[tokio::test]
async fn what_pays_for_a_task_pays_for_no_other_and_gets_no_children_until_it_is_closed() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let desk = &works.desk;
        let (own, grant) = (fresh_id(), fresh_id());
        let mut recorded = desk.allocation(own.clone(), desk.node("A"), "OWN", pb::AllocationPurpose::Task);
        recorded.task_id = fresh_id();
        let whose = recorded.task_id.clone();
        desk.create_allocation(recorded).await.unwrap();
        let other = works.create(pb::Task { allocation_id: own.clone(), ..works.task("T-1") }).await.unwrap();
        lacks(works.plan(&other).await, &format!("allocation {own} pays for task {whose}; name another"));
        let named = pb::Task { task_id: whose, allocation_id: own, ..works.task("T-2") };
        works.plan(&works.create(named).await.unwrap()).await.unwrap();

        let below = desk.allocation(grant.clone(), desk.node("A"), "GRANT", pb::AllocationPurpose::Grant);
        desk.create_allocation(below).await.unwrap();
        let task =
            works.create(pb::Task { allocation_id: grant.clone(), ..works.task("T-3") }).await.unwrap();
        let task = works.plan(&task).await.unwrap();
        let task = works.issue(&task).await.unwrap();
        let child = || desk.allocation(fresh_id(), grant.clone(), "CHILD", pb::AllocationPurpose::Task);
        let refused = desk.create_allocation(child()).await.unwrap_err();
        assert_eq!(reason(&refused).0, "NOT_READY");
        assert!(refused.message().contains(&format!("pays for task {}", task.task_id)), "{refused}");
        works.step(&task, "Cancel").await.unwrap();
        desk.create_allocation(child()).await.unwrap();
    })
    .await;
}
