//! The team by itself: is there one, is it free, may it do this.

use crate::domain::assignment::facts::{Crew, Facts};
use crate::domain::assignment::gate::{finding, first_common};
use crate::domain::assignment::{Finding, FindingReason};
use crate::domain::days::{DaySet, Days};
use crate::domain::team::{TeamState, TeamType};

pub(super) fn findings(facts: Facts<'_>, days: Days) -> Vec<Finding> {
    let Crew { team, .. } = facts.crew;
    let mut found = busy(facts.crew, days);
    found.extend(empty(facts.crew, days));
    if team.state == TeamState::Disbanded {
        let text = format!("team {} is disbanded; send another, or set it ACTIVE with UpdateTeam", team.code);
        found.push(finding(FindingReason::TeamDisbanded, team.id.uuid(), text));
    }
    found.extend(wrong_type(facts));
    found.extend(not_accredited(facts, days));
    found
}

fn busy(crew: &Crew, days: Days) -> Vec<Finding> {
    let team = &crew.team;
    let told = crew.busy.iter().map(|busy| {
        let (first, assignment) = (first_common(days, busy.days), busy.assignment);
        let text = format!(
            "team {} has assignment {assignment} from {first}; end that with EndAssignment or choose other days",
            team.code
        );
        finding(FindingReason::TeamBusy, team.id.uuid(), text).on(first).blocked_by(assignment)
    });
    told.collect()
}

fn empty(crew: &Crew, days: Days) -> Option<Finding> {
    let there =
        crew.members.iter().filter_map(|member| Days::new(member.first_day, Some(member.last_day)).ok());
    let day = DaySet::of(there).first_missing(days)?;
    let text = format!("nobody is in team {} on {day}; add members with AddMember", crew.team.code);
    Some(finding(FindingReason::TeamEmpty, crew.team.id.uuid(), text).on(day))
}

fn wrong_type(facts: Facts<'_>) -> Option<Finding> {
    let (team, wanted) = (&facts.crew.team, facts.work.team_type?);
    // A multi-task team does what the others do.
    if team.kind == wanted || team.kind == TeamType::MultiTask {
        return None;
    }
    let text = format!(
        "team {} is of type {}, task {} asks for {wanted}; send such a team or one of MULTI_TASK",
        team.code, team.kind, facts.work.code
    );
    Some(finding(FindingReason::WrongTeamType, team.id.uuid(), text))
}

fn not_accredited(facts: Facts<'_>, days: Days) -> Vec<Finding> {
    let Some(activity) = facts.work.activity else { return Vec::new() };
    let (crew, operator) = (facts.crew, facts.operator);
    let of_operator = operator.accredited.first_missing(days).map(|day| {
        let text = format!(
            "the operator is not accredited for {activity} on {day}; its authority grants that with GrantAccreditation"
        );
        finding(FindingReason::OrganizationNotAccredited, operator.id.uuid(), text).on(day)
    });
    let of_team = crew.accredited.first_missing(days).map(|day| {
        let code = &crew.team.code;
        let text = format!(
            "team {code} is not accredited for {activity} on {day}; its authority grants that with GrantAccreditation"
        );
        finding(FindingReason::TeamNotAccredited, crew.team.id.uuid(), text).on(day)
    });
    of_operator.into_iter().chain(of_team).collect()
}
