//! What a run found.

use std::collections::BTreeMap;

/// Something that must not be, and the check that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) check: Check,
    pub(crate) told: String,
}

/// The checks, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Check {
    /// An acknowledged entry is not in the journal.
    AcknowledgedIsKept,
    /// An answer is not what the journal keeps.
    AnswerIsWhatIsKept,
    /// An entry that was always refused is in the journal.
    RefusedIsNotKept,
    /// An id is in the journal twice.
    KeptOnce,
    /// The journal has an entry that nobody posted.
    KeptWasPosted,
    /// Revisions have no gap.
    RevisionsHaveNoGap,
    /// What was answered before another was asked for has the smaller revision.
    RealTimeOrder,
    /// The journal has an entry that the model refuses.
    AcceptanceIsRight,
    /// Balances are those of the model.
    BalancesAreRight,
    /// A refusal is right in some state that the call can have met.
    RefusalIsRight,
    /// What a client sees: answers in order, one for each entry, in time.
    ClientIsServed,
    /// `ListEntries` tells the journal.
    ListTellsTheJournal,
    /// The budget stream tells the journal.
    StreamTellsTheJournal,
    /// `VerifyLedger` and the audit hold.
    LedgerHolds,
    /// No call is answered with INTERNAL.
    NoFault,
}

/// What a run proved: nothing, or the findings.
pub(crate) type Verdict = Result<(), String>;

impl Check {
    /// A finding of this check.
    pub(crate) fn broken(self, told: impl Into<String>) -> Finding {
        Finding { check: self, told: told.into() }
    }
}

/// Turns findings into a verdict: how many each check has, with an example.
pub(crate) fn conclude(findings: Vec<Finding>) -> Verdict {
    let mut by_check: BTreeMap<Check, Vec<String>> = BTreeMap::new();
    for finding in findings {
        by_check.entry(finding.check).or_default().push(finding.told);
    }
    if by_check.is_empty() {
        return Ok(());
    }
    let lines =
        by_check.iter().map(|(check, told)| format!("\n  {check:?}, {} times: {}", told.len(), told[0]));
    Err(lines.collect())
}
