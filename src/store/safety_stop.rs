//! SQL of safety stops.

use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::{OrganizationId, ProgramId, SafetyStopId, SiteId, TaskId};
use crate::domain::safety_stop::{Lifted, SafetyStop, SafetyStopCause, StopTarget};
use crate::domain::text::Reason;
use crate::error::Error;
use crate::store::failed;
use crate::store::rows::{corrupt, word};

#[derive(FromRow)]
pub(super) struct StopRow {
    safety_stop_id: Uuid,
    scope_id: Uuid,
    target: String,
    target_id: Uuid,
    cause: String,
    reason: String,
    issued_by: String,
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
                lift_reason, suspended_task_ids, revision
           FROM safety_stops ",
            $condition
        )
    };
}

/// The stops that are in force for any of these tasks, sites and operators, the oldest first.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.safety_stop.list_in_force", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "safety_stop.list_in_force"))]
pub async fn list_in_force(conn: impl PgExecutor<'_>, targets: &[Uuid]) -> Result<Vec<SafetyStop>, Error> {
    let rows: Vec<StopRow> = sqlx::query_as(select_stops!(
        "safety_stop.list_in_force",
        "WHERE lifted_at IS NULL AND target_id = ANY($1) ORDER BY issued_at, safety_stop_id"
    ))
    .bind(targets)
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
