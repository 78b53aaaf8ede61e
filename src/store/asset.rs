//! SQL of assets.

use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::{AssetId, OrganizationId};
use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;
use crate::domain::team::{Asset, AssetKind, AssetState};
use crate::domain::text::{Code, Title};
use crate::error::Error;
use crate::store::rows::{corrupt, word};
use crate::store::{broken_constraint, expect_rows, failed};

/// Which assets to list, after which code.
#[derive(Debug, Clone)]
pub struct AssetFilter {
    /// Of this operator.
    pub operator: OrganizationId,
    /// Only this kind.
    pub kind: Option<AssetKind>,
    /// Only in this state.
    pub state: Option<AssetState>,
    /// Only codes that begin so.
    pub code_prefix: String,
    /// Only codes after this one.
    pub after_code: String,
}

#[derive(FromRow)]
struct AssetRow {
    organization_id: Uuid,
    asset_id: Uuid,
    kind: String,
    code: String,
    description: String,
    valid_until: Option<jiff_sqlx::Date>,
    shared_tasks_max: i32,
    state: String,
    created_at: jiff_sqlx::Timestamp,
    revision: i64,
}

impl TryFrom<AssetRow> for Asset {
    type Error = Error;

    fn try_from(row: AssetRow) -> Result<Self, Error> {
        Ok(Self {
            id: AssetId::new(row.asset_id),
            organization: OrganizationId::new(row.organization_id),
            kind: word("kind", &row.kind, AssetKind::from_word)?,
            code: Code::parse(&row.code).map_err(corrupt("code"))?,
            description: Title::parse(&row.description).map_err(corrupt("description"))?,
            valid_until: row.valid_until.map(jiff_sqlx::Date::to_jiff),
            shared_tasks_max: row.shared_tasks_max,
            state: word("state", &row.state, AssetState::from_word)?,
            created_at: row.created_at.to_jiff(),
            revision: row.revision,
        })
    }
}

/// Adds an asset.
///
/// # Errors
/// Refuses a code that is taken in the operator.
#[tracing::instrument(level = "debug", name = "db.asset.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "asset.insert"))]
pub async fn insert_asset(conn: &mut PgConnection, new: &Asset) -> Result<(), Error> {
    let done = sqlx::query(
        "-- asset.insert
         INSERT INTO assets (organization_id, asset_id, kind, code, description, valid_until, shared_tasks_max, state,
                created_at, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(new.organization.uuid())
    .bind(new.id.uuid())
    .bind(new.kind.word())
    .bind(new.code.as_str())
    .bind(new.description.as_str())
    .bind(new.valid_until.map(Date::to_sqlx))
    .bind(new.shared_tasks_max)
    .bind(new.state.word())
    .bind(new.created_at.to_sqlx())
    .bind(new.revision)
    .execute(conn)
    .await;
    done.map(|_| ()).map_err(|error| match broken_constraint(&error) {
        Some("assets_organization_id_code_key") => {
            Refusal::CodeTaken { kind: Kind::Asset, code: new.code.clone() }.into()
        }
        // The id is of an asset in the journal of another operator.
        Some("assets_pkey") => Error::id_elsewhere(Kind::Asset, new.id, "asset.organization_id"),
        _ => failed(error),
    })
}

/// Writes what can change of an asset.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.asset.update", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "asset.update"))]
pub async fn update_asset(conn: &mut PgConnection, asset: &Asset) -> Result<(), Error> {
    let done = sqlx::query(
        "-- asset.update
         UPDATE assets SET description = $2, valid_until = $3, shared_tasks_max = $4, state = $5, revision = $6
          WHERE asset_id = $1",
    )
    .bind(asset.id.uuid())
    .bind(asset.description.as_str())
    .bind(asset.valid_until.map(Date::to_sqlx))
    .bind(asset.shared_tasks_max)
    .bind(asset.state.word())
    .bind(asset.revision)
    .execute(conn)
    .await
    .map_err(failed)?;
    expect_rows(done.rows_affected(), 1)
}

/// One asset.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.asset.find", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "asset.find"))]
pub async fn find_asset(conn: impl PgExecutor<'_>, id: AssetId) -> Result<Option<Asset>, Error> {
    let row: Option<AssetRow> = sqlx::query_as(
        "-- asset.find
         SELECT organization_id, asset_id, kind, code, description, valid_until, shared_tasks_max, state, created_at,
                revision
           FROM assets WHERE asset_id = $1",
    )
    .bind(id.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    row.map(Asset::try_from).transpose()
}

/// Assets by code, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.asset.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "asset.list"))]
pub async fn list_assets(
    conn: impl PgExecutor<'_>,
    filter: &AssetFilter,
    limit: i64,
) -> Result<Vec<Asset>, Error> {
    let rows: Vec<AssetRow> = sqlx::query_as(
        "-- asset.list
         SELECT organization_id, asset_id, kind, code, description, valid_until, shared_tasks_max, state, created_at,
                revision
           FROM assets
          WHERE organization_id = $1 AND $2 < code AND starts_with(code, $3)
            AND ($4::text IS NULL OR kind = $4) AND ($5::text IS NULL OR state = $5)
          ORDER BY code LIMIT $6",
    )
    .bind(filter.operator.uuid())
    .bind(&filter.after_code)
    .bind(&filter.code_prefix)
    .bind(filter.kind.map(AssetKind::word))
    .bind(filter.state.map(AssetState::word))
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Asset::try_from).collect()
}
