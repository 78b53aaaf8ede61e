//! The error vocabulary of the whole service.
//!
//! [`Error`] is what a use case answers when it cannot do what was asked. `rpc/status.rs` holds the only
//! table from it to gRPC codes. [`StartError`] is what stops the process before it serves; it is printed
//! to the operator as one line.

use std::fmt;
use std::time::Duration;

use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;

/// One bad field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path in the request message, such as `entry.expend.amount.currency_code`.
    pub field: String,
    /// What the value was, which rule it broke and what is allowed.
    pub rule: String,
}

/// Every bad field of one request, so that a caller mends them in one go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Notes one bad field.
    pub fn add(&mut self, field: impl Into<String>, rule: impl Into<String>) {
        self.0.push(Violation { field: field.into(), rule: rule.into() });
    }

    /// The violations in the order in which they were found.
    #[must_use]
    pub fn list(&self) -> &[Violation] {
        &self.0
    }

    /// Passes when nothing was noted.
    pub fn check(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self)) }
    }

    /// An error for a single bad field.
    pub fn one(field: impl Into<String>, rule: impl Into<String>) -> Error {
        let mut violations = Self::default();
        violations.add(field, rule);
        Error::Invalid(violations)
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", violation.field, violation.rule)?;
        }
        Ok(())
    }
}

/// Why the service cannot take a call right now. Retrying with the same id is always safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// The database cannot be reached or has no free connection.
    Database,
    /// The write may or may not have happened: the connection was lost while it was committed, the database did
    /// not answer in time, or the writer failed in the middle.
    OutcomeUnknown,
    /// The service is shutting down.
    Draining,
    /// A bounded queue is full.
    Overloaded,
    /// The store of attachments fails, or is full.
    Files,
}

/// What a caller is told of it, with the way out.
const fn away(away: Away) -> &'static str {
    match away {
        Away::Database => "the database cannot be reached; send the same request again",
        Away::OutcomeUnknown => {
            "the outcome is unknown; send the same request again under the same id to learn it"
        }
        Away::Draining => "this server is shutting down; connect again and send the same request",
        Away::Overloaded => "too many calls are waiting; send the same request again after the delay",
        Away::Files => "the store of attachments cannot be used now; send the rest again after the delay",
    }
}

/// What a use case answers when it cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Malformed fields, all of them.
    #[error("{0}")]
    Invalid(Violations),
    /// No such thing, or none that the caller may see.
    #[error("{kind} {id} does not exist")]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// Its id as the caller gave it.
        id: String,
    },
    /// The id is taken by other content.
    #[error("{kind} {id} already exists with another {differs}")]
    AlreadyExists {
        /// What exists.
        kind: Kind,
        /// Its id.
        id: String,
        /// Path of the first field whose value differs.
        differs: String,
    },
    /// A rule says no.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The caller's `expected_revision` is not the current one.
    #[error("{kind} {id} is at revision {current}, not {expected}")]
    Stale {
        /// What was to be changed.
        kind: Kind,
        /// Its id.
        id: String,
        /// The revision that the caller expected.
        expected: i64,
        /// The revision that it has.
        current: i64,
    },
    /// Serialization conflicts beyond the retry limit.
    #[error("too many concurrent changes; send the same request again")]
    Contended,
    /// No token, or one that does not verify.
    #[error("a valid bearer token is required")]
    Unauthenticated,
    /// A page token that is not one of this list and these filters.
    #[error("the page token is not one of this list and these filters; start from the first page")]
    PageToken,
    /// A resume token that is not one of this stream and this filter.
    #[error("the resume token is not one of this stream and this filter; start from a snapshot")]
    ResumeToken,
    /// The caller's role does not allow the call.
    #[error("the caller's role does not allow this call")]
    Forbidden,
    /// A caller's quota is used up.
    #[error("{what} is limited to {max}")]
    Quota {
        /// What is limited.
        what: &'static str,
        /// The limit.
        max: u64,
    },
    /// A part of a request that is too large, now and later.
    #[error("{field}: has {size} bytes, and at most {max} are taken; {way_out}")]
    TooLarge {
        /// Path in the request message.
        field: &'static str,
        /// What is limited.
        what: &'static str,
        /// What it has.
        size: u64,
        /// The limit.
        max: u64,
        /// What the caller can do.
        way_out: &'static str,
    },
    /// A file that was stored and that the store has lost.
    #[error(
        "attachment {sha256} was stored, but the store has lost it; who still has the file uploads it again, and it is there"
    )]
    Lost {
        /// Its hash.
        sha256: String,
    },
    /// The service cannot take the call now.
    #[error("{}", away(*.0))]
    Unavailable(Away),
    /// The caller's deadline has passed. A write may still be done.
    #[error("the deadline has passed; sending a write again under the same id is safe")]
    DeadlineExceeded,
    /// A handler panicked, which was logged where it was caught.
    #[error("internal error")]
    Panicked,
    /// A bug or a broken invariant. The source is logged once and never leaves the process.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// A bug, told in words.
    pub fn bug(text: impl Into<String>) -> Self {
        Self::Internal(text.into().into())
    }

    /// Nothing of this kind has the id.
    pub fn not_found(kind: Kind, id: impl fmt::Display) -> Self {
        Self::NotFound { kind, id: id.to_string() }
    }

    /// The id is of something in another journal, so that this is no retry.
    pub fn id_elsewhere(kind: Kind, id: impl fmt::Display, differs: &str) -> Self {
        Self::AlreadyExists { kind, id: id.to_string(), differs: differs.to_owned() }
    }

    /// How long a caller should wait before it tries again, where trying again can help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable(Away::Overloaded | Away::OutcomeUnknown) => Some(Duration::from_millis(250)),
            Self::Unavailable(_) => Some(Duration::from_secs(1)),
            Self::Quota { .. } => Some(Duration::from_secs(5)),
            Self::Contended => Some(Duration::from_millis(50)),
            _ => None,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let taken = |kind, id: String| Self::AlreadyExists { kind, id, differs: "entry_id".to_owned() };
        match refusal {
            Refusal::UnknownPeriod(id) => Self::not_found(Kind::Period, id),
            Refusal::UnknownAllocation(id) => Self::not_found(Kind::Allocation, id),
            Refusal::UnknownReservation(id) => Self::not_found(Kind::Reservation, id),
            Refusal::UnknownObligation(id) => Self::not_found(Kind::Obligation, id),
            Refusal::UnknownEntry(id) => Self::not_found(Kind::Entry, id),
            Refusal::PeriodTaken(id) => taken(Kind::Period, id.to_string()),
            Refusal::ReservationTaken(id) => taken(Kind::Reservation, id.to_string()),
            Refusal::ObligationTaken(id) => taken(Kind::Obligation, id.to_string()),
            Refusal::AllocationTaken(id) => Self::AlreadyExists {
                kind: Kind::Allocation,
                id: id.to_string(),
                differs: "period_id".to_owned(),
            },
            Refusal::Stale { kind, id, expected, current } => Self::Stale { kind, id, expected, current },
            refusal => Self::Refused(Box::new(refusal)),
        }
    }
}

/// What stops the process from starting, or a command from finishing: one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting that cannot be used.
    #[error("{setting} is {value:?}: {allowed}")]
    Setting {
        /// The flag and its environment variable, such as `--listen (SAFELANE_LISTEN)`.
        setting: &'static str,
        /// What it was.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// Anything else, told in one line with the way out.
    #[error("{0}")]
    Refused(String),
}
