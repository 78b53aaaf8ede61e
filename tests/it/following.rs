//! Reading budget streams: opening, waiting with a limit, and folding what came into a report.

use std::collections::BTreeMap;
use std::time::Duration;

use safelane::rpc::pb;
use safelane::rpc::pb::budget_report_service_client::BudgetReportServiceClient;
use safelane::rpc::pb::entry::Action;
use safelane::rpc::pb::stream_budget_report_request::Start;
use safelane::rpc::pb::stream_budget_report_response::Message;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::desk::Desk;
use crate::harness::fresh_id;

/// Longer than any message should take; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The revision of the program after a busy year.
pub(crate) const YEAR_END: i64 = 28;

pub(crate) type Client = BudgetReportServiceClient<Channel>;
pub(crate) type Sent = pb::StreamBudgetReportResponse;
pub(crate) type Rows = BTreeMap<String, pb::BudgetReportRow>;

/// A stream of the desk's program.
pub(crate) fn request(desk: &Desk, delivery: pb::Delivery) -> pb::StreamBudgetReportRequest {
    pb::StreamBudgetReportRequest {
        program_id: desk.program_id.clone(),
        delivery: delivery.into(),
        ..Default::default()
    }
}

/// The same from another place.
pub(crate) fn from(start: Start, of: &pb::StreamBudgetReportRequest) -> pb::StreamBudgetReportRequest {
    pb::StreamBudgetReportRequest { start: Some(start), ..of.clone() }
}

/// The same up to a revision.
pub(crate) fn until(revision: i64, of: &pb::StreamBudgetReportRequest) -> pb::StreamBudgetReportRequest {
    pb::StreamBudgetReportRequest { until_revision: Some(revision), ..of.clone() }
}

#[expect(clippy::unnecessary_wraps, reason = "message fields are optional")]
pub(crate) fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

pub(crate) async fn open(
    client: &Client,
    request: pb::StreamBudgetReportRequest,
) -> Result<Streaming<Sent>, Status> {
    let mut client = client.clone();
    let opened = tokio::time::timeout(PATIENCE, client.stream_budget_report(request)).await;
    opened.expect("an answer in time").map(tonic::Response::into_inner)
}

/// The next message, or none at the end of the stream.
pub(crate) async fn next(stream: &mut Streaming<Sent>) -> Option<Sent> {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("a message in time");
    message.expect("the stream does not fail")
}

/// All of a stream that ends by itself.
pub(crate) async fn whole(client: &Client, request: pb::StreamBudgetReportRequest) -> Vec<Sent> {
    let mut stream = open(client, request).await.expect("the stream opens");
    let mut all = Vec::new();
    while let Some(message) = next(&mut stream).await {
        all.push(message);
    }
    all
}

/// Reads on until a message has told of the revision.
pub(crate) async fn read_to(stream: &mut Streaming<Sent>, revision: i64, all: &mut Vec<Sent>) {
    while all.last().is_none_or(|sent| told(sent) < revision) {
        all.push(next(stream).await.expect("the stream goes on"));
    }
}

pub(crate) fn body(sent: &Sent) -> &Message {
    sent.message.as_ref().expect("every message has a body")
}

/// The revision up to which a message has told everything; 0 when it does not say.
pub(crate) fn told(sent: &Sent) -> i64 {
    match body(sent) {
        Message::SnapshotEnd(end) => end.revision,
        Message::Report(report) => report.revision,
        Message::Entry(entry) => entry.read().expect("an entry").revision,
        Message::Progress(progress) => progress.revision,
        Message::Begin(_) | Message::Snapshot(_) | Message::PeriodChanged(_) | Message::Reconnect(_) => 0,
    }
}

/// Revision and previous revision of the entries among messages.
pub(crate) fn entries(all: &[Sent]) -> Vec<(i64, i64)> {
    let entry = |sent: &Sent| match body(sent) {
        Message::Entry(entry) => Some((entry.read().expect("an entry").revision, entry.previous_revision)),
        _ => None,
    };
    all.iter().filter_map(entry).collect()
}

/// What a client of STATE delivery holds: a snapshot replaces, a report updates.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Held {
    pub(crate) rows: Rows,
    pub(crate) totals: pb::BudgetTotals,
    unfinished: Rows,
}

impl Held {
    pub(crate) fn fold<'a>(mut self, messages: impl IntoIterator<Item = &'a Sent>) -> Self {
        for sent in messages {
            match body(sent) {
                Message::Begin(_) => self.unfinished.clear(),
                Message::Snapshot(part) => put(&mut self.unfinished, &part.rows),
                Message::SnapshotEnd(end) => {
                    self.rows = std::mem::take(&mut self.unfinished);
                    self.totals = end.totals.clone().expect("totals");
                }
                Message::Report(report) => {
                    put(&mut self.rows, &report.rows);
                    self.totals = report.totals.clone().expect("totals");
                }
                _ => {}
            }
        }
        self
    }
}

fn put(rows: &mut Rows, new: &[pb::BudgetReportRow]) {
    rows.extend(new.iter().map(|row| (row.allocation_id.clone(), row.clone())));
}

/// The report that belongs to a stream's filter.
pub(crate) async fn report(client: &Client, of: &pb::StreamBudgetReportRequest) -> pb::BudgetReport {
    let request = pb::GetBudgetReportRequest {
        program_id: of.program_id.clone(),
        period_id: of.period_id.clone(),
        allocation_id: of.allocation_id.clone(),
        ..Default::default()
    };
    let answer = client.clone().get_budget_report(request).await.expect("a report");
    answer.into_inner().report.expect("a report")
}

/// A report as a client of its stream would hold it.
pub(crate) fn held(report: &pb::BudgetReport) -> Held {
    let mut held = Held { totals: report.totals.clone().expect("totals"), ..Held::default() };
    put(&mut held.rows, &report.rows);
    held
}

/// Posts entries of every kind, adds allocations in between, opens a second period with money of its own and
/// expires the first. Calls back after every change.
pub(crate) async fn live_a_busy_year(desk: &Desk, mut changed: impl AsyncFnMut(i64)) {
    let (held, promised) = (fresh_id(), fresh_id());
    let mut last = 0;
    for action in [
        desk.authorize(6_800_000_000),
        desk.allocate("A", 2_800_000_000),
        desk.allocate("B", 2_200_000_000),
        desk.allocate("C", 1_800_000_000),
        Action::Increase(desk.increase()),
        desk.allocate("A1", 1_200_000_000),
        desk.allocate("T1", 40_000_000),
        desk.reserve(&held, "T1", 12_500_000),
    ] {
        last = desk.post(action).await.expect("accepted").revision;
        changed(last).await;
    }
    for code in ["A2", "A3"] {
        let purpose = pb::AllocationPurpose::Grant;
        let new = desk.allocation(fresh_id(), desk.node("A"), code, purpose);
        last = desk.create_allocation(new).await.expect("added").revision;
        changed(last).await;
    }
    open_next_period(desk, &mut changed).await;
    let promise = pb::Obligate { reservation_id: held.clone(), ..desk.obligate(&promised, "T1", 12_000_000) };
    let expense = desk.pay(pb::ExpendSource::Advanced, &promised, 3_756_015);
    let wrong = desk.post(Action::Expend(desk.expend("B", 77))).await.expect("accepted");
    changed(wrong.revision).await;
    let wrong = wrong.entry.expect("an entry").entry_id;
    for action in [
        desk.reverse(&wrong),
        Action::Obligate(promise),
        desk.release(&held, 500_000),
        desk.disburse(&promised, 4_000_000),
        Action::Expend(expense),
        desk.refund(&promised, 243_985),
    ] {
        last = desk.post(action).await.expect("accepted").revision;
        changed(last).await;
    }
    desk.move_period().await.expect("the period expires");
    changed(last + 1).await;
    last = desk.post(desk.deobligate(&promised, 8_243_985)).await.expect("accepted").revision;
    assert_eq!(last, YEAR_END);
    changed(last).await;
}

async fn open_next_period(desk: &Desk, changed: &mut impl AsyncFnMut(i64)) {
    let period = desk.period(&fresh_id(), "FY1998-B", fresh_id());
    let (period_id, amount) = (period.period_id.clone(), crate::desk::usd(1_000));
    let opened = desk.funding.clone().open_period(pb::OpenPeriodRequest { period: Some(period) }).await;
    changed(opened.expect("the period opens").into_inner().revision).await;
    let authorize = Action::Authorize(pb::Authorize { period_id, amount });
    changed(desk.post(authorize).await.expect("accepted").revision).await;
}
