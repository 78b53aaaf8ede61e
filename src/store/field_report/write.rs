//! Writing what arrived: a few statements for a whole group.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::field_report::filing::KnownReport;
use crate::domain::field_report::outputs::Outputs;
use crate::domain::field_report::sequence::Received;
use crate::domain::field_report::{Attachment, Hold, HoldReason, StoredReport};
use crate::domain::ids::{DeviceId, OrganizationId, ProgramId, ReportId, TaskId};
use crate::domain::kind::Kind;
use crate::error::Error;
use crate::store::failed;

/// Between texts of one array: no text that the server writes holds it.
const SEPARATOR: &str = "\u{1f}";

/// A version to store.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// What is known about it.
    pub stored: StoredReport,
    /// The device.
    pub device: DeviceId,
    /// Its number among what the device sent.
    pub sequence: i64,
    /// Files that it declares.
    pub attachments: Vec<Attachment>,
}

/// Everything that a group of reports changed in the journal of one operator.
#[derive(Debug)]
pub struct Filed<'c> {
    /// The operator.
    pub operator: OrganizationId,
    /// The moment.
    pub at: Timestamp,
    /// Reports that are new or changed.
    pub reports: Vec<&'c KnownReport>,
    /// Versions that are new.
    pub versions: &'c [NewVersion],
    /// Reports that their teams mended, with the revision at which they did: the feeds of the teams say so.
    pub mended: &'c [(ReportId, i64)],
    /// Devices whose numbering went on.
    pub devices: Vec<(DeviceId, &'c Received)>,
}

/// Writes the rows.
///
/// # Errors
/// `Contended` when a report became one of another operator meanwhile; otherwise fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.write", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.write", versions = filed.versions.len()))]
pub async fn write(conn: &mut PgConnection, filed: &Filed<'_>) -> Result<(), Error> {
    save_reports(&mut *conn, filed).await?;
    insert_versions(&mut *conn, filed.versions).await?;
    insert_attachments(&mut *conn, filed.versions).await?;
    insert_mended(&mut *conn, filed).await?;
    save_devices(conn, filed).await
}

async fn insert_mended(conn: &mut PgConnection, filed: &Filed<'_>) -> Result<(), Error> {
    if filed.mended.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "-- field_report.insert_mended
         INSERT INTO change_subjects (scope_id, revision, subject_id, kind)
         SELECT $1, n.revision, n.report_id, $4 FROM UNNEST($2::uuid[], $3::bigint[]) AS n(report_id, revision)",
    )
    .bind(filed.operator.uuid())
    .bind(filed.mended.iter().map(|(id, _)| id.uuid()).collect::<Vec<_>>())
    .bind(filed.mended.iter().map(|(_, revision)| *revision).collect::<Vec<_>>())
    .bind(Kind::Report.to_string())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn save_reports(conn: &mut PgConnection, filed: &Filed<'_>) -> Result<(), Error> {
    let of = &filed.reports;
    // The version that counts is told although it stays: a row that is to be inserted is checked before the conflict is.
    let done = sqlx::query(
        "-- field_report.save_reports
         INSERT INTO reports (organization_id, report_id, first_revision, device_id, team_id, task_id, program_id, kind,
                work_date, newest_version, state, hold_reasons, claimed, approved_version, revision)
         SELECT $1, n.report_id, n.first_revision, n.device_id, n.team_id, n.task_id, n.program_id, n.kind,
                n.work_date, n.newest_version, n.state, string_to_array(n.holds, ','),
                string_to_array(n.claimed, ',')::bigint[], n.approved_version, n.revision
           FROM UNNEST($2::uuid[], $3::bigint[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[],
                       $9::date[], $10::int[], $11::text[], $12::text[], $13::bigint[], $14::text[], $15::int[])
                AS n(report_id, first_revision, device_id, team_id, task_id, program_id, kind, work_date,
                     newest_version, state, holds, revision, claimed, approved_version)
         ON CONFLICT (report_id) DO UPDATE
            SET device_id = excluded.device_id, team_id = excluded.team_id, task_id = excluded.task_id,
                program_id = excluded.program_id, kind = excluded.kind, work_date = excluded.work_date,
                newest_version = excluded.newest_version, state = excluded.state,
                hold_reasons = excluded.hold_reasons, claimed = excluded.claimed, revision = excluded.revision
          WHERE reports.organization_id = excluded.organization_id",
    )
    .bind(filed.operator.uuid())
    .bind(of.iter().map(|row| row.id.uuid()).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.first_revision).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.device.uuid()).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.team.uuid()).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.task.map(TaskId::uuid)).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.program.map(ProgramId::uuid)).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.kind.word()).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.work_date.to_sqlx()).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.newest_version).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.state.word()).collect::<Vec<_>>())
    .bind(of.iter().map(|row| joined(&row.holds, |held: &HoldReason| held.word().to_owned(), ",")).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.revision).collect::<Vec<_>>())
    .bind(of.iter().map(|row| claimed(&row.claimed)).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.approved_version).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(failed)?;
    // Another operator took one of the ids since they were looked up; the next try sees that.
    let all = u64::try_from(of.len()) == Ok(done.rows_affected());
    if all { Ok(()) } else { Err(Error::Contended) }
}

/// What a version claims, as text; null when that is nothing.
fn claimed(of: &Outputs) -> Option<String> {
    (!of.is_empty()).then(|| joined(&of.list(), i64::to_string, ","))
}

fn joined<T>(of: &[T], text: impl Fn(&T) -> String, separator: &str) -> String {
    of.iter().map(text).collect::<Vec<_>>().join(separator)
}

async fn insert_versions(conn: &mut PgConnection, of: &[NewVersion]) -> Result<(), Error> {
    let holds = |text: fn(&Hold) -> String, separator: &str| {
        of.iter().map(|row| joined(&row.stored.holds, text, separator)).collect::<Vec<_>>()
    };
    sqlx::query(
        "-- field_report.insert_versions
         INSERT INTO report_versions (report_id, version, device_id, device_sequence, content, content_sha256,
                received_at, received_by, clock_offset_ms, captured_at, hold_reasons, hold_texts, hold_subjects, revision,
                amendment)
         SELECT n.report_id, n.version, n.device_id, n.device_sequence, n.content, n.content_sha256,
                n.received_at, n.received_by, n.clock_offset_ms, n.captured_at, string_to_array(n.reasons, ','),
                string_to_array(n.texts, chr(31)), string_to_array(n.subjects, ',')::uuid[], n.revision, n.amendment
           FROM UNNEST($1::uuid[], $2::int[], $3::uuid[], $4::bigint[], $5::bytea[], $6::bytea[], $7::timestamptz[],
                       $8::text[], $9::bigint[], $10::timestamptz[], $11::text[], $12::text[], $13::text[], $14::bigint[],
                       $15::text[])
                AS n(report_id, version, device_id, device_sequence, content, content_sha256, received_at, received_by,
                     clock_offset_ms, captured_at, reasons, texts, subjects, revision, amendment)",
    )
    .bind(of.iter().map(|row| row.stored.id.uuid()).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.stored.version).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.device.uuid()).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.sequence).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.stored.content.as_ref()).collect::<Vec<&[u8]>>())
    .bind(of.iter().map(|row| row.stored.content_sha256).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.stored.received_at.to_sqlx()).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.stored.received_by.as_str()).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.stored.clock_offset_ms).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.stored.captured_at.map(Timestamp::to_sqlx)).collect::<Vec<_>>())
    .bind(holds(|hold| hold.reason.word().to_owned(), ","))
    .bind(holds(|hold| hold.text.clone(), SEPARATOR))
    .bind(holds(|hold| hold.subject.unwrap_or(Uuid::nil()).to_string(), ","))
    .bind(of.iter().map(|row| row.stored.revision).collect::<Vec<_>>())
    .bind(of.iter().map(|row| row.stored.amendment.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn insert_attachments(conn: &mut PgConnection, of: &[NewVersion]) -> Result<(), Error> {
    let files = || {
        of.iter().flat_map(|row| row.attachments.iter().zip(0_i32..).map(move |(file, at)| (row, file, at)))
    };
    if files().next().is_none() {
        return Ok(());
    }
    sqlx::query(
        "-- field_report.insert_attachments
         INSERT INTO report_attachments (report_id, version, ordinal, sha256, size, media_type, name)
         SELECT n.report_id, n.version, n.ordinal, n.sha256, n.size, n.media_type, n.name
           FROM UNNEST($1::uuid[], $2::int[], $3::int[], $4::bytea[], $5::bigint[], $6::text[], $7::text[])
                AS n(report_id, version, ordinal, sha256, size, media_type, name)",
    )
    .bind(files().map(|(row, ..)| row.stored.id.uuid()).collect::<Vec<_>>())
    .bind(files().map(|(row, ..)| row.stored.version).collect::<Vec<_>>())
    .bind(files().map(|(_, _, at)| at).collect::<Vec<_>>())
    .bind(files().map(|(_, file, _)| file.sha256).collect::<Vec<_>>())
    .bind(files().map(|(_, file, _)| file.size).collect::<Vec<_>>())
    .bind(files().map(|(_, file, _)| file.media_type.as_str()).collect::<Vec<_>>())
    .bind(files().map(|(_, file, _)| file.name.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn save_devices(conn: &mut PgConnection, filed: &Filed<'_>) -> Result<(), Error> {
    let runs = |end: fn((i64, i64)) -> i64| {
        let of = |received: &Received| {
            received.runs().map(|run| end(run).to_string()).collect::<Vec<_>>().join(",")
        };
        filed.devices.iter().map(|(_, received)| of(received)).collect::<Vec<_>>()
    };
    sqlx::query(
        "-- field_report.save_devices
         INSERT INTO devices (device_id, organization_id, run_firsts, run_lasts, seen_at)
         SELECT n.device_id, $1, string_to_array(n.firsts, ',')::bigint[], string_to_array(n.lasts, ',')::bigint[], $2
           FROM UNNEST($3::uuid[], $4::text[], $5::text[]) AS n(device_id, firsts, lasts)
         ON CONFLICT (device_id, organization_id) DO UPDATE
            SET run_firsts = excluded.run_firsts, run_lasts = excluded.run_lasts, seen_at = excluded.seen_at",
    )
    .bind(filed.operator.uuid())
    .bind(filed.at.to_sqlx())
    .bind(filed.devices.iter().map(|(device, _)| device.uuid()).collect::<Vec<_>>())
    .bind(runs(|(first, _)| first))
    .bind(runs(|(_, last)| last))
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}
