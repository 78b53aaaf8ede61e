//! The stream of an operator's reports.

use std::pin::Pin;

use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use crate::app::App;
use crate::app::report_feed::ReportsQuery;
use crate::domain::caller::Caller;
use crate::domain::ids::{OrganizationId, TaskId};
use crate::error::Error;
use crate::rpc::convert::report_feed::message;
use crate::rpc::pb;
use crate::rpc::read::Reader;
use crate::store::field_report::changed::Followed;

/// The messages of a stream.
pub(super) type Messages = Pin<Box<dyn Stream<Item = Result<pb::StreamReportsResponse, Status>> + Send>>;

pub(super) async fn stream(
    app: &App,
    caller: &Caller,
    sent: pb::StreamReportsRequest,
) -> Result<Messages, Error> {
    let mut reader = Reader::default();
    let operator = reader.id("operator_id", &sent.operator_id, OrganizationId::new);
    let task = reader.optional_id("task_id", &sent.task_id, TaskId::new);
    let state = reader.optional_word("state", sent.state);
    let progress = reader.progress_interval(sent.progress_interval);
    let ((operator, task), (state, progress_interval)) =
        reader.finish(operator.zip(task).zip(state.zip(progress)))?;
    let resume_token = (!sent.resume_token.is_empty()).then_some(sent.resume_token);
    let followed = Followed { operator, task, state };
    let messages =
        app.stream_reports(caller, ReportsQuery { followed, resume_token, progress_interval }).await?;
    Ok(Box::pin(ReceiverStream::new(messages).map(|told| Ok(message(told?)?))))
}
