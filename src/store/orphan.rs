//! SQL of objects that no row refers to: when each was first seen, and which are being deleted.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::error::Error;
use crate::store::failed;
use crate::store::field_report::rows::sha256 as read_sha256;

/// An object that no row refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orphan {
    /// Its hash.
    pub sha256: [u8; 32],
    /// Bytes.
    pub size: i64,
}

/// Notes which of some objects nobody refers to, and forgets those that somebody does.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.orphan.mark", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "orphan.mark", objects = seen.len()))]
pub async fn mark(conn: impl PgExecutor<'_>, seen: &[Orphan], now: Timestamp) -> Result<(), Error> {
    sqlx::query(
        "-- orphan.mark
         WITH seen AS (
             SELECT n.sha256, n.size, EXISTS (SELECT FROM attachments a WHERE a.sha256 = n.sha256) AS referred
               FROM UNNEST($1::bytea[], $2::bigint[]) AS n(sha256, size)
         ), forgotten AS (
             DELETE FROM orphans o USING seen s
              WHERE o.sha256 = s.sha256 AND s.referred AND o.deleting_since IS NULL
         )
         INSERT INTO orphans (sha256, size, first_seen_at)
         SELECT sha256, size, $3 FROM seen WHERE NOT referred
         ON CONFLICT (sha256) DO NOTHING",
    )
    .bind(seen.iter().map(|object| object.sha256.as_slice()).collect::<Vec<_>>())
    .bind(seen.iter().map(|object| object.size).collect::<Vec<_>>())
    .bind(now.to_sqlx())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

/// Which objects were first seen so long ago, or began to be deleted so long ago; the oldest first, up to a limit.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.orphan.list_due", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "orphan.list_due"))]
pub async fn list_due(
    conn: impl PgExecutor<'_>,
    seen: Timestamp,
    begun: Timestamp,
    limit: i64,
) -> Result<Vec<Orphan>, Error> {
    let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(
        "-- orphan.list_due
         SELECT sha256, size FROM orphans
          WHERE first_seen_at <= $1 AND (deleting_since IS NULL OR deleting_since <= $2)
          ORDER BY first_seen_at, sha256 LIMIT $3",
    )
    .bind(seen.to_sqlx())
    .bind(begun.to_sqlx())
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(|(sha256, size)| Ok(Orphan { sha256: read_sha256(sha256)?, size })).collect()
}

/// Begins to delete an object that is due and that nobody refers to. False when that has changed.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.orphan.begin_deletion", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "orphan.begin_deletion"))]
pub async fn begin_deletion(
    conn: impl PgExecutor<'_>,
    sha256: [u8; 32],
    now: Timestamp,
    (seen, begun): (Timestamp, Timestamp),
) -> Result<bool, Error> {
    let done = sqlx::query(
        "-- orphan.begin_deletion
         UPDATE orphans o SET deleting_since = $2
          WHERE o.sha256 = $1 AND o.first_seen_at <= $3 AND (o.deleting_since IS NULL OR o.deleting_since <= $4)
            AND NOT EXISTS (SELECT FROM attachments a WHERE a.sha256 = o.sha256)",
    )
    .bind(sha256.as_slice())
    .bind(now.to_sqlx())
    .bind(seen.to_sqlx())
    .bind(begun.to_sqlx())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(done.rows_affected() == 1)
}

/// Notes that the deletion that began then is done.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.orphan.end_deletion", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "orphan.end_deletion"))]
pub async fn end_deletion(
    conn: impl PgExecutor<'_>,
    sha256: [u8; 32],
    begun: Timestamp,
) -> Result<(), Error> {
    sqlx::query("-- orphan.end_deletion\nDELETE FROM orphans WHERE sha256 = $1 AND deleting_since = $2")
        .bind(sha256.as_slice())
        .bind(begun.to_sqlx())
        .execute(conn)
        .await
        .map_err(failed)?;
    Ok(())
}

/// Whether an object is marked, and if so whether it is being deleted.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.orphan.find", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "orphan.find"))]
pub async fn is_deleted(conn: impl PgExecutor<'_>, sha256: [u8; 32]) -> Result<Option<bool>, Error> {
    sqlx::query_scalar("-- orphan.find\nSELECT deleting_since IS NOT NULL FROM orphans WHERE sha256 = $1")
        .bind(sha256.as_slice())
        .fetch_optional(conn)
        .await
        .map_err(failed)
}

/// Takes the mark from an object, so that it is not deleted for as long as a new one must stand. False when it is being
/// deleted, or has been.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.orphan.unmark", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "orphan.unmark"))]
pub async fn unmark(conn: impl PgExecutor<'_>, sha256: [u8; 32]) -> Result<bool, Error> {
    let done =
        sqlx::query("-- orphan.unmark\nDELETE FROM orphans WHERE sha256 = $1 AND deleting_since IS NULL")
            .bind(sha256.as_slice())
            .execute(conn)
            .await
            .map_err(failed)?;
    Ok(done.rows_affected() == 1)
}

/// Which installation this is.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.orphan.installation", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "orphan.installation"))]
pub async fn get_installation(conn: impl PgExecutor<'_>) -> Result<Uuid, Error> {
    sqlx::query_scalar("-- orphan.installation\nSELECT installation_id FROM feed")
        .fetch_one(conn)
        .await
        .map_err(failed)
}
