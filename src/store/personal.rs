//! SQL of personal data: sealed records, what remains of those that were erased, and who read them.

use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::{OrganizationId, PersonId, ReportId, VictimId};
use crate::domain::personal::{About, ErasedVictim, PersonalAccess, Sealed, SealedRecord};
use crate::error::Error;
use crate::store::failed;

#[derive(FromRow)]
struct SealedRow {
    organization_id: Uuid,
    report_id: Uuid,
    victim_id: Uuid,
    version: i32,
    sealed: Vec<u8>,
    key_id: String,
    stored_at: jiff_sqlx::Timestamp,
}

impl From<SealedRow> for SealedRecord {
    fn from(row: SealedRow) -> Self {
        let about = About {
            operator: OrganizationId::new(row.organization_id),
            report: ReportId::new(row.report_id),
            version: row.version,
            victim: VictimId::new(row.victim_id),
        };
        let sealed = Sealed { key_id: row.key_id, bytes: row.sealed };
        Self { about, sealed, stored_at: row.stored_at.to_jiff() }
    }
}

#[derive(FromRow)]
struct ErasedRow {
    report_id: Uuid,
    victim_id: Uuid,
    reason: String,
    erased_by: String,
    erased_at: jiff_sqlx::Timestamp,
    revision: i64,
}

impl From<ErasedRow> for ErasedVictim {
    fn from(row: ErasedRow) -> Self {
        Self {
            report: ReportId::new(row.report_id),
            victim: VictimId::new(row.victim_id),
            reason: row.reason,
            by: row.erased_by,
            at: row.erased_at.to_jiff(),
            revision: row.revision,
        }
    }
}

/// Stores sealed records. One that is there stays as it is, and one of a victim whose details were erased is left out.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.personal.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "personal.insert", records = new.len()))]
pub async fn insert_records(conn: &mut PgConnection, new: &[SealedRecord]) -> Result<(), Error> {
    sqlx::query(
        "-- personal.insert
         INSERT INTO personal_records (organization_id, report_id, victim_id, version, sealed, key_id, stored_at)
         SELECT n.organization_id, n.report_id, n.victim_id, n.version, n.sealed, n.key_id, n.stored_at
           FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::bytea[], $6::text[], $7::timestamptz[])
                AS n(organization_id, report_id, victim_id, version, sealed, key_id, stored_at)
          WHERE NOT EXISTS (SELECT FROM erased_victims e WHERE e.organization_id = n.organization_id
                               AND e.report_id = n.report_id AND e.victim_id = n.victim_id)
         ON CONFLICT (organization_id, report_id, victim_id, version) DO NOTHING",
    )
    .bind(new.iter().map(|row| row.about.operator.uuid()).collect::<Vec<_>>())
    .bind(new.iter().map(|row| row.about.report.uuid()).collect::<Vec<_>>())
    .bind(new.iter().map(|row| row.about.victim.uuid()).collect::<Vec<_>>())
    .bind(new.iter().map(|row| row.about.version).collect::<Vec<_>>())
    .bind(new.iter().map(|row| row.sealed.bytes.as_slice()).collect::<Vec<_>>())
    .bind(new.iter().map(|row| row.sealed.key_id.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|row| row.stored_at.to_sqlx()).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

/// The newest sealed record of each victim of a report.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.personal.list_newest", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "personal.list_newest"))]
pub async fn list_newest(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    report: ReportId,
) -> Result<Vec<SealedRecord>, Error> {
    let rows: Vec<SealedRow> = sqlx::query_as(
        "-- personal.list_newest
         SELECT DISTINCT ON (victim_id) organization_id, report_id, victim_id, version, sealed, key_id, stored_at
           FROM personal_records WHERE organization_id = $1 AND report_id = $2
          ORDER BY victim_id, version DESC",
    )
    .bind(operator.uuid())
    .bind(report.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(rows.into_iter().map(SealedRecord::from).collect())
}

/// Victims of a report whose details were erased.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.personal.list_erased", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "personal.list_erased"))]
pub async fn list_erased(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    report: ReportId,
) -> Result<Vec<ErasedVictim>, Error> {
    let rows: Vec<ErasedRow> = sqlx::query_as(
        "-- personal.list_erased
         SELECT report_id, victim_id, reason, erased_by, erased_at, revision FROM erased_victims
          WHERE organization_id = $1 AND report_id = $2 ORDER BY victim_id",
    )
    .bind(operator.uuid())
    .bind(report.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(rows.into_iter().map(ErasedVictim::from).collect())
}

/// Deletes every sealed record of a victim, and notes that it was.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.personal.erase", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "personal.erase"))]
pub async fn erase_victim(
    conn: &mut PgConnection,
    operator: OrganizationId,
    erased: &ErasedVictim,
) -> Result<(), Error> {
    sqlx::query(
        "-- personal.erase
         WITH gone AS (
             DELETE FROM personal_records WHERE organization_id = $1 AND report_id = $2 AND victim_id = $3
         )
         INSERT INTO erased_victims (organization_id, report_id, victim_id, reason, erased_by, erased_at, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(operator.uuid())
    .bind(erased.report.uuid())
    .bind(erased.victim.uuid())
    .bind(&erased.reason)
    .bind(&erased.by)
    .bind(erased.at.to_sqlx())
    .bind(erased.revision)
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

/// Notes who read what.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.personal.note_access", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "personal.note_access"))]
pub async fn note_access(
    conn: &mut PgConnection,
    operator: OrganizationId,
    access: &PersonalAccess,
) -> Result<(), Error> {
    sqlx::query(
        "-- personal.note_access
         INSERT INTO personal_access (organization_id, report_id, subject, role, reader_id, purpose, accessed_at,
                victim_ids, person_ids)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(operator.uuid())
    .bind(access.report.map(ReportId::uuid))
    .bind(&access.subject)
    .bind(&access.role)
    .bind(access.reader)
    .bind(&access.purpose)
    .bind(access.at.to_sqlx())
    .bind(access.victims.iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .bind(access.persons.iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

/// Which readings to list, before which one.
#[derive(Debug, Clone)]
pub struct AccessFilter {
    /// Of reports and persons of this operator.
    pub operator: OrganizationId,
    /// Only of this report.
    pub report: Option<ReportId>,
    /// Only of details of this victim.
    pub victim: Option<VictimId>,
    /// Only of the name of this person.
    pub person: Option<PersonId>,
    /// Only by this subject.
    pub subject: Option<String>,
    /// Only those that were noted before this one.
    pub before: i64,
}

#[derive(FromRow)]
struct AccessRow {
    access_id: i64,
    report_id: Option<Uuid>,
    subject: String,
    role: String,
    reader_id: Option<Uuid>,
    purpose: String,
    accessed_at: jiff_sqlx::Timestamp,
    victim_ids: Vec<Uuid>,
    person_ids: Vec<Uuid>,
}

/// Readings with their places in the list, the newest first, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.personal.list_access", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "personal.list_access"))]
pub async fn list_access(
    conn: impl PgExecutor<'_>,
    filter: &AccessFilter,
    limit: i64,
) -> Result<Vec<(i64, PersonalAccess)>, Error> {
    let rows: Vec<AccessRow> = sqlx::query_as(
        "-- personal.list_access
         SELECT access_id, report_id, subject, role, reader_id, purpose, accessed_at, victim_ids, person_ids
           FROM personal_access
          WHERE organization_id = $1 AND access_id < $2
            AND ($3::uuid IS NULL OR report_id = $3)
            AND ($4::uuid IS NULL OR victim_ids @> ARRAY[$4])
            AND ($5::text IS NULL OR subject = $5)
            AND ($7::uuid IS NULL OR person_ids @> ARRAY[$7])
          ORDER BY access_id DESC LIMIT $6",
    )
    .bind(filter.operator.uuid())
    .bind(filter.before)
    .bind(filter.report.map(ReportId::uuid))
    .bind(filter.victim.map(VictimId::uuid))
    .bind(filter.subject.as_deref())
    .bind(limit)
    .bind(filter.person.map(PersonId::uuid))
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let access = |row: AccessRow| {
        let access = PersonalAccess {
            report: row.report_id.map(ReportId::new),
            subject: row.subject,
            role: row.role,
            reader: row.reader_id,
            purpose: row.purpose,
            at: row.accessed_at.to_jiff(),
            victims: row.victim_ids.into_iter().map(VictimId::new).collect(),
            persons: row.person_ids.into_iter().map(PersonId::new).collect(),
        };
        (row.access_id, access)
    };
    Ok(rows.into_iter().map(access).collect())
}

/// Names of the keys with which records and names are sealed.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.personal.list_key_ids", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "personal.list_key_ids"))]
pub async fn list_key_ids(conn: impl PgExecutor<'_>) -> Result<Vec<String>, Error> {
    sqlx::query_scalar(
        "-- personal.list_key_ids
         SELECT key_id FROM personal_records UNION SELECT key_id FROM person_names WHERE key_id IS NOT NULL ORDER BY key_id",
    )
    .fetch_all(conn)
    .await
    .map_err(failed)
}
