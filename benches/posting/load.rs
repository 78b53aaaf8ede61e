//! One load on one service: run it, watch the processors, prove that nothing was lost or booked twice.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Failure;
use crate::cluster::Cluster;
use crate::cpu::{Cores, Used};
use crate::entry::Entries;
use crate::figures::Hundredths;
use crate::options::Kind;
use crate::program::Program;
use crate::proof::Before;
use crate::schedule::Schedule;
use crate::service::Service;
use crate::tally::{Shared, Tally, Window};
use crate::{streamed, unary};

/// How entries travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    Unary,
    Streamed,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::Streamed => "streamed",
        }
    }
}

/// A database with a service on it.
pub(crate) struct Stage<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) program: &'a Program,
    pub(crate) database: String,
    pub(crate) service: Service,
}

/// What a load came to. That it exists means that every answer was right.
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    pub(crate) cores: Cores,
    /// Entries of one transaction, on average.
    pub(crate) batch: Hundredths,
    /// Growth of the tables and their indexes for each entry.
    pub(crate) bytes_each: u64,
    /// Entries that an open loop could not send on time.
    pub(crate) unsent: u64,
}

/// Arrivals of an open loop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrivals {
    pub(crate) mode: Mode,
    pub(crate) allocations: usize,
    pub(crate) per_second: u64,
}

impl<'a> Stage<'a> {
    /// Starts a service on a database, which is settled first.
    pub(crate) async fn open(
        cluster: &'a Cluster,
        program: &'a Program,
        database: &str,
    ) -> Result<Self, Failure> {
        cluster.settle(database).await?;
        let service = Service::start(cluster, database)?;
        Ok(Self { cluster, program, database: database.to_owned(), service })
    }

    /// A closed loop: `in_flight` entries are always out.
    pub(crate) async fn closed(
        &self,
        kind: Kind,
        warm_up: Duration,
        measured: Duration,
    ) -> Result<Outcome, Failure> {
        let before = Before::now(self).await?;
        let tally = self.tally(Window::after(warm_up, measured), false, true)?;
        let cores = self.watch(tally.lock().window);
        let address = self.service.address();
        match kind.mode {
            Mode::Unary => {
                let entries = Entries::new(self.program, kind.allocations)?;
                unary::closed(address, entries, kind.in_flight, &tally).await?;
            }
            Mode::Streamed => {
                let spread = (kind.in_flight, kind.allocations);
                streamed::closed(address, self.program, spread, &tally).await?;
            }
        }
        self.outcome(before, tally, cores.await??, 0).await
    }

    /// An open loop: entries come when they are due, and their latency counts from then. Revisions are kept
    /// to be proven one by one unless there are millions.
    pub(crate) async fn arrivals(
        &self,
        arrivals: Arrivals,
        warm_up: Duration,
        measured: Duration,
        keep: bool,
    ) -> Result<Outcome, Failure> {
        let before = Before::now(self).await?;
        let tally = self.tally(Window::after(warm_up, measured), true, keep)?;
        let cores = self.watch(tally.lock().window);
        let schedule = Schedule { begin: Instant::now(), per_second: arrivals.per_second.max(1) };
        let address = self.service.address();
        let unsent = match arrivals.mode {
            Mode::Unary => {
                let entries = Entries::new(self.program, arrivals.allocations)?;
                unary::open(address, entries, schedule, &tally).await?;
                0
            }
            Mode::Streamed => {
                streamed::open(address, self.program, arrivals.allocations, schedule, &tally).await?
            }
        };
        self.outcome(before, tally, cores.await??, unsent).await
    }

    fn tally(&self, window: Window, open: bool, keep: bool) -> Result<Shared, Failure> {
        Shared::new(window, self.program.tasks.len(), open, keep)
    }

    /// Looks at the processors when the window begins and when it ends.
    fn watch(&self, window: Window) -> tokio::task::JoinHandle<Result<Cores, Failure>> {
        let (service, postmaster) = (self.service.pid(), self.cluster.pid());
        tokio::spawn(async move {
            tokio::time::sleep_until(window.from.into()).await;
            let (before, begun) = (Used::now(service, postmaster)?, Instant::now());
            tokio::time::sleep_until(window.until.into()).await;
            Ok(Used::now(service, postmaster)?.since(&before, begun.elapsed()))
        })
    }

    async fn outcome(
        &self,
        before: Before,
        tally: Shared,
        cores: Cores,
        unsent: u64,
    ) -> Result<Outcome, Failure> {
        let tally = tally.close()?;
        let proven = before.prove(self, &tally).await?;
        Ok(Outcome { tally, cores, batch: proven.batch, bytes_each: proven.bytes_each, unsent })
    }
}
