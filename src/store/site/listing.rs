//! SQL of the list of sites.
//!
//! A list by box has two good plans, and which one is good depends on how many sites the box holds: few are found by
//! the index of boxes and then sorted, many are passed in the order of their codes until the page is full. PostgreSQL
//! does not know how many a box holds, so they are counted first, up to a bound. The second way reads only
//! `sites_listing_idx`, which holds all that is filtered by; the rows of the page are fetched at the end.

use sqlx::{PgConnection, QueryBuilder};
use uuid::Uuid;

use crate::domain::ids::OrganizationId;
use crate::domain::site::{BoundingBox, HazardClass, Site, SiteStatus};
use crate::domain::text::CountryCode;
use crate::error::Error;
use crate::store::failed;
use crate::store::site::row::SiteRow;

/// From how many sites in a box on they are passed in order instead of being sorted.
const MANY: i64 = 4_000;

/// Which sites to list, after which one.
#[derive(Debug, Clone, Default)]
pub struct SiteFilter {
    /// Of this authority.
    pub authority: Option<OrganizationId>,
    /// In this country.
    pub country: Option<CountryCode>,
    /// Of this class.
    pub class: Option<HazardClass>,
    /// With this status.
    pub status: Option<SiteStatus>,
    /// Whose box meets this one.
    pub bounds: Option<BoundingBox>,
    /// Whose code or a name holds this, in lower case; empty for all.
    pub text: String,
    /// Only after this code and id.
    pub after: Option<(String, Uuid)>,
}

/// Sites by code and id, without their boundaries, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.site.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "site.list"))]
pub async fn list_sites(
    conn: &mut PgConnection,
    filter: &SiteFilter,
    limit: i64,
) -> Result<Vec<Site>, Error> {
    let few = match filter.bounds {
        Some(bounds) => count_in(conn, bounds).await? < MANY,
        None => false,
    };
    let mut query = page(filter, few, limit);
    let rows: Vec<SiteRow> = query.build_query_as().fetch_all(conn).await.map_err(failed)?;
    rows.into_iter().map(Site::try_from).collect()
}

/// How many sites a box holds, counted up to [`MANY`].
async fn count_in(conn: &mut PgConnection, bounds: BoundingBox) -> Result<i64, Error> {
    let mut query =
        QueryBuilder::new("-- site.count_in\nSELECT count(*) FROM (SELECT 1 FROM sites s WHERE true");
    push_box(&mut query, bounds);
    query.push(" LIMIT ").push_bind(MANY).push(") AS found");
    query.build_query_scalar().fetch_one(conn).await.map_err(failed)
}

type Query = QueryBuilder<sqlx::Postgres>;

/// The statement for a page. Conditions that are not asked for are left out, so that each question has its own plan.
fn page(filter: &SiteFilter, few: bool, limit: i64) -> Query {
    let mut query = Query::new("-- site.list\nWITH page AS MATERIALIZED (SELECT code, site_id FROM ");
    match filter.bounds.filter(|_| few) {
        Some(bounds) => {
            query.push("(SELECT * FROM sites s WHERE true");
            push_box(&mut query, bounds);
            // The box alone is looked up; what follows filters what was found.
            query.push(" OFFSET 0) AS s WHERE true");
        }
        None => {
            query.push("sites s WHERE true");
        }
    }
    if let Some(bounds) = filter.bounds.filter(|_| !few) {
        push_degrees(&mut query, bounds);
    }
    push_words(&mut query, filter);
    if let Some((code, id)) = &filter.after {
        query.push(" AND (s.code, s.site_id) > (").push_bind(code.clone());
        query.push(", ").push_bind(*id).push(")");
    }
    query.push(" ORDER BY code, site_id LIMIT ").push_bind(limit);
    query.push(
        ") SELECT authority_id, site_id, country_code, code, name, former_names, class, status, area_m2,
                  computed_area_m2, CASE WHEN computed_area_m2 IS NOT NULL THEN '' END AS boundary_geojson, time_zone, information_on, evidence_on, evidence,
                  came_from_id, suspension_cause, handed_over_on, conflict, created_at, revision,
                  latitude_e7, longitude_e7, accuracy_m, south_e7, west_e7, north_e7, east_e7,
                  release_type, released_on, released_by, release_survey_id, release_depth_cm, release_control
             FROM page JOIN sites s USING (code, site_id) ORDER BY code, site_id",
    );
    query
}

fn push_words(query: &mut Query, filter: &SiteFilter) {
    if let Some(authority) = filter.authority {
        query.push(" AND s.authority_id = ").push_bind(authority.uuid());
    }
    if let Some(country) = filter.country {
        // The column is CHAR(2): compared as text it would not be looked up by an index.
        query.push(" AND s.country_code = ").push_bind(country.as_str().to_owned()).push("::bpchar");
    }
    if let Some(class) = filter.class {
        query.push(" AND s.class = ").push_bind(class.word());
    }
    if let Some(status) = filter.status {
        query.push(" AND s.status = ").push_bind(status.word());
    }
    if !filter.text.is_empty() {
        query.push(" AND 0 < strpos(s.searched, ").push_bind(filter.text.clone()).push(")");
    }
}

/// The boxes meet, by the index of boxes.
fn push_box(query: &mut Query, bounds: BoundingBox) {
    query.push(" AND box(point(s.west_e7, s.south_e7), point(s.east_e7, s.north_e7)) && box(point(");
    query.push_bind(bounds.west_e7).push(", ").push_bind(bounds.south_e7).push("), point(");
    query.push_bind(bounds.east_e7).push(", ").push_bind(bounds.north_e7).push("))");
}

/// The boxes meet, by their degrees.
fn push_degrees(query: &mut Query, bounds: BoundingBox) {
    query.push(" AND s.west_e7 <= ").push_bind(bounds.east_e7);
    query.push(" AND s.east_e7 >= ").push_bind(bounds.west_e7);
    query.push(" AND s.south_e7 <= ").push_bind(bounds.north_e7);
    query.push(" AND s.north_e7 >= ").push_bind(bounds.south_e7);
}
