//! What the check of an assignment needs to know about teams and their members, for many teams at once.

use std::collections::HashMap;

use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::domain::assignment::facts::{Busy, CrewMember};
use crate::domain::days::DaySet;
use crate::domain::ids::{AssignmentId, PersonId, TaskId, TeamId};
use crate::domain::team::MemberRole;
use crate::error::Error;
use crate::store::assignment::facts::{BusyRow, Window, interval};
use crate::store::failed;
use crate::store::rows::word;

#[derive(FromRow)]
struct TeamBusyRow {
    team_id: Uuid,
    #[sqlx(flatten)]
    busy: BusyRow,
}

/// The assignments of teams on some days, by team, first day and id.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.list_of_teams", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.list_of_teams"))]
pub async fn list_busy_teams(
    conn: &mut PgConnection,
    teams: &[TeamId],
    window: Window,
) -> Result<HashMap<TeamId, Vec<Busy>>, Error> {
    let rows: Vec<TeamBusyRow> = sqlx::query_as(
        "-- assignment.list_of_teams
         SELECT team_id, assignment_id AS busy_id, task_id AS busy_task_id, first_day AS busy_from,
                last_day AS busy_until
           FROM assignments
          WHERE team_id = ANY($1) AND $2 <= last_day AND first_day <= $3 AND state <> 'CANCELLED'
            AND assignment_id IS DISTINCT FROM $4
          ORDER BY team_id, first_day, assignment_id",
    )
    .bind(teams.iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .bind(window.first.to_sqlx())
    .bind(window.last.to_sqlx())
    .bind(window.except.map(AssignmentId::uuid))
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let mut found: HashMap<TeamId, Vec<Busy>> = HashMap::new();
    for row in rows {
        found.entry(TeamId::new(row.team_id)).or_default().extend(row.busy.read()?);
    }
    Ok(found)
}

#[derive(FromRow)]
struct MemberRow {
    team_id: Uuid,
    person_id: Uuid,
    role: String,
    first_day: jiff_sqlx::Date,
    last_day: jiff_sqlx::Date,
    last_worked: Option<jiff_sqlx::Date>,
    last_refresher: Option<jiff_sqlx::Date>,
    #[sqlx(flatten)]
    busy: BusyRow,
    covers_id: Option<Uuid>,
    covers_task_id: Option<Uuid>,
    covers_from: Option<jiff_sqlx::Date>,
    covers_until: Option<jiff_sqlx::Date>,
}

/// Members of teams on some days, each with the last work and refresher before, and what is in the way. Their
/// accreditation is another question, and empty here. By team, person and day.
///
/// A person's days of work do not overlap, so the last of them has also the greatest last day. Only days in roles that
/// must be accredited are work.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.list_members", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.list_members"))]
pub async fn list_crews(
    conn: &mut PgConnection,
    teams: &[TeamId],
    window: Window,
) -> Result<Vec<(TeamId, CrewMember)>, Error> {
    let rows: Vec<MemberRow> = sqlx::query_as(
        "-- assignment.list_members
         SELECT m.team_id, m.person_id, m.role, m.first_day, m.last_day, m.last_worked, m.last_refresher,
                b.busy_id, b.busy_task_id, b.busy_from, b.busy_until,
                c.covers_id, c.covers_task_id, c.covers_from, c.covers_until
           FROM (SELECT m.team_id, m.person_id, m.role, greatest(m.first_day, $2) AS first_day,
                        least(m.last_day, $3) AS last_day,
                        (SELECT least(w.last_day, greatest(m.first_day, $2) - 1) FROM assignment_people w
                          WHERE w.person_id = m.person_id AND w.first_day < greatest(m.first_day, $2)
                            AND w.role = ANY($6)
                          ORDER BY w.last_day DESC LIMIT 1) AS last_worked,
                        (SELECT r.held_on FROM refreshers r
                          WHERE r.person_id = m.person_id AND r.held_on <= greatest(m.first_day, $2)
                          ORDER BY r.held_on DESC LIMIT 1) AS last_refresher
                   FROM members m
                  WHERE m.team_id = ANY($1) AND m.first_day <= $3 AND (m.last_day IS NULL OR $2 <= m.last_day)) m
           LEFT JOIN LATERAL (
                SELECT x.assignment_id AS busy_id, a.task_id AS busy_task_id, x.first_day AS busy_from,
                       x.last_day AS busy_until
                  FROM assignment_people x JOIN assignments a ON a.assignment_id = x.assignment_id
                 WHERE x.person_id = m.person_id AND m.first_day <= x.last_day AND x.first_day <= m.last_day
                   AND a.team_id <> m.team_id AND x.assignment_id IS DISTINCT FROM $4
                 ORDER BY x.last_day LIMIT 1) b ON TRUE
           LEFT JOIN LATERAL (
                SELECT a.assignment_id AS covers_id, a.task_id AS covers_task_id, a.first_day AS covers_from,
                       a.last_day AS covers_until
                  FROM assignments a
                 WHERE (m.role <> 'PARAMEDIC' OR a.task_id <> $5) AND a.paramedic_id = m.person_id
                   AND m.first_day <= a.last_day AND a.first_day <= m.last_day AND a.state <> 'CANCELLED'
                   AND a.assignment_id IS DISTINCT FROM $4
                 ORDER BY a.last_day, a.assignment_id LIMIT 1) c ON TRUE
          ORDER BY m.team_id, m.person_id, m.first_day",
    )
    .bind(teams.iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .bind(window.first.to_sqlx())
    .bind(window.last.to_sqlx())
    .bind(window.except.map(AssignmentId::uuid))
    .bind(window.task.uuid())
    .bind(MemberRole::words_of_work())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(|row| Ok((TeamId::new(row.team_id), row.read()?))).collect()
}

impl MemberRow {
    fn read(self) -> Result<CrewMember, Error> {
        let covers = match (self.covers_id, self.covers_task_id, self.covers_from) {
            (Some(id), Some(task), Some(from)) => {
                let days = interval(from, self.covers_until)?;
                Some(Busy { assignment: AssignmentId::new(id), task: TaskId::new(task), days })
            }
            _ => None,
        };
        Ok(CrewMember {
            person: PersonId::new(self.person_id),
            role: word("role", &self.role, MemberRole::from_word)?,
            first_day: self.first_day.to_jiff(),
            last_day: self.last_day.to_jiff(),
            accredited: DaySet::default(),
            last_worked: self.last_worked.map(jiff_sqlx::Date::to_jiff),
            last_refresher: self.last_refresher.map(jiff_sqlx::Date::to_jiff),
            busy: self.busy.read()?,
            covers,
        })
    }
}
