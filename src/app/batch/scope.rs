//! The part of a batch that is of one scope: load what is not at hand, apply in order, write.

use std::collections::HashMap;

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use crate::app::batch::before::{Before, replay};
use crate::app::batch::wanted::load_for;
use crate::app::batch::{Terms, posted};
use crate::app::codec::EventCodec;
use crate::app::command::{ChangePeriod, Command, Event};
use crate::app::funding::may_undo;
use crate::app::working_sets::WorkingSets;
use crate::app::writer::{Submission, Written};
use crate::domain::entry::Action;
use crate::domain::ids::{ProgramId, ScopeId};
use crate::domain::kind::Kind;
use crate::domain::ledger::{Effect, Ledger, recorded_at};
use crate::domain::organization::Organization;
use crate::domain::program::{Allocation, Period, Program};
use crate::error::Error;
use crate::seeded::{Bug, seeded};
use crate::store::Connection;
use crate::store::funding::{find_program, insert_program};
use crate::store::journal::{Head, NewEvent};
use crate::store::ledger::{Booking, Dirty, book, write_structure};
use crate::store::organization::insert_organization;

/// The work on one scope.
pub(super) struct Batch {
    codec: EventCodec,
    /// Where the head was.
    began_at: Head,
    /// Where it will be.
    head: Head,
    /// None for a scope that is not a program yet.
    ledger: Option<Ledger>,
    events: Vec<NewEvent>,
    dirty: Dirty,
    /// Requests that this batch answered, with the place of their event.
    answered: HashMap<Uuid, usize>,
}

impl Batch {
    /// Work that begins where the head is. The caller holds its lock.
    pub(super) async fn begin(
        conn: &mut Connection,
        terms: Terms,
        head: Head,
        kept: Option<Ledger>,
        before: &Before,
        submissions: &[&Submission],
    ) -> Result<Self, Error> {
        let commands = submissions.iter().map(|sent| &sent.command);
        let new: Vec<&Command> = commands.filter(|command| before.find(command).is_none()).collect();
        Ok(Self {
            codec: terms.codec,
            began_at: head,
            head: Head { recorded_at: recorded_at(terms.now, head.recorded_at), ..head },
            ledger: load(conn, terms.codec, head.scope, kept, &new).await?,
            events: Vec::new(),
            dirty: Dirty::default(),
            answered: HashMap::new(),
        })
    }

    /// Work on a working set that is remembered as of a head.
    pub(super) fn on(codec: EventCodec, head: Head, ledger: Ledger) -> Self {
        let (events, dirty, answered) = (Vec::new(), Dirty::default(), HashMap::new());
        Self { codec, began_at: head, head, ledger: Some(ledger), events, dirty, answered }
    }

    /// One command: a replay, an acceptance or a refusal. An error ends the whole transaction.
    pub(super) async fn step(
        &mut self,
        conn: &mut Connection,
        before: &Before,
        submission: &Submission,
    ) -> Result<Result<Written, Error>, Error> {
        let command = &submission.command;
        if let Some(known) = before.find(command) {
            return Ok(replay(self.codec, known, command));
        }
        // A scope that was begun in this very batch is not begun again.
        if self.answered.contains_key(&command.request()) {
            return Ok(self.enter(submission));
        }
        let (created_at, revision) = (self.head.recorded_at, self.head.revision + 1);
        match command {
            Command::CreateOrganization(new) => {
                let new = Organization { created_at, revision, ..new.clone() };
                insert_organization(conn, &new).await?;
                Ok(Ok(self.record(command, Event::Organization(new))))
            }
            Command::CreateProgram(new) => {
                let new = Program { created_at, revision, ..new.clone() };
                insert_program(conn, &new).await?;
                Ok(Ok(self.record(command, Event::Program(new))))
            }
            _ => Ok(self.enter(submission)),
        }
    }

    /// One command of a scope that exists, whose request was not answered before this batch.
    pub(super) fn enter(&mut self, submission: &Submission) -> Result<Written, Error> {
        let command = &submission.command;
        if let Some(place) = self.answered.get(&command.request()) {
            return replay(self.codec, &self.events[*place].answered(&self.head), command);
        }
        let event = self.apply(submission)?;
        Ok(self.record(command, event))
    }

    fn apply(&mut self, submission: &Submission) -> Result<Event, Error> {
        let Head { scope, revision: before, recorded_at } = self.head;
        let revision = before + 1;
        let Some(ledger) = &mut self.ledger else { return Err(Error::not_found(Kind::Program, scope)) };
        match &submission.command {
            Command::OpenPeriod(new) => {
                let new = Period { revision, authorization_revision: revision, ..new.clone() };
                ledger.open_period(new.clone(), recorded_at)?;
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
                    created_at: recorded_at,
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
                mark(&mut self.dirty, &effect);
                Ok(Event::Entry(posted(ledger, effect, revision, recorded_at, submission.by.subject())))
            }
            Command::CreateOrganization(_) | Command::CreateProgram(_) => {
                Err(Error::bug("a scope that exists was begun again"))
            }
        }
    }

    /// Writes what changed. The caller holds the head's lock, so that the fence must hold.
    pub(super) async fn write(&mut self, conn: &mut Connection) -> Result<Option<(ScopeId, i64)>, Error> {
        if self.events.is_empty() {
            return Ok(None);
        }
        if let Some(ledger) = &self.ledger {
            let program = ProgramId::new(self.head.scope.uuid());
            write_structure(&mut *conn, program, ledger, &self.dirty).await?;
        }
        let booked = book(conn, &self.take_booking()).await?;
        if booked {
            Ok(Some((self.head.scope, self.head.revision)))
        } else {
            Err(Error::bug("a locked head has moved"))
        }
    }

    /// Takes out what the booking statement writes. What is entered after that goes on from there.
    pub(super) fn take_booking(&mut self) -> Booking {
        let (ledger, dirty) = (self.ledger.as_ref(), std::mem::take(&mut self.dirty));
        let changed = dirty.allocations.union(&dirty.new_allocations);
        let reservation = |id| ledger?.reservations.get(id).copied();
        let obligation = |id| ledger?.obligations.get(id).cloned();
        let booking = Booking {
            from: self.began_at.revision,
            head: self.head,
            events: std::mem::take(&mut self.events),
            allocations: changed.filter_map(|id| ledger?.allocations.get(id).cloned()).collect(),
            reservations: dirty.reservations.iter().filter_map(reservation).collect(),
            obligations: dirty.obligations.iter().filter_map(obligation).collect(),
        };
        self.answered.clear();
        // A bug that is seeded keeps what was lost as if it had never begun.
        if !seeded(Bug::KeepWorkingSetAfterFailure) {
            self.began_at = self.head;
        }
        booking
    }

    /// The working set, for a look.
    pub(super) const fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_ref()
    }

    /// Where the head will be.
    pub(super) const fn head(&self) -> Head {
        self.head
    }

    /// Sets the moment of what comes, if nothing has come yet: a batch has one moment.
    pub(super) fn begin_at(&mut self, now: Timestamp) {
        if self.events.is_empty() {
            self.head.recorded_at = recorded_at(now, self.head.recorded_at);
        }
    }

    /// Puts the working set aside for the next batch. It counts once this one is committed.
    pub(super) fn keep(self, sets: &mut WorkingSets) {
        let head = if seeded(Bug::KeepWorkingSetAfterFailure) { self.began_at } else { self.head };
        if let Some(ledger) = self.ledger {
            sets.keep(head, ledger);
        }
    }

    /// Encodes the event, once, and keeps it to be appended.
    fn record(&mut self, command: &Command, event: Event) -> Written {
        self.head.revision += 1;
        let revision = self.head.revision;
        let payload = Bytes::from((self.codec.encode)(&event));
        // The message of an entry holds all of the request.
        let digest = (!matches!(command, Command::PostEntry(_))).then(|| (self.codec.digest)(command));
        let (request, kind) = (command.request(), event.kind());
        self.answered.insert(request, self.events.len());
        let message = payload.clone();
        self.events.push(NewEvent { revision, kind, payload, request, digest });
        Written { revision, event, message }
    }
}

fn mark(dirty: &mut Dirty, effect: &Effect) {
    dirty.allocations.extend(effect.allocations.iter().copied());
    dirty.periods.extend(effect.periods.iter().copied());
    dirty.reservations.extend(effect.legs.reservation.map(|(id, _)| id));
    dirty.obligations.extend(effect.legs.obligation.map(|delta| delta.id));
    if let Action::Reverse { entry, .. } = &effect.entry.action {
        dirty.reversals.push((*entry, effect.entry.id));
    }
}

/// The working set of the commands that are new, from what was kept and what is read; none for a scope that is
/// not a program.
async fn load(
    conn: &mut Connection,
    codec: EventCodec,
    scope: ScopeId,
    kept: Option<Ledger>,
    commands: &[&Command],
) -> Result<Option<Ledger>, Error> {
    let program = ProgramId::new(scope.uuid());
    let mut ledger = match kept {
        Some(kept) => kept,
        None => match find_program(&mut *conn, program).await? {
            Some(found) => Ledger::new(found.currency),
            None => return Ok(None),
        },
    };
    let undoes = |command: &&Command| matches!(command, Command::PostEntry(entry) if matches!(entry.action, Action::Reverse { .. }));
    ledger.remembers = commands.iter().any(undoes);
    load_for(conn, codec, program, &mut ledger, commands).await?;
    Ok(Some(ledger))
}
