//! The journal: heads, events and requests. Whoever writes to a scope locks its head first.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sha2::{Digest as _, Sha256};
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::ScopeId;
use crate::error::Error;
use crate::store::{expect_rows, failed};

/// What kind of message an event's payload is. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// An `Organization`.
    OrganizationCreated = 1,
    /// A `Program`.
    ProgramCreated = 2,
    /// A `Period` that was opened, expired or closed.
    PeriodChanged = 3,
    /// An `Allocation`.
    AllocationCreated = 4,
    /// An `EntryPosted`.
    EntryPosted = 5,
}

impl EventKind {
    fn read(number: i16) -> Result<Self, Error> {
        match number {
            1 => Ok(Self::OrganizationCreated),
            2 => Ok(Self::ProgramCreated),
            3 => Ok(Self::PeriodChanged),
            4 => Ok(Self::AllocationCreated),
            5 => Ok(Self::EntryPosted),
            other => Err(Error::bug(format!("the journal holds events of unknown kind {other}"))),
        }
    }
}

/// Where a scope stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The scope.
    pub scope: ScopeId,
    /// Its last revision; 0 when nothing happened yet.
    pub revision: i64,
    /// When that was recorded.
    pub recorded_at: Timestamp,
}

/// One event as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the scope.
    pub revision: i64,
    /// What the payload is.
    pub kind: EventKind,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The encoded message.
    pub payload: Vec<u8>,
    /// Its leaf hash.
    pub leaf_hash: Vec<u8>,
}

/// An event to append, with the request that made it.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its place in the scope.
    pub revision: i64,
    /// What the payload is.
    pub kind: EventKind,
    /// The encoded message.
    pub payload: Vec<u8>,
    /// The id that makes a retry find it.
    pub request: Uuid,
    /// Of the typed request.
    pub digest: [u8; 16],
}

/// A request that was answered before.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The request's id.
    pub request: Uuid,
    /// Of the typed request.
    pub digest: Vec<u8>,
    /// What it made.
    pub event: Event,
}

#[derive(FromRow)]
struct HeadRow {
    scope_id: Uuid,
    revision: i64,
    recorded_at: jiff_sqlx::Timestamp,
}

impl From<HeadRow> for Head {
    fn from(row: HeadRow) -> Self {
        let recorded_at = row.recorded_at.to_jiff();
        Self { scope: ScopeId::new(row.scope_id), revision: row.revision, recorded_at }
    }
}

#[derive(FromRow)]
struct EventRow {
    revision: i64,
    kind: i16,
    recorded_at: jiff_sqlx::Timestamp,
    payload: Vec<u8>,
    leaf_hash: Vec<u8>,
}

impl TryFrom<EventRow> for Event {
    type Error = Error;

    fn try_from(row: EventRow) -> Result<Self, Error> {
        Ok(Self {
            revision: row.revision,
            kind: EventKind::read(row.kind)?,
            recorded_at: row.recorded_at.to_jiff(),
            payload: row.payload,
            leaf_hash: row.leaf_hash,
        })
    }
}

/// The RFC 6962 leaf hash of a payload.
#[must_use]
pub fn leaf_hash(payload: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(payload);
    hash.finalize().into()
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

/// Where scopes stand now.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.journal.find_heads", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "journal.find_heads"))]
pub async fn find_heads(conn: impl PgExecutor<'_>, scopes: &[Uuid]) -> Result<Vec<Head>, Error> {
    let rows: Vec<HeadRow> = sqlx::query_as(
        "-- journal.find_heads
         SELECT scope_id, revision, recorded_at FROM journal_head WHERE scope_id = ANY($1)",
    )
    .bind(scopes)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(rows.into_iter().map(Head::from).collect())
}

#[derive(FromRow)]
struct AnsweredRow {
    request_id: Uuid,
    digest: Vec<u8>,
    #[sqlx(flatten)]
    event: EventRow,
}

/// The answers that requests of a scope got before.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.journal.find_answered", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "journal.find_answered"))]
pub async fn find_answered(
    conn: impl PgExecutor<'_>,
    scope: ScopeId,
    requests: &[Uuid],
) -> Result<Vec<Answered>, Error> {
    let rows: Vec<AnsweredRow> = sqlx::query_as(
        "-- journal.find_answered
         SELECT r.request_id, r.digest, j.revision, j.kind, j.recorded_at, j.payload, j.leaf_hash
           FROM request r JOIN journal j ON j.scope_id = r.scope_id AND j.revision = r.revision
          WHERE r.scope_id = $1 AND r.request_id = ANY($2)",
    )
    .bind(scope.uuid())
    .bind(requests)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let answered = |row: AnsweredRow| {
        Ok(Answered { request: row.request_id, digest: row.digest, event: row.event.try_into()? })
    };
    rows.into_iter().map(answered).collect()
}

/// Appends events and their requests, and moves the head. The caller holds the head's lock.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.journal.append", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "journal.append", events = events.len()))]
pub async fn append(
    conn: &mut PgConnection,
    scope: ScopeId,
    recorded_at: Timestamp,
    events: &[NewEvent],
) -> Result<(), Error> {
    let Some(last) = events.last() else { return Ok(()) };
    let done = sqlx::query(
        "-- journal.append
         WITH new AS (
             SELECT * FROM UNNEST($3::bigint[], $4::smallint[], $5::bytea[], $6::bytea[], $7::uuid[], $8::bytea[])
                 AS n(revision, kind, payload, leaf_hash, request_id, digest)
         ), events AS (
             INSERT INTO journal (scope_id, revision, kind, recorded_at, payload, leaf_hash)
             SELECT $1, revision, kind, $2, payload, leaf_hash FROM new
         ), requests AS (
             INSERT INTO request (scope_id, request_id, revision, digest)
             SELECT $1, request_id, revision, digest FROM new
         )
         UPDATE journal_head SET revision = $9, recorded_at = $2 WHERE scope_id = $1",
    )
    .bind(scope.uuid())
    .bind(recorded_at.to_sqlx())
    .bind(events.iter().map(|event| event.revision).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.kind as i16).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.payload.as_slice()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| leaf_hash(&event.payload)).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.request).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.digest).collect::<Vec<_>>())
    .bind(last.revision)
    .execute(conn)
    .await
    .map_err(failed)?;
    expect_rows(done.rows_affected(), 1)
}

/// Events of a scope after a revision, oldest first, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.journal.list_events", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "journal.list_events"))]
pub async fn list_events(
    conn: impl PgExecutor<'_>,
    scope: ScopeId,
    after: i64,
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let rows: Vec<EventRow> = sqlx::query_as(
        "-- journal.list_events
         SELECT revision, kind, recorded_at, payload, leaf_hash FROM journal
          WHERE scope_id = $1 AND revision > $2 ORDER BY revision LIMIT $3",
    )
    .bind(scope.uuid())
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Event::try_from).collect()
}

/// Events of a scope up to a revision, newest first, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.journal.list_events_back", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "journal.list_events_back"))]
pub async fn list_events_back(
    conn: impl PgExecutor<'_>,
    scope: ScopeId,
    up_to: i64,
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let rows: Vec<EventRow> = sqlx::query_as(
        "-- journal.list_events_back
         SELECT revision, kind, recorded_at, payload, leaf_hash FROM journal
          WHERE scope_id = $1 AND revision <= $2 ORDER BY revision DESC LIMIT $3",
    )
    .bind(scope.uuid())
    .bind(up_to)
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Event::try_from).collect()
}

/// When a revision was recorded.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.journal.find_recorded_at", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "journal.find_recorded_at"))]
pub async fn find_recorded_at(
    conn: impl PgExecutor<'_>,
    scope: ScopeId,
    revision: i64,
) -> Result<Option<Timestamp>, Error> {
    let found: Option<jiff_sqlx::Timestamp> = sqlx::query_scalar(
        "-- journal.find_recorded_at
         SELECT recorded_at FROM journal WHERE scope_id = $1 AND revision = $2",
    )
    .bind(scope.uuid())
    .bind(revision)
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    Ok(found.map(jiff_sqlx::Timestamp::to_jiff))
}

/// Events of one kind in a range of revisions, oldest first.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.journal.list_events_of_kind", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "journal.list_events_of_kind"))]
pub async fn list_events_of_kind(
    conn: impl PgExecutor<'_>,
    scope: ScopeId,
    kind: EventKind,
    after: i64,
    up_to: i64,
) -> Result<Vec<Event>, Error> {
    let rows: Vec<EventRow> = sqlx::query_as(
        "-- journal.list_events_of_kind
         SELECT revision, kind, recorded_at, payload, leaf_hash FROM journal
          WHERE scope_id = $1 AND revision > $2 AND revision <= $3 AND kind = $4 ORDER BY revision",
    )
    .bind(scope.uuid())
    .bind(after)
    .bind(up_to)
    .bind(kind as i16)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Event::try_from).collect()
}
