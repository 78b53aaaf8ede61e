//! SQL of teams.

use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::{OrganizationId, TeamId};
use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;
use crate::domain::team::{Team, TeamState, TeamType};
use crate::domain::text::{Code, Note, Title};
use crate::error::Error;
use crate::store::rows::{corrupt, word};
use crate::store::{broken_constraint, expect_rows, failed};

/// Which teams to list, after which code.
#[derive(Debug, Clone)]
pub struct TeamFilter {
    /// Of this operator.
    pub operator: OrganizationId,
    /// Only this type.
    pub kind: Option<TeamType>,
    /// Only codes that begin so.
    pub code_prefix: String,
    /// Only codes after this one.
    pub after_code: String,
}

#[derive(FromRow)]
struct TeamRow {
    organization_id: Uuid,
    team_id: Uuid,
    code: String,
    name: String,
    r#type: String,
    state: String,
    note: String,
    created_at: jiff_sqlx::Timestamp,
    revision: i64,
}

impl TryFrom<TeamRow> for Team {
    type Error = Error;

    fn try_from(row: TeamRow) -> Result<Self, Error> {
        Ok(Self {
            id: TeamId::new(row.team_id),
            organization: OrganizationId::new(row.organization_id),
            code: Code::parse(&row.code).map_err(corrupt("code"))?,
            name: Title::parse(&row.name).map_err(corrupt("name"))?,
            kind: word("type", &row.r#type, TeamType::from_word)?,
            state: word("state", &row.state, TeamState::from_word)?,
            note: Note::parse(&row.note).map_err(corrupt("note"))?,
            created_at: row.created_at.to_jiff(),
            revision: row.revision,
        })
    }
}

/// Adds a team.
///
/// # Errors
/// Refuses a code that is taken in the operator.
#[tracing::instrument(level = "debug", name = "db.team.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "team.insert"))]
pub async fn insert_team(conn: &mut PgConnection, new: &Team) -> Result<(), Error> {
    let done = sqlx::query(
        "-- team.insert
         INSERT INTO teams (organization_id, team_id, code, name, type, state, note, created_at, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(new.organization.uuid())
    .bind(new.id.uuid())
    .bind(new.code.as_str())
    .bind(new.name.as_str())
    .bind(new.kind.word())
    .bind(new.state.word())
    .bind(new.note.as_str())
    .bind(new.created_at.to_sqlx())
    .bind(new.revision)
    .execute(conn)
    .await;
    match done {
        Ok(_) => Ok(()),
        Err(error) => Err(match broken_constraint(&error) {
            Some("teams_organization_id_code_key") => {
                Refusal::CodeTaken { kind: Kind::Team, code: new.code.clone() }.into()
            }
            // The id is of a team in the journal of another operator.
            Some("teams_pkey") => Error::id_elsewhere(Kind::Team, new.id, "team.organization_id"),
            _ => failed(error),
        }),
    }
}

/// Writes what can change of a team.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.team.update", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "team.update"))]
pub async fn update_team(conn: &mut PgConnection, team: &Team) -> Result<(), Error> {
    let done = sqlx::query(
        "-- team.update
         UPDATE teams SET name = $2, type = $3, state = $4, note = $5, revision = $6 WHERE team_id = $1",
    )
    .bind(team.id.uuid())
    .bind(team.name.as_str())
    .bind(team.kind.word())
    .bind(team.state.word())
    .bind(team.note.as_str())
    .bind(team.revision)
    .execute(conn)
    .await
    .map_err(failed)?;
    expect_rows(done.rows_affected(), 1)
}

/// One team.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.team.find", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "team.find"))]
pub async fn find_team(conn: impl PgExecutor<'_>, id: TeamId) -> Result<Option<Team>, Error> {
    let row: Option<TeamRow> = sqlx::query_as(
        "-- team.find
         SELECT organization_id, team_id, code, name, type, state, note, created_at, revision
           FROM teams WHERE team_id = $1",
    )
    .bind(id.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    row.map(Team::try_from).transpose()
}

/// Teams by code, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.team.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "team.list"))]
pub async fn list_teams(
    conn: impl PgExecutor<'_>,
    filter: &TeamFilter,
    limit: i64,
) -> Result<Vec<Team>, Error> {
    let rows: Vec<TeamRow> = sqlx::query_as(
        "-- team.list
         SELECT organization_id, team_id, code, name, type, state, note, created_at, revision
           FROM teams
          WHERE organization_id = $1 AND $2 < code AND starts_with(code, $3)
            AND ($4::text IS NULL OR type = $4)
          ORDER BY code LIMIT $5",
    )
    .bind(filter.operator.uuid())
    .bind(&filter.after_code)
    .bind(&filter.code_prefix)
    .bind(filter.kind.map(TeamType::word))
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Team::try_from).collect()
}
