//! SQL of programs, periods, allocations and obligations: single reads and lists, and the rare inserts.
//! What entries change is in `ledger.rs`.

use jiff_sqlx::ToSqlx as _;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::{AllocationId, EntryId, ObligationId, PeriodId, ProgramId};
use crate::domain::kind::Kind;
use crate::domain::program::{Allocation, Obligation, Period, Program};
use crate::domain::refusal::Refusal;
use crate::error::Error;
use crate::store::rows::{AllocationRow, ObligationRow, PeriodRow, ProgramRow};
use crate::store::{broken_constraint, failed};

/// Which programs to list, after which code.
#[derive(Debug, Clone, Default)]
pub struct ProgramFilter {
    /// Only programs of which this organization is the funder or the office.
    pub party: Option<Uuid>,
    /// Only this funder.
    pub funder: Option<Uuid>,
    /// Only codes that begin so.
    pub code_prefix: String,
    /// Only codes after this one.
    pub after_code: String,
}

/// Which part of a period's tree to list, after which path.
#[derive(Debug, Clone)]
pub struct TreeFilter {
    /// The program.
    pub program: ProgramId,
    /// The period.
    pub period: PeriodId,
    /// Path of the top of the list; empty for the whole tree.
    pub top: Vec<String>,
    /// Most codes in a path.
    pub path_len_max: i32,
    /// Only paths after this one; empty for the beginning.
    pub after: Vec<String>,
}

/// Adds a program.
///
/// # Errors
/// Refuses a code that is taken.
#[tracing::instrument(level = "debug", name = "db.funding.insert_program", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "funding.insert_program"))]
pub async fn insert_program(conn: &mut PgConnection, new: &Program) -> Result<(), Error> {
    let done = sqlx::query(
        "-- funding.insert_program
         INSERT INTO programs (program_id, code, title, funder_id, office_id, currency_code, created_at, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(new.id.uuid())
    .bind(new.code.as_str())
    .bind(new.title.as_str())
    .bind(new.funder.uuid())
    .bind(new.office.uuid())
    .bind(new.currency.code())
    .bind(new.created_at.to_sqlx())
    .bind(new.revision)
    .execute(conn)
    .await;
    match done {
        Ok(_) => Ok(()),
        Err(error) if broken_constraint(&error) == Some("programs_code_key") => {
            Err(Refusal::CodeTaken { kind: Kind::Program, code: new.code.clone() }.into())
        }
        Err(error) => Err(failed(error)),
    }
}

/// One program.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.funding.find_program", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "funding.find_program"))]
pub async fn find_program(conn: impl PgExecutor<'_>, id: ProgramId) -> Result<Option<Program>, Error> {
    let row: Option<ProgramRow> = sqlx::query_as(
        "-- funding.find_program
         SELECT program_id, code, title, funder_id, office_id, currency_code, created_at, revision
           FROM programs WHERE program_id = $1",
    )
    .bind(id.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    row.map(Program::try_from).transpose()
}

/// Programs by code, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.funding.list_programs", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "funding.list_programs"))]
pub async fn list_programs(
    conn: impl PgExecutor<'_>,
    filter: &ProgramFilter,
    limit: i64,
) -> Result<Vec<Program>, Error> {
    let rows: Vec<ProgramRow> = sqlx::query_as(
        "-- funding.list_programs
         SELECT program_id, code, title, funder_id, office_id, currency_code, created_at, revision
           FROM programs
          WHERE code > $1 AND starts_with(code, $2)
            AND ($3::uuid IS NULL OR funder_id = $3 OR office_id = $3)
            AND ($4::uuid IS NULL OR funder_id = $4)
          ORDER BY code LIMIT $5",
    )
    .bind(&filter.after_code)
    .bind(&filter.code_prefix)
    .bind(filter.party)
    .bind(filter.funder)
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Program::try_from).collect()
}

/// Every period of a program, by first day.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.funding.list_periods", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "funding.list_periods"))]
pub async fn list_periods(conn: impl PgExecutor<'_>, program: ProgramId) -> Result<Vec<Period>, Error> {
    let rows: Vec<PeriodRow> = sqlx::query_as(
        "-- funding.list_periods
         SELECT program_id, period_id, code, title, first_day, last_day, root_allocation_id, state,
                original, authorized, authorization_revision, revision
           FROM periods WHERE program_id = $1 ORDER BY first_day, code",
    )
    .bind(program.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Period::try_from).collect()
}

/// One allocation.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.funding.find_allocation", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "funding.find_allocation"))]
pub async fn find_allocation(
    conn: impl PgExecutor<'_>,
    program: ProgramId,
    id: AllocationId,
) -> Result<Option<Allocation>, Error> {
    let row: Option<AllocationRow> = sqlx::query_as(
        "-- funding.find_allocation
         SELECT program_id, allocation_id, period_id, parent_id, code, title, purpose, country_code,
                recipient_id, task_id, path, child_count, created_at, created_revision, revision, received, available,
                allocated_out, reserved, obligated, advanced, expended, received_in, returned_out,
                expended_in, expended_out, open_obligations
           FROM allocations WHERE program_id = $1 AND allocation_id = $2",
    )
    .bind(program.uuid())
    .bind(id.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    row.map(Allocation::try_from).transpose()
}

/// A part of a period's tree, parents before children, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.funding.list_allocations", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "funding.list_allocations"))]
pub async fn list_allocations(
    conn: impl PgExecutor<'_>,
    filter: &TreeFilter,
    limit: i64,
) -> Result<Vec<Allocation>, Error> {
    let rows: Vec<AllocationRow> = sqlx::query_as(
        "-- funding.list_allocations
         SELECT program_id, allocation_id, period_id, parent_id, code, title, purpose, country_code,
                recipient_id, task_id, path, child_count, created_at, created_revision, revision, received, available,
                allocated_out, reserved, obligated, advanced, expended, received_in, returned_out,
                expended_in, expended_out, open_obligations
           FROM allocations
          WHERE program_id = $1 AND period_id = $2 AND path > $3 AND path >= $4
            AND path[1:cardinality($4::text[])] = $4 AND cardinality(path) <= $5
          ORDER BY path LIMIT $6",
    )
    .bind(filter.program.uuid())
    .bind(filter.period.uuid())
    .bind(&filter.after)
    .bind(&filter.top)
    .bind(filter.path_len_max)
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Allocation::try_from).collect()
}

/// One obligation.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.funding.find_obligation", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "funding.find_obligation"))]
pub async fn find_obligation(
    conn: impl PgExecutor<'_>,
    program: ProgramId,
    id: ObligationId,
) -> Result<Option<Obligation>, Error> {
    let row: Option<ObligationRow> = sqlx::query_as(
        "-- funding.find_obligation
         SELECT obligation_id, allocation_id, payee_name, payee_id, reference, obligated, advanced,
                expended, revision
           FROM obligations WHERE program_id = $1 AND obligation_id = $2",
    )
    .bind(program.uuid())
    .bind(id.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    row.map(Obligation::try_from).transpose()
}

/// Obligations of a program after an id, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.funding.list_obligations", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "funding.list_obligations"))]
pub async fn list_obligations(
    conn: impl PgExecutor<'_>,
    program: ProgramId,
    allocation: Option<AllocationId>,
    open_only: bool,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Obligation>, Error> {
    let rows: Vec<ObligationRow> = sqlx::query_as(
        "-- funding.list_obligations
         SELECT obligation_id, allocation_id, payee_name, payee_id, reference, obligated, advanced,
                expended, revision
           FROM obligations
          WHERE program_id = $1 AND obligation_id > $2 AND ($3::uuid IS NULL OR allocation_id = $3)
            AND (NOT $4 OR obligated <> 0 OR advanced <> 0)
          ORDER BY obligation_id LIMIT $5",
    )
    .bind(program.uuid())
    .bind(after)
    .bind(allocation.map(AllocationId::uuid))
    .bind(open_only)
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Obligation::try_from).collect()
}

/// The entry that reversed an entry, if one did.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.funding.find_reversal", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "funding.find_reversal"))]
pub async fn find_reversal(
    conn: impl PgExecutor<'_>,
    program: ProgramId,
    entry: EntryId,
) -> Result<Option<EntryId>, Error> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "-- funding.find_reversal
         SELECT reversed_by FROM reversals WHERE program_id = $1 AND entry_id = $2",
    )
    .bind(program.uuid())
    .bind(entry.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    Ok(found.map(EntryId::new))
}
