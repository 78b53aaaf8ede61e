//! What all streams that follow a journal have in common: how they wait, send and end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::app::feed::{Feed, Known};
use crate::error::Error;

/// Messages that wait for a slow reader. Small: what waits here is already out of date.
pub(super) const QUEUE_LEN: usize = 16;
/// Pause before the journal is read again after it could not be.
pub(super) const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Clients of a server that drains are asked to wait up to 97 steps of this, so that they do not all come at
/// once.
const RECONNECT_STEP: Duration = Duration::from_millis(20);
const RECONNECT_STEPS: u64 = 97;

/// Spreads the waits of streams that end together.
static RECONNECTS: AtomicU64 = AtomicU64::new(0);

/// Why a step of a stream was not done.
pub(super) enum Stop {
    /// The reader is gone, and there is nobody to tell.
    Gone,
    /// The server drains.
    Drained,
    /// Something failed.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Sends one message, unless the server drains first.
pub(super) async fn send<M>(
    feed: &Feed,
    sender: &mpsc::Sender<Result<M, Error>>,
    message: M,
) -> Result<(), Stop> {
    match feed.drain().run_until_cancelled(sender.send(Ok(message))).await {
        Some(Ok(())) => Ok(()),
        Some(Err(_)) => Err(Stop::Gone),
        None => Err(Stop::Drained),
    }
}

/// Waits until there is something after `at`, and not before `not_before`. None when the feed is gone.
pub(super) async fn ready(known: &mut watch::Receiver<Known>, at: i64, not_before: Instant) -> Option<i64> {
    known.wait_for(|known| at < known.revision).await.ok()?;
    tokio::time::sleep_until(not_before).await;
    Some(known.borrow().revision)
}

/// How long the client of a stream that ends in a drain is asked to wait. The waits are spread evenly: each stream
/// gets the next of 97 steps, in an order that jumps about.
pub(super) fn reconnect_after() -> Duration {
    let turn = RECONNECTS.fetch_add(37, Ordering::Relaxed) % RECONNECT_STEPS;
    RECONNECT_STEP * u32::try_from(turn).unwrap_or(0)
}
