//! SQL of names of persons: kept apart, and erased for good.

use std::collections::HashMap;

use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::personal::{ErasedPerson, KeptName, NameDigest, PersonName, Sealed};
use crate::domain::text::Title;
use crate::error::Error;
use crate::store::failed;
use crate::store::rows::corrupt;

#[derive(FromRow)]
struct NameRow {
    organization_id: Uuid,
    person_id: Uuid,
    name: Option<String>,
    salt: Option<Vec<u8>>,
    sealed: Option<Vec<u8>>,
    key_id: Option<String>,
}

impl NameRow {
    fn read(self) -> Result<(OrganizationId, PersonId, KeptName), Error> {
        let kept = match (self.name, self.salt, self.sealed, self.key_id) {
            (Some(name), Some(salt), _, _) => KeptName::Plain(PersonName {
                salt: salt.try_into().map_err(|_| Error::bug("a stored salt has another length"))?,
                name: Title::parse(&name).map_err(corrupt("name"))?,
            }),
            (_, _, Some(bytes), Some(key_id)) => KeptName::Sealed(Sealed { key_id, bytes }),
            _ => return Err(Error::bug(format!("nothing is kept of the name of person {}", self.person_id))),
        };
        Ok((OrganizationId::new(self.organization_id), PersonId::new(self.person_id), kept))
    }
}

/// Columns of a kept name: name, salt, sealed, key id.
type Columns<'k> = (Option<&'k str>, Option<&'k [u8]>, Option<&'k [u8]>, Option<&'k str>);

fn columns(kept: &KeptName) -> Columns<'_> {
    match kept {
        KeptName::Plain(of) => (Some(of.name.as_str()), Some(&of.salt), None, None),
        KeptName::Sealed(of) => (None, None, Some(&of.bytes), Some(&of.key_id)),
    }
}

/// Names of persons of an operator, by person. Of those who are not its persons, or were erased, there are none.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.person_name.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "person_name.list"))]
pub async fn list_names(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    persons: &[PersonId],
) -> Result<HashMap<PersonId, KeptName>, Error> {
    let rows: Vec<NameRow> = sqlx::query_as(
        "-- person_name.list
         SELECT organization_id, person_id, name, salt, sealed, key_id FROM person_names
          WHERE organization_id = $1 AND person_id = ANY($2)",
    )
    .bind(operator.uuid())
    .bind(persons.iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(|row| row.read().map(|(_, person, kept)| (person, kept))).collect()
}

/// Keeps the name of a person who is known and was not erased.
///
/// # Errors
/// `Contended` when a name that was to be kept in plain was sealed meanwhile; otherwise fails when the database does.
#[tracing::instrument(level = "debug", name = "db.person_name.save", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "person_name.save"))]
pub async fn save_name(
    conn: &mut PgConnection,
    (operator, person): (OrganizationId, PersonId),
    kept: &KeptName,
    digest: NameDigest,
) -> Result<(), Error> {
    let (name, salt, sealed, key_id) = columns(kept);
    let done = sqlx::query(
        "-- person_name.save
         INSERT INTO person_names AS p (organization_id, person_id, digest, name, salt, sealed, key_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (organization_id, person_id) DO UPDATE
            SET digest = excluded.digest, name = excluded.name, salt = excluded.salt, sealed = excluded.sealed,
                key_id = excluded.key_id
          WHERE p.sealed IS NULL OR excluded.sealed IS NOT NULL",
    )
    .bind(operator.uuid())
    .bind(person.uuid())
    .bind(digest.as_slice())
    .bind(name)
    .bind(salt)
    .bind(sealed)
    .bind(key_id)
    .execute(conn)
    .await
    .map_err(failed)?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(Error::Contended) }
}

/// Names that are kept in plain, at most `limit`, in the order of operators and persons.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.person_name.list_plain", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "person_name.list_plain"))]
pub async fn list_plain_names(
    conn: impl PgExecutor<'_>,
    limit: i64,
) -> Result<Vec<(OrganizationId, PersonId, KeptName)>, Error> {
    let rows: Vec<NameRow> = sqlx::query_as(
        "-- person_name.list_plain
         SELECT organization_id, person_id, name, salt, sealed, key_id FROM person_names
          WHERE name IS NOT NULL ORDER BY organization_id, person_id LIMIT $1",
    )
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(NameRow::read).collect()
}

/// Puts a sealed name in the place of the same one in plain. A name that was changed or erased meanwhile stays as it is:
/// answers whether it did, as 1 or 0.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.person_name.seal", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "person_name.seal"))]
pub async fn seal_name(
    conn: impl PgExecutor<'_>,
    (operator, person): (OrganizationId, PersonId),
    plain: &PersonName,
    sealed: &Sealed,
) -> Result<u64, Error> {
    let done = sqlx::query(
        "-- person_name.seal
         UPDATE person_names SET name = NULL, salt = NULL, sealed = $5, key_id = $6
          WHERE organization_id = $1 AND person_id = $2 AND name = $3 AND salt = $4",
    )
    .bind(operator.uuid())
    .bind(person.uuid())
    .bind(plain.name.as_str())
    .bind(plain.salt.as_slice())
    .bind(&sealed.bytes)
    .bind(&sealed.key_id)
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(done.rows_affected())
}

#[derive(FromRow)]
struct ErasedRow {
    organization_id: Uuid,
    person_id: Uuid,
    reason: String,
    erased_by: String,
    erased_at: jiff_sqlx::Timestamp,
    revision: i64,
}

impl From<ErasedRow> for ErasedPerson {
    fn from(row: ErasedRow) -> Self {
        Self {
            person: PersonId::new(row.person_id),
            operator: OrganizationId::new(row.organization_id),
            reason: row.reason,
            by: row.erased_by,
            at: row.erased_at.to_jiff(),
            revision: row.revision,
        }
    }
}

/// What remains of a person who was erased; none of anybody else.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.person_name.find_erased", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "person_name.find_erased"))]
pub async fn find_erased_person(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    person: PersonId,
) -> Result<Option<ErasedPerson>, Error> {
    let row: Option<ErasedRow> = sqlx::query_as(
        "-- person_name.find_erased
         SELECT organization_id, person_id, reason, erased_by, erased_at, revision FROM erased_persons
          WHERE organization_id = $1 AND person_id = $2",
    )
    .bind(operator.uuid())
    .bind(person.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    Ok(row.map(ErasedPerson::from))
}

/// Deletes the name of a person with its salt, and notes that it was.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.person_name.erase", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "person_name.erase"))]
pub async fn erase_name(conn: &mut PgConnection, erased: &ErasedPerson) -> Result<(), Error> {
    sqlx::query(
        "-- person_name.erase
         WITH gone AS (
             DELETE FROM person_names WHERE organization_id = $1 AND person_id = $2
         )
         INSERT INTO erased_persons (organization_id, person_id, reason, erased_by, erased_at, revision)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(erased.operator.uuid())
    .bind(erased.person.uuid())
    .bind(&erased.reason)
    .bind(&erased.by)
    .bind(erased.at.to_sqlx())
    .bind(erased.revision)
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}
