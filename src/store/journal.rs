//! The journal: heads and events. Whoever writes to a scope locks its head first, or fences
//! what it writes by the head's revision.

mod new;
mod packed;

use bytes::Bytes;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::ScopeId;
use crate::error::Error;
use crate::seeded::{Bug, seeded};
use crate::store::failed;

use packed::{RowIds, unpack};

pub(in crate::store) use new::{ANSWERED_BEFORE, appended, bind_appended, packed};
pub use new::{NewEvent, append_events, insert_head, lock_heads};

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
    /// A `Change` of the operations side.
    Changed = 6,
    /// A `StoredReport`: a version of a field report that was received.
    ReportReceived = 7,
    /// An `AttachmentStored`: a file that became whole.
    AttachmentStored = 8,
}

impl EventKind {
    fn read(number: i16) -> Result<Self, Error> {
        match number {
            1 => Ok(Self::OrganizationCreated),
            2 => Ok(Self::ProgramCreated),
            3 => Ok(Self::PeriodChanged),
            4 => Ok(Self::AllocationCreated),
            5 => Ok(Self::EntryPosted),
            6 => Ok(Self::Changed),
            7 => Ok(Self::ReportReceived),
            8 => Ok(Self::AttachmentStored),
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
    pub payload: Bytes,
    /// Its leaf hash.
    pub leaf_hash: Vec<u8>,
}

/// A request that was answered before.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The journal that it wrote to.
    pub scope: ScopeId,
    /// The request's id.
    pub request: Uuid,
    /// Of the typed request; none where the message holds all of it.
    pub digest: Option<Vec<u8>>,
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
    scope_id: Uuid,
    revision: i64,
    kind: i16,
    recorded_at: jiff_sqlx::Timestamp,
    request_id: Uuid,
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
            payload: unpack(row.payload, RowIds { scope: row.scope_id, request: row.request_id })?.into(),
            leaf_hash: row.leaf_hash,
        })
    }
}

/// A message and its hash, as they are stored.
#[derive(FromRow)]
pub(super) struct LeafRow {
    pub(super) scope_id: Uuid,
    pub(super) revision: i64,
    request_id: Uuid,
    leaf_hash: Vec<u8>,
    payload: Vec<u8>,
}

impl LeafRow {
    /// Whether the hash is that of the message.
    pub(super) fn holds(self) -> bool {
        let message = unpack(self.payload, RowIds { scope: self.scope_id, request: self.request_id });
        message.is_ok_and(|message| self.leaf_hash == leaf_hash(&message))
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
    digest: Option<Vec<u8>>,
    #[sqlx(flatten)]
    event: EventRow,
}

/// The answers that requests got before, in whichever scopes.
///
/// Only the index that begins with the request serves this look-up, so its plan is the same for a table that
/// is empty and for one of ten million rows. With the scope in the condition the planner may believe, from old
/// statistics, that the scope has few rows and read all of them.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.journal.find_answered", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "journal.find_answered"))]
pub async fn find_answered(conn: impl PgExecutor<'_>, requests: &[Uuid]) -> Result<Vec<Answered>, Error> {
    let rows: Vec<AnsweredRow> = sqlx::query_as(
        "-- journal.find_answered
         SELECT digest, scope_id, revision, kind, recorded_at, request_id, payload, leaf_hash
           FROM journal WHERE request_id = ANY($1)",
    )
    .bind(requests)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let answered = |row: AnsweredRow| {
        Ok(Answered {
            scope: ScopeId::new(row.event.scope_id),
            request: row.event.request_id,
            digest: row.digest,
            event: row.event.try_into()?,
        })
    };
    rows.into_iter().map(answered).collect()
}

/// The answer that one request of a scope got before.
///
/// # Errors
/// Fails when the database does.
pub async fn find_answer(
    conn: impl PgExecutor<'_>,
    scope: ScopeId,
    request: Uuid,
) -> Result<Option<Answered>, Error> {
    let answered = find_answered(conn, &[request]).await?;
    Ok(answered.into_iter().find(|known| known.scope == scope))
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
    let mut rows: Vec<EventRow> = sqlx::query_as(
        "-- journal.list_events
         SELECT scope_id, revision, kind, recorded_at, request_id, payload, leaf_hash FROM journal
          WHERE scope_id = $1 AND revision > $2 ORDER BY revision LIMIT $3",
    )
    .bind(scope.uuid())
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    if seeded(Bug::IdOrderedFeed) {
        rows.sort_by_key(|row| row.request_id);
    }
    rows.into_iter().map(Event::try_from).collect()
}

/// Events of a scope at some revisions, oldest first.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.journal.list_events_at", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "journal.list_events_at"))]
pub async fn list_events_at(
    conn: impl PgExecutor<'_>,
    scope: ScopeId,
    revisions: &[i64],
) -> Result<Vec<Event>, Error> {
    let rows: Vec<EventRow> = sqlx::query_as(
        "-- journal.list_events_at
         SELECT scope_id, revision, kind, recorded_at, request_id, payload, leaf_hash FROM journal
          WHERE scope_id = $1 AND revision = ANY($2) ORDER BY revision",
    )
    .bind(scope.uuid())
    .bind(revisions)
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
         SELECT scope_id, revision, kind, recorded_at, request_id, payload, leaf_hash FROM journal
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
         SELECT scope_id, revision, kind, recorded_at, request_id, payload, leaf_hash FROM journal
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
