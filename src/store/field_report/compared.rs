//! Reports with which new ones are compared: whether they tell the same.

use bytes::Bytes;
use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::field_report::ReportKind;
use crate::domain::ids::{OrganizationId, ReportId, TaskId, TeamId};
use crate::error::Error;
use crate::store::failed;

/// The most reports of the same team, task, day and kind, or claims of the same team and task, that a new one is compared
/// with, the newest first.
pub const COMPARED_MAX: i64 = 64;
/// The most of them among which the newest are looked for: more than a team writes, so that a flood is no burden.
const WALKED_MAX: i64 = 1_000;

/// Reports that may tell the same: of a team and a task, on a day, of a kind.
pub type Comparable = (TeamId, TaskId, Date, ReportKind);

type Row = (i64, i64, Uuid, Vec<u8>);

/// A report that a new one is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Which of the keys that were asked for it is of, from 0.
    pub key: usize,
    /// Its first revision.
    pub first_revision: i64,
    /// Its id.
    pub id: ReportId,
    /// What its newest version says, or the one that counts.
    pub content: Bytes,
}

/// Reports with which new ones of these keys are compared, that count or may count: of each key [`COMPARED_MAX`], the
/// newest. One of which a version counts while a newer one waits, or was rejected, is there with both.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list_compared", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list_compared"))]
pub async fn list_compared(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    keys: &[Comparable],
) -> Result<Vec<Compared>, Error> {
    // The operator is kept out of the inner query, as in `facts::list_alike`; and nothing is joined, for the same reason.
    let rows: Vec<Row> = sqlx::query_as(
        "-- field_report.list_compared
         SELECT n.place, r.first_revision, r.report_id, v.content
           FROM UNNEST($2::uuid[], $3::uuid[], $4::date[], $5::text[])
                WITH ORDINALITY AS n(team_id, task_id, work_date, kind, place)
          CROSS JOIN LATERAL (
                SELECT * FROM (
                       SELECT a.organization_id, a.report_id, a.first_revision, a.newest_version, a.approved_version
                         FROM reports a
                        WHERE a.team_id = n.team_id AND a.task_id = n.task_id AND a.work_date = n.work_date
                          AND a.kind = n.kind AND a.state NOT IN ('REJECTED', 'VOIDED')
                        LIMIT $6) w
                 WHERE w.organization_id = $1 ORDER BY w.first_revision DESC LIMIT $7) r
          CROSS JOIN LATERAL (
                SELECT s.content FROM report_versions s
                 WHERE s.report_id = r.report_id AND s.version IN (r.newest_version, r.approved_version) OFFSET 0) v",
    )
    .bind(operator.uuid())
    .bind(keys.iter().map(|key| key.0.uuid()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.1.uuid()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.2.to_sqlx()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.3.word()).collect::<Vec<_>>())
    .bind(WALKED_MAX)
    .bind(COMPARED_MAX)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(compared(rows))
}

/// Expense claims of some tasks with which new ones are compared, that count or may count, by all teams of the operator and
/// by these: of each task and team [`COMPARED_MAX`], the newest, as in [`list_compared`].
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list_claims", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list_claims"))]
pub async fn list_claims(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    teams: &[TeamId],
    tasks: &[TaskId],
) -> Result<Vec<Compared>, Error> {
    // Claims are rare, and a task has far more of other reports: they are looked for by the business key, whose index has
    // the kind, once for each team. The operator as in `facts::list_alike`.
    let rows: Vec<Row> = sqlx::query_as(
        "-- field_report.list_claims
         WITH those AS MATERIALIZED (
              SELECT team_id FROM teams WHERE organization_id = $1 UNION SELECT UNNEST($2::uuid[]))
         SELECT n.place, r.first_revision, r.report_id, v.content
           FROM UNNEST($3::uuid[]) WITH ORDINALITY AS n(task_id, place)
          CROSS JOIN LATERAL (
                SELECT c.* FROM those t
                 CROSS JOIN LATERAL (
                       SELECT * FROM (
                              SELECT a.organization_id, a.report_id, a.first_revision, a.newest_version,
                                     a.approved_version
                                FROM reports a
                               WHERE a.team_id = t.team_id AND a.task_id = n.task_id AND a.kind = $4
                                 AND a.state NOT IN ('REJECTED', 'VOIDED')
                               LIMIT $5) w
                        WHERE w.organization_id = $1 ORDER BY w.first_revision DESC LIMIT $6) c) r
          CROSS JOIN LATERAL (
                SELECT s.content FROM report_versions s
                 WHERE s.report_id = r.report_id AND s.version IN (r.newest_version, r.approved_version) OFFSET 0) v",
    )
    .bind(operator.uuid())
    .bind(teams.iter().map(|team| team.uuid()).collect::<Vec<_>>())
    .bind(tasks.iter().map(|task| task.uuid()).collect::<Vec<_>>())
    .bind(ReportKind::ExpenseClaim.word())
    .bind(WALKED_MAX)
    .bind(COMPARED_MAX)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(compared(rows))
}

fn compared(rows: Vec<Row>) -> Vec<Compared> {
    let read = |(place, first_revision, id, content): Row| {
        let key = usize::try_from(place - 1).ok()?;
        Some(Compared { key, first_revision, id: ReportId::new(id), content: Bytes::from(content) })
    };
    rows.into_iter().filter_map(read).collect()
}
