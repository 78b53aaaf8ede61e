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

/// The most reports of the same team, task, day and kind, or claims of the same task, that a new one is compared with, the newest first.
pub const COMPARED_MAX: i64 = 64;
/// The most of them among which the newest are looked for: more than a team writes, so that a flood is no burden.
const WALKED_MAX: i64 = 1_000;

/// Reports that may tell the same: of a team and a task, on a day, of a kind.
pub type Comparable = (TeamId, TaskId, Date, ReportKind);

type Row = (i64, i64, Uuid, Option<Vec<u8>>);

/// A report that a new one is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Which of the keys that were asked for it is of, from 0.
    pub key: usize,
    /// Its first revision.
    pub first_revision: i64,
    /// Its id.
    pub id: ReportId,
    /// What its newest version says.
    pub content: Bytes,
}

/// Reports with which new ones of these keys are compared, that count or may count: of each key [`COMPARED_MAX`], the
/// newest.
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
         SELECT n.place, r.first_revision, r.report_id,
                (SELECT v.content FROM report_versions v
                  WHERE v.report_id = r.report_id AND v.version = r.newest_version)
           FROM UNNEST($2::uuid[], $3::uuid[], $4::date[], $5::text[])
                WITH ORDINALITY AS n(team_id, task_id, work_date, kind, place)
          CROSS JOIN LATERAL (
                SELECT * FROM (
                       SELECT a.organization_id, a.report_id, a.first_revision, a.newest_version FROM reports a
                        WHERE a.team_id = n.team_id AND a.task_id = n.task_id AND a.work_date = n.work_date
                          AND a.kind = n.kind AND a.state NOT IN ('REJECTED', 'VOIDED')
                        LIMIT $6) w
                 ORDER BY w.first_revision DESC LIMIT $7) r
          WHERE r.organization_id = $1",
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
/// by these: of each task [`COMPARED_MAX`], the newest.
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
    // the kind, once for each team. OFFSET and the operator as in `facts::list_alike`.
    let rows: Vec<Row> = sqlx::query_as(
        "-- field_report.list_claims
         WITH those AS MATERIALIZED (
              SELECT team_id FROM teams WHERE organization_id = $1 UNION SELECT UNNEST($2::uuid[]))
         SELECT n.place, r.first_revision, r.report_id,
                (SELECT v.content FROM report_versions v
                  WHERE v.report_id = r.report_id AND v.version = r.newest_version)
           FROM UNNEST($3::uuid[]) WITH ORDINALITY AS n(task_id, place)
          CROSS JOIN LATERAL (
                SELECT w.* FROM those t
                 CROSS JOIN LATERAL (
                       SELECT a.organization_id, a.report_id, a.first_revision, a.newest_version FROM reports a
                        WHERE a.team_id = t.team_id AND a.task_id = n.task_id AND a.kind = $4
                          AND a.state NOT IN ('REJECTED', 'VOIDED')
                        LIMIT $5) w
                 ORDER BY w.first_revision DESC LIMIT $6) r
          WHERE r.organization_id = $1",
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
        Some(Compared { key, first_revision, id: ReportId::new(id), content: Bytes::from(content?) })
    };
    rows.into_iter().filter_map(read).collect()
}
