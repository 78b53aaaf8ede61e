//! Use cases of members: who is in which team, on which days.

use jiff::civil::Date;

use crate::app::App;
use crate::app::assignment::holding::expect_fit;
use crate::app::change::{Changed, Changing, Ground, Record, Request};
use crate::app::codec::EventCodec;
use crate::app::page::{Page, PageRequest};
use crate::app::person::{Names, NamesByPerson};
use crate::app::rights::may_act_for;
use crate::app::team::{expect_revision, known_team};
use crate::app::token::Filter;
use crate::domain::assignment::joining::{Held, Moved};
use crate::domain::caller::Caller;
use crate::domain::days::Days;
use crate::domain::ids::{MemberId, OrganizationId, PersonId, ScopeId, TeamId};
use crate::domain::kind::Kind;
use crate::domain::policy::Policy;
use crate::domain::refusal::Refusal;
use crate::domain::team::{Member, MemberRole, Team, TeamState};
use crate::domain::text::Title;
use crate::error::{Error, Violations};
use crate::store::Connection;
use crate::store::assignment::find_assignments;
use crate::store::assignment::held::list_of_team;
use crate::store::member::{
    MemberFilter, find_member, follow_memberships, insert_member, list_members, update_member,
};
use crate::store::person::save_person;
use crate::store::person_name::find_erased_person;

/// Record that a person is in a team.
#[derive(Debug, Clone)]
pub struct AddMember {
    /// Id of the membership.
    pub id: MemberId,
    /// The team.
    pub team: TeamId,
    /// The person.
    pub person: PersonId,
    /// The person's name.
    pub name: Title,
    /// What the person does in the team.
    pub role: MemberRole,
    /// When.
    pub days: Days,
}

/// Change a membership.
#[derive(Debug, Clone)]
pub struct UpdateMember {
    /// The membership.
    pub member: MemberId,
    /// The new values.
    pub patch: MemberPatch,
    /// Its revision as the caller knows it.
    pub expected_revision: i64,
}

/// New values of a membership; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct MemberPatch {
    /// The person's name.
    pub name: Option<Title>,
    /// What the person does in the team.
    pub role: Option<MemberRole>,
    /// The last day; `Some(None)` makes it open-ended.
    pub last_day: Option<Option<Date>>,
}

/// End a membership early.
#[derive(Debug, Clone)]
pub struct RemoveMember {
    /// The membership.
    pub member: MemberId,
    /// Its last day.
    pub last_day: Date,
    /// Its revision as the caller knows it.
    pub expected_revision: i64,
}

/// A change of a membership, with what the gate of assignments needs to judge it, and how names are kept.
struct Judged<T> {
    of: T,
    policy: Policy,
    names: Names,
}

impl Changing for Judged<AddMember> {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![known_team(conn, self.of.team).await?.organization.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let team = known_team(ground.conn, self.of.team).await?;
        expect_active(&team)?;
        let scope = team.organization.scope();
        let AddMember { id, person, name, role, days, .. } = self.of.clone();
        let (created_at, revision) = (ground.now, ground.revision(scope)?);
        save_person(ground.conn, team.organization, person).await?;
        if find_erased_person(&mut *ground.conn, team.organization, person).await?.is_some() {
            return Err(Refusal::PersonErased(person).into());
        }
        let name_digest = self.names.give(ground.conn, (team.organization, person), name).await?;
        let member = Member {
            id,
            team: team.id,
            organization: team.organization,
            person,
            name_digest: Some(name_digest),
            role,
            days,
            created_at,
            revision,
        };
        insert_member(ground.conn, &member).await?;
        follow(ground, self.policy, None, member).await
    }

    async fn differs(
        &self,
        conn: &mut Connection,
        codec: EventCodec,
        event: &[u8],
    ) -> Result<Option<&'static str>, Error> {
        let AddMember { team, person, name, .. } = &self.of;
        let operator = known_team(conn, *team).await?.organization;
        let Some(recorded) = (codec.recorded_name)(event) else { return Ok(None) };
        let differs = self.names.differ(conn, (operator, *person), name, recorded).await?;
        Ok(differs.then_some("member.name"))
    }
}

impl Changing for Judged<UpdateMember> {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![known_member(conn, self.of.member).await?.organization.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let was = known_member(ground.conn, self.of.member).await?;
        let mut member = was.clone();
        expect_revision(Kind::Member, member.id, self.of.expected_revision, member.revision)?;
        if member.name_digest.is_none() {
            return Err(Refusal::PersonErased(member.person).into());
        }
        let MemberPatch { name, role, last_day } = self.of.patch.clone();
        if let Some(name) = name {
            let whose = (member.organization, member.person);
            member.name_digest = Some(self.names.give(ground.conn, whose, name).await?);
        }
        member.role = role.unwrap_or(member.role);
        if let Some(last_day) = last_day {
            member.days = until("member.last_day", &member, last_day)?;
        }
        write(ground, self.policy, &was, member).await
    }

    async fn differs(
        &self,
        conn: &mut Connection,
        codec: EventCodec,
        event: &[u8],
    ) -> Result<Option<&'static str>, Error> {
        let Some(name) = &self.of.patch.name else { return Ok(None) };
        let Some(recorded) = (codec.recorded_name)(event) else { return Ok(None) };
        let member = known_member(conn, self.of.member).await?;
        let differs = self.names.differ(conn, (member.organization, member.person), name, recorded).await?;
        Ok(differs.then_some("member.name"))
    }
}

impl Changing for Judged<RemoveMember> {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![known_member(conn, self.of.member).await?.organization.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let was = known_member(ground.conn, self.of.member).await?;
        let mut member = was.clone();
        expect_revision(Kind::Member, member.id, self.of.expected_revision, member.revision)?;
        if let Some(last) = member.days.last().filter(|last| *last < self.of.last_day) {
            let rule =
                format!("{} is after {last}, the last day; UpdateMember makes it longer", self.of.last_day);
            return Err(Violations::one("last_day", rule));
        }
        member.days = until("last_day", &member, Some(self.of.last_day))?;
        write(ground, self.policy, &was, member).await
    }
}

fn until(field: &str, member: &Member, last_day: Option<Date>) -> Result<Days, Error> {
    Days::new(member.days.first(), last_day).map_err(|rule| Violations::one(field, rule))
}

/// Writes a changed membership, with what follows from it.
async fn write(
    ground: &mut Ground<'_>,
    policy: Policy,
    was: &Member,
    mut member: Member,
) -> Result<(), Error> {
    let scope = member.organization.scope();
    member.revision = ground.revision(scope)?;
    update_member(ground.conn, &member).await?;
    follow(ground, policy, Some(was), member).await
}

/// Lets the days on assignments follow a membership that was written, and records all that changed by it. Assignments
/// that stand keep the people that the gate let pass.
async fn follow(
    ground: &mut Ground<'_>,
    policy: Policy,
    was: Option<&Member>,
    member: Member,
) -> Result<(), Error> {
    let (scope, moved) = (member.organization.scope(), Moved::between(was, &member));
    let mut changed = Vec::new();
    if let Some(reach) = moved.reach() {
        let held = list_of_team(&mut *ground.conn, member.team, reach).await?;
        expect_fit(ground.conn, ground.now, policy, (&member, moved, &held)).await?;
        let (going_on, over): (Vec<_>, Vec<_>) =
            held.iter().partition(|held| held.ahead(ground.now).is_some());
        let ids = |held: Vec<&Held>| held.into_iter().map(|held| held.id).collect::<Vec<_>>();
        changed = follow_memberships(ground.conn, &member, (&ids(going_on), &ids(over))).await?;
    }
    ground.record(scope, Record::Member(member))?;
    for assignment in find_assignments(ground.conn, &changed).await? {
        ground.record(scope, Record::Assignment(Box::new(assignment)))?;
    }
    Ok(())
}

async fn known_member(conn: &mut Connection, id: MemberId) -> Result<Member, Error> {
    find_member(conn, id).await?.ok_or_else(|| Error::not_found(Kind::Member, id))
}

fn expect_active(team: &Team) -> Result<(), Error> {
    if team.state == TeamState::Active {
        return Ok(());
    }
    Err(Refusal::WrongState {
        kind: Kind::Team,
        id: team.id.uuid(),
        state: team.state.word(),
        action: "take members",
        allowed: vec![TeamState::Active.word()],
    }
    .into())
}

impl App {
    /// Records that a person is in a team.
    ///
    /// # Errors
    /// Refuses a disbanded team, a person of another operator or one who was erased, days on which the person is in the
    /// team already or works with another one, and whom the gate would not let into a standing assignment of the team.
    pub async fn add_member(
        &self,
        caller: &Caller,
        request: Request,
        new: AddMember,
    ) -> Result<Changed, Error> {
        let team = self.get_team(caller, new.team, 0).await?;
        may_act_for(caller, team.organization)?;
        self.change_member(caller, team.organization, (request, new)).await
    }

    /// Changes a membership.
    ///
    /// # Errors
    /// `Stale` when the caller knows an older state; the refusals of [`App::add_member`].
    pub async fn update_member(
        &self,
        caller: &Caller,
        request: Request,
        update: UpdateMember,
    ) -> Result<Changed, Error> {
        let operator = self.expect_own_member(caller, update.member).await?;
        self.change_member(caller, operator, (request, update)).await
    }

    /// Ends a membership early.
    ///
    /// # Errors
    /// `Stale` when the caller knows an older state; `Invalid` when the day does not shorten it; refuses to leave a
    /// standing assignment without anybody or without its paramedic.
    pub async fn remove_member(
        &self,
        caller: &Caller,
        request: Request,
        remove: RemoveMember,
    ) -> Result<Changed, Error> {
        let operator = self.expect_own_member(caller, remove.member).await?;
        self.change_member(caller, operator, (request, remove)).await
    }

    async fn change_member<T>(
        &self,
        caller: &Caller,
        operator: OrganizationId,
        (request, of): (Request, T),
    ) -> Result<Changed, Error>
    where
        Judged<T>: Changing,
    {
        let judged = Judged { of, policy: self.policy, names: self.names() };
        let done = self.change(caller, request, judged).await;
        self.naming(caller, operator, done).await
    }

    /// The operator of a member whom the caller may change.
    async fn expect_own_member(&self, caller: &Caller, id: MemberId) -> Result<OrganizationId, Error> {
        let found = find_member(self.store.pool(), id).await?;
        let member = found.ok_or_else(|| Error::not_found(Kind::Member, id))?;
        self.expect_seen(caller, member.organization, Kind::Member, id).await?;
        may_act_for(caller, member.organization)?;
        Ok(member.organization)
    }

    /// Memberships of an operator by id, with the names that the caller may read.
    ///
    /// # Errors
    /// `NotFound` when the caller may not see the operator's people; `PageToken` when the token is of another list; a
    /// refusal when the key of a name is missing.
    pub async fn list_members(
        &self,
        caller: &Caller,
        mut filter: MemberFilter,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<(Page<Member>, NamesByPerson), Error> {
        self.expect_seen(caller, filter.operator, Kind::Organization, filter.operator).await?;
        self.feed.reach(filter.operator.scope(), min_revision).await?;
        let text = format!("{:?} {:?} {:?}", filter.team, filter.person, filter.on_day);
        let bound = Filter::of(&[b"members", filter.operator.uuid().as_bytes(), text.as_bytes()]);
        filter.after = page.id_position(self, bound)?;
        let rows = list_members(self.store.pool(), &filter, page.limit()).await?;
        let page = page.cut(self, bound, rows, |row| row.id.uuid().as_bytes().to_vec());
        let persons = page.rows.iter().map(|member| member.person).collect();
        let names = self.read_names(caller, filter.operator, persons, "ListMembers").await?;
        Ok((page, names))
    }
}
