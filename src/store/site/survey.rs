//! SQL of surveys.

use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::{OrganizationId, SiteId, SurveyId};
use crate::domain::kind::Kind;
use crate::domain::site::{Survey, SurveyKind, SurveyResult};
use crate::domain::text::Note;
use crate::error::Error;
use crate::store::rows::{corrupt, word};
use crate::store::{broken_constraint, failed};

#[derive(FromRow)]
struct SurveyRow {
    authority_id: Uuid,
    survey_id: Uuid,
    site_id: Uuid,
    kind: String,
    surveyed_on: jiff_sqlx::Date,
    result: String,
    note: String,
    kept_unsafe: bool,
    created_at: jiff_sqlx::Timestamp,
    revision: i64,
}

impl TryFrom<SurveyRow> for Survey {
    type Error = Error;

    fn try_from(row: SurveyRow) -> Result<Self, Error> {
        Ok(Self {
            id: SurveyId::new(row.survey_id),
            site: SiteId::new(row.site_id),
            authority: OrganizationId::new(row.authority_id),
            kind: word("kind", &row.kind, SurveyKind::from_word)?,
            surveyed_on: row.surveyed_on.to_jiff(),
            result: word("result", &row.result, SurveyResult::from_word)?,
            note: Note::parse(&row.note).map_err(corrupt("note"))?,
            kept_unsafe: row.kept_unsafe,
            created_at: row.created_at.to_jiff(),
            revision: row.revision,
        })
    }
}

/// Adds a survey.
///
/// # Errors
/// `AlreadyExists` when the id is of a survey of another authority.
#[tracing::instrument(level = "debug", name = "db.survey.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "survey.insert"))]
pub async fn insert_survey(conn: &mut PgConnection, new: &Survey) -> Result<(), Error> {
    let done = sqlx::query(
        "-- survey.insert
         INSERT INTO surveys (authority_id, survey_id, site_id, kind, surveyed_on, result, note, kept_unsafe,
                              created_at, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(new.authority.uuid())
    .bind(new.id.uuid())
    .bind(new.site.uuid())
    .bind(new.kind.word())
    .bind(new.surveyed_on.to_sqlx())
    .bind(new.result.word())
    .bind(new.note.as_str())
    .bind(new.kept_unsafe)
    .bind(new.created_at.to_sqlx())
    .bind(new.revision)
    .execute(conn)
    .await;
    match done {
        Ok(_) => Ok(()),
        Err(error) if broken_constraint(&error) == Some("surveys_pkey") => {
            Err(Error::id_elsewhere(Kind::Survey, new.id, "survey.site_id"))
        }
        Err(error) => Err(failed(error)),
    }
}

/// One survey.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.survey.find", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "survey.find"))]
pub async fn find_survey(conn: impl PgExecutor<'_>, id: SurveyId) -> Result<Option<Survey>, Error> {
    let row: Option<SurveyRow> = sqlx::query_as("-- survey.find\nSELECT * FROM surveys WHERE survey_id = $1")
        .bind(id.uuid())
        .fetch_optional(conn)
        .await
        .map_err(failed)?;
    row.map(Survey::try_from).transpose()
}

/// The newest day of a survey of these sites that was kept without following it.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.survey.kept_last", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "survey.kept_last"))]
pub async fn find_kept_last(conn: impl PgExecutor<'_>, sites: &[SiteId]) -> Result<Option<Date>, Error> {
    let day: Option<jiff_sqlx::Date> = sqlx::query_scalar(
        "-- survey.kept_last
         SELECT max(surveyed_on) FROM surveys WHERE site_id = ANY($1) AND kept_unsafe",
    )
    .bind(sites.iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .fetch_one(conn)
    .await
    .map_err(failed)?;
    Ok(day.map(jiff_sqlx::Date::to_jiff))
}

/// Surveys of a site, the newest day first, after one of them; at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.survey.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "survey.list"))]
pub async fn list_surveys(
    conn: impl PgExecutor<'_>,
    site: SiteId,
    after: Option<(Date, SurveyId)>,
    limit: i64,
) -> Result<Vec<Survey>, Error> {
    let rows: Vec<SurveyRow> = sqlx::query_as(
        "-- survey.list
         SELECT * FROM surveys
          WHERE site_id = $1 AND ($2::date IS NULL OR (surveyed_on, survey_id) < ($2, $3))
          ORDER BY surveyed_on DESC, survey_id DESC LIMIT $4",
    )
    .bind(site.uuid())
    .bind(after.map(|(day, _)| day.to_sqlx()))
    .bind(after.map(|(_, id)| id.uuid()))
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Survey::try_from).collect()
}
