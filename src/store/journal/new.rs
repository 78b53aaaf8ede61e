//! Before the journal is written to: heads and their locks, and new events. `ledger/book.rs` writes those of money, with the
//! rows that they change.

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
use crate::store::{broken_constraint, failed};

/// The constraint that a request breaks which was answered before.
pub(in crate::store) const ANSWERED_BEFORE: &str = "journal_request_id_scope_id_key";

/// What moves a head, unless it has moved, and appends the events `$5` to `$10`: one text for what moves money and what does
/// not.
macro_rules! appended {
    () => {
        "head AS (
    UPDATE journal_head SET revision = $3, recorded_at = $4
     WHERE scope_id = $1 AND revision = $2 RETURNING scope_id
), events AS (
    INSERT INTO journal (scope_id, revision, recorded_at, request_id, kind, leaf_hash, payload, digest)
    SELECT $1, n.revision, $4, n.request_id, n.kind, n.leaf_hash, n.payload, n.digest
      FROM head, UNNEST($5::bigint[], $6::uuid[], $7::smallint[], $8::bytea[], $9::bytea[], $10::bytea[])
                 AS n(revision, request_id, kind, leaf_hash, payload, digest)
)"
    };
}
pub(in crate::store) use appended;

/// Binds `$1` to `$10` of it: the scope, the revisions from which and to which its head moves, when, and the events.
macro_rules! bind_appended {
    ($query:expr, $scope:expr, $from:expr, $to:expr, $at:expr, $events:expr) => {
        $query
            .bind($scope)
            .bind($from)
            .bind($to)
            .bind($at.to_sqlx())
            .bind($events.iter().map(|event| event.revision).collect::<Vec<_>>())
            .bind($events.iter().map(|event| event.request).collect::<Vec<_>>())
            .bind($events.iter().map(|event| event.kind as i16).collect::<Vec<_>>())
            .bind($events.iter().map(|event| leaf_hash(&event.payload)).collect::<Vec<_>>())
            .bind($events.iter().map(|event| packed($scope, event)).collect::<Vec<_>>())
            .bind($events.iter().map(|event| event.digest).collect::<Vec<_>>())
    };
}
pub(in crate::store) use bind_appended;

/// An event to append, with the request that made it.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its place in the scope.
    pub revision: i64,
    /// What the payload is.
    pub kind: EventKind,
    /// The encoded message.
    pub payload: Bytes,
    /// The id that makes a retry find it.
    pub request: Uuid,
    /// Of the typed request; none where the message holds all of it.
    pub digest: Option<[u8; 16]>,
}

impl NewEvent {
    /// The same as what a retry will find, once the head is there.
    #[must_use]
    pub fn answered(&self, head: &Head) -> Answered {
        let event = Event {
            revision: self.revision,
            kind: self.kind,
            recorded_at: head.recorded_at,
            payload: self.payload.clone(),
            leaf_hash: Vec::new(),
        };
        let digest = self.digest.map(Vec::from);
        Answered { scope: head.scope, request: self.request, digest, event }
    }
}

/// The payload of a new event as the table holds it.
pub(in crate::store) fn packed(scope: Uuid, event: &NewEvent) -> Vec<u8> {
    pack(&event.payload, RowIds { scope, request: event.request })
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

/// Appends events that move no money to the journal, and moves its head, which is locked.
///
/// # Errors
/// `Contended` when a request was answered before; otherwise fails when the database does, or when the head was not locked.
#[tracing::instrument(level = "debug", name = "db.journal.append_events", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "journal.append_events", events = events.len()))]
pub async fn append_events(
    conn: &mut PgConnection,
    head: Head,
    at: Timestamp,
    events: &[NewEvent],
) -> Result<(), Error> {
    let Some(last) = events.last() else { return Ok(()) };
    let scope = head.scope.uuid();
    let append = sqlx::query_scalar(concat!(
        "-- journal.append_events\nWITH ",
        appended!(),
        " SELECT count(*) FROM head"
    ));
    let append = bind_appended!(append, scope, head.revision, last.revision, at, events);
    let moved: Result<i64, _> = append.fetch_one(conn).await;
    match moved {
        Ok(0) => Err(Error::bug("a locked head has moved")),
        Ok(_) => Ok(()),
        Err(error) if broken_constraint(&error) == Some(ANSWERED_BEFORE) => Err(Error::Contended),
        Err(error) => Err(failed(error)),
    }
}
