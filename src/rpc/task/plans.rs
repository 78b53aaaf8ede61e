//! Tasks of `TaskService`: creating, reading, and editing plans.

use uuid::Uuid;

use crate::app::App;
use crate::app::task::plan::{CreateTask, UpdateTask};
use crate::domain::caller::Caller;
use crate::domain::ids::{OrganizationId, ProgramId, SiteId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::text::Code;
use crate::error::Error;
use crate::rpc::change::request as asked;
use crate::rpc::convert::task as convert;
use crate::rpc::pb;
use crate::rpc::read::Reader;
use crate::rpc::task::{seen, task_of};
use crate::store::task::TaskFilter;

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

pub(super) async fn list(
    app: &App,
    caller: &Caller,
    sent: pb::ListTasksRequest,
) -> Result<pb::ListTasksResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let filter = read_filter(&mut reader, &sent);
    let ((page, min_revision), filter) = reader.finish(page.zip(min_revision).zip(filter))?;
    let found = app.list_tasks(caller, filter, min_revision, page).await?;
    Ok(pb::ListTasksResponse {
        tasks: found.rows.iter().map(|task| seen(caller, task)).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

fn read_filter(reader: &mut Reader, sent: &pb::ListTasksRequest) -> Option<TaskFilter> {
    let program = reader.optional_id("program_id", &sent.program_id, ProgramId::new);
    let operator = reader.optional_id("operator_id", &sent.operator_id, OrganizationId::new);
    let site = reader.optional_id("site_id", &sent.site_id, SiteId::new);
    let state = reader.optional_word("state", sent.state);
    let prefix = reader.optional("code_prefix", &sent.code_prefix, Code::parse);
    let (program, operator, site) = (program?, operator?, site?);
    if program.is_none() && operator.is_none() {
        if site.is_none() {
            reader.bad("program_id", "is missing; give program_id, operator_id or site_id");
        }
        if sent.min_revision != 0 {
            reader.bad(
                "min_revision",
                "is given without program_id or operator_id, whose journal it would be of",
            );
        }
    }
    Some(TaskFilter {
        program,
        operator,
        site,
        state: state?,
        code_prefix: prefix.map(|_| sent.code_prefix.clone())?,
        seen_by: None,
        as_operator: false,
        as_authority: false,
        after: (String::new(), Uuid::nil()),
    })
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
