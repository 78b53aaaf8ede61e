//! The stream of an operator's reports for reviewers: a snapshot of those that match, and then each again whenever it
//! changed.
//!
//! Both are one walk through the reports in the order in which they changed last, `reports.revision`. A report that
//! changes moves to the end, so whoever goes on from a place misses nothing, and whoever was cut gets nothing twice. No
//! client is remembered, and no connection is held while the stream waits.

mod follow;
mod place;
mod read;

use std::time::Duration;

use tokio::sync::mpsc;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::app::App;
use crate::app::following::{Outlet, QUEUE_LEN};
use crate::app::token::Filter;
use crate::domain::caller::Caller;
use crate::domain::field_report::{ReportState, StoredReport};
use crate::domain::ids::{ReportId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;
use crate::error::Error;
use crate::store::field_report::changed::Followed;

use follow::Follower;
use place::Place;
use read::read_head;

/// What to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportsQuery {
    /// The reports.
    pub followed: Followed,
    /// Of any message received before; none starts with a snapshot.
    pub resume_token: Option<String>,
    /// The longest silence.
    pub progress_interval: Duration,
}

/// One message, with the token that continues after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Continues after this message.
    pub resume_token: String,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Always first.
    Begin {
        /// Where the stream begins.
        revision: i64,
        /// Names the history.
        feed_epoch: Uuid,
        /// The longest silence.
        progress_interval: Duration,
        /// Whether it goes on after a token; otherwise a snapshot begins.
        resumed: bool,
    },
    /// A report that matches, as it is now.
    Report(Box<StoredReport>),
    /// A report that changed and does not match.
    Left {
        /// The report.
        report: ReportId,
        /// Revision at its last change.
        revision: i64,
    },
    /// Closes the snapshot.
    SnapshotEnd {
        /// What it is of.
        revision: i64,
    },
    /// Everything up to this revision was sent.
    Progress {
        /// Up to here.
        revision: i64,
    },
    /// Last message of a stream that the server ends.
    Reconnect {
        /// How long to wait first.
        after: Duration,
    },
}

impl App {
    /// Opens a stream of reports. Everything that can be refused is refused here, before the first message.
    ///
    /// # Errors
    /// `NotFound` for an operator whose reports the caller does not see; `ResumeToken` for a token of other filters; a
    /// refusal for one of another history; a quota when the caller has too many streams open.
    pub async fn stream_reports(
        &self,
        caller: &Caller,
        query: ReportsQuery,
    ) -> Result<mpsc::Receiver<Result<Message, Error>>, Error> {
        let followed = query.followed;
        self.expect_seen(caller, followed.operator, Kind::Organization, followed.operator).await?;
        let seat = self.take_seat(caller)?;
        let bound = bound_to(&followed);
        let resumed = match query.resume_token.as_deref() {
            None => None,
            Some(token) => {
                let bytes = self.sealer.open_resume(bound, token)?;
                Some(Place::read(&bytes).ok_or(Error::ResumeToken)?)
            }
        };
        let head = self.store.snapshot(move |conn| Box::pin(read_head(conn, followed.operator))).await?;
        if let Some(requested) = resumed.map(Place::furthest).filter(|requested| head < *requested) {
            return Err(Refusal::RevisionAhead { requested, revision: head }.into());
        }
        let (sender, receiver) = mpsc::channel(QUEUE_LEN);
        let outlet = Outlet::new(self.clone(), caller, query.progress_interval, sender);
        let place = resumed.unwrap_or(Place::snapshot(head));
        let task = Follower { outlet, followed, bound, place };
        let run = async move {
            task.run(head, resumed.is_some()).await;
            drop(seat);
        };
        tokio::spawn(run.in_current_span());
        Ok(receiver)
    }
}

fn bound_to(followed: &Followed) -> Filter {
    Filter::of(&[
        b"report feed",
        followed.operator.uuid().as_bytes(),
        followed.task.map(TaskId::uuid).unwrap_or_default().as_bytes(),
        followed.state.map_or("", ReportState::word).as_bytes(),
    ])
}
