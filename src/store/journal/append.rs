//! Writing to the journal: lock the heads, append, move the heads. The caller's transaction holds the locks.

use bytes::Bytes;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::ids::ScopeId;
use crate::error::Error;
use crate::seeded::{Bug, seeded};
use crate::store::journal::packed::{RowIds, pack};
use crate::store::journal::{Answered, Event, EventKind, Head, HeadRow, leaf_hash};
use crate::store::{broken_constraint, expect_rows, failed};

/// The constraint that a request breaks which was answered before.
const ANSWERED_BEFORE: &str = "journal_request_id_scope_id_key";

/// An event to append, with the request that made it.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its journal.
    pub scope: ScopeId,
    /// Its place in the scope.
    pub revision: i64,
    /// What the payload is.
    pub kind: EventKind,
    /// When it is recorded.
    pub recorded_at: Timestamp,
    /// The encoded message.
    pub payload: Bytes,
    /// The id that makes a retry find it.
    pub request: Uuid,
    /// Of the typed request; none for entries, whose message holds all of it.
    pub digest: Option<[u8; 16]>,
}

impl NewEvent {
    /// The same as what a retry will find.
    #[must_use]
    pub fn answered(&self) -> Answered {
        let event = Event {
            revision: self.revision,
            kind: self.kind,
            recorded_at: self.recorded_at,
            payload: self.payload.clone(),
            leaf_hash: Vec::new(),
        };
        let digest = self.digest.map(Vec::from);
        Answered { scope: self.scope, request: self.request, digest, event }
    }
}

/// Makes the head of a new scope, if it is not there.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.journal.insert_head", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "journal.insert_head"))]
pub async fn insert_head(conn: &mut PgConnection, scope: ScopeId, now: Timestamp) -> Result<(), Error> {
    sqlx::query(
        "-- journal.insert_head
         INSERT INTO journal_head (scope_id, revision, recorded_at) VALUES ($1, 0, $2)
         ON CONFLICT (scope_id) DO NOTHING",
    )
    .bind(scope.uuid())
    .bind(now.to_sqlx())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

/// Locks the heads of scopes in id order, so that two writers never wait for each other in a circle.
/// Scopes that do not exist are missing from the answer.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.journal.lock_heads", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "journal.lock_heads"))]
pub async fn lock_heads(conn: &mut PgConnection, scopes: &[Uuid]) -> Result<Vec<Head>, Error> {
    if seeded(Bug::ForgetHeadLock) {
        return crate::store::journal::find_heads(conn, scopes).await;
    }
    let rows: Vec<HeadRow> = sqlx::query_as(
        "-- journal.lock_heads
         SELECT scope_id, revision, recorded_at FROM journal_head
          WHERE scope_id = ANY($1) ORDER BY scope_id FOR UPDATE",
    )
    .bind(scopes)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(rows.into_iter().map(Head::from).collect())
}

/// Appends events and moves the heads to where they end. The caller holds the locks of the heads.
///
/// # Errors
/// `Contended` when a request was answered before: its transaction begins again and looks first. Otherwise
/// fails when the database does.
#[tracing::instrument(level = "debug", name = "db.journal.append", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "journal.append", events = events.len()))]
pub async fn append(conn: &mut PgConnection, heads: &[Head], events: &[NewEvent]) -> Result<(), Error> {
    if events.is_empty() {
        return Ok(());
    }
    let packed =
        |event: &NewEvent| pack(&event.payload, RowIds { scope: event.scope.uuid(), request: event.request });
    let done = sqlx::query(
        "-- journal.append
         WITH events AS (
             INSERT INTO journal (scope_id, revision, recorded_at, request_id, kind, leaf_hash, payload, digest)
             SELECT * FROM UNNEST($1::uuid[], $2::bigint[], $3::timestamptz[], $4::uuid[], $5::smallint[],
                                  $6::bytea[], $7::bytea[], $8::bytea[])
         )
         UPDATE journal_head h SET revision = n.revision, recorded_at = n.recorded_at
           FROM UNNEST($9::uuid[], $10::bigint[], $11::timestamptz[]) AS n(scope_id, revision, recorded_at)
          WHERE h.scope_id = n.scope_id",
    )
    .bind(events.iter().map(|event| event.scope.uuid()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.revision).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.recorded_at.to_sqlx()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.request).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.kind as i16).collect::<Vec<_>>())
    .bind(events.iter().map(|event| leaf_hash(&event.payload)).collect::<Vec<_>>())
    .bind(events.iter().map(packed).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.digest).collect::<Vec<_>>())
    .bind(heads.iter().map(|head| head.scope.uuid()).collect::<Vec<_>>())
    .bind(heads.iter().map(|head| head.revision).collect::<Vec<_>>())
    .bind(heads.iter().map(|head| head.recorded_at.to_sqlx()).collect::<Vec<_>>())
    .execute(conn)
    .await;
    match done {
        Ok(done) => expect_rows(done.rows_affected(), heads.len()),
        Err(error) if broken_constraint(&error) == Some(ANSWERED_BEFORE) => Err(Error::Contended),
        Err(error) => Err(failed(error)),
    }
}
