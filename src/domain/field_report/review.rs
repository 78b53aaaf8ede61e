//! The way of a report through its review: `RECEIVED | HELD → UNDER_REVIEW → APPROVED | RETURNED | REJECTED`. What is
//! approved is changed only by an amendment, which has a review of its own, or voided.

use jiff::Timestamp;

use crate::domain::field_report::ReportState;
use crate::domain::field_report::credit::Credit;
use crate::domain::field_report::filing::KnownReport;
use crate::domain::ids::ReportId;
use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;
use crate::domain::text::{Reason, Text};

/// The most remarks of one return.
pub const REMARKS_MAX: usize = 50;

/// What a reviewer says about a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Path of the field in the report; empty for the whole.
    pub field: Text<0, 200>,
    /// What to change.
    pub text: Reason,
}

/// What a reviewer decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The caller reviews it.
    Take,
    /// It counts. The reason is why something that stands against it was looked past.
    Approve(Option<Reason>),
    /// The team is to send a new version.
    Return(Vec<Remark>),
    /// It does not count.
    Reject(Reason),
    /// It counts no more.
    Void(Reason),
}

/// What was decided about a report last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reviewed {
    /// Who decided; empty before anybody did.
    pub by: String,
    /// When.
    pub at: Option<Timestamp>,
    /// In words.
    pub decision: String,
    /// Remarks of the last return.
    pub remarks: Vec<Remark>,
    /// The version that counts, if one does.
    pub approved_version: Option<i32>,
}

/// One decision about a report, as the operator's journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The report.
    pub report: ReportId,
    /// The version that was judged.
    pub version: i32,
    /// SHA-256 of that version.
    pub content_sha256: [u8; 32],
    /// Where the report is after it.
    pub state: ReportState,
    /// What was decided, by whom and when.
    pub reviewed: Reviewed,
    /// What it counts for now, if it was approved and counts for a program.
    pub credit: Option<Credit>,
}

impl Decision {
    /// What a report cannot do when the decision is refused.
    const fn phrase(&self) -> &'static str {
        match self {
            Self::Take => "be taken",
            Self::Approve(_) => "be approved",
            Self::Return(_) => "be returned",
            Self::Reject(_) => "be rejected",
            Self::Void(_) => "be voided",
        }
    }

    const fn allowed_from(&self) -> &'static [ReportState] {
        use ReportState::{Approved, Held, Received, Returned, UnderReview};
        match self {
            // Whoever takes it from another reviewer says so by taking it.
            Self::Take | Self::Approve(_) | Self::Return(_) => &[Received, Held, UnderReview],
            Self::Reject(_) => &[Received, Held, UnderReview, Returned],
            Self::Void(_) => &[Approved],
        }
    }

    /// The reason that was given; empty for none.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Take | Self::Return(_) | Self::Approve(None) => "",
            Self::Approve(Some(reason)) | Self::Reject(reason) | Self::Void(reason) => reason.as_str(),
        }
    }
}

/// The state to which a decision brings a report. A rejected amendment leaves what was approved before.
///
/// # Errors
/// `WrongState` names the states in which the decision is possible.
pub fn next(report: &KnownReport, decision: &Decision) -> Result<ReportState, Refusal> {
    let allowed = decision.allowed_from();
    if !allowed.contains(&report.state) {
        return Err(wrong_state(report, decision.phrase(), allowed));
    }
    Ok(match decision {
        Decision::Take => ReportState::UnderReview,
        Decision::Approve(_) => ReportState::Approved,
        Decision::Return(_) => ReportState::Returned,
        Decision::Reject(_) if report.approved_version.is_some() => ReportState::Approved,
        Decision::Reject(_) => ReportState::Rejected,
        Decision::Void(_) => ReportState::Voided,
    })
}

/// Refuses to amend what does not count.
///
/// # Errors
/// `WrongState` for a report of which no version is approved.
pub fn expect_amendable(report: &KnownReport) -> Result<(), Refusal> {
    if report.approved_version.is_some() {
        return Ok(());
    }
    Err(wrong_state(report, "be amended", &[ReportState::Approved]))
}

fn wrong_state(report: &KnownReport, action: &'static str, allowed: &[ReportState]) -> Refusal {
    Refusal::WrongState {
        kind: Kind::Report,
        id: report.id.uuid(),
        state: report.state.word(),
        action,
        allowed: allowed.iter().map(|state| state.word()).collect(),
    }
}

/// Refuses a reviewer who sent a version of the report.
///
/// # Errors
/// `OwnReport` then.
pub fn expect_other(report: ReportId, senders: &[String], reviewer: &str) -> Result<(), Refusal> {
    if senders.iter().any(|sender| sender == reviewer) { Err(Refusal::OwnReport(report)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::field_report::filing::tests::known;
    use crate::domain::field_report::quarantine::tests::report;

    fn in_state(state: ReportState, approved_version: Option<i32>) -> KnownReport {
        KnownReport { state, approved_version, ..known(&report(), 1, Vec::new()) }
    }

    fn decisions() -> [Decision; 5] {
        let reason = || Reason::parse("because").unwrap();
        [
            Decision::Take,
            Decision::Approve(None),
            Decision::Return(Vec::new()),
            Decision::Reject(reason()),
            Decision::Void(reason()),
        ]
    }

    #[test]
    fn every_decision_in_every_state() {
        use ReportState::{Approved, Rejected, Returned, UnderReview, Voided};
        let waiting = [Some(UnderReview), Some(Approved), Some(Returned), Some(Rejected), None];
        for state in ReportState::ALL {
            let expected = match state {
                ReportState::Received | ReportState::Held | ReportState::UnderReview => waiting,
                ReportState::Returned => [None, None, None, Some(Rejected), None],
                ReportState::Approved => [None, None, None, None, Some(Voided)],
                ReportState::Rejected | ReportState::Voided => [None; 5],
            };
            for (decision, expected) in decisions().iter().zip(expected) {
                assert_eq!(next(&in_state(*state, None), decision).ok(), expected, "{state} {decision:?}");
            }
        }
    }

    #[test]
    fn a_rejected_amendment_leaves_what_was_approved() {
        let waits = in_state(ReportState::Received, Some(1));
        assert_eq!(next(&waits, &decisions()[3]), Ok(ReportState::Approved));
        assert!(expect_amendable(&waits).is_ok());
        assert!(expect_amendable(&in_state(ReportState::Received, None)).is_err());
    }

    #[test]
    fn nobody_reviews_what_they_sent() {
        let (id, senders) = (report().id, ["tablet-7".to_owned(), "amira".to_owned()]);
        assert_eq!(expect_other(id, &senders, "amira"), Err(Refusal::OwnReport(id)));
        assert_eq!(expect_other(id, &senders, "joao"), Ok(()));
    }
}
