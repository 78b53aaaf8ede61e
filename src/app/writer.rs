//! The one way by which money and its structure change.
//!
//! [`Writer::write`] takes a *slice* of commands and runs one transaction for all of them: it locks the
//! heads of their scopes, finds which were answered before, loads what they name, applies them in order,
//! each accepted or refused alone, writes everything that changed, and commits. Only then are the callers
//! answered and the feed told. A slice that fails as a whole is split, so that one bad command fails alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::store::Connection;
use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard, Semaphore};
use uuid::Uuid;

use crate::app::batch::Batch;
use crate::app::codec::EventCodec;
use crate::app::command::{Command, Event};
use crate::app::feed::Feed;
use crate::clock::Clock;
use crate::domain::caller::Caller;
use crate::domain::ids::ScopeId;
use crate::domain::kind::Kind;
use crate::error::{Away, Error};
use crate::store::Store;
use crate::store::journal::{insert_head, lock_heads};

/// The most commands that one transaction takes.
pub const BATCH_MAX: usize = 512;
/// Writes of one scope wait for each other in one of these lanes, not on connections of the pool: a busy
/// program leaves connections for reads and for other programs.
const LANES: usize = 4;
/// The longest wait for a lane.
const LANE_WAIT_MAX: Duration = Duration::from_secs(30);
/// The most calls that wait in the lanes. Beyond it a call is told to come again.
const WAITING_MAX: usize = 4_096;

/// A command and who sent it.
#[derive(Debug, Clone)]
pub struct Submission {
    /// What is asked.
    pub command: Command,
    /// Who asks: the subject is kept with the change, the role decides what may be reversed.
    pub by: Caller,
}

/// What a command did, now or when it was sent first.
#[derive(Debug, Clone)]
pub struct Written {
    /// Its revision in the scope's journal.
    pub revision: i64,
    /// What happened.
    pub event: Event,
}

/// What became of each command, in order.
pub(crate) type Outcomes = Vec<Result<Written, Error>>;

/// Writes. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    store: Store,
    clock: Arc<dyn Clock>,
    codec: EventCodec,
    feed: Feed,
    lanes: Arc<[Mutex<()>; LANES]>,
    waiting: Arc<Semaphore>,
}

impl Writer {
    /// Puts a writer together.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, codec: EventCodec, feed: Feed) -> Self {
        let (lanes, waiting) = (Arc::default(), Arc::new(Semaphore::new(WAITING_MAX)));
        Self { store, clock, codec, feed, lanes, waiting }
    }

    /// Writes one command.
    ///
    /// # Errors
    /// Why it was refused, or why the service could not take it.
    pub async fn write_one(&self, command: Command, by: &Caller) -> Result<Written, Error> {
        let one = vec![Submission { command, by: by.clone() }];
        self.write(one).await.pop().unwrap_or_else(|| Err(Error::bug("a write without an outcome")))
    }

    /// Writes commands in order, each accepted or refused alone. There is one outcome for each.
    ///
    /// The work goes on when the caller is gone, so that the feed always hears of what was written.
    pub async fn write(&self, submissions: Vec<Submission>) -> Outcomes {
        let (writer, count) = (self.clone(), submissions.len());
        let Ok(place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            return (0..count).map(|_| Err(Error::Unavailable(Away::Overloaded))).collect();
        };
        let work = self.store.detach(async move {
            let outcomes = writer.write_all(submissions).await;
            drop(place);
            Ok(outcomes)
        });
        let lost = |error: Error| (0..count).map(|_| Err(Error::bug(error.to_string()))).collect();
        work.await.unwrap_or_else(lost)
    }

    async fn write_all(&self, submissions: Vec<Submission>) -> Outcomes {
        let mut outcomes = Vec::with_capacity(submissions.len());
        let mut waiting: Vec<Vec<Submission>> =
            submissions.chunks(BATCH_MAX).rev().map(<[Submission]>::to_vec).collect();
        while let Some(mut slice) = waiting.pop() {
            match self.transact(slice.clone()).await {
                Ok(done) => {
                    self.tell(&slice, &done);
                    outcomes.extend(done);
                }
                Err(error) if slice.len() == 1 => outcomes.push(Err(error)),
                // Splitting cures neither of these.
                Err(Error::Unavailable(away)) => {
                    outcomes.extend(slice.iter().map(|_| Err(Error::Unavailable(away))));
                }
                Err(Error::Contended) => outcomes.extend(slice.iter().map(|_| Err(Error::Contended))),
                Err(error) => {
                    tracing::debug!(%error, commands = slice.len(), "splitting a batch that failed");
                    let second = slice.split_off(slice.len() / 2);
                    waiting.extend([second, slice]);
                }
            }
        }
        outcomes
    }

    #[tracing::instrument(name = "app.write", skip_all, fields(commands = submissions.len()))]
    async fn transact(&self, submissions: Vec<Submission>) -> Result<Outcomes, Error> {
        let entered = tokio::time::timeout(LANE_WAIT_MAX, self.enter_lanes(&submissions)).await;
        let _lanes = entered.map_err(|_| Error::Unavailable(Away::Overloaded))?;
        let (codec, now) = (self.codec, self.clock.now());
        let submissions: Arc<[Submission]> = submissions.into();
        self.store
            .transaction("write", move |conn| {
                let submissions = Arc::clone(&submissions);
                Box::pin(async move { run(conn, codec, now, &submissions).await })
            })
            .await
    }

    /// Waits for the lanes of the scopes, in order, so that two slices never wait for each other in a circle.
    async fn enter_lanes(&self, submissions: &[Submission]) -> Vec<MutexGuard<'_, ()>> {
        let lane = |sent: &Submission| sent.command.scope().uuid().as_u128() % LANES as u128;
        let mut entered = Vec::new();
        for index in submissions.iter().map(lane).collect::<BTreeSet<u128>>() {
            if let Some(lane) = usize::try_from(index).ok().and_then(|index| self.lanes.get(index)) {
                entered.push(lane.lock().await);
            }
        }
        entered
    }

    fn tell(&self, slice: &[Submission], done: &Outcomes) {
        for (submission, outcome) in slice.iter().zip(done) {
            if let Ok(written) = outcome {
                self.feed.tell(submission.command.scope(), written.revision);
            }
        }
    }
}

/// One transaction: every scope of the slice, in id order.
async fn run(
    conn: &mut Connection,
    codec: EventCodec,
    now: Timestamp,
    submissions: &[Submission],
) -> Result<Outcomes, Error> {
    let new = submissions.iter().filter(|submission| submission.command.begins_scope());
    for scope in new.map(|submission| submission.command.scope()).collect::<BTreeSet<ScopeId>>() {
        insert_head(&mut *conn, scope, now).await?;
    }
    let mut by_scope: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
    for (index, submission) in submissions.iter().enumerate() {
        by_scope.entry(submission.command.scope().uuid()).or_default().push(index);
    }
    let scopes: Vec<Uuid> = by_scope.keys().copied().collect();
    let heads = lock_heads(&mut *conn, &scopes).await?;
    let mut outcomes: Vec<Option<Result<Written, Error>>> = submissions.iter().map(|_| None).collect();
    for head in heads {
        let Some(indices) = by_scope.remove(&head.scope.uuid()) else { continue };
        let part: Vec<&Submission> = indices.iter().map(|index| &submissions[*index]).collect();
        let done = Batch::new(codec, head, now).run(&mut *conn, &part).await?;
        for (index, outcome) in indices.into_iter().zip(done) {
            outcomes[index] = Some(outcome);
        }
    }
    let missing = |index: usize| Err(Error::not_found(Kind::Program, submissions[index].command.scope()));
    Ok(outcomes.into_iter().enumerate().map(|(index, done)| done.unwrap_or_else(|| missing(index))).collect())
}
