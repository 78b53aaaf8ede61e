//! The stream of an operator's reports on the wire.

use crate::app::report_feed::{Body, Message};
use crate::error::Error;
use crate::rpc::convert::field_report::stored;
use crate::rpc::convert::report::duration;
use crate::rpc::pb;
use crate::rpc::pb::stream_reports_response::Message as Sent;

/// A message of the stream.
///
/// # Errors
/// A bug when a stored report cannot be read.
pub fn message(of: Message) -> Result<pb::StreamReportsResponse, Error> {
    let resume_token = of.resume_token;
    let message = match of.body {
        Body::Begin { revision, feed_epoch, progress_interval, resumed } => Sent::Begin(pb::ReportsBegin {
            revision,
            feed_epoch: feed_epoch.to_string(),
            progress_interval: Some(duration(progress_interval)),
            resumed,
        }),
        Body::Report(report) => Sent::Report(stored(&report)?),
        Body::Left { report, revision } => {
            Sent::Left(pb::ReportLeft { report_id: report.to_string(), revision })
        }
        Body::SnapshotEnd { revision } => Sent::SnapshotEnd(pb::ReportsSnapshotEnd { revision }),
        Body::Progress { revision } => Sent::Progress(pb::ReportsProgress { revision }),
        Body::Reconnect { after } => Sent::Reconnect(pb::ReportsReconnect {
            resume_token: resume_token.clone(),
            after: Some(duration(after)),
        }),
    };
    Ok(pb::StreamReportsResponse { resume_token, message: Some(message) })
}
