//! Columns that several statements read.

use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::field_report::{Hold, HoldReason};
use crate::error::Error;
use crate::store::rows::{corrupt, word};

/// Reasons of a quarantine, side by side.
#[derive(FromRow)]
#[expect(clippy::struct_field_names, reason = "they are names of columns beside others")]
pub(super) struct HoldRows {
    hold_reasons: Vec<String>,
    hold_texts: Vec<String>,
    hold_subjects: Vec<Uuid>,
}

impl HoldRows {
    pub(super) fn read(self) -> Result<Vec<Hold>, Error> {
        let each = self.hold_reasons.iter().zip(self.hold_texts).zip(self.hold_subjects);
        each.map(|((reason, text), subject)| {
            Ok(Hold { reason: reason_of(reason)?, text, subject: Some(subject).filter(|id| !id.is_nil()) })
        })
        .collect()
    }
}

pub(super) fn reason_of(text: &str) -> Result<HoldReason, Error> {
    word("hold_reasons", text, HoldReason::from_word)
}

pub(super) fn sha256(bytes: Vec<u8>) -> Result<[u8; 32], Error> {
    bytes.try_into().map_err(|_| corrupt("content_sha256")("is not 32 bytes".to_owned()))
}
