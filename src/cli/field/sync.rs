//! Bringing the outbox to the service, over links that break.
//!
//! A sync is rounds with waits between them. A round has a connection of its own, and does in this order what can be
//! done: it hears what the service has of the numbering; it sends reports and takes the team feed, both at once; then it
//! uploads files, the smallest first. Whatever was acknowledged is noted at once, so a round goes on where the one
//! before was cut, in this process or in another.
//!
//! Nothing counts as a success but an answer that names a report and the hash of its content: whoever sits between may
//! answer anything.

mod fate;
mod files;
mod flying;
mod reports;
mod rounds;

use std::time::Duration;

use tonic::Status;

use crate::error::StartError;

pub use rounds::{sync, take_feed};

/// Bytes of reports that are sent without an answer; one report may be larger.
const BYTES_IN_FLIGHT: usize = 1_024 * 1_024;

/// How hard a sync tries.
#[derive(Debug, Clone)]
pub struct Pace {
    /// How long an answer may take before the connection counts as dead.
    pub patience: Duration,
    /// Bytes a second of the slowest link that is not dead: what is on its way makes an answer so much later.
    pub slowest_link: usize,
    /// The first wait after a cut; each next one is twice as long, until something arrives.
    pub first_wait: Duration,
    /// The longest such wait.
    pub last_wait: Duration,
    /// Reports that are sent without an answer.
    pub in_flight: usize,
    /// Bytes of a file that are sent without an answer: what a cut can cost.
    pub unanswered_bytes: usize,
    /// Whether the team feed is taken as well.
    pub feed: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(20),
            slowest_link: 1_000,
            first_wait: Duration::from_millis(500),
            last_wait: Duration::from_mins(1),
            in_flight: 64,
            unanswered_bytes: 64 * 1_024,
            feed: true,
        }
    }
}

impl Pace {
    /// How long anything may take, behind all that can be on its way.
    pub(super) fn longest(&self) -> Duration {
        self.within(self.unanswered_bytes.max(BYTES_IN_FLIGHT))
    }

    /// How long an answer may take when so many bytes are on their way.
    fn within(&self, bytes: usize) -> Duration {
        let seconds = bytes / self.slowest_link.max(1);
        self.patience + Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX))
    }
}

/// When a sync ends that could not bring everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After one round.
    Once,
    /// After so long.
    Elapsed(Duration),
}

/// What a sync did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rounds that were begun.
    pub rounds: u64,
    /// Connections that broke, or whose answers did not come.
    pub cuts: u64,
    /// Versions that were acknowledged.
    pub acknowledged: u64,
    /// Of those, and of those that are kept in part, versions in quarantine.
    pub held: u64,
    /// Versions that were refused for good.
    pub refused: u64,
    /// Answers that did not name what was sent, and counted for nothing.
    pub foreign: u64,
    /// Files that the service has now and did not have before.
    pub files: u64,
    /// Bytes of files that were sent.
    pub sent_bytes: u64,
    /// Of those, bytes that had been sent before.
    pub again_bytes: u64,
    /// The most bytes that were sent again after one cut.
    pub again_bytes_max: u64,
    /// Reports and files that still wait.
    pub left: u64,
    /// Reports that arrived, whose details of victims the service does not keep.
    pub details_left: u64,
    /// Reports that the service keeps in part, since it does not know all their fields.
    pub partly_left: u64,
    /// Why the team feed was refused; empty when it was not.
    pub feed_refused: String,
    /// Why the last round did not bring everything; empty when it did.
    pub trouble: String,
}

/// What a sync tells while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A round begins.
    Round {
        /// Reports that wait.
        reports: u64,
        /// Files that wait.
        files: u64,
        /// Bytes of those that the service does not have.
        bytes: u64,
    },
    /// A report was acknowledged.
    Acknowledged {
        /// Reference for radio and paper.
        reference: String,
        /// Why it is held, in words; empty when it is not.
        held: Vec<String>,
        /// Why the details of its victims are not kept, in words; empty when they are.
        details: String,
        /// What became of the safety stop that it asks for; empty when it asks for none.
        halt: String,
    },
    /// The service keeps a report in part, which waits here whole.
    Partly {
        /// The report.
        report_id: String,
        /// What is to be done, in words.
        told: String,
        /// Why it is held, in words; empty when it is not.
        held: Vec<String>,
        /// Why the details of its victims are not kept, in words; empty when they are.
        details: String,
        /// What became of the safety stop that it asks for; empty when it asks for none.
        halt: String,
    },
    /// The service, which kept a report in part, knows more now: the whole of it becomes a new version.
    Anew {
        /// The report.
        report_id: String,
    },
    /// A report was refused.
    Refused {
        /// The report.
        report_id: String,
        /// Why, in words.
        told: String,
    },
    /// More of a file is with the service.
    Durable {
        /// How much more.
        bytes: u64,
    },
    /// A file is with the service.
    Uploaded {
        /// Its hash in hexadecimal digits.
        sha256: String,
    },
    /// A file cannot be uploaded.
    Broken {
        /// Which, why, and what is to be done, in words.
        told: String,
    },
    /// A safety stop is in force.
    Stop {
        /// The stop in words.
        told: String,
    },
    /// A round ended before everything arrived.
    Cut {
        /// Why.
        told: String,
        /// How long until the next round; none when there is none.
        wait: Option<Duration>,
    },
}

/// Where events go.
pub type Tell = dyn Fn(Event) + Send + Sync;

/// Why a round ended early.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The link or the service is at fault, and another round may help; not before the delay, if the service gave one.
    Link(String, Option<Duration>),
    /// The service put off a report or a file and took the others. Another round may help, not before the delay.
    PutOff(String, Option<Duration>),
    /// The service refuses this one thing.
    Refused(String),
    /// Another round would not help.
    Stop(String),
    /// This device is at fault.
    Device(StartError),
}

impl From<StartError> for Trouble {
    fn from(error: StartError) -> Self {
        Self::Device(error)
    }
}

impl From<Status> for Trouble {
    fn from(status: Status) -> Self {
        match fate::of_status(&status) {
            fate::Fate::Denied(told) => Self::Stop(told),
            fate::Fate::Final(told, _) => Self::Refused(told),
            fate::Fate::PutOff(told, wait) => Self::PutOff(told, wait),
            fate::Fate::Later(told, wait) => Self::Link(told, wait),
        }
    }
}
