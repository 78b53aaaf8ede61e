//! SQL of the land ledger.

use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::{OrganizationId, ReportId, SiteId, TaskId};
use crate::domain::land::{Booked, LandSums, Movement, MovementKind};
use crate::domain::text::{Code, CountryCode, Title};
use crate::error::Error;
use crate::store::failed;
use crate::store::rows::{corrupt, word};

/// Of which sites and days a ledger is.
#[derive(Debug, Clone)]
pub struct LedgerFilter {
    /// Of this authority.
    pub authority: Option<OrganizationId>,
    /// In this country.
    pub country: Option<CountryCode>,
    /// Of this site only.
    pub site: Option<SiteId>,
    /// First day.
    pub first_day: Date,
    /// Last day, not before the first.
    pub last_day: Date,
}

/// A site in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The site.
    pub site: SiteId,
    /// Its code.
    pub code: Code,
    /// Its name today.
    pub name: Title,
    /// What came and went.
    pub sums: LandSums,
}

#[derive(FromRow)]
struct SumsRow {
    opening: i64,
    identified: i64,
    remeasured: i64,
    cancelled: i64,
    reduced: i64,
    cleared: i64,
    split_in: i64,
    split_out: i64,
}

impl From<SumsRow> for LandSums {
    fn from(row: SumsRow) -> Self {
        Self {
            opening: row.opening,
            identified: row.identified,
            remeasured: row.remeasured,
            cancelled: row.cancelled,
            reduced: row.reduced,
            cleared: row.cleared,
            split_in: row.split_in,
            split_out: row.split_out,
        }
    }
}

#[derive(FromRow)]
struct SiteSumsRow {
    site_id: Uuid,
    code: String,
    name: String,
    #[sqlx(flatten)]
    sums: SumsRow,
}

impl TryFrom<SiteSumsRow> for LedgerRow {
    type Error = Error;

    fn try_from(row: SiteSumsRow) -> Result<Self, Error> {
        Ok(Self {
            site: SiteId::new(row.site_id),
            code: Code::parse(&row.code).map_err(corrupt("code"))?,
            name: Title::parse(&row.name).map_err(corrupt("name"))?,
            sums: row.sums.into(),
        })
    }
}

/// Movements up to a day (`$2`) of the sites asked for, added up from a day (`$1`) on.
macro_rules! sums {
    () => {
        "coalesce(sum(area_m2) FILTER (WHERE effective_on < $1), 0)::bigint AS opening,
         coalesce(sum(area_m2) FILTER (WHERE effective_on >= $1 AND kind = 'IDENTIFIED'), 0)::bigint AS identified,
         coalesce(sum(area_m2) FILTER (WHERE effective_on >= $1 AND kind = 'REMEASURED'), 0)::bigint AS remeasured,
         coalesce(sum(area_m2) FILTER (WHERE effective_on >= $1 AND kind = 'CANCELLED'), 0)::bigint AS cancelled,
         coalesce(sum(area_m2) FILTER (WHERE effective_on >= $1 AND kind = 'REDUCED'), 0)::bigint AS reduced,
         coalesce(sum(area_m2) FILTER (WHERE effective_on >= $1 AND kind = 'CLEARED'), 0)::bigint AS cleared,
         coalesce(sum(area_m2) FILTER (WHERE effective_on >= $1 AND kind = 'SPLIT_IN'), 0)::bigint AS split_in,
         coalesce(sum(area_m2) FILTER (WHERE effective_on >= $1 AND kind = 'SPLIT_OUT'), 0)::bigint AS split_out
           FROM land_movements
          WHERE effective_on <= $2 AND ($3::uuid IS NULL OR authority_id = $3)
            AND ($4::text IS NULL OR country_code = $4::bpchar) AND ($5::uuid IS NULL OR site_id = $5)"
    };
}

/// Rows of the ledger by code and id after one of them, at most `limit`. Sites where there was nothing are left out.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.land.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "land.list"))]
pub async fn list_ledger(
    conn: &mut PgConnection,
    filter: &LedgerFilter,
    after: &(String, Uuid),
    limit: i64,
) -> Result<Vec<LedgerRow>, Error> {
    let rows: Vec<SiteSumsRow> = sqlx::query_as(concat!(
        "-- land.list
         WITH summed AS (SELECT site_id, ",
        sums!(),
        " GROUP BY site_id)
         SELECT s.code, s.name, summed.* FROM summed JOIN sites s USING (site_id)
          WHERE (s.code, s.site_id) > ($6, $7)
            AND (opening, identified, remeasured, cancelled, reduced, cleared, split_in, split_out)
                <> (0, 0, 0, 0, 0, 0, 0, 0)
          ORDER BY s.code, s.site_id LIMIT $8"
    ))
    .bind(filter.first_day.to_sqlx())
    .bind(filter.last_day.to_sqlx())
    .bind(filter.authority.map(OrganizationId::uuid))
    .bind(filter.country.as_ref().map(CountryCode::as_str))
    .bind(filter.site.map(SiteId::uuid))
    .bind(&after.0)
    .bind(after.1)
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(LedgerRow::try_from).collect()
}

/// The whole ledger in one row.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.land.total", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "land.total"))]
pub async fn total_ledger(conn: &mut PgConnection, filter: &LedgerFilter) -> Result<LandSums, Error> {
    let row: SumsRow = sqlx::query_as(concat!("-- land.total\nSELECT ", sums!()))
        .bind(filter.first_day.to_sqlx())
        .bind(filter.last_day.to_sqlx())
        .bind(filter.authority.map(OrganizationId::uuid))
        .bind(filter.country.as_ref().map(CountryCode::as_str))
        .bind(filter.site.map(SiteId::uuid))
        .fetch_one(conn)
        .await
        .map_err(failed)?;
    Ok(row.into())
}

/// Everything that was booked of a site, in the order of its days.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.land.of_site", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "land.of_site"))]
pub async fn list_booked(conn: impl PgExecutor<'_>, site: SiteId) -> Result<Vec<Booked>, Error> {
    let rows: Vec<(jiff_sqlx::Date, String)> = sqlx::query_as(
        "-- land.of_site
         SELECT effective_on, kind FROM land_movements WHERE site_id = $1 ORDER BY effective_on, revision, ordinal",
    )
    .bind(site.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let booked = |(day, kind): (jiff_sqlx::Date, String)| {
        Ok(Booked { on: day.to_jiff(), kind: word("kind", &kind, MovementKind::from_word)? })
    };
    rows.into_iter().map(booked).collect()
}

/// Appends the movements of one revision of an authority's journal.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.land.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "land.insert"))]
pub async fn insert_movements(
    conn: &mut PgConnection,
    authority: OrganizationId,
    revision: i64,
    movements: &[Movement],
) -> Result<(), Error> {
    sqlx::query(
        "-- land.insert
         INSERT INTO land_movements (authority_id, revision, ordinal, site_id, country_code, kind, area_m2,
                                     effective_on, note, task_id, report_id)
         SELECT $1, $2, n.ordinal, n.site_id, n.country_code, n.kind, n.area_m2, n.effective_on, n.note, n.task_id,
                n.report_id
           FROM UNNEST($3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::date[], $8::text[], $9::uuid[], $10::uuid[])
                WITH ORDINALITY AS n(site_id, country_code, kind, area_m2, effective_on, note, task_id, report_id,
                                     ordinal)",
    )
    .bind(authority.uuid())
    .bind(revision)
    .bind(movements.iter().map(|of| of.site.uuid()).collect::<Vec<_>>())
    .bind(movements.iter().map(|of| of.country.as_str()).collect::<Vec<_>>())
    .bind(movements.iter().map(|of| of.kind.word()).collect::<Vec<_>>())
    .bind(movements.iter().map(|of| of.area_m2).collect::<Vec<_>>())
    .bind(movements.iter().map(|of| of.effective_on.to_sqlx()).collect::<Vec<_>>())
    .bind(movements.iter().map(|of| of.note.as_str()).collect::<Vec<_>>())
    .bind(movements.iter().map(|of| of.task.map(TaskId::uuid)).collect::<Vec<_>>())
    .bind(movements.iter().map(|of| of.report.map(ReportId::uuid)).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}
