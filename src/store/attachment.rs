//! SQL of files that reports declare: which of them are whole, and which reports wait for them.

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

/// Which of some files an operator has.
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
         SELECT sha256, size, media_type FROM attachments WHERE organization_id = $1 AND sha256 = ANY($2)",
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
    is_present: bool,
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

/// What is known of a file that a report may declare; none when there is no such report.
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
           LEFT JOIN LATERAL (SELECT a.size, a.media_type, a.name FROM report_attachments a
                               WHERE a.report_id = r.report_id AND a.sha256 = $2
                               ORDER BY a.version DESC, a.ordinal LIMIT 1) d ON TRUE
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

/// Reports of an operator whose newest version declares a file, once for each time that it does, in the order of ids; none
/// when the operator has the file.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.attachment.list_declaring", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "attachment.list_declaring"))]
pub async fn list_declaring(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    file: [u8; 32],
) -> Result<Option<Vec<Declaring>>, Error> {
    let rows: Vec<DeclaredRow> = sqlx::query_as(
        "-- attachment.list_declaring
         SELECT p.is_present, d.report_id, d.size, d.media_type, d.name
           FROM (SELECT EXISTS (SELECT FROM attachments f
                                 WHERE f.organization_id = $1 AND f.sha256 = $2) AS is_present) p
           LEFT JOIN (SELECT a.report_id, a.size, a.media_type, a.name, a.ordinal
                        FROM report_attachments a
                        JOIN reports r ON r.report_id = a.report_id AND r.newest_version = a.version
                       WHERE a.sha256 = $2 AND r.organization_id = $1) d ON NOT p.is_present
          ORDER BY d.report_id, d.ordinal",
    )
    .bind(operator.uuid())
    .bind(file.as_slice())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    if rows.iter().any(|row| row.is_present) {
        return Ok(None);
    }
    Ok(Some(rows.into_iter().filter_map(|row| row.declaring(file)).collect()))
}

/// Notes that a file is whole, and moves every report that waited for it to that revision.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.attachment.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "attachment.insert"))]
pub async fn insert_attachment(
    conn: &mut PgConnection,
    new: &NewAttachment,
    reports: &[ReportId],
) -> Result<(), Error> {
    sqlx::query(
        "-- attachment.insert
         WITH stored AS (
             INSERT INTO attachments (organization_id, sha256, size, media_type, stored_at, stored_by, revision)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
         )
         UPDATE reports SET revision = $7 WHERE organization_id = $1 AND report_id = ANY($8)",
    )
    .bind(new.operator.uuid())
    .bind(new.file.sha256.as_slice())
    .bind(new.file.size)
    .bind(&new.file.media_type)
    .bind(new.stored_at.to_sqlx())
    .bind(&new.stored_by)
    .bind(new.revision)
    .bind(reports.iter().map(|report| report.uuid()).collect::<Vec<_>>())
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
