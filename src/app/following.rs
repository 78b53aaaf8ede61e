//! What all streams that follow a journal have in common: how they wait, send and end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::app::App;
use crate::app::feed::{Feed, Known};
use crate::domain::caller::Caller;
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

/// Why a follower woke up.
pub(super) enum Woken {
    /// The reader must hear something.
    Quiet,
    /// The journal went on.
    Ahead,
}

/// The way from a follower to its reader: it ends with the caller's token, and knows when the reader must hear
/// something.
pub(super) struct Outlet<M> {
    app: App,
    sender: mpsc::Sender<Result<M, Error>>,
    /// From when on the caller must prove itself again.
    expires_at: Option<Timestamp>,
    progress_interval: Duration,
    silent_until: Instant,
}

impl<M> Outlet<M> {
    pub(super) fn new(
        app: App,
        caller: &Caller,
        progress_interval: Duration,
        sender: mpsc::Sender<Result<M, Error>>,
    ) -> Self {
        let (expires_at, silent_until) = (caller.expires_at(), Instant::now());
        Self { app, sender, expires_at, progress_interval, silent_until }
    }

    pub(super) const fn app(&self) -> &App {
        &self.app
    }

    pub(super) const fn progress_interval(&self) -> Duration {
        self.progress_interval
    }

    /// Sends one message, unless the caller's token has expired or the server drains.
    pub(super) async fn send(&mut self, message: M) -> Result<(), Stop> {
        if self.expires_at.is_some_and(|moment| moment <= self.app.now()) {
            return Err(Stop::Failed(Error::Unauthenticated));
        }
        send(&self.app.feed, &self.sender, message).await?;
        self.silent_until = Instant::now() + self.progress_interval;
        Ok(())
    }

    /// Waits until the journal is beyond a revision, or the reader must hear something.
    pub(super) async fn wait(&self, heads: &mut watch::Receiver<Known>, at: i64) -> Result<Woken, Stop> {
        tokio::select! {
            biased;
            () = self.app.feed.drain().cancelled() => Err(Stop::Drained),
            () = self.sender.closed() => Err(Stop::Gone),
            () = tokio::time::sleep_until(self.silent_until) => Ok(Woken::Quiet),
            changed = ready(heads, at, Instant::now()) => changed.map(|_| Woken::Ahead).ok_or(Stop::Gone),
        }
    }

    /// Waits until the journal may be read again. Says whether the reader must hear something.
    pub(super) async fn pause(&self) -> Result<bool, Stop> {
        tokio::select! {
            biased;
            () = self.app.feed.drain().cancelled() => Err(Stop::Drained),
            () = self.sender.closed() => Err(Stop::Gone),
            () = tokio::time::sleep(RETRY_PAUSE) => Ok(self.silent_until <= Instant::now()),
        }
    }

    /// Ends the stream: with the last message that a drain asks for, or with why it failed.
    pub(super) async fn end(self, ended: Result<(), Stop>, reconnect: impl FnOnce(Duration) -> M) {
        let last = match ended {
            Ok(()) | Err(Stop::Gone) => return,
            Err(Stop::Drained) => Ok(reconnect(reconnect_after())),
            Err(Stop::Failed(error)) => Err(error),
        };
        if self.sender.send(last).await.is_err() {
            tracing::debug!("a stream ended without its reader");
        }
    }
}
