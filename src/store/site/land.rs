//! SQL of the land ledger.

use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;

use crate::domain::ids::OrganizationId;
use crate::domain::land::Movement;
use crate::error::Error;
use crate::store::failed;

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
                                     effective_on, note)
         SELECT $1, $2, n.ordinal, n.site_id, n.country_code, n.kind, n.area_m2, n.effective_on, n.note
           FROM UNNEST($3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::date[], $8::text[])
                WITH ORDINALITY AS n(site_id, country_code, kind, area_m2, effective_on, note, ordinal)",
    )
    .bind(authority.uuid())
    .bind(revision)
    .bind(movements.iter().map(|of| of.site.uuid()).collect::<Vec<_>>())
    .bind(movements.iter().map(|of| of.country.as_str()).collect::<Vec<_>>())
    .bind(movements.iter().map(|of| of.kind.word()).collect::<Vec<_>>())
    .bind(movements.iter().map(|of| of.area_m2).collect::<Vec<_>>())
    .bind(movements.iter().map(|of| of.effective_on.to_sqlx()).collect::<Vec<_>>())
    .bind(movements.iter().map(|of| of.note.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}
