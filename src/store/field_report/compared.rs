//! Reports with which new ones are compared: whether they tell the same.

use bytes::Bytes;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::days::Days;
use crate::domain::field_report::ReportKind;
use crate::domain::ids::{OrganizationId, ReportId, TaskId, TeamId};
use crate::error::Error;
use crate::store::failed;

/// The most reports of the same team, task, days and kind that a new one is compared with, the newest first.
pub const COMPARED_MAX: i64 = 64;
/// The most of them among which the newest are looked for: more than a team writes, so that a flood is no burden.
const WALKED_MAX: i64 = 1_000;

/// Reports that may tell the same: of a team and a task, on some days, of a kind.
pub type Comparable = (TeamId, TaskId, Days, ReportKind);

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
    let rows: Vec<(i64, i64, Uuid, Option<Vec<u8>>)> = sqlx::query_as(
        "-- field_report.list_compared
         SELECT n.place, r.first_revision, r.report_id,
                (SELECT v.content FROM report_versions v
                  WHERE v.report_id = r.report_id AND v.version = r.newest_version)
           FROM UNNEST($2::uuid[], $3::uuid[], $4::date[], $5::date[], $6::text[])
                WITH ORDINALITY AS n(team_id, task_id, first_day, last_day, kind, place)
          CROSS JOIN LATERAL (
                SELECT * FROM (
                       SELECT a.organization_id, a.report_id, a.first_revision, a.newest_version FROM reports a
                        WHERE a.team_id = n.team_id AND a.task_id = n.task_id AND a.kind = n.kind
                          AND n.first_day <= a.work_date AND a.work_date <= n.last_day
                          AND a.state NOT IN ('REJECTED', 'VOIDED')
                        LIMIT $7) w
                 ORDER BY w.first_revision DESC LIMIT $8) r
          WHERE r.organization_id = $1",
    )
    .bind(operator.uuid())
    .bind(keys.iter().map(|key| key.0.uuid()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.1.uuid()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.2.first().to_sqlx()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.2.last().unwrap_or_else(|| key.2.first()).to_sqlx()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.3.word()).collect::<Vec<_>>())
    .bind(WALKED_MAX)
    .bind(COMPARED_MAX)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let read = |(place, first_revision, id, content): (i64, i64, Uuid, Option<Vec<u8>>)| {
        let key = usize::try_from(place - 1).ok()?;
        Some(Compared { key, first_revision, id: ReportId::new(id), content: Bytes::from(content?) })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}
