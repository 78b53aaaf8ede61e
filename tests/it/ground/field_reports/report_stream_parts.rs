//! Reading streams of reports: opening, waiting with a limit, and what a reviewer holds.

use std::collections::BTreeMap;
use std::time::Duration;

use safelane::rpc::pb;
use safelane::rpc::pb::field_report_service_client::FieldReportServiceClient;
use safelane::rpc::pb::stream_reports_response::Message;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::rig::Tablet;

/// Longer than any message should take.
const PATIENCE: Duration = Duration::from_secs(20);

/// More messages of progress in a row, at one a second, than any wait for something else should see.
const QUIET_MAX: usize = 20;
/// More messages than any test here sends.
const CAME_MAX: usize = 10_000;

pub(super) type Reports = Streaming<pb::StreamReportsResponse>;

/// Everything of the tablet's operator, with progress every second.
pub(super) fn following(tablet: &Tablet) -> pb::StreamReportsRequest {
    pb::StreamReportsRequest {
        operator_id: tablet.works.desk.operator_id.clone(),
        progress_interval: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        ..pb::StreamReportsRequest::default()
    }
}

/// The same after a message.
pub(super) fn after(of: &pb::StreamReportsRequest, token: &str) -> pb::StreamReportsRequest {
    pb::StreamReportsRequest { resume_token: token.to_owned(), ..of.clone() }
}

pub(super) async fn open(
    service: &FieldReportServiceClient<Channel>,
    request: pb::StreamReportsRequest,
) -> Result<Reports, Status> {
    let mut service = service.clone();
    let opened = tokio::time::timeout(PATIENCE, service.stream_reports(request)).await;
    opened.expect("an answer in time").map(tonic::Response::into_inner)
}

/// The next message, or none at the end.
pub(super) async fn next(stream: &mut Reports) -> Option<pb::StreamReportsResponse> {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("a message in time");
    message.expect("the stream does not fail")
}

/// The next message that is not progress, with its token.
pub(super) async fn told(stream: &mut Reports) -> (String, Message) {
    for _ in 0..QUIET_MAX {
        let sent = next(stream).await.expect("the stream goes on");
        match sent.message.expect("every message has a body") {
            Message::Progress(_) => {}
            message => return (sent.resume_token, message),
        }
    }
    panic!("nothing but progress");
}

/// What a reviewer holds, and what came.
#[derive(Debug, Clone, Default)]
pub(super) struct Reviewer {
    pub(super) held: BTreeMap<String, pb::StoredReport>,
    pub(super) token: String,
    /// Report and revision of everything that was sent, in order.
    pub(super) came: Vec<(String, i64)>,
    /// Up to where everything was sent.
    pub(super) reached: i64,
    /// Messages of progress since something else came.
    quiet: usize,
}

impl Reviewer {
    pub(super) fn take(&mut self, sent: pb::StreamReportsResponse) {
        self.token = sent.resume_token;
        let quiet = matches!(sent.message, Some(Message::Progress(_)));
        self.quiet = if quiet { self.quiet + 1 } else { 0 };
        assert!(self.quiet < QUIET_MAX && self.came.len() < CAME_MAX, "it comes to no end");
        match sent.message.expect("every message has a body") {
            Message::Begin(begin) if !begin.resumed => self.held.clear(),
            Message::Begin(_) | Message::Reconnect(_) => {}
            Message::Report(report) => {
                let id = report.report.as_ref().expect("a report").report_id.clone();
                self.came.push((id.clone(), report.revision));
                self.held.insert(id, report);
            }
            Message::Left(left) => {
                self.came.push((left.report_id.clone(), left.revision));
                self.held.remove(&left.report_id);
            }
            Message::SnapshotEnd(end) => self.reached = end.revision,
            Message::Progress(progress) => self.reached = progress.revision.max(self.reached),
        }
    }

    /// Reads until everything up to a revision came.
    pub(super) async fn read_to(&mut self, stream: &mut Reports, revision: i64) {
        while self.reached < revision {
            self.take(next(stream).await.expect("the stream goes on"));
        }
    }

    /// Reads so many messages.
    pub(super) async fn read(&mut self, stream: &mut Reports, count: usize) {
        for _ in 0..count {
            self.take(next(stream).await.expect("the stream goes on"));
        }
    }
}

/// Everything that there is, by id.
pub(super) async fn all(tablet: &Tablet) -> BTreeMap<String, pb::StoredReport> {
    let mut request = pb::ListReportsRequest {
        operator_id: tablet.works.desk.operator_id.clone(),
        page_size: 1_000,
        ..pb::ListReportsRequest::default()
    };
    let mut found = BTreeMap::new();
    loop {
        let page = tablet.service.clone().list_reports(request.clone()).await.unwrap().into_inner();
        for report in page.reports {
            found.insert(report.report.as_ref().expect("a report").report_id.clone(), report);
        }
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}
