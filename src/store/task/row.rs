//! A row of `tasks` with what belongs to it, and its way into a [`Task`].

use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::activity::ActivityType;
use crate::domain::assignment::MedicalCover;
use crate::domain::ids::{
    AllocationId, AssetId, OrganizationId, PersonId, ProgramId, SafetyStopId, SiteId, TaskId,
};
use crate::domain::site::SuspensionCause;
use crate::domain::task::{Completion, Instructions, QualityControl, Task, TaskPlan, TaskState};
use crate::domain::team::TeamType;
use crate::domain::text::{Code, Note, Reference, Source, Title};
use crate::error::Error;
use crate::store::rows::{corrupt, country, outputs, word};

/// A statement that reads whole tasks `t`: sites in order, inspections the oldest first, and the safety stops in force
/// of the task, its sites and its operator.
macro_rules! select_tasks {
    ($name:literal, $condition:literal) => {
        concat!(
            "-- ",
            $name,
            "
         SELECT t.program_id, t.task_id, t.allocation_id, t.code, t.title, t.activity, t.depth_cm, t.planned_area_m2,
                t.team_type, t.first_day, t.last_day, t.operator_id, t.authority_id, t.country_code, t.instructions,
                t.state, t.resumes_to, t.order_reference, t.paramedic_id, t.ambulance_id, t.hospital,
                t.evacuation_minutes, t.drill_on, t.suspension_cause, t.completed_on, t.completion_reference,
                t.not_done, t.handed_over_on, t.approved, t.created_at, t.revision, s.site_ids,
                q.inspected_on, q.passed, q.reference, q.sampled_m2, q.remarks,
                ARRAY(SELECT safety_stop_id FROM safety_stops
                       WHERE lifted_at IS NULL AND target_id = ANY(s.site_ids || t.task_id || t.operator_id)
                         -- Ids are made by clients: one of a task may be that of an operator.
                         AND CASE target WHEN 'TASK' THEN target_id = t.task_id
                                         WHEN 'OPERATOR' THEN target_id = t.operator_id
                                         ELSE target_id = ANY(s.site_ids) END
                       ORDER BY issued_at, safety_stop_id) AS stop_ids
           FROM tasks t
           CROSS JOIN LATERAL (SELECT ARRAY(SELECT site_id FROM task_sites
                                             WHERE task_id = t.task_id ORDER BY ordinal) AS site_ids) s
           CROSS JOIN LATERAL (SELECT array_agg(inspected_on ORDER BY revision) AS inspected_on,
                                      array_agg(passed ORDER BY revision) AS passed,
                                      array_agg(reference ORDER BY revision) AS reference,
                                      array_agg(sampled_m2 ORDER BY revision) AS sampled_m2,
                                      array_agg(remarks ORDER BY revision) AS remarks
                                 FROM quality_controls WHERE task_id = t.task_id) q
          ",
            $condition
        )
    };
}

pub(super) use select_tasks;

#[derive(FromRow)]
pub(super) struct TaskRow {
    program_id: Uuid,
    task_id: Uuid,
    state: String,
    order_reference: String,
    handed_over_on: Option<jiff_sqlx::Date>,
    approved: Vec<i64>,
    created_at: jiff_sqlx::Timestamp,
    revision: i64,
    authority_id: Option<Uuid>,
    country_code: Option<String>,
    suspension_cause: Option<String>,
    resumes_to: Option<String>,
    stop_ids: Vec<Uuid>,
    #[sqlx(flatten)]
    plan: PlanRow,
    #[sqlx(flatten)]
    cover: CoverRow,
    #[sqlx(flatten)]
    completion: CompletionRow,
    #[sqlx(flatten)]
    controls: ControlRows,
}

#[derive(FromRow)]
struct PlanRow {
    allocation_id: Option<Uuid>,
    code: String,
    title: String,
    site_ids: Vec<Uuid>,
    activity: Option<String>,
    depth_cm: i32,
    planned_area_m2: i64,
    team_type: Option<String>,
    first_day: Option<jiff_sqlx::Date>,
    last_day: Option<jiff_sqlx::Date>,
    operator_id: Option<Uuid>,
    instructions: String,
}

#[derive(FromRow)]
struct CoverRow {
    paramedic_id: Option<Uuid>,
    ambulance_id: Option<Uuid>,
    hospital: Option<String>,
    evacuation_minutes: Option<i32>,
    drill_on: Option<jiff_sqlx::Date>,
}

#[derive(FromRow)]
struct CompletionRow {
    completed_on: Option<jiff_sqlx::Date>,
    completion_reference: Option<String>,
    not_done: Option<String>,
}

/// Columns of all inspections, side by side.
#[derive(FromRow)]
struct ControlRows {
    inspected_on: Option<Vec<jiff_sqlx::Date>>,
    passed: Option<Vec<bool>>,
    reference: Option<Vec<String>>,
    sampled_m2: Option<Vec<i64>>,
    remarks: Option<Vec<String>>,
}

impl TryFrom<TaskRow> for Task {
    type Error = Error;

    fn try_from(row: TaskRow) -> Result<Self, Error> {
        let cause =
            optional_word("suspension_cause", row.suspension_cause.as_deref(), SuspensionCause::from_word);
        let resumes_to = optional_word("resumes_to", row.resumes_to.as_deref(), TaskState::from_word);
        Ok(Self {
            id: TaskId::new(row.task_id),
            program: ProgramId::new(row.program_id),
            plan: row.plan.try_into()?,
            state: word("state", &row.state, TaskState::from_word)?,
            authority: row.authority_id.map(OrganizationId::new),
            country: country(row.country_code.as_deref())?,
            order_reference: Reference::parse(&row.order_reference).map_err(corrupt("order_reference"))?,
            medical_cover: row.cover.read()?,
            suspension: cause?.zip(resumes_to?),
            completion: row.completion.read()?,
            quality_controls: row.controls.read()?,
            handed_over_on: row.handed_over_on.map(jiff_sqlx::Date::to_jiff),
            safety_stops: row.stop_ids.into_iter().map(SafetyStopId::new).collect(),
            approved: outputs(&row.approved)?,
            created_at: row.created_at.to_jiff(),
            revision: row.revision,
        })
    }
}

fn optional_word<T>(
    column: &'static str,
    text: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Error> {
    text.map(|text| word(column, text, read)).transpose()
}

impl TryFrom<PlanRow> for TaskPlan {
    type Error = Error;

    fn try_from(row: PlanRow) -> Result<Self, Error> {
        Ok(Self {
            allocation: row.allocation_id.map(AllocationId::new),
            code: Code::parse(&row.code).map_err(corrupt("code"))?,
            title: Title::parse(&row.title).map_err(corrupt("title"))?,
            sites: row.site_ids.into_iter().map(SiteId::new).collect(),
            activity: optional_word("activity", row.activity.as_deref(), ActivityType::from_word)?,
            depth_cm: row.depth_cm,
            planned_area_m2: row.planned_area_m2,
            team_type: optional_word("team_type", row.team_type.as_deref(), TeamType::from_word)?,
            first_day: row.first_day.map(jiff_sqlx::Date::to_jiff),
            last_day: row.last_day.map(jiff_sqlx::Date::to_jiff),
            operator: row.operator_id.map(OrganizationId::new),
            instructions: Instructions::parse(&row.instructions).map_err(corrupt("instructions"))?,
        })
    }
}

impl CoverRow {
    fn read(self) -> Result<Option<MedicalCover>, Error> {
        let (Some(paramedic), Some(ambulance), Some(hospital), Some(evacuation_minutes)) =
            (self.paramedic_id, self.ambulance_id, self.hospital, self.evacuation_minutes)
        else {
            return Ok(None);
        };
        Ok(Some(MedicalCover {
            paramedic: PersonId::new(paramedic),
            ambulance: AssetId::new(ambulance),
            hospital: Title::parse(&hospital).map_err(corrupt("hospital"))?,
            evacuation_minutes,
            drill_on: self.drill_on.map(jiff_sqlx::Date::to_jiff),
        }))
    }
}

impl CompletionRow {
    fn read(self) -> Result<Option<Completion>, Error> {
        let (Some(completed_on), Some(reference), Some(not_done)) =
            (self.completed_on, self.completion_reference, self.not_done)
        else {
            return Ok(None);
        };
        Ok(Some(Completion {
            completed_on: completed_on.to_jiff(),
            reference: Source::parse(&reference).map_err(corrupt("completion_reference"))?,
            not_done: Note::parse(&not_done).map_err(corrupt("not_done"))?,
        }))
    }
}

impl ControlRows {
    fn read(self) -> Result<Vec<QualityControl>, Error> {
        let days = self.inspected_on.unwrap_or_default().into_iter().zip(self.passed.unwrap_or_default());
        let texts = self.reference.unwrap_or_default().into_iter().zip(self.remarks.unwrap_or_default());
        let rows = days.zip(texts).zip(self.sampled_m2.unwrap_or_default());
        rows.map(|(((inspected_on, passed), (reference, remarks)), sampled_m2)| {
            Ok(QualityControl {
                inspected_on: inspected_on.to_jiff(),
                passed,
                reference: Source::parse(&reference).map_err(corrupt("reference"))?,
                sampled_m2,
                remarks: Note::parse(&remarks).map_err(corrupt("remarks"))?,
            })
        })
        .collect()
    }
}
