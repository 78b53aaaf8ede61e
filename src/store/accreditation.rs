//! SQL of accreditations and their suspensions.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::accreditation::{Accreditation, AccreditationLevel, AccreditationState, Suspension};
use crate::domain::activity::ActivityType;
use crate::domain::ids::{AccreditationId, OrganizationId, PersonId, TeamId};
use crate::domain::kind::Kind;
use crate::domain::text::{Reason, Reference};
use crate::error::Error;
use crate::store::organization::find_organization;
use crate::store::person::find_person;
use crate::store::rows::{corrupt, days, word};
use crate::store::team::find_team;
use crate::store::{broken_constraint, expect_rows, failed};

/// Which accreditations to list, after which id.
#[derive(Debug, Clone)]
pub struct AccreditationFilter {
    /// Of this operator.
    pub operator: OrganizationId,
    /// Only at this level.
    pub level: Option<AccreditationLevel>,
    /// Only of this operator, team or person.
    pub subject: Option<Uuid>,
    /// Only for this activity.
    pub activity: Option<ActivityType>,
    /// Only in this state, as it is shown on `today`.
    pub state: Option<AccreditationState>,
    /// The day on which states are looked at.
    pub today: Date,
    /// Only ids after this one.
    pub after: Uuid,
}

/// A statement that reads accreditations, each with its suspensions.
macro_rules! select_accreditations {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- accreditation.",
            $name,
            "
         SELECT a.organization_id, a.accreditation_id, a.level, a.subject_id, a.authority_id, a.activity, a.certificate,
                a.first_day, a.last_day, a.state, a.granted_at, a.withdrawn_on, a.withdrawal_reason, a.created_at,
                a.revision,
                ARRAY(SELECT s.first_day FROM suspensions s WHERE s.accreditation_id = a.accreditation_id
                       ORDER BY s.first_day) AS suspended_from,
                ARRAY(SELECT s.last_day FROM suspensions s WHERE s.accreditation_id = a.accreditation_id
                       ORDER BY s.first_day) AS suspended_until,
                ARRAY(SELECT s.reason FROM suspensions s WHERE s.accreditation_id = a.accreditation_id
                       ORDER BY s.first_day) AS suspended_for
           FROM accreditations a ",
            $rest
        )
    };
}

#[derive(FromRow)]
struct AccreditationRow {
    organization_id: Uuid,
    accreditation_id: Uuid,
    level: String,
    subject_id: Uuid,
    authority_id: Uuid,
    activity: String,
    certificate: String,
    first_day: jiff_sqlx::Date,
    last_day: Option<jiff_sqlx::Date>,
    state: String,
    granted_at: Option<jiff_sqlx::Timestamp>,
    withdrawn_on: Option<jiff_sqlx::Date>,
    withdrawal_reason: Option<String>,
    created_at: jiff_sqlx::Timestamp,
    revision: i64,
    suspended_from: Vec<jiff_sqlx::Date>,
    suspended_until: Vec<Option<jiff_sqlx::Date>>,
    suspended_for: Vec<String>,
}

impl AccreditationRow {
    fn suspensions(&self) -> Result<Vec<Suspension>, Error> {
        let each = self.suspended_from.iter().zip(&self.suspended_until).zip(&self.suspended_for);
        let read = |((first, last), reason): ((&_, &_), &String)| {
            let reason = Reason::parse(reason).map_err(corrupt("reason"))?;
            Ok(Suspension { days: days(*first, *last)?, reason })
        };
        each.map(read).collect()
    }
}

impl TryFrom<AccreditationRow> for Accreditation {
    type Error = Error;

    fn try_from(row: AccreditationRow) -> Result<Self, Error> {
        let reason = row.withdrawal_reason.as_deref().map(Reason::parse);
        let reason = reason.transpose().map_err(corrupt("withdrawal_reason"))?;
        Ok(Self {
            id: AccreditationId::new(row.accreditation_id),
            level: word("level", &row.level, AccreditationLevel::from_word)?,
            subject: row.subject_id,
            organization: OrganizationId::new(row.organization_id),
            authority: OrganizationId::new(row.authority_id),
            activity: word("activity", &row.activity, ActivityType::from_word)?,
            certificate: Reference::parse(&row.certificate).map_err(corrupt("certificate"))?,
            days: days(row.first_day, row.last_day)?,
            state: word("state", &row.state, AccreditationState::from_word)?,
            suspensions: row.suspensions()?,
            granted_at: row.granted_at.map(jiff_sqlx::Timestamp::to_jiff),
            withdrawn: row.withdrawn_on.map(jiff_sqlx::Date::to_jiff).zip(reason),
            created_at: row.created_at.to_jiff(),
            revision: row.revision,
        })
    }
}

/// Adds an accreditation that was never suspended.
///
/// # Errors
/// Refuses an id that is taken in another operator.
#[tracing::instrument(level = "debug", name = "db.accreditation.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "accreditation.insert"))]
pub async fn insert_accreditation(conn: &mut PgConnection, new: &Accreditation) -> Result<(), Error> {
    let done = sqlx::query(
        "-- accreditation.insert
         INSERT INTO accreditations (organization_id, accreditation_id, level, subject_id, authority_id, activity,
                certificate, first_day, last_day, state, granted_at, created_at, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(new.organization.uuid())
    .bind(new.id.uuid())
    .bind(new.level.word())
    .bind(new.subject)
    .bind(new.authority.uuid())
    .bind(new.activity.word())
    .bind(new.certificate.as_str())
    .bind(new.days.first().to_sqlx())
    .bind(new.days.last().map(Date::to_sqlx))
    .bind(new.state.word())
    .bind(new.granted_at.map(Timestamp::to_sqlx))
    .bind(new.created_at.to_sqlx())
    .bind(new.revision)
    .execute(conn)
    .await;
    done.map(|_| ()).map_err(|error| match broken_constraint(&error) {
        // The id is of an accreditation in the journal of another operator.
        Some("accreditations_pkey") => {
            Error::id_elsewhere(Kind::Accreditation, new.id, "accreditation.subject_id")
        }
        _ => failed(error),
    })
}

/// Writes what can change of an accreditation.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.accreditation.update", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "accreditation.update"))]
pub async fn update_accreditation(conn: &mut PgConnection, changed: &Accreditation) -> Result<(), Error> {
    let (withdrawn_on, reason) = changed.withdrawn.clone().unzip();
    let done = sqlx::query(
        "-- accreditation.update
         UPDATE accreditations SET certificate = $2, first_day = $3, last_day = $4, state = $5, granted_at = $6,
                withdrawn_on = $7, withdrawal_reason = $8, revision = $9
          WHERE accreditation_id = $1",
    )
    .bind(changed.id.uuid())
    .bind(changed.certificate.as_str())
    .bind(changed.days.first().to_sqlx())
    .bind(changed.days.last().map(Date::to_sqlx))
    .bind(changed.state.word())
    .bind(changed.granted_at.map(Timestamp::to_sqlx))
    .bind(withdrawn_on.map(Date::to_sqlx))
    .bind(reason.as_ref().map(Reason::as_str))
    .bind(changed.revision)
    .execute(&mut *conn)
    .await
    .map_err(failed)?;
    expect_rows(done.rows_affected(), 1)?;
    match changed.suspensions.last() {
        // Only the last one ever changes, and its first day only to an earlier one.
        Some(last) => save_suspension(conn, changed.id, last).await,
        None => Ok(()),
    }
}

#[tracing::instrument(level = "debug", name = "db.accreditation.save_suspension", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "accreditation.save_suspension"))]
async fn save_suspension(
    conn: &mut PgConnection,
    id: AccreditationId,
    suspension: &Suspension,
) -> Result<(), Error> {
    sqlx::query(
        "-- accreditation.clear_suspension
         DELETE FROM suspensions WHERE accreditation_id = $1 AND $2 <= first_day",
    )
    .bind(id.uuid())
    .bind(suspension.days.first().to_sqlx())
    .execute(&mut *conn)
    .await
    .map_err(failed)?;
    sqlx::query(
        "-- accreditation.save_suspension
         INSERT INTO suspensions (accreditation_id, first_day, last_day, reason) VALUES ($1, $2, $3, $4)",
    )
    .bind(id.uuid())
    .bind(suspension.days.first().to_sqlx())
    .bind(suspension.days.last().map(Date::to_sqlx))
    .bind(suspension.reason.as_str())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

/// The operator that a subject of an accreditation belongs to; of an organization, itself.
///
/// # Errors
/// Fails when the database does.
pub async fn find_owner(
    conn: impl PgExecutor<'_>,
    level: AccreditationLevel,
    subject: Uuid,
) -> Result<Option<OrganizationId>, Error> {
    Ok(match level {
        AccreditationLevel::Organization => {
            find_organization(conn, OrganizationId::new(subject)).await?.map(|found| found.id)
        }
        AccreditationLevel::Team => {
            find_team(conn, TeamId::new(subject)).await?.map(|found| found.organization)
        }
        AccreditationLevel::Person => find_person(conn, PersonId::new(subject)).await?,
    })
}

/// One accreditation.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.accreditation.find", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "accreditation.find"))]
pub async fn find_accreditation(
    conn: impl PgExecutor<'_>,
    id: AccreditationId,
) -> Result<Option<Accreditation>, Error> {
    let row: Option<AccreditationRow> =
        sqlx::query_as(select_accreditations!("find", "WHERE a.accreditation_id = $1"))
            .bind(id.uuid())
            .fetch_optional(conn)
            .await
            .map_err(failed)?;
    row.map(Accreditation::try_from).transpose()
}

/// All accreditations of some operators, teams and persons, for one activity or every one.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.accreditation.list_for", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "accreditation.list_for"))]
pub async fn list_for(
    conn: impl PgExecutor<'_>,
    subjects: &[Uuid],
    activity: Option<ActivityType>,
) -> Result<Vec<Accreditation>, Error> {
    let rows: Vec<AccreditationRow> = sqlx::query_as(select_accreditations!(
        "list_for",
        "WHERE a.subject_id = ANY($1) AND ($2::text IS NULL OR a.activity = $2)
          ORDER BY a.accreditation_id"
    ))
    .bind(subjects)
    .bind(activity.map(ActivityType::word))
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Accreditation::try_from).collect()
}

/// Accreditations by id, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.accreditation.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "accreditation.list"))]
pub async fn list_accreditations(
    conn: impl PgExecutor<'_>,
    filter: &AccreditationFilter,
    limit: i64,
) -> Result<Vec<Accreditation>, Error> {
    let rows: Vec<AccreditationRow> = sqlx::query_as(select_accreditations!(
        "list",
        "WHERE a.organization_id = $1 AND $2 < a.accreditation_id
            AND ($3::text IS NULL OR a.level = $3) AND ($4::uuid IS NULL OR a.subject_id = $4)
            AND ($5::text IS NULL OR a.activity = $5)
            AND ($6::text IS NULL OR $6 = CASE WHEN a.state IN ('ACCREDITED', 'SUSPENDED') AND a.last_day < $7
                                               THEN 'EXPIRED' ELSE a.state END)
          ORDER BY a.accreditation_id LIMIT $8"
    ))
    .bind(filter.operator.uuid())
    .bind(filter.after)
    .bind(filter.level.map(AccreditationLevel::word))
    .bind(filter.subject)
    .bind(filter.activity.map(ActivityType::word))
    .bind(filter.state.map(AccreditationState::word))
    .bind(filter.today.to_sqlx())
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Accreditation::try_from).collect()
}
