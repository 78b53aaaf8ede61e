//! Which assignments hold a team, an asset or a paramedic.

use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use crate::domain::assignment::joining::Held;
use crate::domain::days::Days;
use crate::domain::ids::{AssetId, AssignmentId, OrganizationId, PersonId, TaskId, TeamId};
use crate::error::Error;
use crate::store::assignment::facts::{NO_ZONE, interval};
use crate::store::failed;

#[derive(FromRow)]
struct HeldRow {
    assignment_id: Uuid,
    organization_id: Uuid,
    team_id: Uuid,
    task_id: Uuid,
    first_day: jiff_sqlx::Date,
    last_day: jiff_sqlx::Date,
    standing: bool,
    time_zone: Option<String>,
}

impl TryFrom<HeldRow> for Held {
    type Error = Error;

    fn try_from(row: HeldRow) -> Result<Self, Error> {
        Ok(Self {
            id: AssignmentId::new(row.assignment_id),
            operator: OrganizationId::new(row.organization_id),
            team: TeamId::new(row.team_id),
            task: TaskId::new(row.task_id),
            days: interval(row.first_day, Some(row.last_day))?,
            standing: row.standing,
            time_zone: row.time_zone.unwrap_or_else(|| NO_ZONE.to_owned()),
        })
    }
}

/// A statement that reads assignments that were not cancelled.
macro_rules! select_held {
    ($name:literal, $condition:literal) => {
        concat!(
            "-- assignment.",
            $name,
            "
         SELECT a.assignment_id, a.organization_id, a.team_id, a.task_id, a.first_day, a.last_day,
                a.state = 'STANDING' AS standing,
                (SELECT s.time_zone FROM task_sites x JOIN sites s ON s.site_id = x.site_id
                  WHERE x.task_id = a.task_id ORDER BY x.ordinal LIMIT 1) AS time_zone
           FROM assignments a
          WHERE a.state <> 'CANCELLED' AND ",
            $condition,
            " ORDER BY a.first_day, a.assignment_id"
        )
    };
}

/// The assignments of a team that have some of these days.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.list_held_of_team", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.list_held_of_team"))]
pub async fn list_of_team(conn: impl PgExecutor<'_>, team: TeamId, days: Days) -> Result<Vec<Held>, Error> {
    let rows: Vec<HeldRow> = sqlx::query_as(select_held!(
        "list_held_of_team",
        "a.team_id = $1 AND $2 <= a.last_day AND a.first_day <= COALESCE($3, 'infinity')"
    ))
    .bind(team.uuid())
    .bind(days.first().to_sqlx())
    .bind(days.last().map(Date::to_sqlx))
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Held::try_from).collect()
}

/// The standing assignments of a team.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.list_standing_of_team", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.list_standing_of_team"))]
pub async fn list_standing_of(conn: impl PgExecutor<'_>, team: TeamId) -> Result<Vec<Held>, Error> {
    let rows: Vec<HeldRow> =
        sqlx::query_as(select_held!("list_standing_of_team", "a.team_id = $1 AND a.state = 'STANDING'"))
            .bind(team.uuid())
            .fetch_all(conn)
            .await
            .map_err(failed)?;
    rows.into_iter().map(Held::try_from).collect()
}

/// The standing assignments to a task.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.list_standing_at_task", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.list_standing_at_task"))]
pub async fn list_standing_at(conn: impl PgExecutor<'_>, task: TaskId) -> Result<Vec<Held>, Error> {
    let rows: Vec<HeldRow> =
        sqlx::query_as(select_held!("list_standing_at_task", "a.task_id = $1 AND a.state = 'STANDING'"))
            .bind(task.uuid())
            .fetch_all(conn)
            .await
            .map_err(failed)?;
    rows.into_iter().map(Held::try_from).collect()
}

/// The assignments that name a person as their paramedic.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.list_held_of_paramedic", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.list_held_of_paramedic"))]
pub async fn list_of_paramedic(conn: impl PgExecutor<'_>, person: PersonId) -> Result<Vec<Held>, Error> {
    let rows: Vec<HeldRow> = sqlx::query_as(select_held!("list_held_of_paramedic", "a.paramedic_id = $1"))
        .bind(person.uuid())
        .fetch_all(conn)
        .await
        .map_err(failed)?;
    rows.into_iter().map(Held::try_from).collect()
}

/// The assignments that take an asset along, or have it as their ambulance.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.list_held_of_asset", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.list_held_of_asset"))]
pub async fn list_of_asset(conn: impl PgExecutor<'_>, asset: AssetId) -> Result<Vec<Held>, Error> {
    let rows: Vec<HeldRow> = sqlx::query_as(select_held!(
        "list_held_of_asset",
        "a.assignment_id IN (SELECT t.assignment_id FROM assignment_assets t WHERE t.asset_id = $1
                              UNION SELECT c.assignment_id FROM assignments c
                                     WHERE c.ambulance_id = $1 AND c.state <> 'CANCELLED')"
    ))
    .bind(asset.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Held::try_from).collect()
}
