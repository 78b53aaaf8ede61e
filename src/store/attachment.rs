//! SQL of files that reports declare: which of them are whole, and which reports wait for them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::field_report::{Attachment, Hold, HoldReason};
use crate::domain::ids::{OrganizationId, ReportId};
use crate::error::Error;
use crate::store::failed;
use crate::store::field_report::rows::sha256 as read_sha256;

/// A file of an operator that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// Its hash.
    pub sha256: [u8; 32],
    /// Bytes.
    pub size: i64,
    /// What its content shows.
    pub media_type: String,
}

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

#[derive(FromRow)]
struct PresentRow {
    sha256: Vec<u8>,
    size: i64,
    media_type: String,
}

impl TryFrom<PresentRow> for Present {
    type Error = Error;

    fn try_from(row: PresentRow) -> Result<Self, Error> {
        Ok(Self { sha256: read_sha256(row.sha256)?, size: row.size, media_type: row.media_type })
    }
}

/// Which of some files an operator has. Each is looked up by itself: with `= ANY` the planner reads all that the operator has
/// while it takes them for few.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.attachment.list_present", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "attachment.list_present"))]
pub async fn list_present(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    files: &[[u8; 32]],
) -> Result<Vec<Present>, Error> {
    let rows: Vec<PresentRow> = sqlx::query_as(
        "-- attachment.list_present
         SELECT f.sha256, f.size, f.media_type
           FROM UNNEST($2::bytea[]) AS n(sha256)
          CROSS JOIN LATERAL (SELECT a.sha256, a.size, a.media_type FROM attachments a
                               WHERE a.organization_id = $1 AND a.sha256 = n.sha256 OFFSET 0) f",
    )
    .bind(operator.uuid())
    .bind(files.iter().map(<[u8; 32]>::as_slice).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Present::try_from).collect()
}

#[derive(FromRow)]
struct DeclaredRow {
    sha256: Vec<u8>,
    report_id: Option<Uuid>,
    size: Option<i64>,
    media_type: Option<String>,
    name: Option<String>,
}

impl DeclaredRow {
    /// None where no report declares the file.
    fn declaring(self, sha256: [u8; 32]) -> Option<Declaring> {
        let report = ReportId::new(self.report_id?);
        let declared =
            Attachment { sha256, size: self.size?, media_type: self.media_type?, name: self.name? };
        Some(Declaring { report, declared })
    }
}

/// What is known of a file that a report may declare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The operator of the report.
    pub operator: OrganizationId,
    /// What its newest version that declares the file says of it; none when no version does.
    pub declared: Option<Attachment>,
    /// The file, if the operator has it.
    pub present: Option<Present>,
}

#[derive(FromRow)]
struct KnownRow {
    organization_id: Uuid,
    declared_size: Option<i64>,
    declared_type: Option<String>,
    name: Option<String>,
    size: Option<i64>,
    media_type: Option<String>,
}

/// What is known of a file that a report may declare; none when there is no such report. `OFFSET 0` makes the planner read
/// the files of the report, of which there are few, and not all reports that declare the file.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.attachment.find_known", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "attachment.find_known"))]
pub async fn find_known(
    conn: impl PgExecutor<'_>,
    report: ReportId,
    sha256: [u8; 32],
) -> Result<Option<Known>, Error> {
    let row: Option<KnownRow> = sqlx::query_as(
        "-- attachment.find_known
         SELECT r.organization_id, d.size AS declared_size, d.media_type AS declared_type, d.name, f.size, f.media_type
           FROM reports r
           LEFT JOIN LATERAL (SELECT a.size, a.media_type, a.name
                                FROM (SELECT s.version, s.ordinal, s.sha256, s.size, s.media_type, s.name
                                        FROM report_attachments s WHERE s.report_id = r.report_id OFFSET 0) a
                               WHERE a.sha256 = $2 ORDER BY a.version DESC, a.ordinal LIMIT 1) d ON TRUE
           LEFT JOIN attachments f ON f.organization_id = r.organization_id AND f.sha256 = $2
          WHERE r.report_id = $1",
    )
    .bind(report.uuid())
    .bind(sha256.as_slice())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    let known = |row: KnownRow| {
        let declared = row.declared_size.zip(row.declared_type).zip(row.name);
        let present = row.size.zip(row.media_type);
        Known {
            operator: OrganizationId::new(row.organization_id),
            declared: declared.map(|((size, media_type), name)| Attachment {
                sha256,
                size,
                media_type,
                name,
            }),
            present: present.map(|(size, media_type)| Present { sha256, size, media_type }),
        }
    };
    Ok(row.map(known))
}

/// Which of some files an operator does not have, each with the reports whose newest version declares it, once for each time
/// that it does, in the order of ids. `OFFSET 0` keeps the operator out of the inner look-ups: while the planner knows nothing
/// of an operator it takes them for few, and would read all that the operator has.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.attachment.list_declaring", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "attachment.list_declaring", files = files.len()))]
pub async fn list_declaring(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    files: &[[u8; 32]],
) -> Result<BTreeMap<[u8; 32], Vec<Declaring>>, Error> {
    let rows: Vec<DeclaredRow> = sqlx::query_as(
        "-- attachment.list_declaring
         SELECT n.sha256, d.report_id, d.size, d.media_type, d.name
           FROM UNNEST($2::bytea[]) AS n(sha256)
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
    let mut declaring = BTreeMap::<_, Vec<_>>::new();
    for row in rows {
        let sha256 = read_sha256(row.sha256.clone())?;
        declaring.entry(sha256).or_default().extend(row.declaring(sha256));
    }
    Ok(declaring)
}

/// Notes that files are whole, and moves every report that waited for them to its revision.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.attachment.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "attachment.insert", files = new.len()))]
pub async fn insert_attachments(
    conn: &mut PgConnection,
    new: &[NewAttachment],
    reports: &BTreeMap<ReportId, i64>,
) -> Result<(), Error> {
    if new.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "-- attachment.insert
         WITH stored AS (
             INSERT INTO attachments (organization_id, sha256, size, media_type, stored_at, stored_by, revision)
             SELECT * FROM UNNEST($1::uuid[], $2::bytea[], $3::bigint[], $4::text[], $5::timestamptz[], $6::text[],
                                  $7::bigint[])
         )
         UPDATE reports r SET revision = n.revision
           FROM UNNEST($8::uuid[], $9::bigint[]) AS n(report_id, revision) WHERE r.report_id = n.report_id",
    )
    .bind(new.iter().map(|of| of.operator.uuid()).collect::<Vec<_>>())
    .bind(new.iter().map(|of| of.file.sha256.as_slice()).collect::<Vec<_>>())
    .bind(new.iter().map(|of| of.file.size).collect::<Vec<_>>())
    .bind(new.iter().map(|of| of.file.media_type.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|of| of.stored_at.to_sqlx()).collect::<Vec<_>>())
    .bind(new.iter().map(|of| of.stored_by.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|of| of.revision).collect::<Vec<_>>())
    .bind(reports.keys().map(|report| report.uuid()).collect::<Vec<_>>())
    .bind(reports.values().copied().collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

/// Holds reports for what one of their files turned out to be. The reason is added to those of their newest version; a
/// report that somebody looks at already, or has decided on, stays where it is.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.attachment.hold", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "attachment.hold"))]
pub async fn hold_reports(conn: &mut PgConnection, holds: &[(ReportId, Hold)]) -> Result<(), Error> {
    if holds.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "-- attachment.hold
         WITH found AS (
             SELECT n.report_id, array_agg(n.reason) AS reasons, array_agg(n.text) AS texts,
                    array_agg('00000000-0000-0000-0000-000000000000'::uuid) AS subjects
               FROM UNNEST($1::uuid[], $2::text[], $3::text[]) AS n(report_id, reason, text)
              GROUP BY n.report_id
         ), held AS (
             UPDATE reports r
                SET state = CASE r.state WHEN 'RECEIVED' THEN 'HELD' ELSE r.state END,
                    hold_reasons = array_remove(r.hold_reasons, $4) || $4
               FROM found f WHERE r.report_id = f.report_id
             RETURNING r.report_id, r.newest_version
         )
         UPDATE report_versions v
            SET hold_reasons = v.hold_reasons || f.reasons, hold_texts = v.hold_texts || f.texts,
                hold_subjects = v.hold_subjects || f.subjects
           FROM found f JOIN held h ON h.report_id = f.report_id
          WHERE v.report_id = h.report_id AND v.version = h.newest_version",
    )
    .bind(holds.iter().map(|(report, _)| report.uuid()).collect::<Vec<_>>())
    .bind(holds.iter().map(|(_, hold)| hold.reason.word()).collect::<Vec<_>>())
    .bind(holds.iter().map(|(_, hold)| hold.text.as_str()).collect::<Vec<_>>())
    .bind(HoldReason::MediaType.word())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}
