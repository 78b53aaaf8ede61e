//! Budget reports, of now or of any past revision.
//!
//! A past report starts from the present rows. A row that has not changed since is the answer; for the
//! others the journal is read backwards from the asked-for revision, since every entry carries the balances
//! after it. It stops when each has its answer: soon for rows that change often, and at the row's own
//! beginning for one that had not changed for long. The journal never changes, so this is done in pages
//! outside the snapshot, and ends when the caller goes away.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::app::App;
use crate::app::command::Event;
use crate::domain::caller::Caller;
use crate::domain::field_report::outputs::Outputs;
use crate::domain::ids::{AllocationId, PeriodId, ProgramId, ScopeId};
use crate::domain::kind::Kind;
use crate::domain::program::{Allocation, Balance};
use crate::domain::refusal::Refusal;
use crate::domain::report::{BudgetReport, ReportRow, Totals};
use crate::error::Error;
use crate::store::Connection;
use crate::store::funding::{find_allocation, list_periods};
use crate::store::journal::{EventKind, find_heads, find_recorded_at, list_events_back};
use crate::store::report::{
    AllocationOutputs, ReportScope, list_approved, list_approved_at, list_provisional, list_report_rows,
};

/// The most allocations in the scope of one report.
const ROWS_MAX: i64 = 50_000;
/// The most rows that one answer shows: they must fit the 4 MiB that clients take by default.
const SHOWN_MAX: usize = 10_000;
/// Journal rows that are read at a time, going back.
const BACK_PAGE: i64 = 500;

/// Which moment a report shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// Now.
    Latest,
    /// This revision, from 1.
    Revision(i64),
    /// What was recorded by the end of this day, UTC.
    Day(Date),
}

/// What to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportQuery {
    /// The program.
    pub program: ProgramId,
    /// Only this period.
    pub period: Option<PeriodId>,
    /// Only this allocation and what is below it.
    pub allocation: Option<AllocationId>,
}

/// Rows of one revision, before they are cut to a depth.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// The journal.
    pub scope: ScopeId,
    /// The revision.
    pub revision: i64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Every row of the scope.
    pub rows: Vec<ReportRow>,
}

impl App {
    /// Reports where the money is.
    ///
    /// # Errors
    /// `NotFound` for what the caller may not see; a refusal for a revision that does not exist yet.
    pub async fn get_budget_report(
        &self,
        caller: &Caller,
        query: ReportQuery,
        as_of: AsOf,
        max_depth: Option<usize>,
        min_revision: i64,
    ) -> Result<BudgetReport, Error> {
        let program = self.program(caller, query.program).await?;
        self.feed.reach(query.program.scope(), min_revision).await?;
        let (scope, reading) = self
            .store
            .snapshot(move |conn| {
                Box::pin(async move {
                    let scope = resolve(&mut *conn, query).await?;
                    let reading = read(conn, &scope, as_of).await?;
                    Ok((scope, reading))
                })
            })
            .await?;
        let reading = self.turned_back(reading).await?;
        let top_len = scope.top.len().max(1);
        let totals = totals(&reading.rows, top_len)?;
        let mut rows = reading.rows;
        let shown =
            |row: &ReportRow| max_depth.is_none_or(|depth| row.allocation.path.len() <= top_len + depth);
        rows.retain(shown);
        if SHOWN_MAX < rows.len() {
            let what = "a report; ask for a smaller max_depth or one allocation, since its list of rows";
            let max = i64::try_from(SHOWN_MAX).unwrap_or(i64::MAX);
            return Err(Refusal::LimitReached { what, max }.into());
        }
        Ok(BudgetReport {
            program: query.program,
            period: query.period,
            revision: reading.revision,
            as_of: reading.recorded_at,
            currency: program.currency,
            rows,
            totals,
        })
    }
}

/// Sums the rows of a scope.
pub(crate) fn totals(rows: &[ReportRow], top_len: usize) -> Result<Totals, Error> {
    let too_large = || rows.first().map(|row| Refusal::AmountTooLarge(row.allocation.id));
    match (Totals::of(rows, top_len), too_large()) {
        (Some(totals), _) => Ok(totals),
        (None, Some(refusal)) => Err(refusal.into()),
        (None, None) => Err(Error::bug("no rows have a sum that is too large")),
    }
}

/// Checks that period and allocation exist and belong together.
pub(crate) async fn resolve(conn: &mut Connection, query: ReportQuery) -> Result<ReportScope, Error> {
    let mut scope = ReportScope { program: query.program, period: query.period, top: Vec::new() };
    if let Some(id) = query.period {
        let periods = list_periods(&mut *conn, query.program).await?;
        if !periods.iter().any(|period| period.id == id) {
            return Err(Error::not_found(Kind::Period, id));
        }
    }
    if let Some(id) = query.allocation {
        let found = find_allocation(&mut *conn, query.program, id).await?;
        let top = found.filter(|top| query.period.is_none_or(|period| top.period == period));
        let top = top.ok_or_else(|| Error::not_found(Kind::Allocation, id))?;
        scope.period = Some(top.period);
        scope.top = top.path;
    }
    Ok(scope)
}

/// Reads the rows of a scope that were there at a moment, with their present balances. The connection must be
/// in one snapshot. For a past moment [`App::turned_back`] must follow.
pub(crate) async fn read(conn: &mut Connection, scope: &ReportScope, as_of: AsOf) -> Result<Reading, Error> {
    let program = scope.program;
    let heads = find_heads(&mut *conn, &[program.uuid()]).await?;
    let head = *heads.first().ok_or_else(|| Error::not_found(Kind::Program, program))?;
    let revision = match as_of {
        AsOf::Latest => head.revision,
        AsOf::Revision(requested) if head.revision < requested => {
            return Err(Refusal::RevisionAhead { requested, revision: head.revision }.into());
        }
        AsOf::Revision(requested) => requested,
        AsOf::Day(day) => last_revision_of(&mut *conn, program.scope(), head.revision, day).await?,
    };
    let recorded_at = match (find_recorded_at(&mut *conn, program.scope(), revision).await?, as_of) {
        (Some(recorded_at), _) => recorded_at,
        // Nothing had been recorded by then.
        (None, AsOf::Day(day)) => end_of(day),
        (None, _) => head.recorded_at,
    };
    let mut rows = list_report_rows(&mut *conn, scope, ROWS_MAX + 1).await?;
    if ROWS_MAX < i64::try_from(rows.len()).unwrap_or(i64::MAX) {
        let what = "the scope of a report; ask for one period or one allocation; its list of allocations";
        return Err(Refusal::LimitReached { what, max: ROWS_MAX }.into());
    }
    let now = revision == head.revision;
    if !now {
        rows.retain(|row| row.created_revision <= revision);
    }
    let approved = if now {
        list_approved(&mut *conn, program).await?
    } else {
        list_approved_at(&mut *conn, program, revision).await?
    };
    let provisional = if now { Some(list_provisional(conn, program).await?) } else { None };
    let rows = with_outputs(rows, &approved, provisional.as_deref());
    Ok(Reading { scope: program.scope(), revision, recorded_at, rows })
}

/// Puts the outputs of tasks beside the allocations that pay for them.
fn with_outputs(
    rows: Vec<Allocation>,
    approved: &[AllocationOutputs],
    provisional: Option<&[AllocationOutputs]>,
) -> Vec<ReportRow> {
    let sum = |of: &[AllocationOutputs]| {
        let mut sums: HashMap<AllocationId, (Outputs, i64)> = HashMap::new();
        for row in of {
            let (outputs, revision) = sums.entry(row.allocation).or_default();
            (*outputs, *revision) = (outputs.plus(&row.outputs), row.revision.max(*revision));
        }
        sums
    };
    let (approved, provisional) = (sum(approved), provisional.map(sum));
    let row = |allocation: Allocation| {
        let (outputs, approved_revision) = approved.get(&allocation.id).copied().unwrap_or_default();
        let claimed =
            provisional.as_ref().map(|sums| sums.get(&allocation.id).copied().unwrap_or_default().0);
        ReportRow { allocation, approved: outputs, provisional: claimed, approved_revision }
    };
    rows.into_iter().map(row).collect()
}

/// The last revision that was recorded by the end of a day, UTC; 0 when there is none. Times never go back
/// in a journal, so halving finds it.
async fn last_revision_of(conn: &mut Connection, scope: ScopeId, head: i64, day: Date) -> Result<i64, Error> {
    let end = end_of(day);
    let (mut before, mut after) = (0, head + 1);
    while 1 < after - before {
        let middle = before + (after - before) / 2;
        let recorded = find_recorded_at(&mut *conn, scope, middle).await?;
        let recorded = recorded.ok_or_else(|| Error::bug(format!("revision {middle} is missing")))?;
        if recorded < end { before = middle } else { after = middle }
    }
    Ok(before)
}

/// The first instant after a day, UTC.
fn end_of(day: Date) -> Timestamp {
    let next_day = day.tomorrow().and_then(|next| next.to_zoned(TimeZone::UTC));
    next_day.map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

impl App {
    /// Gives rows that changed after the reading's revision the balance that they had at it.
    pub(crate) async fn turned_back(&self, mut reading: Reading) -> Result<Reading, Error> {
        self.turn_back(reading.scope, reading.revision, &mut reading.rows).await?;
        Ok(reading)
    }

    async fn turn_back(&self, scope: ScopeId, revision: i64, rows: &mut [ReportRow]) -> Result<(), Error> {
        let allocations = rows.iter_mut().map(|row| &mut row.allocation);
        let mut changed: HashMap<AllocationId, &mut Allocation> =
            allocations.filter(|row| revision < row.revision).map(|row| (row.id, row)).collect();
        for row in changed.values_mut() {
            // What no earlier entry touched had nothing.
            row.balance = Balance::default();
            row.revision = row.created_revision;
        }
        let mut up_to = revision;
        while let Some(oldest) = changed.values().map(|row| row.created_revision).min() {
            if up_to <= oldest {
                break;
            }
            let events = list_events_back(self.store.pool(), scope, up_to, BACK_PAGE).await?;
            let Some(last) = events.last() else { break };
            up_to = last.revision - 1;
            for event in events.iter().filter(|event| event.kind == EventKind::EntryPosted) {
                let Event::Entry(posted) = (self.codec.decode)(event.kind, &event.payload)? else { continue };
                for (id, balance) in posted.balances {
                    if let Some(row) = changed.remove(&id) {
                        row.balance = balance;
                        row.revision = event.revision;
                    }
                }
            }
        }
        Ok(())
    }
}
