//! The feed of a team: everything that its tablet needs, as a snapshot and then as changes, safety stops first.
//!
//! It follows the journal of the team's operator, in which all that concerns its teams is recorded. One task a stream
//! reads and sends through a bounded queue, as the budget stream does; what is sent is the newest state of what was
//! changed, so that states in between are skipped. No connection is held while it waits.

mod follow;
mod read;

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::app::App;
use crate::app::following::QUEUE_LEN;
use crate::app::rights::is_of;
use crate::app::token::Filter;
use crate::domain::assignment::Assignment;
use crate::domain::caller::{Caller, Role};
use crate::domain::field_report::StoredReport;
use crate::domain::ids::{OrganizationId, TeamId};
use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;
use crate::domain::safety_stop::SafetyStop;
use crate::domain::site::Site;
use crate::domain::task::Task;
use crate::domain::team_feed::Item;
use crate::error::Error;
use crate::store::team::find_team;

use follow::Follower;
use read::{Part, Whose, read_head, read_snapshot};

/// A place in a feed, as cursors keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The snapshot was not complete: whoever resumes here gets one anew.
    UnfinishedSnapshot,
    /// Everything up to this revision of the operator's journal was sent.
    After(i64),
}

impl Place {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::UnfinishedSnapshot => Vec::new(),
            Self::After(revision) => revision.to_be_bytes().to_vec(),
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        match bytes.len() {
            0 => Some(Self::UnfinishedSnapshot),
            _ => bytes.try_into().ok().map(i64::from_be_bytes).map(Self::After),
        }
    }
}

/// What to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedQuery {
    /// The team.
    pub team: TeamId,
    /// Of any message received before; none starts with a snapshot.
    pub cursor: Option<String>,
    /// The longest silence.
    pub progress_interval: Duration,
}

/// One message, with the cursor that continues after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Continues after this message, or before the batch that it is in the middle of.
    pub cursor: String,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Always first.
    Begin {
        /// Where the feed begins.
        revision: i64,
        /// Names the history.
        feed_epoch: uuid::Uuid,
        /// The longest silence.
        progress_interval: Duration,
        /// Whether it goes on after a cursor; otherwise a snapshot follows.
        resumed: bool,
    },
    /// A safety stop that was issued, or that was lifted.
    SafetyStop(Box<SafetyStop>),
    /// What the team sees.
    Shown {
        /// As it is now.
        record: Record,
        /// The moment of the reading, for the age of what it says.
        as_of: Timestamp,
    },
    /// The team does not see this any more.
    Removed(Item),
    /// Closes the snapshot.
    SnapshotEnd {
        /// Every record is of this revision or a later one.
        revision: i64,
        /// How many there were.
        counts: Counts,
    },
    /// Everything up to this revision was sent.
    Progress {
        /// Up to here.
        revision: i64,
        /// Head of the journal as far as it is known; above the revision more follows.
        head: i64,
    },
    /// Last message of a feed that the server ends.
    Reconnect {
        /// How long to wait first.
        after: Duration,
    },
}

/// A record that a team sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An assignment of the team.
    Assignment(Box<Assignment>),
    /// The task of one.
    Task(Box<Task>),
    /// A site of such a task.
    Site(Box<Site>),
    /// A report of the team that waits for a new version.
    Returned(Box<StoredReport>),
}

/// How many records of each kind a snapshot had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Safety stops in force.
    pub safety_stops: i64,
    /// Standing assignments.
    pub assignments: i64,
    /// Their tasks.
    pub tasks: i64,
    /// The sites of those.
    pub sites: i64,
    /// Reports that were returned.
    pub returned: i64,
}

/// What a stream begins with: a snapshot, or the revision to go on after and the head of the journal.
enum Start {
    Snapshot(Box<Part>),
    After { revision: i64, head: i64 },
}

/// Whether a caller may follow the teams of an operator: the operator itself, auditors and administrators.
fn may_follow(caller: &Caller, operator: OrganizationId) -> bool {
    match caller.role() {
        Role::Admin | Role::Auditor => true,
        Role::Field | Role::Coordinator => is_of(caller, operator),
        Role::Funder => false,
    }
}

impl App {
    /// Opens the feed of a team. Everything that can be refused is refused here, before the first message.
    ///
    /// # Errors
    /// `NotFound` for a team that the caller may not follow; `ResumeToken` for a cursor of another team; a refusal for
    /// one of another history; a quota when the caller has too many streams open.
    pub async fn stream_team_feed(
        &self,
        caller: &Caller,
        query: FeedQuery,
    ) -> Result<mpsc::Receiver<Result<Message, Error>>, Error> {
        let found = find_team(self.store.pool(), query.team).await?;
        let team = found.filter(|team| may_follow(caller, team.organization));
        let team = team.ok_or_else(|| Error::not_found(Kind::Team, query.team))?;
        let seat = self.take_seat(caller)?;
        let bound = Filter::of(&[b"team feed", query.team.uuid().as_bytes()]);
        let whose = Whose { team: team.id, operator: team.organization };
        let start = self.start_feed(whose, bound, query.cursor.as_deref()).await?;
        let (sender, receiver) = mpsc::channel(QUEUE_LEN);
        let follower = Follower::new(self.clone(), caller, whose, bound, query.progress_interval, sender);
        let task = async move {
            follower.run(start).await;
            drop(seat);
        };
        tokio::spawn(task.in_current_span());
        Ok(receiver)
    }

    async fn start_feed(&self, whose: Whose, bound: Filter, cursor: Option<&str>) -> Result<Start, Error> {
        let place = match cursor {
            None => Place::UnfinishedSnapshot,
            Some(cursor) => {
                let bytes = self.sealer.open_resume(bound, cursor)?;
                Place::read(&bytes).ok_or(Error::ResumeToken)?
            }
        };
        match place {
            Place::UnfinishedSnapshot => {
                let part = self.store.snapshot(move |conn| Box::pin(read_snapshot(conn, whose)));
                Ok(Start::Snapshot(Box::new(part.await?)))
            }
            Place::After(requested) => {
                let head = self.store.snapshot(move |conn| Box::pin(read_head(conn, whose)));
                let head = head.await?;
                if head < requested {
                    return Err(Refusal::RevisionAhead { requested, revision: head }.into());
                }
                Ok(Start::After { revision: requested, head })
            }
        }
    }
}
