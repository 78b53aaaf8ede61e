//! `TaskService`: which function answers which call. The calls themselves are in the files of `task/`.

mod history;
mod plans;
mod safety_stops;
mod steps;

use tonic::{Request, Response, Status};

use crate::app::App;
use crate::app::change::Changed;
use crate::domain::caller::{Caller, Role};
use crate::domain::task::Task;
use crate::error::Error;
use crate::rpc::change::answered;
use crate::rpc::convert::task as convert;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::pb::task_service_server::TaskService;
use crate::rpc::{caller, pb};

/// Answers the calls of `TaskService`.
#[derive(Clone)]
pub struct TaskRpc {
    /// The use cases.
    pub app: App,
}

/// The task that a change answers with.
fn task_of(changed: &Changed) -> Result<Option<pb::Task>, Error> {
    let pick = |record| if let Record::Task(task) = record { Some(task) } else { None };
    answered(changed, pick).map(Some)
}

/// A task as a caller may see it.
fn seen(caller: &Caller, task: &Task) -> pb::Task {
    let mut sent = convert::task(task);
    hide(caller, &mut sent);
    sent
}

/// Funders are not told of persons, nor what is written for people: it may name some.
fn hide(caller: &Caller, task: &mut pb::Task) {
    if caller.role() != Role::Funder {
        return;
    }
    task.instructions.clear();
    if let Some(cover) = task.medical_cover.as_mut() {
        cover.paramedic_id.clear();
        cover.hospital.clear();
    }
    if let Some(completion) = task.completion.as_mut() {
        completion.not_done.clear();
    }
    for control in &mut task.quality_controls {
        control.remarks.clear();
    }
}

/// One method for each call.
macro_rules! answer {
    ($($name:ident($request:ident) -> $response:ident = $function:path;)+) => {
        #[tonic::async_trait]
        impl TaskService for TaskRpc {
            $(
                async fn $name(
                    &self,
                    request: Request<pb::$request>,
                ) -> Result<Response<pb::$response>, Status> {
                    Ok(Response::new($function(&self.app, &caller(&request)?, request.into_inner()).await?))
                }
            )+
        }
    };
}

answer! {
    create_task(CreateTaskRequest) -> CreateTaskResponse = plans::create;
    get_task(GetTaskRequest) -> GetTaskResponse = plans::get;
    list_tasks(ListTasksRequest) -> ListTasksResponse = plans::list;
    update_task(UpdateTaskRequest) -> UpdateTaskResponse = plans::update;
    plan_task(PlanTaskRequest) -> PlanTaskResponse = steps::plan;
    issue_task(IssueTaskRequest) -> IssueTaskResponse = steps::issue;
    accept_task(AcceptTaskRequest) -> AcceptTaskResponse = steps::accept;
    mobilise_task(MobiliseTaskRequest) -> MobiliseTaskResponse = steps::mobilise;
    start_task(StartTaskRequest) -> StartTaskResponse = steps::start;
    suspend_task(SuspendTaskRequest) -> SuspendTaskResponse = steps::suspend;
    resume_task(ResumeTaskRequest) -> ResumeTaskResponse = steps::resume;
    complete_task(CompleteTaskRequest) -> CompleteTaskResponse = steps::complete;
    record_quality_control(RecordQualityControlRequest) -> RecordQualityControlResponse = steps::record_control;
    hand_over_task(HandOverTaskRequest) -> HandOverTaskResponse = steps::hand_over;
    close_task(CloseTaskRequest) -> CloseTaskResponse = steps::close;
    cancel_task(CancelTaskRequest) -> CancelTaskResponse = steps::cancel;
    get_task_history(GetTaskHistoryRequest) -> GetTaskHistoryResponse = history::get;
    issue_safety_stop(IssueSafetyStopRequest) -> IssueSafetyStopResponse = safety_stops::issue;
    lift_safety_stop(LiftSafetyStopRequest) -> LiftSafetyStopResponse = safety_stops::lift;
    list_safety_stops(ListSafetyStopsRequest) -> ListSafetyStopsResponse = safety_stops::list;
}
