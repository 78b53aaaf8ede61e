//! SQL of noting that files are whole. What is absent is read together with the head of the operator's journal, and one
//! statement, fenced by that head, writes everything: two round trips where a transaction with a lock needs six.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::field_report::{Attachment, Hold, HoldReason};
use crate::domain::ids::{OrganizationId, ReportId, ScopeId};
use crate::error::Error;
use crate::store::attachment::Present;
use crate::store::failure::commit_failed;
use crate::store::field_report::rows::sha256 as read_sha256;
use crate::store::journal::{ANSWERED_BEFORE, Head, NewEvent, appended, bind_appended, leaf_hash, packed};
use crate::store::{broken_constraint, failed};

/// A file that became whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttachment {
    /// The operator.
    pub operator: OrganizationId,
    /// The file.
    pub file: Present,
    /// When.
    pub stored_at: Timestamp,
    /// Subject of who uploaded it.
    pub stored_by: String,
    /// Revision of the operator's journal.
    pub revision: i64,
}

/// A report whose newest version declares a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaring {
    /// The report.
    pub report: ReportId,
    /// What it says of the file.
    pub declared: Attachment,
}

/// Files that an operator does not have, as of a head of its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// The head.
    pub head: Head,
    /// Each with the reports whose newest version declares it, once for each time that it does, in the order of ids.
    pub files: BTreeMap<[u8; 32], Vec<Declaring>>,
}

#[derive(FromRow)]
struct AbsentRow {
    revision: i64,
    recorded_at: jiff_sqlx::Timestamp,
    sha256: Vec<u8>,
    report_id: Option<Uuid>,
    size: Option<i64>,
    media_type: Option<String>,
    name: Option<String>,
}

impl AbsentRow {
    /// None where no report declares the file.
    fn declaring(self, sha256: [u8; 32]) -> Option<Declaring> {
        let report = ReportId::new(self.report_id?);
        let declared =
            Attachment { sha256, size: self.size?, media_type: self.media_type?, name: self.name? };
        Some(Declaring { report, declared })
    }
}

/// Which of some files an operator does not have; none when it has all. `OFFSET 0` keeps the operator out of the inner
/// look-ups: while the planner knows nothing of an operator it takes them for few, and would read all that the operator has.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.attachment.find_absent", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "attachment.find_absent", files = files.len()))]
pub async fn find_absent(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    files: &[[u8; 32]],
) -> Result<Option<Absent>, Error> {
    let rows: Vec<AbsentRow> = sqlx::query_as(
        "-- attachment.find_absent
         SELECT h.revision, h.recorded_at, n.sha256, d.report_id, d.size, d.media_type, d.name
           FROM UNNEST($2::bytea[]) AS n(sha256)
           LEFT JOIN journal_head h ON h.scope_id = $1
           LEFT JOIN LATERAL (
               SELECT a.report_id, a.size, a.media_type, a.name, a.ordinal
                 FROM (SELECT s.report_id, s.version, s.ordinal, s.size, s.media_type, s.name
                         FROM report_attachments s WHERE s.sha256 = n.sha256 OFFSET 0) a
                CROSS JOIN LATERAL (SELECT s.organization_id, s.newest_version
                                      FROM reports s WHERE s.report_id = a.report_id OFFSET 0) r
                WHERE r.newest_version = a.version AND r.organization_id = $1) d ON TRUE
          WHERE NOT EXISTS (SELECT FROM attachments f
                             WHERE f.organization_id = $1 AND f.sha256 = n.sha256 OFFSET 0)
          ORDER BY n.sha256, d.report_id, d.ordinal",
    )
    .bind(operator.uuid())
    .bind(files.iter().map(<[u8; 32]>::as_slice).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let Some(first) = rows.first() else { return Ok(None) };
    let (scope, recorded_at) = (ScopeId::new(operator.uuid()), first.recorded_at.to_jiff());
    let head = Head { scope, revision: first.revision, recorded_at };
    let mut absent = BTreeMap::<_, Vec<_>>::new();
    for row in rows {
        let sha256 = read_sha256(row.sha256.clone())?;
        absent.entry(sha256).or_default().extend(row.declaring(sha256));
    }
    Ok(Some(Absent { head, files: absent }))
}

/// What is noted of files.
#[derive(Debug, Clone)]
pub struct Note {
    /// The head from which the work began.
    pub head: Head,
    /// When it is recorded.
    pub at: Timestamp,
    /// The files, in the order of revisions.
    pub files: Vec<NewAttachment>,
    /// The event of each.
    pub events: Vec<NewEvent>,
    /// The reports that waited for them, with the last revision that concerns each.
    pub reports: BTreeMap<ReportId, i64>,
    /// Which of those are held for what a file turned out to be. The reason is added to those of their newest version; a
    /// report that somebody looks at already, or has decided on, stays where it is.
    pub holds: Vec<(ReportId, Hold)>,
}

/// Everything hangs on `head`: when the fence does not hold it is empty, and so is all the rest.
const NOTE: &str = concat!(
    "-- attachment.note
WITH ",
    appended!(),
    ", stored AS (
    INSERT INTO attachments (organization_id, sha256, size, media_type, stored_at, stored_by, revision)
    SELECT $1, n.sha256, n.size, n.media_type, $4, n.stored_by, n.revision
      FROM head, UNNEST($11::bytea[], $12::bigint[], $13::text[], $14::text[], $5::bigint[])
                 AS n(sha256, size, media_type, stored_by, revision)
), found AS (
    SELECT n.report_id, array_agg(n.reason) AS reasons, array_agg(n.text) AS texts,
           array_agg('00000000-0000-0000-0000-000000000000'::uuid) AS subjects
      FROM head, UNNEST($18::uuid[], $19::text[], $20::text[]) AS n(report_id, reason, text)
     GROUP BY n.report_id
), moved AS (
    UPDATE reports r
       SET revision = n.revision,
           state = CASE WHEN n.is_held AND r.state = 'RECEIVED' THEN 'HELD' ELSE r.state END,
           hold_reasons = CASE WHEN n.is_held THEN array_remove(r.hold_reasons, $21) || $21
                               ELSE r.hold_reasons END
      FROM head, UNNEST($15::uuid[], $16::bigint[], $17::boolean[]) AS n(report_id, revision, is_held)
     WHERE r.report_id = n.report_id
    RETURNING r.report_id, r.newest_version
), held AS (
    UPDATE report_versions v
       SET hold_reasons = v.hold_reasons || f.reasons, hold_texts = v.hold_texts || f.texts,
           hold_subjects = v.hold_subjects || f.subjects
      FROM found f JOIN moved m ON m.report_id = f.report_id
     WHERE v.report_id = m.report_id AND v.version = m.newest_version
)
SELECT count(*) FROM head"
);

/// Notes that files are whole, moves every report that waited for them to its revision, and holds those that said something
/// else. Answers whether the fence held; if not, nothing was written.
///
/// # Errors
/// `OutcomeUnknown` when the connection is lost; `Contended` when it was noted before; otherwise fails when the database
/// does.
#[tracing::instrument(level = "debug", name = "db.attachment.note", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "attachment.note", files = note.files.len()))]
pub async fn note(conn: &mut PgConnection, note: &Note) -> Result<bool, Error> {
    let Note { head, at, files, events, reports, holds } = note;
    let scope = head.scope.uuid();
    let held: BTreeSet<ReportId> = holds.iter().map(|(report, _)| *report).collect();
    let last = events.last().map_or(head.revision, |event| event.revision);
    let note = bind_appended!(sqlx::query_scalar(NOTE), scope, head.revision, last, at, events);
    let noted: Result<i64, _> = note
        .bind(files.iter().map(|of| of.file.sha256.as_slice()).collect::<Vec<_>>())
        .bind(files.iter().map(|of| of.file.size).collect::<Vec<_>>())
        .bind(files.iter().map(|of| of.file.media_type.as_str()).collect::<Vec<_>>())
        .bind(files.iter().map(|of| of.stored_by.as_str()).collect::<Vec<_>>())
        .bind(reports.keys().map(|report| report.uuid()).collect::<Vec<_>>())
        .bind(reports.values().copied().collect::<Vec<_>>())
        .bind(reports.keys().map(|report| held.contains(report)).collect::<Vec<_>>())
        .bind(holds.iter().map(|(report, _)| report.uuid()).collect::<Vec<_>>())
        .bind(holds.iter().map(|(_, hold)| hold.reason.word()).collect::<Vec<_>>())
        .bind(holds.iter().map(|(_, hold)| hold.text.as_str()).collect::<Vec<_>>())
        .bind(HoldReason::MediaType.word())
        .fetch_one(conn)
        .await;
    match noted {
        Ok(heads) => Ok(heads != 0),
        Err(error) if broken_constraint(&error) == Some(ANSWERED_BEFORE) => Err(Error::Contended),
        // It may be a transaction by itself.
        Err(error) => Err(commit_failed(error)),
    }
}
