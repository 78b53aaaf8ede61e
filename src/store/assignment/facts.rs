//! What the check of an assignment needs to know about the task, the equipment and the medical cover. Each function
//! is one query, however much there is to know.

use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::activity::ActivityType;
use crate::domain::assignment::facts::{Busy, GearItem, OtherWork, Paramedic, Stop, Work, WorkSite};
use crate::domain::days::{DaySet, Days};
use crate::domain::ids::{
    AssetId, AssignmentId, OrganizationId, PersonId, ProgramId, SafetyStopId, SiteId, TaskId, TeamId,
};
use crate::domain::site::SiteStatus;
use crate::domain::task::TaskState;
use crate::domain::team::{AssetKind, AssetState, MemberRole, TeamType};
use crate::domain::text::Code;
use crate::error::Error;
use crate::store::failed;
use crate::store::rows::{corrupt, word};

/// Which bookings are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first day.
    pub first: jiff::civil::Date,
    /// The last day, inclusive.
    pub last: jiff::civil::Date,
    /// The task for which they would be in the way.
    pub task: TaskId,
    /// An assignment that is not in its own way.
    pub except: Option<AssignmentId>,
}

/// Which day it is where nothing says where.
pub(super) const NO_ZONE: &str = "UTC";

/// The office of the program of a task.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.find_office", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.find_office"))]
pub async fn find_office_of_task(
    conn: impl PgExecutor<'_>,
    task: TaskId,
) -> Result<Option<OrganizationId>, Error> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "-- assignment.find_office
         SELECT p.office_id FROM tasks t JOIN programs p ON p.program_id = t.program_id WHERE t.task_id = $1",
    )
    .bind(task.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    Ok(found.map(OrganizationId::new))
}

#[derive(FromRow)]
struct WorkRow {
    task_id: Uuid,
    program_id: Uuid,
    office_id: Uuid,
    code: String,
    state: String,
    operator_id: Option<Uuid>,
    authority_id: Option<Uuid>,
    activity: Option<String>,
    team_type: Option<String>,
    first_day: Option<jiff_sqlx::Date>,
    last_day: Option<jiff_sqlx::Date>,
    site_ids: Vec<Uuid>,
    site_codes: Vec<String>,
    site_statuses: Vec<String>,
    time_zone: Option<String>,
    stop_ids: Vec<Uuid>,
    stop_targets: Vec<String>,
    licensed_from: Vec<jiff_sqlx::Date>,
    licensed_until: Vec<Option<jiff_sqlx::Date>>,
    needs_licence: bool,
}

/// A task as far as an assignment goes, and the days on which an operator has a licence for it: none when it needs
/// none, because none was ever given for it. Only those of the authority of its sites count. `None` when there is no
/// such task.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.find_work", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.find_work"))]
pub async fn find_work(
    conn: &mut PgConnection,
    task: TaskId,
    operator: OrganizationId,
) -> Result<Option<(Work, Option<DaySet>)>, Error> {
    let row: Option<WorkRow> = sqlx::query_as(
        "-- assignment.find_work
         SELECT t.task_id, t.program_id, p.office_id, t.code, t.state, t.operator_id, t.authority_id, t.activity,
                t.team_type, t.first_day, t.last_day, s.site_ids, s.site_codes, s.site_statuses, s.time_zone,
                k.stop_ids, k.stop_targets, l.licensed_from, l.licensed_until,
                EXISTS (SELECT FROM licences n
                         WHERE n.task_id = t.task_id
                           AND (t.authority_id IS NULL OR n.authority_id = t.authority_id)) AS needs_licence
           FROM tasks t
           JOIN programs p ON p.program_id = t.program_id
          CROSS JOIN LATERAL (
                SELECT coalesce(array_agg(s.site_id ORDER BY x.ordinal), '{}') AS site_ids,
                       coalesce(array_agg(s.code ORDER BY x.ordinal), '{}') AS site_codes,
                       coalesce(array_agg(s.status ORDER BY x.ordinal), '{}') AS site_statuses,
                       (array_agg(s.time_zone ORDER BY x.ordinal))[1] AS time_zone
                  FROM task_sites x JOIN sites s ON s.site_id = x.site_id
                 WHERE x.task_id = t.task_id) s
          CROSS JOIN LATERAL (
                SELECT coalesce(array_agg(k.safety_stop_id ORDER BY k.safety_stop_id), '{}') AS stop_ids,
                       coalesce(array_agg(k.target ORDER BY k.safety_stop_id), '{}') AS stop_targets
                  FROM safety_stops k
                 WHERE k.lifted_at IS NULL AND k.target_id = ANY(s.site_ids || ARRAY[t.task_id, $2])
                   -- Ids are made by clients: one of a task may be that of an operator.
                   AND CASE k.target WHEN 'TASK' THEN k.target_id = t.task_id
                                     WHEN 'OPERATOR' THEN k.target_id = $2
                                     ELSE k.target_id = ANY(s.site_ids) END) k
          CROSS JOIN LATERAL (
                SELECT coalesce(array_agg(l.first_day ORDER BY l.licence_id), '{}') AS licensed_from,
                       coalesce(array_agg(l.last_day ORDER BY l.licence_id), '{}') AS licensed_until
                  FROM licences l
                 WHERE l.task_id = t.task_id AND l.organization_id = $2
                   AND (t.authority_id IS NULL OR l.authority_id = t.authority_id)) l
          WHERE t.task_id = $1",
    )
    .bind(task.uuid())
    .bind(operator.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    row.map(WorkRow::read).transpose()
}

impl WorkRow {
    fn read(self) -> Result<(Work, Option<DaySet>), Error> {
        let days = match self.first_day {
            Some(first) => Some(interval(first, self.last_day)?),
            None => None,
        };
        let sites = self.site_ids.iter().zip(&self.site_codes).zip(&self.site_statuses);
        let sites = sites.map(|((id, code), status)| {
            Ok(WorkSite {
                id: SiteId::new(*id),
                code: Code::parse(code).map_err(corrupt("code"))?,
                status: word("status", status, SiteStatus::from_word)?,
            })
        });
        let stops = self.stop_ids.iter().zip(self.stop_targets);
        let stops = stops.map(|(id, target)| Stop { id: SafetyStopId::new(*id), target });
        let licences = self.licensed_from.into_iter().zip(self.licensed_until);
        let licences: Vec<Days> =
            licences.map(|(first, last)| interval(first, last)).collect::<Result<_, _>>()?;
        let activity = self.activity.map(|text| word("activity", &text, ActivityType::from_word));
        let team_type = self.team_type.map(|text| word("team_type", &text, TeamType::from_word));
        let work = Work {
            task: TaskId::new(self.task_id),
            program: ProgramId::new(self.program_id),
            office: OrganizationId::new(self.office_id),
            code: Code::parse(&self.code).map_err(corrupt("code"))?,
            state: word("state", &self.state, TaskState::from_word)?,
            operator: self.operator_id.map(OrganizationId::new),
            authority: self.authority_id.map(OrganizationId::new),
            activity: activity.transpose()?,
            team_type: team_type.transpose()?,
            days,
            sites: sites.collect::<Result<_, Error>>()?,
            time_zone: self.time_zone.unwrap_or_else(|| NO_ZONE.to_owned()),
            stops: stops.collect(),
        };
        Ok((work, self.needs_licence.then(|| DaySet::of(licences))))
    }
}

/// Days of a row.
pub(super) fn interval(first: jiff_sqlx::Date, last: Option<jiff_sqlx::Date>) -> Result<Days, Error> {
    Days::new(first.to_jiff(), last.map(jiff_sqlx::Date::to_jiff)).map_err(corrupt("last_day"))
}

/// An assignment that is in the way; all columns are null when there is none.
#[derive(FromRow)]
#[expect(clippy::struct_field_names, reason = "they are names of columns beside others")]
pub(super) struct BusyRow {
    pub(super) busy_id: Option<Uuid>,
    busy_task_id: Option<Uuid>,
    busy_from: Option<jiff_sqlx::Date>,
    busy_until: Option<jiff_sqlx::Date>,
}

impl BusyRow {
    pub(super) fn read(&self) -> Result<Option<Busy>, Error> {
        let (Some(id), Some(task), Some(from)) = (self.busy_id, self.busy_task_id, self.busy_from) else {
            return Ok(None);
        };
        let days = interval(from, self.busy_until)?;
        Ok(Some(Busy { assignment: AssignmentId::new(id), task: TaskId::new(task), days }))
    }
}

#[derive(FromRow)]
struct GearRow {
    asset_id: Uuid,
    kind: String,
    code: String,
    valid_until: Option<jiff_sqlx::Date>,
    shared_tasks_max: i32,
    state: String,
    #[sqlx(flatten)]
    busy: BusyRow,
}

/// Assets of an operator, each with the first assignment that takes it along on some days. Those of other operators
/// are missing from the answer, as unknown ones are.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.list_gear", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.list_gear"))]
pub async fn list_gear(
    conn: &mut PgConnection,
    operator: OrganizationId,
    assets: &[AssetId],
    window: Window,
) -> Result<Vec<GearItem>, Error> {
    let rows: Vec<GearRow> = sqlx::query_as(
        "-- assignment.list_gear
         SELECT a.asset_id, a.kind, a.code, a.valid_until, a.shared_tasks_max, a.state,
                b.busy_id, b.busy_task_id, b.busy_from, b.busy_until
           FROM assets a
           LEFT JOIN LATERAL (
                SELECT x.assignment_id AS busy_id, s.task_id AS busy_task_id, x.first_day AS busy_from,
                       x.last_day AS busy_until
                  FROM assignment_assets x JOIN assignments s ON s.assignment_id = x.assignment_id
                 WHERE x.asset_id = a.asset_id AND $3 <= x.last_day AND x.first_day <= $4
                   AND x.assignment_id IS DISTINCT FROM $5
                 ORDER BY x.last_day LIMIT 1) b ON TRUE
          WHERE a.asset_id = ANY($2) AND a.organization_id = $1
          ORDER BY a.asset_id",
    )
    .bind(operator.uuid())
    .bind(assets.iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .bind(window.first.to_sqlx())
    .bind(window.last.to_sqlx())
    .bind(window.except.map(AssignmentId::uuid))
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let read = |row: GearRow| {
        Ok(GearItem {
            id: AssetId::new(row.asset_id),
            kind: word("kind", &row.kind, AssetKind::from_word)?,
            code: Code::parse(&row.code).map_err(corrupt("code"))?,
            valid_until: row.valid_until.map(jiff_sqlx::Date::to_jiff),
            shared_tasks_max: row.shared_tasks_max,
            state: word("state", &row.state, AssetState::from_word)?,
            busy: row.busy.read()?,
        })
    };
    rows.into_iter().map(read).collect()
}

/// The assignments that an ambulance covers on some days, by first day and id.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.list_covered", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.list_covered"))]
pub async fn list_covered(
    conn: &mut PgConnection,
    ambulance: AssetId,
    window: Window,
) -> Result<Vec<Busy>, Error> {
    let rows: Vec<BusyRow> = sqlx::query_as(
        "-- assignment.list_covered
         SELECT assignment_id AS busy_id, task_id AS busy_task_id, first_day AS busy_from, last_day AS busy_until
           FROM assignments
          WHERE ambulance_id = $1 AND $2 <= last_day AND first_day <= $3 AND state <> 'CANCELLED'
            AND assignment_id IS DISTINCT FROM $4
          ORDER BY first_day, assignment_id",
    )
    .bind(ambulance.uuid())
    .bind(window.first.to_sqlx())
    .bind(window.last.to_sqlx())
    .bind(window.except.map(AssignmentId::uuid))
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.iter().filter_map(|row| row.read().transpose()).collect()
}

#[derive(FromRow)]
struct ParamedicRow {
    team_id: Option<Uuid>,
    role: Option<String>,
    first_day: Option<jiff_sqlx::Date>,
    last_day: Option<jiff_sqlx::Date>,
    working_id: Option<Uuid>,
    working_from: Option<jiff_sqlx::Date>,
}

/// A paramedic of an operator: on which of some days, and what other work for the task there is on them, in this team
/// or in assignments with others. Work for other tasks is another question, and empty here. `None` when the person is
/// not of the operator.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.find_paramedic", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.find_paramedic"))]
pub async fn find_paramedic(
    conn: &mut PgConnection,
    (operator, team, person): (OrganizationId, TeamId, PersonId),
    window: Window,
) -> Result<Option<Paramedic>, Error> {
    let rows: Vec<ParamedicRow> = sqlx::query_as(
        "-- assignment.find_paramedic
         SELECT m.team_id, m.role, m.first_day, m.last_day, w.working_id, w.working_from
           FROM people p
           LEFT JOIN members m ON m.person_id = p.person_id
                AND m.first_day <= $4 AND (m.last_day IS NULL OR $3 <= m.last_day)
           LEFT JOIN LATERAL (
                SELECT x.assignment_id AS working_id, greatest(x.first_day, m.first_day, $3) AS working_from
                  FROM assignment_people x JOIN assignments a ON a.assignment_id = x.assignment_id
                 WHERE m.role <> 'PARAMEDIC' AND x.person_id = p.person_id AND a.team_id = m.team_id
                   AND greatest(m.first_day, $3) <= x.last_day AND x.first_day <= least(m.last_day, $4)
                   AND a.task_id = $5 AND x.assignment_id IS DISTINCT FROM $6
                 ORDER BY x.last_day LIMIT 1) w ON TRUE
          WHERE p.person_id = $2 AND p.organization_id = $1
          ORDER BY m.first_day, m.member_id",
    )
    .bind(operator.uuid())
    .bind(person.uuid())
    .bind(window.first.to_sqlx())
    .bind(window.last.to_sqlx())
    .bind(window.task.uuid())
    .bind(window.except.map(AssignmentId::uuid))
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    if rows.is_empty() {
        return Ok(None);
    }
    let (mut fit, mut other_work) = (Vec::new(), Vec::new());
    for row in &rows {
        let (Some(role), Some(first_day)) = (&row.role, row.first_day) else { continue };
        let role = word("role", role, MemberRole::from_word)?;
        if role == MemberRole::Paramedic {
            fit.push(interval(first_day, row.last_day)?);
        } else if row.team_id == Some(team.uuid()) {
            let first_day = first_day.to_jiff().max(window.first);
            other_work.push(OtherWork { role, first_day, assignment: None });
        } else if let (Some(working), Some(from)) = (row.working_id, row.working_from) {
            let assignment = Some(AssignmentId::new(working));
            other_work.push(OtherWork { role, first_day: from.to_jiff(), assignment });
        }
    }
    Ok(Some(Paramedic { id: person, fit: DaySet::of(fit), other_work, elsewhere: Vec::new() }))
}

/// The assignments to other tasks on some days in which a person is in the team, or gives cover with another ambulance
/// than this one. By first day and id.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.assignment.list_elsewhere", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "assignment.list_elsewhere"))]
pub async fn list_elsewhere(
    conn: &mut PgConnection,
    person: PersonId,
    ambulance: Option<AssetId>,
    window: Window,
) -> Result<Vec<Busy>, Error> {
    let rows: Vec<BusyRow> = sqlx::query_as(
        "-- assignment.list_elsewhere
         SELECT e.busy_id, e.busy_task_id, min(e.first_day) AS busy_from, max(e.last_day) AS busy_until
           FROM (SELECT a.assignment_id AS busy_id, a.task_id AS busy_task_id, a.first_day, a.last_day
                   FROM assignments a
                  WHERE a.paramedic_id = $1 AND $2 <= a.last_day AND a.first_day <= $3 AND a.state <> 'CANCELLED'
                    AND a.ambulance_id <> $6
                  UNION ALL
                 SELECT a.assignment_id, a.task_id, x.first_day, x.last_day
                   FROM assignment_people x JOIN assignments a ON a.assignment_id = x.assignment_id
                  WHERE x.person_id = $1 AND $2 <= x.last_day AND x.first_day <= $3) e
          WHERE e.busy_task_id <> $4 AND e.busy_id IS DISTINCT FROM $5
          GROUP BY e.busy_id, e.busy_task_id
          ORDER BY min(e.first_day), e.busy_id",
    )
    .bind(person.uuid())
    .bind(window.first.to_sqlx())
    .bind(window.last.to_sqlx())
    .bind(window.task.uuid())
    .bind(window.except.map(AssignmentId::uuid))
    .bind(ambulance.map(AssetId::uuid))
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.iter().filter_map(|row| row.read().transpose()).collect()
}
