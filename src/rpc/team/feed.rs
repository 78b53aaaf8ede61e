//! The feed of a team.

use std::pin::Pin;

use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use crate::app::App;
use crate::app::team_feed::FeedQuery;
use crate::domain::caller::Caller;
use crate::domain::ids::TeamId;
use crate::error::Error;
use crate::rpc::convert::team_feed::message;
use crate::rpc::pb;
use crate::rpc::read::Reader;

/// The messages of a feed.
pub(super) type Messages = Pin<Box<dyn Stream<Item = Result<pb::StreamTeamFeedResponse, Status>> + Send>>;

pub(super) async fn stream(
    app: &App,
    caller: &Caller,
    sent: pb::StreamTeamFeedRequest,
) -> Result<Messages, Error> {
    let mut reader = Reader::default();
    let team = reader.id("team_id", &sent.team_id, TeamId::new);
    let progress = reader.progress_interval(sent.progress_interval);
    let (team, progress_interval) = reader.finish(team.zip(progress))?;
    let cursor = (!sent.cursor.is_empty()).then_some(sent.cursor);
    let messages = app.stream_team_feed(caller, FeedQuery { team, cursor, progress_interval }).await?;
    Ok(Box::pin(ReceiverStream::new(messages).map(|told| Ok(message(told?)?))))
}
