//! SQL of sites: one row a site, as it is now. Movements of land, surveys and lists are in the files of `site/`.

pub mod ground;
pub mod land;
pub mod listing;
mod row;
pub mod survey;

use jiff_sqlx::ToSqlx;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, PgExecutor, Postgres};
use uuid::Uuid;

use crate::domain::ids::{OrganizationId, SiteId, SurveyId};
use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;
use crate::domain::site::{Boundary, BoundingBox, LandRelease, Position, Site, SuspensionCause};
use crate::domain::text::{Source, Title};
use crate::error::Error;
use crate::store::site::row::SiteRow;
use crate::store::{broken_constraint, expect_rows, failed};

/// Adds a site. `taken` says what it means that its id is already one of a site.
///
/// # Errors
/// Refuses a code that is taken in the authority, and an id that is taken.
#[tracing::instrument(level = "debug", name = "db.site.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "site.insert"))]
pub async fn insert_site(
    conn: &mut PgConnection,
    new: &Site,
    taken: impl FnOnce() -> Error + Send,
) -> Result<(), Error> {
    let query = sqlx::query(
        "-- site.insert
         INSERT INTO sites (site_id, name, former_names, searched, class, status, area_m2, computed_area_m2,
                boundary_geojson, latitude_e7, longitude_e7, accuracy_m, south_e7, west_e7, north_e7, east_e7,
                information_on, evidence_on, evidence, suspension_cause, release_type, released_on, released_by,
                release_survey_id, release_depth_cm, release_control, handed_over_on, conflict, revision,
                authority_id, country_code, code, time_zone, came_from_id, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                 $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35)",
    );
    let done = bind_changing(query, new)
        .bind(new.authority.uuid())
        .bind(new.country.as_str())
        .bind(new.code.as_str())
        .bind(&new.time_zone)
        .bind(new.came_from.map(SiteId::uuid))
        .bind(new.created_at.to_sqlx())
        .execute(conn)
        .await;
    match done {
        Ok(_) => Ok(()),
        Err(error) => Err(match broken_constraint(&error) {
            Some("sites_authority_id_code_key") => {
                Refusal::CodeTaken { kind: Kind::Site, code: new.code.clone() }.into()
            }
            // The id is of a site that another request made.
            Some("sites_pkey") => taken(),
            _ => failed(error),
        }),
    }
}

/// Writes what can change of a site.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.site.update", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "site.update"))]
pub async fn update_site(conn: &mut PgConnection, site: &Site) -> Result<(), Error> {
    let query = sqlx::query(
        "-- site.update
         UPDATE sites SET name = $2, former_names = $3, searched = $4, class = $5, status = $6, area_m2 = $7,
                computed_area_m2 = $8, boundary_geojson = $9, latitude_e7 = $10, longitude_e7 = $11,
                accuracy_m = $12, south_e7 = $13, west_e7 = $14, north_e7 = $15, east_e7 = $16,
                information_on = $17, evidence_on = $18, evidence = $19, suspension_cause = $20,
                release_type = $21, released_on = $22, released_by = $23, release_survey_id = $24,
                release_depth_cm = $25, release_control = $26, handed_over_on = $27, conflict = $28,
                revision = $29
          WHERE site_id = $1",
    );
    let done = bind_changing(query, site).execute(conn).await.map_err(failed)?;
    expect_rows(done.rows_affected(), 1)
}

/// Binds the id and what can change, `$1` to `$29`.
fn bind_changing<'q>(
    query: Query<'q, Postgres, PgArguments>,
    site: &'q Site,
) -> Query<'q, Postgres, PgArguments> {
    let former: Vec<&str> = site.former_names.iter().map(Title::as_str).collect();
    let Site { boundary, position, bounds, release, .. } = site;
    query
        .bind(site.id.uuid())
        .bind(site.name.as_str())
        .bind(former)
        .bind(searched(site))
        .bind(site.class.word())
        .bind(site.status.word())
        .bind(site.area_m2)
        .bind(boundary.as_ref().map(|of: &Boundary| of.computed_area_m2))
        .bind(boundary.as_ref().map(|of| of.geojson.as_str()))
        .bind(position.map(|of: Position| of.latitude_e7))
        .bind(position.map(|of| of.longitude_e7))
        .bind(position.map(|of| of.accuracy_m))
        .bind(bounds.map(|of: BoundingBox| of.south_e7))
        .bind(bounds.map(|of| of.west_e7))
        .bind(bounds.map(|of| of.north_e7))
        .bind(bounds.map(|of| of.east_e7))
        .bind(site.information_on.to_sqlx())
        .bind(site.evidence_on.to_sqlx())
        .bind(site.evidence.as_str())
        .bind(site.suspension.map(SuspensionCause::word))
        .bind(release.as_ref().map(|of: &LandRelease| of.kind.word()))
        .bind(release.as_ref().map(|of| of.decided_on.to_sqlx()))
        .bind(release.as_ref().map(|of| of.decided_by.as_str()))
        .bind(release.as_ref().and_then(|of| of.survey).map(SurveyId::uuid))
        .bind(release.as_ref().and_then(|of| of.depth_cm))
        .bind(release.as_ref().and_then(|of| of.quality_control.as_ref()).map(Source::as_str))
        .bind(site.handed_over_on.map(ToSqlx::to_sqlx))
        .bind(&site.conflict)
        .bind(site.revision)
}

/// What the text filter looks into.
fn searched(site: &Site) -> String {
    let names = site.former_names.iter().map(Title::as_str);
    let all = [site.code.as_str(), site.name.as_str()].into_iter().chain(names);
    all.collect::<Vec<_>>().join("\n").to_lowercase()
}

/// One site.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.site.find", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "site.find"))]
pub async fn find_site(conn: impl PgExecutor<'_>, id: SiteId) -> Result<Option<Site>, Error> {
    let row: Option<SiteRow> = sqlx::query_as("-- site.find\nSELECT * FROM sites WHERE site_id = $1")
        .bind(id.uuid())
        .fetch_optional(conn)
        .await
        .map_err(failed)?;
    row.map(Site::try_from).transpose()
}

/// Those of these sites that exist, in id order.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.site.find_many", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "site.find_many"))]
pub async fn find_sites(conn: impl PgExecutor<'_>, ids: &[SiteId]) -> Result<Vec<Site>, Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows: Vec<SiteRow> =
        sqlx::query_as("-- site.find_many\nSELECT * FROM sites WHERE site_id = ANY($1) ORDER BY site_id")
            .bind(ids)
            .fetch_all(conn)
            .await
            .map_err(failed)?;
    rows.into_iter().map(Site::try_from).collect()
}

/// Operators that work on one of these sites or are ordered to, or have a team whose assignment there still stands, in
/// id order: each change of a site reaches them.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.site.list_operators", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "site.list_operators"))]
pub async fn list_operators_on(
    conn: impl PgExecutor<'_>,
    sites: &[SiteId],
) -> Result<Vec<OrganizationId>, Error> {
    let ids: Vec<Uuid> = sites.iter().map(|id| id.uuid()).collect();
    let operators: Vec<Uuid> = sqlx::query_scalar(
        "-- site.list_operators
         SELECT DISTINCT t.operator_id FROM task_sites s JOIN tasks t USING (task_id)
          WHERE s.site_id = ANY($1) AND t.operator_id IS NOT NULL
            AND (t.state IN ('ISSUED', 'ACCEPTED', 'MOBILISED', 'ACTIVE', 'SUSPENDED')
              OR EXISTS (SELECT FROM assignments a WHERE a.task_id = t.task_id AND a.state = 'STANDING'))
          ORDER BY t.operator_id",
    )
    .bind(ids)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(operators.into_iter().map(OrganizationId::new).collect())
}

/// A site and those that it came from, itself first.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.site.lineage", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "site.lineage"))]
pub async fn find_lineage(conn: impl PgExecutor<'_>, id: SiteId) -> Result<Vec<SiteId>, Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "-- site.lineage
         WITH RECURSIVE line AS (
             SELECT site_id, came_from_id, 0 AS step FROM sites WHERE site_id = $1
             UNION ALL
             SELECT s.site_id, s.came_from_id, line.step + 1
               FROM line JOIN sites s ON s.site_id = line.came_from_id
         )
         SELECT site_id FROM line ORDER BY step",
    )
    .bind(id.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(ids.into_iter().map(SiteId::new).collect())
}
