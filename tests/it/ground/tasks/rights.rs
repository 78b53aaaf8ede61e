//! Who sees a task, and who may do what with it.

use safelane::rpc::pb;
use tonic::{Code, Request};

use super::steps::{Sent, take};
use super::{Works, update};
use crate::gate::Gate;
use crate::harness::{fresh_id, in_world};

/// A role in an organization.
struct As<'g>(&'g Gate, &'g str, &'g str);

impl Sent for As<'_> {
    fn of<T>(&self, message: T) -> Request<T> {
        self.0.sent(self.1, self.2, message)
    }
}

#[tokio::test]
async fn each_step_is_taken_by_its_side_only() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let gate = Gate::open(world).await;
        let (office, operator) = (works.desk.office_id.clone(), works.desk.operator_id.clone());
        let mut task = works.create(works.task("T-1")).await.unwrap();
        let walk = [
            ("Plan", "office"),
            ("Issue", "office"),
            ("Accept", "operator"),
            ("Mobilise", "operator"),
            ("Start", "operator"),
            ("Suspend", "both"),
            ("Resume", "both"),
            ("Complete", "operator"),
            ("Pass", "office"),
            ("HandOver", "office"),
            ("Close", "office"),
        ];
        for (step, side) in walk {
            let others = [
                ("coordinator", &office, side != "operator"),
                ("coordinator", &operator, side != "office"),
                ("field", &operator, false),
                ("funder", &works.desk.funder_id, false),
                ("auditor", &operator, false),
                ("coordinator", &works.authority_id, false),
            ];
            let mut allowed = others.iter().filter(|(.., may)| *may);
            let refused = others.iter().filter(|(.., may)| !may);
            for (role, organization, _) in refused {
                let done =
                    take(&works, gate.server.tasks(), &task, step, &As(&gate, role, organization)).await;
                let code = done.expect_err(step).code();
                // What is not issued does not exist for others.
                assert!(matches!(code, Code::PermissionDenied | Code::NotFound), "{step} as {role}: {code}");
            }
            let (role, organization, _) = allowed.next_back().expect("somebody may");
            let done = take(&works, gate.server.tasks(), &task, step, &As(&gate, role, organization)).await;
            task = done.unwrap_or_else(|refused| panic!("{step}: {refused}"));
        }
        // A suspension by the office as well, and an end.
        let mut task = works.mobilised("T-2").await;
        for step in ["Suspend", "Resume", "Cancel"] {
            let by = As(&gate, "coordinator", &office);
            task = take(&works, gate.server.tasks(), &task, step, &by).await.unwrap();
        }
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn plans_are_the_offices_and_others_see_a_task_once_it_is_issued() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let gate = Gate::open(world).await;
        let mut tasks = gate.server.tasks();
        let desk = &works.desk;
        let stranger = fresh_id();
        for (role, organization, code) in [
            ("coordinator", &desk.operator_id, Code::NotFound),
            ("coordinator", &desk.funder_id, Code::PermissionDenied),
            ("field", &desk.office_id, Code::PermissionDenied),
            ("funder", &desk.funder_id, Code::PermissionDenied),
        ] {
            let request = pb::CreateTaskRequest { task: Some(works.task("T-1")) };
            let refused = tasks.create_task(gate.sent(role, organization, request)).await.unwrap_err();
            assert_eq!(refused.code(), code, "{role}");
        }
        let request = pb::CreateTaskRequest { task: Some(works.task("T-1")) };
        let created = tasks.create_task(gate.sent("coordinator", &desk.office_id, request)).await.unwrap();
        let mut task = created.into_inner().task.unwrap();
        let seen_by = [
            ("coordinator", &desk.office_id, true, true),
            ("field", &desk.office_id, true, true),
            ("funder", &desk.funder_id, true, true),
            ("auditor", &stranger, true, true),
            ("admin", &stranger, true, true),
            ("coordinator", &desk.operator_id, false, true),
            ("field", &desk.operator_id, false, true),
            ("coordinator", &works.authority_id, false, true),
            ("field", &works.authority_id, false, false),
            ("funder", &desk.operator_id, false, false),
            ("coordinator", &stranger, false, false),
        ];
        for issued in [false, true] {
            if issued {
                task = works.mobilised("T-2").await;
            }
            for (role, organization, before, after) in seen_by {
                let sees = if issued { after } else { before };
                let get = pb::GetTaskRequest { task_id: task.task_id.clone(), min_revision: 0 };
                let got = tasks.get_task(gate.sent(role, organization, get)).await;
                let list = pb::ListTasksRequest {
                    program_id: desk.program_id.clone(),
                    code_prefix: task.code.clone(),
                    ..pb::ListTasksRequest::default()
                };
                let listed = tasks.list_tasks(gate.sent(role, organization, list)).await.unwrap();
                let listed = listed.into_inner().tasks;
                if sees {
                    let got = got.unwrap().into_inner().task.unwrap();
                    assert_eq!(listed, std::slice::from_ref(&got), "{role}");
                    let paramedic = got.medical_cover.unwrap_or_default().paramedic_id;
                    assert_eq!(paramedic.is_empty(), role == "funder" || !issued, "{role}");
                } else {
                    assert_eq!((got.unwrap_err().code(), listed.len()), (Code::NotFound, 0), "{role}");
                }
            }
        }
        for (role, organization, code) in [
            ("coordinator", &desk.operator_id, Code::PermissionDenied),
            ("coordinator", &works.authority_id, Code::PermissionDenied),
            ("coordinator", &stranger, Code::NotFound),
        ] {
            let request = gate.sent(role, organization, update(&task, &["title"]));
            assert_eq!(tasks.update_task(request).await.unwrap_err().code(), code, "{role}");
        }
        let request = gate.sent("coordinator", &desk.office_id, update(&task, &["title"]));
        tasks.update_task(request).await.unwrap();
        gate.server.finish().await;
    })
    .await;
}
