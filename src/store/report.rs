//! SQL of budget reports: the rows of one revision.

use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::domain::field_report::outputs::Outputs;
use crate::domain::ids::{AllocationId, PeriodId, ProgramId};
use crate::domain::program::Allocation;
use crate::error::Error;
use crate::store::failed;
use crate::store::rows::{AllocationRow, outputs};

/// Which allocations a report shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportScope {
    /// The program.
    pub program: ProgramId,
    /// Only this period.
    pub period: Option<PeriodId>,
    /// Only the allocation with this path and what is below it; empty for everything.
    pub top: Vec<String>,
}

/// Every allocation of a report's scope, periods by first day, parents before children. At most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.report.list_rows", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "report.list_rows"))]
pub async fn list_report_rows(
    conn: &mut PgConnection,
    scope: &ReportScope,
    limit: i64,
) -> Result<Vec<Allocation>, Error> {
    let rows: Vec<AllocationRow> = sqlx::query_as(
        "-- report.list_rows
         SELECT a.program_id, a.allocation_id, a.period_id, a.parent_id, a.code, a.title, a.purpose,
                a.country_code, a.recipient_id, a.task_id, a.path, a.child_count, a.created_at,
                a.created_revision, a.revision, a.received, a.available, a.allocated_out, a.reserved, a.obligated,
                a.advanced, a.expended, a.received_in, a.returned_out, a.expended_in, a.expended_out,
                a.open_obligations
           FROM allocations a
           JOIN periods p ON p.program_id = a.program_id AND p.period_id = a.period_id
          WHERE a.program_id = $1 AND ($2::uuid IS NULL OR a.period_id = $2)
            AND a.path[1:cardinality($3::text[])] = $3
          ORDER BY p.first_day, p.code, a.path LIMIT $4",
    )
    .bind(scope.program.uuid())
    .bind(scope.period.map(PeriodId::uuid))
    .bind(&scope.top)
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Allocation::try_from).collect()
}

/// Outputs of the tasks of each allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationOutputs {
    /// The allocation.
    pub allocation: AllocationId,
    /// What was brought about.
    pub outputs: Outputs,
    /// The last revision of the program's journal that changed it; 0 where no journal of the program does.
    pub revision: i64,
}

#[derive(FromRow)]
struct OutputsRow {
    allocation_id: Uuid,
    figures: Vec<i64>,
    revision: i64,
}

impl TryFrom<OutputsRow> for AllocationOutputs {
    type Error = Error;

    fn try_from(row: OutputsRow) -> Result<Self, Error> {
        Ok(Self {
            allocation: AllocationId::new(row.allocation_id),
            outputs: outputs(&row.figures)?,
            revision: row.revision,
        })
    }
}

/// Sums of every figure of a list, under a condition.
macro_rules! sums {
    ($list:literal, $condition:literal) => {
        sums!(@ $list, $condition, "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
              "17", "18", "19", "20", "21", "22")
    };
    (@ $list:literal, $condition:literal, $first:literal $(, $place:literal)*) => {
        concat!(
            "ARRAY[coalesce(sum(", $list, "[", $first, "]) ", $condition, ", 0)",
            $(", coalesce(sum(", $list, "[", $place, "]) ", $condition, ", 0)",)*
            "]::bigint[] AS figures"
        )
    };
}

/// What approved reports count for now, of every task of a program: a task may be in it more than once.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.report.list_approved", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "report.list_approved"))]
pub async fn list_approved(
    conn: &mut PgConnection,
    program: ProgramId,
) -> Result<Vec<AllocationOutputs>, Error> {
    let rows: Vec<OutputsRow> = sqlx::query_as(
        "-- report.list_approved
         SELECT allocation_id, approved AS figures, approved_revision AS revision
           FROM tasks WHERE program_id = $1 AND 0 < approved_revision",
    )
    .bind(program.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(AllocationOutputs::try_from).collect()
}

/// What approved reports counted for at a revision of the program's journal.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.report.list_approved_at", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "report.list_approved_at"))]
pub async fn list_approved_at(
    conn: &mut PgConnection,
    program: ProgramId,
    revision: i64,
) -> Result<Vec<AllocationOutputs>, Error> {
    let rows: Vec<OutputsRow> = sqlx::query_as(concat!(
        "-- report.list_approved_at
         SELECT allocation_id, max(CASE WHEN ended_revision <= $2 THEN ended_revision ELSE approved_revision END) AS revision, ",
        sums!("outputs", "FILTER (WHERE ended_revision IS NULL OR $2 < ended_revision)"),
        " FROM credits WHERE program_id = $1 AND approved_revision <= $2 GROUP BY allocation_id",
    ))
    .bind(program.uuid())
    .bind(revision)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(AllocationOutputs::try_from).collect()
}

/// What reports of a program claim that wait for a decision and are not held.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.report.list_provisional", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "report.list_provisional"))]
pub async fn list_provisional(
    conn: &mut PgConnection,
    program: ProgramId,
) -> Result<Vec<AllocationOutputs>, Error> {
    let rows: Vec<OutputsRow> = sqlx::query_as(concat!(
        "-- report.list_provisional
         SELECT t.allocation_id, 0::bigint AS revision, ",
        sums!("r.claimed", ""),
        " FROM reports r JOIN tasks t ON t.task_id = r.task_id
          WHERE r.program_id = $1 AND r.state IN ('RECEIVED', 'UNDER_REVIEW', 'RETURNED')
            AND r.approved_version IS NULL AND r.claimed IS NOT NULL AND r.hold_reasons = '{}'
            AND t.allocation_id IS NOT NULL
          GROUP BY t.allocation_id",
    ))
    .bind(program.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(AllocationOutputs::try_from).collect()
}
