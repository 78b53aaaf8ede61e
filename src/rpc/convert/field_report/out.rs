//! Stored reports, receipts and numberings for the wire.

use jiff::SignedDuration;
use prost::Message as _;

use crate::domain::field_report::reference::reference;
use crate::domain::field_report::sequence::SyncState;
use crate::domain::field_report::{AttachmentStates, Hold, Receipt, StoredReport};
use crate::error::Error;
use crate::rpc::convert::field_report::review::remarks;
use crate::rpc::convert::timestamp;
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::pb;

/// Reasons of a quarantine.
#[must_use]
pub fn holds(of: &[Hold]) -> Vec<pb::Hold> {
    let hold = |hold: &Hold| pb::Hold {
        reason: hold.reason.wire(),
        text: hold.text.clone(),
        subject_id: hold.subject.map(|id| id.to_string()).unwrap_or_default(),
    };
    of.iter().map(hold).collect()
}

fn attachments(of: &AttachmentStates) -> Vec<pb::AttachmentState> {
    of.iter()
        .map(|(sha256, present)| pb::AttachmentState { sha256: sha256.to_vec(), present: *present })
        .collect()
}

/// What the server has for good.
#[must_use]
pub fn receipt(of: &Receipt) -> pb::Receipt {
    pb::Receipt {
        report_id: of.report.to_string(),
        version: of.version,
        content_sha256: of.content_sha256.to_vec(),
        attachments: attachments(&of.attachments),
        received_at: Some(timestamp(of.received_at)),
        revision: of.revision,
        reference: reference(of.report),
        state: of.state.wire(),
    }
}

/// What is there of a device's numbering.
#[must_use]
pub fn sync_state(of: &SyncState) -> pb::SyncState {
    let range = |(first, last): &(i64, i64)| pb::SequenceRange { first: *first, last: *last };
    pb::SyncState {
        device_id: of.device.to_string(),
        durable_through: of.durable_through,
        highest: of.highest,
        missing: of.missing.iter().map(range).collect(),
        missing_count: of.missing_count,
    }
}

/// A version of a report.
///
/// # Errors
/// A bug when the stored message cannot be read.
pub fn stored(of: &StoredReport) -> Result<pb::StoredReport, Error> {
    let report =
        pb::FieldReport::decode(of.content.clone()).map_err(|error| Error::Internal(Box::new(error)))?;
    Ok(pb::StoredReport { report: Some(report), ..around(of) })
}

/// A version of a report as an event. The report in it is the very bytes that were hashed, so nothing is read.
#[must_use]
pub fn encode_stored(of: &StoredReport) -> Vec<u8> {
    const REPORT: u32 = 1;
    let rest = around(of);
    let mut bytes = Vec::with_capacity(of.content.len() + rest.encoded_len() + 16);
    prost::encoding::bytes::encode(REPORT, &of.content, &mut bytes);
    // A vector takes whatever it is given.
    let _room = rest.encode(&mut bytes);
    bytes
}

/// What the server knows about a version, without the report itself.
fn around(of: &StoredReport) -> pb::StoredReport {
    let offset = of.clock_offset_ms.map(SignedDuration::from_millis);
    pb::StoredReport {
        report: None,
        kind: of.kind.wire(),
        operator_id: of.operator.to_string(),
        program_id: of.program.map(|id| id.to_string()).unwrap_or_default(),
        version: of.version,
        newest_version: of.newest_version,
        content_sha256: of.content_sha256.to_vec(),
        state: of.state.wire(),
        holds: holds(&of.holds),
        attachments: attachments(&of.attachments),
        complete: of.attachments.iter().all(|(_, present)| *present),
        received_at: Some(timestamp(of.received_at)),
        received_by: of.received_by.clone(),
        clock_offset: offset
            .map(|offset| prost_types::Duration { seconds: offset.as_secs(), nanos: offset.subsec_nanos() }),
        captured_at: of.captured_at.map(timestamp),
        remarks: remarks(&of.reviewed.remarks),
        reviewed_by: of.reviewed.by.clone(),
        reviewed_at: of.reviewed.at.map(timestamp),
        decision: of.reviewed.decision.clone(),
        reference: reference(of.id),
        revision: of.revision,
        approved_version: of.reviewed.approved_version.unwrap_or(0),
        amendment: of.amendment.clone(),
    }
}
