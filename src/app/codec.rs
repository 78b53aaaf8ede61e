//! How events become bytes. The wire types live in `rpc`, which may not be named here, so `rpc` hands these
//! functions over when the service is put together.

use crate::app::change::{Change, Request};
use crate::app::command::{Command, Event};
use crate::app::safety_stop::Halt;
use crate::domain::field_report::{FieldReport, StoredReport};
use crate::domain::ids::{ReportId, VictimId};
use crate::domain::personal::RecordedName;
use crate::error::Error;
use crate::store::attachment::note::NewAttachment;
use crate::store::journal::EventKind;

/// The functions that know the wire.
#[derive(Debug, Clone, Copy)]
pub struct EventCodec {
    /// Encodes an event, once: these bytes are stored, hashed and streamed.
    pub encode: fn(&Event) -> Vec<u8>,
    /// Reads stored bytes back.
    pub decode: fn(EventKind, &[u8]) -> Result<Event, Error>,
    /// First half of the SHA-256 of the typed request.
    pub digest: fn(&Command) -> [u8; 16],
    /// Path of the first field in which a request differs from the one that made a stored event; none when
    /// they are the same.
    pub differs: fn(EventKind, &[u8], &Command) -> Option<String>,
    /// Encodes a change of the operations side.
    pub encode_change: fn(&Change) -> Vec<u8>,
    /// Path of the first field in which a request differs from the one that made a stored event; none when they
    /// are the same.
    pub request_differs: fn(EventKind, &[u8], &Request) -> Option<String>,
    /// What the event of a change says of the name that was given to a member with it; none when it is of no member.
    pub recorded_name: fn(&[u8]) -> Option<RecordedName>,
    /// Encodes the event of a report that was received.
    pub encode_report: fn(&StoredReport) -> Vec<u8>,
    /// Encodes the request for a safety stop, as a caller sends it.
    pub encode_halt: fn(&Halt) -> Vec<u8>,
    /// Reads the content of a stored report.
    pub read_report: fn(&[u8]) -> Result<FieldReport, Error>,
    /// Encodes the event of a file that became whole: which file, whose reports waited for it, and which of them it
    /// holds.
    pub encode_attachment: fn(&NewAttachment, &[ReportId], &[ReportId]) -> Vec<u8>,
    /// Path of the first field in which two reports differ.
    pub report_differs: fn(&[u8], &[u8]) -> Option<String>,
    /// SHA-256 of what the content of a report tells, whatever its ids and its clock: of a claim the receipt (payee,
    /// reference and amount), of the others body and note.
    pub report_tells: fn(&[u8]) -> Result<[u8; 32], Error>,
    /// The victims whom the content of a report names.
    pub victims_of_report: fn(&[u8]) -> Result<Vec<VictimId>, Error>,
}
