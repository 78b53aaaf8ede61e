//! Who waits for which scope, and how far each scope is known to be.
//!
//! Streams and `min_revision` reads wait here. They are woken by this process's own writer at once, and by
//! a poll of the heads of all watched scopes, which is how writes of other replicas are seen. A wake-up is
//! only a hint: what is sent is always read from the journal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::domain::ids::ScopeId;
use crate::error::{Away, Error};
use crate::store::Store;
use crate::store::journal::find_heads;

/// How often the heads of watched scopes are read.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How far a scope is known to be, and since when.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// The last revision that was seen.
    pub revision: i64,
    /// When the journal's head was last read or written by this process.
    pub looked: tokio::time::Instant,
}

/// The process's one feed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed {
    store: Store,
    watched: Arc<Mutex<HashMap<ScopeId, watch::Sender<Known>>>>,
    drain: CancellationToken,
}

impl Feed {
    /// A feed that nobody watches yet.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, watched: Arc::default(), drain: CancellationToken::new() }
    }

    /// Follows a scope. The first value may be older than the present one; a poll follows within a second.
    #[must_use]
    pub fn watch(&self, scope: ScopeId, revision: i64) -> watch::Receiver<Known> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever stopped watching is forgotten here, so the map is bounded by the streams that are open.
        watched.retain(|_, sender| sender.receiver_count() != 0);
        let known = Known { revision, looked: tokio::time::Instant::now() };
        watched.entry(scope).or_insert_with(|| watch::Sender::new(known)).subscribe()
    }

    /// Says that a scope has reached a revision.
    pub fn tell(&self, scope: ScopeId, revision: i64) {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = watched.get(&scope) {
            sender.send_modify(|known| {
                known.revision = known.revision.max(revision);
                known.looked = tokio::time::Instant::now();
            });
        }
    }

    /// Cancelled when streams must end.
    #[must_use]
    pub const fn drain(&self) -> &CancellationToken {
        &self.drain
    }

    /// Refuses new streams once the server drains.
    ///
    /// # Errors
    /// `Unavailable` while draining.
    pub fn expect_open(&self) -> Result<(), Error> {
        if self.drain.is_cancelled() { Err(Error::Unavailable(Away::Draining)) } else { Ok(()) }
    }

    /// Polls the heads of watched scopes until the feed drains. A poll that fails is tried again: streams
    /// keep their place and go on when the database is back.
    pub async fn poll(self) {
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.drain.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let scopes = self.watched_scopes();
            if scopes.is_empty() {
                continue;
            }
            match find_heads(self.store.pool(), &scopes).await {
                Ok(heads) => heads.iter().for_each(|head| self.tell(head.scope, head.revision)),
                Err(error) => tracing::debug!(%error, "the feed could not read the heads"),
            }
        }
    }

    fn watched_scopes(&self) -> Vec<Uuid> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.iter().filter(|(_, sender)| sender.receiver_count() != 0).map(|(id, _)| id.uuid()).collect()
    }

    /// Waits until a scope has reached a revision, up to the caller's deadline: past it this future is
    /// dropped. 0 does not wait, and neither does a scope that does not exist: the read will say so.
    ///
    /// # Errors
    /// `Unavailable` when the database or this server goes away.
    pub async fn reach(&self, scope: ScopeId, min_revision: i64) -> Result<(), Error> {
        if min_revision <= 0 {
            return Ok(());
        }
        let heads = find_heads(self.store.pool(), &[scope.uuid()]).await?;
        let Some(head) = heads.first().filter(|head| head.revision < min_revision) else {
            return Ok(());
        };
        let mut receiver = self.watch(scope, head.revision);
        let reached = receiver.wait_for(|known| min_revision <= known.revision);
        match self.drain.run_until_cancelled(reached).await {
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err(Error::Unavailable(Away::Draining)),
        }
    }
}
