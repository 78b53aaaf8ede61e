//! Whom a stop reaches when sites are split or reopened and tasks are over, and whom it does not.

use safelane::rpc::pb;
use safelane::rpc::pb::list_safety_stops_request::Of;
use safelane::rpc::pb::safety_stop::Target;
use tonic::Code;

use super::{last_change, lift, of_task, stop};
use crate::bad_input::day;
use crate::desk::reason;
use crate::gate::Gate;
use crate::ground::feed_rig::{about, open, several, told};
use crate::ground::land::{cleared, part, splitting};
use crate::ground::tasks::Works;
use crate::ground::team_feed_story::{assign, ready_team};
use crate::ground::teams::organization;
use crate::harness::{fresh_id, in_world};

#[tokio::test]
async fn a_stop_of_a_part_reaches_the_tasks_on_the_site_that_was_split() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let task = works.mobilised("T-1").await;
        let draft = works.create(works.task("T-2")).await.unwrap();
        let over = works.step(&works.walked("T-3", &["Plan", "Issue"]).await, "Cancel").await.unwrap();
        let team = ready_team(world, &works, "MT-1", "1998-06-14").await;
        assign(world, &works, (&team, &task), ("1998-06-20", "1998-06-25")).await;
        let mut feed = open(world.teams(), &team, "").await.unwrap();
        assert_eq!(several(&mut feed, 6).await.last().unwrap().0, "end");

        let site = works.site(world, &works.site_ids[0]).await;
        let (left, mut released) = (part("ZW-0042-A", 6_000), part("ZW-0042-B", 4_000));
        released.release = cleared(day(1998, 6, 14));
        let request = splitting(&site, day(1998, 6, 14), vec![left.clone(), released]);
        let split = world.sites().split_site(request.clone()).await.unwrap().into_inner();
        assert_eq!(world.sites().split_site(request).await.unwrap().into_inner(), split);
        let sites = [works.site_ids.as_slice(), std::slice::from_ref(&left.site_id)].concat();
        for before in [&task, &draft] {
            let now = works.get(&before.task_id).await;
            assert_eq!((&now.site_ids, now.state()), (&sites, before.state()));
            assert!(before.revision < now.revision);
        }
        assert_eq!(works.get(&over.task_id).await, over);
        let mut shown = Vec::new();
        while !shown.contains(&("site", left.site_id.clone())) {
            shown.push(about(&told(&mut feed).await));
        }

        let stopped = works.stop(Target::SiteId(left.site_id.clone())).await.unwrap();
        assert_eq!(stopped.suspended_task_ids, [task.task_id.as_str()]);
        while shown.last() != Some(&("stop", stopped.safety_stop_id.clone())) {
            shown.push(about(&told(&mut feed).await));
        }
        assert_eq!(last_change(world, &works.desk.operator_id).await[0], "stop");
        works.lift(&stopped).await.unwrap();
        works.resume_site(world, &left.site_id).await;
        // One open site is enough, though another is closed.
        works.step(&works.get(&task.task_id).await, "Resume").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_team_that_is_still_at_a_cancelled_task_hears_of_a_stop_and_may_stop_work() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let gate = Gate::open(world).await;
        let task = works.mobilised("T-1").await;
        let team = ready_team(world, &works, "MT-1", "1998-06-14").await;
        assign(world, &works, (&team, &task), ("1998-06-15", "1998-06-25")).await;
        let task = works.step(&task, "Cancel").await.unwrap();
        let mut feed = open(world.teams(), &team, "").await.unwrap();
        assert_eq!(several(&mut feed, 6).await.last().unwrap().0, "end");
        let target = Target::SiteId(works.site_ids[0].clone());
        let request = pb::IssueSafetyStopRequest { safety_stop: Some(stop(target)) };
        let request = gate.sent("field", &works.desk.operator_id, request);
        let stopped = gate.server.tasks().issue_safety_stop(request).await.unwrap().into_inner();
        let stopped = stopped.safety_stop.unwrap();
        assert!(stopped.suspended_task_ids.is_empty());
        assert_eq!(about(&told(&mut feed).await), ("stop", stopped.safety_stop_id.clone()));
        assert_eq!(works.get(&task.task_id).await.state(), pb::TaskState::Cancelled);
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_stop_that_is_sent_again_is_answered_though_its_issuer_is_no_party_any_more() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let gate = Gate::open(world).await;
        let mut tasks = gate.server.tasks();
        let task = works.mobilised("T-1").await;
        let (operator, office) = (&works.desk.operator_id, &works.desk.office_id);
        let new = stop(Target::SiteId(works.site_ids[0].clone()));
        let request = pb::IssueSafetyStopRequest { safety_stop: Some(new) };
        let issue = |message: &pb::IssueSafetyStopRequest| gate.sent("field", operator, message.clone());
        let first = tasks.issue_safety_stop(issue(&request)).await.unwrap().into_inner();
        let lifting = lift(first.safety_stop.as_ref().unwrap());
        let lift = |message: &pb::LiftSafetyStopRequest| gate.sent("coordinator", office, message.clone());
        let lifted = tasks.lift_safety_stop(lift(&lifting)).await.unwrap().into_inner();
        works.step(&works.get(&task.task_id).await, "Cancel").await.unwrap();
        assert_eq!(tasks.issue_safety_stop(issue(&request)).await.unwrap().into_inner(), first);
        assert_eq!(tasks.lift_safety_stop(lift(&lifting)).await.unwrap().into_inner(), lifted);
        // A new one is not theirs to issue.
        let other = pb::SafetyStop { safety_stop_id: fresh_id(), ..request.safety_stop.clone().unwrap() };
        let other = pb::IssueSafetyStopRequest { safety_stop: Some(other) };
        assert_eq!(tasks.issue_safety_stop(issue(&other)).await.unwrap_err().code(), Code::NotFound);
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_task_with_the_id_of_an_operator_or_a_site_stops_nobody_else() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let task = works.mobilised("T-1").await;
        let team = ready_team(world, &works, "MT-1", "1998-06-14").await;
        let site_id = works.site_ids[1].clone();
        let suspend = pb::SuspendSiteRequest {
            request_id: fresh_id(),
            site_id: site_id.clone(),
            expected_revision: works.site(world, &site_id).await.revision,
            cause: pb::SuspensionCause::Season.into(),
            reason: "Rain".to_owned(),
        };
        world.sites().suspend_site(suspend).await.unwrap();
        for (code, id) in [("X-1", &works.desk.operator_id), ("X-2", &site_id)] {
            let draft = pb::Task { task_id: id.clone(), site_ids: Vec::new(), ..works.task(code) };
            let draft = works.create(draft).await.unwrap();
            works.stop(of_task(&draft)).await.unwrap();
        }
        works.resume_site(world, &site_id).await;
        assign(world, &works, (&team, &task), ("1998-06-15", "1998-06-25")).await;
        for of in [Of::SiteId(site_id), Of::TaskId(task.task_id.clone())] {
            assert_eq!(works.stops(of, false).await, Vec::<String>::new());
        }
        assert_eq!(works.get(&task.task_id).await.safety_stop_ids, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_plan_does_not_show_its_office_the_stops_of_others() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let gate = Gate::open(world).await;
        let planned = works.walked("T-1", &["Plan"]).await;
        let on_site = works.stop(Target::SiteId(works.site_ids[0].clone())).await.unwrap().safety_stop_id;
        let on_operator = works.stop(Target::OperatorId(works.desk.operator_id.clone())).await.unwrap();
        let on_operator = on_operator.safety_stop_id;
        let read = async |role: &str| {
            let of = Some(Of::TaskId(planned.task_id.clone()));
            let request = pb::ListSafetyStopsRequest { of, ..pb::ListSafetyStopsRequest::default() };
            let request = gate.sent(role, &works.desk.office_id, request);
            let page = gate.server.tasks().list_safety_stops(request).await.unwrap().into_inner();
            let mut ids: Vec<_> = page.safety_stops.into_iter().map(|stop| stop.safety_stop_id).collect();
            ids.sort();
            ids
        };
        let mut both = vec![on_site, on_operator.clone()];
        both.sort();
        // Coordinators of an office see operators, but not sites where none of their tasks is.
        assert_eq!(read("coordinator").await, [on_operator]);
        assert_eq!(read("field").await, Vec::<String>::new());
        assert_eq!(read("auditor").await, both);
        works.issue(&planned).await.unwrap();
        assert_eq!(read("field").await, both);
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn only_an_authority_that_has_accredited_an_operator_may_stop_it_and_let_it_go_on() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let gate = Gate::open(world).await;
        let mut tasks = gate.server.tasks();
        let foreign = organization(world, pb::OrganizationKind::Authority, "INAM", "MZ").await;
        let target = || Target::OperatorId(works.desk.operator_id.clone());
        for (state, granted, withdrawn, may) in [
            ("APPLIED", "NULL", "NULL", false),
            ("ACCREDITED", "now()", "NULL", true),
            ("WITHDRAWN", "now()", "now()", false),
        ] {
            let operator = &works.desk.operator_id;
            let reason = if withdrawn == "NULL" { "NULL" } else { "'Fraud'" };
            let written = format!(
                "DELETE FROM accreditations WHERE authority_id = '{foreign}';
                 INSERT INTO accreditations VALUES ('{operator}', gen_random_uuid(), 'ORGANIZATION', '{operator}',
                    '{foreign}', 'BAC', 'C-2', '1998-01-01', NULL, '{state}', {granted}, {withdrawn}, {reason}, now(), 1)"
            );
            Works::run(world, written).await;
            let request = pb::IssueSafetyStopRequest { safety_stop: Some(stop(target())) };
            let done = tasks.issue_safety_stop(gate.sent("field", &foreign, request)).await;
            assert_eq!(done.is_ok(), may, "{state}");
            let stopped = works.stop(target()).await.unwrap();
            let done = tasks.lift_safety_stop(gate.sent("coordinator", &foreign, lift(&stopped))).await;
            assert_eq!(done.is_ok(), may, "{state}");
        }
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn work_is_not_found_good_nor_land_safe_under_a_stop() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let mut task = works.mobilised("T-1").await;
        for step in ["Start", "Complete", "Pass", "HandOver", "Close"] {
            if ["Pass", "HandOver", "Close"].contains(&step) {
                let target = if step == "HandOver" {
                    of_task(&task)
                } else {
                    Target::SiteId(works.site_ids[0].clone())
                };
                let stopped = works.stop(target).await.unwrap();
                task = works.get(&task.task_id).await;
                let barred = works.step(&task, step).await.unwrap_err();
                assert_eq!(reason(&barred).0, "SAFETY_STOPPED", "{step}");
                works.lift(&stopped).await.unwrap();
                task = works.get(&task.task_id).await;
            }
            task = works.step(&task, step).await.unwrap();
        }
        let other = works.walked("T-2", &["Plan", "Issue", "Accept"]).await;
        works.resume_site(world, &works.site_ids[0]).await;
        let mut other = works.step(&other, "Mobilise").await.unwrap();
        for step in ["Start", "Complete"] {
            other = works.step(&other, step).await.unwrap();
        }
        works.stop(of_task(&other)).await.unwrap();
        // That the work was bad may be said at any time.
        works.step(&works.get(&other.task_id).await, "Fail").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_history_tells_of_every_stop_and_its_end_wherever_the_task_stood() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let task = works.walked("T-1", &["Plan", "Issue", "Accept"]).await;
        let stopped = works.stop(Target::SiteId(works.site_ids[0].clone())).await.unwrap();
        works.lift(&stopped).await.unwrap();
        let request = pb::GetTaskHistoryRequest {
            program_id: task.program_id.clone(),
            task_id: task.task_id.clone(),
            ..pb::GetTaskHistoryRequest::default()
        };
        let changes = works.tasks.clone().get_task_history(request).await.unwrap().into_inner().changes;
        let last: Vec<_> = changes[4..]
            .iter()
            .map(|change| (change.method.as_str(), change.changed_fields.join(","), change.reason.as_str()))
            .collect();
        assert_eq!(
            last,
            [
                ("TaskService/IssueSafetyStop", "safety_stop_ids".to_owned(), "A deminer was hurt"),
                ("TaskService/LiftSafetyStop", "safety_stop_ids".to_owned(), "The cause was found"),
            ]
        );
        assert!(changes[4..].iter().all(|change| change.task.as_ref().unwrap().state() == task.state()));
    })
    .await;
}
