//! Personal data of victims: kept apart from the reports that name them, and sealed.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::ids::{OrganizationId, ReportId, VictimId};

/// Details of a victim in the clear: an encoded message that only its reader and its sender see. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Details(pub Bytes);

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// What a sealed record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// The operator whose report it is.
    pub operator: OrganizationId,
    /// The report.
    pub report: ReportId,
    /// The version with which it came.
    pub version: i32,
    /// The victim.
    pub victim: VictimId,
}

/// Sealed bytes, and the name of the key that opens them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Names the key.
    pub key_id: String,
    /// Nonce and ciphertext.
    pub bytes: Vec<u8>,
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRecord {
    /// What it is about.
    pub about: About,
    /// The details.
    pub sealed: Sealed,
    /// When they came.
    pub stored_at: Timestamp,
}

/// What remains of a victim whose details were erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedVictim {
    /// The report.
    pub report: ReportId,
    /// The victim.
    pub victim: VictimId,
    /// Why.
    pub reason: String,
    /// Who did it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Revision of the operator's journal.
    pub revision: i64,
}

/// What is known of a victim, apart from the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VictimRecord {
    /// The details, the version with which they came, and when.
    Kept(VictimId, i32, Details, Timestamp),
    /// They were erased.
    Erased(ErasedVictim),
}

/// One reading of details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalAccess {
    /// The report.
    pub report: ReportId,
    /// Who read.
    pub subject: String,
    /// In which role.
    pub role: String,
    /// For which organization, if for one.
    pub reader: Option<Uuid>,
    /// For which purpose.
    pub purpose: String,
    /// When.
    pub at: Timestamp,
    /// Whose details were shown.
    pub victims: Vec<VictimId>,
}
