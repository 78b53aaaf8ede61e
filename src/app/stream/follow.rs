//! The task of one stream.

use std::collections::HashSet;

use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::app::App;
use crate::app::command::Event;
use crate::app::feed::Known;
use crate::app::following::{RETRY_PAUSE, Stop, ready, reconnect_after, send};
use crate::app::report::{AsOf, Reading, read, totals};
use crate::app::stream::{Body, Delivery, Message, Place, StreamQuery};
use crate::app::token::Filter;
use crate::domain::currency::Currency;
use crate::domain::ids::AllocationId;
use crate::domain::program::Period;
use crate::domain::report::ReportRow;
use crate::error::Error;
use crate::store::journal::{Event as Stored, EventKind, list_events, list_events_of_kind};
use crate::store::report::ReportScope;

/// Most rows in one part of a snapshot.
const SNAPSHOT_ROWS: usize = 500;
/// Journal rows that are read at a time.
const PAGE: i64 = 500;

/// The task of one stream.
pub(super) struct Follower {
    app: App,
    query: StreamQuery,
    scope: ReportScope,
    bound: Filter,
    currency: Currency,
    sender: mpsc::Sender<Result<Message, Error>>,
    /// Where the reader is.
    place: Place,
    /// Everything up to here was sent.
    at: i64,
    /// Revision of the entry that was sent last, or where the stream began.
    previous: i64,
    /// Allocations of the scope; none means that they must be read.
    members: Option<HashSet<AllocationId>>,
    last_report: Option<Instant>,
}

impl Follower {
    pub(super) fn new(
        app: App,
        query: StreamQuery,
        scope: ReportScope,
        bound: Filter,
        currency: Currency,
        sender: mpsc::Sender<Result<Message, Error>>,
    ) -> Self {
        Self {
            app,
            query,
            scope,
            bound,
            currency,
            sender,
            place: Place::UnfinishedSnapshot,
            at: 0,
            previous: 0,
            members: None,
            last_report: None,
        }
    }

    /// Sends everything until the reader is gone, the end is reached, or the server drains. `head` is how
    /// far the program was when the stream was opened.
    pub(super) async fn run(mut self, start: Result<Reading, (i64, i64)>, head: i64) {
        let scope = self.query.report.program.scope();
        let known = self.app.feed.watch(scope, head);
        // Others may watch the scope and know less: what is behind the head is sent at once.
        self.app.feed.tell(scope, head);
        let ended = match self.begin(start).await {
            Ok(()) => self.follow(known).await,
            Err(stop) => Err(stop),
        };
        let last = match ended {
            Ok(()) | Err(Stop::Gone) => return,
            Err(Stop::Drained) => Ok(self.message(self.place, Body::Reconnect { after: reconnect_after() })),
            Err(Stop::Failed(error)) => Err(error),
        };
        if self.sender.send(last).await.is_err() {
            tracing::debug!("a stream ended without its reader");
        }
    }

    fn message(&self, place: Place, body: Body) -> Message {
        Message { resume_token: self.app.sealer.seal(self.bound, &place.bytes()), body }
    }

    /// Sends one message, unless the server drains first.
    async fn send(&self, place: Place, body: Body) -> Result<(), Stop> {
        send(&self.app.feed, &self.sender, self.message(place, body)).await
    }

    /// Takes over where the reader is once a message of that place was sent.
    fn reach(&mut self, at: i64, previous: i64) {
        (self.at, self.previous) = (at, previous);
        self.place = Place::After { at, previous };
    }

    async fn begin(&mut self, start: Result<Reading, (i64, i64)>) -> Result<(), Stop> {
        let revision = match &start {
            Ok(reading) => reading.revision,
            Err((after, previous)) => {
                self.reach(*after, *previous);
                *after
            }
        };
        let body = Body::Begin {
            revision,
            feed_epoch: self.app.sealer.epoch(),
            progress_interval: self.query.progress_interval,
            currency: self.currency,
        };
        self.send(self.place, body).await?;
        match start {
            Ok(reading) => self.snapshot(reading).await,
            Err(_) => Ok(()),
        }
    }

    async fn snapshot(&mut self, reading: Reading) -> Result<(), Stop> {
        let totals = totals(&reading.rows, self.scope.top.len().max(1))?;
        let row_count = reading.rows.len();
        for part in reading.rows.chunks(SNAPSHOT_ROWS) {
            self.send(Place::UnfinishedSnapshot, Body::Snapshot(part.to_vec())).await?;
        }
        let revision = reading.revision;
        let place = Place::After { at: revision, previous: revision };
        self.send(place, Body::SnapshotEnd { revision, row_count, totals }).await?;
        self.reach(revision, revision);
        Ok(())
    }

    async fn follow(&mut self, mut known: watch::Receiver<Known>) -> Result<(), Stop> {
        let drain = self.app.feed.drain().clone();
        let mut silent_until = Instant::now() + self.query.progress_interval;
        let mut not_before = Instant::now();
        loop {
            let at = self.at;
            if self.query.until.is_some_and(|until| until <= at) {
                return self.progress(&known).await;
            }
            let reader = self.sender.clone();
            tokio::select! {
                biased;
                () = drain.cancelled() => return Err(Stop::Drained),
                () = reader.closed() => return Err(Stop::Gone),
                () = tokio::time::sleep_until(silent_until) => {
                    self.progress(&known).await?;
                    silent_until = Instant::now() + self.query.progress_interval;
                }
                changed = ready(&mut known, at, not_before) => {
                    let head = changed.ok_or(Stop::Gone)?;
                    match self.advance(head).await {
                        Ok(true) => silent_until = Instant::now() + self.query.progress_interval,
                        Ok(false) => {}
                        Err(Stop::Failed(error @ (Error::Unavailable(_) | Error::Contended))) => {
                            // The stream keeps its place and goes on when the database is back.
                            tracing::debug!(%error, "a stream could not read the journal");
                            not_before = Instant::now() + RETRY_PAUSE;
                            continue;
                        }
                        Err(stop) => return Err(stop),
                    }
                    not_before = self.next_update();
                }
            }
        }
    }

    fn next_update(&self) -> Instant {
        self.last_report.map_or_else(Instant::now, |last| last + self.query.min_update_interval)
    }

    async fn progress(&self, known: &watch::Receiver<Known>) -> Result<(), Stop> {
        let lag = known.borrow().looked.elapsed();
        self.send(self.place, Body::Progress { revision: self.at, lag }).await
    }

    /// Sends what happened up to `head`. True when anything was sent.
    async fn advance(&mut self, head: i64) -> Result<bool, Stop> {
        let up_to = self.query.until.map_or(head, |until| until.min(head));
        match self.query.delivery {
            Delivery::State => self.advance_state(up_to).await,
            Delivery::Entries => self.advance_entries(up_to).await,
        }
    }

    async fn advance_state(&mut self, up_to: i64) -> Result<bool, Stop> {
        let (scope, bounded) = (self.scope.clone(), self.query.until.is_some());
        let as_of = if bounded { AsOf::Revision(up_to) } else { AsOf::Latest };
        let snapshot = self.app.store.snapshot(move |conn| {
            let scope = scope.clone();
            Box::pin(async move { read(conn, &scope, as_of).await })
        });
        let reading = self.app.turned_back(snapshot.await?).await?;
        let mut sent = self.send_periods(reading.revision).await?;
        let totals = totals(&reading.rows, self.scope.top.len().max(1))?;
        let changed: Vec<ReportRow> =
            reading.rows.into_iter().filter(|row| self.at < row.revision()).collect();
        let revision = reading.revision;
        if !changed.is_empty() {
            // In parts that any client can take; all but the last repeat the token of the place before.
            let parts = changed.len().div_ceil(SNAPSHOT_ROWS);
            for (index, rows) in changed.chunks(SNAPSHOT_ROWS).enumerate() {
                let after = Place::After { at: revision, previous: self.previous };
                let place = if index + 1 == parts { after } else { self.place };
                self.send(place, Body::Report { revision, rows: rows.to_vec(), totals }).await?;
            }
            self.last_report = Some(Instant::now());
            sent = true;
        }
        self.reach(revision, self.previous);
        Ok(sent)
    }

    /// Tells of periods that changed up to a revision. Their tokens are of the place before, because the
    /// rows of the same revisions are sent after them.
    async fn send_periods(&self, up_to: i64) -> Result<bool, Stop> {
        let (program, kind) = (self.scope.program.scope(), EventKind::PeriodChanged);
        let pool = self.app.store.pool();
        let events = list_events_of_kind(pool, program, kind, self.at, up_to).await?;
        let mut sent = false;
        for event in events {
            sent |= self.send_period(&event, self.place).await?;
        }
        Ok(sent)
    }

    async fn send_period(&self, event: &Stored, place: Place) -> Result<bool, Stop> {
        let Event::Period(period) = (self.app.codec.decode)(event.kind, &event.payload)? else {
            return Ok(false);
        };
        if !self.covers_period(&period) {
            return Ok(false);
        }
        self.send(place, Body::PeriodChanged { revision: event.revision, period }).await?;
        Ok(true)
    }

    fn covers_period(&self, period: &Period) -> bool {
        self.scope.period.is_none_or(|id| id == period.id)
    }

    async fn advance_entries(&mut self, up_to: i64) -> Result<bool, Stop> {
        let mut sent = false;
        // One page at a time: in between, the reader's leaving, the drain and the next progress are seen.
        let page = PAGE.min(up_to - self.at);
        let events = list_events(self.app.store.pool(), self.scope.program.scope(), self.at, page).await?;
        for event in events {
            sent |= self.send_event(event).await?;
        }
        Ok(sent)
    }

    async fn send_event(&mut self, event: Stored) -> Result<bool, Stop> {
        let revision = event.revision;
        let sent = match event.kind {
            EventKind::EntryPosted if self.covers_entry(&event).await? => {
                let body = Body::Entry { payload: event.payload, previous_revision: self.previous };
                self.send(Place::After { at: revision, previous: revision }, body).await?;
                self.previous = revision;
                true
            }
            EventKind::PeriodChanged => {
                let place = Place::After { at: revision, previous: self.previous };
                self.send_period(&event, place).await?
            }
            EventKind::AllocationCreated => {
                // The members are read again when an entry asks for them.
                self.members = None;
                false
            }
            EventKind::EntryPosted
            | EventKind::OrganizationCreated
            | EventKind::ProgramCreated
            | EventKind::Changed
            | EventKind::ReportReceived
            | EventKind::AttachmentStored => false,
        };
        self.reach(revision, self.previous);
        Ok(sent)
    }

    async fn covers_entry(&mut self, event: &Stored) -> Result<bool, Stop> {
        if self.scope.period.is_none() && self.scope.top.is_empty() {
            return Ok(true);
        }
        let Event::Entry(posted) = (self.app.codec.decode)(event.kind, &event.payload)? else {
            return Ok(false);
        };
        let members = match self.members.take() {
            Some(members) => members,
            None => self.read_members().await?,
        };
        let covered = posted.balances.iter().any(|(id, _)| members.contains(id));
        self.members = Some(members);
        Ok(covered)
    }

    /// Which allocations are in the scope. Allocations never move, so the present tree serves for the past.
    async fn read_members(&self) -> Result<HashSet<AllocationId>, Stop> {
        let scope = self.scope.clone();
        let snapshot = self.app.store.snapshot(move |conn| {
            let scope = scope.clone();
            Box::pin(async move { read(conn, &scope, AsOf::Latest).await })
        });
        Ok(snapshot.await?.rows.into_iter().map(|row| row.allocation.id).collect())
    }
}
