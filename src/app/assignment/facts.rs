//! Loads what the gate looks at: a constant number of queries, however many teams, people and assets there are.

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

use crate::app::assignment::{Proposal, today_at};
use crate::domain::accreditation::{Accreditation, counts_for, valid_days};
use crate::domain::assignment::Finding;
use crate::domain::assignment::facts::{
    Ambulance, Asked, Crew, CrewMember, Facts, Gear, GearItem, Operator, Work,
};
use crate::domain::assignment::gate::findings;
use crate::domain::days::DaySet;
use crate::domain::ids::{AssignmentId, OrganizationId, TaskId, TeamId};
use crate::domain::kind::Kind;
use crate::domain::policy::Policy;
use crate::domain::team::{AssetKind, Team};
use crate::error::{Error, Violations};
use crate::store::Connection;
use crate::store::accreditation::list_for;
use crate::store::assignment::facts::{
    Window, find_paramedic, find_work, list_covered, list_elsewhere, list_gear,
};
use crate::store::assignment::people::{list_busy_teams, list_crews};

/// Everything about one proposal.
pub(super) struct Loaded {
    pub(super) work: Work,
    pub(super) operator: Operator,
    pub(super) crew: Crew,
    gear: Gear,
}

impl Loaded {
    /// What stands in the way.
    pub(super) fn findings(
        &self,
        asked: &Asked,
        now: Timestamp,
        policy: Policy,
    ) -> Result<Vec<Finding>, Error> {
        let Self { work, operator, crew, gear } = self;
        let facts = Facts { work, operator, crew, gear: Some(gear) };
        findings(facts, asked, today_at(work, now), policy).map_err(Error::bug)
    }
}

/// A task that must be there, and the days on which the operator has a licence for it, if it needs one.
pub(super) async fn named_work(
    conn: &mut Connection,
    task: TaskId,
    operator: OrganizationId,
) -> Result<(Work, Option<DaySet>), Error> {
    find_work(conn, task, operator).await?.ok_or_else(|| Error::not_found(Kind::Task, task))
}

/// The bookings that would be in the way of what is asked. `except` is an assignment that is not in its own way.
pub(super) const fn window(task: TaskId, asked: &Asked, except: Option<AssignmentId>) -> Window {
    Window { first: asked.first_day, last: asked.last_day, task, except }
}

/// Loads everything about a proposal, apart from the bookings of one assignment.
pub(super) async fn load(
    conn: &mut Connection,
    team: Team,
    proposal: &Proposal,
    except: Option<AssignmentId>,
) -> Result<Loaded, Error> {
    let id = team.organization;
    let (work, licensed) = named_work(conn, proposal.task, id).await?;
    let window = window(proposal.task, &proposal.asked, except);
    let gear = load_gear(conn, &team, proposal, window).await?;
    let (accredited, crews) = load_crews(conn, id, vec![team], &work, window).await?;
    let crew = crews.into_iter().next().ok_or_else(|| Error::bug("a team without its crew"))?;
    Ok(Loaded { work, operator: Operator { id, accredited, licensed }, crew, gear })
}

/// The crews of teams of one operator, in the order of the teams, and the days on which the operator is accredited.
pub(super) async fn load_crews(
    conn: &mut Connection,
    operator: OrganizationId,
    teams: Vec<Team>,
    work: &Work,
    window: Window,
) -> Result<(DaySet, Vec<Crew>), Error> {
    let ids: Vec<TeamId> = teams.iter().map(|team| team.id).collect();
    let mut busy = list_busy_teams(conn, &ids, window).await?;
    let members = list_crews(conn, &ids, window).await?;
    let mut held: HashMap<Uuid, Vec<Accreditation>> = HashMap::new();
    if let Some(activity) = work.activity {
        let people = members.iter().map(|(_, member)| member.person.uuid());
        let teams = ids.iter().map(|id| id.uuid());
        let mut subjects: Vec<Uuid> = people.chain(teams).chain([operator.uuid()]).collect();
        subjects.sort_unstable();
        subjects.dedup();
        for accreditation in list_for(&mut *conn, &subjects, Some(activity)).await? {
            if counts_for(work.authority, &accreditation) {
                held.entry(accreditation.subject).or_default().push(accreditation);
            }
        }
    }
    let of = |subject: Uuid| held.get(&subject).map(|held| valid_days(held)).unwrap_or_default();
    let mut by_team: HashMap<TeamId, Vec<CrewMember>> = HashMap::new();
    for (team, member) in members {
        let accredited = of(member.person.uuid());
        by_team.entry(team).or_default().push(CrewMember { accredited, ..member });
    }
    let crews = teams.into_iter().map(|team| Crew {
        accredited: of(team.id.uuid()),
        busy: busy.remove(&team.id).unwrap_or_default(),
        members: by_team.remove(&team.id).unwrap_or_default(),
        team,
    });
    Ok((of(operator.uuid()), crews.collect()))
}

/// Equipment and medical cover. What is not of the operator is not known.
async fn load_gear(
    conn: &mut Connection,
    team: &Team,
    proposal: &Proposal,
    window: Window,
) -> Result<Gear, Error> {
    let (operator, cover) = (team.organization, &proposal.asked.cover);
    let mut gear = Gear::default();
    let mut ids = proposal.assets.clone();
    ids.extend(cover.ambulance);
    if !ids.is_empty() {
        let items = list_gear(conn, operator, &ids, window).await?;
        if let Some(unknown) = ids.iter().find(|id| items.iter().all(|item| item.id != **id)) {
            return Err(Error::not_found(Kind::Asset, unknown));
        }
        let ambulance = items.iter().find(|item| Some(item.id) == cover.ambulance).cloned();
        gear.assets = items.into_iter().filter(|item| proposal.assets.contains(&item.id)).collect();
        expect_no_ambulance(proposal, &gear.assets)?;
        if let Some(asset) = ambulance {
            let covers = list_covered(conn, asset.id, window).await?;
            gear.ambulance = Some(Ambulance { asset, covers });
        }
    }
    if let Some(person) = cover.paramedic {
        let found = find_paramedic(conn, (operator, team.id, person), window).await?;
        let mut paramedic = found.ok_or_else(|| Error::not_found(Kind::Person, person))?;
        paramedic.elsewhere = list_elsewhere(conn, person, cover.ambulance, window).await?;
        gear.paramedic = Some(paramedic);
    }
    Ok(gear)
}

/// What a team takes along is its own for these days, and an ambulance is there for all that it covers. So is a vehicle
/// that is named as one.
fn expect_no_ambulance(proposal: &Proposal, taken: &[GearItem]) -> Result<(), Error> {
    let named = proposal.asked.cover.ambulance;
    let ambulance = taken.iter().find(|item| item.kind == AssetKind::Ambulance || Some(item.id) == named);
    let Some(item) = ambulance else { return Ok(()) };
    let index = proposal.assets.iter().position(|id| *id == item.id).unwrap_or_default();
    let rule = format!("{} is an ambulance; name it in medical_cover.ambulance_id only", item.code);
    Err(Violations::one(format!("assignment.asset_ids[{index}]"), rule))
}
