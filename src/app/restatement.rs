//! Use cases of reporting periods: freezing them, and saying what became of what was told.

use jiff::tz::{TimeZone, offset};
use uuid::Uuid;

use crate::app::App;
use crate::app::change::{Changed, Changing, Ground, Record, Request};
use crate::app::page::{Page, PageRequest};
use crate::app::token::Filter;
use crate::domain::caller::{Caller, Role};
use crate::domain::days::{Days, today_in};
use crate::domain::ids::{ProgramId, ReportingPeriodId, ScopeId};
use crate::domain::kind::Kind;
use crate::domain::restatement::{ReportingPeriod, Restated, Restatement, check_days};
use crate::domain::text::Code;
use crate::error::{Error, Violations};
use crate::store::Connection;
use crate::store::journal::find_heads;
use crate::store::restatement::{
    ChangePlace, find_period, insert_period, list_changes, list_figures, list_periods, sum_figures,
};

/// Freeze a reporting period.
pub struct FreezePeriod {
    /// Its id.
    pub id: ReportingPeriodId,
    /// The program.
    pub program: ProgramId,
    /// Its code.
    pub code: Code,
    /// Its days.
    pub days: Days,
}

impl Changing for FreezePeriod {
    async fn scopes(&self, _conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![self.program.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        // Where days end last.
        let today = today_in(&TimeZone::fixed(offset(-12)), ground.now);
        let days = check_days(self.days, today);
        let (first_day, last_day) =
            days.map_err(|rule| Violations::one("reporting_period.last_day", rule))?;
        let told = sum_figures(&mut *ground.conn, self.program, (first_day, last_day)).await?;
        let scope = self.program.scope();
        let frozen = ReportingPeriod {
            id: self.id,
            program: self.program,
            code: self.code.clone(),
            first_day,
            last_day,
            told,
            frozen_revision: ground.revision(scope)?,
            frozen_at: ground.now,
            frozen_by: ground.caller.subject().to_owned(),
        };
        insert_period(&mut *ground.conn, &frozen).await?;
        ground.record(scope, Record::ReportingPeriod(Box::new(frozen)))
    }
}

impl App {
    /// Freezes a period.
    ///
    /// # Errors
    /// `Forbidden` for who is not of the office of the program; `Invalid` for days that have not passed; a code that is
    /// taken.
    pub async fn freeze_period(
        &self,
        caller: &Caller,
        request: Request,
        freeze: FreezePeriod,
    ) -> Result<Changed, Error> {
        let program = self.program(caller, freeze.program).await?;
        if caller.role() != Role::Admin && caller.organization_id() != Some(program.office.uuid()) {
            return Err(Error::Forbidden);
        }
        self.change(caller, request, freeze).await
    }

    /// Frozen periods of a program by code.
    ///
    /// # Errors
    /// `NotFound` for a program that the caller does not see; `PageToken` for the token of another list.
    pub async fn list_reporting_periods(
        &self,
        caller: &Caller,
        program: ProgramId,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<ReportingPeriod>, Error> {
        self.program(caller, program).await?;
        self.feed.reach(program.scope(), min_revision).await?;
        let bound = Filter::of(&[b"reporting periods", program.uuid().as_bytes()]);
        let after = page.text_position(self, bound)?;
        let rows = list_periods(self.store.pool(), program, &after, page.limit()).await?;
        Ok(page.cut(self, bound, rows, |row| row.code.as_str().as_bytes().to_vec()))
    }

    /// What was told of a period, what is known now, and a page of why that is not the same; all pages are of the moment of
    /// the first.
    ///
    /// # Errors
    /// `NotFound` for a period that the caller does not see; `PageToken` for the token of another period.
    pub async fn get_restatement(
        &self,
        caller: &Caller,
        (program, id): (ProgramId, ReportingPeriodId),
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Restatement, Error> {
        self.program(caller, program).await?;
        self.feed.reach(program.scope(), min_revision).await?;
        let bound = Filter::of(&[b"restatement", program.uuid().as_bytes(), id.uuid().as_bytes()]);
        let after = match page.position(self, bound)? {
            Some(bytes) => Some(placed(&bytes)?),
            None => None,
        };
        let limit = page.limit();
        let read = self.store.snapshot(move |conn| {
            Box::pin(async move { read_restatement(conn, (program, id), after, limit).await })
        });
        let mut found = read.await?;
        let changes = std::mem::take(&mut found.changes);
        let revision = found.revision;
        let Page { rows, next } = page.cut(self, bound, changes, |change| place(revision, change));
        Ok(Restatement { changes: rows, next, ..found })
    }
}

async fn read_restatement(
    conn: &mut Connection,
    (program, id): (ProgramId, ReportingPeriodId),
    after: Option<(i64, ChangePlace)>,
    limit: i64,
) -> Result<Restatement, Error> {
    let period = find_period(&mut *conn, program, id).await?;
    let period = period.ok_or_else(|| Error::not_found(Kind::ReportingPeriod, id))?;
    let heads = find_heads(&mut *conn, &[program.uuid()]).await?;
    let head = heads.first().ok_or_else(|| Error::not_found(Kind::Program, program))?;
    let (revision, after) = after.unwrap_or((head.revision, (0, Uuid::nil(), 0)));
    let days = (period.first_day, period.last_day);
    let rows = list_figures(&mut *conn, program, days, (period.frozen_revision, revision)).await?;
    let changes = list_changes(conn, (&period, revision), after, limit).await?;
    Ok(Restatement { period, revision, rows, changes, next: None })
}

/// The revision that all pages show, and the last change of this one.
fn place(revision: i64, of: &Restated) -> Vec<u8> {
    let (report, version) = (of.credit.report.uuid(), of.credit.version);
    let revisions = [revision.to_be_bytes(), of.revision().to_be_bytes()].concat();
    [&revisions[..], report.as_bytes(), &version.to_be_bytes()].concat()
}

fn placed(at: &[u8]) -> Result<(i64, ChangePlace), Error> {
    let (shown, rest) = at.split_first_chunk::<8>().ok_or(Error::PageToken)?;
    let (revision, rest) = rest.split_first_chunk::<8>().ok_or(Error::PageToken)?;
    let (report, version) = rest.split_first_chunk::<16>().ok_or(Error::PageToken)?;
    let version = version.try_into().map_err(|_| Error::PageToken)?;
    let change = (i64::from_be_bytes(*revision), Uuid::from_bytes(*report), i32::from_be_bytes(version));
    Ok((i64::from_be_bytes(*shown), change))
}
