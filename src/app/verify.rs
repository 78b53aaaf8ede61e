//! `VerifyLedger`: replays a program's journal through the same pure rules that wrote it, and compares what
//! comes out with what is stored.
//!
//! The journal is append-only, so it is paged without a transaction. Only the end, where the rows are
//! compared, is one snapshot: what was appended meanwhile is replayed first.

mod replay;

use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::app::App;
use crate::domain::caller::Caller;
use crate::domain::ids::ProgramId;
use crate::domain::kind::Kind;
use crate::domain::ledger::Ledger;
use crate::error::{Away, Error};
use crate::store::audit::{Finding, INVARIANTS, run_audit};
use crate::store::journal::{Event as Stored, find_answer, find_heads, list_events};
use crate::store::ledger::{list_reversals, load_whole_ledger};

use replay::Replay;

/// Journal rows that are read at a time.
const PAGE: i64 = 1_000;
/// Messages that wait for a slow reader.
const QUEUE_LEN: usize = 4;

/// A message of the verification.
#[derive(Debug)]
pub enum Verification {
    /// How far the replay is.
    Progress {
        /// Up to here.
        revision: i64,
        /// Where the journal was when the call began.
        head_revision: i64,
    },
    /// The last message.
    Verdict(Verdict),
}

/// The outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Of the journal that was compared.
    pub revision: i64,
    /// Journal rows read.
    pub events_read: i64,
    /// Ledger entries among them.
    pub entries_read: i64,
    /// Every invariant with what breaks it.
    pub invariants: Vec<Invariant>,
    /// The first thing that does not fit.
    pub first_difference: Option<String>,
}

impl Verdict {
    /// Whether nothing breaks any invariant.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.invariants.iter().all(|invariant| invariant.differences == 0)
    }
}

/// The outcome for one invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invariant {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// How many things break it.
    pub differences: i64,
}

/// What the snapshot at the end shows.
struct End {
    tail: Vec<Stored>,
    stored: Ledger,
    reversals: Vec<(crate::domain::ids::EntryId, crate::domain::ids::EntryId)>,
    findings: Vec<Finding>,
}

impl App {
    /// Verifies a program's ledger. The answers come through the channel; the last is the verdict, unless
    /// the database fails on the way.
    ///
    /// # Errors
    /// `NotFound` when there is no such program for this caller.
    pub async fn verify_ledger(
        &self,
        caller: &Caller,
        id: ProgramId,
    ) -> Result<mpsc::Receiver<Result<Verification, Error>>, Error> {
        let program = self.program(caller, id).await?;
        let heads = find_heads(self.store.pool(), &[id.uuid()]).await?;
        let head = heads.first().ok_or_else(|| Error::not_found(Kind::Program, id))?.revision;
        let (sender, receiver) = mpsc::channel(QUEUE_LEN);
        let (app, replay) = (self.clone(), Replay::new(self.codec, program.currency));
        let seat = self.take_seat(caller)?;
        let task = async move {
            let drain = app.feed.drain().clone();
            let verified = drain.run_until_cancelled(app.verify(id, head, replay, &sender)).await;
            let last = match verified {
                Some(Ok(verdict)) => Ok(Verification::Verdict(verdict)),
                Some(Err(error)) => Err(error),
                None => Err(Error::Unavailable(Away::Draining)),
            };
            if sender.send(last).await.is_err() {
                tracing::debug!("a verification ended without its reader");
            }
            drop(seat);
        };
        tokio::spawn(task.in_current_span());
        Ok(receiver)
    }

    async fn verify(
        &self,
        program: ProgramId,
        head_revision: i64,
        mut replay: Replay,
        sender: &mpsc::Sender<Result<Verification, Error>>,
    ) -> Result<Verdict, Error> {
        loop {
            let events = list_events(self.store.pool(), program.scope(), replay.revision(), PAGE).await?;
            let Some(last) = events.last().map(|event| event.revision) else { break };
            let short = i64::try_from(events.len()).unwrap_or(i64::MAX) < PAGE;
            self.replay(program, &mut replay, &events).await?;
            let progress = Verification::Progress { revision: last, head_revision };
            if sender.send(Ok(progress)).await.is_err() {
                // The rest would be read in one piece, for nobody.
                return Ok(verdict(replay, &[]));
            }
            // Until there is nearly nothing left: what comes meanwhile is read with the rows, in one piece.
            if short {
                break;
            }
        }
        let end = tokio::select! {
            end = self.read_end(program, replay.revision(), replay.currency()) => end?,
            () = sender.closed() => return Ok(verdict(replay, &[])),
        };
        self.replay(program, &mut replay, &end.tail).await?;
        replay.compare(&end.stored, &end.reversals);
        Ok(verdict(replay, &end.findings))
    }

    /// Replays events. Of past entries only those are at hand that an event reverses, so that memory does not
    /// grow with the journal.
    async fn replay(&self, program: ProgramId, replay: &mut Replay, events: &[Stored]) -> Result<(), Error> {
        for event in events {
            if let Some(target) = replay.reverses(event)
                && let Some(known) = find_answer(self.store.pool(), program.scope(), target.uuid()).await?
            {
                replay.offer(&known.event);
            }
            replay.take(event);
        }
        Ok(())
    }

    async fn read_end(
        &self,
        program: ProgramId,
        after: i64,
        currency: crate::domain::currency::Currency,
    ) -> Result<End, Error> {
        // One at a time: each holds a connection for long.
        let _turn = self.verifying.acquire().await.map_err(|closed| Error::Internal(Box::new(closed)))?;
        let snapshot = self.store.long_snapshot(move |conn| {
            Box::pin(async move {
                let tail = list_events(&mut *conn, program.scope(), after, i64::MAX).await?;
                let mut stored = Ledger::new(currency);
                load_whole_ledger(&mut *conn, program, &mut stored).await?;
                let reversals = list_reversals(&mut *conn, program).await?;
                let findings = run_audit(&mut *conn, Some(program)).await?;
                Ok(End { tail, stored, reversals, findings })
            })
        });
        snapshot.await
    }
}

fn verdict(replay: Replay, findings: &[Finding]) -> Verdict {
    let (revision, events_read, entries_read) = replay.counts();
    let (mut invariants, mut first_difference) = replay.outcome();
    for (name, meaning) in INVARIANTS {
        let broken = findings.iter().filter(|finding| finding.invariant == name);
        let differences = i64::try_from(broken.count()).unwrap_or(i64::MAX);
        invariants.push(Invariant { name, meaning, differences });
    }
    if first_difference.is_none() {
        first_difference = findings
            .first()
            .map(|finding| format!("{} at {}: {}", finding.invariant, finding.object_id, finding.detail));
    }
    Verdict { revision, events_read, entries_read, invariants, first_difference }
}
