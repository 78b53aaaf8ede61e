//! SQL of what approved reports count for.

use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::field_report::ClaimedArea;
use crate::domain::field_report::credit::{Credit, CreditedGround, Ended};
use crate::domain::geometry::{Comparisons, Outline};
use crate::domain::ids::{AllocationId, EntryId, OrganizationId, ProgramId, ReportId, SiteId, TaskId};
use crate::domain::site::{BoundingBox, ReleaseType};
use crate::domain::task::Task;
use crate::error::Error;
use crate::store::rows::{corrupt, outputs, word};
use crate::store::{expect_rows, failed};

#[derive(FromRow)]
pub(in crate::store) struct CreditRow {
    program_id: Uuid,
    report_id: Uuid,
    version: i32,
    organization_id: Uuid,
    task_id: Uuid,
    allocation_id: Uuid,
    work_date: jiff_sqlx::Date,
    outputs: Vec<i64>,
    entry_id: Option<Uuid>,
    approved_at: jiff_sqlx::Timestamp,
    approved_by: String,
    ended_at: Option<jiff_sqlx::Timestamp>,
    ended_by: Option<String>,
    ended_reason: Option<String>,
}

impl TryFrom<CreditRow> for Credit {
    type Error = Error;

    fn try_from(row: CreditRow) -> Result<Self, Error> {
        let ended = row.ended_at.zip(row.ended_by).zip(row.ended_reason);
        Ok(Self {
            program: ProgramId::new(row.program_id),
            report: ReportId::new(row.report_id),
            version: row.version,
            operator: OrganizationId::new(row.organization_id),
            task: TaskId::new(row.task_id),
            allocation: AllocationId::new(row.allocation_id),
            work_date: row.work_date.to_jiff(),
            outputs: outputs(&row.outputs)?,
            entry: row.entry_id.map(EntryId::new),
            approved_at: row.approved_at.to_jiff(),
            approved_by: row.approved_by,
            ended: ended.map(|((at, by), reason)| Ended { at: at.to_jiff(), by, reason }),
        })
    }
}

/// What a report counts for now; none when it does not count.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.credits.find_standing", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "credits.find_standing"))]
pub async fn find_standing(conn: impl PgExecutor<'_>, report: ReportId) -> Result<Option<Credit>, Error> {
    let row: Option<CreditRow> = sqlx::query_as(
        "-- credits.find_standing
         SELECT program_id, report_id, version, organization_id, task_id, allocation_id, work_date, outputs, entry_id,
                approved_at, approved_by, ended_at, ended_by, ended_reason
           FROM credits WHERE report_id = $1 AND ended_revision IS NULL",
    )
    .bind(report.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    row.map(Credit::try_from).transpose()
}

/// A part of a site that a version counts for.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The authority of the site.
    pub authority: OrganizationId,
    /// The part.
    pub area: &'a ClaimedArea,
    /// Whether it moved the land ledger.
    pub moved: bool,
}

/// Adds what a version counts for from a revision of the program's journal on, with its land.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.credits.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "credits.insert"))]
pub async fn insert_credit(
    conn: &mut PgConnection,
    credit: &Credit,
    revision: i64,
    parts: &[Part<'_>],
) -> Result<(), Error> {
    sqlx::query(
        "-- credits.insert
         INSERT INTO credits (program_id, report_id, version, organization_id, task_id, allocation_id, work_date, outputs,
                              entry_id, approved_revision, approved_at, approved_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(credit.program.uuid())
    .bind(credit.report.uuid())
    .bind(credit.version)
    .bind(credit.operator.uuid())
    .bind(credit.task.uuid())
    .bind(credit.allocation.uuid())
    .bind(credit.work_date.to_sqlx())
    .bind(credit.outputs.list())
    .bind(credit.entry.map(EntryId::uuid))
    .bind(revision)
    .bind(credit.approved_at.to_sqlx())
    .bind(credit.approved_by.as_str())
    .execute(&mut *conn)
    .await
    .map_err(failed)?;
    insert_areas(conn, credit, parts).await
}

async fn insert_areas(conn: &mut PgConnection, credit: &Credit, parts: &[Part<'_>]) -> Result<(), Error> {
    if parts.is_empty() {
        return Ok(());
    }
    let boundary = |part: &Part<'_>| part.area.outline.as_ref().map(|outline| outline.boundary.clone());
    let edge = |of: fn(BoundingBox) -> i32| -> Vec<Option<i32>> {
        parts.iter().map(|part| boundary(part).map(|boundary| of(boundary.bounds))).collect()
    };
    sqlx::query(
        "-- credits.insert_areas
         INSERT INTO credited_areas (program_id, report_id, version, ordinal, authority_id, site_id, release_type, area_m2,
                                     moved, boundary_geojson, south_e7, west_e7, north_e7, east_e7)
         SELECT $1, $2, $3, n.ordinal, n.authority_id, n.site_id, n.release_type, n.area_m2, n.moved, n.boundary_geojson,
                n.south_e7, n.west_e7, n.north_e7, n.east_e7
           FROM UNNEST($4::uuid[], $5::uuid[], $6::text[], $7::bigint[], $8::boolean[], $9::text[], $10::int[], $11::int[],
                       $12::int[], $13::int[])
                WITH ORDINALITY AS n(authority_id, site_id, release_type, area_m2, moved, boundary_geojson, south_e7,
                                     west_e7, north_e7, east_e7, ordinal)",
    )
    .bind(credit.program.uuid())
    .bind(credit.report.uuid())
    .bind(credit.version)
    .bind(parts.iter().map(|part| part.authority.uuid()).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| part.area.site.uuid()).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| part.area.release.word()).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| part.area.area_m2).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| part.moved).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| boundary(part).map(|boundary| boundary.geojson)).collect::<Vec<_>>())
    .bind(edge(|of| of.south_e7))
    .bind(edge(|of| of.west_e7))
    .bind(edge(|of| of.north_e7))
    .bind(edge(|of| of.east_e7))
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

/// Sites of which a version moved the land when it was approved.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.credits.list_moved", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "credits.list_moved"))]
pub async fn list_moved(conn: impl PgExecutor<'_>, credit: &Credit) -> Result<Vec<SiteId>, Error> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "-- credits.list_moved
         SELECT DISTINCT site_id FROM credited_areas
          WHERE program_id = $1 AND report_id = $2 AND version = $3 AND moved",
    )
    .bind(credit.program.uuid())
    .bind(credit.report.uuid())
    .bind(credit.version)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(found.into_iter().map(SiteId::new).collect())
}

/// Ends what a version counts for, at a revision of the program's journal.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.credits.end", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "credits.end"))]
pub async fn end_credit(
    conn: &mut PgConnection,
    credit: &Credit,
    ended: &Ended,
    revision: i64,
) -> Result<(), Error> {
    let done = sqlx::query(
        "-- credits.end
         UPDATE credits SET ended_revision = $4, ended_at = $5, ended_by = $6, ended_reason = $7
          WHERE program_id = $1 AND report_id = $2 AND version = $3 AND ended_revision IS NULL",
    )
    .bind(credit.program.uuid())
    .bind(credit.report.uuid())
    .bind(credit.version)
    .bind(revision)
    .bind(ended.at.to_sqlx())
    .bind(ended.by.as_str())
    .bind(ended.reason.as_str())
    .execute(conn)
    .await
    .map_err(failed)?;
    expect_rows(done.rows_affected(), 1)
}

/// Measured ground in a box, of whatever site of an authority, that standing credits of other reports say was released by
/// work on a day or later.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.credits.list_ground", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "credits.list_ground"))]
pub async fn list_ground(
    conn: impl PgExecutor<'_>,
    (authority, within): (OrganizationId, BoundingBox),
    other_than: ReportId,
    since: Date,
) -> Result<Vec<CreditedGround>, Error> {
    let rows: Vec<(Uuid, String, String)> = sqlx::query_as(
        "-- credits.list_ground
         SELECT a.report_id, a.release_type, a.boundary_geojson
           FROM credited_areas a
           JOIN credits c ON c.program_id = a.program_id AND c.report_id = a.report_id AND c.version = a.version
          WHERE a.boundary_geojson IS NOT NULL
            AND box(point(a.west_e7, a.south_e7), point(a.east_e7, a.north_e7)) && box(point($2, $3), point($4, $5))
            AND a.authority_id = $1 AND a.report_id <> $6 AND c.ended_revision IS NULL AND $7 <= c.work_date
          ORDER BY c.approved_at, a.report_id, a.ordinal",
    )
    .bind(authority.uuid())
    .bind(within.west_e7)
    .bind(within.south_e7)
    .bind(within.east_e7)
    .bind(within.north_e7)
    .bind(other_than.uuid())
    .bind(since.to_sqlx())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let mut left = Comparisons::default();
    let ground = |(report, release, geojson): (Uuid, String, String)| {
        let outline = Outline::read(&geojson, &mut left);
        let outline = outline.map_err(|flaw| corrupt("boundary_geojson")(flaw.rule))?;
        let release = word("release_type", &release, ReleaseType::from_word)?;
        Ok(CreditedGround { report: ReportId::new(report), release, outline })
    };
    rows.into_iter().map(ground).collect()
}

/// Square metres that a site had between two days on which its land was measured, split or found, without what other
/// reports are credited with: neither what moved by a standing approval nor what counts without moving.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.credits.left_then", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "credits.left_then"))]
pub async fn left_then_m2(
    conn: impl PgExecutor<'_>,
    site: SiteId,
    (since, until): (Date, Date),
    other_than: ReportId,
) -> Result<i64, Error> {
    // Land of a report that was voided or amended after `until` never came back, and nobody is credited with it.
    sqlx::query_scalar(
        "-- credits.left_then
         SELECT (coalesce((SELECT sum(m.area_m2) FROM land_movements m
                            WHERE m.site_id = $1 AND m.effective_on < $3
                              AND (m.report_id IS NULL OR m.effective_on < $2 OR EXISTS (
                                   SELECT FROM credited_areas a
                                     JOIN credits c ON c.program_id = a.program_id AND c.report_id = a.report_id
                                                   AND c.version = a.version
                                    WHERE a.site_id = $1 AND a.report_id = m.report_id AND a.report_id <> $4
                                      AND a.moved AND c.ended_revision IS NULL))), 0)
               - coalesce((SELECT sum(a.area_m2) FROM credited_areas a
                             JOIN credits c ON c.program_id = a.program_id AND c.report_id = a.report_id
                                           AND c.version = a.version
                            WHERE a.site_id = $1 AND NOT a.moved AND a.report_id <> $4 AND c.ended_revision IS NULL
                              AND $2 <= c.work_date AND c.work_date < $3), 0))::bigint",
    )
    .bind(site.uuid())
    .bind(since.to_sqlx())
    .bind(until.to_sqlx())
    .bind(other_than.uuid())
    .fetch_one(conn)
    .await
    .map_err(failed)
}

/// Writes what the approved reports of a task count for, since a revision of the program's journal.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.credits.update_task", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "credits.update_task"))]
pub async fn update_approved(conn: &mut PgConnection, task: &Task, revision: i64) -> Result<(), Error> {
    let done = sqlx::query(
        "-- credits.update_task
         UPDATE tasks SET approved = $2, approved_revision = $3 WHERE task_id = $1",
    )
    .bind(task.id.uuid())
    .bind(task.approved.list())
    .bind(revision)
    .execute(conn)
    .await
    .map_err(failed)?;
    expect_rows(done.rows_affected(), 1)
}
