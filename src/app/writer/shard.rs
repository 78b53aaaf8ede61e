//! One writer: takes all that waits, without delay, writes it in one transaction, and answers after the
//! commit.
//!
//! While one batch is being written, what arrives is applied to the next one, if it can be written fenced (see
//! `batch.rs`). What cannot is parked, with all that comes after it, until the database is free, and then written
//! locked, by `locked.rs`.

mod locked;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::app::batch::{Departed, Done, Filling, Terms};
use crate::app::codec::EventCodec;
use crate::app::feed::Feed;
use crate::app::working_sets::WorkingSets;
use crate::app::writer::{Group, Outcomes};
use crate::clock::Clock;
use crate::error::{Away, Error};
use crate::seeded::{Bug, seeded};
use crate::store::Store;
use crate::store::line::Line;

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
    store: Store,
    clock: Arc<dyn Clock>,
    codec: EventCodec,
    feed: Feed,
    /// None while a batch is being written on it.
    line: Option<Line>,
    sets: WorkingSets,
    /// The batch that is being filled. It may be empty: then it keeps the working set at hand.
    filling: Option<Filling>,
    /// Whose entries it holds.
    filled: Vec<Group>,
    /// The batch that is being written.
    flying: Option<JoinHandle<Landed>>,
    /// What came after the batch that is being filled and does not fit into it.
    parked: VecDeque<Group>,
    /// Whether requests are looked up before they are applied. True after a batch that held one which was
    /// answered before: retries come in swarms.
    look_first: bool,
    /// Batches that are still written locked, because another replica moved the head of the last one.
    locked_batches: u32,
}

/// A batch that was written, or was to be.
struct Landed {
    line: Line,
    groups: Vec<Group>,
    result: Result<Option<Done>, Error>,
}

impl Shard {
    pub(super) fn new(store: Store, clock: Arc<dyn Clock>, codec: EventCodec, feed: Feed) -> Self {
        let line = Some(store.line());
        Self {
            store,
            clock,
            codec,
            feed,
            line,
            sets: WorkingSets::default(),
            filling: None,
            filled: Vec::new(),
            flying: None,
            parked: VecDeque::new(),
            look_first: false,
            locked_batches: 0,
        }
    }

    /// Writes until it is told to stop and nothing waits any more, or until nobody can send.
    pub(super) async fn write_all(
        mut self,
        mut waiting: mpsc::UnboundedReceiver<Group>,
        stop: CancellationToken,
    ) {
        let mut open = true;
        while open || self.flying.is_some() {
            tokio::select! {
                biased;
                landed = land(self.flying.as_mut()), if self.flying.is_some() => {
                    self.flying = None;
                    self.landed(landed).await;
                }
                first = waiting.recv(), if open && self.has_room() => match first {
                    Some(first) => self.arrived(first, &mut waiting).await,
                    None => open = false,
                },
                () = stop.cancelled(), if !waiting.is_closed() => waiting.close(),
            }
        }
    }

    fn has_room(&self) -> bool {
        commands(&self.filled) + commands(&self.parked) < BATCH_MAX
    }

    /// Takes what arrived, and what else waits if the database is free.
    async fn arrived(&mut self, first: Group, waiting: &mut mpsc::UnboundedReceiver<Group>) {
        let mut taken = first.submissions.len();
        self.parked.push_back(first);
        while self.flying.is_none()
            && taken < BATCH_MAX
            && let Ok(next) = waiting.try_recv()
        {
            taken += next.submissions.len();
            self.parked.push_back(next);
        }
        self.proceed().await;
    }

    /// Fills, and writes if the database is free.
    async fn proceed(&mut self) {
        loop {
            // When several programs wait, one locked transaction for all is less than a flush for each.
            if self.flying.is_some() || only_one_scope(&self.parked) {
                self.fill_from_parked();
            }
            if self.flying.is_some() {
                return;
            }
            if !self.filled.is_empty() {
                self.depart();
                continue;
            }
            if self.parked.is_empty() {
                return;
            }
            let groups = self.parked.drain(..).collect();
            self.write_locked(groups, self.look_first, false).await;
        }
    }

    /// Fills in the order of arrival, until a group does not fit.
    fn fill_from_parked(&mut self) {
        while let Some(group) = self.parked.pop_front() {
            if !self.fits(&group) {
                self.parked.push_front(group);
                return;
            }
            self.fill(group);
        }
    }

    /// Whether the batch that is being filled takes a group. Begins one if there is none.
    fn fits(&mut self, group: &Group) -> bool {
        if self.look_first || self.locked_batches != 0 || seeded_in_the_locked_way() {
            return false;
        }
        if let Some(filling) = &self.filling
            && filling.takes(&group.submissions)
        {
            return true;
        }
        if self.flying.is_some() || !self.filled.is_empty() {
            return false;
        }
        self.set_aside();
        let Some(first) = group.submissions.first() else { return false };
        self.filling = Filling::begin(&mut self.sets, self.codec, first.command.scope());
        self.filling.as_ref().is_some_and(|filling| filling.takes(&group.submissions))
    }

    /// Puts the working set of an empty batch back to the others.
    fn set_aside(&mut self) {
        if let Some(filling) = self.filling.take() {
            filling.keep(&mut self.sets);
        }
    }

    fn fill(&mut self, group: Group) {
        let terms = self.terms(false);
        let Some(filling) = &mut self.filling else { return };
        // A panic costs what is being filled, and not the writer. Whoever waits for it is told that its outcome
        // is unknown.
        let filled = catch_unwind(AssertUnwindSafe(|| filling.fill(terms, &group.submissions)));
        if filled.is_err() {
            self.filling = None;
            self.filled.clear();
            return;
        }
        self.filled.push(group);
    }

    /// Sends the batch that was filled to the database.
    fn depart(&mut self) {
        let (groups, line) = (std::mem::take(&mut self.filled), self.take_line());
        let Some(filling) = &mut self.filling else { return };
        let departed = filling.depart();
        self.flying = Some(tokio::spawn(fly(line, departed, groups).in_current_span()));
    }

    async fn landed(&mut self, landed: Result<Landed, JoinError>) {
        let (groups, error) = match landed {
            Ok(Landed { line, groups, result: Ok(Some(done)) }) => {
                self.line = Some(line);
                let outcomes = self.finish(done);
                answer(groups, outcomes);
                return self.proceed().await;
            }
            Ok(Landed { line, groups, result }) => {
                self.line = Some(line);
                (groups, result.err())
            }
            // It panicked, and whoever waited for it is told that the outcome is unknown.
            Err(_lost) => (Vec::new(), Some(Error::Unavailable(Away::OutcomeUnknown))),
        };
        if error.is_none() {
            self.locked_batches = LOCKED_BATCHES;
        }
        // What was filled since rests on what was not written. With the connection goes all that was read on it.
        self.filling = None;
        if matches!(error, Some(Error::Unavailable(_))) {
            self.sets.clear();
        }
        let filled = std::mem::take(&mut self.filled);
        filled.into_iter().rev().for_each(|group| self.parked.push_front(group));
        // Whether it was done shows under the lock: the fence keeps it from being done after that.
        let unknown = matches!(error, Some(Error::Unavailable(_)));
        self.write_locked(groups, error.is_some(), unknown).await;
        self.proceed().await;
    }

    /// The line, which is back once what flew on it has landed. A panic loses it.
    fn take_line(&mut self) -> Line {
        self.line.take().unwrap_or_else(|| self.store.line())
    }

    fn terms(&self, look_first: bool) -> Terms {
        Terms { codec: self.codec, now: self.clock.now(), look_first }
    }

    /// After a commit: wakes the streams, and hands out the answers.
    fn finish(&mut self, done: Done) -> Outcomes {
        self.look_first = done.replays;
        for (scope, revision) in done.reached {
            self.feed.tell(scope, revision);
        }
        done.outcomes
    }
}

fn commands<'g>(groups: impl IntoIterator<Item = &'g Group>) -> usize {
    groups.into_iter().map(|group| group.submissions.len()).sum()
}

fn only_one_scope(groups: &VecDeque<Group>) -> bool {
    let mut scopes = groups.iter().flat_map(|group| &group.submissions).map(|sent| sent.command.scope());
    let first = scopes.next();
    scopes.all(|scope| Some(scope) == first)
}

/// Answers each group with its share of the outcomes.
fn answer(groups: Vec<Group>, outcomes: Outcomes) {
    let mut outcomes = outcomes.into_iter();
    for Group { submissions, answer, room } in groups {
        // Room first: a caller that is answered may send again at once.
        drop(room);
        // Whoever is gone gets no answer; what it sent is written all the same.
        let _gone = answer.send(outcomes.by_ref().take(submissions.len()).collect());
    }
}

async fn land(flying: Option<&mut JoinHandle<Landed>>) -> Result<Landed, JoinError> {
    match flying {
        Some(flying) => flying.await,
        None => std::future::pending().await,
    }
}

/// Writes a batch by one statement that is a transaction by itself.
#[tracing::instrument(name = "app.write", skip_all, fields(commands = commands(&groups)))]
async fn fly(mut line: Line, departed: Departed, groups: Vec<Group>) -> Landed {
    let submissions = groups.iter().flat_map(|group| &group.submissions);
    let written = async {
        let done = departed.write(line.idle()?, submissions).await?;
        line.keep();
        Ok(done)
    };
    let written = tokio::time::timeout(FENCED_MAX, written).await;
    let result = written.unwrap_or(Err(Error::Unavailable(Away::OutcomeUnknown)));
    if matches!(result, Err(Error::Contended)) {
        // The statement was answered, so that the connection is as good as before.
        line.keep();
    }
    Landed { line, groups, result }
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
