//! What the rules of a task ask of other tables: its sites and its medical cover.

use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use crate::domain::assignment::MedicalCover;
use crate::domain::ids::{AllocationId, OrganizationId, ProgramId, SiteId, TaskId};
use crate::domain::site::SiteStatus;
use crate::domain::task::Task;
use crate::domain::task::plan::SitePlace;
use crate::domain::task::work::Vehicle;
use crate::domain::team::{AssetKind, AssetState};
use crate::domain::text::CountryCode;
use crate::error::Error;
use crate::store::failed;
use crate::store::rows::{corrupt, word};

#[derive(FromRow)]
struct PlaceRow {
    site_id: Uuid,
    authority_id: Uuid,
    country_code: String,
    status: String,
    time_zone: String,
}

impl TryFrom<PlaceRow> for SitePlace {
    type Error = Error;

    fn try_from(row: PlaceRow) -> Result<Self, Error> {
        Ok(Self {
            site: SiteId::new(row.site_id),
            authority: OrganizationId::new(row.authority_id),
            country: CountryCode::parse(&row.country_code).map_err(corrupt("country_code"))?,
            status: word("status", &row.status, SiteStatus::from_word)?,
            time_zone: row.time_zone,
        })
    }
}

/// Sites in the order in which they are named; those that do not exist are absent.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.task.list_places", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "task.list_places"))]
pub async fn list_places(conn: impl PgExecutor<'_>, sites: &[SiteId]) -> Result<Vec<SitePlace>, Error> {
    let rows: Vec<PlaceRow> = sqlx::query_as(
        "-- task.list_places
         SELECT s.site_id, s.authority_id, s.country_code, s.status, s.time_zone
           FROM UNNEST($1::uuid[]) WITH ORDINALITY AS n(site_id, ordinal) JOIN sites s USING (site_id)
          ORDER BY n.ordinal",
    )
    .bind(sites.iter().map(|site| site.uuid()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(SitePlace::try_from).collect()
}

#[derive(FromRow)]
struct CoverRow {
    is_paramedic: bool,
    kind: Option<String>,
    state: Option<String>,
    valid_until: Option<jiff_sqlx::Date>,
    shared_tasks_max: Option<i32>,
    serves: i64,
}

/// Whether the person is a paramedic of the task's operator on a day, and the operator's vehicle, if it is one, with how
/// many other tasks it serves.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.task.find_cover", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "task.find_cover"))]
pub async fn find_cover(
    conn: impl PgExecutor<'_>,
    task: &Task,
    cover: &MedicalCover,
    day: Date,
) -> Result<(bool, Option<Vehicle>), Error> {
    let row: CoverRow = sqlx::query_as(
        "-- task.find_cover
         SELECT EXISTS (SELECT FROM members m
                         WHERE m.person_id = $2 AND m.organization_id = $1 AND m.role = 'PARAMEDIC'
                           AND daterange(m.first_day, m.last_day, '[]') @> $4::date) AS is_paramedic,
                a.kind, a.state, a.valid_until, a.shared_tasks_max,
                (SELECT count(*) FROM tasks t
                  WHERE t.operator_id = $1 AND t.ambulance_id = $3 AND t.task_id <> $5
                    AND t.state IN ('MOBILISED', 'ACTIVE', 'SUSPENDED')) AS serves
           FROM (VALUES (1)) AS one LEFT JOIN assets a ON a.asset_id = $3 AND a.organization_id = $1",
    )
    .bind(task.plan.operator.map(OrganizationId::uuid))
    .bind(cover.paramedic.uuid())
    .bind(cover.ambulance.uuid())
    .bind(day.to_sqlx())
    .bind(task.id.uuid())
    .fetch_one(conn)
    .await
    .map_err(failed)?;
    let (Some(kind), Some(state), Some(shared_tasks_max)) = (row.kind, row.state, row.shared_tasks_max)
    else {
        return Ok((row.is_paramedic, None));
    };
    let vehicle = Vehicle {
        kind: word("kind", &kind, AssetKind::from_word)?,
        state: word("state", &state, AssetState::from_word)?,
        valid_until: row.valid_until.map(jiff_sqlx::Date::to_jiff),
        shared_tasks_max,
        serves: row.serves,
    };
    Ok((row.is_paramedic, Some(vehicle)))
}

/// A task that was issued, is not over and is paid by an allocation; none when there is none.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.task.find_paid_by", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "task.find_paid_by"))]
pub async fn find_paid_by(
    conn: impl PgExecutor<'_>,
    program: ProgramId,
    allocation: AllocationId,
) -> Result<Option<TaskId>, Error> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "-- task.find_paid_by
         SELECT task_id FROM tasks
          WHERE program_id = $1 AND allocation_id = $2 AND issued_revision IS NOT NULL
            AND state NOT IN ('CLOSED', 'CANCELLED')
          ORDER BY code LIMIT 1",
    )
    .bind(program.uuid())
    .bind(allocation.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    Ok(found.map(TaskId::new))
}
