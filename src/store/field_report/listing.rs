//! Reading stored reports.

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use crate::domain::field_report::filing::KnownReport;
use crate::domain::field_report::{HoldReason, ReportKind, ReportState, StoredReport};
use crate::domain::ids::{DeviceId, OrganizationId, ReportId, TaskId, TeamId};
use crate::error::Error;
use crate::store::failed;

use super::known::ReportRow;
use super::rows::{HoldRows, ReviewedRows, sha256};

/// A page ends when the reports on it have this many bytes: one may have half a mebibyte.
const PAGE_BYTES: i64 = 2 * 1024 * 1024;

/// Which reports to list, after which one.
#[derive(Debug, Clone)]
pub struct ReportFilter {
    /// Of this operator.
    pub operator: OrganizationId,
    /// Only of this task.
    pub task: Option<TaskId>,
    /// Only of this team.
    pub team: Option<TeamId>,
    /// Only of this device.
    pub device: Option<DeviceId>,
    /// Only with this body.
    pub kind: Option<ReportKind>,
    /// Only in this state.
    pub state: Option<ReportState>,
    /// Only those that are held for this.
    pub hold: Option<HoldReason>,
    /// Only work of this day and later.
    pub from: Option<Date>,
    /// Only work until this day.
    pub until: Option<Date>,
    /// Only those that wait for a decision.
    pub to_review: bool,
    /// Only those that were received first before this moment.
    pub received_before: Option<Timestamp>,
    /// Only those after this one, in the order of first revision and id.
    pub after: (i64, Uuid),
}

/// A report of a list, with its place in it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The newest version.
    pub report: StoredReport,
    /// Its first revision.
    pub first_revision: i64,
    /// How many reports there are from the begin of the page, as far as they were looked for.
    pub found: i64,
}

#[derive(FromRow)]
struct StoredRow {
    #[sqlx(flatten)]
    report: ReportRow,
    version: i32,
    content: Vec<u8>,
    content_sha256: Vec<u8>,
    received_at: jiff_sqlx::Timestamp,
    received_by: String,
    clock_offset_ms: Option<i64>,
    captured_at: Option<jiff_sqlx::Timestamp>,
    amendment: String,
    #[sqlx(flatten)]
    holds: HoldRows,
    #[sqlx(flatten)]
    reviewed: ReviewedRows,
    declared: Vec<Vec<u8>>,
    present: Vec<bool>,
}

impl TryFrom<StoredRow> for StoredReport {
    type Error = Error;

    fn try_from(row: StoredRow) -> Result<Self, Error> {
        let report = KnownReport::try_from(row.report)?;
        let mut holds = row.holds.read()?;
        if row.version == report.newest_version {
            // What was settled since is no reason any more.
            holds.retain(|hold| report.holds.contains(&hold.reason));
        }
        let declared =
            row.declared.into_iter().zip(row.present).map(|(file, there)| Ok((sha256(file)?, there)));
        Ok(Self {
            id: report.id,
            operator: report.operator,
            program: report.program,
            kind: report.kind,
            version: row.version,
            newest_version: report.newest_version,
            content: Bytes::from(row.content),
            content_sha256: sha256(row.content_sha256)?,
            state: report.state,
            holds,
            attachments: declared.collect::<Result<_, Error>>()?,
            received_at: row.received_at.to_jiff(),
            received_by: row.received_by,
            clock_offset_ms: row.clock_offset_ms,
            captured_at: row.captured_at.map(jiff_sqlx::Timestamp::to_jiff),
            amendment: row.amendment,
            reviewed: row.reviewed.read(report.approved_version)?,
            revision: report.revision,
        })
    }
}

/// The operator of a report.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.find_operator", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.find_operator"))]
pub async fn find_operator(conn: impl PgExecutor<'_>, id: ReportId) -> Result<Option<OrganizationId>, Error> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "-- field_report.find_operator
         SELECT organization_id FROM reports WHERE report_id = $1",
    )
    .bind(id.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    Ok(found.map(OrganizationId::new))
}

/// A statement that reads versions `v` of reports `r`.
macro_rules! select_stored {
    ($name:literal, $more:literal, $from:literal) => {
        concat!(
            "-- field_report.",
            $name,
            "
         SELECT r.organization_id, r.report_id, r.first_revision, r.device_id, r.team_id, r.task_id, r.program_id, r.kind,
                r.work_date, r.newest_version, r.state, r.hold_reasons AS current_holds,
                r.approved_version, r.claimed, r.remark_fields, r.remark_texts, r.reviewed_by, r.reviewed_at, r.decision,
                r.revision AS changed_revision, v.version, v.content, v.content_sha256, v.received_at, v.received_by,
                v.clock_offset_ms, v.captured_at, v.amendment, v.hold_reasons, v.hold_texts, v.hold_subjects,
                ARRAY(SELECT sha256 FROM report_attachments a
                       WHERE a.report_id = v.report_id AND a.version = v.version ORDER BY a.ordinal) AS declared,
                ARRAY(SELECT EXISTS (SELECT FROM attachments f
                                      WHERE f.organization_id = r.organization_id AND f.sha256 = a.sha256)
                        FROM report_attachments a
                       WHERE a.report_id = v.report_id AND a.version = v.version ORDER BY a.ordinal) AS present",
            $more,
            " FROM ",
            $from
        )
    };
}

/// A version of a report; the newest for 0.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.find", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.find"))]
pub async fn find_report(
    conn: impl PgExecutor<'_>,
    id: ReportId,
    version: i32,
) -> Result<Option<StoredReport>, Error> {
    let row: Option<StoredRow> = sqlx::query_as(select_stored!(
        "find",
        "",
        "reports r JOIN report_versions v ON v.report_id = r.report_id
          AND v.version = CASE $2 WHEN 0 THEN r.newest_version ELSE $2 END
          WHERE r.report_id = $1"
    ))
    .bind(id.uuid())
    .bind(version)
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    row.map(StoredReport::try_from).transpose()
}

/// The newest versions of those of some reports that are of an operator, in no order.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.find_newest", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.find_newest"))]
pub async fn find_newest(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    ids: &[Uuid],
) -> Result<Vec<StoredReport>, Error> {
    // OFFSET as in `facts::list_alike`.
    let rows: Vec<StoredRow> = sqlx::query_as(select_stored!(
        "find_newest",
        "",
        "(SELECT * FROM reports WHERE report_id = ANY($1) OFFSET 0) r
           JOIN report_versions v ON v.report_id = r.report_id AND v.version = r.newest_version
          WHERE r.organization_id = $2"
    ))
    .bind(ids)
    .bind(operator.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(StoredReport::try_from).collect()
}

#[derive(FromRow)]
struct ListedRow {
    #[sqlx(flatten)]
    stored: StoredRow,
    found: i64,
    position: i64,
}

/// Newest versions in the order in which reports were received first: at most `limit`, and no more than fit a page.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list"))]
pub async fn list_reports(
    conn: impl PgExecutor<'_>,
    filter: &ReportFilter,
    limit: i64,
) -> Result<Vec<Listed>, Error> {
    let rows: Vec<ListedRow> = sqlx::query_as(select_stored!(
        "list",
        ", s.found, s.first_revision AS position",
        "(SELECT p.report_id, p.first_revision, p.newest_version, count(*) OVER () AS found,
                 sum(octet_length(w.content)) OVER (ORDER BY p.first_revision, p.report_id)
                     - octet_length(w.content) AS before
            FROM (SELECT r.report_id, r.first_revision, r.newest_version FROM reports r
                   WHERE r.organization_id = $1
                     AND ($2::uuid IS NULL OR r.task_id = $2)
                     AND ($3::uuid IS NULL OR r.team_id = $3)
                     AND ($4::uuid IS NULL OR r.device_id = $4)
                     AND ($5::text IS NULL OR r.kind = $5)
                     AND ($6::text IS NULL OR r.state = $6)
                     AND ($7::text IS NULL OR r.hold_reasons @> ARRAY[$7])
                     AND ($8::date IS NULL OR $8 <= r.work_date)
                     AND ($9::date IS NULL OR r.work_date <= $9)
                     AND ($10, $11) < (r.first_revision, r.report_id)
                     AND (NOT $14 OR r.state IN ('RECEIVED', 'HELD', 'UNDER_REVIEW'))
                     AND ($15::timestamptz IS NULL OR EXISTS (SELECT FROM report_versions f
                           WHERE f.report_id = r.report_id AND f.revision = r.first_revision AND f.received_at < $15))
                   -- Of a few days the rows are few, but may lie anywhere in that order: they are looked up and sorted.
                   ORDER BY CASE WHEN $9 - $8 <= 31 THEN r.first_revision + 0 ELSE r.first_revision END, r.report_id
                   LIMIT $12) p
            JOIN report_versions w ON w.report_id = p.report_id AND w.version = p.newest_version) s
          JOIN reports r ON r.report_id = s.report_id
          JOIN report_versions v ON v.report_id = s.report_id AND v.version = s.newest_version
         WHERE s.before < $13
         ORDER BY s.first_revision, s.report_id"
    ))
    .bind(filter.operator.uuid())
    .bind(filter.task.map(TaskId::uuid))
    .bind(filter.team.map(TeamId::uuid))
    .bind(filter.device.map(DeviceId::uuid))
    .bind(filter.kind.map(ReportKind::word))
    .bind(filter.state.map(ReportState::word))
    .bind(filter.hold.map(HoldReason::word))
    .bind(filter.from.map(Date::to_sqlx))
    .bind(filter.until.map(Date::to_sqlx))
    .bind(filter.after.0)
    .bind(filter.after.1)
    .bind(limit)
    .bind(PAGE_BYTES)
    .bind(filter.to_review)
    .bind(filter.received_before.map(Timestamp::to_sqlx))
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let listed = |row: ListedRow| {
        Ok(Listed { report: row.stored.try_into()?, first_revision: row.position, found: row.found })
    };
    rows.into_iter().map(listed).collect()
}
