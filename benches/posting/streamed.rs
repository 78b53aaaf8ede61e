//! `PostEntries`: entries as a stream, answers in their order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use tokio::task::JoinSet;

use crate::Failure;
use crate::answer;
use crate::entry::{Entries, Sent};
use crate::program::Program;
use crate::schedule::{Pacer, Schedule};
use crate::tally::Shared;
use crate::wire::{self, Line};

const METHOD: &str = "PostEntries";
/// Streams of an open loop.
const OPEN_STREAMS: usize = 2;
/// Entries that may wait in an open loop. Beyond it the schedule is not kept, and the run says so.
const BEHIND_MAX: usize = 200_000;

/// One stream, on a connection of its own.
struct Stream {
    out: SendStream<Bytes>,
    entries: Entries,
    waiting: VecDeque<Sent>,
    last_revision: i64,
    /// Whether our half is closed.
    closed: bool,
}

/// Streams are read by one task and, in an open loop, written by another.
#[derive(Clone)]
struct Open(Arc<Mutex<Stream>>);

/// How many streams share so many entries in flight: one as long as it is enough.
fn streams(in_flight: usize) -> usize {
    match in_flight {
        0..=64 => 1,
        65..=256 => 2,
        257..=1_024 => 4,
        _ => 8,
    }
}

/// Keeps `in_flight` entries out: each answer is followed by the next entry.
pub(crate) async fn closed(
    address: &str,
    program: &Program,
    (in_flight, spread): (usize, usize),
    tally: &Shared,
) -> Result<(), Failure> {
    let until = tally.lock().window.until;
    let count = streams(in_flight);
    let mut readers = JoinSet::new();
    for _ in 0..count {
        let (stream, body) = Open::begin(address, program, spread).await?;
        stream.lock().send(in_flight / count, |_| Instant::now())?;
        let tally = tally.clone();
        readers.spawn(async move { stream.read(body.await?, &tally, Some(until)).await });
    }
    all(readers).await
}

/// Sends entries at their scheduled times. Answers how many it left out because too many waited.
pub(crate) async fn open(
    address: &str,
    program: &Program,
    spread: usize,
    schedule: Schedule,
    tally: &Shared,
) -> Result<u64, Failure> {
    let (mut streams, mut readers) = (Vec::new(), JoinSet::new());
    for _ in 0..OPEN_STREAMS {
        let (stream, body) = Open::begin(address, program, spread).await?;
        streams.push(stream.clone());
        let tally = tally.clone();
        readers.spawn(async move { stream.read(body.await?, &tally, None).await });
    }
    let until = tally.lock().window.until;
    let unsent = write(&streams, schedule, until, &mut readers).await?;
    drop(streams);
    all(readers).await?;
    Ok(unsent)
}

async fn write(
    streams: &[Open],
    schedule: Schedule,
    until: Instant,
    readers: &mut JoinSet<Result<(), Failure>>,
) -> Result<u64, Failure> {
    let (pacer, mut unsent, mut next) = (Pacer::start(), 0, 0);
    let last = schedule.due(until);
    for stream in streams.iter().cycle() {
        pacer.tick().await;
        // A reader that ends now has failed.
        if let Some(ended) = readers.try_join_next() {
            ended??;
        }
        let due = schedule.due(Instant::now()).min(last);
        let mut stream = stream.lock();
        if stream.waiting.len() < BEHIND_MAX {
            let first = next;
            stream.send(usize::try_from(due - next)?, |place| schedule.at(first + place))?;
        } else {
            unsent += due - next;
        }
        next = due;
        if next == last {
            break;
        }
    }
    for stream in streams {
        stream.lock().close()?;
    }
    Ok(unsent)
}

async fn all(mut readers: JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    while let Some(done) = readers.join_next().await {
        done??;
    }
    Ok(())
}

impl Open {
    /// Opens a stream. Its answer is awaited later: the service may begin it only with the first entry.
    async fn begin(
        address: &str,
        program: &Program,
        spread: usize,
    ) -> Result<(Self, impl Future<Output = Result<RecvStream, Failure>> + use<>), Failure> {
        let (answer, out) = Line::connect(address, METHOD).await?.open().await?;
        let stream = Stream {
            out,
            entries: Entries::new(program, spread)?,
            waiting: VecDeque::new(),
            last_revision: 0,
            closed: false,
        };
        Ok((Self(Arc::new(Mutex::new(stream))), wire::body(answer)))
    }

    fn lock(&self) -> MutexGuard<'_, Stream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads answers to the end. Until `refill`, as many entries are sent as were answered.
    async fn read(
        self,
        mut body: RecvStream,
        tally: &Shared,
        refill: Option<Instant>,
    ) -> Result<(), Failure> {
        let mut rest = BytesMut::new();
        while let Some(part) = wire::next(&mut body).await? {
            rest.extend_from_slice(&part);
            let now = Instant::now();
            let mut stream = self.lock();
            let answered = stream.take(&mut rest, tally, now)?;
            match refill {
                Some(until) if now < until => stream.send(answered, |_| now)?,
                Some(_) => stream.close()?,
                None => {}
            }
        }
        wire::end(&mut body).await?;
        let missing = self.lock().waiting.len();
        if missing != 0 || !rest.is_empty() {
            return Err(format!("a stream ended without {missing} of its answers").into());
        }
        Ok(())
    }
}

impl Stream {
    /// Sends entries in one piece. `at` says when each was due.
    fn send(&mut self, count: usize, at: impl Fn(u64) -> Instant) -> Result<(), Failure> {
        if count == 0 {
            return Ok(());
        }
        let (mut piece, now) = (self.entries.room(count), Instant::now());
        for place in 0..u64::try_from(count)? {
            let sent = self.entries.write(&mut piece, now);
            self.waiting.push_back(Sent { at: at(place), ..sent });
        }
        Ok(self.out.send_data(piece.freeze(), false)?)
    }

    /// Closes our half, once. What was sent is still answered.
    fn close(&mut self) -> Result<(), Failure> {
        if !self.closed {
            self.closed = true;
            self.out.send_data(Bytes::new(), true)?;
        }
        Ok(())
    }

    /// Takes every whole answer, and tells how many there were.
    fn take(&mut self, rest: &mut BytesMut, tally: &Shared, now: Instant) -> Result<usize, Failure> {
        let (mut tally, mut answered) = (tally.lock(), 0);
        while let Some(message) = wire::message(rest)? {
            let sent = self.waiting.pop_front().ok_or("an answer to nothing")?;
            let posted = answer::streamed(&message)?;
            if posted.revision <= self.last_revision {
                return Err(format!("revision {} came after {}", posted.revision, self.last_revision).into());
            }
            self.last_revision = posted.revision;
            tally.take(&sent, posted, now)?;
            answered += 1;
        }
        Ok(answered)
    }
}
