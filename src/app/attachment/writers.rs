//! Who writes which upload now: one at a time. Whoever comes second waits, and then goes on where the first one ended. A
//! first one that has gone silent, as half of a broken link does, has to make room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::files::UploadKey;

/// A writer that nobody heard of for so long makes room for one that waits.
pub const SILENCE_MAX: Duration = Duration::from_secs(5);

type ByKey = HashMap<UploadKey, Arc<Slot>>;

/// The writers of this process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Writers(Arc<Lock<ByKey>>);

#[derive(Debug)]
struct Slot {
    turn: Arc<Mutex<()>>,
    state: Lock<Heard>,
}

#[derive(Debug)]
struct Heard {
    at: Instant,
    stop: CancellationToken,
}

impl Default for Slot {
    fn default() -> Self {
        let heard = Heard { at: Instant::now(), stop: CancellationToken::new() };
        Self { turn: Arc::default(), state: Lock::new(heard) }
    }
}

/// The right to write an upload, until it is dropped.
#[derive(Debug)]
pub struct Writing {
    writers: Writers,
    key: UploadKey,
    slot: Arc<Slot>,
    stop: CancellationToken,
    _held: OwnedMutexGuard<()>,
}

impl Writers {
    /// Waits for the right to write an upload.
    pub async fn take(&self, key: UploadKey) -> Writing {
        let slot = self.slot(key);
        loop {
            match timeout(SILENCE_MAX, Arc::clone(&slot.turn).lock_owned()).await {
                Ok(held) => return self.begin(key, slot, held),
                Err(_) => slot.make_room(),
            }
        }
    }

    /// The right to write an upload, if nobody has it.
    #[must_use]
    pub fn try_take(&self, key: UploadKey) -> Option<Writing> {
        let slot = self.slot(key);
        let held = Arc::clone(&slot.turn).try_lock_owned().ok()?;
        Some(self.begin(key, slot, held))
    }

    fn slot(&self, key: UploadKey) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever stopped waiting left its slot behind; the map is as large as there are uploads.
        slots.retain(|_, slot| 1 < Arc::strong_count(slot));
        Arc::clone(slots.entry(key).or_default())
    }

    fn begin(&self, key: UploadKey, slot: Arc<Slot>, held: OwnedMutexGuard<()>) -> Writing {
        let stop = CancellationToken::new();
        let heard = Heard { at: Instant::now(), stop: stop.clone() };
        *slot.state.lock().unwrap_or_else(PoisonError::into_inner) = heard;
        Writing { writers: self.clone(), key, slot, stop, _held: held }
    }
}

impl Slot {
    fn make_room(&self) {
        let heard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if SILENCE_MAX <= heard.at.elapsed() {
            heard.stop.cancel();
        }
    }
}

impl Writing {
    /// Notes that something came.
    pub fn heard(&self) {
        self.slot.state.lock().unwrap_or_else(PoisonError::into_inner).at = Instant::now();
    }

    /// Cancelled when this writer has to make room.
    #[must_use]
    pub const fn stop(&self) -> &CancellationToken {
        &self.stop
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut slots = self.writers.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and this one: nobody waits.
        if Arc::strong_count(&self.slot) <= 2 {
            slots.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const KEY: UploadKey = UploadKey { operator: Uuid::nil(), sha256: [1; 32], size: 9 };

    #[tokio::test(start_paused = true)]
    async fn who_comes_second_waits_while_the_first_is_heard() {
        let writers = Writers::default();
        let first = writers.take(KEY).await;
        let second = tokio::spawn({
            let writers = writers.clone();
            async move { writers.take(KEY).await }
        });
        for _ in 0..10 {
            tokio::time::sleep(SILENCE_MAX / 2).await;
            first.heard();
        }
        assert!(!first.stop().is_cancelled() && !second.is_finished());
        assert!(writers.try_take(KEY).is_none());
        drop(first);
        drop(second.await.unwrap());
        assert!(writers.0.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_makes_room_for_who_waits() {
        let writers = Writers::default();
        let first = writers.take(KEY).await;
        tokio::time::sleep(SILENCE_MAX * 10).await;
        assert!(!first.stop().is_cancelled(), "nobody waits");
        let second = tokio::spawn({
            let writers = writers.clone();
            async move { writers.take(KEY).await }
        });
        first.stop().cancelled().await;
        drop(first);
        assert!(!second.await.unwrap().stop().is_cancelled());
    }
}
