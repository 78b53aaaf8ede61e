//! The task and its ground: does it take a team now.

use crate::domain::assignment::facts::{Facts, Work};
use crate::domain::assignment::gate::finding;
use crate::domain::assignment::{Finding, FindingReason};
use crate::domain::days::{DaySet, Days};
use crate::domain::site::SiteStatus;
use crate::domain::task::TaskState;

/// States in which a task takes teams: from the order to the end of the work.
const TAKES_TEAMS: [TaskState; 5] =
    [TaskState::Issued, TaskState::Accepted, TaskState::Mobilised, TaskState::Active, TaskState::Suspended];

/// Says so when the task is not the operator's.
pub(super) fn of_another_operator(facts: Facts<'_>) -> Option<Finding> {
    let work = facts.work;
    if work.operator == Some(facts.operator.id) {
        return None;
    }
    let text = format!(
        "task {} is not issued to the operator of team {}; its program's office issues it",
        work.code, facts.crew.team.code
    );
    Some(finding(FindingReason::OtherOperator, work.task.uuid(), text))
}

pub(super) fn findings(facts: Facts<'_>, days: Days) -> Vec<Finding> {
    let work = facts.work;
    let mut found = Vec::new();
    if !TAKES_TEAMS.contains(&work.state) {
        let allowed = TAKES_TEAMS.map(TaskState::word).join(", ");
        let text = format!("task {} is {}; it takes teams while {allowed}", work.code, work.state);
        found.push(finding(FindingReason::TaskState, work.task.uuid(), text));
    }
    found.extend(of_sites(work));
    found.extend(stopped(work));
    found.extend(outside(work, days));
    found.extend(not_licensed(facts, days));
    found
}

fn of_sites(work: &Work) -> impl Iterator<Item = Finding> {
    work.sites.iter().filter(|site| site.status != SiteStatus::Open).map(|site| {
        let way_out = match site.status {
            SiteStatus::Open | SiteStatus::Suspended => "its authority resumes it with ResumeSite",
            SiteStatus::Closed | SiteStatus::HandedOver => "nothing is left to do there",
        };
        let text = format!("site {} is {}; {way_out}", site.code, site.status);
        finding(FindingReason::SiteState, site.id.uuid(), text)
    })
}

fn stopped(work: &Work) -> impl Iterator<Item = Finding> {
    work.stops.iter().map(|stop| {
        let what = match stop.target.as_str() {
            "SITE" => "a site of the task",
            "OPERATOR" => "all work of the operator",
            _ => "the task",
        };
        let text = format!("safety stop {} on {what} is in force; it must be lifted first", stop.id);
        finding(FindingReason::SafetyStop, stop.id.uuid(), text)
    })
}

fn outside(work: &Work, days: Days) -> Option<Finding> {
    let planned = work.days?;
    let day = DaySet::of([planned]).first_missing(days)?;
    let until = planned.last().map_or_else(String::new, |last| format!(" to {last}"));
    let text = format!(
        "{day} is outside the days of task {}, {}{until}; choose other days, or let the office change the task",
        work.code,
        planned.first()
    );
    Some(finding(FindingReason::OutsideTaskDays, work.task.uuid(), text).on(day))
}

/// A task needs a licence on every day once any was given for it; before that none is asked for.
fn not_licensed(facts: Facts<'_>, days: Days) -> Option<Finding> {
    let day = facts.operator.licensed.as_ref()?.first_missing(days)?;
    let text = format!(
        "the operator has no licence for task {} on {day}; the authority gives it with GrantTaskLicence",
        facts.work.code
    );
    Some(finding(FindingReason::NotLicensed, facts.work.task.uuid(), text).on(day))
}
