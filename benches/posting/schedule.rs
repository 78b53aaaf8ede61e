//! The arrival schedule of an open loop: fixed times, whatever the service does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How finely arrivals are let go. Up to this much of a latency is the generator's own. Tokio's timer has a
/// millisecond; waking more often costs processor time that the service should have.
const STEP: Duration = Duration::from_micros(500);
const SECOND_NS: u64 = 1_000_000_000;

/// Arrivals at a fixed rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) begin: Instant,
    pub(crate) per_second: u64,
}

impl Schedule {
    /// When an arrival is due.
    pub(crate) fn at(&self, arrival: u64) -> Instant {
        let seconds = Duration::from_secs(arrival / self.per_second);
        let rest = (arrival % self.per_second) * SECOND_NS / self.per_second;
        self.begin + seconds + Duration::from_nanos(rest)
    }

    /// How many are due by now.
    pub(crate) fn due(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.begin);
        let part = u64::from(since.subsec_nanos()) * self.per_second / SECOND_NS;
        since.as_secs() * self.per_second + part
    }
}

/// Wakes an open loop again and again until it is dropped.
pub(crate) struct Pacer {
    tick: Arc<Notify>,
    ended: Arc<AtomicBool>,
}

impl Pacer {
    pub(crate) fn start() -> Self {
        let pacer = Self { tick: Arc::default(), ended: Arc::default() };
        let (tick, ended) = (Arc::clone(&pacer.tick), Arc::clone(&pacer.ended));
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                thread::sleep(STEP);
                tick.notify_one();
            }
        });
        pacer
    }

    pub(crate) async fn tick(&self) {
        self.tick.notified().await;
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}
