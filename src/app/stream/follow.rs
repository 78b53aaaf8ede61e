//! The task of one stream.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::app::App;
use crate::app::command::Event;
use crate::app::feed::Known;
use crate::app::report::{AsOf, Reading, read, totals};
use crate::app::stream::{Body, Delivery, Message, StreamQuery, UNFINISHED_SNAPSHOT};
use crate::app::token::Filter;
use crate::domain::currency::Currency;
use crate::domain::ids::AllocationId;
use crate::domain::program::{Allocation, Period};
use crate::error::Error;
use crate::store::journal::{Event as Stored, EventKind, list_events, list_events_of_kind};
use crate::store::report::ReportScope;

/// Most rows in one part of a snapshot.
const SNAPSHOT_ROWS: usize = 500;
/// Journal rows that are read at a time.
const PAGE: i64 = 500;
/// Pause before the journal is read again after it could not be.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Clients of a server that drains are asked to wait up to this long, so that they do not all come at once.
const RECONNECT_SPREAD_MS: u64 = 2_000;

/// Why a stream ends without a last message: its reader is gone.
struct Gone;

/// Why a step could not be done.
enum Stop {
    Gone,
    Failed(Error),
}

impl From<Gone> for Stop {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The task of one stream.
pub(super) struct Follower {
    app: App,
    query: StreamQuery,
    scope: ReportScope,
    bound: Filter,
    currency: Currency,
    sender: mpsc::Sender<Message>,
    /// Everything up to here was sent.
    at: i64,
    /// Revision of the entry that was sent last, or where the stream began.
    previous: i64,
    /// Allocations of the scope; none means all of the program.
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
        sender: mpsc::Sender<Message>,
    ) -> Self {
        Self {
            app,
            query,
            scope,
            bound,
            currency,
            sender,
            at: 0,
            previous: 0,
            members: None,
            last_report: None,
        }
    }

    /// Sends everything until the reader is gone, the end is reached, or the server drains. `head` is how
    /// far the program was when the stream was opened.
    pub(super) async fn run(mut self, start: Result<Reading, i64>, head: i64) {
        let known = {
            let revision = start.as_ref().map_or_else(|after| *after, |reading| reading.revision);
            (self.at, self.previous) = (revision, revision);
            let scope = self.query.report.program.scope();
            let known = self.app.feed.watch(scope, head);
            // Others may watch the scope and know less: what is behind the head is sent at once.
            self.app.feed.tell(scope, head);
            known
        };
        let begun = match start {
            Ok(reading) => self.snapshot(reading).await,
            Err(after) => self.begin(after, after).await,
        };
        if begun.is_ok() {
            // Gone is the only way out that sends nothing, and there is nobody to send it to.
            let _: Result<(), Gone> = self.follow(known).await;
        }
    }

    async fn send(&self, position: i64, body: Body) -> Result<(), Gone> {
        let resume_token = self.app.sealer.seal(self.bound, &position.to_be_bytes());
        self.sender.send(Message { resume_token, body }).await.map_err(|_| Gone)
    }

    async fn begin(&self, revision: i64, position: i64) -> Result<(), Gone> {
        let body = Body::Begin {
            revision,
            feed_epoch: self.app.sealer.epoch(),
            progress_interval: self.query.progress_interval,
            currency: self.currency,
        };
        self.send(position, body).await
    }

    async fn snapshot(&self, reading: Reading) -> Result<(), Gone> {
        self.begin(reading.revision, UNFINISHED_SNAPSHOT).await?;
        let Ok(totals) = totals(&reading.rows, self.scope.top.len().max(1)) else { return Err(Gone) };
        let row_count = reading.rows.len();
        for part in reading.rows.chunks(SNAPSHOT_ROWS) {
            self.send(UNFINISHED_SNAPSHOT, Body::Snapshot(part.to_vec())).await?;
        }
        let revision = reading.revision;
        self.send(revision, Body::SnapshotEnd { revision, row_count, totals }).await
    }

    async fn follow(&mut self, mut known: watch::Receiver<Known>) -> Result<(), Gone> {
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
                () = drain.cancelled() => return self.reconnect().await,
                () = reader.closed() => return Err(Gone),
                () = tokio::time::sleep_until(silent_until) => {
                    self.progress(&known).await?;
                    silent_until = Instant::now() + self.query.progress_interval;
                }
                changed = ready(&mut known, at, not_before) => {
                    let Some(head) = changed else { return Err(Gone) };
                    match self.advance(head).await {
                        Ok(true) => silent_until = Instant::now() + self.query.progress_interval,
                        Ok(false) => {}
                        Err(Stop::Gone) => return Err(Gone),
                        Err(Stop::Failed(error)) => {
                            // The stream keeps its place and goes on when the database is back.
                            tracing::debug!(%error, "a stream could not read the journal");
                            not_before = Instant::now() + RETRY_PAUSE;
                            continue;
                        }
                    }
                    not_before = self.next_update();
                }
            }
        }
    }

    fn next_update(&self) -> Instant {
        self.last_report.map_or_else(Instant::now, |last| last + self.query.min_update_interval)
    }

    async fn progress(&self, known: &watch::Receiver<Known>) -> Result<(), Gone> {
        let lag = known.borrow().looked.elapsed();
        self.send(self.at, Body::Progress { revision: self.at, lag }).await
    }

    async fn reconnect(&self) -> Result<(), Gone> {
        // A different wait for each stream, from its place in memory order of tokens: no randomness needed.
        let token = self.app.sealer.seal(self.bound, &self.at.to_be_bytes());
        let spread = token.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let after = Duration::from_millis(spread % RECONNECT_SPREAD_MS);
        self.send(self.at, Body::Reconnect { after }).await
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
        let (codec, scope, bounded) = (self.app.codec, self.scope.clone(), self.query.until.is_some());
        let as_of = if bounded { AsOf::Revision(up_to) } else { AsOf::Latest };
        let snapshot = self.app.store.snapshot(move |conn| {
            let scope = scope.clone();
            Box::pin(async move { read(conn, codec, &scope, as_of).await })
        });
        let reading = snapshot.await?;
        let mut sent = self.send_periods(reading.revision).await?;
        let totals = totals(&reading.rows, self.scope.top.len().max(1))?;
        let changed: Vec<Allocation> =
            reading.rows.into_iter().filter(|row| self.at < row.revision).collect();
        let revision = reading.revision;
        if !changed.is_empty() {
            self.send(revision, Body::Report { revision, rows: changed, totals }).await?;
            self.last_report = Some(Instant::now());
            sent = true;
        }
        self.at = revision;
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
            sent |= self.send_period(&event, self.at).await?;
        }
        Ok(sent)
    }

    async fn send_period(&self, event: &Stored, position: i64) -> Result<bool, Stop> {
        let Event::Period(period) = (self.app.codec.decode)(event.kind, &event.payload)? else {
            return Ok(false);
        };
        if !self.covers_period(&period) {
            return Ok(false);
        }
        self.send(position, Body::PeriodChanged { revision: event.revision, period }).await?;
        Ok(true)
    }

    fn covers_period(&self, period: &Period) -> bool {
        self.scope.period.is_none_or(|id| id == period.id)
    }

    async fn advance_entries(&mut self, up_to: i64) -> Result<bool, Stop> {
        let mut sent = false;
        while self.at < up_to {
            let page = PAGE.min(up_to - self.at);
            let pool = self.app.store.pool();
            let events = list_events(pool, self.scope.program.scope(), self.at, page).await?;
            if events.is_empty() {
                return Ok(sent);
            }
            for event in events {
                sent |= self.send_event(event).await?;
            }
        }
        Ok(sent)
    }

    async fn send_event(&mut self, event: Stored) -> Result<bool, Stop> {
        let revision = event.revision;
        let sent = match event.kind {
            EventKind::EntryPosted if self.covers_entry(&event).await? => {
                let body = Body::Entry { payload: event.payload, previous_revision: self.previous };
                self.send(revision, body).await?;
                self.previous = revision;
                true
            }
            EventKind::PeriodChanged => self.send_period(&event, revision).await?,
            EventKind::AllocationCreated => {
                // The members are read again when an entry asks for them.
                self.members = None;
                false
            }
            EventKind::EntryPosted | EventKind::OrganizationCreated | EventKind::ProgramCreated => false,
        };
        self.at = revision;
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
        let (codec, scope) = (self.app.codec, self.scope.clone());
        let snapshot = self.app.store.snapshot(move |conn| {
            let scope = scope.clone();
            Box::pin(async move { read(conn, codec, &scope, AsOf::Latest).await })
        });
        Ok(snapshot.await?.rows.into_iter().map(|row| row.id).collect())
    }
}

/// Waits until there is something after `at`, and not before `not_before`. None when the feed is gone.
async fn ready(known: &mut watch::Receiver<Known>, at: i64, not_before: Instant) -> Option<i64> {
    known.wait_for(|known| at < known.revision).await.ok()?;
    tokio::time::sleep_until(not_before).await;
    Some(known.borrow().revision)
}
