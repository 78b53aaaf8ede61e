//! What clients did and heard: every attempt to post an entry, when it began, and when and how it ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use prost::Message as _;
use safelane::rpc::pb;
use safelane::rpc::pb::post_entries_response::Outcome;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::evidence::finding::{Check, Finding};

/// How an attempt ended.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "most answers are the large one")]
pub(crate) enum Answer {
    Accepted(pb::PostEntryResponse),
    /// The service says no, and has written nothing for this attempt.
    Refused(Refused),
    /// No answer came, or one that says that the entry may be sent again. It may be written or not.
    Unknown(Code, String),
    /// The service says that it is at fault, which it never should.
    Fault(String),
}

/// A refusal as clients read it.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) reason: String,
    pub(crate) facts: HashMap<String, String>,
}

impl Answer {
    pub(crate) fn of(answer: Result<pb::PostEntryResponse, Status>) -> Self {
        match answer {
            Ok(accepted) => Self::Accepted(accepted),
            Err(status) => Self::of_status(&status),
        }
    }

    /// An answer in a stream. None when the message holds no outcome.
    pub(crate) fn of_streamed(outcome: Option<Outcome>) -> Self {
        match outcome {
            Some(Outcome::Accepted(accepted)) => match accepted.read() {
                Ok(accepted) => Self::Accepted(accepted),
                Err(told) => Self::Fault(format!("an accepted entry that cannot be read: {told}")),
            },
            Some(Outcome::Refused(refused)) => Self::of_status(&as_status(&refused)),
            None => Self::Fault("an answer without an outcome".to_owned()),
        }
    }

    fn of_status(status: &Status) -> Self {
        use Code::{Aborted, Cancelled, DeadlineExceeded, Internal, Unavailable};
        let details = status.get_error_details();
        let Some(info) = details.error_info() else {
            // Not the service's words: the client's own library lost the connection.
            return Self::Unknown(status.code(), status.message().to_owned());
        };
        let reason = info.reason.strip_prefix("ERROR_REASON_").unwrap_or(&info.reason).to_owned();
        match status.code() {
            Unavailable | DeadlineExceeded | Aborted | Cancelled => Self::Unknown(status.code(), reason),
            Internal => Self::Fault(format!("{}: {}", status.message(), reason)),
            _ => Self::Refused(Refused { reason, facts: info.metadata.clone() }),
        }
    }

    /// In a few words, for a finding.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Accepted(posted) => format!("accepted at revision {}", posted.revision),
            Self::Refused(refused) => format!("refused: {}", refused.reason),
            Self::Unknown(code, told) => format!("unknown: {code:?}, {told}"),
            Self::Fault(told) => format!("a fault: {told}"),
        }
    }

    pub(crate) const fn is_settled(&self) -> bool {
        !matches!(self, Self::Unknown(..))
    }
}

/// A refusal in a stream as the status that it stands for.
pub(crate) fn as_status(refused: &tonic_types::Status) -> Status {
    let details = refused.encode_to_vec().into();
    Status::with_details(Code::from(refused.code), refused.message.clone(), details)
}

/// One attempt to post an entry.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) entry: pb::Entry,
    pub(crate) invoked: Instant,
    pub(crate) answered: Instant,
    pub(crate) answer: Answer,
}

/// Everything that the clients of a run did. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct History(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    attempts: Vec<Attempt>,
    complaints: Vec<String>,
}

impl History {
    /// Keeps an attempt that ends now.
    pub(crate) fn record(&self, entry: pb::Entry, invoked: Instant, answer: Answer) {
        let attempt = Attempt { entry, invoked, answered: Instant::now(), answer };
        self.0.lock().expect("no panic").attempts.push(attempt);
    }

    /// Keeps something that a client saw and that must not happen.
    pub(crate) fn complain(&self, about: String) {
        self.0.lock().expect("no panic").complaints.push(about);
    }

    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.0.lock().expect("no panic").attempts.clone()
    }

    pub(crate) fn complaints(&self) -> Vec<Finding> {
        let complaints = self.0.lock().expect("no panic").complaints.clone();
        complaints.into_iter().map(|told| Check::ClientIsServed.broken(told)).collect()
    }

    /// How many attempts were accepted, refused, and left open.
    pub(crate) fn tally(&self) -> (usize, usize, usize) {
        let attempts = self.attempts();
        let count =
            |wanted: fn(&Answer) -> bool| attempts.iter().filter(|attempt| wanted(&attempt.answer)).count();
        (
            count(|answer| matches!(answer, Answer::Accepted(_))),
            count(|answer| matches!(answer, Answer::Refused(_))),
            count(|answer| matches!(answer, Answer::Unknown(..))),
        )
    }
}
