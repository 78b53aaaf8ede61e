//! SQL of budget reports: the rows of one revision.

use sqlx::PgConnection;

use crate::domain::ids::{PeriodId, ProgramId};
use crate::domain::program::Allocation;
use crate::error::Error;
use crate::store::failed;
use crate::store::rows::AllocationRow;

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
