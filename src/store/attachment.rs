//! SQL of files that reports declare: what is known of them. [`note`] is how they become present.

pub mod note;

use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use crate::domain::field_report::Attachment;
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

/// What is known of a file that a report may declare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The operator of the report.
    pub operator: OrganizationId,
    /// What its newest version that declares the file says of it; none when no version does.
    pub declared: Option<Attachment>,
    /// The file, if the operator has it.
    pub present: Option<Present>,
    /// Whether its object has the mark of an orphan: see [`crate::store::orphan`].
    pub is_marked: bool,
}

#[derive(FromRow)]
struct KnownRow {
    organization_id: Uuid,
    declared_size: Option<i64>,
    declared_type: Option<String>,
    name: Option<String>,
    size: Option<i64>,
    media_type: Option<String>,
    is_marked: bool,
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
         SELECT r.organization_id, d.size AS declared_size, d.media_type AS declared_type, d.name, f.size, f.media_type,
                o.sha256 IS NOT NULL AS is_marked
           FROM reports r
           LEFT JOIN LATERAL (SELECT a.size, a.media_type, a.name
                                FROM (SELECT s.version, s.ordinal, s.sha256, s.size, s.media_type, s.name
                                        FROM report_attachments s WHERE s.report_id = r.report_id OFFSET 0) a
                               WHERE a.sha256 = $2 ORDER BY a.version DESC, a.ordinal LIMIT 1) d ON TRUE
           LEFT JOIN attachments f ON f.organization_id = r.organization_id AND f.sha256 = $2
           LEFT JOIN orphans o ON o.sha256 = $2
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
            is_marked: row.is_marked,
        }
    };
    Ok(row.map(known))
}
