//! Readiness: may a load balancer send calls to this process?
//!
//! One `watch` channel holds the answer. The drain and the loop here write it; the Health service
//! reads it. It must not know gRPC, nor how the database is asked.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Time from the start of one probe to the start of the next. A probe that takes longer is
/// followed by the next at once.
pub const PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// A probe that takes longer has failed.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Failures in a row that mean the database is away. With the times above, a database that stops
/// answering is noticed within 2.5 s, and one that refuses connections within 1 s.
pub const FAILURES_UNTIL_AWAY: u32 = 2;

/// What the process can do now. Only `Serving` is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not yet begun: the database has not answered.
    Starting,
    /// Taking calls.
    Serving,
    /// The database does not answer; calls that need it fail fast.
    DatabaseAway,
    /// Shutting down. Final.
    Draining,
}

/// Asks the database until the process drains, and writes what it learns to `sender`.
/// The first success after any state gives `Serving`; [`FAILURES_UNTIL_AWAY`] failures in a row
/// give `DatabaseAway`. `Draining` is never left, and ends the loop.
///
/// Start it when everything else is ready to serve. A probe that is late is dropped, so it must
/// be safe to drop: one statement on a connection of its own, no transaction.
pub async fn watch_database<F, Fut, E>(mut probe: F, sender: watch::Sender<Readiness>)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Display,
{
    let mut readiness = sender.subscribe();
    let mut ticks = interval(PROBE_INTERVAL);
    // Delay: after a slow probe the next starts at once, and no burst makes up for lost ticks.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = 0_u32;
    loop {
        let answer = tokio::select! {
            biased;
            // Cannot fail: `sender` is held here.
            _ = readiness.wait_for(|now| *now == Readiness::Draining) => return,
            answer = async { ticks.tick().await; timeout(PROBE_TIMEOUT, probe()).await } => answer,
        };
        let failure = match answer {
            Ok(Ok(())) => {
                failures = 0;
                if enter(&sender, Readiness::Serving) {
                    tracing::info!("the database answers, ready");
                }
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {PROBE_TIMEOUT:?}"),
        };
        failures = failures.saturating_add(1);
        if failures >= FAILURES_UNTIL_AWAY && enter(&sender, Readiness::DatabaseAway) {
            tracing::warn!(failure, "database away, not ready");
        }
    }
}

/// Changes the state; `true` if it was another one. One step under the channel's lock, so that a
/// drain that begins at the same time is not overwritten.
fn enter(sender: &watch::Sender<Readiness>, next: Readiness) -> bool {
    sender.send_if_modified(|now| {
        let changes = *now != Readiness::Draining && *now != next;
        if changes {
            *now = next;
        }
        changes
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};

    use tokio::time::{Instant, sleep};

    use super::*;

    const ANSWERS: u8 = 0;
    const REFUSES: u8 = 1;
    const HANGS: u8 = 2;

    struct Database(Arc<AtomicU8>);

    impl Database {
        fn watched() -> (Self, watch::Receiver<Readiness>, watch::Sender<Readiness>) {
            let mode = Arc::new(AtomicU8::new(ANSWERS));
            let (sender, receiver) = watch::channel(Readiness::Starting);
            let probed = Arc::clone(&mode);
            let probe = move || {
                let mode = probed.load(Ordering::Relaxed);
                async move {
                    match mode {
                        ANSWERS => Ok(()),
                        REFUSES => Err("refused"),
                        _ => std::future::pending().await,
                    }
                }
            };
            tokio::spawn(watch_database(probe, sender.clone()));
            (Self(mode), receiver, sender)
        }

        fn becomes(&self, mode: u8) {
            self.0.store(mode, Ordering::Relaxed);
        }
    }

    async fn until(receiver: &mut watch::Receiver<Readiness>, wanted: Readiness) -> Duration {
        let start = Instant::now();
        receiver.wait_for(|now| *now == wanted).await.expect("the channel is open");
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_hangs_is_noticed_within_three_seconds() {
        for offset in [1, 250, 499, 501] {
            let (database, mut receiver, _sender) = Database::watched();
            until(&mut receiver, Readiness::Serving).await;
            sleep(Duration::from_millis(offset)).await;
            database.becomes(HANGS);
            let noticed = until(&mut receiver, Readiness::DatabaseAway).await;
            assert!(noticed < Duration::from_secs(3), "{noticed:?}");
            database.becomes(ANSWERS);
            assert!(until(&mut receiver, Readiness::Serving).await <= Duration::from_millis(1_500));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_failure_changes_nothing() {
        let (database, mut receiver, _sender) = Database::watched();
        until(&mut receiver, Readiness::Serving).await;
        sleep(Duration::from_millis(250)).await;
        for _ in 0..3 {
            database.becomes(REFUSES);
            sleep(PROBE_INTERVAL).await;
            database.becomes(ANSWERS);
            sleep(PROBE_INTERVAL).await;
        }
        assert!(!receiver.has_changed().expect("the channel is open"));
    }

    #[tokio::test(start_paused = true)]
    async fn draining_is_never_left() {
        let (_database, mut receiver, sender) = Database::watched();
        until(&mut receiver, Readiness::Serving).await;
        sender.send_replace(Readiness::Draining);
        sleep(PROBE_INTERVAL * 5).await;
        assert_eq!(*receiver.borrow(), Readiness::Draining);
        assert!(!enter(&sender, Readiness::Serving));
        assert_eq!(sender.sender_count(), 1, "the loop has ended");
    }
}
