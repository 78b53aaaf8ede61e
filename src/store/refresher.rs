//! SQL of refresher trainings.

use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::accreditation::Refresher;
use crate::domain::ids::{OrganizationId, PersonId, RefresherId};
use crate::domain::kind::Kind;
use crate::domain::text::Note;
use crate::error::Error;
use crate::store::rows::corrupt;
use crate::store::{broken_constraint, failed};

/// Which refreshers to list, after which id.
#[derive(Debug, Clone)]
pub struct RefresherFilter {
    /// Of this operator.
    pub operator: OrganizationId,
    /// Only of this person.
    pub person: Option<PersonId>,
    /// Only ids after this one.
    pub after: Uuid,
}

#[derive(FromRow)]
struct RefresherRow {
    organization_id: Uuid,
    refresher_id: Uuid,
    person_id: Uuid,
    held_on: jiff_sqlx::Date,
    note: String,
    created_at: jiff_sqlx::Timestamp,
    revision: i64,
}

impl TryFrom<RefresherRow> for Refresher {
    type Error = Error;

    fn try_from(row: RefresherRow) -> Result<Self, Error> {
        Ok(Self {
            id: RefresherId::new(row.refresher_id),
            person: PersonId::new(row.person_id),
            organization: OrganizationId::new(row.organization_id),
            held_on: row.held_on.to_jiff(),
            note: Note::parse(&row.note).map_err(corrupt("note"))?,
            created_at: row.created_at.to_jiff(),
            revision: row.revision,
        })
    }
}

/// Adds a refresher.
///
/// # Errors
/// Refuses an id that is taken in another operator.
#[tracing::instrument(level = "debug", name = "db.refresher.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "refresher.insert"))]
pub async fn insert_refresher(conn: &mut PgConnection, new: &Refresher) -> Result<(), Error> {
    let done = sqlx::query(
        "-- refresher.insert
         INSERT INTO refreshers (organization_id, refresher_id, person_id, held_on, note, created_at, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(new.organization.uuid())
    .bind(new.id.uuid())
    .bind(new.person.uuid())
    .bind(new.held_on.to_sqlx())
    .bind(new.note.as_str())
    .bind(new.created_at.to_sqlx())
    .bind(new.revision)
    .execute(conn)
    .await;
    done.map(|_| ()).map_err(|error| match broken_constraint(&error) {
        // The id is of a refresher in the journal of another operator.
        Some("refreshers_pkey") => Error::id_elsewhere(Kind::Refresher, new.id, "refresher.person_id"),
        _ => failed(error),
    })
}

/// Refreshers by id, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.refresher.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "refresher.list"))]
pub async fn list_refreshers(
    conn: impl PgExecutor<'_>,
    filter: &RefresherFilter,
    limit: i64,
) -> Result<Vec<Refresher>, Error> {
    let rows: Vec<RefresherRow> = sqlx::query_as(
        "-- refresher.list
         SELECT organization_id, refresher_id, person_id, held_on, note, created_at, revision
           FROM refreshers
          WHERE organization_id = $1 AND $2 < refresher_id AND ($3::uuid IS NULL OR person_id = $3)
          ORDER BY refresher_id LIMIT $4",
    )
    .bind(filter.operator.uuid())
    .bind(filter.after)
    .bind(filter.person.map(PersonId::uuid))
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Refresher::try_from).collect()
}
