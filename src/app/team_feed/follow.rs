//! The task of one feed.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::app::App;
use crate::app::feed;
use crate::app::following::{RETRY_PAUSE, Stop, ready, reconnect_after, send};
use crate::app::team_feed::read::{Known, Part, Told, Whose, read_changes, read_rest};
use crate::app::team_feed::{Body, Counts, Message, Place, Record, Start};
use crate::app::token::Filter;
use crate::domain::caller::Caller;
use crate::domain::team_feed::Step;
use crate::error::Error;
use crate::store::team_feed::Position;

/// The task of one feed.
pub(super) struct Follower {
    app: App,
    whose: Whose,
    bound: Filter,
    progress_interval: Duration,
    sender: mpsc::Sender<Result<Message, Error>>,
    /// From when on the caller must prove itself again.
    expires_at: Option<Timestamp>,
    /// Where the reader is.
    place: Place,
    /// How far the journal was read.
    known: Known,
    /// How far the journal is known to be.
    head: i64,
    /// When the reader must hear something.
    silent_until: Instant,
}

impl Follower {
    pub(super) fn new(
        app: App,
        caller: &Caller,
        whose: Whose,
        bound: Filter,
        progress_interval: Duration,
        sender: mpsc::Sender<Result<Message, Error>>,
    ) -> Self {
        Self {
            app,
            whose,
            bound,
            progress_interval,
            sender,
            expires_at: caller.expires_at(),
            place: Place::UnfinishedSnapshot,
            known: Known { subjects: Position::after(0), stops: 0 },
            head: 0,
            silent_until: Instant::now(),
        }
    }

    /// Sends everything until the reader is gone, its token expires, or the server drains.
    pub(super) async fn run(mut self, start: Start) {
        let scope = self.whose.operator.scope();
        let (revision, head) = match &start {
            Start::Snapshot(part) => (part.head, part.head),
            Start::After { revision, head } => (*revision, *head),
        };
        self.head = head;
        let known = self.app.feed.watch(scope, head);
        // Others may watch the scope and know less: what is behind the head is sent at once.
        self.app.feed.tell(scope, head);
        let ended = match self.begin(start, revision).await {
            Ok(()) => self.follow(known).await,
            Err(stop) => Err(stop),
        };
        let last = match ended {
            Ok(()) | Err(Stop::Gone) => return,
            Err(Stop::Drained) => Ok(self.message(self.place, Body::Reconnect { after: reconnect_after() })),
            Err(Stop::Failed(error)) => Err(error),
        };
        if self.sender.send(last).await.is_err() {
            tracing::debug!("a feed ended without its reader");
        }
    }

    fn message(&self, place: Place, body: Body) -> Message {
        Message { cursor: self.app.sealer.seal(self.bound, &place.bytes()), body }
    }

    /// Sends one message, unless the caller's token has expired or the server drains.
    async fn send(&mut self, place: Place, body: Body) -> Result<(), Stop> {
        if self.expires_at.is_some_and(|moment| moment <= self.app.now()) {
            return Err(Stop::Failed(Error::Unauthenticated));
        }
        send(&self.app.feed, &self.sender, self.message(place, body)).await?;
        self.silent_until = Instant::now() + self.progress_interval;
        Ok(())
    }

    async fn begin(&mut self, start: Start, revision: i64) -> Result<(), Stop> {
        let resumed = matches!(start, Start::After { .. });
        if resumed {
            self.place = Place::After(revision);
        }
        self.known = Known { subjects: Position::after(revision), stops: revision };
        let feed_epoch = self.app.sealer.epoch();
        let progress_interval = self.progress_interval;
        self.send(self.place, Body::Begin { revision, feed_epoch, progress_interval, resumed }).await?;
        match start {
            Start::Snapshot(part) => self.snapshot(*part).await,
            Start::After { .. } => Ok(()),
        }
    }

    async fn snapshot(&mut self, part: Part) -> Result<(), Stop> {
        let revision = part.head;
        let counts = self.send_batch(part, None).await?;
        self.send(Place::After(revision), Body::SnapshotEnd { revision, counts }).await?;
        self.place = Place::After(revision);
        Ok(())
    }

    async fn follow(&mut self, mut heads: watch::Receiver<feed::Known>) -> Result<(), Stop> {
        let drain = self.app.feed.drain().clone();
        loop {
            let at = self.revision();
            let reader = self.sender.clone();
            tokio::select! {
                biased;
                () = drain.cancelled() => return Err(Stop::Drained),
                () = reader.closed() => return Err(Stop::Gone),
                // Before the timer: whoever waits for progress waits to hear that all was sent.
                changed = ready(&mut heads, at, Instant::now()) => {
                    self.head = self.head.max(changed.ok_or(Stop::Gone)?);
                    self.advance().await?;
                    self.keep_alive().await?;
                }
                () = tokio::time::sleep_until(self.silent_until) => self.progress().await?,
            }
        }
    }

    /// Everything up to here was sent.
    const fn revision(&self) -> i64 {
        match self.place {
            Place::UnfinishedSnapshot => 0,
            Place::After(revision) => revision,
        }
    }

    async fn progress(&mut self) -> Result<(), Stop> {
        let revision = self.revision();
        self.send(self.place, Body::Progress { revision, head: self.head.max(revision) }).await
    }

    /// Progress, if it is time: of what did not concern the team nothing was sent.
    async fn keep_alive(&mut self) -> Result<(), Stop> {
        if self.place != Place::UnfinishedSnapshot && self.silent_until <= Instant::now() {
            self.progress().await?;
        }
        Ok(())
    }

    /// Sends what the next subjects of the journal ask for.
    async fn advance(&mut self) -> Result<(), Stop> {
        let part = self.read(None).await?;
        let reached = part.reached;
        // A revision that is read in parts is done with its last part.
        let whole = if reached == Position::after(reached.revision) {
            reached.revision
        } else {
            reached.revision - 1
        };
        let after = Place::After(whole.max(self.revision()));
        self.send_batch(part, Some(after)).await?;
        self.place = after;
        self.known.subjects = reached;
        Ok(())
    }

    /// Sends a part and all that belongs to it, and counts. Every message has the cursor of the place before, so that
    /// a cut in the middle repeats the batch, but the last one has that of `after`, if there is one.
    async fn send_batch(&mut self, mut part: Part, after: Option<Place>) -> Result<Counts, Stop> {
        let mut counts = Counts::default();
        loop {
            let as_of = self.app.now();
            let stops = part.stops.into_iter().map(|stop| Body::SafetyStop(Box::new(stop)));
            let told = part.told.into_iter().map(|told| match told {
                Told::Shown(record) => Body::Shown { record, as_of },
                Told::Removed(item) => Body::Removed(item),
            });
            let mut bodies = stops.chain(told).peekable();
            while let Some(body) = bodies.next() {
                counts.add(&body);
                let last = bodies.peek().is_none() && part.rest.is_empty();
                let place = after.filter(|_| last).unwrap_or(self.place);
                self.send(place, body).await?;
            }
            self.known.stops = self.known.stops.max(part.head);
            self.head = self.head.max(part.head);
            if part.rest.is_empty() {
                return Ok(counts);
            }
            part = self.read(Some(part.rest)).await?;
        }
    }

    /// Reads the next part. While the database is away the stream keeps its place.
    async fn read(&mut self, rest: Option<Vec<Step>>) -> Result<Part, Stop> {
        loop {
            let (whose, known, rest) = (self.whose, self.known, rest.clone());
            let part = self.app.store.snapshot(move |conn| {
                let rest = rest.clone();
                Box::pin(async move {
                    match rest {
                        None => read_changes(conn, whose, known).await,
                        Some(steps) => read_rest(conn, whose, known, steps).await,
                    }
                })
            });
            match part.await {
                Err(error @ (Error::Unavailable(_) | Error::Contended)) => {
                    tracing::debug!(%error, "a feed could not read the journal");
                    self.pause().await?;
                }
                done => return Ok(done?),
            }
        }
    }

    /// Waits until the journal may be read again, and keeps the reader from thinking that the stream is dead.
    async fn pause(&mut self) -> Result<(), Stop> {
        let (drain, reader) = (self.app.feed.drain().clone(), self.sender.clone());
        tokio::select! {
            biased;
            () = drain.cancelled() => return Err(Stop::Drained),
            () = reader.closed() => return Err(Stop::Gone),
            () = tokio::time::sleep(RETRY_PAUSE) => {}
        }
        self.keep_alive().await
    }
}

impl Counts {
    const fn add(&mut self, body: &Body) {
        match body {
            Body::SafetyStop(_) => self.safety_stops += 1,
            Body::Shown { record: Record::Assignment(_), .. } => self.assignments += 1,
            Body::Shown { record: Record::Task(_), .. } => self.tasks += 1,
            Body::Shown { record: Record::Site(_), .. } => self.sites += 1,
            Body::Shown { record: Record::Returned(_), .. } => self.returned += 1,
            Body::Begin { .. }
            | Body::Removed(_)
            | Body::SnapshotEnd { .. }
            | Body::Progress { .. }
            | Body::Reconnect { .. } => {}
        }
    }
}
