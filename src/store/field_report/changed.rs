//! Reports in the order in which they changed last.

use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use crate::domain::field_report::ReportState;
use crate::domain::ids::{OrganizationId, ReportId, TaskId};
use crate::error::Error;
use crate::store::failed;

/// Which reports to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    /// Of this operator.
    pub operator: OrganizationId,
    /// Only of this task.
    pub task: Option<TaskId>,
    /// Only in this state.
    pub state: Option<ReportState>,
}

/// A place in the order: the revision of the last change, and the report.
pub type Position = (i64, Uuid);

/// A report that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Changed {
    revision: i64,
    report_id: Uuid,
    /// Whether it is one of those that are followed.
    pub matching: bool,
    /// Bytes of its newest version.
    pub size: i32,
}

impl Changed {
    /// The report.
    #[must_use]
    pub const fn report(&self) -> ReportId {
        ReportId::new(self.report_id)
    }

    /// Where it stands.
    #[must_use]
    pub const fn position(&self) -> Position {
        (self.revision, self.report_id)
    }
}

/// Reports after a place in the order in which they changed, at most `limit`: all of the operator, or up to a revision
/// only those that are followed.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list_changed", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list_changed"))]
pub async fn list_changed(
    conn: impl PgExecutor<'_>,
    followed: Followed,
    after: Position,
    until: Option<i64>,
    limit: i64,
) -> Result<Vec<Changed>, Error> {
    sqlx::query_as(
        "-- field_report.list_changed
         SELECT c.revision, c.report_id, c.matching, octet_length(v.content) AS size
           FROM (SELECT r.revision, r.report_id, r.newest_version,
                        ($4::uuid IS NULL OR COALESCE(r.task_id = $4, FALSE))
                        AND ($5::text IS NULL OR r.state = $5) AS matching
                   FROM reports r
                  WHERE r.organization_id = $1 AND ($2, $3) < (r.revision, r.report_id)
                    AND ($6::bigint IS NULL OR (r.revision <= $6 AND ($4::uuid IS NULL OR r.task_id = $4)
                         AND ($5::text IS NULL OR r.state = $5)))
                  ORDER BY r.revision, r.report_id LIMIT $7) c
           JOIN report_versions v ON v.report_id = c.report_id AND v.version = c.newest_version
          ORDER BY c.revision, c.report_id",
    )
    .bind(followed.operator.uuid())
    .bind(after.0)
    .bind(after.1)
    .bind(followed.task.map(TaskId::uuid))
    .bind(followed.state.map(ReportState::word))
    .bind(until)
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)
}
