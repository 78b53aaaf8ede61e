//! Steps of tasks in `TaskService`.

use prost::Message;
use uuid::Uuid;

use crate::app::App;
use crate::app::task::step::{Step, TakeStep};
use crate::domain::caller::Caller;
use crate::domain::ids::TaskId;
use crate::domain::kind::Kind;
use crate::domain::text::{Reference, Source};
use crate::error::Error;
use crate::rpc::change::request as asked;
use crate::rpc::pb;
use crate::rpc::read::Reader;
use crate::rpc::task::task_of;

/// What every step says.
trait StepRequest: Message {
    /// The method, as it is kept.
    const METHOD: &'static str;
    /// `request_id`, `task_id` and `expected_revision`.
    fn common(&self) -> (&str, &str, i64);
}

macro_rules! step_requests {
    ($($request:ident, $method:literal;)+) => {$(
        impl StepRequest for pb::$request {
            const METHOD: &'static str = concat!("TaskService/", $method);
            fn common(&self) -> (&str, &str, i64) {
                (&self.request_id, &self.task_id, self.expected_revision)
            }
        }
    )+};
}

step_requests! {
    PlanTaskRequest, "PlanTask";
    IssueTaskRequest, "IssueTask";
}

/// Reads what every step says, and takes the step. What the step brings was read before.
async fn take<T: StepRequest>(
    app: &App,
    caller: &Caller,
    sent: &T,
    mut reader: Reader,
    step: Option<Step>,
) -> Result<(Option<pb::Task>, i64), Error> {
    let (request_id, task_id, expected_revision) = sent.common();
    let id: Option<Uuid> = reader.id("request_id", request_id, |id| id);
    let task = reader.id("task_id", task_id, TaskId::new);
    let expected_revision = reader.revision("expected_revision", expected_revision);
    let all = id.zip(task).zip(expected_revision.zip(step));
    let ((id, task), (expected_revision, step)) = reader.finish(all)?;
    let asked = asked(id, Kind::Request, T::METHOD, sent);
    let changed = app.take_step(caller, asked, TakeStep { task, expected_revision, step }).await?;
    Ok((task_of(&changed)?, changed.revision))
}

pub(super) async fn plan(
    app: &App,
    caller: &Caller,
    sent: pb::PlanTaskRequest,
) -> Result<pb::PlanTaskResponse, Error> {
    let (task, revision) = take(app, caller, &sent, Reader::default(), Some(Step::Plan)).await?;
    Ok(pb::PlanTaskResponse { task, revision })
}

pub(super) async fn issue(
    app: &App,
    caller: &Caller,
    sent: pb::IssueTaskRequest,
) -> Result<pb::IssueTaskResponse, Error> {
    let mut reader = Reader::default();
    // An order has a number, so it must not be empty as a mere reference may.
    let source = reader.parse("order_reference", Source::parse(&sent.order_reference));
    let reference =
        source.and_then(|_| reader.parse("order_reference", Reference::parse(&sent.order_reference)));
    let (task, revision) = take(app, caller, &sent, reader, reference.map(Step::Issue)).await?;
    Ok(pb::IssueTaskResponse { task, revision })
}
