//! SQL of tasks: their rows, sites and inspections. What rules ask of other tables is in [`facts`].

pub mod facts;
mod row;

use jiff_sqlx::ToSqlx as _;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::activity::ActivityType;
use crate::domain::ids::{AllocationId, OrganizationId, ProgramId, SiteId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;
use crate::domain::safety_stop::StopTarget;
use crate::domain::task::{QualityControl, Task, TaskPlan, TaskState};
use crate::domain::team::TeamType;
use crate::domain::text::CountryCode;
use crate::error::Error;
use crate::store::task::row::{TaskRow, select_tasks};
use crate::store::{broken_constraint, expect_rows, failed};

/// Which tasks to list, after which one.
#[derive(Debug, Clone)]
pub struct TaskFilter {
    /// Only of this program.
    pub program: Option<ProgramId>,
    /// Only of this operator.
    pub operator: Option<OrganizationId>,
    /// Only on this site.
    pub site: Option<SiteId>,
    /// Only in this state.
    pub state: Option<TaskState>,
    /// Only codes that begin so.
    pub code_prefix: String,
    /// Only what this organization may see; none sees all.
    pub seen_by: Option<OrganizationId>,
    /// Whether it also sees what is issued to it as an operator.
    pub as_operator: bool,
    /// Whether it also sees what is issued on its sites as an authority.
    pub as_authority: bool,
    /// Only after this code and task.
    pub after: (String, Uuid),
}

/// Adds a task with its sites.
///
/// # Errors
/// Refuses a code that is taken in the program, and an allocation that is not of the program.
#[tracing::instrument(level = "debug", name = "db.task.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "task.insert"))]
pub async fn insert_task(conn: &mut PgConnection, new: &Task) -> Result<(), Error> {
    let done = sqlx::query(
        "-- task.insert
         INSERT INTO tasks (program_id, task_id, state, order_reference, created_at, revision, allocation_id, code,
            title, activity, depth_cm, planned_area_m2, team_type, first_day, last_day, operator_id, instructions,
            authority_id, country_code)
         VALUES ($1, $2, $3, '', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
    )
    .bind(new.program.uuid())
    .bind(new.id.uuid())
    .bind(new.state.word())
    .bind(new.created_at.to_sqlx())
    .bind(new.revision)
    .bind(new.plan.allocation.map(AllocationId::uuid))
    .bind(new.plan.code.as_str())
    .bind(new.plan.title.as_str())
    .bind(new.plan.activity.map(ActivityType::word))
    .bind(new.plan.depth_cm)
    .bind(new.plan.planned_area_m2)
    .bind(new.plan.team_type.map(TeamType::word))
    .bind(new.plan.first_day.map(jiff_sqlx::ToSqlx::to_sqlx))
    .bind(new.plan.last_day.map(jiff_sqlx::ToSqlx::to_sqlx))
    .bind(new.plan.operator.map(OrganizationId::uuid))
    .bind(new.plan.instructions.as_str())
    .bind(new.authority.map(OrganizationId::uuid))
    .bind(new.country.as_ref().map(CountryCode::as_str))
    .execute(&mut *conn)
    .await;
    done.map_err(|error| refused(&error, new).unwrap_or_else(|| failed(error)))?;
    insert_sites(conn, new).await
}

/// Writes the plan of a task and its sites, with what follows from them.
///
/// # Errors
/// Refuses what [`insert_task`] refuses.
#[tracing::instrument(level = "debug", name = "db.task.update_plan", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "task.update_plan"))]
pub async fn update_plan(conn: &mut PgConnection, task: &Task) -> Result<(), Error> {
    let TaskPlan { allocation, code, title, activity, depth_cm, planned_area_m2, .. } = &task.plan;
    let done = sqlx::query(
        "-- task.update_plan
         UPDATE tasks SET revision = $2, allocation_id = $3, code = $4, title = $5, activity = $6, depth_cm = $7,
            planned_area_m2 = $8, team_type = $9, first_day = $10, last_day = $11, operator_id = $12,
            instructions = $13, authority_id = $14, country_code = $15
          WHERE task_id = $1",
    )
    .bind(task.id.uuid())
    .bind(task.revision)
    .bind(allocation.map(AllocationId::uuid))
    .bind(code.as_str())
    .bind(title.as_str())
    .bind(activity.map(ActivityType::word))
    .bind(depth_cm)
    .bind(planned_area_m2)
    .bind(task.plan.team_type.map(TeamType::word))
    .bind(task.plan.first_day.map(jiff_sqlx::ToSqlx::to_sqlx))
    .bind(task.plan.last_day.map(jiff_sqlx::ToSqlx::to_sqlx))
    .bind(task.plan.operator.map(OrganizationId::uuid))
    .bind(task.plan.instructions.as_str())
    .bind(task.authority.map(OrganizationId::uuid))
    .bind(task.country.as_ref().map(CountryCode::as_str))
    .execute(&mut *conn)
    .await;
    let done = done.map_err(|error| refused(&error, task).unwrap_or_else(|| failed(error)))?;
    expect_rows(done.rows_affected(), 1)?;
    sqlx::query("-- task.delete_sites\nDELETE FROM task_sites WHERE task_id = $1")
        .bind(task.id.uuid())
        .execute(&mut *conn)
        .await
        .map_err(failed)?;
    insert_sites(conn, task).await
}

/// What a broken constraint means.
fn refused(error: &sqlx::Error, task: &Task) -> Option<Error> {
    match broken_constraint(error)? {
        "tasks_program_id_code_key" => {
            Some(Refusal::CodeTaken { kind: Kind::Task, code: task.plan.code.clone() }.into())
        }
        // The id is of a task in the journal of another program.
        "tasks_pkey" => Some(Error::id_elsewhere(Kind::Task, task.id, "task.program_id")),
        "tasks_program_id_allocation_id_fkey" => {
            task.plan.allocation.map(|id| Error::not_found(Kind::Allocation, id))
        }
        "tasks_operator_id_fkey" => task.plan.operator.map(|id| Error::not_found(Kind::Organization, id)),
        _ => None,
    }
}

/// Adds sites at the end of those of a task, and writes the revision at which that was recorded.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.task.append_sites", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "task.append_sites"))]
pub async fn append_sites(conn: &mut PgConnection, task: &Task, sites: &[SiteId]) -> Result<(), Error> {
    let done = sqlx::query(
        "-- task.append_sites
         WITH last AS (SELECT coalesce(max(ordinal), 0) AS ordinal FROM task_sites WHERE task_id = $1),
         added AS (
             INSERT INTO task_sites (task_id, site_id, ordinal)
             SELECT $1, n.site_id, last.ordinal + n.ordinal
               FROM last, UNNEST($2::uuid[]) WITH ORDINALITY AS n(site_id, ordinal))
         UPDATE tasks SET revision = $3 WHERE task_id = $1",
    )
    .bind(task.id.uuid())
    .bind(sites.iter().map(|site| site.uuid()).collect::<Vec<_>>())
    .bind(task.revision)
    .execute(conn)
    .await
    .map_err(failed)?;
    expect_rows(done.rows_affected(), 1)
}

async fn insert_sites(conn: &mut PgConnection, task: &Task) -> Result<(), Error> {
    sqlx::query(
        "-- task.insert_sites
         INSERT INTO task_sites (task_id, site_id, ordinal)
         SELECT $1, n.site_id, n.ordinal FROM UNNEST($2::uuid[]) WITH ORDINALITY AS n(site_id, ordinal)",
    )
    .bind(task.id.uuid())
    .bind(task.plan.sites.iter().map(|site| site.uuid()).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

/// Writes how far a task is, and everything that its steps have brought.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.task.update_progress", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "task.update_progress"))]
pub async fn update_progress(conn: &mut PgConnection, task: &Task) -> Result<(), Error> {
    let cover = task.medical_cover.as_ref();
    let completion = task.completion.as_ref();
    let done = sqlx::query(
        "-- task.update_progress
         UPDATE tasks SET revision = $2, state = $3, order_reference = $4, paramedic_id = $5, ambulance_id = $6,
            hospital = $7, evacuation_minutes = $8, drill_on = $9, suspension_cause = $10, resumes_to = $11,
            completed_on = $12, completion_reference = $13, not_done = $14, handed_over_on = $15,
            issued_revision = CASE WHEN $4 = '' THEN NULL ELSE COALESCE(issued_revision, $2) END
          WHERE task_id = $1",
    )
    .bind(task.id.uuid())
    .bind(task.revision)
    .bind(task.state.word())
    .bind(task.order_reference.as_str())
    .bind(cover.map(|cover| cover.paramedic.uuid()))
    .bind(cover.map(|cover| cover.ambulance.uuid()))
    .bind(cover.map(|cover| cover.hospital.as_str()))
    .bind(cover.map(|cover| cover.evacuation_minutes))
    .bind(cover.and_then(|cover| cover.drill_on).map(jiff_sqlx::ToSqlx::to_sqlx))
    .bind(task.suspension.map(|(cause, _)| cause.word()))
    .bind(task.suspension.map(|(_, resumes_to)| resumes_to.word()))
    .bind(completion.map(|completion| completion.completed_on.to_sqlx()))
    .bind(completion.map(|completion| completion.reference.as_str()))
    .bind(completion.map(|completion| completion.not_done.as_str()))
    .bind(task.handed_over_on.map(jiff_sqlx::ToSqlx::to_sqlx))
    .execute(conn)
    .await
    .map_err(failed)?;
    expect_rows(done.rows_affected(), 1)
}

/// Adds an inspection, under the revision that recorded it.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.task.insert_control", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "task.insert_control"))]
pub async fn insert_control(
    conn: &mut PgConnection,
    task: TaskId,
    revision: i64,
    control: &QualityControl,
) -> Result<(), Error> {
    sqlx::query(
        "-- task.insert_control
         INSERT INTO quality_controls (task_id, revision, inspected_on, passed, reference, sampled_m2, remarks)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(task.uuid())
    .bind(revision)
    .bind(control.inspected_on.to_sqlx())
    .bind(control.passed)
    .bind(control.reference.as_str())
    .bind(control.sampled_m2)
    .bind(control.remarks.as_str())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

/// One task.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.task.find", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "task.find"))]
pub async fn find_task(conn: impl PgExecutor<'_>, id: TaskId) -> Result<Option<Task>, Error> {
    let row: Option<TaskRow> = sqlx::query_as(select_tasks!("task.find", "WHERE t.task_id = $1"))
        .bind(id.uuid())
        .fetch_optional(conn)
        .await
        .map_err(failed)?;
    row.map(Task::try_from).transpose()
}

/// Several tasks by id, in no order; those that do not exist are absent.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.task.find_several", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "task.find_several"))]
pub async fn find_tasks(conn: impl PgExecutor<'_>, ids: &[TaskId]) -> Result<Vec<Task>, Error> {
    let rows: Vec<TaskRow> = sqlx::query_as(select_tasks!("task.find_several", "WHERE t.task_id = ANY($1)"))
        .bind(ids.iter().map(|id| id.uuid()).collect::<Vec<_>>())
        .fetch_all(conn)
        .await
        .map_err(failed)?;
    rows.into_iter().map(Task::try_from).collect()
}

/// Tasks that a safety stop of a target concerns: those that are issued and whose land is not handed over, and others to
/// which a team is still assigned, in id order.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.task.list_concerned", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "task.list_concerned"))]
pub async fn list_concerned(conn: impl PgExecutor<'_>, target: StopTarget) -> Result<Vec<Task>, Error> {
    let rows: Vec<TaskRow> = sqlx::query_as(select_tasks!(
        "task.list_concerned",
        "WHERE ($1 = 'TASK' AND t.task_id = $2
                OR $1 = 'OPERATOR' AND t.operator_id = $2
                OR $1 = 'SITE' AND t.task_id = ANY(ARRAY(SELECT task_id FROM task_sites WHERE site_id = $2)))
            AND t.issued_revision IS NOT NULL
            AND (t.state NOT IN ('HANDED_OVER', 'CLOSED', 'CANCELLED')
                OR EXISTS (SELECT FROM assignments a WHERE a.task_id = t.task_id AND a.state = 'STANDING'))
          ORDER BY t.task_id"
    ))
    .bind(target.word())
    .bind(target.id())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Task::try_from).collect()
}

/// Tasks on a site that are not over, in id order: those before the order, and those that a safety stop would concern.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.task.list_going_on", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "task.list_going_on"))]
pub async fn list_going_on(conn: impl PgExecutor<'_>, site: SiteId) -> Result<Vec<Task>, Error> {
    let rows: Vec<TaskRow> = sqlx::query_as(select_tasks!(
        "task.list_going_on",
        "WHERE t.task_id = ANY(ARRAY(SELECT task_id FROM task_sites WHERE site_id = $1))
            AND (t.state NOT IN ('HANDED_OVER', 'CLOSED', 'CANCELLED')
                OR EXISTS (SELECT FROM assignments a WHERE a.task_id = t.task_id AND a.state = 'STANDING'))
          ORDER BY t.task_id"
    ))
    .bind(site.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Task::try_from).collect()
}

/// Tasks by code, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.task.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "task.list"))]
pub async fn list_tasks(
    conn: impl PgExecutor<'_>,
    filter: &TaskFilter,
    limit: i64,
) -> Result<Vec<Task>, Error> {
    let rows: Vec<TaskRow> = sqlx::query_as(select_tasks!(
        "task.list",
        "WHERE ($1::uuid IS NULL OR t.program_id = $1)
            AND ($2::uuid IS NULL OR t.operator_id = $2)
            AND ($3::uuid IS NULL OR t.task_id IN (SELECT task_id FROM task_sites WHERE site_id = $3))
            AND ($4::text IS NULL OR t.state = $4)
            AND starts_with(t.code, $5)
            AND ($6, $7) < (t.code, t.task_id)
            AND ($8::uuid IS NULL
                OR EXISTS (SELECT FROM programs p
                            WHERE p.program_id = t.program_id AND $8 IN (p.funder_id, p.office_id))
                OR t.issued_revision IS NOT NULL
                   AND ($9 AND t.operator_id = $8 OR $10 AND t.authority_id = $8))
          ORDER BY t.code, t.task_id LIMIT $11"
    ))
    .bind(filter.program.map(ProgramId::uuid))
    .bind(filter.operator.map(OrganizationId::uuid))
    .bind(filter.site.map(SiteId::uuid))
    .bind(filter.state.map(TaskState::word))
    .bind(&filter.code_prefix)
    .bind(&filter.after.0)
    .bind(filter.after.1)
    .bind(filter.seen_by.map(OrganizationId::uuid))
    .bind(filter.as_operator)
    .bind(filter.as_authority)
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Task::try_from).collect()
}

/// The revision of its program's journal at which a task was issued; none before.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.task.find_issued", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "task.find_issued"))]
pub async fn find_issued_revision(conn: impl PgExecutor<'_>, id: TaskId) -> Result<Option<i64>, Error> {
    let found: Option<Option<i64>> = sqlx::query_scalar(
        "-- task.find_issued
         SELECT issued_revision FROM tasks WHERE task_id = $1",
    )
    .bind(id.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    Ok(found.flatten())
}
