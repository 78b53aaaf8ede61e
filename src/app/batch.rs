//! The part of a write transaction that is of one scope: find replays, load, apply in order, write.

use std::collections::{BTreeSet, HashMap};

use crate::store::Connection;
use jiff::Timestamp;
use uuid::Uuid;

use crate::app::codec::EventCodec;
use crate::app::command::{ChangePeriod, Command, Event};
use crate::app::funding::may_undo;
use crate::app::writer::{Outcomes, Submission, Written};
use crate::domain::entry::{Action, Entry, Expend, ExpendSource, PostedEntry};
use crate::domain::ids::{AllocationId, EntryId, ProgramId, ScopeId};
use crate::domain::kind::Kind;
use crate::domain::ledger::{Effect, Ledger, Reversible, recorded_at};
use crate::domain::organization::Organization;
use crate::domain::program::{Allocation, Period, Program};
use crate::error::Error;
use crate::store::funding::{find_program, insert_program};
use crate::store::journal::{Event as Stored, Head, NewEvent, append, find_answered};
use crate::store::ledger::{Dirty, Wanted, list_reversals, load_ledger, write_ledger};
use crate::store::organization::insert_organization;

/// The work on one scope.
pub(crate) struct Batch {
    codec: EventCodec,
    scope: ScopeId,
    revision: i64,
    recorded_at: Timestamp,
    events: Vec<NewEvent>,
    dirty: Dirty,
    /// Requests that were answered, before or in this batch.
    answered: HashMap<Uuid, Replay>,
}

/// The first answer to a request.
struct Replay {
    digest: Vec<u8>,
    stored: Stored,
}

impl Batch {
    /// Work that begins where the head is. The caller holds its lock.
    pub(crate) fn new(codec: EventCodec, head: Head, now: Timestamp) -> Self {
        Self {
            codec,
            scope: head.scope,
            revision: head.revision,
            recorded_at: recorded_at(now, head.recorded_at),
            events: Vec::new(),
            dirty: Dirty::default(),
            answered: HashMap::new(),
        }
    }

    /// Runs the commands in order and writes what they changed.
    pub(crate) async fn run(
        mut self,
        conn: &mut Connection,
        submissions: &[&Submission],
    ) -> Result<Outcomes, Error> {
        let requests: Vec<Uuid> = submissions.iter().map(|sent| sent.command.request()).collect();
        for known in find_answered(&mut *conn, self.scope, &requests).await? {
            self.answered.insert(known.request, Replay { digest: known.digest, stored: known.event });
        }
        let mut ledger = self.load(&mut *conn, submissions).await?;
        let mut outcomes = Vec::with_capacity(submissions.len());
        for submission in submissions {
            outcomes.push(self.step(&mut *conn, ledger.as_mut(), submission).await?);
        }
        append(&mut *conn, self.scope, self.recorded_at, &self.events).await?;
        if let Some(ledger) = &ledger {
            write_ledger(conn, ProgramId::new(self.scope.uuid()), ledger, &self.dirty).await?;
        }
        Ok(outcomes)
    }

    /// The working set of the commands that are new; none for a scope that is not a program yet.
    async fn load(
        &self,
        conn: &mut Connection,
        submissions: &[&Submission],
    ) -> Result<Option<Ledger>, Error> {
        let program = ProgramId::new(self.scope.uuid());
        let Some(found) = find_program(&mut *conn, program).await? else { return Ok(None) };
        let new = submissions.iter().filter(|sent| !self.answered.contains_key(&sent.command.request()));
        let commands: Vec<&Command> = new.map(|sent| &sent.command).collect();
        let mut ledger = Ledger::new(found.currency);
        load_for(conn, self.codec, program, &mut ledger, &commands).await?;
        Ok(Some(ledger))
    }

    /// One command: a replay, an acceptance or a refusal. An error ends the whole transaction.
    async fn step(
        &mut self,
        conn: &mut Connection,
        ledger: Option<&mut Ledger>,
        submission: &Submission,
    ) -> Result<Result<Written, Error>, Error> {
        let command = &submission.command;
        let digest = (self.codec.digest)(command);
        if let Some(replay) = self.answered.get(&command.request()) {
            return Ok(self.replay(replay, command, &digest));
        }
        let event = match (command, ledger) {
            (Command::CreateOrganization(new), _) => {
                let new =
                    Organization { created_at: self.recorded_at, revision: self.revision + 1, ..new.clone() };
                insert_organization(conn, &new).await?;
                Event::Organization(new)
            }
            (Command::CreateProgram(new), _) => {
                let new =
                    Program { created_at: self.recorded_at, revision: self.revision + 1, ..new.clone() };
                insert_program(conn, &new).await?;
                Event::Program(new)
            }
            (_, None) => return Ok(Err(Error::not_found(Kind::Program, self.scope))),
            (_, Some(ledger)) => match self.apply(ledger, submission) {
                Ok(event) => event,
                Err(error) => return Ok(Err(error)),
            },
        };
        Ok(Ok(self.record(command.request(), digest, event)))
    }

    fn replay(&self, replay: &Replay, command: &Command, digest: &[u8]) -> Result<Written, Error> {
        let stored = &replay.stored;
        if replay.digest != digest
            && let Some(differs) = (self.codec.differs)(stored.kind, &stored.payload, command)
        {
            return Err(Error::AlreadyExists {
                kind: command.kind(),
                id: command.request().to_string(),
                differs,
            });
        }
        let event = (self.codec.decode)(stored.kind, &stored.payload)?;
        Ok(Written { revision: stored.revision, event })
    }

    fn apply(&mut self, ledger: &mut Ledger, submission: &Submission) -> Result<Event, Error> {
        let revision = self.revision + 1;
        match &submission.command {
            Command::OpenPeriod(new) => {
                let new = Period { revision, authorization_revision: revision, ..new.clone() };
                ledger.open_period(new.clone(), self.recorded_at)?;
                self.dirty.new_periods.insert(new.id);
                self.dirty.new_allocations.insert(new.root);
                Ok(Event::Period(new))
            }
            Command::ChangePeriod(ChangePeriod { period, to, expected_revision, .. }) => {
                let changed = ledger.change_period(*period, *to, *expected_revision, revision)?.clone();
                self.dirty.periods.insert(changed.id);
                Ok(Event::Period(changed))
            }
            Command::CreateAllocation(new) => {
                let new = Allocation {
                    created_at: self.recorded_at,
                    created_revision: revision,
                    revision,
                    ..new.clone()
                };
                let id = ledger.add_allocation(new)?;
                let added = ledger.allocations.get(&id).cloned();
                let added = added.ok_or_else(|| Error::bug("an added allocation is missing"))?;
                self.dirty.new_allocations.insert(id);
                self.dirty.allocations.extend(added.parent);
                Ok(Event::Allocation(added))
            }
            Command::PostEntry(entry) => {
                may_undo(submission.by.role(), ledger, entry)?;
                let effect = ledger.apply(entry.clone(), revision)?;
                self.mark(&effect);
                Ok(Event::Entry(posted(ledger, effect, revision, self.recorded_at, submission.by.subject())))
            }
            Command::CreateOrganization(_) | Command::CreateProgram(_) => {
                Err(Error::bug("a scope that exists was begun again"))
            }
        }
    }

    fn mark(&mut self, effect: &Effect) {
        self.dirty.allocations.extend(effect.allocations.iter().copied());
        self.dirty.periods.extend(effect.periods.iter().copied());
        self.dirty.reservations.extend(effect.legs.reservation.map(|(id, _)| id));
        self.dirty.obligations.extend(effect.legs.obligation.map(|delta| delta.id));
        if let Action::Reverse { entry, .. } = &effect.entry.action {
            self.dirty.reversals.push((*entry, effect.entry.id));
        }
    }

    /// Encodes the event, once, and keeps it to be appended.
    fn record(&mut self, request: Uuid, digest: [u8; 16], event: Event) -> Written {
        self.revision += 1;
        let (revision, kind) = (self.revision, event.kind());
        let payload = (self.codec.encode)(&event);
        let stored = Stored {
            revision,
            kind,
            recorded_at: self.recorded_at,
            payload: payload.clone(),
            leaf_hash: Vec::new(),
        };
        self.answered.insert(request, Replay { digest: digest.to_vec(), stored });
        self.events.push(NewEvent { revision, kind, payload, request, digest });
        Written { revision, event }
    }
}

/// The entry as the journal keeps it, with the balances after it.
pub(crate) fn posted(
    ledger: &Ledger,
    effect: Effect,
    revision: i64,
    recorded_at: Timestamp,
    by: &str,
) -> PostedEntry {
    let balance = |id: &AllocationId| ledger.allocations.get(id).map(|found| (*id, found.balance));
    PostedEntry {
        balances: effect.allocations.iter().filter_map(balance).collect(),
        entry: effect.entry,
        revision,
        recorded_at,
        recorded_by: by.to_owned(),
    }
}

/// Loads what the commands name, past entries that they reverse included.
pub(crate) async fn load_for(
    conn: &mut Connection,
    codec: EventCodec,
    program: ProgramId,
    ledger: &mut Ledger,
    commands: &[&Command],
) -> Result<(), Error> {
    let mut wanted = Wanted::default();
    for command in commands {
        want(&mut wanted, command);
    }
    if !wanted.entries.is_empty() {
        load_reversible(&mut *conn, codec, program, ledger, &wanted.entries).await?;
        for past in ledger.reversible.values() {
            want_entry(&mut wanted, &past.entry);
        }
    }
    load_ledger(conn, program, ledger, &wanted).await
}

async fn load_reversible(
    conn: &mut Connection,
    codec: EventCodec,
    program: ProgramId,
    ledger: &mut Ledger,
    entries: &BTreeSet<EntryId>,
) -> Result<(), Error> {
    let ids: Vec<Uuid> = entries.iter().map(|id| id.uuid()).collect();
    let reversals: HashMap<EntryId, EntryId> =
        list_reversals(&mut *conn, program, Some(entries)).await?.into_iter().collect();
    for known in find_answered(&mut *conn, program.scope(), &ids).await? {
        if let Event::Entry(past) = (codec.decode)(known.event.kind, &known.event.payload)? {
            let reversed_by = reversals.get(&past.entry.id).copied();
            ledger.reversible.insert(past.entry.id, Reversible { entry: past.entry, reversed_by });
        }
    }
    Ok(())
}

fn want(wanted: &mut Wanted, command: &Command) {
    match command {
        Command::CreateOrganization(_) | Command::CreateProgram(_) => {}
        Command::OpenPeriod(new) => wanted.allocations.extend([new.root]),
        Command::ChangePeriod(change) => wanted.closing.extend([change.period]),
        Command::CreateAllocation(new) => {
            wanted.allocations.insert(new.id);
            wanted.allocations.extend(new.parent);
            wanted.codes.push((new.period, new.code.as_str().to_owned()));
        }
        Command::PostEntry(entry) => want_entry(wanted, entry),
    }
}

fn want_entry(wanted: &mut Wanted, entry: &Entry) {
    match &entry.action {
        Action::Authorize { period, .. } | Action::Rescind { period, .. } => {
            wanted.periods.insert(*period);
        }
        Action::Increase(increase) => {
            wanted.periods.insert(increase.period);
            if increase.push_down && increase.outcome.is_none() {
                wanted.shared.insert(increase.period);
            }
            let outcome = increase.outcome.iter().flat_map(|outcome| &outcome.pushed_down);
            wanted.allocations.extend(outcome.map(|(child, _)| *child));
        }
        Action::CarryOver { from, to, .. } => wanted.periods.extend([*from, *to]),
        Action::Allocate { allocation, .. } | Action::Deallocate { allocation, .. } => {
            wanted.allocations.insert(*allocation);
        }
        Action::Reserve { reservation, allocation, .. } => {
            wanted.reservations.insert(*reservation);
            wanted.allocations.insert(*allocation);
        }
        Action::Release { reservation, .. } => {
            wanted.reservations.insert(*reservation);
        }
        Action::Obligate { obligation, allocation, reservation, .. } => {
            wanted.obligations.insert(*obligation);
            wanted.allocations.insert(*allocation);
            wanted.reservations.extend(*reservation);
        }
        Action::Deobligate { obligation, .. }
        | Action::Disburse { obligation, .. }
        | Action::Refund { obligation, .. } => {
            wanted.obligations.insert(*obligation);
        }
        Action::Expend(Expend { source, .. }) => match source {
            ExpendSource::Available(allocation) => {
                wanted.allocations.insert(*allocation);
            }
            ExpendSource::Obligated(obligation) | ExpendSource::Advanced(obligation) => {
                wanted.obligations.insert(*obligation);
            }
        },
        Action::Reverse { entry, .. } => {
            wanted.entries.insert(*entry);
        }
    }
}
