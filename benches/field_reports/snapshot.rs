//! Snapshots of `StreamReports`: all reports of an operator, and those that are held.

use std::time::{Duration, Instant};

use safelane::rpc::pb;
use safelane::rpc::pb::field_report_service_client::FieldReportServiceClient;
use safelane::rpc::pb::stream_reports_response::Message;
use tonic::transport::Endpoint;

use crate::behind::{HELD_EACH, WAITING_DAYS};
use crate::ids::{Of, id};
use crate::options::Sizes;
use crate::{Failure, progress};

/// What a snapshot held, and how long it took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot {
    pub(crate) name: &'static str,
    pub(crate) reports: i64,
    pub(crate) took: Duration,
}

/// Takes each snapshot once, and checks how many reports it holds.
pub(crate) async fn all(address: &str, sizes: Sizes, reports: i64) -> Result<Vec<Snapshot>, Failure> {
    let held = (sizes.teams * WAITING_DAYS).min(reports);
    let held = (held + HELD_EACH - 1) / HELD_EACH;
    let mut taken = Vec::new();
    for (name, state, there) in [
        ("what is held", pb::ReportState::Held, held),
        ("all reports", pb::ReportState::Unspecified, reports),
    ] {
        let (reports, took) = take(address, state).await?;
        if reports != there {
            return Err(format!("a snapshot of {name} holds {reports} reports, not {there}").into());
        }
        progress(&format!("StreamReports, snapshot of {name}: {reports} reports in {took:.0?}"));
        taken.push(Snapshot { name, reports, took });
    }
    Ok(taken)
}

async fn take(address: &str, state: pb::ReportState) -> Result<(i64, Duration), Failure> {
    let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
    let request = pb::StreamReportsRequest {
        operator_id: id(Of::Operator, 0),
        state: state.into(),
        ..pb::StreamReportsRequest::default()
    };
    let begun = Instant::now();
    let mut messages = FieldReportServiceClient::new(channel).stream_reports(request).await?.into_inner();
    let mut reports = 0;
    while let Some(message) = messages.message().await? {
        match message.message {
            Some(Message::Report(_)) => reports += 1,
            Some(Message::SnapshotEnd(_)) => return Ok((reports, begun.elapsed())),
            _ => {}
        }
    }
    Err("a stream ended before its snapshot".into())
}
