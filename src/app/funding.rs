//! Use cases of programs, periods, allocations and the ledger.

use std::sync::Arc;

use crate::app::App;
use crate::app::batch::{load_for, posted};
use crate::app::codec::EventCodec;
use crate::app::command::{ChangePeriod, Command, Event};
use crate::app::organization::unexpected;
use crate::app::writer::{Outcomes, Pending, Submission, Written};
use crate::domain::caller::{Caller, Role};
use crate::domain::entry::{Action, Entry, PostedEntry};
use crate::domain::ids::{AllocationId, OrganizationId, ProgramId};
use crate::domain::kind::Kind;
use crate::domain::ledger::{Ledger, recorded_at};
use crate::domain::organization::OrganizationKind;
use crate::domain::program::{Allocation, Period, Program};
use crate::domain::refusal::Refusal;
use crate::error::Error;
use crate::store::Connection;
use crate::store::journal::{find_answer, find_heads};
use crate::store::organization::{find_known_organizations, find_organization};
use crate::store::task::facts::find_paid_by;

impl App {
    /// Records a program. Its funder and office must exist and be of the right kind.
    ///
    /// # Errors
    /// Refuses an organization of another kind, and a code that is taken.
    pub async fn create_program(&self, caller: &Caller, new: Program) -> Result<(Program, i64), Error> {
        // A coordinator runs programs of its own office only.
        if caller.role() == Role::Coordinator && caller.organization_id() != Some(new.office.uuid()) {
            return Err(Error::Forbidden);
        }
        self.expect_kind(new.funder, OrganizationKind::Funder).await?;
        self.expect_kind(new.office, OrganizationKind::Office).await?;
        match self.writer.write_one(Command::CreateProgram(new), caller).await? {
            Written { revision, event: Event::Program(program), .. } => Ok((program, revision)),
            other => Err(unexpected(&other)),
        }
    }

    async fn expect_kind(&self, id: OrganizationId, required: OrganizationKind) -> Result<(), Error> {
        let found = find_organization(self.store.pool(), id).await?;
        let kind = found.ok_or_else(|| Error::not_found(Kind::Organization, id))?.kind;
        if kind == required {
            return Ok(());
        }
        Err(Refusal::WrongOrganizationKind { organization: id, kind, required }.into())
    }

    /// The facts of a program that the caller may see.
    ///
    /// # Errors
    /// `NotFound` when there is none for this caller.
    pub async fn program(&self, caller: &Caller, id: ProgramId) -> Result<Arc<Program>, Error> {
        self.facts.get(caller, id).await
    }

    /// Opens a period with its root.
    ///
    /// # Errors
    /// Refuses a code that is taken.
    pub async fn open_period(&self, caller: &Caller, new: Period) -> Result<(Period, i64), Error> {
        self.facts.get_to_change(caller, new.program).await?;
        self.write_period(caller, Command::OpenPeriod(new)).await
    }

    /// Expires or closes a period.
    ///
    /// # Errors
    /// Refuses a stale caller, a step out of order, and closing what is not settled.
    pub async fn change_period(&self, caller: &Caller, change: ChangePeriod) -> Result<(Period, i64), Error> {
        self.facts.get_to_change(caller, change.program).await?;
        self.write_period(caller, Command::ChangePeriod(change)).await
    }

    async fn write_period(&self, caller: &Caller, command: Command) -> Result<(Period, i64), Error> {
        match self.writer.write_one(command, caller).await? {
            Written { revision, event: Event::Period(period), .. } => Ok((period, revision)),
            other => Err(unexpected(&other)),
        }
    }

    /// Adds an allocation below another.
    ///
    /// # Errors
    /// Refuses what does not fit the tree, and a parent that pays for a task. A task that is issued at the same moment may
    /// slip through, because the writers of money know no tasks.
    pub async fn create_allocation(
        &self,
        caller: &Caller,
        new: Allocation,
    ) -> Result<(Allocation, i64), Error> {
        self.facts.get_to_change(caller, new.program).await?;
        if let Some(recipient) = new.recipient {
            self.expect_known(recipient).await?;
        }
        if let Some(parent) = new.parent {
            self.expect_pays_for_none(new.program, parent).await?;
        }
        match self.writer.write_one(Command::CreateAllocation(new), caller).await? {
            Written { revision, event: Event::Allocation(allocation), .. } => Ok((allocation, revision)),
            other => Err(unexpected(&other)),
        }
    }

    /// Refuses an allocation that an order is bound to: nothing could be spent on it, since only leaves are spent from.
    async fn expect_pays_for_none(&self, program: ProgramId, id: AllocationId) -> Result<(), Error> {
        let Some(task) = find_paid_by(self.store.pool(), program, id).await? else { return Ok(()) };
        let missing = vec![format!("it pays for task {task} until that is closed; use a sibling")];
        Err(Refusal::NotReady { kind: Kind::Allocation, id: id.uuid(), action: "get children", missing }
            .into())
    }

    async fn expect_known(&self, id: OrganizationId) -> Result<(), Error> {
        let known = find_known_organizations(self.store.pool(), &[id.uuid()]).await?;
        if known.is_empty() { Err(Error::not_found(Kind::Organization, id)) } else { Ok(()) }
    }

    /// Books one entry.
    ///
    /// # Errors
    /// Why it was refused; `Overloaded` when too many wait.
    pub async fn post_entry(&self, caller: &Caller, entry: Entry) -> Result<PostedEntry, Error> {
        self.may_post(caller, &entry).await?;
        match self.writer.write_one(Command::PostEntry(entry), caller).await? {
            Written { event: Event::Entry(posted), .. } => Ok(posted),
            other => Err(unexpected(&other)),
        }
    }

    /// Submits entries in order, as soon as there is room for them. What may not be booked by this caller is
    /// refused in its place.
    pub async fn submit_entries(
        &self,
        caller: &Arc<Caller>,
        entries: Vec<Result<Entry, Error>>,
    ) -> Submitted {
        let (mut submissions, mut verdicts) = (Vec::with_capacity(entries.len()), Vec::new());
        for entry in entries {
            let verdict = match entry {
                Ok(entry) => match self.may_post(caller, &entry).await {
                    Ok(()) => {
                        let command = Command::PostEntry(entry);
                        submissions.push(Submission { command, by: Arc::clone(caller) });
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            verdicts.push(verdict);
        }
        Submitted { verdicts, pending: self.writer.submit(submissions).await }
    }

    /// A caller posts to its own programs, what its role may. A reversal is judged by what it undoes, once
    /// that is read.
    async fn may_post(&self, caller: &Caller, entry: &Entry) -> Result<(), Error> {
        self.facts.get_to_change(caller, entry.program).await?;
        if let Action::Obligate { payee, .. } = &entry.action
            && let Some(organization) = payee.organization
        {
            self.expect_known(organization).await?;
        }
        let undoes = matches!(entry.action, Action::Reverse { .. });
        if undoes || may_book(caller.role(), &entry.action) { Ok(()) } else { Err(Error::Forbidden) }
    }

    /// What booking an entry would do now. Nothing is changed.
    ///
    /// # Errors
    /// Why it would be refused.
    pub async fn preview_entry(&self, caller: &Caller, entry: Entry) -> Result<PostedEntry, Error> {
        self.may_post(caller, &entry).await?;
        let (codec, now, by) = (self.codec, self.clock.now(), caller.clone());
        let previewed = self.store.snapshot(move |conn| {
            let (entry, by) = (entry.clone(), by.clone());
            Box::pin(async move {
                let program = entry.program;
                let heads = find_heads(&mut *conn, &[program.uuid()]).await?;
                let head = *heads.first().ok_or_else(|| Error::not_found(Kind::Program, program))?;
                if let Some(first) = first_answer(&mut *conn, codec, &entry).await? {
                    return Ok(first);
                }
                let mut ledger = Ledger::new(entry.currency);
                let command = Command::PostEntry(entry.clone());
                load_for(conn, codec, program, &mut ledger, &[&command]).await?;
                may_undo(by.role(), &ledger, &entry)?;
                let effect = ledger.apply(entry, head.revision + 1)?;
                let at = recorded_at(now, head.recorded_at);
                Ok(posted(&ledger, effect, head.revision, at, by.subject()))
            })
        });
        previewed.await
    }
}

/// Entries that were submitted.
pub struct Submitted {
    /// What was refused before it was submitted.
    verdicts: Vec<Result<(), Error>>,
    pending: Pending,
}

impl Submitted {
    /// Waits for what became of each entry, in order.
    pub async fn outcomes(self) -> Outcomes {
        let mut written = self.pending.outcomes().await.into_iter();
        let missing = || Err(Error::bug("a posting without an outcome"));
        let outcome =
            |verdict: Result<(), Error>| verdict.and_then(|()| written.next().unwrap_or_else(missing));
        self.verdicts.into_iter().map(outcome).collect()
    }
}

/// Whether a role may book an action: a coordinator spends, and only a funder changes what was authorized.
const fn may_book(role: Role, action: &Action) -> bool {
    match role {
        Role::Admin => true,
        Role::Funder => action.changes_authorization(),
        Role::Coordinator => !action.changes_authorization(),
        Role::Field | Role::Auditor => false,
    }
}

/// Whoever may book an entry may undo it, and nobody else: a reversal moves the same money.
pub(crate) fn may_undo(role: Role, ledger: &Ledger, entry: &Entry) -> Result<(), Error> {
    let Action::Reverse { entry: target, .. } = &entry.action else { return Ok(()) };
    // What is not there is refused by the rules.
    let past = ledger.reversible.get(target).map(|past| &past.entry.action);
    if past.is_none_or(|action| may_book(role, action)) { Ok(()) } else { Err(Error::Forbidden) }
}

/// What an entry that was booked before was answered.
async fn first_answer(
    conn: &mut Connection,
    codec: EventCodec,
    entry: &Entry,
) -> Result<Option<PostedEntry>, Error> {
    let known = find_answer(conn, entry.program.scope(), entry.id.uuid()).await?;
    let Some(answered) = known else { return Ok(None) };
    let command = Command::PostEntry(entry.clone());
    if let Some(differs) = (codec.differs)(answered.event.kind, &answered.event.payload, &command) {
        return Err(Error::AlreadyExists { kind: Kind::Entry, id: entry.id.to_string(), differs });
    }
    match (codec.decode)(answered.event.kind, &answered.event.payload)? {
        Event::Entry(posted) => Ok(Some(posted)),
        other => Err(Error::bug(format!("an entry's id is of an event of kind {:?}", other.kind()))),
    }
}
