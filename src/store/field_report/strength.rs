//! How many people and machines there were, against which land that was released is judged.

use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::days::Days;
use crate::domain::field_report::quarantine::DaysSpent;
use crate::domain::ids::{TaskId, TeamId};
use crate::error::Error;
use crate::store::failed;
use crate::store::rows::days;

/// The days of all members of some teams, a row for each membership.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list_members", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list_members"))]
pub async fn list_member_days(
    conn: impl PgExecutor<'_>,
    teams: &[TeamId],
) -> Result<Vec<(TeamId, Days)>, Error> {
    let rows: Vec<(Uuid, jiff_sqlx::Date, Option<jiff_sqlx::Date>)> = sqlx::query_as(
        "-- field_report.list_members
         SELECT team_id, first_day, last_day FROM members WHERE team_id = ANY($1)",
    )
    .bind(teams.iter().map(|team| team.uuid()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(|(team, first, last)| Ok((TeamId::new(team), days(first, last)?))).collect()
}

/// The days of people and machines that assignments sent to some tasks, each until a day. Absent where nobody was sent, and
/// where an assignment does not name its people.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list_days_spent", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list_days_spent"))]
pub async fn list_days_spent(
    conn: impl PgExecutor<'_>,
    tasks: &[(TaskId, Date)],
) -> Result<Vec<(TaskId, Date, DaysSpent)>, Error> {
    // OFFSET as in `facts::list_alike`: each assignment is asked by its key.
    let rows: Vec<(Uuid, jiff_sqlx::Date, i64, i64)> = sqlx::query_as(
        "-- field_report.list_days_spent
         SELECT n.task_id, n.day, sum(p.days)::bigint, coalesce(sum(m.days), 0)::bigint
           FROM UNNEST($1::uuid[], $2::date[]) AS n(task_id, day)
          CROSS JOIN LATERAL (
                SELECT a.assignment_id FROM assignments a
                 WHERE a.task_id = n.task_id AND a.first_day <= n.day AND a.state <> 'CANCELLED'
                OFFSET 0) a
          CROSS JOIN LATERAL (
                SELECT sum(LEAST(w.last_day, n.day) - w.first_day + 1) AS days FROM assignment_people w
                 WHERE w.assignment_id = a.assignment_id AND w.first_day <= n.day) p
          CROSS JOIN LATERAL (
                SELECT sum(LEAST(w.last_day, n.day) - w.first_day + 1) AS days FROM assignment_assets w
                 WHERE w.assignment_id = a.assignment_id AND w.first_day <= n.day
                   AND (SELECT s.kind FROM assets s WHERE s.asset_id = w.asset_id) = 'MACHINE') m
          GROUP BY n.task_id, n.day
         HAVING bool_and(p.days IS NOT NULL)",
    )
    .bind(tasks.iter().map(|of| of.0.uuid()).collect::<Vec<_>>())
    .bind(tasks.iter().map(|of| of.1.to_sqlx()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let read = |(task, day, people, machines): (_, jiff_sqlx::Date, _, _)| {
        (TaskId::new(task), day.to_jiff(), DaysSpent { people, machines })
    };
    Ok(rows.into_iter().map(read).collect())
}
