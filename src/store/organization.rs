//! SQL of organizations.

use jiff_sqlx::ToSqlx as _;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::OrganizationId;
use crate::domain::kind::Kind;
use crate::domain::organization::{Organization, OrganizationKind};
use crate::domain::refusal::Refusal;
use crate::domain::text::CountryCode;
use crate::error::Error;
use crate::store::rows::OrganizationRow;
use crate::store::{broken_constraint, failed};

/// Which organizations to list, after which code.
#[derive(Debug, Clone, Default)]
pub struct OrganizationFilter {
    /// Only this kind.
    pub kind: Option<OrganizationKind>,
    /// Only this country.
    pub country: Option<String>,
    /// Only codes that begin so.
    pub code_prefix: String,
    /// Only codes after this one.
    pub after_code: String,
}

/// Adds an organization.
///
/// # Errors
/// Refuses a code that is taken.
#[tracing::instrument(level = "debug", name = "db.organization.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "organization.insert"))]
pub async fn insert_organization(conn: &mut PgConnection, new: &Organization) -> Result<(), Error> {
    let done = sqlx::query(
        "-- organization.insert
         INSERT INTO organizations (organization_id, kind, code, name, country_code, created_at, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(new.id.uuid())
    .bind(new.kind.word())
    .bind(new.code.as_str())
    .bind(new.name.as_str())
    .bind(new.country.as_ref().map(CountryCode::as_str))
    .bind(new.created_at.to_sqlx())
    .bind(new.revision)
    .execute(conn)
    .await;
    match done {
        Ok(_) => Ok(()),
        Err(error) if broken_constraint(&error) == Some("organizations_code_key") => {
            Err(Refusal::CodeTaken { kind: Kind::Organization, code: new.code.clone() }.into())
        }
        Err(error) => Err(failed(error)),
    }
}

/// One organization.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.organization.find", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "organization.find"))]
pub async fn find_organization(
    conn: impl PgExecutor<'_>,
    id: OrganizationId,
) -> Result<Option<Organization>, Error> {
    let row: Option<OrganizationRow> = sqlx::query_as(
        "-- organization.find
         SELECT organization_id, kind, code, name, country_code, created_at, revision
           FROM organizations WHERE organization_id = $1",
    )
    .bind(id.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    row.map(Organization::try_from).transpose()
}

/// Which of these organizations exist.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.organization.find_known", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "organization.find_known"))]
pub async fn find_known_organizations(conn: impl PgExecutor<'_>, ids: &[Uuid]) -> Result<Vec<Uuid>, Error> {
    sqlx::query_scalar(
        "-- organization.find_known
         SELECT organization_id FROM organizations WHERE organization_id = ANY($1)",
    )
    .bind(ids)
    .fetch_all(conn)
    .await
    .map_err(failed)
}

/// Organizations by code, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.organization.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "organization.list"))]
pub async fn list_organizations(
    conn: impl PgExecutor<'_>,
    filter: &OrganizationFilter,
    limit: i64,
) -> Result<Vec<Organization>, Error> {
    let rows: Vec<OrganizationRow> = sqlx::query_as(
        "-- organization.list
         SELECT organization_id, kind, code, name, country_code, created_at, revision
           FROM organizations
          WHERE code > $1 AND starts_with(code, $2)
            AND ($3::text IS NULL OR kind = $3) AND ($4::text IS NULL OR country_code = $4)
          ORDER BY code LIMIT $5",
    )
    .bind(&filter.after_code)
    .bind(&filter.code_prefix)
    .bind(filter.kind.map(OrganizationKind::word))
    .bind(filter.country.as_deref())
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Organization::try_from).collect()
}
