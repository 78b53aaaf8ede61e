//! One writer: takes all that waits, without delay, writes it in one transaction, and answers after the
//! commit. A batch that fails as a whole is split, so that one bad command fails alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::app::batch::{Done, Fenced, Terms, write_fenced, write_locked};
use crate::app::codec::EventCodec;
use crate::app::feed::Feed;
use crate::app::working_sets::WorkingSets;
use crate::app::writer::{Group, Outcomes, Submission};
use crate::clock::Clock;
use crate::error::{Away, Error};
use crate::seeded::{Bug, seeded};
use crate::store::line::Line;
use crate::store::{TRIES_MAX, TRY_MAX};

/// The most commands that one transaction takes. What is more waits for the next one; larger batches cost
/// every caller in them more time than they save.
const BATCH_MAX: usize = 4_096;

/// How long the fenced way may take before the locked way looks whether it was done.
const FENCED_MAX: Duration = Duration::from_millis(1_500);
/// After a fence did not hold, so many batches are written locked: two replicas that write to one scope would
/// else spoil each other's work again and again.
const LOCKED_BATCHES: u32 = 16;

/// One writer's state.
pub(super) struct Shard {
    line: Line,
    clock: Arc<dyn Clock>,
    codec: EventCodec,
    feed: Feed,
    sets: WorkingSets,
    /// Whether requests are looked up before they are applied. True after a batch that held one which was
    /// answered before: retries come in swarms.
    look_first: bool,
    /// Batches that are still written locked, because another replica moved the head of the last one.
    locked_batches: u32,
}

impl Shard {
    pub(super) fn new(line: Line, clock: Arc<dyn Clock>, codec: EventCodec, feed: Feed) -> Self {
        Self { line, clock, codec, feed, sets: WorkingSets::default(), look_first: false, locked_batches: 0 }
    }

    /// Writes until it is told to stop and nothing waits any more, or until nobody can send.
    pub(super) async fn write_all(
        mut self,
        mut waiting: mpsc::UnboundedReceiver<Group>,
        stop: CancellationToken,
    ) {
        loop {
            let first = tokio::select! {
                biased;
                first = waiting.recv() => first,
                () = stop.cancelled(), if !waiting.is_closed() => {
                    waiting.close();
                    continue;
                }
            };
            let Some(first) = first else { return };
            let groups = take(&mut waiting, first);
            self = self.write_safely(groups).await;
        }
    }

    /// Writes in a task of its own, so that a panic costs one batch and not the writer. Whoever waits for that
    /// batch is told that its outcome is unknown.
    async fn write_safely(self, groups: Vec<Group>) -> Self {
        let (line, clock) = (self.line.another(), Arc::clone(&self.clock));
        let spare = Self::new(line, clock, self.codec, self.feed.clone());
        tokio::spawn(self.write_groups(groups).in_current_span()).await.unwrap_or(spare)
    }

    async fn write_groups(mut self, groups: Vec<Group>) -> Self {
        let (mut submissions, mut answers) = (Vec::new(), Vec::new());
        for mut group in groups {
            answers.push((group.submissions.len(), group.answer, group.room));
            submissions.append(&mut group.submissions);
        }
        let mut outcomes = self.write(submissions).await.into_iter();
        for (count, answer, room) in answers {
            // Room first: a caller that is answered may send again at once.
            drop(room);
            // Whoever is gone gets no answer; what it sent is written all the same.
            let _gone = answer.send(outcomes.by_ref().take(count).collect());
        }
        self
    }

    /// Writes a batch, in halves and quarters if it fails as a whole.
    async fn write(&mut self, submissions: Vec<Submission>) -> Outcomes {
        let mut outcomes = Vec::with_capacity(submissions.len());
        let mut pieces = vec![submissions];
        while let Some(mut piece) = pieces.pop() {
            match self.try_to_write(&piece).await {
                Ok(done) => outcomes.extend(done),
                Err(error) if piece.len() == 1 => outcomes.push(Err(error)),
                // Splitting cures neither of these.
                Err(Error::Unavailable(away)) => {
                    outcomes.extend(piece.iter().map(|_| Err(Error::Unavailable(away))));
                }
                Err(Error::Contended) => outcomes.extend(piece.iter().map(|_| Err(Error::Contended))),
                Err(_) if seeded(Bug::OneBadEntryFailsAll) => {
                    outcomes.extend(piece.iter().map(|_| Err(Error::bug("a batch failed"))));
                }
                Err(error) => {
                    tracing::debug!(%error, commands = piece.len(), "splitting a batch that failed");
                    let second = piece.split_off(piece.len() / 2);
                    pieces.extend([second, piece]);
                }
            }
        }
        outcomes
    }

    /// Tries the fenced way, and then the locked one until it does not lose to a concurrent transaction or to a
    /// request that was answered before.
    #[tracing::instrument(name = "app.write", skip_all, fields(commands = submissions.len()))]
    async fn try_to_write(&mut self, submissions: &[Submission]) -> Result<Outcomes, Error> {
        let (mut look_first, mut unknown) = (self.look_first, false);
        if !look_first && self.locked_batches == 0 && !seeded_in_the_locked_way() {
            let terms = self.terms(false);
            let fenced = fenced(&mut self.line, &mut self.sets, terms, submissions);
            // Giving up early is safe: whether it was done shows under the lock, and the fence keeps it from
            // being done after that.
            let tried = tokio::time::timeout(FENCED_MAX, fenced).await;
            match tried.unwrap_or(Err(Error::Unavailable(Away::OutcomeUnknown))) {
                Ok(Fenced::Done(done)) => return Ok(self.finish(done)),
                Ok(Fenced::Moved) => self.locked_batches = LOCKED_BATCHES,
                Ok(Fenced::NotOne) => {}
                Err(error) => {
                    self.forget();
                    (look_first, unknown) = (true, matches!(error, Error::Unavailable(_)));
                }
            }
        }
        self.locked_batches = self.locked_batches.saturating_sub(1);
        match self.write_under_lock(submissions, look_first).await {
            Err(Error::Unavailable(_)) if unknown => Err(Error::Unavailable(Away::OutcomeUnknown)),
            done => done,
        }
    }

    async fn write_under_lock(
        &mut self,
        submissions: &[Submission],
        mut look_first: bool,
    ) -> Result<Outcomes, Error> {
        for _ in 0..TRIES_MAX {
            let terms = self.terms(look_first);
            let locked = locked(&mut self.line, &mut self.sets, terms, submissions);
            // The server's own limits do not help when it never answers. The line closes what was left open.
            let tried = tokio::time::timeout(TRY_MAX, locked).await;
            match tried.unwrap_or(Err(Error::Unavailable(Away::OutcomeUnknown))) {
                Ok(done) => return Ok(self.finish(done)),
                Err(Error::Contended) => {
                    self.forget();
                    look_first = true;
                }
                Err(error) => {
                    self.forget();
                    return Err(error);
                }
            }
        }
        Err(Error::Contended)
    }

    fn terms(&self, look_first: bool) -> Terms {
        Terms { codec: self.codec, now: self.clock.now(), look_first }
    }

    /// After a commit: wakes the streams, and answers.
    fn finish(&mut self, done: Done) -> Outcomes {
        self.look_first = done.replays;
        for (scope, revision) in done.reached {
            self.feed.tell(scope, revision);
        }
        done.outcomes
    }

    /// After a failure: the working sets may hold what was not committed.
    fn forget(&mut self) {
        if !seeded(Bug::KeepWorkingSetAfterFailure) {
            self.sets.clear();
        }
    }
}

/// Bugs that are in the locked way.
fn seeded_in_the_locked_way() -> bool {
    let bugs = [
        Bug::AcknowledgeBeforeCommit,
        Bug::ForgetHeadLock,
        Bug::KeepWorkingSetAfterFailure,
        Bug::SkipReplayCheck,
        Bug::TrustStaleWorkingSet,
    ];
    bugs.into_iter().any(seeded)
}

/// The first group and what else waits, up to the limit.
fn take(waiting: &mut mpsc::UnboundedReceiver<Group>, first: Group) -> Vec<Group> {
    let mut commands = first.submissions.len();
    let mut groups = vec![first];
    while commands < BATCH_MAX
        && let Ok(next) = waiting.try_recv()
    {
        commands += next.submissions.len();
        groups.push(next);
    }
    groups
}

/// One statement that is a transaction by itself.
async fn fenced(
    line: &mut Line,
    sets: &mut WorkingSets,
    terms: Terms,
    submissions: &[Submission],
) -> Result<Fenced, Error> {
    let done = write_fenced(line.idle().await?, sets, terms, submissions).await?;
    line.keep();
    Ok(done)
}

/// One transaction, from BEGIN to COMMIT.
async fn locked(
    line: &mut Line,
    sets: &mut WorkingSets,
    terms: Terms,
    submissions: &[Submission],
) -> Result<Done, Error> {
    let conn = line.begin().await?;
    match write_locked(conn, sets, terms, submissions).await {
        Ok(done) => match line.commit().await {
            Err(_) if seeded(Bug::AcknowledgeBeforeCommit) => Ok(done),
            committed => committed.map(|()| done),
        },
        Err(error) => {
            line.roll_back().await;
            Err(error)
        }
    }
}
