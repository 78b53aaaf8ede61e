//! The budget stream: begin, snapshot, then changes, with progress in quiet times.
//!
//! One task a stream reads and sends through a bounded queue; a reader that is slow slows only its own
//! task. In STATE delivery that task reads the newest rows when it gets to it, so states in between are
//! skipped; in ENTRIES delivery it pages the journal, so nothing is. No connection is held while it waits.

mod follow;

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::app::App;
use crate::app::following::QUEUE_LEN;
use crate::app::report::{AsOf, ReportQuery, read, resolve};
use crate::app::token::Filter;
use crate::domain::caller::Caller;
use crate::domain::currency::Currency;
use crate::domain::ids::{AllocationId, PeriodId};
use crate::domain::kind::Kind;
use crate::domain::program::Period;
use crate::domain::refusal::Refusal;
use crate::domain::report::{ReportRow, Totals};
use crate::error::Error;
use crate::store::journal::find_heads;

use follow::Follower;

/// A place in a stream, as tokens keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The snapshot was not complete: whoever resumes here gets one anew.
    UnfinishedSnapshot,
    /// Everything up to `at` was sent; `previous` is the revision of the entry that was sent last, or where
    /// the stream began.
    After { at: i64, previous: i64 },
}

impl Place {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::UnfinishedSnapshot => Vec::new(),
            Self::After { at, previous } => [at.to_be_bytes(), previous.to_be_bytes()].concat(),
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let revision = |part: &[u8]| part.try_into().ok().map(i64::from_be_bytes);
        match bytes.len() {
            0 => Some(Self::UnfinishedSnapshot),
            16 => Some(Self::After { at: revision(&bytes[..8])?, previous: revision(&bytes[8..])? }),
            _ => None,
        }
    }
}

/// How changes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The newest rows.
    State,
    /// Every entry.
    Entries,
}

/// Where a stream begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With a snapshot of the present.
    Latest,
    /// After a message that was received before.
    Resume(String),
    /// After a revision.
    After(i64),
}

/// What to stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamQuery {
    /// The rows to follow.
    pub report: ReportQuery,
    /// How changes are told.
    pub delivery: Delivery,
    /// Where to begin.
    pub start: Start,
    /// Ends the stream after this revision.
    pub until: Option<i64>,
    /// The longest silence.
    pub progress_interval: Duration,
    /// The least time between two reports.
    pub min_update_interval: Duration,
}

impl StreamQuery {
    /// Says what a resume token of this stream continues.
    #[must_use]
    pub fn bound(&self) -> Filter {
        let delivery = match self.delivery {
            Delivery::State => b"state".as_slice(),
            Delivery::Entries => b"entries".as_slice(),
        };
        Filter::of(&[
            b"budget",
            delivery,
            self.report.program.uuid().as_bytes(),
            self.report.period.map(PeriodId::uuid).unwrap_or_default().as_bytes(),
            self.report.allocation.map(AllocationId::uuid).unwrap_or_default().as_bytes(),
        ])
    }
}

/// One message, with the token that continues after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Continues right after this message.
    pub resume_token: String,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Always first.
    Begin {
        /// Where the stream begins.
        revision: i64,
        /// Names the history.
        feed_epoch: uuid::Uuid,
        /// The longest silence.
        progress_interval: Duration,
        /// The currency of every amount.
        currency: Currency,
    },
    /// A part of the rows.
    Snapshot(Vec<ReportRow>),
    /// Closes the snapshot.
    SnapshotEnd {
        /// Of every row.
        revision: i64,
        /// In all parts.
        row_count: usize,
        /// Sums.
        totals: Totals,
    },
    /// The newest state of rows that changed.
    Report {
        /// Of the rows.
        revision: i64,
        /// What changed.
        rows: Vec<ReportRow>,
        /// Sums.
        totals: Totals,
    },
    /// An entry, as the journal keeps it.
    Entry {
        /// The stored bytes.
        payload: Bytes,
        /// Of the entry that this stream sent before.
        previous_revision: i64,
    },
    /// Everything up to this revision was sent.
    Progress {
        /// Up to here.
        revision: i64,
        /// Since the journal was last looked at.
        lag: Duration,
    },
    /// A period was opened, expired or closed.
    PeriodChanged {
        /// Of the change.
        revision: i64,
        /// After it.
        period: Period,
    },
    /// Last message of a stream that the server ends.
    Reconnect {
        /// How long to wait first.
        after: Duration,
    },
}

impl App {
    /// Opens a stream. Everything that can be refused is refused here, before the first message.
    ///
    /// # Errors
    /// `NotFound` for what the caller may not see; a refusal for a position that does not exist; a quota
    /// when the caller has too many streams open.
    pub async fn stream_budget_report(
        &self,
        caller: &Caller,
        query: StreamQuery,
    ) -> Result<mpsc::Receiver<Result<Message, Error>>, Error> {
        let program = self.program(caller, query.report.program).await?;
        let seat = self.take_seat(caller)?;
        let bound = query.bound();
        let after = match &query.start {
            Start::Latest => None,
            Start::After(revision) => Some((*revision, *revision)),
            Start::Resume(token) => {
                let bytes = self.sealer.open_resume(bound, token)?;
                match Place::read(&bytes).ok_or(Error::ResumeToken)? {
                    Place::UnfinishedSnapshot => None,
                    Place::After { at, previous } => Some((at, previous)),
                }
            }
        };
        let report = query.report;
        let (scope, head, reading) = self
            .store
            .snapshot(move |conn| {
                Box::pin(async move {
                    let scope = resolve(&mut *conn, report).await?;
                    let Some((requested, previous)) = after else {
                        let reading = read(conn, &scope, AsOf::Latest).await?;
                        return Ok((scope, reading.revision, Ok(reading)));
                    };
                    let heads = find_heads(conn, &[report.program.uuid()]).await?;
                    let head =
                        heads.first().ok_or_else(|| Error::not_found(Kind::Program, report.program))?;
                    if head.revision < requested {
                        return Err(Refusal::RevisionAhead { requested, revision: head.revision }.into());
                    }
                    Ok((scope, head.revision, Err((requested, previous))))
                })
            })
            .await?;
        let (sender, receiver) = mpsc::channel(QUEUE_LEN);
        let follower = Follower::new(self.clone(), query, scope, bound, program.currency, sender);
        let task = async move {
            follower.run(reading, head).await;
            drop(seat);
        };
        tokio::spawn(task.in_current_span());
        Ok(receiver)
    }
}
