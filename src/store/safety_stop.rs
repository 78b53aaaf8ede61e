//! SQL of safety stops.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::{OrganizationId, ProgramId, SafetyStopId, ScopeId, SiteId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::safety_stop::{Lifted, SafetyStop, SafetyStopCause, StopTarget};
use crate::domain::text::Reason;
use crate::error::Error;
use crate::store::rows::{corrupt, word};
use crate::store::{broken_constraint, expect_rows, failed};

/// Which safety stops to list, after which one.
#[derive(Debug, Clone, Default)]
pub struct StopFilter {
    /// Only those that stand in this journal.
    pub told: Option<ScopeId>,
    /// Only those of these tasks, sites and operators.
    pub targets: Option<Vec<StopTarget>>,
    /// Only those that were not lifted.
    pub in_force_only: bool,
    /// Only those that were issued before this one.
    pub before: Option<(Timestamp, Uuid)>,
}

#[derive(FromRow)]
struct StopRow {
    safety_stop_id: Uuid,
    scope_id: Uuid,
    target: String,
    target_id: Uuid,
    cause: String,
    reason: String,
    issued_by: String,
    issued_by_organization_id: Option<Uuid>,
    issued_at: jiff_sqlx::Timestamp,
    lifted_by: Option<String>,
    lifted_at: Option<jiff_sqlx::Timestamp>,
    lift_reason: Option<String>,
    suspended_task_ids: Vec<Uuid>,
    revision: i64,
}

impl TryFrom<StopRow> for SafetyStop {
    type Error = Error;

    fn try_from(row: StopRow) -> Result<Self, Error> {
        let target = match row.target.as_str() {
            "TASK" => StopTarget::Task(ProgramId::new(row.scope_id), TaskId::new(row.target_id)),
            "SITE" => StopTarget::Site(OrganizationId::new(row.scope_id), SiteId::new(row.target_id)),
            "OPERATOR" => StopTarget::Operator(OrganizationId::new(row.target_id)),
            other => return Err(corrupt("target")(format!("unknown word {other:?}"))),
        };
        let lifted = match (row.lifted_by, row.lifted_at, row.lift_reason) {
            (Some(by), Some(at), Some(reason)) => Some(Lifted {
                by,
                at: at.to_jiff(),
                reason: Reason::parse(&reason).map_err(corrupt("lift_reason"))?,
            }),
            _ => None,
        };
        Ok(Self {
            id: SafetyStopId::new(row.safety_stop_id),
            target,
            cause: word("cause", &row.cause, SafetyStopCause::from_word)?,
            reason: Reason::parse(&row.reason).map_err(corrupt("reason"))?,
            issued_by: row.issued_by,
            issued_by_organization: row.issued_by_organization_id.map(OrganizationId::new),
            issued_at: row.issued_at.to_jiff(),
            lifted,
            suspended_tasks: row.suspended_task_ids.into_iter().map(TaskId::new).collect(),
            revision: row.revision,
        })
    }
}

/// A statement that reads whole safety stops.
macro_rules! select_stops {
    ($name:literal, $condition:literal) => {
        concat!(
            "-- ",
            $name,
            "
         SELECT safety_stop_id, scope_id, target, target_id, cause, reason, issued_by, issued_at, lifted_by, lifted_at,
                lift_reason, suspended_task_ids, issued_by_organization_id, revision
           FROM safety_stops ",
            $condition
        )
    };
}

/// Kinds and ids of targets, side by side. Clients make ids, so that of a task may be that of an operator: a target is
/// never looked for by its id alone.
fn words_and_ids(targets: &[StopTarget]) -> (Vec<&'static str>, Vec<Uuid>) {
    targets.iter().map(|target| (target.word(), target.id())).unzip()
}

/// The stops that are in force for any of these tasks, sites and operators, the oldest first.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.safety_stop.list_in_force", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "safety_stop.list_in_force"))]
pub async fn list_in_force(
    conn: impl PgExecutor<'_>,
    targets: &[StopTarget],
) -> Result<Vec<SafetyStop>, Error> {
    let (words, ids) = words_and_ids(targets);
    let rows: Vec<StopRow> = sqlx::query_as(select_stops!(
        "safety_stop.list_in_force",
        "WHERE lifted_at IS NULL AND target_id = ANY($2)
            AND (target, target_id) IN (SELECT * FROM UNNEST($1::text[], $2::uuid[]))
          ORDER BY issued_at, safety_stop_id"
    ))
    .bind(words)
    .bind(ids)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(SafetyStop::try_from).collect()
}

/// Safety stops, in force or lifted, the oldest first.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.safety_stop.find_many", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "safety_stop.find_many"))]
pub async fn find_safety_stops(
    conn: impl PgExecutor<'_>,
    ids: &[SafetyStopId],
) -> Result<Vec<SafetyStop>, Error> {
    let rows: Vec<StopRow> = sqlx::query_as(select_stops!(
        "safety_stop.find_many",
        "WHERE safety_stop_id = ANY($1) ORDER BY issued_at, safety_stop_id"
    ))
    .bind(ids.iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(SafetyStop::try_from).collect()
}

/// One safety stop.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.safety_stop.find", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "safety_stop.find"))]
pub async fn find_stop(conn: impl PgExecutor<'_>, id: SafetyStopId) -> Result<Option<SafetyStop>, Error> {
    let row: Option<StopRow> = sqlx::query_as(select_stops!("safety_stop.find", "WHERE safety_stop_id = $1"))
        .bind(id.uuid())
        .fetch_optional(conn)
        .await
        .map_err(failed)?;
    row.map(SafetyStop::try_from).transpose()
}

/// Safety stops, the newest first, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.safety_stop.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "safety_stop.list"))]
pub async fn list_stops(
    conn: impl PgExecutor<'_>,
    filter: &StopFilter,
    limit: i64,
) -> Result<Vec<SafetyStop>, Error> {
    let (words, ids) = filter.targets.as_deref().map(words_and_ids).unzip();
    let rows: Vec<StopRow> = sqlx::query_as(select_stops!(
        "safety_stop.list",
        "WHERE ($1::uuid IS NULL OR told_scope_ids @> ARRAY[$1])
            AND ($2::uuid[] IS NULL
                OR target_id = ANY($2) AND (target, target_id) IN (SELECT * FROM UNNEST($7::text[], $2)))
            AND NOT ($3 AND lifted_at IS NOT NULL)
            AND ($4::timestamptz IS NULL OR (issued_at, safety_stop_id) < ($4, $5))
          ORDER BY issued_at DESC, safety_stop_id DESC LIMIT $6"
    ))
    .bind(filter.told.map(ScopeId::uuid))
    .bind(ids)
    .bind(filter.in_force_only)
    .bind(filter.before.map(|(at, _)| at.to_sqlx()))
    .bind(filter.before.map(|(_, id)| id))
    .bind(limit)
    .bind(words)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(SafetyStop::try_from).collect()
}

/// Adds a safety stop, with the journals that hold it.
///
/// # Errors
/// Refuses an id that is taken.
#[tracing::instrument(level = "debug", name = "db.safety_stop.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "safety_stop.insert"))]
pub async fn insert_stop(conn: &mut PgConnection, new: &SafetyStop, told: &[ScopeId]) -> Result<(), Error> {
    let done = sqlx::query(
        "-- safety_stop.insert
         INSERT INTO safety_stops (safety_stop_id, scope_id, target, target_id, cause, reason, issued_by, issued_at,
                                   suspended_task_ids, told_scope_ids, revision, issued_by_organization_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(new.id.uuid())
    .bind(new.target.scope().uuid())
    .bind(new.target.word())
    .bind(new.target.id())
    .bind(new.cause.word())
    .bind(new.reason.as_str())
    .bind(&new.issued_by)
    .bind(new.issued_at.to_sqlx())
    .bind(new.suspended_tasks.iter().map(|task| task.uuid()).collect::<Vec<_>>())
    .bind(told.iter().map(|scope| scope.uuid()).collect::<Vec<_>>())
    .bind(new.revision)
    .bind(new.issued_by_organization.map(OrganizationId::uuid))
    .execute(conn)
    .await;
    match done {
        Ok(_) => Ok(()),
        Err(error) => Err(match broken_constraint(&error) {
            // The id is of a stop of another target.
            Some("safety_stops_pkey") => Error::id_elsewhere(Kind::SafetyStop, new.id, "safety_stop.target"),
            _ => failed(error),
        }),
    }
}

/// Writes that a stop was lifted, and the journals that hold it now.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.safety_stop.lift", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "safety_stop.lift"))]
pub async fn update_lifted(
    conn: &mut PgConnection,
    stop: &SafetyStop,
    told: &[ScopeId],
) -> Result<(), Error> {
    let lifted = stop.lifted.as_ref();
    let done = sqlx::query(
        "-- safety_stop.lift
         UPDATE safety_stops SET lifted_by = $2, lifted_at = $3, lift_reason = $4, told_scope_ids = $5, revision = $6
          WHERE safety_stop_id = $1",
    )
    .bind(stop.id.uuid())
    .bind(lifted.map(|lifted| &lifted.by))
    .bind(lifted.map(|lifted| lifted.at.to_sqlx()))
    .bind(lifted.map(|lifted| lifted.reason.as_str()))
    .bind(told.iter().map(|scope| scope.uuid()).collect::<Vec<_>>())
    .bind(stop.revision)
    .execute(conn)
    .await
    .map_err(failed)?;
    expect_rows(done.rows_affected(), 1)
}

/// The journals that hold a stop, the target's first.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.safety_stop.list_told", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "safety_stop.list_told"))]
pub async fn list_told(conn: impl PgExecutor<'_>, id: SafetyStopId) -> Result<Vec<ScopeId>, Error> {
    let told: Option<Vec<Uuid>> = sqlx::query_scalar(
        "-- safety_stop.list_told
         SELECT told_scope_ids FROM safety_stops WHERE safety_stop_id = $1",
    )
    .bind(id.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    Ok(told.unwrap_or_default().into_iter().map(ScopeId::new).collect())
}

/// Notes that one more journal holds a stop.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.safety_stop.add_told", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "safety_stop.add_told"))]
pub async fn add_told(conn: &mut PgConnection, id: SafetyStopId, scope: ScopeId) -> Result<(), Error> {
    let done = sqlx::query(
        "-- safety_stop.add_told
         UPDATE safety_stops SET told_scope_ids = told_scope_ids || $2 WHERE safety_stop_id = $1",
    )
    .bind(id.uuid())
    .bind(scope.uuid())
    .execute(conn)
    .await
    .map_err(failed)?;
    expect_rows(done.rows_affected(), 1)
}

/// The offices of programs, each once.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.safety_stop.list_offices", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "safety_stop.list_offices"))]
pub async fn list_offices(
    conn: impl PgExecutor<'_>,
    programs: &[ProgramId],
) -> Result<Vec<OrganizationId>, Error> {
    let offices: Vec<Uuid> = sqlx::query_scalar(
        "-- safety_stop.list_offices
         SELECT DISTINCT office_id FROM programs WHERE program_id = ANY($1)",
    )
    .bind(programs.iter().map(|program| program.uuid()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(offices.into_iter().map(OrganizationId::new).collect())
}
