//! SQL of task licences.

use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::accreditation::TaskLicence;
use crate::domain::ids::{LicenceId, OrganizationId, ProgramId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::text::Reference;
use crate::error::Error;
use crate::store::rows::{corrupt, days};
use crate::store::{broken_constraint, failed};

/// Which licences to list, after which id.
#[derive(Debug, Clone)]
pub struct LicenceFilter {
    /// Of this operator.
    pub operator: OrganizationId,
    /// Only for this task.
    pub task: Option<TaskId>,
    /// Only ids after this one.
    pub after: Uuid,
}

#[derive(FromRow)]
struct LicenceRow {
    organization_id: Uuid,
    licence_id: Uuid,
    authority_id: Uuid,
    program_id: Uuid,
    task_id: Uuid,
    certificate: String,
    first_day: jiff_sqlx::Date,
    last_day: Option<jiff_sqlx::Date>,
    created_at: jiff_sqlx::Timestamp,
    revision: i64,
}

impl TryFrom<LicenceRow> for TaskLicence {
    type Error = Error;

    fn try_from(row: LicenceRow) -> Result<Self, Error> {
        Ok(Self {
            id: LicenceId::new(row.licence_id),
            organization: OrganizationId::new(row.organization_id),
            authority: OrganizationId::new(row.authority_id),
            program: ProgramId::new(row.program_id),
            task: TaskId::new(row.task_id),
            certificate: Reference::parse(&row.certificate).map_err(corrupt("certificate"))?,
            days: days(row.first_day, row.last_day)?,
            created_at: row.created_at.to_jiff(),
            revision: row.revision,
        })
    }
}

/// What a licence needs to know of its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LicensedTask {
    /// Its program.
    pub program: ProgramId,
    /// The authority of its sites, once it has any.
    pub authority: Option<OrganizationId>,
    /// The operator that is to do it, once it is chosen.
    pub operator: Option<OrganizationId>,
}

/// The task of a licence.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.licence.find_task", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "licence.find_task"))]
pub async fn find_licensed_task(
    conn: impl PgExecutor<'_>,
    id: TaskId,
) -> Result<Option<LicensedTask>, Error> {
    let row: Option<(Uuid, Option<Uuid>, Option<Uuid>)> = sqlx::query_as(
        "-- licence.find_task
         SELECT program_id, authority_id, operator_id FROM tasks WHERE task_id = $1",
    )
    .bind(id.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    Ok(row.map(|(program, authority, operator)| LicensedTask {
        program: ProgramId::new(program),
        authority: authority.map(OrganizationId::new),
        operator: operator.map(OrganizationId::new),
    }))
}

/// Adds a licence.
///
/// # Errors
/// Refuses an id that is taken in another operator.
#[tracing::instrument(level = "debug", name = "db.licence.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "licence.insert"))]
pub async fn insert_licence(conn: &mut PgConnection, new: &TaskLicence) -> Result<(), Error> {
    let done = sqlx::query(
        "-- licence.insert
         INSERT INTO licences (organization_id, licence_id, authority_id, program_id, task_id, certificate, first_day,
                last_day, created_at, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(new.organization.uuid())
    .bind(new.id.uuid())
    .bind(new.authority.uuid())
    .bind(new.program.uuid())
    .bind(new.task.uuid())
    .bind(new.certificate.as_str())
    .bind(new.days.first().to_sqlx())
    .bind(new.days.last().map(Date::to_sqlx))
    .bind(new.created_at.to_sqlx())
    .bind(new.revision)
    .execute(conn)
    .await;
    done.map(|_| ()).map_err(|error| match broken_constraint(&error) {
        // The id is of a licence in the journal of another operator.
        Some("licences_pkey") => Error::id_elsewhere(Kind::TaskLicence, new.id, "licence.organization_id"),
        _ => failed(error),
    })
}

/// Licences by id, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.licence.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "licence.list"))]
pub async fn list_licences(
    conn: impl PgExecutor<'_>,
    filter: &LicenceFilter,
    limit: i64,
) -> Result<Vec<TaskLicence>, Error> {
    let rows: Vec<LicenceRow> = sqlx::query_as(
        "-- licence.list
         SELECT organization_id, licence_id, authority_id, program_id, task_id, certificate, first_day, last_day,
                created_at, revision
           FROM licences
          WHERE organization_id = $1 AND $2 < licence_id AND ($3::uuid IS NULL OR task_id = $3)
          ORDER BY licence_id LIMIT $4",
    )
    .bind(filter.operator.uuid())
    .bind(filter.after)
    .bind(filter.task.map(TaskId::uuid))
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(TaskLicence::try_from).collect()
}
