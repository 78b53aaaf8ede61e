//! Restatement: what was told of some days, what is known of them now, and why that is not the same.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::days::Days;
use crate::domain::field_report::credit::Credit;
use crate::domain::field_report::outputs::Outputs;
use crate::domain::ids::{AllocationId, ProgramId, ReportingPeriodId};
use crate::domain::text::Code;
use crate::domain::words::words;

words! {
    /// Why a figure of a frozen period changed.
    RestatementCause {
        /// A report was approved after the freeze.
        LateReport = "LATE_REPORT",
        /// An approved amendment brought a version in, or replaced it.
        Amended = "AMENDED",
        /// A report was voided.
        Voided = "VOIDED",
    }
}

/// Days of which figures were told to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportingPeriod {
    /// Its id.
    pub id: ReportingPeriodId,
    /// The program.
    pub program: ProgramId,
    /// Its short code, unique in the program.
    pub code: Code,
    /// Days of the work that it covers; they have an end.
    pub first_day: Date,
    /// The last one.
    pub last_day: Date,
    /// What was told.
    pub told: Outputs,
    /// Revision of the program's journal at which it was frozen.
    pub frozen_revision: i64,
    /// When.
    pub frozen_at: Timestamp,
    /// Who froze it.
    pub frozen_by: String,
}

/// What was told of an allocation, and what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestatedRow {
    /// The allocation.
    pub allocation: AllocationId,
    /// Its code.
    pub code: Code,
    /// When the period was frozen.
    pub told: Outputs,
    /// Now.
    pub known: Outputs,
}

/// A version that began or ceased to count after the freeze, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restated {
    /// The version, and what it counts for.
    pub credit: Credit,
    /// Why the report was amended by it; empty for what a device sent.
    pub amendment: String,
    /// Whether another version of the report took its place.
    pub replaced: bool,
    /// Revision of the program's journal at which it began to count.
    pub approved_revision: i64,
    /// Revision at which it ceased to.
    pub ended_revision: Option<i64>,
}

impl Restated {
    /// What it changes of what was told at a revision.
    #[must_use]
    pub fn difference(&self, frozen: i64) -> Outputs {
        let (nothing, counts) = (Outputs::default(), self.credit.outputs);
        match (frozen < self.approved_revision, self.ended_revision.is_some()) {
            (true, false) => counts,
            (false, true) => nothing.minus(&counts),
            // It came and went in between.
            (true, true) | (false, false) => nothing,
        }
    }

    /// Why, and in whose words.
    #[must_use]
    pub fn why(&self) -> (RestatementCause, &str) {
        match &self.credit.ended {
            Some(ended) if self.replaced => (RestatementCause::Amended, &ended.reason),
            Some(ended) => (RestatementCause::Voided, &ended.reason),
            None if self.amendment.is_empty() => (RestatementCause::LateReport, ""),
            None => (RestatementCause::Amended, &self.amendment),
        }
    }

    /// Revision of the last change.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.ended_revision.unwrap_or(self.approved_revision)
    }
}

/// What a restatement says, a page of its changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restatement {
    /// What was told.
    pub period: ReportingPeriod,
    /// Revision of the program's journal that it shows.
    pub revision: i64,
    /// By allocation.
    pub rows: Vec<RestatedRow>,
    /// Changes, the oldest first.
    pub changes: Vec<Restated>,
    /// The next page of changes.
    pub next: Option<String>,
}

impl Restatement {
    /// What is known now of all the days.
    #[must_use]
    pub fn known(&self) -> Outputs {
        self.rows.iter().fold(Outputs::default(), |sum, row| sum.plus(&row.known))
    }
}

/// The days of a period, if they have passed everywhere.
///
/// # Errors
/// Says what is wrong with them. `today` is the day where days end last.
pub fn check_days(days: Days, today: Date) -> Result<(Date, Date), String> {
    let first = days.first();
    match days.last() {
        None => Err("is missing; a reporting period has an end".to_owned()),
        Some(last) if today <= last => {
            Err(format!("{last} has not passed everywhere; it is still {today} in the west"))
        }
        Some(last) => Ok((first, last)),
    }
}
