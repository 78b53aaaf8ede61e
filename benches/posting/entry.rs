//! The entries that are posted. They differ in two ids only, so a request is encoded once and the ids are
//! written over it: the generator shares the processors with what it measures.

use std::sync::Arc;
use std::time::Instant;

use bytes::{BufMut as _, BytesMut};
use prost::Message as _;
use safelane::clock::{Clock as _, SystemClock};
use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use uuid::Uuid;

use crate::Failure;
use crate::program::{Program, usd};

/// What each entry spends.
pub(crate) const MINOR_UNITS: i64 = 100;
/// As the baseline writes it.
const NOTE: &str = "fuel and demining kits";
/// Bits of the counter within a millisecond.
const COUNTER_MAX: u64 = 0xfff;

/// The text of a UUID.
pub(crate) type IdText = [u8; 36];

/// A source of UUIDv7 that only grow.
#[derive(Debug)]
pub(crate) struct Ids {
    /// Unix milliseconds when this source was made; from there the monotonic clock counts.
    epoch_ms: u64,
    begun: Instant,
    last_ms: u64,
    counter: u64,
    /// Random, so that two sources never meet.
    tail: u64,
}

impl Ids {
    pub(crate) fn new() -> Result<Self, Failure> {
        let epoch_ms = u64::try_from(SystemClock.now().as_millisecond())?;
        Ok(Self { epoch_ms, begun: Instant::now(), last_ms: epoch_ms, counter: 0, tail: random()? })
    }

    /// The next id. The counter goes on into the next millisecond when one is full, as RFC 9562 allows.
    pub(crate) fn next(&mut self, now: Instant) -> IdText {
        let since = u64::try_from(now.saturating_duration_since(self.begun).as_millis()).unwrap_or(0);
        let ms = self.epoch_ms + since;
        if self.last_ms < ms {
            (self.last_ms, self.counter) = (ms, 0);
        } else if self.counter == COUNTER_MAX {
            (self.last_ms, self.counter) = (self.last_ms + 1, 0);
        } else {
            self.counter += 1;
        }
        let high = self.last_ms << 16 | 0x7000 | self.counter;
        let low = self.tail >> 2 | 1 << 63;
        let mut text = [0; 36];
        Uuid::from_u64_pair(high, low).hyphenated().encode_lower(&mut text);
        text
    }

    /// The next id, for a message.
    pub(crate) fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.next(Instant::now())).into_owned()
    }
}

/// An entry that was sent and waits for its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) entry_id: IdText,
    /// Which task pays.
    pub(crate) task: usize,
    /// When it was sent, or should have been when a schedule says so.
    pub(crate) at: Instant,
}

/// Writes requests, one after the other.
#[derive(Debug)]
pub(crate) struct Entries {
    frame: Vec<u8>,
    entry_id_at: usize,
    allocation_id_at: usize,
    tasks: Arc<Vec<String>>,
    spread: u64,
    ids: Ids,
    draw: u64,
}

impl Entries {
    /// Entries that are paid by the first `spread` tasks, drawn at random.
    pub(crate) fn new(program: &Program, spread: usize) -> Result<Self, Failure> {
        let mut ids = Ids::new()?;
        let (entry_id, allocation_id) = (ids.text(), ids.text());
        let expend = pb::Expend {
            source: pb::ExpendSource::Available.into(),
            allocation_id: allocation_id.clone(),
            amount: usd(MINOR_UNITS),
            category: pb::CostCategory::Vehicles.into(),
            ..Default::default()
        };
        let mut entry = program.entry(entry_id.clone(), Action::Expend(expend));
        NOTE.clone_into(&mut entry.note);
        // PostEntriesRequest has the same bytes.
        let message = pb::PostEntryRequest { entry: Some(entry) }.encode_to_vec();
        let mut frame = vec![0];
        frame.put_u32(u32::try_from(message.len())?);
        frame.extend_from_slice(&message);
        Ok(Self {
            entry_id_at: place(&frame, &entry_id)?,
            allocation_id_at: place(&frame, &allocation_id)?,
            frame,
            tasks: Arc::clone(&program.tasks),
            spread: u64::try_from(spread)?,
            ids,
            draw: random()? | 1,
        })
    }

    /// Room for so many requests.
    pub(crate) fn room(&self, requests: usize) -> BytesMut {
        BytesMut::with_capacity(self.frame.len() * requests)
    }

    /// Appends one request, with its frame, to `out`.
    pub(crate) fn write(&mut self, out: &mut BytesMut, now: Instant) -> Sent {
        let (entry_id, task) = (self.ids.next(now), self.draw());
        let begin = out.len();
        out.extend_from_slice(&self.frame);
        let written = &mut out[begin..];
        written[self.entry_id_at..][..36].copy_from_slice(&entry_id);
        written[self.allocation_id_at..][..36].copy_from_slice(self.tasks[task].as_bytes());
        Sent { entry_id, task, at: now }
    }

    /// A task by xorshift: cheap, and even enough to choose among a thousand.
    fn draw(&mut self) -> usize {
        self.draw ^= self.draw << 13;
        self.draw ^= self.draw >> 7;
        self.draw ^= self.draw << 17;
        usize::try_from((self.draw >> 11) % self.spread).unwrap_or(0)
    }
}

fn place(frame: &[u8], id: &str) -> Result<usize, Failure> {
    let found = frame.windows(id.len()).position(|bytes| bytes == id.as_bytes());
    found.ok_or_else(|| "an id is not in its own request".into())
}

fn random() -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}
