//! The one way by which money and its structure change.
//!
//! A scope belongs to one of [`SHARDS`] writers. [`Writer::submit`] puts submissions into the queue of their
//! writer and answers with what to wait for; a caller that goes away changes nothing, because the writer owns
//! the work. The queue is bounded by entries and by bytes: a unary call that finds it full is refused at once,
//! a stream is not read on until there is room.
//!
//! The writer's loop is in `writer/shard.rs`, one transaction in `batch.rs`.

mod shard;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::codec::EventCodec;
use crate::app::command::{Command, Event};
use crate::app::feed::Feed;
use crate::clock::Clock;
use crate::domain::caller::Caller;
use crate::error::{Away, Error};
use crate::seeded::{Bug, seeded};
use crate::store::Store;

use shard::Shard;

/// Writers of this process, each with a connection of its own.
pub const SHARDS: u16 = 4;
/// The most entries that wait for one writer or are being written by it.
pub const QUEUE_ENTRIES_MAX: usize = 8_192;
/// The most bytes that they hold.
pub const QUEUE_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// The part of the queue that streams may fill.
const STREAM_ENTRIES_MAX: usize = QUEUE_ENTRIES_MAX / 4 * 3;
/// The same in bytes.
const STREAM_BYTES_MAX: usize = QUEUE_BYTES_MAX / 4 * 3;

/// A command and who sent it.
#[derive(Debug, Clone)]
pub struct Submission {
    /// What is asked.
    pub command: Command,
    /// Who asks: the subject is kept with the change, the role decides what may be reversed.
    pub by: Arc<Caller>,
}

/// What a command did, now or when it was sent first.
#[derive(Debug, Clone)]
pub struct Written {
    /// Its revision in the scope's journal.
    pub revision: i64,
    /// What happened.
    pub event: Event,
    /// The same as the message that is stored.
    pub message: Bytes,
}

/// What became of each command, in order.
pub type Outcomes = Vec<Result<Written, Error>>;

/// Submissions that are written, and answered, together if they fit a batch.
struct Group {
    submissions: Vec<Submission>,
    answer: oneshot::Sender<Outcomes>,
    room: Room,
}

/// The place that a group takes in the queue, until it is answered.
struct Room {
    _held: Vec<OwnedSemaphorePermit>,
}

/// The queue of one writer.
struct Queue {
    groups: mpsc::UnboundedSender<Group>,
    all: Bounds,
    /// What streams may take of it. They wait for room, and whoever waits is served first: without a share of its
    /// own no unary call would ever find the queue with room.
    streams: Bounds,
}

/// Places in a queue.
struct Bounds {
    entries: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

impl Bounds {
    fn new(entries: usize, bytes: usize) -> Self {
        Self { entries: Arc::new(Semaphore::new(entries)), bytes: Arc::new(Semaphore::new(bytes)) }
    }

    async fn take(&self, (entries, bytes): (u32, u32)) -> Option<[OwnedSemaphorePermit; 2]> {
        let entries = Arc::clone(&self.entries).acquire_many_owned(entries).await.ok()?;
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(bytes).await.ok()?;
        Some([entries, bytes])
    }

    fn try_take(&self, (entries, bytes): (u32, u32)) -> Option<[OwnedSemaphorePermit; 2]> {
        let entries = Arc::clone(&self.entries).try_acquire_many_owned(entries).ok()?;
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(bytes).ok()?;
        Some([entries, bytes])
    }
}

/// Writes. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    queues: Arc<[Queue]>,
    stop: CancellationToken,
    loops: TaskTracker,
}

/// Submissions on their way: what to wait for.
pub struct Pending {
    parts: Vec<Part>,
    count: usize,
}

/// What went to one writer, with the places in the caller's order.
struct Part {
    places: Vec<usize>,
    answer: Answer,
}

enum Answer {
    Awaited(oneshot::Receiver<Outcomes>),
    Refused(Away),
}

impl Writer {
    /// Starts the writers. They connect when they first have something to write.
    #[must_use]
    pub fn start(store: &Store, clock: &Arc<dyn Clock>, codec: EventCodec, feed: &Feed) -> Self {
        let (stop, loops) = (CancellationToken::new(), TaskTracker::new());
        let bounds = if seeded(Bug::QueueWithoutBounds) {
            (Semaphore::MAX_PERMITS, Semaphore::MAX_PERMITS)
        } else {
            (QUEUE_ENTRIES_MAX, QUEUE_BYTES_MAX)
        };
        let queue = |_| {
            let (groups, waiting) = mpsc::unbounded_channel();
            let shard = Shard::new(store.clone(), Arc::clone(clock), codec, feed.clone());
            loops.spawn(shard.write_all(waiting, stop.clone()));
            let all = Bounds::new(bounds.0, bounds.1);
            Queue { groups, all, streams: Bounds::new(STREAM_ENTRIES_MAX, STREAM_BYTES_MAX) }
        };
        Self { queues: (0..SHARDS).map(queue).collect(), stop, loops }
    }

    /// Writes one command.
    ///
    /// # Errors
    /// Why it was refused, or why the service could not take it.
    pub async fn write_one(&self, command: Command, by: &Caller) -> Result<Written, Error> {
        let one = Submission { command, by: Arc::new(by.clone()) };
        let mut outcomes = self.submit_now(vec![one]).outcomes().await;
        outcomes.pop().unwrap_or_else(|| Err(Error::bug("a write without an outcome")))
    }

    /// Submits at once, or refuses what finds its queue full.
    #[must_use]
    pub fn submit_now(&self, submissions: Vec<Submission>) -> Pending {
        let count = submissions.len();
        let send = |(index, (places, submissions)): (usize, Sorted)| {
            let queue = &self.queues[index];
            let answer = queue.try_room(&submissions).map(|room| queue.push(submissions, room));
            Part { places, answer: answer.unwrap_or(Answer::Refused(Away::Overloaded)) }
        };
        Pending { parts: self.sort(submissions).into_iter().map(send).collect(), count }
    }

    /// Submits as soon as there is room.
    pub async fn submit(&self, submissions: Vec<Submission>) -> Pending {
        let (count, mut parts) = (submissions.len(), Vec::new());
        for (index, (places, submissions)) in self.sort(submissions) {
            let queue = &self.queues[index];
            let room = queue.room(&submissions).await;
            let answer = room.map_or(Answer::Refused(Away::Draining), |room| queue.push(submissions, room));
            parts.push(Part { places, answer });
        }
        Pending { parts, count }
    }

    /// Takes nothing more, and waits until what waits is written and answered.
    pub async fn finish(&self) {
        self.stop.cancel();
        self.loops.close();
        self.loops.wait().await;
    }

    /// Submissions by their writer, in the caller's order within each.
    fn sort(&self, submissions: Vec<Submission>) -> BTreeMap<usize, Sorted> {
        let mut sorted: BTreeMap<usize, Sorted> = BTreeMap::new();
        for (place, submission) in submissions.into_iter().enumerate() {
            let scope = submission.command.scope().uuid().as_u128();
            // Less than the number of queues, which is a usize.
            let index = usize::try_from(scope % self.queues.len() as u128).unwrap_or_default();
            let (places, of_one) = sorted.entry(index).or_default();
            places.push(place);
            of_one.push(submission);
        }
        sorted
    }
}

/// Submissions of one writer and their places in the caller's order.
type Sorted = (Vec<usize>, Vec<Submission>);

impl Queue {
    /// Entries and bytes. Even a group that is larger than a stream's part of the queue fits when it is alone.
    fn needed(submissions: &[Submission]) -> (u32, u32) {
        let bytes = submissions.iter().map(|sent| sent.command.weight()).sum::<usize>();
        let bounded = |needed: usize, most: usize| u32::try_from(needed.min(most)).unwrap_or(u32::MAX);
        (bounded(submissions.len(), STREAM_ENTRIES_MAX), bounded(bytes, STREAM_BYTES_MAX))
    }

    fn try_room(&self, submissions: &[Submission]) -> Option<Room> {
        Some(Room { _held: self.all.try_take(Self::needed(submissions))?.into() })
    }

    async fn room(&self, submissions: &[Submission]) -> Option<Room> {
        let needed = Self::needed(submissions);
        let share = self.streams.take(needed).await?;
        let places = self.all.take(needed).await?;
        Some(Room { _held: places.into_iter().chain(share).collect() })
    }

    fn push(&self, submissions: Vec<Submission>, room: Room) -> Answer {
        let (answer, awaited) = oneshot::channel();
        // The writer closes its queue when it is told to finish.
        let sent = self.groups.send(Group { submissions, answer, room });
        sent.map_or(Answer::Refused(Away::Draining), |()| Answer::Awaited(awaited))
    }
}

impl Pending {
    /// Waits for what became of each submission, in the caller's order.
    pub async fn outcomes(self) -> Outcomes {
        let mut all: Vec<Option<Result<Written, Error>>> = Vec::new();
        all.resize_with(self.count, || None);
        for Part { places, answer } in self.parts {
            // A writer that drops the answer has failed in the middle of it.
            let outcomes = match answer {
                Answer::Awaited(awaited) => awaited.await.map_err(|_| Away::OutcomeUnknown),
                Answer::Refused(away) => Err(away),
            };
            match outcomes {
                Ok(outcomes) => {
                    for (place, outcome) in places.into_iter().zip(outcomes) {
                        all[place] = Some(outcome);
                    }
                }
                Err(away) => {
                    for place in places {
                        all[place] = Some(Err(Error::Unavailable(away)));
                    }
                }
            }
        }
        let missing = || Err(Error::bug("a write without an outcome"));
        all.into_iter().map(|outcome| outcome.unwrap_or_else(missing)).collect()
    }
}
