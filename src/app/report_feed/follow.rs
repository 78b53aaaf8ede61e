//! The task of one stream of reports.

use tokio::sync::watch;

use crate::app::feed::Known;
use crate::app::following::{Outlet, Stop, Woken};
use crate::app::token::Filter;
use crate::error::Error;
use crate::store::field_report::changed::Followed;

use super::place::Place;
use super::read::{Part, Told, read_part};
use super::{Body, Message};

/// The task of one stream.
pub(super) struct Follower {
    pub(super) outlet: Outlet<Message>,
    pub(super) followed: Followed,
    pub(super) bound: Filter,
    /// Where the reader is.
    pub(super) place: Place,
}

impl Follower {
    /// Sends everything until the reader is gone, its token expires, or the server drains.
    pub(super) async fn run(mut self, head: i64, resumed: bool) {
        let (feed, scope) = (self.outlet.app().feed.clone(), self.followed.operator.scope());
        let known = feed.watch(scope, head);
        // Others may watch the scope and know less: what is behind the head is sent at once.
        feed.tell(scope, head);
        let ended = self.follow(known, resumed).await;
        let resume_token = self.token();
        let last = |after| Message { resume_token, body: Body::Reconnect { after } };
        self.outlet.end(ended, last).await;
    }

    /// Continues after the place.
    fn token(&self) -> String {
        self.outlet.app().sealer.seal(self.bound, &self.place.bytes())
    }

    /// Sends one message, after which the reader is at a place.
    async fn send(&mut self, place: Place, body: Body) -> Result<(), Stop> {
        let before = std::mem::replace(&mut self.place, place);
        let message = Message { resume_token: self.token(), body };
        let sent = self.outlet.send(message).await;
        if sent.is_err() {
            // The reader does not have it.
            self.place = before;
        }
        sent
    }

    async fn follow(&mut self, mut heads: watch::Receiver<Known>, resumed: bool) -> Result<(), Stop> {
        let revision = self.place.snapshot.unwrap_or_else(|| self.place.revision());
        let feed_epoch = self.outlet.app().sealer.epoch();
        let progress_interval = self.outlet.progress_interval();
        self.send(self.place, Body::Begin { revision, feed_epoch, progress_interval, resumed }).await?;
        if let Some(revision) = self.place.snapshot {
            self.advance().await?;
            self.send(Place::whole(revision), Body::SnapshotEnd { revision }).await?;
        }
        loop {
            self.advance().await?;
            while let Woken::Quiet = self.outlet.wait(&mut heads, self.place.revision()).await? {
                self.progress().await?;
            }
        }
    }

    async fn progress(&mut self) -> Result<(), Stop> {
        let revision = self.place.revision();
        self.send(self.place, Body::Progress { revision }).await
    }

    /// Sends what there is after the place: the rest of the snapshot, or all that changed.
    async fn advance(&mut self) -> Result<(), Stop> {
        loop {
            let Part { head, told, last } = self.read().await?;
            for Told { at, report, shown } in told {
                let body = match shown {
                    Some(report) => Body::Report(report),
                    None => Body::Left { report, revision: at.0 },
                };
                self.send(Place { after: at, ..self.place }, body).await?;
            }
            if last {
                if self.place.snapshot.is_none() {
                    self.place = Place::whole(head);
                }
                return Ok(());
            }
        }
    }

    /// Reads the next page. While the database is away the stream keeps its place.
    async fn read(&mut self) -> Result<Part, Stop> {
        loop {
            let (followed, place) = (self.followed, self.place);
            let store = &self.outlet.app().store;
            let part = store.snapshot(move |conn| Box::pin(read_part(conn, followed, place)));
            match part.await {
                Err(error @ (Error::Unavailable(_) | Error::Contended)) => {
                    tracing::debug!(%error, "a stream could not read the reports");
                    if self.outlet.pause().await? {
                        self.progress().await?;
                    }
                }
                done => return Ok(done?),
            }
        }
    }
}
