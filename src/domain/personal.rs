//! Personal data of victims and names of persons: kept apart from whatever refers to them, and sealed.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::ids::{OrganizationId, PersonId, ReportId, VictimId};
use crate::domain::text::Title;

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

/// Bytes of a person's salt.
pub const SALT_LEN: usize = 32;

/// Stands in the journal in place of a person's name.
pub type NameDigest = [u8; 32];

/// The name of a person, with the random bytes that were drawn once for the person. It is never shown by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonName {
    /// Goes into the digest. Without it nobody can try names against that.
    pub salt: [u8; SALT_LEN],
    /// The name.
    pub name: Title,
}

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl PersonName {
    /// What stands in the journal.
    #[must_use]
    pub fn digest(&self) -> NameDigest {
        digest_of(&self.salt, self.name.as_str())
    }
}

/// What stands in the journal in place of a name with a salt.
#[must_use]
pub fn digest_of(salt: &[u8; SALT_LEN], name: &str) -> NameDigest {
    let mut hash = Sha256::new();
    hash.update(b"safelane person name");
    hash.update(salt);
    hash.update(name.as_bytes());
    hash.finalize().into()
}

/// A name as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptName {
    /// While the service has no key.
    Plain(PersonName),
    /// Salt and name.
    Sealed(Sealed),
}

/// What the event of a change says of the name that was given with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedName {
    /// Its digest.
    Digest(Vec<u8>),
    /// The name itself, which only events hold that are older than digests.
    Plain(String),
}

/// What remains of a person whose name was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedPerson {
    /// The person.
    pub person: PersonId,
    /// Whose person it is.
    pub operator: OrganizationId,
    /// Why.
    pub reason: String,
    /// Who did it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Revision of the operator's journal.
    pub revision: i64,
}

/// One reading of details of victims, or of names of members by others than their operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalAccess {
    /// The report; none for names of members.
    pub report: Option<ReportId>,
    /// Who read.
    pub subject: String,
    /// In which role.
    pub role: String,
    /// For which organization, if for one.
    pub reader: Option<Uuid>,
    /// For which purpose; for names of members the method by which they were read.
    pub purpose: String,
    /// When.
    pub at: Timestamp,
    /// Whose details were shown.
    pub victims: Vec<VictimId>,
    /// Whose names were shown.
    pub persons: Vec<PersonId>,
}
