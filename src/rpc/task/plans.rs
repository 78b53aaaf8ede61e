//! Tasks of `TaskService`: creating, reading, and editing plans.

use crate::app::App;
use crate::app::task::plan::{CreateTask, UpdateTask};
use crate::domain::caller::Caller;
use crate::domain::ids::TaskId;
use crate::domain::kind::Kind;
use crate::error::Error;
use crate::rpc::change::request as asked;
use crate::rpc::convert::task as convert;
use crate::rpc::pb;
use crate::rpc::read::Reader;
use crate::rpc::task::{seen, task_of};

pub(super) async fn create(
    app: &App,
    caller: &Caller,
    sent: pb::CreateTaskRequest,
) -> Result<pb::CreateTaskResponse, Error> {
    let mut reader = Reader::default();
    let task = reader.need("task", sent.task.as_ref());
    let new = task.and_then(|task| convert::read_task(&mut reader, task));
    let new = reader.finish(new)?;
    let asked = asked(new.id.uuid(), Kind::Task, "TaskService/CreateTask", &sent);
    let changed = app.create_task(caller, asked, CreateTask(new)).await?;
    Ok(pb::CreateTaskResponse { task: task_of(&changed)?, revision: changed.revision })
}

pub(super) async fn get(
    app: &App,
    caller: &Caller,
    sent: pb::GetTaskRequest,
) -> Result<pb::GetTaskResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("task_id", &sent.task_id, TaskId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let (id, min_revision) = reader.finish(id.zip(min_revision))?;
    let task = app.get_task(caller, id, min_revision).await?;
    Ok(pb::GetTaskResponse { task: Some(seen(caller, &task)) })
}

pub(super) async fn update(
    app: &App,
    caller: &Caller,
    sent: pb::UpdateTaskRequest,
) -> Result<pb::UpdateTaskResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("request_id", &sent.request_id, |id| id);
    let expected_revision = reader.revision("expected_revision", sent.expected_revision);
    let paths = reader.mask(sent.update_mask.as_ref(), &convert::PLAN_PATHS);
    let task = reader.need("task", sent.task.as_ref());
    let edits = task.and_then(|task| {
        let id = reader.id("task.task_id", &task.task_id, TaskId::new);
        id.zip(convert::read_edits(&mut reader, task, &paths.unwrap_or_default()))
    });
    let ((id, expected_revision), (task, edits)) = reader.finish(id.zip(expected_revision).zip(edits))?;
    let asked = asked(id, Kind::Request, "TaskService/UpdateTask", &sent);
    let changed = app.update_task(caller, asked, UpdateTask { task, edits, expected_revision }).await?;
    Ok(pb::UpdateTaskResponse { task: task_of(&changed)?, revision: changed.revision })
}
