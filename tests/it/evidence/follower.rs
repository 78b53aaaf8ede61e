//! A client that follows the entries of a program through crashes and broken links.

use std::time::Duration;

use safelane::rpc::pb;
use safelane::rpc::pb::budget_report_service_client::BudgetReportServiceClient;
use safelane::rpc::pb::stream_budget_report_request::Start;
use safelane::rpc::pb::stream_budget_report_response::Message;
use tokio::sync::watch;
use tonic::Status;
use tonic::transport::Channel;

use crate::following::body;

/// How long the last entries may take once it is known which they are.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries to open a stream.
const PAUSE: Duration = Duration::from_millis(20);

/// An entry as a stream sent it, with the revision of the one before.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) previous: i64,
    pub(crate) posted: pb::PostEntryResponse,
}

/// State and token together, as a client keeps them that wants everything once.
struct Follower {
    client: BudgetReportServiceClient<Channel>,
    program: String,
    start: Start,
    told: i64,
    all: Vec<Sent>,
}

/// Follows the entries after a revision until the head is reached, once that is known.
pub(crate) async fn follow(
    channel: Channel,
    program: String,
    after: i64,
    mut head: watch::Receiver<Option<i64>>,
) -> Result<Vec<Sent>, String> {
    let client = BudgetReportServiceClient::new(channel);
    let mut follower =
        Follower { client, program, start: Start::AfterRevision(after), told: after, all: Vec::new() };
    tokio::select! {
        () = follower.follow_for_ever() => {}
        // Only wakes when the head is known; a sender that is gone leaves it known or not, as it was.
        _ = head.wait_for(Option::is_some) => {}
    }
    let last = (*head.borrow()).ok_or("the head never became known")?;
    let rest = tokio::time::timeout(PATIENCE, follower.follow_to(last)).await;
    rest.map_err(|_| format!("the stream tells {}, not the last revision {last}", follower.told))?;
    Ok(follower.all)
}

impl Follower {
    async fn follow_for_ever(&mut self) {
        self.follow_to(i64::MAX).await;
    }

    /// Reads until a revision is told. Whenever a stream ends it goes on from the last token.
    async fn follow_to(&mut self, last: i64) {
        while self.told < last {
            if self.read_to(last).await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn read_to(&mut self, last: i64) -> Result<(), Status> {
        let request = pb::StreamBudgetReportRequest {
            program_id: self.program.clone(),
            delivery: pb::Delivery::Entries.into(),
            start: Some(self.start.clone()),
            progress_interval: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
            ..Default::default()
        };
        let mut stream = self.client.stream_budget_report(request).await?.into_inner();
        while self.told < last {
            let Some(sent) = stream.message().await? else { return Ok(()) };
            match body(&sent) {
                Message::Entry(entry) => {
                    let posted = entry.read().map_err(|error| Status::internal(error.to_string()))?;
                    self.told = posted.revision;
                    self.all.push(Sent { previous: entry.previous_revision, posted });
                }
                Message::Progress(progress) => self.told = self.told.max(progress.revision),
                _ => {}
            }
            self.start = Start::ResumeToken(sent.resume_token);
        }
        Ok(())
    }
}
