//! Use cases of teams.

use jiff::Span;
use jiff::tz::TimeZone;

use crate::app::App;
use crate::app::assignment::holding::expect_unused;
use crate::app::change::{Changed, Changing, Ground, Record, Request};
use crate::app::page::{Page, PageRequest};
use crate::app::rights::may_act_for;
use crate::app::token::Filter;
use crate::domain::caller::Caller;
use crate::domain::days::{Days, today_in};
use crate::domain::ids::{ScopeId, TeamId};
use crate::domain::kind::Kind;
use crate::domain::organization::OrganizationKind;
use crate::domain::team::{Team, TeamState, TeamType};
use crate::domain::text::{Note, Title};
use crate::error::Error;
use crate::store::Connection;
use crate::store::assignment::held::list_of_team;
use crate::store::team::{TeamFilter, find_team, insert_team, list_teams, update_team};

/// Record a team.
pub struct CreateTeam(pub Team);

/// Change a team.
pub struct UpdateTeam {
    /// The team.
    pub team: TeamId,
    /// The new values.
    pub patch: TeamPatch,
    /// Its revision as the caller knows it.
    pub expected_revision: i64,
}

/// New values of a team; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct TeamPatch {
    /// What people call it.
    pub name: Option<Title>,
    /// What it is made for.
    pub kind: Option<TeamType>,
    /// Whether it can be given work.
    pub state: Option<TeamState>,
    /// Anything else.
    pub note: Option<Note>,
}

impl Changing for CreateTeam {
    async fn scopes(&self, _conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![self.0.organization.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let scope = self.0.organization.scope();
        let team = Team { created_at: ground.now, revision: ground.revision(scope)?, ..self.0.clone() };
        insert_team(ground.conn, &team).await?;
        ground.record(scope, Record::Team(team))
    }
}

impl Changing for UpdateTeam {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![known_team(conn, self.team).await?.organization.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let mut team = known_team(ground.conn, self.team).await?;
        expect_revision(Kind::Team, team.id, self.expected_revision, team.revision)?;
        let TeamPatch { name, kind, state, note } = self.patch.clone();
        team.name = name.unwrap_or(team.name);
        team.kind = kind.unwrap_or(team.kind);
        if state == Some(TeamState::Disbanded) {
            // It may still be the day before somewhere.
            let since = today_in(&TimeZone::UTC, ground.now).saturating_sub(Span::new().days(1));
            let ahead = Days::new(since, None).map_err(Error::bug)?;
            let held = list_of_team(&mut *ground.conn, team.id, ahead).await?;
            expect_unused(&held, ground.now, (Kind::Team, team.id.uuid()), "be disbanded")?;
        }
        team.state = state.unwrap_or(team.state);
        team.note = note.unwrap_or(team.note);
        let scope = team.organization.scope();
        team.revision = ground.revision(scope)?;
        update_team(ground.conn, &team).await?;
        ground.record(scope, Record::Team(team))
    }
}

/// A team that must be there.
pub(crate) async fn known_team(conn: &mut Connection, id: TeamId) -> Result<Team, Error> {
    find_team(conn, id).await?.ok_or_else(|| Error::not_found(Kind::Team, id))
}

/// Refuses a caller who knows an older state of what it changes.
pub(crate) fn expect_revision(
    kind: Kind,
    id: impl std::fmt::Display,
    expected: i64,
    current: i64,
) -> Result<(), Error> {
    if expected == current {
        return Ok(());
    }
    Err(Error::Stale { kind, id: id.to_string(), expected, current })
}

impl App {
    /// Records a team.
    ///
    /// # Errors
    /// Refuses an organization that is not an operator, and a code that is taken.
    pub async fn create_team(
        &self,
        caller: &Caller,
        request: Request,
        new: CreateTeam,
    ) -> Result<Changed, Error> {
        may_act_for(caller, new.0.organization)?;
        self.expect_organization(new.0.organization, OrganizationKind::Operator).await?;
        self.change(caller, request, new).await
    }

    /// Changes a team.
    ///
    /// # Errors
    /// `Stale` when the caller knows an older state; refuses to disband a team that a standing assignment sends.
    pub async fn update_team(
        &self,
        caller: &Caller,
        request: Request,
        update: UpdateTeam,
    ) -> Result<Changed, Error> {
        let team = self.get_team(caller, update.team, 0).await?;
        may_act_for(caller, team.organization)?;
        self.change(caller, request, update).await
    }

    /// One team.
    ///
    /// # Errors
    /// `NotFound` when there is none that the caller may see.
    pub async fn get_team(&self, caller: &Caller, id: TeamId, min_revision: i64) -> Result<Team, Error> {
        let found = find_team(self.store.pool(), id).await?;
        let team = found.ok_or_else(|| Error::not_found(Kind::Team, id))?;
        self.expect_seen(caller, team.organization, Kind::Team, id).await?;
        if min_revision == 0 {
            return Ok(team);
        }
        self.feed.reach(team.organization.scope(), min_revision).await?;
        let found = find_team(self.store.pool(), id).await?;
        found.ok_or_else(|| Error::not_found(Kind::Team, id))
    }

    /// Teams of an operator by code.
    ///
    /// # Errors
    /// `NotFound` when the caller may not see the operator's teams; `PageToken` when the token is of another list.
    pub async fn list_teams(
        &self,
        caller: &Caller,
        mut filter: TeamFilter,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<Team>, Error> {
        self.expect_seen(caller, filter.operator, Kind::Organization, filter.operator).await?;
        self.feed.reach(filter.operator.scope(), min_revision).await?;
        let kind = filter.kind.map_or("", TeamType::word);
        let operator = filter.operator.uuid();
        let bound =
            Filter::of(&[b"teams", operator.as_bytes(), kind.as_bytes(), filter.code_prefix.as_bytes()]);
        filter.after_code = page.text_position(self, bound)?;
        let rows = list_teams(self.store.pool(), &filter, page.limit()).await?;
        Ok(page.cut(self, bound, rows, |row| row.code.as_str().as_bytes().to_vec()))
    }
}
