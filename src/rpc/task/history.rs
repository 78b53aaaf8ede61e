//! `GetTaskHistory`: stored events as changes of one task.

use bytes::Bytes;
use prost::Message as _;

use crate::app::App;
use crate::app::task::history::TaskHistory;
use crate::domain::caller::{Caller, Role};
use crate::domain::ids::{ProgramId, TaskId};
use crate::error::Error;
use crate::rpc::change::reason_of;
use crate::rpc::difference::differences;
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::read::Reader;
use crate::rpc::task::hide;

pub(super) async fn get(
    app: &App,
    caller: &Caller,
    sent: pb::GetTaskHistoryRequest,
) -> Result<pb::GetTaskHistoryResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let program = reader.id("program_id", &sent.program_id, ProgramId::new);
    let task = reader.id("task_id", &sent.task_id, TaskId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let all = page.zip(program).zip(task.zip(min_revision));
    let ((page, program), (task, min_revision)) = reader.finish(all)?;
    let TaskHistory { before, page } = app.task_history(caller, (program, task), min_revision, page).await?;
    let id = task.to_string();
    let mut before = match before {
        None => None,
        Some(event) => read(&event, &id)?.map(|(_, task)| task),
    };
    let mut changes = Vec::with_capacity(page.rows.len());
    for event in &page.rows {
        let Some((change, task)) = read(event, &id)? else { continue };
        changes.push(told(caller, change, before.as_ref(), &task));
        before = Some(task);
    }
    Ok(pb::GetTaskHistoryResponse { changes, next_page_token: page.next.unwrap_or_default() })
}

/// A stored change and the task after it.
fn read(event: &Bytes, id: &str) -> Result<Option<(pb::Change, pb::Task)>, Error> {
    let mut change = pb::Change::decode(event.clone()).map_err(|error| Error::Internal(Box::new(error)))?;
    let records = std::mem::take(&mut change.records);
    let task = records.into_iter().find_map(|record| match record.record {
        Some(Record::Task(task)) if task.task_id == id => Some(task),
        _ => None,
    });
    Ok(task.map(|task| (change, task)))
}

fn told(caller: &Caller, change: pb::Change, before: Option<&pb::Task>, after: &pb::Task) -> pb::TaskChange {
    let changed_fields = before.map(|before| changed(before, after)).unwrap_or_default();
    let mut task = after.clone();
    hide(caller, &mut task);
    let (reason, recorded_by) = match caller.role() {
        Role::Funder => (String::new(), String::new()),
        _ => (reason_of(&change).unwrap_or_default(), change.recorded_by),
    };
    pb::TaskChange {
        revision: change.revision,
        reason,
        recorded_at: change.recorded_at,
        recorded_by,
        method: change.method,
        changed_fields,
        task: Some(task),
    }
}

/// Every change has another revision, which is told beside the task.
fn changed(before: &pb::Task, after: &pb::Task) -> Vec<String> {
    let paths = differences("safelane.v1.Task", &before.encode_to_vec(), &after.encode_to_vec());
    paths.unwrap_or_default().into_iter().filter(|path| path != "revision").collect()
}
