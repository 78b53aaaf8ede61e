//! Known bugs that tests switch on, to show that the evidence in `tests/it/evidence` would notice them.
//!
//! A debug build reads `SAFELANE_SEEDED_BUG` once. In a release build [`seeded`] is a constant `false`, so that
//! the compiler removes every place that asks.

/// A bug that can be switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Outcomes are sent before the transaction commits.
    AcknowledgeBeforeCommit,
    /// Heads are read without their lock.
    ForgetHeadLock,
    /// Pages of the journal come in the order of request ids instead of revisions.
    IdOrderedFeed,
    /// The id of an entry is not looked up, so that a retry is judged anew.
    SkipReplayCheck,
    /// The working set in memory is used although another replica has moved the head.
    TrustStaleWorkingSet,
    /// The working set is kept after a transaction that failed or whose outcome is unknown.
    KeepWorkingSetAfterFailure,
    /// A group of streamed answers is sent in reverse.
    AnswersOutOfOrder,
    /// A batch that fails because of one entry is not split: all of it gets the error.
    OneBadEntryFailsAll,
    /// The limits of the queue are not checked.
    QueueWithoutBounds,
    /// Entries that wait when the client half-closes are dropped.
    HalfCloseDropsWaiting,
    /// The same id with other content is answered as a replay.
    OtherContentIsAReplay,
    /// An entry is not refused for lack of available money.
    Overspend,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Self; 12] = [
        Self::AcknowledgeBeforeCommit,
        Self::ForgetHeadLock,
        Self::IdOrderedFeed,
        Self::SkipReplayCheck,
        Self::TrustStaleWorkingSet,
        Self::KeepWorkingSetAfterFailure,
        Self::AnswersOutOfOrder,
        Self::OneBadEntryFailsAll,
        Self::QueueWithoutBounds,
        Self::HalfCloseDropsWaiting,
        Self::OtherContentIsAReplay,
        Self::Overspend,
    ];

    /// Its name in `SAFELANE_SEEDED_BUG`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AcknowledgeBeforeCommit => "acknowledge-before-commit",
            Self::ForgetHeadLock => "forget-head-lock",
            Self::IdOrderedFeed => "id-ordered-feed",
            Self::SkipReplayCheck => "skip-replay-check",
            Self::TrustStaleWorkingSet => "trust-stale-working-set",
            Self::KeepWorkingSetAfterFailure => "keep-working-set-after-failure",
            Self::AnswersOutOfOrder => "answers-out-of-order",
            Self::OneBadEntryFailsAll => "one-bad-entry-fails-all",
            Self::QueueWithoutBounds => "queue-without-bounds",
            Self::HalfCloseDropsWaiting => "half-close-drops-waiting",
            Self::OtherContentIsAReplay => "other-content-is-a-replay",
            Self::Overspend => "overspend",
        }
    }
}

/// Whether a bug is switched on. An unknown name in `SAFELANE_SEEDED_BUG` stops the process.
#[cfg(debug_assertions)]
#[must_use]
pub fn seeded(bug: Bug) -> bool {
    static CHOSEN: std::sync::LazyLock<Option<Bug>> = std::sync::LazyLock::new(chosen);
    *CHOSEN == Some(bug)
}

/// Whether a bug is switched on: never in this build.
#[cfg(not(debug_assertions))]
#[must_use]
pub const fn seeded(_bug: Bug) -> bool {
    false
}

#[cfg(debug_assertions)]
#[expect(clippy::exit, clippy::print_stderr, reason = "a test that seeds a misspelt bug would prove nothing")]
fn chosen() -> Option<Bug> {
    let name = std::env::var("SAFELANE_SEEDED_BUG").ok()?;
    let found = Bug::ALL.into_iter().find(|bug| bug.name() == name);
    if found.is_none() {
        let known = Bug::ALL.map(Bug::name).join(", ");
        eprintln!("SAFELANE_SEEDED_BUG is {name:?}, which is not one of: {known}");
        std::process::exit(2);
    }
    found
}
