//! Columns that several statements read.

use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::field_report::review::{Remark, Reviewed};
use crate::domain::field_report::{Hold, HoldReason};
use crate::domain::text::{Reason, Text};
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

/// What was decided about a report last.
#[derive(FromRow)]
pub(super) struct ReviewedRows {
    remark_fields: Vec<String>,
    remark_texts: Vec<String>,
    reviewed_by: String,
    reviewed_at: Option<jiff_sqlx::Timestamp>,
    decision: String,
}

impl ReviewedRows {
    pub(super) fn read(self, approved_version: Option<i32>) -> Result<Reviewed, Error> {
        let remarks = self.remark_fields.iter().zip(&self.remark_texts).map(|(field, text)| {
            Ok(Remark {
                field: Text::parse(field).map_err(corrupt("remark_fields"))?,
                text: Reason::parse(text).map_err(corrupt("remark_texts"))?,
            })
        });
        Ok(Reviewed {
            by: self.reviewed_by,
            at: self.reviewed_at.map(jiff_sqlx::Timestamp::to_jiff),
            decision: self.decision,
            remarks: remarks.collect::<Result<_, Error>>()?,
            approved_version,
        })
    }
}

pub(super) fn reason_of(text: &str) -> Result<HoldReason, Error> {
    word("hold_reasons", text, HoldReason::from_word)
}

pub(in crate::store) fn sha256(bytes: Vec<u8>) -> Result<[u8; 32], Error> {
    bytes.try_into().map_err(|_| corrupt("content_sha256")("is not 32 bytes".to_owned()))
}
