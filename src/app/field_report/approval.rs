//! What an approval moves, and what its end moves back: the entry of a claim, the land (in `land.rs`), the task, the
//! credit.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::app::change::{Ground, Record};
use crate::app::field_report::land::settle_land;
use crate::app::site::scopes_of;
use crate::app::task::step::today;
use crate::app::task::{known_task, record};
use crate::domain::days::today_in;
use crate::domain::entry::{Action, Entry, Expend, ExpendSource};
use crate::domain::field_report::credit::{Credit, Ended, missing_of_task};
use crate::domain::field_report::filing::{KnownReport, version_of};
use crate::domain::field_report::{ClaimedExpense, ClaimedSource, FieldReport};
use crate::domain::ids::{AllocationId, EntryId, ObligationId, ProgramId, ReportId, ScopeId, SiteId};
use crate::domain::kind::Kind;
use crate::domain::program::Program;
use crate::domain::refusal::Refusal;
use crate::domain::task::transitions::{TaskAction, next};
use crate::domain::task::work::check_done_on;
use crate::domain::task::{Completion, Task, TaskState};
use crate::domain::text::{Note, Reason};
use crate::error::Error;
use crate::store::Connection;
use crate::store::field_report::credits::{Part, end_credit, find_standing, insert_credit, update_approved};
use crate::store::funding::{find_obligation, find_program};
use crate::store::journal::find_answer;
use crate::store::ledger::find_reversals;
use crate::store::site::find_site;
use crate::store::task::update_progress;

/// The version that ceases to count, and the one that begins to.
pub(super) struct Turn {
    pub(super) ends: Option<FieldReport>,
    pub(super) begins: Option<FieldReport>,
    /// Whether the reviewer said why it counts although something stands against it.
    pub(super) looked_past: bool,
    /// The id of the entry that reverses what was paid.
    pub(super) reversal: EntryId,
    /// The id of the entry that pays, where that of the report is taken.
    pub(super) spare: EntryId,
}

impl Turn {
    /// Whether anything begins or ends.
    pub(super) const fn moves(&self) -> bool {
        self.ends.is_some() || self.begins.is_some()
    }

    /// What the report cannot do when something is missing.
    pub(super) const fn action(&self) -> &'static str {
        if self.begins.is_some() { "be approved" } else { "be voided" }
    }

    pub(super) fn sites(&self) -> BTreeSet<SiteId> {
        let versions = [&self.ends, &self.begins].into_iter().flatten();
        versions.flat_map(|version| version.claims.areas.iter().map(|area| area.site)).collect()
    }
}

/// The journals that a decision changes: the operator's first, then the program's and those of the land.
pub(super) async fn journals(
    conn: &mut Connection,
    report: &KnownReport,
    turn: &Turn,
) -> Result<Vec<ScopeId>, Error> {
    let mut scopes = vec![report.operator.scope()];
    if !turn.moves() {
        return Ok(scopes);
    }
    let mut more: Vec<ScopeId> = report.program.map(ProgramId::scope).into_iter().collect();
    if let Some(task) = report.task.filter(|_| report.program.is_some()) {
        more.extend(known_task(&mut *conn, task).await?.scopes());
        for site in turn.sites() {
            // A site that does not exist is refused when the version is judged.
            if let Some(site) = find_site(&mut *conn, site).await? {
                more.extend(scopes_of(&mut *conn, &site).await?);
            }
        }
    }
    for scope in more {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Ok(scopes)
}

/// Moves everything that follows. A report that counts for no program moves nothing.
pub(super) async fn settle(
    ground: &mut Ground<'_>,
    report: &KnownReport,
    turn: &Turn,
    reason: &str,
) -> Result<(), Error> {
    let (Some(program), Some(task)) = (report.program, report.task) else { return Ok(()) };
    let program = find_program(&mut *ground.conn, program).await?;
    let program = program.ok_or_else(|| Error::bug("a report of a program that is not there"))?;
    let mut task = known_task(&mut *ground.conn, task).await?;
    let standing = find_standing(&mut *ground.conn, report.id).await?;
    let allocation = task.plan.allocation.ok_or_else(|| Error::bug("an issued task without allocation"))?;
    if let Some(version) = &turn.begins {
        expect_ready(report.id, turn.action(), missing_of_task(version, &task))?;
    }
    // Entries come first in the journal of the program.
    let entry = settle_money(ground, (&program, allocation), turn, standing.as_ref(), reason).await?;
    let moved = settle_land(ground, report.id, &task, (turn, standing.as_ref())).await?;
    settle_task(ground, &mut task, turn).await?;
    let settled = Settled { program: program.id, allocation, entry, moved, reason };
    settle_credit(ground, report, &task, (turn, standing), settled).await
}

/// What the other parts of an approval came to.
struct Settled<'a> {
    program: ProgramId,
    allocation: AllocationId,
    entry: Option<EntryId>,
    /// Sites whose land the new version moves.
    moved: BTreeSet<SiteId>,
    reason: &'a str,
}

pub(super) fn expect_ready(
    report: ReportId,
    action: &'static str,
    missing: Vec<String>,
) -> Result<(), Error> {
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::NotReady { kind: Kind::Report, id: report.uuid(), action, missing }.into())
}

/// Reverses the entry of a claim that ends, and books that of one that begins. Answers the new one.
async fn settle_money(
    ground: &mut Ground<'_>,
    (program, allocation): (&Program, AllocationId),
    turn: &Turn,
    standing: Option<&Credit>,
    reason: &str,
) -> Result<Option<EntryId>, Error> {
    let entry = |id, effective_on, note, evidence, action| Entry {
        id,
        program: program.id,
        currency: program.currency,
        effective_on,
        note,
        evidence,
        action,
    };
    if let (Some(ends), Some(begins), Some(standing)) = (&turn.ends, &turn.begins, standing)
        && (&ends.claims.expense, ends.work_date) == (&begins.claims.expense, begins.work_date)
    {
        // An amendment that is not about the money.
        return Ok(standing.entry);
    }
    if let Some(paid) = standing.and_then(|standing| standing.entry)
        && !is_reversed(ground.conn, program.id, paid).await?
    {
        let reason = Reason::parse(if reason.is_empty() { "an amendment was approved" } else { reason });
        let action = Action::Reverse { entry: paid, reason: reason.map_err(Error::bug)? };
        let today = today_in(&jiff::tz::TimeZone::UTC, ground.now);
        ground.book(entry(turn.reversal, today, Note::default(), None, action)).await?;
    }
    let Some((version, claim)) =
        turn.begins.as_ref().and_then(|version| Some((version, version.claims.expense.as_ref()?)))
    else {
        return Ok(None);
    };
    expect_ready(
        version.id,
        turn.action(),
        missing_of_claim(ground.conn, program, allocation, claim).await?,
    )?;
    let id = entry_id(ground.conn, program.id, version.id, turn.spare).await?;
    let note = Note::parse(&format!("{} {}", claim.payee.as_str(), claim.reference.as_str()));
    let action = Action::Expend(Expend {
        source: match claim.source {
            ClaimedSource::Available => ExpendSource::Available(allocation),
            ClaimedSource::Obligated(id) => ExpendSource::Obligated(id),
            ClaimedSource::Advanced(id) => ExpendSource::Advanced(id),
        },
        amount: claim.amount.amount,
        draw_from_available: None,
        category: claim.category,
        task: version.task,
        report: Some(version.id),
        foreign: None,
    });
    let evidence = Some(version.content_sha256);
    ground.book(entry(id, version.work_date, note.map_err(Error::bug)?, evidence, action)).await?;
    Ok(Some(id))
}

/// The id of the entry that pays a claim: that of the report, unless somebody has used it in the program before.
async fn entry_id(
    conn: &mut Connection,
    program: ProgramId,
    report: ReportId,
    spare: EntryId,
) -> Result<EntryId, Error> {
    let taken = find_answer(conn, program.scope(), report.uuid()).await?.is_some();
    Ok(if taken { spare } else { EntryId::new(report.uuid()) })
}

/// Whether somebody reversed an entry by hand.
async fn is_reversed(conn: &mut Connection, program: ProgramId, entry: EntryId) -> Result<bool, Error> {
    Ok(!find_reversals(conn, program, &BTreeSet::from([entry])).await?.is_empty())
}

/// What a claim lacks beside the ledger: it is paid in the program's currency, and by the allocation of its task.
async fn missing_of_claim(
    conn: &mut Connection,
    program: &Program,
    allocation: AllocationId,
    claim: &ClaimedExpense,
) -> Result<Vec<String>, Error> {
    let mut missing = Vec::new();
    if claim.amount.currency != program.currency {
        let (claimed, booked) = (claim.amount.currency, program.currency);
        missing.push(format!(
            "it is in {claimed}, the program books {booked}; return it, or post the entry by hand with its rate"
        ));
    }
    let of: Option<ObligationId> = match claim.source {
        ClaimedSource::Available => None,
        ClaimedSource::Obligated(id) | ClaimedSource::Advanced(id) => Some(id),
    };
    if let Some(id) = of {
        match find_obligation(conn, program.id, id).await? {
            None => missing.push(format!("obligation {id} does not exist in the program")),
            Some(found) if found.allocation != allocation => missing.push(format!(
                "obligation {id} is of allocation {}, the task is paid by {allocation}",
                found.allocation
            )),
            Some(_) => {}
        }
    }
    Ok(missing)
}

/// Adds to what the task brought about, and completes it by an approved completion report. The task itself is recorded
/// only when its state changed: what it brought about stands in the credits, and no tablet needs it.
async fn settle_task(ground: &mut Ground<'_>, task: &mut Task, turn: &Turn) -> Result<(), Error> {
    let before = task.clone();
    if let Some(version) = &turn.ends {
        task.approved = task.approved.minus(&version.claims.outputs);
    }
    if let Some(version) = &turn.begins {
        task.approved = task.approved.plus(&version.claims.outputs);
    }
    let revision = ground.revision(task.program.scope())?;
    if task.approved != before.approved {
        update_approved(&mut *ground.conn, task, revision).await?;
    }
    if let Some(version) = &turn.begins {
        let today = today(ground, task).await?;
        complete(task, version, today)?;
    }
    if (&task.completion, task.state) == (&before.completion, before.state) {
        return Ok(());
    }
    task.revision = revision;
    update_progress(&mut *ground.conn, task).await?;
    record(ground, task)
}

/// A task that was completed before stays so; what its own report said of it is amended with the report.
fn complete(task: &mut Task, version: &FieldReport, today: Date) -> Result<(), Error> {
    let Some(claimed) = &version.claims.completion else { return Ok(()) };
    let done = [TaskState::Completed, TaskState::QcPassed, TaskState::HandedOver, TaskState::Closed];
    let completion = Completion {
        completed_on: version.work_date,
        reference: claimed.reference.clone(),
        not_done: claimed.not_done.clone(),
    };
    if done.contains(&task.state) {
        if task.completion.as_ref().is_some_and(|before| before.reference == completion.reference) {
            task.completion = Some(completion);
        }
        return Ok(());
    }
    task.state = next(task, TaskAction::Complete)?;
    let checked = check_done_on(completion.completed_on, today, task.begun());
    checked.map_err(|rule| {
        let missing =
            vec![format!("it says that the work was done on a day that cannot be: {rule}; return it")];
        Refusal::NotReady { kind: Kind::Report, id: version.id.uuid(), action: "be approved", missing }
    })?;
    task.completion = Some(completion);
    Ok(())
}

async fn settle_credit(
    ground: &mut Ground<'_>,
    report: &KnownReport,
    task: &Task,
    (turn, standing): (&Turn, Option<Credit>),
    settled: Settled<'_>,
) -> Result<(), Error> {
    let scope = settled.program.scope();
    let (revision, by) = (ground.revision(scope)?, ground.caller.subject().to_owned());
    if let Some(mut credit) = standing {
        let reason = settled.reason;
        let ended = Ended { at: ground.now, by: by.clone(), reason: reason.to_owned() };
        end_credit(&mut *ground.conn, &credit, &ended, revision).await?;
        credit.ended = Some(ended);
        ground.record(scope, Record::Credit(Box::new(credit)))?;
    }
    let Some(version) = &turn.begins else { return Ok(()) };
    let credit = Credit {
        program: settled.program,
        report: report.id,
        version: version_of(version),
        operator: report.operator,
        task: task.id,
        allocation: settled.allocation,
        work_date: version.work_date,
        outputs: version.claims.outputs,
        entry: settled.entry,
        approved_at: ground.now,
        approved_by: by,
        ended: None,
    };
    let authority = task.authority.ok_or_else(|| Error::bug("an issued task without authority"))?;
    let part = |area| Part { authority, area, moved: settled.moved.contains(&area.site) };
    let parts: Vec<Part<'_>> = version.claims.areas.iter().map(part).collect();
    insert_credit(&mut *ground.conn, &credit, revision, &parts).await?;
    ground.record(scope, Record::Credit(Box::new(credit)))
}
