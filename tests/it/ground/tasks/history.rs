//! The history of a task.

use safelane::rpc::pb;
use tonic::Code;

use super::Works;
use crate::bad_input::names;
use crate::gate::Gate;
use crate::harness::{fresh_id, in_world};

fn ask(works: &Works, task: &pb::Task) -> pb::GetTaskHistoryRequest {
    pb::GetTaskHistoryRequest {
        program_id: works.desk.program_id.clone(),
        task_id: task.task_id.clone(),
        ..pb::GetTaskHistoryRequest::default()
    }
}

#[tokio::test]
async fn every_edit_and_every_step_is_in_the_history_with_what_it_changed() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let draft = works.create(works.task("T-1")).await.unwrap();
        let new = pb::Task { depth_cm: 20, title: "Clear the field".to_owned(), ..draft.clone() };
        let edited = works.update(&new, &["depth_cm", "title"]).await.unwrap();
        let planned = works.plan(&edited).await.unwrap();
        // Another task in the same journal is not in it.
        works.create(works.task("T-2")).await.unwrap();
        let mut task = works.issue(&planned).await.unwrap();
        for step in ["Accept", "Mobilise", "Suspend", "Resume", "Start", "Complete"] {
            task = works.step(&task, step).await.unwrap();
        }
        let mut tasks = works.tasks.clone();
        let whole = tasks.get_task_history(ask(&works, &task)).await.unwrap().into_inner();
        let told: Vec<String> = whole
            .changes
            .iter()
            .map(|change| {
                let method = change.method.trim_start_matches("TaskService/");
                format!("{method} {} {}", change.changed_fields.join(","), change.reason).trim().to_owned()
            })
            .collect();
        assert_eq!(
            told,
            [
                "CreateTask",
                "UpdateTask title,depth_cm",
                "PlanTask state",
                "IssueTask state,order_reference",
                "AcceptTask state",
                "MobiliseTask state,medical_cover",
                "SuspendTask state,suspension_cause As agreed on the phone",
                "ResumeTask state,suspension_cause As agreed on the phone",
                "StartTask state",
                "CompleteTask state,completion",
            ]
        );
        assert!(whole.changes.iter().all(|change| change.recorded_by == "local-admin"));
        assert_eq!(whole.changes[0].task.as_ref(), Some(&draft));
        assert_eq!(whole.changes.last().unwrap().task.as_ref(), Some(&task));
        assert!(whole.changes.iter().all(|change| change.revision == change.task.as_ref().unwrap().revision));
        // In pages it is the same, changed fields included.
        let (mut changes, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::GetTaskHistoryRequest { page_size: 3, page_token, ..ask(&works, &task) };
            let page = tasks.get_task_history(request).await.unwrap().into_inner();
            changes.extend(page.changes);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(changes, whole.changes);
        let elsewhere = pb::GetTaskHistoryRequest { program_id: fresh_id(), ..ask(&works, &task) };
        assert_eq!(tasks.get_task_history(elsewhere).await.unwrap_err().code(), Code::NotFound);
        names(tasks.get_task_history(pb::GetTaskHistoryRequest::default()).await, &["program_id", "task_id"]);
    })
    .await;
}

#[tokio::test]
async fn an_operator_reads_from_the_order_on_and_a_funder_no_persons() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let gate = Gate::open(world).await;
        let path = ["Plan", "Issue", "Accept", "Mobilise", "Start", "Complete", "Fail"];
        let task = works.walked("T-1", &path).await;
        let read = async |role: &str, organization: &str| {
            let request = gate.sent(role, organization, ask(&works, &task));
            let answer = gate.server.tasks().get_task_history(request).await.unwrap().into_inner();
            answer.changes
        };
        let office = read("coordinator", &works.desk.office_id).await;
        assert_eq!(office.len(), 8);
        for (role, organization) in [("field", &works.desk.operator_id), ("coordinator", &works.authority_id)]
        {
            let seen = read(role, organization).await;
            assert_eq!((seen.len(), seen[0].method.as_str()), (6, "TaskService/IssueTask"), "{role}");
            assert_eq!(seen[1..], office[3..], "{role}");
        }
        let funder = read("funder", &works.desk.funder_id).await;
        let last = |changes: &[pb::TaskChange]| changes.last().unwrap().task.clone().unwrap();
        let texts = |task: pb::Task| {
            let (cover, done) = (task.medical_cover.unwrap(), task.completion.unwrap());
            let remarks = task.quality_controls[0].remarks.clone();
            [cover.paramedic_id, cover.hospital, task.instructions, done.not_done, remarks]
        };
        assert!(texts(last(&office)).iter().all(|text| !text.is_empty()));
        let get = pb::GetTaskRequest { task_id: task.task_id.clone(), min_revision: 0 };
        let got = gate.sent("funder", &works.desk.funder_id, get);
        let got = gate.server.tasks().get_task(got).await.unwrap().into_inner().task.unwrap();
        for seen in [last(&funder), got] {
            assert_eq!((seen.state(), texts(seen)), (task.state(), [const { String::new() }; 5]));
        }
        assert_eq!(funder.len(), office.len());
        assert!(funder.iter().all(|change| change.recorded_by.is_empty() && change.reason.is_empty()));
        gate.server.finish().await;
    })
    .await;
}
