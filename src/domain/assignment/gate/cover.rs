//! Medical cover (IMAS 10.40): paramedic, ambulance, hospital, minutes, drill.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::domain::assignment::facts::{Ambulance, Asked, Busy, Gear, Paramedic};
use crate::domain::assignment::gate::equipment::invalid;
use crate::domain::assignment::gate::{finding, first_common};
use crate::domain::assignment::{Finding, FindingReason};
use crate::domain::days::Days;
use crate::domain::ids::TaskId;
use crate::domain::policy::Policy;
use crate::domain::team::{AssetKind, AssetState};

pub(super) fn findings(
    gear: &Gear,
    asked: &Asked,
    (days, today): (Days, Date),
    task: TaskId,
    policy: Policy,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let missing = asked.cover.missing();
    if !missing.is_empty() {
        let text = format!("the medical cover has no {}; nobody works without", missing.join(", no "));
        found.push(finding(FindingReason::NoMedicalCover, task.uuid(), text));
    }
    if let Some(paramedic) = &gear.paramedic {
        found.extend(of_paramedic(paramedic, days));
    }
    if let Some(ambulance) = &gear.ambulance {
        found.extend(of_ambulance(ambulance, days, task));
    }
    found.extend(too_far(asked, task, policy));
    found.extend(no_drill(asked, days, today, task));
    found
}

fn of_paramedic(paramedic: &Paramedic, days: Days) -> Vec<Finding> {
    let (who, id) = (format!("person {}", paramedic.id), paramedic.id.uuid());
    let unfit = paramedic.fit.first_missing(days).map(|day| {
        let text =
            format!("{who} is no PARAMEDIC of the operator on {day}; name another or add the membership");
        finding(FindingReason::ParamedicUnfit, id, text).on(day)
    });
    let busy = paramedic.other_work.iter().map(|other| {
        let (day, role) = (other.first_day, other.role);
        let whose = other.assignment.map_or_else(
            || "in this very team".to_owned(),
            |assignment| format!("in assignment {assignment}"),
        );
        let text = format!("{who} works as {role} {whose} on {day}, and gives no cover then; name another");
        let found = finding(FindingReason::ParamedicBusy, id, text).on(day);
        Finding { blocking: other.assignment, ..found }
    });
    let elsewhere = paramedic.elsewhere.iter().map(|busy| {
        let (day, assignment) = (first_common(days, busy.days), busy.assignment);
        let text = format!(
            "{who} is in the team of assignment {assignment} to another task on {day}, or covers it with another \
             ambulance, and gives no cover here then; name another"
        );
        finding(FindingReason::ParamedicBusy, id, text).on(day).blocked_by(assignment)
    });
    unfit.into_iter().chain(busy).chain(elsewhere).collect()
}

fn of_ambulance(ambulance: &Ambulance, days: Days, task: TaskId) -> Vec<Finding> {
    let asset = &ambulance.asset;
    if asset.kind != AssetKind::Ambulance || asset.state != AssetState::InUse {
        let text = format!(
            "{} {} ({}) does not serve as an ambulance; name an AMBULANCE that is IN_USE",
            asset.kind, asset.code, asset.state
        );
        return vec![finding(FindingReason::NotAnAmbulance, asset.id.uuid(), text)];
    }
    let full = full_on(ambulance, days, task).map(|(day, count, blocking)| {
        let text = format!(
            "AMBULANCE {} would cover {count} tasks on {day}, and may cover {}; name another or end one of them",
            asset.code, asset.shared_tasks_max
        );
        finding(FindingReason::AmbulanceFull, asset.id.uuid(), text).on(day).blocked_by(blocking.assignment)
    });
    full.into_iter().chain(invalid(asset, days)).collect()
}

/// The first day on which an ambulance would cover more tasks than it may, how many, and one of them.
fn full_on(ambulance: &Ambulance, days: Days, task: TaskId) -> Option<(Date, usize, Busy)> {
    let most = usize::try_from(ambulance.asset.shared_tasks_max).unwrap_or_default();
    // The number of tasks grows only on a day on which one of them begins.
    let begins = ambulance.covers.iter().map(|busy| busy.days.first()).filter(|day| days.contains(*day));
    let days: BTreeSet<Date> = begins.chain([days.first()]).collect();
    days.into_iter().find_map(|day| {
        let others: Vec<Busy> = ambulance
            .covers
            .iter()
            .filter(|busy| busy.days.contains(day) && busy.task != task)
            .copied()
            .collect();
        let tasks: BTreeSet<TaskId> = others.iter().map(|busy| busy.task).collect();
        let count = tasks.len() + 1;
        let blocking = others.first().filter(|_| most < count)?;
        Some((day, count, *blocking))
    })
}

fn too_far(asked: &Asked, task: TaskId, policy: Policy) -> Option<Finding> {
    let (minutes, max) = (asked.cover.evacuation_minutes?, policy.evacuation_minutes_max);
    if minutes <= max {
        return None;
    }
    let text = format!("the hospital is {minutes} minutes away, {max} are allowed; name a nearer one");
    Some(finding(FindingReason::EvacuationTooLong, task.uuid(), text))
}

/// The drill must have been held: not after today, and not after the first day.
fn no_drill(asked: &Asked, days: Days, today: Date, task: TaskId) -> Option<Finding> {
    let first = days.first();
    let text = match asked.cover.drill_on {
        Some(day) if day <= first && day <= today => return None,
        Some(day) if today < day => {
            format!(
                "the evacuation drill on {day} is not held yet, today is {today}; hold one before {first}"
            )
        }
        Some(day) => format!("the evacuation drill on {day} is after the first day {first}; hold one before"),
        None => format!("no evacuation drill was held by the first day {first}; hold one and give its day"),
    };
    Some(finding(FindingReason::DrillMissing, task.uuid(), text).on(first))
}
