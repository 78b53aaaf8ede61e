//! Steps of tasks in `TaskService`. All say the same three things, and some bring something.

use prost::Message;

use crate::app::App;
use crate::app::task::step::{Step, TakeStep};
use crate::domain::assignment::MedicalCover;
use crate::domain::caller::Caller;
use crate::domain::ids::TaskId;
use crate::domain::kind::Kind;
use crate::domain::site::SuspensionCause;
use crate::domain::text::{Reason, Reference, Source};
use crate::error::Error;
use crate::rpc::change::request as asked;
use crate::rpc::convert::task as convert;
use crate::rpc::pb;
use crate::rpc::read::Reader;
use crate::rpc::task::task_of;

/// What every step says.
trait StepRequest: Message {
    /// The method, as it is kept.
    const METHOD: &'static str;
    /// `request_id`, `task_id` and `expected_revision`.
    fn common(&self) -> (&str, &str, i64);
    /// The step with what it brings.
    fn step(&self, reader: &mut Reader) -> Option<Step>;
}

/// One row for each method: its function, its messages, and how its step is read.
macro_rules! steps {
    ($($name:ident = $method:literal, $request:ident -> $response:ident, $read:expr;)+) => {$(
        impl StepRequest for pb::$request {
            const METHOD: &'static str = concat!("TaskService/", $method);

            fn common(&self) -> (&str, &str, i64) {
                (&self.request_id, &self.task_id, self.expected_revision)
            }

            fn step(&self, reader: &mut Reader) -> Option<Step> {
                let read: fn(&Self, &mut Reader) -> Option<Step> = $read;
                read(self, reader)
            }
        }

        pub(super) async fn $name(
            app: &App,
            caller: &Caller,
            sent: pb::$request,
        ) -> Result<pb::$response, Error> {
            let (task, revision) = take(app, caller, &sent).await?;
            Ok(pb::$response { task, revision })
        }
    )+};
}

steps! {
    plan = "PlanTask", PlanTaskRequest -> PlanTaskResponse, |_, _| Some(Step::Plan);
    issue = "IssueTask", IssueTaskRequest -> IssueTaskResponse, read_issue;
    accept = "AcceptTask", AcceptTaskRequest -> AcceptTaskResponse, |_, _| Some(Step::Accept);
    mobilise = "MobiliseTask", MobiliseTaskRequest -> MobiliseTaskResponse, |sent, reader| {
        let cover = reader.need("medical_cover", sent.medical_cover.as_ref())?;
        convert::read_medical_cover(reader, "medical_cover", cover).map(Step::Mobilise)
    };
    start = "StartTask", StartTaskRequest -> StartTaskResponse, |sent, reader| {
        read_cover(reader, sent.medical_cover.as_ref()).map(Step::Start)
    };
    suspend = "SuspendTask", SuspendTaskRequest -> SuspendTaskResponse, read_suspend;
    resume = "ResumeTask", ResumeTaskRequest -> ResumeTaskResponse, |sent, reader| {
        let cover = read_cover(reader, sent.medical_cover.as_ref());
        read_reason(reader, &sent.reason).and(cover).map(Step::Resume)
    };
    complete = "CompleteTask", CompleteTaskRequest -> CompleteTaskResponse, |sent, reader| {
        let completion = reader.need("completion", sent.completion.as_ref())?;
        convert::read_completion(reader, completion).map(Step::Complete)
    };
    record_control = "RecordQualityControl", RecordQualityControlRequest -> RecordQualityControlResponse,
        |sent, reader| {
            let control = reader.need("quality_control", sent.quality_control.as_ref())?;
            convert::read_quality_control(reader, control).map(Step::RecordControl)
        };
    hand_over = "HandOverTask", HandOverTaskRequest -> HandOverTaskResponse, |sent, reader| {
        reader.date("handed_over_on", sent.handed_over_on).map(Step::HandOver)
    };
    close = "CloseTask", CloseTaskRequest -> CloseTaskResponse, |_, _| Some(Step::Close);
    cancel = "CancelTask", CancelTaskRequest -> CancelTaskResponse, |sent, reader| {
        read_reason(reader, &sent.reason).map(|_| Step::Cancel)
    };
}

/// Reads a step and takes it.
async fn take<T: StepRequest>(
    app: &App,
    caller: &Caller,
    sent: &T,
) -> Result<(Option<pb::Task>, i64), Error> {
    let mut reader = Reader::default();
    let (request_id, task_id, expected_revision) = sent.common();
    let id = reader.id("request_id", request_id, |id| id);
    let task = reader.id("task_id", task_id, TaskId::new);
    let expected_revision = reader.revision("expected_revision", expected_revision);
    let step = sent.step(&mut reader);
    let all = id.zip(task).zip(expected_revision.zip(step));
    let ((id, task), (expected_revision, step)) = reader.finish(all)?;
    let asked = asked(id, Kind::Request, T::METHOD, sent);
    let changed = app
        .take_step(caller, asked, TakeStep { task, expected_revision, step, policy: app.policy() })
        .await?;
    Ok((task_of(&changed)?, changed.revision))
}

/// Reasons are kept in the request only, so they are merely checked.
fn read_reason(reader: &mut Reader, text: &str) -> Option<Reason> {
    reader.parse("reason", Reason::parse(text))
}

/// Medical cover that takes the place of what the task has, if any is named.
#[expect(clippy::option_option, reason = "the outer one says whether it can be read")]
fn read_cover(reader: &mut Reader, sent: Option<&pb::MedicalCover>) -> Option<Option<MedicalCover>> {
    let Some(sent) = sent else { return Some(None) };
    convert::read_medical_cover(reader, "medical_cover", sent).map(Some)
}

/// An order has a number, so it must not be empty as a mere reference may.
fn read_issue(sent: &pb::IssueTaskRequest, reader: &mut Reader) -> Option<Step> {
    reader.parse("order_reference", Source::parse(&sent.order_reference))?;
    reader.parse("order_reference", Reference::parse(&sent.order_reference)).map(Step::Issue)
}

fn read_suspend(sent: &pb::SuspendTaskRequest, reader: &mut Reader) -> Option<Step> {
    let reason = read_reason(reader, &sent.reason);
    let cause = reader.word("cause", sent.cause)?;
    if cause == SuspensionCause::SafetyStop {
        reader.bad(
            "cause",
            "is SAFETY_STOP, which only IssueSafetyStop sets; issue one, or name another cause",
        );
        return None;
    }
    reason.map(|_| Step::Suspend(cause))
}
