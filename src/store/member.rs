//! SQL of memberships, and of the days on assignments that follow from them.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::ids::{AssignmentId, MemberId, OrganizationId, PersonId, TeamId};
use crate::domain::kind::Kind;
use crate::domain::personal::NameDigest;
use crate::domain::refusal::Refusal;
use crate::domain::team::{Member, MemberRole};
use crate::error::Error;
use crate::store::rows::{days, word};
use crate::store::{broken_constraint, expect_rows, failed};

/// Which memberships to list, after which id.
#[derive(Debug, Clone)]
pub struct MemberFilter {
    /// Of this operator.
    pub operator: OrganizationId,
    /// Only in this team.
    pub team: Option<TeamId>,
    /// Only of this person.
    pub person: Option<PersonId>,
    /// Only those that hold on this day.
    pub on_day: Option<Date>,
    /// Only ids after this one.
    pub after: Uuid,
}

#[derive(FromRow)]
struct MemberRow {
    organization_id: Uuid,
    member_id: Uuid,
    team_id: Uuid,
    person_id: Uuid,
    name_digest: Option<Vec<u8>>,
    role: String,
    first_day: jiff_sqlx::Date,
    last_day: Option<jiff_sqlx::Date>,
    created_at: jiff_sqlx::Timestamp,
    revision: i64,
}

impl TryFrom<MemberRow> for Member {
    type Error = Error;

    fn try_from(row: MemberRow) -> Result<Self, Error> {
        let digest = row.name_digest.map(NameDigest::try_from);
        Ok(Self {
            id: MemberId::new(row.member_id),
            team: TeamId::new(row.team_id),
            organization: OrganizationId::new(row.organization_id),
            person: PersonId::new(row.person_id),
            name_digest: digest.transpose().map_err(|_| Error::bug("a stored digest has another length"))?,
            role: word("role", &row.role, MemberRole::from_word)?,
            days: days(row.first_day, row.last_day)?,
            created_at: row.created_at.to_jiff(),
            revision: row.revision,
        })
    }
}

/// Adds a membership. The person must be known.
///
/// # Errors
/// Refuses days on which the person is in the team already.
#[tracing::instrument(level = "debug", name = "db.member.insert", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "member.insert"))]
pub async fn insert_member(conn: &mut PgConnection, new: &Member) -> Result<(), Error> {
    let done = sqlx::query(
        "-- member.insert
         INSERT INTO members (organization_id, member_id, team_id, person_id, role, first_day, last_day, created_at,
                revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(new.organization.uuid())
    .bind(new.id.uuid())
    .bind(new.team.uuid())
    .bind(new.person.uuid())
    .bind(new.role.word())
    .bind(new.days.first().to_sqlx())
    .bind(new.days.last().map(Date::to_sqlx))
    .bind(new.created_at.to_sqlx())
    .bind(new.revision)
    .execute(conn)
    .await;
    done.map(|_| ()).map_err(|error| refused(error, new))
}

/// Writes what can change of a membership.
///
/// # Errors
/// Refuses days on which the person is in the team by another membership.
#[tracing::instrument(level = "debug", name = "db.member.update", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "member.update"))]
pub async fn update_member(conn: &mut PgConnection, member: &Member) -> Result<(), Error> {
    let done = sqlx::query(
        "-- member.update
         UPDATE members SET role = $2, last_day = $3, revision = $4 WHERE member_id = $1",
    )
    .bind(member.id.uuid())
    .bind(member.role.word())
    .bind(member.days.last().map(Date::to_sqlx))
    .bind(member.revision)
    .execute(conn)
    .await
    .map_err(|error| refused(error, member))?;
    expect_rows(done.rows_affected(), 1)
}

fn refused(error: sqlx::Error, member: &Member) -> Error {
    match broken_constraint(&error) {
        Some("members_overlap_excl") => overlap(member.person, "a membership in this team"),
        // The id is of a membership in the journal of another operator.
        Some("members_pkey") => Error::id_elsewhere(Kind::Member, member.id, "member.team_id"),
        _ => failed(error),
    }
}

fn overlap(person: PersonId, what: &'static str) -> Error {
    Refusal::DaysOverlap { kind: Kind::Person, id: person.uuid(), what }.into()
}

/// An assignment, with the first and the last day of a person on it, and the role.
type WorkedRow = (Uuid, jiff_sqlx::Date, jiff_sqlx::Date, String);

/// Makes the days of a person on assignments of a team what they follow from. On those that go on, they are the days
/// of the assignment and of the person's memberships, as far as they are the same days. On those that are over, days
/// only go: who joins later did not work there. Answers the assignments that are changed by that, which get the
/// revision.
///
/// # Errors
/// Refuses days on which the person is on an assignment of another team.
#[tracing::instrument(level = "debug", name = "db.member.follow", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "member.follow"))]
pub async fn follow_memberships(
    conn: &mut PgConnection,
    member: &Member,
    (going_on, over): (&[AssignmentId], &[AssignmentId]),
) -> Result<Vec<AssignmentId>, Error> {
    let going_on: Vec<Uuid> = going_on.iter().map(|id| id.uuid()).collect();
    let over: Vec<Uuid> = over.iter().map(|id| id.uuid()).collect();
    // Two statements: in one, the rows that go would still be in the way of those that come.
    let before: Vec<WorkedRow> = sqlx::query_as(
        "-- member.follow_clear
         DELETE FROM assignment_people WHERE assignment_id = ANY($1) AND person_id = $2
         RETURNING assignment_id, first_day, last_day, role",
    )
    .bind([going_on.as_slice(), over.as_slice()].concat())
    .bind(member.person.uuid())
    .fetch_all(&mut *conn)
    .await
    .map_err(failed)?;
    let kept: Vec<&WorkedRow> = before.iter().filter(|row| over.contains(&row.0)).collect();
    // LEAST passes over the null of what is open-ended.
    let after: Result<Vec<WorkedRow>, _> = sqlx::query_as(
        "-- member.follow
         INSERT INTO assignment_people (assignment_id, person_id, first_day, last_day, role)
         SELECT a.assignment_id, m.person_id, GREATEST(a.first_day, m.first_day), LEAST(a.last_day, m.last_day),
                COALESCE(a.role, m.role)
           FROM members m
           JOIN (SELECT s.assignment_id, s.first_day, s.last_day, NULL::text AS role
                   FROM assignments s WHERE s.assignment_id = ANY($3)
                 UNION ALL
                 SELECT k.assignment_id, k.first_day, k.last_day, k.role
                   FROM UNNEST($4::uuid[], $5::date[], $6::date[], $7::text[])
                     AS k(assignment_id, first_day, last_day, role)) a
             ON a.first_day <= COALESCE(m.last_day, 'infinity') AND m.first_day <= a.last_day
          WHERE m.team_id = $1 AND m.person_id = $2
         RETURNING assignment_id, first_day, last_day, role",
    )
    .bind(member.team.uuid())
    .bind(member.person.uuid())
    .bind(&going_on)
    .bind(kept.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind(kept.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind(kept.iter().map(|row| row.2).collect::<Vec<_>>())
    .bind(kept.iter().map(|row| row.3.as_str()).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await;
    let after = after.map_err(|error| match broken_constraint(&error) {
        Some("assignment_people_person_excl") => overlap(member.person, "work with another team"),
        _ => failed(error),
    })?;
    let days = |rows: &[WorkedRow]| -> BTreeSet<(Uuid, Date, Date)> {
        rows.iter().map(|(id, first, last, _)| (*id, first.to_jiff(), last.to_jiff())).collect()
    };
    let (before, after) = (days(&before), days(&after));
    let changed: BTreeSet<Uuid> = before.symmetric_difference(&after).map(|(id, _, _)| *id).collect();
    mark_assignments(conn, changed, member.revision).await
}

#[tracing::instrument(level = "debug", name = "db.member.mark_assignments", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "member.mark_assignments"))]
async fn mark_assignments(
    conn: &mut PgConnection,
    changed: BTreeSet<Uuid>,
    revision: i64,
) -> Result<Vec<AssignmentId>, Error> {
    let ids: Vec<Uuid> = changed.into_iter().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let done = sqlx::query(
        "-- member.mark_assignments
         UPDATE assignments SET revision = $2 WHERE assignment_id = ANY($1)",
    )
    .bind(&ids)
    .bind(revision)
    .execute(conn)
    .await
    .map_err(failed)?;
    expect_rows(done.rows_affected(), ids.len())?;
    Ok(ids.into_iter().map(AssignmentId::new).collect())
}

/// One membership.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.member.find", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "member.find"))]
pub async fn find_member(conn: impl PgExecutor<'_>, id: MemberId) -> Result<Option<Member>, Error> {
    let row: Option<MemberRow> = sqlx::query_as(
        "-- member.find
         SELECT m.organization_id, member_id, team_id, m.person_id, n.digest AS name_digest, role, first_day, last_day,
                created_at, revision
           FROM members m
           LEFT JOIN person_names n ON n.organization_id = m.organization_id AND n.person_id = m.person_id
          WHERE member_id = $1",
    )
    .bind(id.uuid())
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    row.map(Member::try_from).transpose()
}

/// Memberships by id, at most `limit`.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.member.list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "member.list"))]
pub async fn list_members(
    conn: impl PgExecutor<'_>,
    filter: &MemberFilter,
    limit: i64,
) -> Result<Vec<Member>, Error> {
    let rows: Vec<MemberRow> = sqlx::query_as(
        "-- member.list
         SELECT m.organization_id, member_id, team_id, m.person_id, n.digest AS name_digest, role, first_day, last_day,
                created_at, revision
           FROM members m
           LEFT JOIN person_names n ON n.organization_id = m.organization_id AND n.person_id = m.person_id
          WHERE m.organization_id = $1 AND $2 < member_id
            AND ($3::uuid IS NULL OR team_id = $3) AND ($4::uuid IS NULL OR m.person_id = $4)
            AND ($5::date IS NULL OR $5 BETWEEN first_day AND COALESCE(last_day, 'infinity'))
          ORDER BY member_id LIMIT $6",
    )
    .bind(filter.operator.uuid())
    .bind(filter.after)
    .bind(filter.team.map(TeamId::uuid))
    .bind(filter.person.map(PersonId::uuid))
    .bind(filter.on_day.map(Date::to_sqlx))
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Member::try_from).collect()
}
