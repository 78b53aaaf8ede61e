//! SQL of what a team may see: its assignments with their tasks and sites, what a journal touched, and safety stops.

use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::{
    AssignmentId, OrganizationId, ReportId, SafetyStopId, ScopeId, SiteId, TaskId, TeamId,
};
use crate::domain::kind::Kind;
use crate::domain::team_feed::{Duty, Item, View};
use crate::error::Error;
use crate::store::failed;

/// A place among the subjects of a journal: after this subject of this revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The revision.
    pub revision: i64,
    /// The subject of it that was read last.
    pub subject: Uuid,
}

impl Position {
    /// After every subject of a revision.
    #[must_use]
    pub const fn after(revision: i64) -> Self {
        Self { revision, subject: Uuid::max() }
    }
}

/// A record that a revision of a journal touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched {
    /// Where it stands among all of them.
    pub position: Position,
    /// The record.
    pub item: Item,
}

/// Safety stops on these.
#[derive(Debug, Clone, Copy)]
pub struct StoppedBy<'a> {
    /// On all work of this operator.
    pub operator: Option<OrganizationId>,
    /// On tasks and sites of this view.
    pub view: &'a View,
}

#[derive(FromRow)]
struct DutyRow {
    assignment_id: Uuid,
    task_id: Uuid,
    site_ids: Vec<Uuid>,
}

impl From<DutyRow> for Duty {
    fn from(row: DutyRow) -> Self {
        Self {
            assignment: AssignmentId::new(row.assignment_id),
            task: TaskId::new(row.task_id),
            sites: row.site_ids.into_iter().map(SiteId::new).collect(),
        }
    }
}

/// The standing assignments of a team, with what they let it see.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.team_feed.list_standing", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "team_feed.list_standing"))]
pub async fn list_standing(conn: impl PgExecutor<'_>, team: TeamId) -> Result<Vec<Duty>, Error> {
    let rows: Vec<DutyRow> = sqlx::query_as(
        "-- team_feed.list_standing
         SELECT a.assignment_id, a.task_id,
                ARRAY(SELECT s.site_id FROM task_sites s WHERE s.task_id = a.task_id) AS site_ids
           FROM assignments a WHERE a.team_id = $1 AND a.state = 'STANDING'",
    )
    .bind(team.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(rows.into_iter().map(Duty::from).collect())
}

/// Those of some assignments that are of a team and do not stand any more, with what they let it see.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.team_feed.list_left", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "team_feed.list_left"))]
pub async fn list_left(
    conn: impl PgExecutor<'_>,
    team: TeamId,
    among: &[AssignmentId],
) -> Result<Vec<Duty>, Error> {
    let rows: Vec<DutyRow> = sqlx::query_as(
        "-- team_feed.list_left
         SELECT a.assignment_id, a.task_id,
                ARRAY(SELECT s.site_id FROM task_sites s WHERE s.task_id = a.task_id) AS site_ids
           FROM assignments a
          WHERE a.assignment_id = ANY($2) AND a.team_id = $1 AND a.state <> 'STANDING'",
    )
    .bind(team.uuid())
    .bind(among.iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(rows.into_iter().map(Duty::from).collect())
}

#[derive(FromRow)]
struct TouchedRow {
    revision: i64,
    subject_id: Uuid,
    kinds: Vec<String>,
}

/// Assignments, tasks, sites and reports that a journal touched after a position, of at most `limit` ids, in order. Records of
/// different kinds that share an id are at one position, and come together.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.team_feed.list_touched", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "team_feed.list_touched"))]
pub async fn list_touched(
    conn: impl PgExecutor<'_>,
    scope: ScopeId,
    after: Position,
    limit: i64,
) -> Result<Vec<Touched>, Error> {
    let kinds = [Kind::Assignment, Kind::Task, Kind::Site, Kind::Report].map(|kind| kind.to_string());
    let rows: Vec<TouchedRow> = sqlx::query_as(
        "-- team_feed.list_touched
         SELECT revision, subject_id, array_agg(kind ORDER BY kind) AS kinds FROM change_subjects
          WHERE scope_id = $1 AND ($2, $3) < (revision, subject_id) AND kind = ANY($4)
          GROUP BY revision, subject_id ORDER BY revision, subject_id LIMIT $5",
    )
    .bind(scope.uuid())
    .bind(after.revision)
    .bind(after.subject)
    .bind(&kinds[..])
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let [assignment, task, site, _] = kinds;
    let mut touched = Vec::new();
    for TouchedRow { revision, subject_id, kinds } in rows {
        touched.extend(kinds.into_iter().map(|kind| {
            let item = match kind {
                kind if kind == assignment => Item::Assignment(AssignmentId::new(subject_id)),
                kind if kind == task => Item::Task(TaskId::new(subject_id)),
                kind if kind == site => Item::Site(SiteId::new(subject_id)),
                _ => Item::Returned(ReportId::new(subject_id)),
            };
            Touched { position: Position { revision, subject: subject_id }, item }
        }));
    }
    Ok(touched)
}

/// Safety stops in force, the newest last.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.team_feed.list_stops", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "team_feed.list_stops"))]
pub async fn list_stops(conn: impl PgExecutor<'_>, on: StoppedBy<'_>) -> Result<Vec<SafetyStopId>, Error> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "-- team_feed.list_stops
         SELECT safety_stop_id FROM safety_stops
          WHERE lifted_at IS NULL
            AND ((target = 'OPERATOR' AND target_id = $1)
              OR (target = 'TASK' AND target_id = ANY($2))
              OR (target = 'SITE' AND target_id = ANY($3)))
          ORDER BY issued_at, safety_stop_id",
    )
    .bind(on.operator.map(OrganizationId::uuid))
    .bind(on.view.tasks().iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .bind(on.view.sites().iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(found.into_iter().map(SafetyStopId::new).collect())
}

/// Safety stops that a journal touched after a revision, in force or lifted, the newest last.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.team_feed.list_touched_stops", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "team_feed.list_touched_stops"))]
pub async fn list_touched_stops(
    conn: impl PgExecutor<'_>,
    scope: ScopeId,
    after: i64,
    on: StoppedBy<'_>,
) -> Result<Vec<SafetyStopId>, Error> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "-- team_feed.list_touched_stops
         SELECT s.safety_stop_id FROM safety_stops s
          WHERE s.safety_stop_id IN (SELECT c.subject_id FROM change_subjects c
                                      WHERE c.scope_id = $1 AND $2 < c.revision AND c.kind = $3)
            AND ((s.target = 'OPERATOR' AND s.target_id = $4)
              OR (s.target = 'TASK' AND s.target_id = ANY($5))
              OR (s.target = 'SITE' AND s.target_id = ANY($6)))
          ORDER BY s.issued_at, s.safety_stop_id",
    )
    .bind(scope.uuid())
    .bind(after)
    .bind(Kind::SafetyStop.to_string())
    .bind(on.operator.map(OrganizationId::uuid))
    .bind(on.view.tasks().iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .bind(on.view.sites().iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(found.into_iter().map(SafetyStopId::new).collect())
}
