//! What is counted while a load runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::Failure;
use crate::answer::Posted;
use crate::entry::Sent;
use crate::figures::Micros;

/// The longest latency that is told apart.
const LONGEST_US: u64 = 600_000_000;
/// Significant digits of a latency.
const DIGITS: u8 = 3;

/// The part of a run that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

impl Window {
    pub(crate) fn after(warm_up: Duration, measured: Duration) -> Self {
        let from = Instant::now() + warm_up;
        Self { from, until: from + measured }
    }

    fn holds(&self, at: Instant) -> bool {
        self.from <= at && at < self.until
    }

    pub(crate) fn length(&self) -> Duration {
        self.until - self.from
    }
}

/// Counts of one load.
pub(crate) struct Tally {
    pub(crate) window: Window,
    /// Whether latencies count by when entries were due instead of when their answers came. In an open loop
    /// they must: a late answer would fall out of the window, and the worst ones are the late ones.
    by_schedule: bool,
    latency: Histogram<u64>,
    /// Answers within the window.
    pub(crate) in_window: u64,
    /// All answers, and by task.
    pub(crate) accepted: u64,
    pub(crate) by_task: Vec<u64>,
    /// Every revision that was answered, unless there are too many to keep.
    pub(crate) revisions: Option<Vec<i64>>,
}

/// Percentiles of a latency.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: Micros,
    pub(crate) p99: Micros,
    pub(crate) p999: Micros,
    pub(crate) max: Micros,
}

/// One tally for all callers of a load.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Tally>>);

impl Shared {
    pub(crate) fn new(window: Window, tasks: usize, open: bool, keep: bool) -> Result<Self, Failure> {
        Ok(Self(Arc::new(Mutex::new(Tally {
            window,
            by_schedule: open,
            latency: Histogram::new_with_bounds(1, LONGEST_US, DIGITS)?,
            in_window: 0,
            accepted: 0,
            by_task: vec![0; tasks],
            revisions: keep.then(Vec::new),
        }))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts, once all callers are gone.
    pub(crate) fn close(self) -> Result<Tally, Failure> {
        let alone = Arc::try_unwrap(self.0).map_err(|_| "somebody still counts")?;
        Ok(alone.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tally {
    /// Checks an answer against what was sent in its place, and counts it.
    pub(crate) fn take(&mut self, sent: &Sent, posted: Posted<'_>, now: Instant) -> Result<(), Failure> {
        if posted.entry_id != sent.entry_id {
            let (sent, got) = (String::from_utf8_lossy(&sent.entry_id), posted.entry_id);
            return Err(format!("{sent} was answered by {}", String::from_utf8_lossy(got)).into());
        }
        if posted.revision <= 0 {
            return Err(format!("an accepted entry has revision {}", posted.revision).into());
        }
        self.accepted += 1;
        self.by_task[sent.task] += 1;
        if let Some(revisions) = &mut self.revisions {
            revisions.push(posted.revision);
        }
        let answered = self.window.holds(now);
        self.in_window += u64::from(answered);
        if if self.by_schedule { self.window.holds(sent.at) } else { answered } {
            let waited = now.saturating_duration_since(sent.at).as_micros();
            self.latency.saturating_record(u64::try_from(waited).unwrap_or(LONGEST_US));
        }
        Ok(())
    }

    pub(crate) fn per_second(&self) -> u64 {
        let length = u64::try_from(self.window.length().as_millis()).unwrap_or(u64::MAX);
        self.in_window.saturating_mul(1_000) / length.max(1)
    }

    pub(crate) fn latency(&self) -> Latency {
        let at = |quantile| Micros(self.latency.value_at_quantile(quantile));
        Latency { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: Micros(self.latency.max()) }
    }
}
