//! SQL of reviews: who sent a report, and what was decided about it.

use jiff_sqlx::ToSqlx as _;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::field_report::HoldReason;
use crate::domain::field_report::filing::KnownReport;
use crate::domain::field_report::review::Reviewed;
use crate::domain::ids::{OrganizationId, ProgramId, ReportId, TeamId};
use crate::error::Error;
use crate::store::{expect_rows, failed};

/// Everybody who sent a version of a report.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list_senders", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list_senders"))]
pub async fn list_senders(conn: impl PgExecutor<'_>, id: ReportId) -> Result<Vec<String>, Error> {
    sqlx::query_scalar(
        "-- field_report.list_senders
         SELECT DISTINCT received_by FROM report_versions WHERE report_id = $1",
    )
    .bind(id.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)
}

/// Writes what was decided about a report.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.update_reviewed", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.update_reviewed"))]
pub async fn update_reviewed(
    conn: &mut PgConnection,
    report: &KnownReport,
    reviewed: &Reviewed,
) -> Result<(), Error> {
    let remarks = &reviewed.remarks;
    let done = sqlx::query(
        "-- field_report.update_reviewed
         UPDATE reports SET newest_version = $2, state = $3, hold_reasons = $4, approved_version = $5, claimed = $6,
                remark_fields = $7, remark_texts = $8, reviewed_by = $9, reviewed_at = $10, decision = $11, revision = $12,
                program_id = $13, work_date = $14
          WHERE report_id = $1",
    )
    .bind(report.id.uuid())
    .bind(report.newest_version)
    .bind(report.state.word())
    .bind(report.holds.iter().copied().map(HoldReason::word).collect::<Vec<_>>())
    .bind(report.approved_version)
    .bind((!report.claimed.is_empty()).then(|| report.claimed.list()))
    .bind(remarks.iter().map(|remark| remark.field.as_str()).collect::<Vec<_>>())
    .bind(remarks.iter().map(|remark| remark.text.as_str()).collect::<Vec<_>>())
    .bind(reviewed.by.as_str())
    .bind(reviewed.at.map(jiff::Timestamp::to_sqlx))
    .bind(reviewed.decision.as_str())
    .bind(report.revision)
    .bind(report.program.map(ProgramId::uuid))
    .bind(report.work_date.to_sqlx())
    .execute(conn)
    .await
    .map_err(failed)?;
    expect_rows(done.rows_affected(), 1)
}

/// Reports of a team that wait for a new version, by id. Only those of its operator: any other may have named the team in
/// a report of its own. Amendments are mended by whoever amends.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list_returned", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list_returned"))]
pub async fn list_returned(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    team: TeamId,
) -> Result<Vec<ReportId>, Error> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "-- field_report.list_returned
         SELECT report_id FROM reports
          WHERE team_id = $1 AND organization_id = $2 AND state = 'RETURNED' AND approved_version IS NULL
          ORDER BY report_id",
    )
    .bind(team.uuid())
    .bind(operator.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(found.into_iter().map(ReportId::new).collect())
}

/// Those of some reports that were returned before and do not wait for a new version of a team any more. A report may have
/// come to another team since, so that it is named whosever it is: a tablet forgets it, or never had it.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list_mended", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list_mended"))]
pub async fn list_mended(conn: impl PgExecutor<'_>, among: &[ReportId]) -> Result<Vec<ReportId>, Error> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "-- field_report.list_mended
         SELECT report_id FROM reports
          WHERE report_id = ANY($1) AND state <> 'RETURNED' AND 0 < cardinality(remark_texts)",
    )
    .bind(among.iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(found.into_iter().map(ReportId::new).collect())
}
