//! The use cases: authorize, open a transaction, call the domain, call the store.
//!
//! Reading order: [`command`], [`writer`], [`funding`], then [`report`] and [`stream`]; [`change`] for everything
//! that is not money. Nothing here knows
//! the wire: what must be encoded goes through [`codec::EventCodec`], which `rpc` fills in.

pub mod accreditation;
pub mod asset;
pub mod assignment;
pub mod attachment;
mod batch;
pub mod change;
pub mod codec;
pub mod command;
pub mod feed;
pub mod field_report;
mod following;
pub mod funding;
pub mod funding_reads;
pub mod licence;
pub mod member;
pub mod organization;
pub mod page;
pub mod person;
pub mod personal;
pub mod personal_key;
pub mod program_facts;
pub mod readiness;
pub mod refresher;
pub mod report;
pub mod report_feed;
pub mod restatement;
mod rights;
pub mod safety_stop;
pub mod seats;
pub mod site;
pub mod stream;
pub mod task;
pub mod team;
pub mod team_feed;
pub mod token;
pub mod verify;
mod working_sets;
pub mod writer;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::app::attachment::Attachments;
use crate::app::codec::EventCodec;
use crate::app::feed::Feed;
use crate::app::field_report::turns::Turns;
use crate::app::personal_key::PersonalKeys;
use crate::app::program_facts::ProgramFacts;
use crate::app::seats::{Seat, Seats};
use crate::app::token::Sealer;
use crate::app::writer::Writer;
use crate::clock::Clock;
use crate::domain::caller::Caller;
use crate::domain::policy::Policy;
use crate::error::{Error, StartError};
use crate::store::Store;

/// Everything that use cases need. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) codec: EventCodec,
    pub(crate) writer: Writer,
    pub(crate) feed: Feed,
    pub(crate) sealer: Sealer,
    pub(crate) facts: ProgramFacts,
    pub(crate) seats: Seats,
    pub(crate) turns: Turns,
    pub(crate) policy: Policy,
    /// Keys of personal data. Without them details of victims are not taken, and names are kept in plain.
    pub(crate) personal_keys: Option<PersonalKeys>,
    pub(crate) attachments: Attachments,
    /// Held by the verification that compares the rows.
    pub(crate) verifying: Arc<Semaphore>,
}

impl App {
    /// Puts the parts together. Reads the feed's epoch and key, so the database must be there.
    ///
    /// # Errors
    /// Fails when the database cannot be read.
    pub async fn connect(
        store: Store,
        attachments: Attachments,
        clock: Arc<dyn Clock>,
        codec: EventCodec,
    ) -> Result<Self, StartError> {
        let told = |error| StartError::Refused(format!("cannot read the database: {error}"));
        let row = crate::store::feed::get_feed(&store).await.map_err(told)?;
        let feed = Feed::new(store.clone());
        let writer = Writer::start(&store, &clock, codec, &feed);
        Ok(Self {
            facts: ProgramFacts::new(store.clone()),
            sealer: Sealer::new(row.epoch, &row.token_key),
            seats: Seats::default(),
            turns: Turns::default(),
            policy: Policy::default(),
            personal_keys: None,
            attachments,
            verifying: Arc::new(Semaphore::new(1)),
            store,
            clock,
            codec,
            writer,
            feed,
        })
    }

    /// The same with limits that whoever runs the service set.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The same with keys of personal data.
    #[must_use]
    pub fn with_personal_keys(self, personal_keys: Option<PersonalKeys>) -> Self {
        Self { personal_keys, ..self }
    }

    /// The limits of the check of an assignment.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// The feed, which the server polls and drains.
    #[must_use]
    pub const fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The writers, which the server lets finish at its end.
    #[must_use]
    pub const fn writer(&self) -> &Writer {
        &self.writer
    }

    /// The files, whose store the server looks after.
    #[must_use]
    pub const fn attachments(&self) -> &Attachments {
        &self.attachments
    }

    /// Takes one of the caller's seats for a stream, unless the server drains.
    ///
    /// # Errors
    /// A quota when the caller has too many; `Unavailable` while draining.
    pub fn take_seat(&self, caller: &Caller) -> Result<Seat, Error> {
        self.feed.expect_open()?;
        self.seats.take(caller)
    }

    /// Runs work in a task of its own, which goes on when its caller is gone; the server waits for it at its end.
    ///
    /// # Errors
    /// What the work answers; a fault when it panics.
    pub async fn detach<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.store.detach(work).await
    }

    /// The present, for checks of what a caller sends.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }
}
