//! SQL of changes: appending their events, and finding what touched a record.

use std::slice;

use jiff::Timestamp;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::ScopeId;
use crate::domain::kind::Kind;
use crate::error::Error;
use crate::store::failed;
use crate::store::journal::{Head, NewEvent, append_events};

/// One event of the operations side.
pub struct Appended {
    /// The head, which is locked.
    pub head: Head,
    /// The moment of the event.
    pub at: Timestamp,
    /// The event.
    pub event: NewEvent,
    /// The records that it is about.
    pub subjects: Vec<(Uuid, Kind)>,
}

/// Appends an event and moves the head.
///
/// # Errors
/// Fails when the database does, or when the head was not locked.
#[tracing::instrument(level = "debug", name = "db.change.append", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "change.append"))]
pub async fn append(conn: &mut PgConnection, appended: &Appended) -> Result<(), Error> {
    let Appended { head, at, event, subjects } = appended;
    append_events(&mut *conn, *head, *at, slice::from_ref(event)).await?;
    sqlx::query(
        "-- change.append
         INSERT INTO change_subjects (scope_id, revision, subject_id, kind)
         SELECT DISTINCT $1::uuid, $2::bigint, n.subject_id, n.kind
           FROM UNNEST($3::uuid[], $4::text[]) AS n(subject_id, kind)",
    )
    .bind(head.scope.uuid())
    .bind(event.revision)
    .bind(subjects.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(subjects.iter().map(|(_, kind)| kind.to_string()).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

/// Revisions of a scope that changed a record, the oldest first, after one of them.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.change.list_of_subject", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "change.list_of_subject"))]
pub async fn list_revisions_of(
    conn: impl PgExecutor<'_>,
    scope: ScopeId,
    subject: Uuid,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar(
        "-- change.list_of_subject
         SELECT DISTINCT revision FROM change_subjects
          WHERE scope_id = $1 AND subject_id = $2 AND $3 < revision ORDER BY revision LIMIT $4",
    )
    .bind(scope.uuid())
    .bind(subject)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)
}
