//! What is known of reports and devices when some arrive.

use std::collections::BTreeMap;

use bytes::Bytes;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::field_report::filing::{Chain, KnownReport, KnownVersion};
use crate::domain::field_report::sequence::Received;
use crate::domain::field_report::{ReportKind, ReportState};
use crate::domain::ids::{DeviceId, OrganizationId, ProgramId, ReportId, TaskId, TeamId};
use crate::error::Error;
use crate::store::failed;
use crate::store::rows::{outputs, word};

use super::rows::{HoldRows, reason_of, sha256};

#[derive(FromRow)]
pub(super) struct ReportRow {
    organization_id: Uuid,
    report_id: Uuid,
    first_revision: i64,
    device_id: Uuid,
    team_id: Uuid,
    task_id: Option<Uuid>,
    program_id: Option<Uuid>,
    kind: String,
    work_date: jiff_sqlx::Date,
    newest_version: i32,
    state: String,
    current_holds: Vec<String>,
    approved_version: Option<i32>,
    claimed: Option<Vec<i64>>,
    changed_revision: i64,
}

impl TryFrom<ReportRow> for KnownReport {
    type Error = Error;

    fn try_from(row: ReportRow) -> Result<Self, Error> {
        Ok(Self {
            id: ReportId::new(row.report_id),
            operator: OrganizationId::new(row.organization_id),
            first_revision: row.first_revision,
            device: DeviceId::new(row.device_id),
            team: TeamId::new(row.team_id),
            task: row.task_id.map(TaskId::new),
            program: row.program_id.map(ProgramId::new),
            kind: word("kind", &row.kind, ReportKind::from_word)?,
            work_date: row.work_date.to_jiff(),
            newest_version: row.newest_version,
            state: word("state", &row.state, ReportState::from_word)?,
            holds: row.current_holds.iter().map(|held| reason_of(held)).collect::<Result<_, _>>()?,
            approved_version: row.approved_version,
            claimed: outputs(&row.claimed.unwrap_or_default())?,
            revision: row.changed_revision,
        })
    }
}

#[derive(FromRow)]
struct VersionRow {
    report_id: Uuid,
    version: i32,
    content_sha256: Vec<u8>,
    received_at: jiff_sqlx::Timestamp,
    amendment: String,
    revision: i64,
    #[sqlx(flatten)]
    holds: HoldRows,
}

/// Reports with all their versions, whichever operator's they are.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.find_chains", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.find_chains"))]
pub async fn find_chains(conn: &mut PgConnection, ids: &[Uuid]) -> Result<BTreeMap<ReportId, Chain>, Error> {
    let rows: Vec<ReportRow> = sqlx::query_as(
        "-- field_report.find_chains
         SELECT organization_id, report_id, first_revision, device_id, team_id, task_id, program_id, kind, work_date,
                newest_version, state, hold_reasons AS current_holds, approved_version, claimed,
                revision AS changed_revision
           FROM reports WHERE report_id = ANY($1)",
    )
    .bind(ids)
    .fetch_all(&mut *conn)
    .await
    .map_err(failed)?;
    let mut chains = BTreeMap::new();
    for row in rows {
        let report = KnownReport::try_from(row)?;
        chains.insert(report.id, Chain { report, versions: BTreeMap::new() });
    }
    if chains.is_empty() {
        return Ok(chains);
    }
    for row in list_versions(conn, ids).await? {
        let Some(chain) = chains.get_mut(&ReportId::new(row.report_id)) else { continue };
        let known = KnownVersion {
            content_sha256: sha256(row.content_sha256)?,
            received_at: row.received_at.to_jiff(),
            holds: row.holds.read()?,
            amendment: row.amendment,
            revision: row.revision,
        };
        chain.versions.insert(row.version, known);
    }
    Ok(chains)
}

async fn list_versions(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<VersionRow>, Error> {
    sqlx::query_as(
        "-- field_report.list_versions
         SELECT report_id, version, content_sha256, received_at, amendment, revision, hold_reasons, hold_texts, hold_subjects
           FROM report_versions WHERE report_id = ANY($1)",
    )
    .bind(ids)
    .fetch_all(conn)
    .await
    .map_err(failed)
}

/// What a version says; none when it is not there.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.find_content", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.find_content"))]
pub async fn find_content(
    conn: impl PgExecutor<'_>,
    report: ReportId,
    version: i32,
) -> Result<Option<Bytes>, Error> {
    let content: Option<Vec<u8>> = sqlx::query_scalar(
        "-- field_report.find_content
         SELECT content FROM report_versions WHERE report_id = $1 AND version = $2",
    )
    .bind(report.uuid())
    .bind(version)
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    Ok(content.map(Bytes::from))
}

/// Versions below one of a report with what they say, the newest first: some of them, until there are no more.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list_contents", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list_contents"))]
pub async fn list_contents(
    conn: impl PgExecutor<'_>,
    report: ReportId,
    before: i32,
) -> Result<Vec<(i32, Bytes)>, Error> {
    let rows: Vec<(i32, Vec<u8>)> = sqlx::query_as(
        "-- field_report.list_contents
         SELECT version, content FROM report_versions WHERE report_id = $1 AND version < $2
          ORDER BY version DESC LIMIT 8",
    )
    .bind(report.uuid())
    .bind(before)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(rows.into_iter().map(|(version, content)| (version, Bytes::from(content))).collect())
}

#[derive(FromRow)]
struct DeviceRow {
    device_id: Uuid,
    run_firsts: Vec<i64>,
    run_lasts: Vec<i64>,
}

/// What was received of the numbering of some devices of an operator; those that are new are absent.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.find_devices", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.find_devices"))]
pub async fn find_devices(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    ids: &[Uuid],
) -> Result<Vec<(DeviceId, Received)>, Error> {
    let rows: Vec<DeviceRow> = sqlx::query_as(
        "-- field_report.find_devices
         SELECT device_id, run_firsts, run_lasts FROM devices WHERE organization_id = $1 AND device_id = ANY($2)",
    )
    .bind(operator.uuid())
    .bind(ids)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let read = |row: DeviceRow| {
        (DeviceId::new(row.device_id), Received::of(row.run_firsts.into_iter().zip(row.run_lasts)))
    };
    Ok(rows.into_iter().map(read).collect())
}

/// The operator to whom a device sent last; none when it never sent.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.find_operator_of_device", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.find_operator_of_device"))]
pub async fn find_operator_of_device(
    conn: impl PgExecutor<'_>,
    device: DeviceId,
) -> Result<Option<OrganizationId>, Error> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "-- field_report.find_operator_of_device
         SELECT organization_id FROM devices WHERE device_id = $1 ORDER BY seen_at DESC LIMIT 1",
    )
    .bind(device.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    Ok(found.map(OrganizationId::new))
}

/// A number of a device, and the report that it was.
pub type Numbered = ((DeviceId, i64), ReportId);

/// Which reports of an operator devices sent under some numbers; of several under one number, the first.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list_numbers", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list_numbers"))]
pub async fn list_numbers(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    numbers: &[(DeviceId, i64)],
) -> Result<Vec<Numbered>, Error> {
    // Not a join with reports: from old statistics the planner believes that a new operator has hardly any, and would read
    // all of them.
    let rows: Vec<(Uuid, i64, Uuid)> = sqlx::query_as(
        "-- field_report.list_numbers
         SELECT n.device_id, n.device_sequence, f.report_id
           FROM UNNEST($2::uuid[], $3::bigint[]) AS n(device_id, device_sequence)
          CROSS JOIN LATERAL (
                SELECT v.report_id FROM report_versions v
                 WHERE v.device_id = n.device_id AND v.device_sequence = n.device_sequence
                   AND (SELECT r.organization_id FROM reports r WHERE r.report_id = v.report_id) = $1
                 ORDER BY v.revision LIMIT 1) f",
    )
    .bind(operator.uuid())
    .bind(numbers.iter().map(|(device, _)| device.uuid()).collect::<Vec<_>>())
    .bind(numbers.iter().map(|(_, number)| *number).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let read = |(device, number, report)| ((DeviceId::new(device), number), ReportId::new(report));
    Ok(rows.into_iter().map(read).collect())
}
