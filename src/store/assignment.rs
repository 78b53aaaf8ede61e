//! SQL of assignments: writing them, and reading what the check of one needs to know.

pub mod facts;
pub mod held;
pub mod people;
mod rows;

use jiff::civil::Date;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::assignment::Assignment;
use crate::domain::ids::{AssignmentId, OrganizationId, PersonId, TaskId, TeamId};
use crate::domain::kind::Kind;
use crate::domain::text::Reason;
use crate::error::Error;
use crate::store::assignment::rows::{AssignmentRow, FindingRow, PersonRow};
use crate::store::{broken_constraint, expect_rows, failed};

/// Which assignments to list, after which one.
#[derive(Debug, Clone)]
pub struct AssignmentFilter {
    /// Of this operator.
    pub operator: OrganizationId,
    /// Only of this team.
    pub team: Option<TeamId>,
    /// Only to this task.
    pub task: Option<TaskId>,
    /// Only those in which this person works.
    pub person: Option<PersonId>,
    /// Only those that have a day on or after this one.
    pub from: Option<Date>,
    /// Only those that have a day until this one.
    pub until: Option<Date>,
    /// Only those after this one, in the order of first day and id.
    pub after: Option<(Date, AssignmentId)>,
}

/// What two assignments cannot share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The team.
    Team,
    /// One of its members.
    Person,
    /// One of the assets.
    Asset,
}

/// Adds an assignment with its people, assets and overridden findings. `Some` when the database knows better than
/// the check: something in it is taken on one of its days.
///
/// # Errors
/// Refuses an id that is of an assignment in another journal.
#[tracing::instrument(level = "debug", name = "db.assignment.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.insert"))]
pub async fn insert_assignment(conn: &mut PgConnection, new: &Assignment) -> Result<Option<Taken>, Error> {
    let done = insert_row(&mut *conn, new).await;
    let done = match done {
        Ok(()) => insert_people_and_assets(&mut *conn, new).await,
        failed => failed,
    };
    match done {
        Ok(()) => {
            insert_findings(conn, new).await?;
            Ok(None)
        }
        Err(error) => match broken_constraint(&error) {
            Some("assignments_team_excl") => Ok(Some(Taken::Team)),
            Some("assignment_people_person_excl") => Ok(Some(Taken::Person)),
            Some("assignment_assets_asset_excl") => Ok(Some(Taken::Asset)),
            // The id is of an assignment in the journal of another operator.
            Some("assignments_pkey") => {
                Err(Error::id_elsewhere(Kind::Assignment, new.id, "assignment.team_id"))
            }
            _ => Err(failed(error)),
        },
    }
}

async fn insert_row(conn: &mut PgConnection, new: &Assignment) -> Result<(), sqlx::Error> {
    let cover = &new.medical_cover;
    sqlx::query(
        "-- assignment.insert
         INSERT INTO assignments (organization_id, assignment_id, team_id, program_id, task_id, first_day, last_day,
                state, paramedic_id, ambulance_id, hospital, evacuation_minutes, drill_on, override_reason,
                override_by, end_reason, created_at, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
    )
    .bind(new.organization.uuid())
    .bind(new.id.uuid())
    .bind(new.team.uuid())
    .bind(new.program.uuid())
    .bind(new.task.uuid())
    .bind(new.first_day.to_sqlx())
    .bind(new.last_day.to_sqlx())
    .bind(new.state.word())
    .bind(cover.paramedic.uuid())
    .bind(cover.ambulance.uuid())
    .bind(cover.hospital.as_str())
    .bind(cover.evacuation_minutes)
    .bind(cover.drill_on.map(ToSqlx::to_sqlx))
    .bind(new.overridden.as_ref().map(|decision| decision.reason.as_str()))
    .bind(new.overridden.as_ref().map(|decision| decision.by.as_str()))
    .bind(new.end_reason.as_ref().map(Reason::as_str))
    .bind(new.created_at.to_sqlx())
    .bind(new.revision)
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_people_and_assets(conn: &mut PgConnection, new: &Assignment) -> Result<(), sqlx::Error> {
    sqlx::query(
        "-- assignment.insert_people
         WITH people AS (
             INSERT INTO assignment_people (assignment_id, person_id, first_day, last_day, role)
             SELECT $1, n.person_id, n.first_day, n.last_day, m.role
               FROM UNNEST($2::uuid[], $3::date[], $4::date[]) AS n(person_id, first_day, last_day)
               JOIN members m ON m.team_id = $8 AND m.person_id = n.person_id
                AND n.first_day BETWEEN m.first_day AND COALESCE(m.last_day, 'infinity'))
         INSERT INTO assignment_assets (assignment_id, asset_id, first_day, last_day)
         SELECT $1, n.asset_id, $6, $7 FROM UNNEST($5::uuid[]) AS n(asset_id)",
    )
    .bind(new.id.uuid())
    .bind(new.people.iter().map(|of| of.person.uuid()).collect::<Vec<_>>())
    .bind(new.people.iter().map(|of| of.first_day.to_sqlx()).collect::<Vec<_>>())
    .bind(new.people.iter().map(|of| of.last_day.to_sqlx()).collect::<Vec<_>>())
    .bind(new.assets.iter().map(|asset| asset.uuid()).collect::<Vec<_>>())
    .bind(new.first_day.to_sqlx())
    .bind(new.last_day.to_sqlx())
    .bind(new.team.uuid())
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_findings(conn: &mut PgConnection, new: &Assignment) -> Result<(), Error> {
    let Some(decision) = &new.overridden else { return Ok(()) };
    let found = &decision.findings;
    sqlx::query(
        "-- assignment.insert_findings
         INSERT INTO overridden_findings (assignment_id, ordinal, reason, text, subject_id, first_day, blocking_id)
         SELECT $1, n.ordinal, n.reason, n.text, n.subject_id, n.first_day, n.blocking_id
           FROM UNNEST($2::text[], $3::text[], $4::uuid[], $5::date[], $6::uuid[])
                WITH ORDINALITY AS n(reason, text, subject_id, first_day, blocking_id, ordinal)",
    )
    .bind(new.id.uuid())
    .bind(found.iter().map(|finding| finding.reason.word()).collect::<Vec<_>>())
    .bind(found.iter().map(|finding| finding.text.as_str()).collect::<Vec<_>>())
    .bind(found.iter().map(|finding| finding.subject).collect::<Vec<_>>())
    .bind(found.iter().map(|finding| finding.first_day.map(ToSqlx::to_sqlx)).collect::<Vec<_>>())
    .bind(found.iter().map(|finding| finding.blocking.map(AssignmentId::uuid)).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

/// Writes the end of an assignment, and cuts or removes the days of its people and assets.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.end", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.end"))]
pub async fn end_assignment(
    conn: &mut PgConnection,
    ended: &Assignment,
    cancelled: bool,
) -> Result<(), Error> {
    let done = sqlx::query(
        "-- assignment.end
         UPDATE assignments SET last_day = $2, state = $3, end_reason = $4, revision = $5 WHERE assignment_id = $1",
    )
    .bind(ended.id.uuid())
    .bind(ended.last_day.to_sqlx())
    .bind(ended.state.word())
    .bind(ended.end_reason.as_ref().map(Reason::as_str))
    .bind(ended.revision)
    .execute(&mut *conn)
    .await
    .map_err(failed)?;
    expect_rows(done.rows_affected(), 1)?;
    sqlx::query(
        "-- assignment.cut
         WITH gone AS (
             DELETE FROM assignment_people WHERE assignment_id = $1 AND ($3 OR $2 < first_day)),
         cut AS (
             UPDATE assignment_people SET last_day = $2
              WHERE assignment_id = $1 AND NOT $3 AND first_day <= $2 AND $2 < last_day),
         free AS (
             DELETE FROM assignment_assets WHERE assignment_id = $1 AND ($3 OR $2 < first_day))
         UPDATE assignment_assets SET last_day = $2
          WHERE assignment_id = $1 AND NOT $3 AND first_day <= $2 AND $2 < last_day",
    )
    .bind(ended.id.uuid())
    .bind(ended.last_day.to_sqlx())
    .bind(cancelled)
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

/// One assignment.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.find", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.find"))]
pub async fn find_assignment(conn: &mut PgConnection, id: AssignmentId) -> Result<Option<Assignment>, Error> {
    let found = find_assignments(conn, &[id]).await?;
    Ok(found.into_iter().next())
}

/// The operator of an assignment.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.find_operator", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.find_operator"))]
pub async fn find_operator_of(
    conn: impl PgExecutor<'_>,
    id: AssignmentId,
) -> Result<Option<OrganizationId>, Error> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "-- assignment.find_operator
         SELECT organization_id FROM assignments WHERE assignment_id = $1",
    )
    .bind(id.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    Ok(found.map(OrganizationId::new))
}

/// Assignments by id, in the order of first day and id. Unknown ids are missing from the answer.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.find_many", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.find_many"))]
pub async fn find_assignments(
    conn: &mut PgConnection,
    ids: &[AssignmentId],
) -> Result<Vec<Assignment>, Error> {
    let rows: Vec<AssignmentRow> = sqlx::query_as(
        "-- assignment.find_many
         SELECT organization_id, assignment_id, team_id, program_id, task_id, first_day, last_day, state,
                paramedic_id, ambulance_id, hospital, evacuation_minutes, drill_on, override_reason, override_by,
                end_reason, created_at, revision
           FROM assignments WHERE assignment_id = ANY($1) ORDER BY first_day, assignment_id",
    )
    .bind(ids.iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await
    .map_err(failed)?;
    complete(conn, rows).await
}

/// Assignments in the order of first day and id, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.list"))]
pub async fn list_assignments(
    conn: &mut PgConnection,
    filter: &AssignmentFilter,
    limit: i64,
) -> Result<Vec<Assignment>, Error> {
    let rows: Vec<AssignmentRow> = sqlx::query_as(
        "-- assignment.list
         SELECT organization_id, assignment_id, team_id, program_id, task_id, first_day, last_day, state,
                paramedic_id, ambulance_id, hospital, evacuation_minutes, drill_on, override_reason, override_by,
                end_reason, created_at, revision
           FROM assignments a
          WHERE organization_id = $1
            AND ($2::uuid IS NULL OR team_id = $2)
            AND ($3::uuid IS NULL OR task_id = $3)
            AND ($4::uuid IS NULL OR assignment_id = ANY(ARRAY(
                    SELECT assignment_id FROM assignment_people WHERE person_id = $4)))
            AND ($5::date IS NULL OR $5 <= last_day)
            AND ($6::date IS NULL OR first_day <= $6)
            AND ($7::date IS NULL OR ($7, $8) < (first_day, assignment_id))
          ORDER BY first_day, assignment_id LIMIT $9",
    )
    .bind(filter.operator.uuid())
    .bind(filter.team.map(TeamId::uuid))
    .bind(filter.task.map(TaskId::uuid))
    .bind(filter.person.map(PersonId::uuid))
    .bind(filter.from.map(ToSqlx::to_sqlx))
    .bind(filter.until.map(ToSqlx::to_sqlx))
    .bind(filter.after.map(|(day, _)| day.to_sqlx()))
    .bind(filter.after.map(|(_, id)| id.uuid()))
    .bind(limit)
    .fetch_all(&mut *conn)
    .await
    .map_err(failed)?;
    complete(conn, rows).await
}

/// Adds people, assets and overridden findings: three queries, however many assignments there are.
async fn complete(conn: &mut PgConnection, rows: Vec<AssignmentRow>) -> Result<Vec<Assignment>, Error> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.assignment_id).collect();
    let people: Vec<PersonRow> = sqlx::query_as(
        "-- assignment.list_people
         SELECT assignment_id, person_id, first_day, last_day FROM assignment_people
          WHERE assignment_id = ANY($1) ORDER BY assignment_id, person_id, first_day",
    )
    .bind(&ids)
    .fetch_all(&mut *conn)
    .await
    .map_err(failed)?;
    let assets: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "-- assignment.list_assets
         SELECT assignment_id, asset_id FROM assignment_assets
          WHERE assignment_id = ANY($1) ORDER BY assignment_id, asset_id",
    )
    .bind(&ids)
    .fetch_all(&mut *conn)
    .await
    .map_err(failed)?;
    let overridden: Vec<Uuid> =
        rows.iter().filter(|row| row.override_reason.is_some()).map(|row| row.assignment_id).collect();
    let mut findings: Vec<FindingRow> = Vec::new();
    if !overridden.is_empty() {
        findings = sqlx::query_as(
            "-- assignment.list_findings
             SELECT assignment_id, reason, text, subject_id, first_day, blocking_id FROM overridden_findings
              WHERE assignment_id = ANY($1) ORDER BY assignment_id, ordinal",
        )
        .bind(&overridden)
        .fetch_all(conn)
        .await
        .map_err(failed)?;
    }
    rows.into_iter().map(|row| row.with(&people, &assets, &findings)).collect()
}
