//! Safety stops: what they halt, who hears of them, who may issue and lift them, and that nothing slips through.

mod reach;

use prost::Message as _;
use safelane::domain::ids::ScopeId;
use safelane::rpc::pb;
use safelane::rpc::pb::changed_record::Record;
use safelane::rpc::pb::list_safety_stops_request::Of;
use safelane::rpc::pb::safety_stop::Target;
use safelane::store::journal::{EventKind, list_events};
use sqlx::Connection as _;
use tonic::{Code, Status};

use super::tasks::{Works, rule};
use crate::bad_input::names;
use crate::desk::reason;
use crate::gate::Gate;
use crate::harness::{World, fresh_id, in_world};

fn stop(target: Target) -> pb::SafetyStop {
    pb::SafetyStop {
        safety_stop_id: fresh_id(),
        target: Some(target),
        cause: pb::SafetyStopCause::Accident.into(),
        reason: "A deminer was hurt".to_owned(),
        ..pb::SafetyStop::default()
    }
}

fn of_task(task: &pb::Task) -> Target {
    Target::Task(pb::StoppedTask { program_id: task.program_id.clone(), task_id: task.task_id.clone() })
}

impl Works {
    pub(super) async fn stop(&self, target: Target) -> Result<pb::SafetyStop, Status> {
        let request = pb::IssueSafetyStopRequest { safety_stop: Some(stop(target)) };
        Ok(self.tasks.clone().issue_safety_stop(request).await?.into_inner().safety_stop.unwrap())
    }

    pub(super) async fn lift(&self, stop: &pb::SafetyStop) -> Result<pb::SafetyStop, Status> {
        let request = lift(stop);
        Ok(self.tasks.clone().lift_safety_stop(request).await?.into_inner().safety_stop.unwrap())
    }

    pub(super) async fn site(&self, world: &World, site_id: &str) -> pb::Site {
        let get = pb::GetSiteRequest { site_id: site_id.to_owned(), min_revision: 0 };
        world.sites().get_site(get).await.unwrap().into_inner().site.unwrap()
    }

    pub(super) async fn resume_site(&self, world: &World, site_id: &str) {
        let site = self.site(world, site_id).await;
        let request = pb::ResumeSiteRequest {
            request_id: fresh_id(),
            site_id: site.site_id,
            expected_revision: site.revision,
            reason: "The stop was lifted".to_owned(),
        };
        world.sites().resume_site(request).await.expect("it is open again");
    }

    async fn stops(&self, of: Of, in_force_only: bool) -> Vec<String> {
        let of = Some(of);
        let request =
            pb::ListSafetyStopsRequest { of, in_force_only, ..pb::ListSafetyStopsRequest::default() };
        let page = self.tasks.clone().list_safety_stops(request).await.unwrap().into_inner();
        page.safety_stops.into_iter().map(|stop| stop.safety_stop_id).collect()
    }
}

fn lift(stop: &pb::SafetyStop) -> pb::LiftSafetyStopRequest {
    pb::LiftSafetyStopRequest {
        request_id: fresh_id(),
        safety_stop_id: stop.safety_stop_id.clone(),
        reason: "The cause was found".to_owned(),
        expected_revision: stop.revision,
    }
}

/// The kinds of records of the last change in a journal, in order.
async fn last_change(world: &World, scope: &str) -> Vec<&'static str> {
    let mut conn = world.database.connect().await;
    let scope = ScopeId::new(scope.parse().unwrap());
    let events = list_events(&mut conn, scope, 0, 1_000).await.unwrap();
    conn.close().await.unwrap();
    let event = events.last().unwrap();
    assert_eq!(event.kind, EventKind::Changed);
    let change = pb::Change::decode(event.payload.clone()).unwrap();
    let kind = |record: Option<Record>| match record.unwrap() {
        Record::SafetyStop(_) => "stop",
        Record::Task(_) => "task",
        Record::Site(_) => "site",
        _ => "other",
    };
    change.records.into_iter().map(|record| kind(record.record)).collect()
}

/// A site that a stop suspended stays so after it: its authority resumes it, and the work only then.
async fn stays_suspended(world: &World, works: &Works, task_id: &str) {
    let site = works.site(world, &works.site_ids[1]).await;
    assert_eq!(
        (site.status(), site.suspension_cause()),
        (pb::SiteStatus::Suspended, pb::SuspensionCause::SafetyStop)
    );
    let refused = works.step(&works.get(task_id).await, "Resume").await.unwrap_err();
    assert_eq!(reason(&refused).0, "NOT_READY");
    assert!(refused.message().contains(&format!("site {} is SUSPENDED", site.site_id)), "{refused}");
    works.resume_site(world, &site.site_id).await;
}

#[tokio::test]
async fn a_stop_halts_all_that_it_concerns_at_once_and_stands_first_in_every_journal() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let (program, operator) = (works.desk.program_id.clone(), works.desk.operator_id.clone());
        let (authority, site) = (works.authority_id.clone(), works.site_ids[1].clone());
        let waiting = works.walked("T-0", &["Plan", "Issue", "Accept"]).await;
        let resting = works.walked("T-1", &["Plan", "Issue", "Accept", "Mobilise", "Suspend"]).await;
        let targets = [
            ("task", None, vec![&program, &operator]),
            ("site", Some(Target::SiteId(site.clone())), vec![&authority, &program, &operator]),
            ("operator", Some(Target::OperatorId(operator.clone())), vec![&operator, &program]),
        ];
        for (name, target, journals) in targets {
            let ready = works.mobilised(&format!("{}-R", name.to_uppercase())).await;
            let mut active = works.mobilised(&format!("{}-A", name.to_uppercase())).await;
            active = works.step(&active, "Start").await.unwrap();
            let stopped = works.stop(target.clone().unwrap_or_else(|| of_task(&active))).await.unwrap();
            let mut halted = vec![active.task_id.clone()];
            if name != "task" {
                halted.insert(0, ready.task_id.clone());
            }
            halted.sort();
            assert_eq!(stopped.suspended_task_ids, halted, "{name}");
            for (task, before) in [(&ready, pb::TaskState::Mobilised), (&active, pb::TaskState::Active)] {
                let now = works.get(&task.task_id).await;
                if !halted.contains(&task.task_id) {
                    assert_eq!(&now, task);
                    continue;
                }
                assert_eq!(
                    (now.state(), now.suspension_cause()),
                    (pb::TaskState::Suspended, pb::SuspensionCause::SafetyStop)
                );
                assert_eq!(now.safety_stop_ids, [stopped.safety_stop_id.as_str()]);
                let refused = works.step(&now, "Resume").await.unwrap_err();
                assert_eq!(
                    (reason(&refused).0.as_str(), &reason(&refused).1["safety_stop_id"]),
                    ("SAFETY_STOPPED", &stopped.safety_stop_id)
                );
                assert_eq!(before == pb::TaskState::Active, task == &active);
            }
            for (journal, first) in journals.iter().zip([true, false, false]) {
                let records = last_change(world, journal).await;
                assert_eq!(records[0], "stop", "{name}");
                assert_eq!(records.iter().filter(|kind| **kind == "stop").count(), 1, "{name}");
                let tasks = records.iter().filter(|kind| **kind == "task").count();
                let of_authority = *journal == &authority;
                // The one that rests and the one that waits as well: a stop of more than one task concerns them.
                let concerned = if name == "task" { 1 } else { 4 };
                assert_eq!(tasks, if of_authority { 0 } else { concerned }, "{name} {first}");
                let sites = records.iter().filter(|kind| **kind == "site").count();
                assert_eq!(sites, usize::from(name == "site" && *journal != &program), "{name}");
            }
            // What stood still for another cause, and what had not begun, is barred as well.
            if name != "task" {
                let rests = works.get(&resting.task_id).await;
                assert_eq!(rests.suspension_cause(), pb::SuspensionCause::Season);
                assert_eq!(rule(works.step(&rests, "Resume").await), "SAFETY_STOPPED");
                let waits = works.get(&waiting.task_id).await;
                assert_eq!(rule(works.step(&waits, "Mobilise").await), "SAFETY_STOPPED");
            }
            let lifted = works.lift(&stopped).await.unwrap();
            assert_eq!(lifted.lifted_by, "local-admin");
            assert_eq!(rule(works.lift(&lifted).await.map(|_| pb::Task::default())), "WRONG_STATE");
            for journal in journals {
                let tasks = if *journal == authority {
                    0
                } else if name == "task" {
                    1
                } else {
                    4
                };
                let records = last_change(world, journal).await;
                assert_eq!(records, [vec!["stop"], vec!["task"; tasks]].concat(), "{name}");
            }
            if name == "site" {
                Box::pin(stays_suspended(world, &works, &active.task_id)).await;
            }
            // Nothing resumes by itself, and each goes back to where it was.
            let now = works.get(&active.task_id).await;
            assert_eq!((now.state(), now.safety_stop_ids.len()), (pb::TaskState::Suspended, 0));
            assert_eq!(works.step(&now, "Resume").await.unwrap().state(), pb::TaskState::Active);
            if name != "task" {
                let now = works.get(&ready.task_id).await;
                assert_eq!(works.step(&now, "Resume").await.unwrap().state(), pb::TaskState::Mobilised);
            }
            for task in [ready, active] {
                let now = works.get(&task.task_id).await;
                works.step(&now, "Cancel").await.unwrap();
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_operator_that_gets_an_order_under_a_stop_is_told_of_it_before_the_order() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let planned = works.walked("T-1", &["Plan"]).await;
        let stopped = works.stop(Target::SiteId(works.site_ids[0].clone())).await.unwrap();
        let issued = works.issue(&planned).await.unwrap();
        assert_eq!(issued.safety_stop_ids, [stopped.safety_stop_id.as_str()]);
        for journal in [&works.desk.program_id, &works.desk.operator_id] {
            assert_eq!(last_change(world, journal).await, ["stop", "task"]);
        }
        // Whoever was told hears of the end, even when nothing of it is concerned any more.
        works.step(&issued, "Cancel").await.unwrap();
        works.lift(&stopped).await.unwrap();
        for journal in [&works.desk.program_id, &works.desk.operator_id, &works.authority_id] {
            assert_eq!(last_change(world, journal).await, ["stop"]);
        }
    })
    .await;
}

#[tokio::test]
async fn stops_are_issued_once_listed_and_read_back() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let mut tasks = works.tasks.clone();
        let task = works.mobilised("T-1").await;
        let request = pb::IssueSafetyStopRequest { safety_stop: Some(stop(of_task(&task))) };
        let first = tasks.issue_safety_stop(request.clone()).await.unwrap().into_inner();
        assert_eq!(tasks.issue_safety_stop(request.clone()).await.unwrap().into_inner(), first);
        let mut other = request.clone();
        other.safety_stop.as_mut().unwrap().reason = "Another".to_owned();
        let taken = tasks.issue_safety_stop(other).await.unwrap_err();
        assert_eq!(
            (taken.code(), reason(&taken).1["differs"].as_str()),
            (Code::AlreadyExists, "safety_stop.reason")
        );
        let mut elsewhere = request;
        elsewhere.safety_stop.as_mut().unwrap().target = Some(Target::SiteId(works.site_ids[0].clone()));
        let taken = tasks.issue_safety_stop(elsewhere).await.unwrap_err();
        assert_eq!(
            (taken.code(), reason(&taken).1["differs"].as_str()),
            (Code::AlreadyExists, "safety_stop.target")
        );
        let first = first.safety_stop.unwrap();
        world.clock.set("1998-06-15T12:00:01Z");
        let second = works.stop(Target::SiteId(works.site_ids[0].clone())).await.unwrap();
        world.clock.set("1998-06-15T12:00:02Z");
        let third = works.stop(Target::OperatorId(works.desk.operator_id.clone())).await.unwrap();
        let [one, two, three] = [&first, &second, &third].map(|stop| stop.safety_stop_id.clone());
        let of_task = || Of::TaskId(task.task_id.clone());
        let all = [three.clone(), two.clone(), one.clone()];
        assert_eq!(works.stops(of_task(), false).await, all);
        assert_eq!(works.stops(Of::ProgramId(works.desk.program_id.clone()), true).await, all);
        assert_eq!(works.stops(Of::OperatorId(works.desk.operator_id.clone()), true).await, all);
        assert_eq!(
            works.stops(Of::SiteId(works.site_ids[0].clone()), true).await,
            std::slice::from_ref(&two)
        );
        assert_eq!(works.get(&task.task_id).await.safety_stop_ids, [one.clone(), two, three.clone()]);
        works.lift(&second).await.unwrap();
        assert_eq!(works.stops(of_task(), true).await, [three.clone(), one.clone()]);
        let (mut pages, mut page_token) = (Vec::new(), String::new());
        for _ in 0..3 {
            let of = Some(of_task());
            let request = pb::ListSafetyStopsRequest { of, page_size: 1, page_token, ..Default::default() };
            let page = tasks.list_safety_stops(request).await.unwrap().into_inner();
            pages.extend(page.safety_stops.into_iter().map(|stop| stop.safety_stop_id));
            page_token = page.next_page_token;
        }
        assert_eq!((pages.as_slice(), page_token.as_str()), (&all[..], ""));
        let nothing = pb::SafetyStop { cause: 9, ..pb::SafetyStop::default() };
        let request = pb::IssueSafetyStopRequest { safety_stop: Some(nothing) };
        let fields =
            ["safety_stop.safety_stop_id", "safety_stop.target", "safety_stop.cause", "safety_stop.reason"];
        names(tasks.issue_safety_stop(request).await, &fields);
        names(tasks.list_safety_stops(pb::ListSafetyStopsRequest::default()).await, &["of"]);
        for target in [Target::SiteId(fresh_id()), Target::OperatorId(fresh_id())] {
            assert_eq!(works.stop(target).await.unwrap_err().code(), Code::NotFound);
        }
        let mixed = pb::StoppedTask { program_id: fresh_id(), task_id: task.task_id };
        assert_eq!(works.stop(Target::Task(mixed)).await.unwrap_err().code(), Code::NotFound);
        let stale = works.lift(&pb::SafetyStop { revision: 1, ..first }).await.unwrap_err();
        assert_eq!((stale.code(), reason(&stale).0.as_str()), (Code::Aborted, "STALE_REVISION"));
    })
    .await;
}

#[tokio::test]
async fn anybody_on_the_ground_may_stop_work_and_few_may_let_it_go_on() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let gate = Gate::open(world).await;
        let mut tasks = gate.server.tasks();
        let task = works.mobilised("T-1").await;
        let (office, operator) = (works.desk.office_id.clone(), works.desk.operator_id.clone());
        let (authority, stranger) = (works.authority_id.clone(), fresh_id());
        let targets = [
            ("task", of_task(&task)),
            ("site", Target::SiteId(works.site_ids[0].clone())),
            ("operator", Target::OperatorId(operator.clone())),
        ];
        for (name, target) in targets {
            for (role, organization, issues, lifts) in [
                ("field", &operator, Code::Ok, Code::PermissionDenied),
                (
                    "coordinator",
                    &operator,
                    Code::Ok,
                    if name == "operator" { Code::Ok } else { Code::PermissionDenied },
                ),
                ("field", &office, Code::Ok, Code::PermissionDenied),
                ("coordinator", &office, Code::Ok, Code::Ok),
                ("field", &authority, Code::Ok, Code::PermissionDenied),
                ("coordinator", &authority, Code::Ok, Code::Ok),
                ("admin", &stranger, Code::Ok, Code::Ok),
                ("coordinator", &stranger, Code::NotFound, Code::NotFound),
                ("field", &stranger, Code::NotFound, Code::PermissionDenied),
                ("funder", &works.desk.funder_id, Code::PermissionDenied, Code::PermissionDenied),
                ("auditor", &stranger, Code::PermissionDenied, Code::PermissionDenied),
            ] {
                let request = pb::IssueSafetyStopRequest { safety_stop: Some(stop(target.clone())) };
                let done = tasks.issue_safety_stop(gate.sent(role, organization, request)).await;
                let code = done.as_ref().map_or_else(Status::code, |_| Code::Ok);
                assert_eq!(code, issues, "{name} by {role}");
                let stopped = match done {
                    Ok(done) => done.into_inner().safety_stop.unwrap(),
                    Err(_) => works.stop(target.clone()).await.unwrap(),
                };
                let request = gate.sent(role, organization, lift(&stopped));
                let code =
                    tasks.lift_safety_stop(request).await.map_or_else(|refused| refused.code(), |_| Code::Ok);
                assert_eq!(code, lifts, "{name} lifted by {role}");
                if lifts == Code::Ok && organization != &operator {
                    // What others stopped the operator does not let go on.
                    let again = pb::IssueSafetyStopRequest { safety_stop: Some(stop(target.clone())) };
                    let again = tasks.issue_safety_stop(gate.sent(role, organization, again)).await;
                    let again = again.unwrap().into_inner().safety_stop.unwrap();
                    let request = gate.sent("coordinator", &operator, lift(&again));
                    let refused = tasks.lift_safety_stop(request).await.unwrap_err();
                    assert_eq!(refused.code(), Code::PermissionDenied, "{name} by {role}");
                }
            }
        }
        // Lists are for those who see what they are about, and never for funders.
        for (of, role, organization, code) in [
            (Of::SiteId(works.site_ids[0].clone()), "field", &operator, Code::Ok),
            (Of::SiteId(works.site_ids[0].clone()), "coordinator", &stranger, Code::NotFound),
            (Of::TaskId(task.task_id.clone()), "field", &operator, Code::Ok),
            (Of::TaskId(task.task_id.clone()), "field", &stranger, Code::NotFound),
            (Of::ProgramId(works.desk.program_id.clone()), "field", &operator, Code::NotFound),
            (Of::OperatorId(operator.clone()), "auditor", &stranger, Code::Ok),
            (Of::OperatorId(operator.clone()), "field", &stranger, Code::NotFound),
            (
                Of::ProgramId(works.desk.program_id.clone()),
                "funder",
                &works.desk.funder_id,
                Code::PermissionDenied,
            ),
        ] {
            let of = Some(of);
            let request = pb::ListSafetyStopsRequest { of, ..pb::ListSafetyStopsRequest::default() };
            let done = tasks.list_safety_stops(gate.sent(role, organization, request)).await;
            assert_eq!(done.map_or_else(|refused| refused.code(), |_| Code::Ok), code, "{role}");
        }
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn after_a_stop_is_answered_no_start_succeeds() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let mut first = 0;
        for round in 0..100 {
            let again = ["Plan", "Issue", "Accept", "Mobilise", "Start", "Complete", "Fail"];
            first += i32::from(
                race(world, &works, round, &again[..if round % 2 == 1 { 7 } else { 4 }], "Start").await,
            );
        }
        assert!(0 < first && first < 100, "{first} of 100 starts came first: it was no race");
    })
    .await;
}

#[tokio::test]
async fn after_a_stop_is_answered_nothing_is_mobilised_or_resumed_and_every_order_tells_of_it() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let path = ["Plan", "Issue", "Accept", "Mobilise", "Suspend"];
        for round in 0..24 {
            let (before, step) = [(1, "Issue"), (3, "Mobilise"), (5, "Resume")][round % 3];
            race(world, &works, round / 3, &path[..before], step).await;
        }
    })
    .await;
}

/// Takes a step and stops work at once. Whichever comes first, nothing is at work under the stop. Says whether the step
/// was taken.
async fn race(world: &World, works: &Works, round: usize, path: &[&str], step: &str) -> bool {
    let task = works.walked(&format!("{}-{round}", step.to_uppercase()), path).await;
    let target = match round % 3 {
        0 => of_task(&task),
        1 => Target::SiteId(works.site_ids[0].clone()),
        _ => Target::OperatorId(works.desk.operator_id.clone()),
    };
    // Either may come first.
    let (taken, stopped) = if round % 4 < 2 {
        tokio::join!(works.step(&task, step), works.stop(target))
    } else {
        let (stopped, taken) = tokio::join!(works.stop(target), works.step(&task, step));
        (taken, stopped)
    };
    let stopped = stopped.unwrap();
    let now = works.get(&task.task_id).await;
    assert_eq!(now.safety_stop_ids, [stopped.safety_stop_id.as_str()], "round {round}");
    let at_work = [pb::TaskState::Mobilised, pb::TaskState::Active].contains(&now.state());
    assert!(!at_work, "round {round}: it is {:?} under a stop", now.state());
    if let Err(refused) = &taken {
        let refused = (refused.code(), reason(refused).0);
        let known = ["SAFETY_STOPPED", "STALE_REVISION"].contains(&refused.1.as_str());
        assert!(known, "round {round}: {refused:?}");
    }
    if step == "Issue" {
        // The operator was told, by the order or by the stop.
        let of_operator = works.stops(Of::OperatorId(works.desk.operator_id.clone()), true).await;
        assert_eq!(
            of_operator.contains(&stopped.safety_stop_id),
            taken.is_ok() || round % 3 == 2,
            "round {round}"
        );
    } else {
        let again = if now.state() == pb::TaskState::Suspended { "Resume" } else { step };
        assert_eq!(rule(works.step(&now, again).await), "SAFETY_STOPPED", "round {round}");
    }
    works.lift(&stopped).await.unwrap();
    if round % 3 == 1 {
        works.resume_site(world, &works.site_ids[0]).await;
    }
    let now = works.get(&task.task_id).await;
    if now.state() != pb::TaskState::QcFailed {
        works.step(&now, "Cancel").await.unwrap();
    }
    taken.is_ok()
}
