//! SQL of reporting periods, and of what became of their figures.

use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::field_report::outputs::Outputs;
use crate::domain::ids::{AllocationId, ProgramId, ReportingPeriodId};
use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;
use crate::domain::restatement::{ReportingPeriod, Restated, RestatedRow};
use crate::domain::text::Code;
use crate::error::Error;
use crate::store::field_report::credits::CreditRow;
use crate::store::rows::{corrupt, outputs};
use crate::store::{broken_constraint, failed};

#[derive(FromRow)]
struct PeriodRow {
    program_id: Uuid,
    reporting_period_id: Uuid,
    code: String,
    first_day: jiff_sqlx::Date,
    last_day: jiff_sqlx::Date,
    told: Vec<i64>,
    frozen_revision: i64,
    frozen_at: jiff_sqlx::Timestamp,
    frozen_by: String,
}

impl TryFrom<PeriodRow> for ReportingPeriod {
    type Error = Error;

    fn try_from(row: PeriodRow) -> Result<Self, Error> {
        Ok(Self {
            id: ReportingPeriodId::new(row.reporting_period_id),
            program: ProgramId::new(row.program_id),
            code: Code::parse(&row.code).map_err(corrupt("code"))?,
            first_day: row.first_day.to_jiff(),
            last_day: row.last_day.to_jiff(),
            told: outputs(&row.told)?,
            frozen_revision: row.frozen_revision,
            frozen_at: row.frozen_at.to_jiff(),
            frozen_by: row.frozen_by,
        })
    }
}

/// Keeps a frozen period.
///
/// # Errors
/// Refuses a code that is taken.
#[tracing::instrument(level = "debug", name = "db.restatement.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "restatement.insert"))]
pub async fn insert_period(conn: &mut PgConnection, new: &ReportingPeriod) -> Result<(), Error> {
    let done = sqlx::query(
        "-- restatement.insert
         INSERT INTO reporting_periods (program_id, reporting_period_id, code, first_day, last_day, told, frozen_revision,
                                        frozen_at, frozen_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(new.program.uuid())
    .bind(new.id.uuid())
    .bind(new.code.as_str())
    .bind(new.first_day.to_sqlx())
    .bind(new.last_day.to_sqlx())
    .bind(new.told.list())
    .bind(new.frozen_revision)
    .bind(new.frozen_at.to_sqlx())
    .bind(new.frozen_by.as_str())
    .execute(conn)
    .await;
    match done {
        Ok(_) => Ok(()),
        Err(error) if broken_constraint(&error) == Some("reporting_periods_code_key") => {
            Err(Refusal::CodeTaken { kind: Kind::ReportingPeriod, code: new.code.clone() }.into())
        }
        Err(error) => Err(failed(error)),
    }
}

/// One period; none when there is none in the program.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.restatement.find", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "restatement.find"))]
pub async fn find_period(
    conn: impl PgExecutor<'_>,
    program: ProgramId,
    id: ReportingPeriodId,
) -> Result<Option<ReportingPeriod>, Error> {
    let row: Option<PeriodRow> = sqlx::query_as(
        "-- restatement.find
         SELECT program_id, reporting_period_id, code, first_day, last_day, told, frozen_revision, frozen_at, frozen_by
           FROM reporting_periods WHERE program_id = $1 AND reporting_period_id = $2",
    )
    .bind(program.uuid())
    .bind(id.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    row.map(ReportingPeriod::try_from).transpose()
}

/// Periods of a program by code, after one.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.restatement.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "restatement.list"))]
pub async fn list_periods(
    conn: impl PgExecutor<'_>,
    program: ProgramId,
    after: &str,
    limit: i64,
) -> Result<Vec<ReportingPeriod>, Error> {
    let rows: Vec<PeriodRow> = sqlx::query_as(
        "-- restatement.list
         SELECT program_id, reporting_period_id, code, first_day, last_day, told, frozen_revision, frozen_at, frozen_by
           FROM reporting_periods WHERE program_id = $1 AND $2 < code ORDER BY code LIMIT $3",
    )
    .bind(program.uuid())
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(ReportingPeriod::try_from).collect()
}

#[derive(FromRow)]
struct FiguresRow {
    allocation_id: Uuid,
    code: String,
    told: Vec<i64>,
    known: Vec<i64>,
}

/// What versions with a day of work in a period count for, by allocation, at two revisions of the program's journal:
/// when it was told, and when it is known.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.restatement.list_figures", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "restatement.list_figures"))]
pub async fn list_figures(
    conn: impl PgExecutor<'_>,
    program: ProgramId,
    (first_day, last_day): (Date, Date),
    (told, known): (i64, i64),
) -> Result<Vec<RestatedRow>, Error> {
    let rows: Vec<FiguresRow> = sqlx::query_as(
        "-- restatement.list_figures
         SELECT f.allocation_id, a.code, array_agg(f.told ORDER BY f.place) AS told,
                array_agg(f.known ORDER BY f.place) AS known
           FROM (SELECT c.allocation_id, o.place,
                        coalesce(sum(o.figure) FILTER (WHERE c.approved_revision <= $4
                            AND (c.ended_revision IS NULL OR $4 < c.ended_revision)), 0)::bigint AS told,
                        coalesce(sum(o.figure) FILTER (WHERE c.approved_revision <= $5
                            AND (c.ended_revision IS NULL OR $5 < c.ended_revision)), 0)::bigint AS known
                   FROM credits c CROSS JOIN LATERAL UNNEST(c.outputs) WITH ORDINALITY AS o(figure, place)
                  WHERE c.program_id = $1 AND c.work_date BETWEEN $2 AND $3
                  GROUP BY c.allocation_id, o.place) f
           JOIN allocations a ON a.program_id = $1 AND a.allocation_id = f.allocation_id
          GROUP BY f.allocation_id, a.code ORDER BY a.code, f.allocation_id",
    )
    .bind(program.uuid())
    .bind(first_day.to_sqlx())
    .bind(last_day.to_sqlx())
    .bind(told)
    .bind(known)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    let row = |row: FiguresRow| {
        Ok(RestatedRow {
            allocation: AllocationId::new(row.allocation_id),
            code: Code::parse(&row.code).map_err(corrupt("code"))?,
            told: outputs(&row.told)?,
            known: outputs(&row.known)?,
        })
    };
    rows.into_iter().map(row).collect()
}

/// What all versions with a day of work in a period count for now.
///
/// # Errors
/// Fails when the database does.
pub async fn sum_figures(
    conn: impl PgExecutor<'_>,
    program: ProgramId,
    days: (Date, Date),
) -> Result<Outputs, Error> {
    let rows = list_figures(conn, program, days, (0, i64::MAX)).await?;
    Ok(rows.iter().fold(Outputs::default(), |sum, row| sum.plus(&row.known)))
}

#[derive(FromRow)]
struct RestatedFound {
    #[sqlx(flatten)]
    credit: CreditRow,
    amendment: String,
    replaced: bool,
    approved_revision: i64,
    ended_revision: Option<i64>,
}

impl TryFrom<RestatedFound> for Restated {
    type Error = Error;

    fn try_from(row: RestatedFound) -> Result<Self, Error> {
        Ok(Self {
            credit: row.credit.try_into()?,
            amendment: row.amendment,
            replaced: row.replaced,
            approved_revision: row.approved_revision,
            ended_revision: row.ended_revision,
        })
    }
}

/// A place in a list of changes: the revision of the last change, the report and the version.
pub type ChangePlace = (i64, Uuid, i32);

/// Versions with a day of work in a period that began or ceased to count after it was frozen, up to a revision, the oldest
/// change first.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.restatement.list_changes", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "restatement.list_changes"))]
pub async fn list_changes(
    conn: impl PgExecutor<'_>,
    (period, until): (&ReportingPeriod, i64),
    after: ChangePlace,
    limit: i64,
) -> Result<Vec<Restated>, Error> {
    let rows: Vec<RestatedFound> = sqlx::query_as(
        "-- restatement.list_changes
         SELECT c.program_id, c.report_id, c.version, c.organization_id, c.task_id, c.allocation_id, c.work_date,
                c.outputs, c.entry_id, c.approved_at, c.approved_by, c.approved_revision, v.amendment, e.ended_revision,
                CASE WHEN e.ended_revision IS NOT NULL THEN c.ended_at END AS ended_at,
                CASE WHEN e.ended_revision IS NOT NULL THEN c.ended_by END AS ended_by,
                CASE WHEN e.ended_revision IS NOT NULL THEN c.ended_reason END AS ended_reason,
                EXISTS (SELECT FROM credits n WHERE n.program_id = c.program_id AND n.report_id = c.report_id
                           AND n.approved_revision = e.ended_revision) AS replaced
           FROM credits c
           JOIN report_versions v ON v.report_id = c.report_id AND v.version = c.version
          CROSS JOIN LATERAL (SELECT CASE WHEN c.ended_revision <= $9 THEN c.ended_revision END AS ended_revision) e
          WHERE c.program_id = $1 AND c.work_date BETWEEN $2 AND $3 AND c.approved_revision <= $9
            AND ($4 < c.approved_revision OR $4 < e.ended_revision)
            AND ($5, $6, $7) < (coalesce(e.ended_revision, c.approved_revision), c.report_id, c.version)
          ORDER BY coalesce(e.ended_revision, c.approved_revision), c.report_id, c.version LIMIT $8",
    )
    .bind(period.program.uuid())
    .bind(period.first_day.to_sqlx())
    .bind(period.last_day.to_sqlx())
    .bind(period.frozen_revision)
    .bind(after.0)
    .bind(after.1)
    .bind(after.2)
    .bind(limit)
    .bind(until)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Restated::try_from).collect()
}
