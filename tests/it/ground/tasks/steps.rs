//! Steps of tasks: the whole walk, what bars each, and lists.

use safelane::rpc::pb;
use safelane::rpc::pb::task_service_client::TaskServiceClient;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::{Works, assets, rule};
use crate::bad_input::{day, names};
use crate::desk::reason;
use crate::harness::{fresh_id, in_world};

/// Sends one step, through whatever puts a token on it.
macro_rules! send {
    ($client:ident, $sent:ident, $method:ident, $request:ident { $($field:ident: $value:expr),* }, $task:ident) => {{
        let request = pb::$request {
            request_id: fresh_id(),
            task_id: $task.task_id.clone(),
            expected_revision: $task.revision,
            $($field: $value,)*
        };
        $client.$method($sent.of(request)).await?.into_inner().task
    }};
}

/// Puts a message into a request.
pub(super) trait Sent {
    fn of<T>(&self, message: T) -> Request<T>;
}

/// Without a token.
pub(super) struct Plain;

impl Sent for Plain {
    fn of<T>(&self, message: T) -> Request<T> {
        Request::new(message)
    }
}

/// Takes a step, by the name of its method without `Task`. It brings what is good on 15 June 1998.
pub(super) async fn take(
    works: &Works,
    mut client: TaskServiceClient<Channel>,
    task: &pb::Task,
    name: &str,
    sent: &(impl Sent + Sync),
) -> Result<pb::Task, Status> {
    let reason = || "As agreed on the phone".to_owned();
    let after = match name {
        "Plan" => send!(client, sent, plan_task, PlanTaskRequest {}, task),
        "Issue" => {
            send!(
                client,
                sent,
                issue_task,
                IssueTaskRequest { order_reference: "D-1998-12".to_owned() },
                task
            )
        }
        "Accept" => send!(client, sent, accept_task, AcceptTaskRequest {}, task),
        "Mobilise" => {
            let medical_cover = Some(works.cover.clone());
            send!(client, sent, mobilise_task, MobiliseTaskRequest { medical_cover: medical_cover }, task)
        }
        "Start" => send!(client, sent, start_task, StartTaskRequest { medical_cover: None }, task),
        "Suspend" => {
            let cause = pb::SuspensionCause::Season.into();
            send!(client, sent, suspend_task, SuspendTaskRequest { cause: cause, reason: reason() }, task)
        }
        "Resume" => {
            let reason = reason();
            send!(client, sent, resume_task, ResumeTaskRequest { reason: reason, medical_cover: None }, task)
        }
        "Complete" => {
            let completion = Some(completion(12));
            send!(client, sent, complete_task, CompleteTaskRequest { completion: completion }, task)
        }
        "Pass" | "Fail" => {
            let control = Some(control(13, name == "Pass"));
            send!(
                client,
                sent,
                record_quality_control,
                RecordQualityControlRequest { quality_control: control },
                task
            )
        }
        "HandOver" => {
            let handed_over_on = Some(day(1998, 6, 14));
            send!(client, sent, hand_over_task, HandOverTaskRequest { handed_over_on: handed_over_on }, task)
        }
        "Close" => send!(client, sent, close_task, CloseTaskRequest {}, task),
        "Cancel" => send!(client, sent, cancel_task, CancelTaskRequest { reason: reason() }, task),
        other => panic!("no step {other}"),
    };
    Ok(after.expect("a task"))
}

/// Every step and the states in which it is allowed.
const STEPS: [(&str, &[&str]); 13] = [
    ("Plan", &["DRAFT"]),
    ("Issue", &["PLANNED"]),
    ("Accept", &["ISSUED"]),
    ("Mobilise", &["ACCEPTED"]),
    ("Start", &["MOBILISED", "QC_FAILED"]),
    ("Suspend", &["MOBILISED", "ACTIVE"]),
    ("Resume", &["SUSPENDED"]),
    ("Complete", &["ACTIVE"]),
    ("Pass", &["COMPLETED"]),
    ("Fail", &["COMPLETED"]),
    ("HandOver", &["QC_PASSED"]),
    ("Close", &["HANDED_OVER"]),
    ("Cancel", &["DRAFT", "PLANNED", "ISSUED", "ACCEPTED", "MOBILISED", "ACTIVE", "SUSPENDED"]),
];

fn completion(on: i32) -> pb::Completion {
    pb::Completion {
        completed_on: Some(day(1998, 6, on)),
        reference: "CR-12".to_owned(),
        not_done: "The bank of the stream, which is under water".to_owned(),
    }
}

fn control(on: i32, passed: bool) -> pb::QualityControl {
    pb::QualityControl {
        inspected_on: Some(day(1998, 6, on)),
        passed,
        reference: "QC-12".to_owned(),
        sampled_m2: 800,
        remarks: String::new(),
    }
}

fn state(task: &pb::Task) -> &'static str {
    task.state().as_str_name().trim_start_matches("TASK_STATE_")
}

#[tokio::test]
async fn a_task_walks_from_draft_to_closed_with_a_rest_and_a_rework_and_no_other_way() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let mut task = works.create(works.task("T-1")).await.unwrap();
        let walk = [
            "Plan", "Issue", "Accept", "Mobilise", "Suspend", "Resume", "Start", "Suspend", "Resume",
            "Complete", "Fail", "Start", "Complete", "Pass", "HandOver", "Close",
        ];
        for next in walk {
            for (step, allowed) in STEPS {
                if !allowed.contains(&state(&task)) {
                    let refused = works.step(&task, step).await.unwrap_err();
                    let (name, facts) = reason(&refused);
                    assert_eq!(
                        (name.as_str(), facts["state"].as_str()),
                        ("WRONG_STATE", state(&task)),
                        "{step}"
                    );
                    assert_eq!(facts["allowed"], allowed.join(","), "{step}");
                }
            }
            // Nothing of it was stored.
            assert_eq!(works.get(&task.task_id).await, task);
            if next == "Complete" && !task.quality_controls.is_empty() {
                // The rework is not done before the inspection that asked for it.
                let (task_id, expected_revision) = (task.task_id.clone(), task.revision);
                let completion = Some(completion(12));
                let request = pb::CompleteTaskRequest {
                    request_id: fresh_id(),
                    task_id,
                    expected_revision,
                    completion: completion.clone(),
                };
                names(works.tasks.clone().complete_task(request.clone()).await, &["completion.completed_on"]);
                let completion =
                    completion.map(|of| pb::Completion { completed_on: Some(day(1998, 6, 13)), ..of });
                let request = pb::CompleteTaskRequest { completion, ..request };
                task = works.tasks.clone().complete_task(request).await.unwrap().into_inner().task.unwrap();
                continue;
            }
            let before = task.revision;
            task = works.step(&task, next).await.unwrap_or_else(|refused| panic!("{next}: {refused}"));
            assert_eq!(task.revision, before + 1);
        }
        assert_eq!(state(&task), "CLOSED");
        for (step, _) in STEPS {
            assert_eq!(rule(works.step(&task, step).await), "WRONG_STATE", "{step}");
        }
        let passed: Vec<bool> = task.quality_controls.iter().map(|control| control.passed).collect();
        assert_eq!((passed, task.medical_cover.as_ref()), (vec![false, true], Some(&works.cover)));
        assert_eq!(task.handed_over_on, Some(day(1998, 6, 14)));
        assert_eq!(works.get(&task.task_id).await, task);
    })
    .await;
}

#[tokio::test]
async fn a_task_is_given_up_from_every_state_before_it_is_completed() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let path = ["Plan", "Issue", "Accept", "Mobilise", "Start", "Suspend"];
        for length in 0..=path.len() {
            let task = works.walked(&format!("T-{length}"), &path[..length]).await;
            let cancelled = works.step(&task, "Cancel").await.unwrap();
            assert_eq!((state(&cancelled), cancelled.suspension_cause), ("CANCELLED", 0));
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_mobilises_without_medical_cover_and_all_that_it_lacks_is_told() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let task = works.walked("T-1", &["Plan", "Issue", "Accept"]).await;
        let ask = |cover: Option<pb::MedicalCover>| pb::MobiliseTaskRequest {
            request_id: fresh_id(),
            task_id: task.task_id.clone(),
            expected_revision: task.revision,
            medical_cover: cover,
        };
        let mut tasks = works.tasks.clone();
        let strangers = pb::MedicalCover {
            paramedic_id: fresh_id(),
            ambulance_id: fresh_id(),
            drill_on: None,
            ..works.cover.clone()
        };
        let refused = tasks.mobilise_task(ask(Some(strangers))).await.unwrap_err();
        assert_eq!(reason(&refused).0, "NOT_READY");
        for lacks in ["is not a paramedic", "is not one of the operator", "drill_on is missing"] {
            assert!(refused.message().contains(lacks), "{lacks}: {}", refused.message());
        }
        let early = pb::MedicalCover { drill_on: Some(day(1998, 6, 16)), ..works.cover.clone() };
        let refused = tasks.mobilise_task(ask(Some(early.clone()))).await.unwrap_err();
        assert!(refused.message().contains("1998-06-16 is after 1998-06-15"), "{}", refused.message());
        names(tasks.mobilise_task(ask(None)).await, &["medical_cover"]);
        let far =
            pb::MedicalCover { hospital: String::new(), evacuation_minutes: 1_441, ..works.cover.clone() };
        let fields = ["medical_cover.hospital", "medical_cover.evacuation_minutes"];
        names(tasks.mobilise_task(ask(Some(far))).await, &fields);
        // The day is that of the site: in Harare it is the sixteenth.
        world.clock.set("1998-06-15T22:30:00Z");
        let mobilised = tasks.mobilise_task(ask(Some(early))).await.unwrap().into_inner().task.unwrap();
        assert_eq!(state(&mobilised), "MOBILISED");
    })
    .await;
}

#[tokio::test]
async fn work_begins_and_goes_on_only_under_medical_cover_that_is_fit_that_day() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let mut task = works.mobilised("T-1").await;
        let mut tasks = works.tasks.clone();
        let broken =
            |asset: &str| format!("UPDATE assets SET state = 'WITHDRAWN' WHERE asset_id = '{asset}'");
        let unfit = |refused: Result<pb::Task, Status>| {
            let refused = refused.expect_err("it is refused");
            assert_eq!(reason(&refused).0, "NOT_READY", "{refused}");
            assert!(refused.message().contains("is WITHDRAWN"), "{}", refused.message());
        };
        Works::run(world, broken(&works.cover.ambulance_id)).await;
        unfit(works.step(&task, "Start").await);
        let spare = assets::registered(world, assets::ambulance(&works.desk.operator_id, "AMB-2", 3)).await;
        let other = pb::MedicalCover { ambulance_id: spare.asset_id, ..works.cover.clone() };
        let request = pb::StartTaskRequest {
            request_id: fresh_id(),
            task_id: task.task_id.clone(),
            expected_revision: task.revision,
            medical_cover: Some(other.clone()),
        };
        task = tasks.start_task(request).await.unwrap().into_inner().task.unwrap();
        assert_eq!((state(&task), task.medical_cover.as_ref()), ("ACTIVE", Some(&other)));
        task = works.step(&task, "Suspend").await.unwrap();
        Works::run(world, broken(&other.ambulance_id)).await;
        unfit(works.step(&task, "Resume").await);
        Works::run(world, "UPDATE assets SET state = 'IN_USE'".to_owned()).await;
        let far = pb::MedicalCover { hospital: String::new(), ..other };
        let mut request = pb::ResumeTaskRequest {
            request_id: fresh_id(),
            task_id: task.task_id.clone(),
            expected_revision: task.revision,
            reason: "The ambulance is back".to_owned(),
            medical_cover: Some(far),
        };
        names(tasks.resume_task(request.clone()).await, &["medical_cover.hospital"]);
        request.medical_cover = None;
        task = tasks.resume_task(request).await.unwrap().into_inner().task.unwrap();
        assert_eq!(state(&task), "ACTIVE");
    })
    .await;
}

#[tokio::test]
async fn days_are_not_in_the_future_and_in_order() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let mut tasks = works.tasks.clone();
        let active = works.walked("T-1", &["Plan", "Issue", "Accept", "Mobilise", "Start"]).await;
        let request = pb::CompleteTaskRequest {
            request_id: fresh_id(),
            task_id: active.task_id.clone(),
            expected_revision: active.revision,
            completion: Some(completion(16)),
        };
        names(tasks.complete_task(request).await, &["completion.completed_on"]);
        let done = works.step(&active, "Complete").await.unwrap();
        for bad in [11, 16] {
            let request = pb::RecordQualityControlRequest {
                request_id: fresh_id(),
                task_id: done.task_id.clone(),
                expected_revision: done.revision,
                quality_control: Some(control(bad, true)),
            };
            names(tasks.record_quality_control(request).await, &["quality_control.inspected_on"]);
        }
        let passed = works.step(&done, "Pass").await.unwrap();
        for bad in [12, 16] {
            let request = pb::HandOverTaskRequest {
                request_id: fresh_id(),
                task_id: passed.task_id.clone(),
                expected_revision: passed.revision,
                handed_over_on: Some(day(1998, 6, bad)),
            };
            names(tasks.hand_over_task(request).await, &["handed_over_on"]);
        }
        assert_eq!(works.get(&passed.task_id).await, passed);
    })
    .await;
}

#[tokio::test]
async fn what_a_step_brings_is_checked_and_a_retry_changes_nothing() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let mut tasks = works.tasks.clone();
        let task = works.mobilised("T-1").await;
        let suspend = |cause: pb::SuspensionCause, text: &str| pb::SuspendTaskRequest {
            request_id: fresh_id(),
            task_id: task.task_id.clone(),
            expected_revision: task.revision,
            cause: cause.into(),
            reason: text.to_owned(),
        };
        let stop = suspend(pb::SuspensionCause::SafetyStop, " ");
        names(tasks.suspend_task(stop).await, &["reason", "cause"]);
        let season = suspend(pb::SuspensionCause::Season, "Rain");
        let first = tasks.suspend_task(season.clone()).await.unwrap().into_inner();
        assert_eq!(tasks.suspend_task(season.clone()).await.unwrap().into_inner(), first);
        let other = pb::SuspendTaskRequest { reason: "More rain".to_owned(), ..season };
        let taken = tasks.suspend_task(other).await.unwrap_err();
        assert_eq!((reason(&taken).0.as_str(), reason(&taken).1["differs"].as_str()), ("ID_TAKEN", "reason"));
        let order = pb::IssueTaskRequest { task_id: task.task_id.clone(), ..pb::IssueTaskRequest::default() };
        names(tasks.issue_task(order).await, &["request_id", "order_reference"]);
    })
    .await;
}

#[tokio::test]
async fn tasks_are_listed_by_code_in_pages() {
    in_world(async |world| {
        let works = Works::open(world).await;
        for code in ["B-2", "A-1", "B-1", "C-1"] {
            works.create(works.task(code)).await.unwrap();
        }
        let planned = works.walked("B-3", &["Plan"]).await;
        let mut tasks = works.tasks.clone();
        let ask = pb::ListTasksRequest {
            program_id: works.desk.program_id.clone(),
            page_size: 2,
            ..pb::ListTasksRequest::default()
        };
        let (mut codes, mut token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListTasksRequest { page_token: token, ..ask.clone() };
            let page = tasks.list_tasks(request).await.unwrap().into_inner();
            codes.extend(page.tasks.into_iter().map(|task| task.code));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(codes, ["A-1", "B-1", "B-2", "B-3", "C-1"]);
        let mut found = async |request: pb::ListTasksRequest| -> Vec<String> {
            let page = tasks.list_tasks(request).await.unwrap().into_inner();
            page.tasks.into_iter().map(|task| task.code).collect()
        };
        let some = pb::ListTasksRequest { page_size: 0, code_prefix: "B-".to_owned(), ..ask.clone() };
        assert_eq!(found(some.clone()).await, ["B-1", "B-2", "B-3"]);
        let state = pb::TaskState::Planned.into();
        assert_eq!(found(pb::ListTasksRequest { state, ..some.clone() }).await, ["B-3"]);
        let operator_id = works.desk.operator_id.clone();
        let program_id = String::new();
        let by_operator =
            pb::ListTasksRequest { operator_id, program_id: program_id.clone(), ..some.clone() };
        assert_eq!(found(by_operator).await.len(), 3);
        let by_site = pb::ListTasksRequest { site_id: works.site_ids[1].clone(), program_id, ..some.clone() };
        assert_eq!(found(by_site).await.len(), 3);
        let elsewhere = pb::ListTasksRequest { site_id: fresh_id(), ..some };
        assert_eq!(found(elsewhere).await, Vec::<String>::new());
        let all = pb::ListTasksRequest { min_revision: planned.revision, ..pb::ListTasksRequest::default() };
        names(works.tasks.clone().list_tasks(all).await, &["program_id", "min_revision"]);
        let other = pb::ListTasksRequest { page_token: "x".to_owned(), ..ask };
        assert_eq!(reason(&works.tasks.clone().list_tasks(other).await.unwrap_err()).0, "PAGE_TOKEN_INVALID");
    })
    .await;
}
