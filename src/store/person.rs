//! SQL of people: who they are, and when they last worked or trained.

use std::collections::HashMap;

use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::kind::Kind;
use crate::domain::team::MemberRole;
use crate::error::Error;
use crate::store::failed;

/// Makes a person known.
///
/// # Errors
/// Refuses a person of another operator.
#[tracing::instrument(level = "debug", name = "db.person.save", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "person.save"))]
pub async fn save_person(
    conn: &mut PgConnection,
    operator: OrganizationId,
    person: PersonId,
) -> Result<(), Error> {
    // The row of another operator is left as it is and not returned.
    let saved: Option<Uuid> = sqlx::query_scalar(
        "-- person.save
         INSERT INTO people AS p (organization_id, person_id) VALUES ($1, $2)
         ON CONFLICT (person_id) DO UPDATE SET organization_id = excluded.organization_id
                                         WHERE p.organization_id = excluded.organization_id
         RETURNING person_id",
    )
    .bind(operator.uuid())
    .bind(person.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    if saved.is_some() {
        return Ok(());
    }
    // Whose it is, is nobody's business.
    Err(Error::id_elsewhere(Kind::Person, person, "member.person_id"))
}

/// The operator of a person.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.person.find", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "person.find"))]
pub async fn find_person(conn: impl PgExecutor<'_>, id: PersonId) -> Result<Option<OrganizationId>, Error> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "-- person.find
         SELECT organization_id FROM people WHERE person_id = $1",
    )
    .bind(id.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    Ok(found.map(OrganizationId::new))
}

/// When a person last touched the work, up to a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastTouch {
    /// The last day in an assignment before the day, in a role that must be accredited.
    pub worked: Option<Date>,
    /// The last refresher before or on the day.
    pub refreshed: Option<Date>,
}

#[derive(FromRow)]
struct TouchRow {
    person_id: Uuid,
    worked: Option<jiff_sqlx::Date>,
    refreshed: Option<jiff_sqlx::Date>,
}

/// When each of these persons last worked before a day, and had a refresher before or on it. Every person that was
/// asked for is in the answer.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.person.last_touch", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "person.last_touch"))]
pub async fn last_touch(
    conn: impl PgExecutor<'_>,
    persons: &[Uuid],
    before: Date,
) -> Result<HashMap<Uuid, LastTouch>, Error> {
    // A person's days in assignments never overlap, so the last to end is the last that was worked.
    let rows: Vec<TouchRow> = sqlx::query_as(
        "-- person.last_touch
         SELECT person_id,
                (SELECT LEAST(w.last_day, $2::date - 1) FROM assignment_people w
                  WHERE w.person_id = asked.person_id AND w.first_day < $2 AND w.role = ANY($3)
                  ORDER BY w.last_day DESC LIMIT 1) AS worked,
                (SELECT r.held_on FROM refreshers r
                  WHERE r.person_id = asked.person_id AND r.held_on <= $2
                  ORDER BY r.held_on DESC LIMIT 1) AS refreshed
           FROM UNNEST($1::uuid[]) AS asked(person_id)",
    )
    .bind(persons)
    .bind(before.to_sqlx())
    .bind(MemberRole::words_of_work())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let touch = |row: &TouchRow| LastTouch {
        worked: row.worked.map(jiff_sqlx::Date::to_jiff),
        refreshed: row.refreshed.map(jiff_sqlx::Date::to_jiff),
    };
    Ok(rows.iter().map(|row| (row.person_id, touch(row))).collect())
}
