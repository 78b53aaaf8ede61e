//! What is known of teams, tasks and other reports, against which a report is held.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::activity::ActivityType;
use crate::domain::days::Days;
use crate::domain::field_report::ReportKind;
use crate::domain::field_report::quarantine::KnownSite;
use crate::domain::ids::{OrganizationId, ProgramId, ReportId, SafetyStopId, SiteId, TaskId, TeamId};
use crate::domain::site::BoundingBox;
use crate::domain::task::TaskState;
use crate::error::Error;
use crate::store::failed;
use crate::store::rows::{days, word};

/// What makes two reports most likely the same work.
pub type Alike = (TeamId, TaskId, Date, ReportKind);

/// A safety stop: when it was issued and lifted.
pub type Stopped = (SafetyStopId, Timestamp, Option<Timestamp>);

/// A task that was ordered from an operator, as far as reports go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderedTask {
    /// Its id.
    pub id: TaskId,
    /// Its program.
    pub program: ProgramId,
    /// The authority whose accreditations count.
    pub authority: Option<OrganizationId>,
    /// Its method.
    pub activity: Option<ActivityType>,
    /// Where it is on its way.
    pub state: TaskState,
    /// Whether it was mobilised with medical cover.
    pub has_cover: bool,
    /// Time zone of its first site; empty without sites.
    pub time_zone: String,
    /// Its sites.
    pub sites: Vec<KnownSite>,
    /// Safety stops of it, its sites and the operator.
    pub stops: Vec<Stopped>,
}

#[derive(FromRow)]
struct TaskRow {
    task_id: Uuid,
    program_id: Uuid,
    authority_id: Option<Uuid>,
    activity: Option<String>,
    state: String,
    has_cover: bool,
    time_zone: Option<String>,
    site_ids: Vec<Uuid>,
    areas_m2: Vec<i64>,
    codes: Vec<String>,
    south_e7: Vec<Option<i32>>,
    west_e7: Vec<Option<i32>>,
    north_e7: Vec<Option<i32>>,
    east_e7: Vec<Option<i32>>,
    stop_ids: Vec<Uuid>,
    issued_at: Vec<jiff_sqlx::Timestamp>,
    lifted_at: Vec<Option<jiff_sqlx::Timestamp>>,
}

impl TaskRow {
    fn sites(&self) -> Vec<KnownSite> {
        let boxed = |index: usize| {
            Some(BoundingBox {
                south_e7: (*self.south_e7.get(index)?)?,
                west_e7: (*self.west_e7.get(index)?)?,
                north_e7: (*self.north_e7.get(index)?)?,
                east_e7: (*self.east_e7.get(index)?)?,
            })
        };
        let each = self.site_ids.iter().zip(&self.codes).zip(&self.areas_m2).enumerate();
        each.map(|(index, ((id, code), area_m2))| KnownSite {
            id: SiteId::new(*id),
            code: code.clone(),
            area_m2: *area_m2,
            bounds: boxed(index),
        })
        .collect()
    }
}

impl TryFrom<TaskRow> for OrderedTask {
    type Error = Error;

    fn try_from(row: TaskRow) -> Result<Self, Error> {
        let activity = row.activity.as_deref().map(|text| word("activity", text, ActivityType::from_word));
        let stops = row.stop_ids.iter().zip(&row.issued_at).zip(&row.lifted_at);
        let stops = stops.map(|((id, issued), lifted)| {
            (SafetyStopId::new(*id), issued.to_jiff(), lifted.map(jiff_sqlx::Timestamp::to_jiff))
        });
        Ok(Self {
            id: TaskId::new(row.task_id),
            program: ProgramId::new(row.program_id),
            authority: row.authority_id.map(OrganizationId::new),
            activity: activity.transpose()?,
            state: word("state", &row.state, TaskState::from_word)?,
            has_cover: row.has_cover,
            stops: stops.collect(),
            sites: row.sites(),
            time_zone: row.time_zone.unwrap_or_default(),
        })
    }
}

/// Those of some tasks that were ordered from an operator, with the safety stops that were in force on some of these
/// days or next to them.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list_tasks", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list_tasks"))]
pub async fn list_ordered_tasks(
    conn: &mut PgConnection,
    operator: OrganizationId,
    tasks: &[Uuid],
    worked: Days,
) -> Result<Vec<OrderedTask>, Error> {
    // OFFSET as in `list_alike`.
    let rows: Vec<TaskRow> = sqlx::query_as(
        "-- field_report.list_tasks
         SELECT t.task_id, t.program_id, t.authority_id, t.activity, t.state, t.paramedic_id IS NOT NULL AS has_cover,
                s.time_zone, s.site_ids, s.codes, s.areas_m2, s.south_e7, s.west_e7, s.north_e7, s.east_e7,
                k.stop_ids, k.issued_at, k.lifted_at
           FROM (SELECT * FROM tasks WHERE task_id = ANY($2) OFFSET 0) t
          CROSS JOIN LATERAL (
                SELECT coalesce(array_agg(s.site_id ORDER BY x.ordinal), '{}') AS site_ids,
                       coalesce(array_agg(s.code ORDER BY x.ordinal), '{}') AS codes,
                       coalesce(array_agg(s.area_m2 ORDER BY x.ordinal), '{}') AS areas_m2,
                       coalesce(array_agg(s.south_e7 ORDER BY x.ordinal), '{}') AS south_e7,
                       coalesce(array_agg(s.west_e7 ORDER BY x.ordinal), '{}') AS west_e7,
                       coalesce(array_agg(s.north_e7 ORDER BY x.ordinal), '{}') AS north_e7,
                       coalesce(array_agg(s.east_e7 ORDER BY x.ordinal), '{}') AS east_e7,
                       (array_agg(s.time_zone ORDER BY x.ordinal))[1] AS time_zone
                  FROM task_sites x JOIN sites s ON s.site_id = x.site_id
                 WHERE x.task_id = t.task_id) s
          CROSS JOIN LATERAL (
                SELECT coalesce(array_agg(k.safety_stop_id ORDER BY k.safety_stop_id), '{}') AS stop_ids,
                       coalesce(array_agg(k.issued_at ORDER BY k.safety_stop_id), '{}') AS issued_at,
                       coalesce(array_agg(k.lifted_at ORDER BY k.safety_stop_id), '{}') AS lifted_at
                  FROM safety_stops k
                 WHERE k.target_id = ANY(s.site_ids || t.task_id || t.operator_id)
                   AND CASE k.target WHEN 'TASK' THEN k.target_id = t.task_id
                                     WHEN 'OPERATOR' THEN k.target_id = t.operator_id
                                     ELSE k.target_id = ANY(s.site_ids) END
                   AND k.issued_at < $4::date + 2 AND (k.lifted_at IS NULL OR $3::date - 2 < k.lifted_at)) k
          WHERE t.operator_id = $1 AND t.issued_revision IS NOT NULL",
    )
    .bind(operator.uuid())
    .bind(tasks)
    .bind(worked.first().to_sqlx())
    .bind(worked.last().unwrap_or_else(|| worked.first()).to_sqlx())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(OrderedTask::try_from).collect()
}

/// Safety stops of all work of an operator, and of some sites, that were in force on some of these days or next to them. Each
/// with its site; those of the operator with none.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list_stops", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list_stops"))]
pub async fn list_stops(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    sites: &[Uuid],
    worked: Days,
) -> Result<Vec<(Option<SiteId>, Stopped)>, Error> {
    let rows: Vec<(Option<Uuid>, Uuid, jiff_sqlx::Timestamp, Option<jiff_sqlx::Timestamp>)> = sqlx::query_as(
        "-- field_report.list_stops
         SELECT CASE target WHEN 'SITE' THEN target_id END, safety_stop_id, issued_at, lifted_at FROM safety_stops
          WHERE target_id = ANY($2 || $1::uuid)
            AND CASE target WHEN 'OPERATOR' THEN target_id = $1 WHEN 'SITE' THEN target_id = ANY($2) ELSE FALSE END
            AND issued_at < $4::date + 2 AND (lifted_at IS NULL OR $3::date - 2 < lifted_at)
          ORDER BY safety_stop_id",
    )
    .bind(operator.uuid())
    .bind(sites)
    .bind(worked.first().to_sqlx())
    .bind(worked.last().unwrap_or_else(|| worked.first()).to_sqlx())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let read = |(site, id, issued, lifted): (Option<_>, _, jiff_sqlx::Timestamp, Option<_>)| {
        let lifted = lifted.map(jiff_sqlx::Timestamp::to_jiff);
        (site.map(SiteId::new), (SafetyStopId::new(id), issued.to_jiff(), lifted))
    };
    Ok(rows.into_iter().map(read).collect())
}

/// The operators of some teams; teams that do not exist are absent.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list_owners", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list_owners"))]
pub async fn list_owners(
    conn: impl PgExecutor<'_>,
    teams: &[Uuid],
) -> Result<Vec<(TeamId, OrganizationId)>, Error> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "-- field_report.list_owners
         SELECT team_id, organization_id FROM teams WHERE team_id = ANY($1)",
    )
    .bind(teams)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(rows.into_iter().map(|(team, owner)| (TeamId::new(team), OrganizationId::new(owner))).collect())
}

/// When some teams were sent to some tasks, as far as those days touch others.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list_sent", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list_sent"))]
pub async fn list_sent(
    conn: impl PgExecutor<'_>,
    teams: &[Uuid],
    tasks: &[Uuid],
    worked: Days,
) -> Result<Vec<(TeamId, TaskId, Days)>, Error> {
    let rows: Vec<(Uuid, Uuid, jiff_sqlx::Date, jiff_sqlx::Date)> = sqlx::query_as(
        "-- field_report.list_sent
         SELECT team_id, task_id, first_day, last_day FROM assignments
          WHERE team_id = ANY($1) AND task_id = ANY($2) AND state <> 'CANCELLED' AND $3 <= last_day AND first_day <= $4",
    )
    .bind(teams)
    .bind(tasks)
    .bind(worked.first().to_sqlx())
    .bind(worked.last().unwrap_or_else(|| worked.first()).to_sqlx())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let read =
        |(team, task, first, last)| Ok((TeamId::new(team), TaskId::new(task), days(first, Some(last))?));
    rows.into_iter().map(read).collect()
}

/// Reports that are of the same teams, tasks, days and kinds and count or may count, each with its first revision.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.field_report.list_alike", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "field_report.list_alike"))]
pub async fn list_alike(
    conn: impl PgExecutor<'_>,
    operator: OrganizationId,
    keys: &[Alike],
) -> Result<Vec<(Alike, i64, ReportId)>, Error> {
    // OFFSET keeps the operator out of the inner query: from old statistics the planner believes that a new operator has
    // hardly any reports, and would read all of them.
    let rows: Vec<(Uuid, Uuid, jiff_sqlx::Date, String, i64, Uuid)> = sqlx::query_as(
        "-- field_report.list_alike
         SELECT r.team_id, r.task_id, r.work_date, r.kind, r.first_revision, r.report_id
           FROM UNNEST($2::uuid[], $3::uuid[], $4::date[], $5::text[]) AS n(team_id, task_id, work_date, kind)
          CROSS JOIN LATERAL (
                SELECT a.* FROM reports a
                 WHERE a.team_id = n.team_id AND a.task_id = n.task_id AND a.work_date = n.work_date
                   AND a.kind = n.kind
                OFFSET 0) r
          WHERE r.organization_id = $1 AND r.state NOT IN ('REJECTED', 'VOIDED')",
    )
    .bind(operator.uuid())
    .bind(keys.iter().map(|key| key.0.uuid()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.1.uuid()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.2.to_sqlx()).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.3.word()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let read = |(team, task, day, kind, revision, id): (_, _, jiff_sqlx::Date, String, _, _)| {
        let kind = word("kind", &kind, ReportKind::from_word)?;
        Ok(((TeamId::new(team), TaskId::new(task), day.to_jiff(), kind), revision, ReportId::new(id)))
    };
    rows.into_iter().map(read).collect()
}
