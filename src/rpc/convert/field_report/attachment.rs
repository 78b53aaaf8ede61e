//! Files and their uploads for the wire.

use prost::Message as _;

use crate::app::attachment::UploadState;
use crate::domain::ids::ReportId;
use crate::rpc::convert::timestamp;
use crate::rpc::pb;
use crate::store::attachment::note::NewAttachment;

/// What there is of a file.
#[must_use]
pub fn upload_state(of: &UploadState) -> pb::UploadState {
    pb::UploadState {
        sha256: of.sha256.to_vec(),
        size: of.size,
        durable_offset: of.durable_offset,
        present: of.present,
    }
}

/// The event of a file that became whole.
#[must_use]
pub fn encode_attachment(new: &NewAttachment, reports: &[ReportId], held: &[ReportId]) -> Vec<u8> {
    let ids = |of: &[ReportId]| of.iter().map(ToString::to_string).collect();
    let stored = pb::AttachmentStored {
        operator_id: new.operator.to_string(),
        sha256: new.file.sha256.to_vec(),
        size: new.file.size,
        media_type: new.file.media_type.clone(),
        stored_at: Some(timestamp(new.stored_at)),
        stored_by: new.stored_by.clone(),
        revision: new.revision,
        report_ids: ids(reports),
        held_report_ids: ids(held),
    };
    stored.encode_to_vec()
}
