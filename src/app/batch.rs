//! One write transaction: lock the heads, find replays, load what is not at hand, apply in order, write.
//!
//! Every command is accepted or refused alone. A command whose request was answered before gets that answer.
//! Replays are rare, so the journal is asked for them only afterwards, and only about what was refused: a
//! replay that the rules accept once more breaks the journal's key, and then the transaction is begun again
//! with looking first.

mod wanted;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use crate::app::codec::EventCodec;
use crate::app::command::{ChangePeriod, Command, Event};
use crate::app::funding::may_undo;
use crate::app::working_sets::WorkingSets;
use crate::app::writer::{Outcomes, Submission, Written};
use crate::domain::entry::{Action, PostedEntry};
use crate::domain::ids::{AllocationId, ProgramId, ScopeId};
use crate::domain::kind::Kind;
use crate::domain::ledger::{Effect, Ledger, recorded_at};
use crate::domain::organization::Organization;
use crate::domain::program::{Allocation, Period, Program};
use crate::error::Error;
use crate::seeded::{Bug, seeded};
use crate::store::Connection;
use crate::store::funding::{find_program, insert_program};
use crate::store::journal::{Answered, Head, NewEvent, append, find_answered, insert_head, lock_heads};
use crate::store::ledger::{Changes, Dirty, write_ledgers};
use crate::store::organization::insert_organization;

pub(crate) use wanted::load_for;

/// How a transaction is run.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    /// Makes events into bytes.
    pub(crate) codec: EventCodec,
    /// The present.
    pub(crate) now: Timestamp,
    /// Whether requests are looked up before they are applied.
    pub(crate) look_first: bool,
}

/// What a transaction did. It counts once it is committed.
pub(crate) struct Done {
    /// What became of each command, in order.
    pub(crate) outcomes: Outcomes,
    /// The scopes that changed, and their new revisions.
    pub(crate) reached: Vec<(ScopeId, i64)>,
    /// Whether any request had been answered before.
    pub(crate) replays: bool,
}

/// Runs the commands in the caller's transaction. `sets` then holds what they left; if the transaction does
/// not commit, the caller must clear it.
pub(crate) async fn write_batch(
    conn: &mut Connection,
    sets: &mut WorkingSets,
    terms: Terms,
    submissions: &[Submission],
) -> Result<Done, Error> {
    let new = submissions.iter().filter(|submission| submission.command.begins_scope());
    for scope in new.map(|submission| submission.command.scope()).collect::<BTreeSet<ScopeId>>() {
        insert_head(&mut *conn, scope, terms.now).await?;
    }
    let mut by_scope: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
    for (index, submission) in submissions.iter().enumerate() {
        by_scope.entry(submission.command.scope().uuid()).or_default().push(index);
    }
    let scopes: Vec<Uuid> = by_scope.keys().copied().collect();
    let heads = lock_heads(&mut *conn, &scopes).await?;
    let mut before = Before::default();
    // A scope cannot be begun twice, not even to see whether the rules accept it.
    let first = submissions.iter().filter(|sent| terms.look_first || sent.command.begins_scope());
    before.look_up(&mut *conn, first).await?;
    let mut outcomes: Vec<Option<Result<Written, Error>>> = Vec::new();
    outcomes.resize_with(submissions.len(), || None);
    let mut batches = Vec::with_capacity(heads.len());
    for head in heads {
        let Some(indices) = by_scope.remove(&head.scope.uuid()) else { continue };
        let part: Vec<&Submission> = indices.iter().map(|index| &submissions[*index]).collect();
        let mut batch = Batch::begin(&mut *conn, terms, head, sets.take(&head), &before, &part).await?;
        for (index, submission) in indices.into_iter().zip(part) {
            outcomes[index] = Some(batch.step(&mut *conn, &before, submission).await?);
        }
        batches.push(batch);
    }
    let mut outcomes: Outcomes = outcomes.into_iter().zip(submissions).map(settle).collect();
    if !terms.look_first && !seeded(Bug::SkipReplayCheck) {
        before.answer_refused(conn, terms.codec, submissions, &mut outcomes).await?;
    }
    let reached = write(conn, sets, batches).await?;
    Ok(Done { outcomes, reached, replays: before.found() })
}

/// A command whose scope has no head is of nothing that exists.
fn settle((outcome, submission): (Option<Result<Written, Error>>, &Submission)) -> Result<Written, Error> {
    outcome.unwrap_or_else(|| Err(Error::not_found(Kind::Program, submission.command.scope())))
}

/// Writes what all scopes changed: the journal in one statement, each table of the ledger in another.
async fn write(
    conn: &mut Connection,
    sets: &mut WorkingSets,
    batches: Vec<Batch>,
) -> Result<Vec<(ScopeId, i64)>, Error> {
    let (mut moved, mut events) = (Vec::new(), Vec::new());
    let (mut changes, mut kept_at) = (Vec::new(), Vec::new());
    for mut batch in batches {
        if !batch.events.is_empty() {
            moved.push(batch.head);
        }
        events.append(&mut batch.events);
        if let Some(ledger) = batch.ledger {
            let revision =
                if seeded(Bug::KeepWorkingSetAfterFailure) { batch.began_at } else { batch.head.revision };
            let program = ProgramId::new(batch.head.scope.uuid());
            changes.push(Changes { program, ledger, dirty: batch.dirty });
            kept_at.push(revision);
        }
    }
    append(&mut *conn, &moved, &events).await?;
    write_ledgers(conn, &changes).await?;
    for (Changes { program, ledger, .. }, revision) in changes.into_iter().zip(kept_at) {
        sets.keep(program.scope(), revision, ledger);
    }
    Ok(moved.iter().map(|head| (head.scope, head.revision)).collect())
}

/// Requests that were answered before this transaction.
#[derive(Default)]
struct Before {
    answered: HashMap<(ScopeId, Uuid), Answered>,
}

impl Before {
    async fn look_up(
        &mut self,
        conn: &mut Connection,
        sent: impl Iterator<Item = &Submission>,
    ) -> Result<(), Error> {
        let requests: Vec<Uuid> = sent.map(|sent| sent.command.request()).collect();
        if requests.is_empty() {
            return Ok(());
        }
        for known in find_answered(conn, &requests).await? {
            self.answered.insert((known.scope, known.request), known);
        }
        Ok(())
    }

    fn find(&self, command: &Command) -> Option<&Answered> {
        self.answered.get(&(command.scope(), command.request()))
    }

    fn found(&self) -> bool {
        !self.answered.is_empty()
    }

    /// A refused command may be one that was accepted before, when the rules still allowed it. It changed
    /// nothing now, so only its answer is exchanged.
    async fn answer_refused(
        &mut self,
        conn: &mut Connection,
        codec: EventCodec,
        submissions: &[Submission],
        outcomes: &mut Outcomes,
    ) -> Result<(), Error> {
        let refused = submissions.iter().zip(&*outcomes).filter(|(_, outcome)| outcome.is_err());
        self.look_up(conn, refused.map(|(sent, _)| sent)).await?;
        for (sent, outcome) in submissions.iter().zip(outcomes) {
            if outcome.is_err()
                && let Some(known) = self.find(&sent.command)
            {
                *outcome = replay(codec, known, &sent.command);
            }
        }
        Ok(())
    }
}

/// The answer to a request that was answered before.
fn replay(codec: EventCodec, known: &Answered, command: &Command) -> Result<Written, Error> {
    let stored = &known.event;
    let same = known.digest.as_ref().is_some_and(|digest| **digest == (codec.digest)(command));
    if !same
        && !seeded(Bug::OtherContentIsAReplay)
        && let Some(differs) = (codec.differs)(stored.kind, &stored.payload, command)
    {
        return Err(Error::AlreadyExists {
            kind: command.kind(),
            id: command.request().to_string(),
            differs,
        });
    }
    let event = (codec.decode)(stored.kind, &stored.payload)?;
    Ok(Written { revision: stored.revision, event, message: stored.payload.clone() })
}

/// The work on one scope.
struct Batch {
    codec: EventCodec,
    /// Where the head was.
    began_at: i64,
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
    async fn begin(
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
            began_at: head.revision,
            head: Head { recorded_at: recorded_at(terms.now, head.recorded_at), ..head },
            ledger: load(conn, terms.codec, head.scope, kept, &new).await?,
            events: Vec::new(),
            dirty: Dirty::default(),
            answered: HashMap::new(),
        })
    }

    /// One command: a replay, an acceptance or a refusal. An error ends the whole transaction.
    async fn step(
        &mut self,
        conn: &mut Connection,
        before: &Before,
        submission: &Submission,
    ) -> Result<Result<Written, Error>, Error> {
        let command = &submission.command;
        if let Some(known) = before.find(command) {
            return Ok(replay(self.codec, known, command));
        }
        if let Some(place) = self.answered.get(&command.request()) {
            return Ok(replay(self.codec, &self.events[*place].answered(), command));
        }
        let (created_at, revision) = (self.head.recorded_at, self.head.revision + 1);
        let event = match command {
            Command::CreateOrganization(new) => {
                let new = Organization { created_at, revision, ..new.clone() };
                insert_organization(conn, &new).await?;
                Event::Organization(new)
            }
            Command::CreateProgram(new) => {
                let new = Program { created_at, revision, ..new.clone() };
                insert_program(conn, &new).await?;
                Event::Program(new)
            }
            _ => match self.apply(submission) {
                Ok(event) => event,
                Err(error) => return Ok(Err(error)),
            },
        };
        Ok(Ok(self.record(command, event)))
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

    /// Encodes the event, once, and keeps it to be appended.
    fn record(&mut self, command: &Command, event: Event) -> Written {
        self.head.revision += 1;
        let Head { scope, revision, recorded_at } = self.head;
        let payload = Bytes::from((self.codec.encode)(&event));
        // The message of an entry holds all of the request.
        let digest = (!matches!(command, Command::PostEntry(_))).then(|| (self.codec.digest)(command));
        let (request, kind) = (command.request(), event.kind());
        self.answered.insert(request, self.events.len());
        let message = payload.clone();
        self.events.push(NewEvent { scope, revision, kind, recorded_at, payload, request, digest });
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
