//! What is known of the ground of a site beside the site itself: quality controls, work, land that was added, and sites
//! that came from it.

use jiff::civil::Date;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::{SiteId, TaskId};
use crate::domain::site::control::Control;
use crate::domain::text::{Code, Source};
use crate::error::Error;
use crate::store::failed;
use crate::store::rows::corrupt;

#[derive(FromRow)]
struct ControlRow {
    task_id: Uuid,
    code: String,
    depth_cm: i32,
    is_cancelled: bool,
    inspected_on: jiff_sqlx::Date,
    passed: bool,
    reference: String,
}

impl TryFrom<ControlRow> for Control {
    type Error = Error;

    fn try_from(row: ControlRow) -> Result<Self, Error> {
        Ok(Self {
            task: TaskId::new(row.task_id),
            code: Code::parse(&row.code).map_err(corrupt("code"))?,
            depth_cm: row.depth_cm,
            is_cancelled: row.is_cancelled,
            inspected_on: row.inspected_on.to_jiff(),
            passed: row.passed,
            reference: Source::parse(&row.reference).map_err(corrupt("reference"))?,
        })
    }
}

/// Quality controls of the tasks on these sites, by task, the oldest first.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.ground.list_controls", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "ground.list_controls"))]
pub async fn list_controls(conn: impl PgExecutor<'_>, sites: &[SiteId]) -> Result<Vec<Control>, Error> {
    let rows: Vec<ControlRow> = sqlx::query_as(
        "-- ground.list_controls
         SELECT t.task_id, t.code, t.depth_cm, t.state = 'CANCELLED' AS is_cancelled, q.inspected_on, q.passed,
                q.reference
           FROM (SELECT DISTINCT task_id FROM task_sites WHERE site_id = ANY($1)) AS s
           JOIN tasks t USING (task_id) JOIN quality_controls q USING (task_id)
          ORDER BY t.task_id, q.revision",
    )
    .bind(uuids(sites))
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Control::try_from).collect()
}

/// The last day on which land was found on these sites or measured in addition. What a split moves, and the difference
/// that it books first, was there before.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.ground.added_on", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "ground.added_on"))]
pub async fn find_added_on(conn: impl PgExecutor<'_>, sites: &[SiteId]) -> Result<Option<Date>, Error> {
    let day: Option<jiff_sqlx::Date> = sqlx::query_scalar(
        "-- ground.added_on
         SELECT max(m.effective_on) FROM land_movements m
          WHERE m.site_id = ANY($1) AND m.kind IN ('IDENTIFIED', 'REMEASURED') AND 0 < m.area_m2
            AND NOT EXISTS (SELECT FROM land_movements o
                             WHERE o.authority_id = m.authority_id AND o.revision = m.revision
                               AND o.kind = 'SPLIT_OUT')",
    )
    .bind(uuids(sites))
    .fetch_one(conn)
    .await
    .map_err(failed)?;
    Ok(day.map(jiff_sqlx::Date::to_jiff))
}

/// The last day on which land of these sites was found to be dangerous: when they were recorded or reopened. A site that
/// is measured larger is not found again.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.ground.found_on", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "ground.found_on"))]
pub async fn find_found_on(conn: impl PgExecutor<'_>, sites: &[SiteId]) -> Result<Option<Date>, Error> {
    let day: Option<jiff_sqlx::Date> = sqlx::query_scalar(
        "-- ground.found_on
         SELECT max(effective_on) FROM land_movements WHERE site_id = ANY($1) AND kind = 'IDENTIFIED'",
    )
    .bind(uuids(sites))
    .fetch_one(conn)
    .await
    .map_err(failed)?;
    Ok(day.map(jiff_sqlx::Date::to_jiff))
}

/// A task that would have no place left.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Stranded {
    /// Its id.
    pub task_id: Uuid,
    /// Its code.
    pub code: String,
    /// How far it is.
    pub state: String,
}

/// Tasks that are prepared for work, at work or to be done again, and have no open site but this one.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.ground.list_stranded", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "ground.list_stranded"))]
pub async fn list_stranded(conn: impl PgExecutor<'_>, site: SiteId) -> Result<Vec<Stranded>, Error> {
    sqlx::query_as(
        "-- ground.list_stranded
         SELECT t.task_id, t.code, t.state FROM task_sites s JOIN tasks t USING (task_id)
          WHERE s.site_id = $1 AND t.state IN ('MOBILISED', 'ACTIVE', 'QC_FAILED')
            AND NOT EXISTS (SELECT FROM task_sites o JOIN sites p USING (site_id)
                             WHERE o.task_id = t.task_id AND o.site_id <> $1 AND p.status = 'OPEN')
          ORDER BY t.code, t.task_id",
    )
    .bind(site.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)
}

/// An open site that came from another.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct OpenSite {
    /// Its id.
    pub site_id: Uuid,
    /// Its code.
    pub code: String,
    /// What is left of it, in square metres.
    pub area_m2: i64,
}

/// Sites that came from this one, at once or by others between, and are not released.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.ground.list_open_from", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "ground.list_open_from"))]
pub async fn list_open_from(conn: impl PgExecutor<'_>, site: SiteId) -> Result<Vec<OpenSite>, Error> {
    sqlx::query_as(
        "-- ground.list_open_from
         WITH RECURSIVE line AS (
             SELECT site_id, code, area_m2, status FROM sites WHERE came_from_id = $1
             UNION ALL
             SELECT s.site_id, s.code, s.area_m2, s.status FROM line JOIN sites s ON s.came_from_id = line.site_id
         )
         SELECT site_id, code, area_m2 FROM line WHERE status IN ('OPEN', 'SUSPENDED') ORDER BY code, site_id",
    )
    .bind(site.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)
}

/// Square metres that were released of a site; 0 when it was not released or was split.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.ground.released", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "ground.released"))]
pub async fn released_m2(conn: impl PgExecutor<'_>, site: SiteId) -> Result<i64, Error> {
    sqlx::query_scalar(
        "-- ground.released
         SELECT coalesce(-sum(area_m2), 0)::bigint FROM land_movements
          WHERE site_id = $1 AND kind IN ('CANCELLED', 'REDUCED', 'CLEARED')",
    )
    .bind(site.uuid())
    .fetch_one(conn)
    .await
    .map_err(failed)
}

fn uuids(sites: &[SiteId]) -> Vec<Uuid> {
    sites.iter().map(|id| id.uuid()).collect()
}
