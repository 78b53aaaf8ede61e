//! How much land people and machines can release. Beyond that somebody looks twice: official totals were cut because
//! nobody had the capacity for them (Mine Action Review on Cambodia, 2023).

use jiff::civil::Date;

use crate::domain::activity::ActivityType;
use crate::domain::field_report::{Claims, FieldReport, ReportKind, Terrain};
use crate::domain::site::ReleaseType;

use super::Known;

/// Minutes of a working day.
const DAY_MINUTES: i64 = 480;

/// Square metres that one person who searches releases in a day on open ground, at the most. Well above what is usual (10
/// to 50 by hand, 400 to 1,500 with dogs), since this finds slips of a decimal and inventions, not good days.
const fn of_person(activity: Option<ActivityType>) -> i64 {
    match activity {
        Some(ActivityType::ManualClearance) => 200,
        Some(ActivityType::AnimalDetection | ActivityType::Ts) => 3_000,
        Some(ActivityType::Bac) => 5_000,
        _ => 1_000,
    }
}

/// Square metres that a machine releases in a day on open ground, at the most: twice what is usual.
const OF_MACHINE: i64 = 20_000;

/// By how much terrain divides it. Dense or hard ground takes three times as long.
const fn divisor(terrain: Option<Terrain>) -> i64 {
    match terrain {
        None | Some(Terrain::Open) => 1,
        Some(Terrain::Vegetated | Terrain::Steep | Terrain::Urban) => 2,
        Some(Terrain::Hard) => 3,
    }
}

/// Minutes that a person can search in a day, at the most: half of it.
const SEARCH_MINUTES_MAX: i64 = 720;

/// How many days assignments sent people and machines to a task, each counted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaysSpent {
    /// Days of people.
    pub people: i64,
    /// Days of machines.
    pub machines: i64,
}

/// Whether a report tells how many people searched on its day, so that the members of the team are looked at.
#[must_use]
pub fn tells_searchers(report: &FieldReport) -> bool {
    report.kind == ReportKind::Progress && 0 < report.claims.searchers
}

/// Whether a report tells land that was searched on other days as well, so that those spent on the task are looked at. Only a
/// day's report has the hours of its work.
#[must_use]
pub fn sums_up_days(report: &FieldReport) -> bool {
    report.kind != ReportKind::Progress && 0 < searched(&report.claims)
}

/// What is more than can be, with the figures: people, their hours, or land.
pub(super) fn beyond(report: &FieldReport, known: &Known) -> Vec<String> {
    let claims = &report.claims;
    if report.kind == ReportKind::Progress {
        let crowd = known.members.and_then(|members| crowded(claims, members, report.work_date));
        let land = overworked(claims).or_else(|| more_land(claims));
        return crowd.into_iter().chain(land).collect();
    }
    let activity = claims.activity.or_else(|| known.task.as_ref()?.activity);
    let spent = known.spent.filter(|_| sums_up_days(report));
    spent.and_then(|spent| beyond_days(claims, activity, spent, report.work_date)).into_iter().collect()
}

/// Says so when more people searched than there are.
fn crowded(claims: &Claims, members: i64, day: Date) -> Option<String> {
    (members < claims.searchers).then(|| {
        format!(
            "{} people who search are more than the {members} members that the team had on {day}; correct the people, or \
             ask the coordinator to record who joined",
            claims.searchers
        )
    })
}

/// Says so when more land was searched than people and machines can release on the days that they were sent.
fn beyond_days(
    claims: &Claims,
    activity: Option<ActivityType>,
    spent: DaysSpent,
    day: Date,
) -> Option<String> {
    if activity == Some(ActivityType::Mechanical) && spent.machines == 0 {
        // Nobody noted which machines were there.
        return None;
    }
    let by_people = spent.people.saturating_mul(of_person(activity));
    let by_machines = spent.machines.saturating_mul(OF_MACHINE);
    let most = by_people.saturating_add(by_machines) / divisor(claims.terrain);
    let searched = searched(claims);
    (most < searched).then(|| {
        format!(
            "{searched} m2 are more than {most} m2, the most for the {} days of people and {} of machines that assignments \
             sent to the task until {day}; correct the area, or ask the coordinator to record who worked there",
            spent.people, spent.machines
        )
    })
}

/// Land that was searched. What a non-technical survey cancels is not.
fn searched(claims: &Claims) -> i64 {
    let searched = claims.areas.iter().filter(|area| area.release != ReleaseType::Cancelled);
    searched.fold(0, |sum, area| sum.saturating_add(area.area_m2))
}

/// Hours are told by who tells the land, so they must be possible themselves.
fn overworked(claims: &Claims) -> Option<String> {
    let most = claims.searchers.saturating_mul(SEARCH_MINUTES_MAX);
    (most < claims.search_minutes).then(|| {
        format!(
            "{} minutes are more than {} people can search in a day, {most}; correct the people or the hours",
            claims.search_minutes, claims.searchers
        )
    })
}

/// Says so, with the figures, when more land was searched than can be.
fn more_land(claims: &Claims) -> Option<String> {
    let searched = searched(claims);
    let by_people = claims.search_minutes.saturating_mul(of_person(claims.activity));
    let by_machines = claims.machine_minutes.saturating_mul(OF_MACHINE);
    let most = by_people.saturating_add(by_machines) / DAY_MINUTES / divisor(claims.terrain);
    if searched <= most {
        return None;
    }
    let terrain = claims.terrain.map_or(String::new(), |terrain| format!(" on {terrain} ground"));
    Some(format!(
        "{searched} m2 are more than {most} m2, the most for {} minutes of search and {} of machines{terrain}; correct the \
         area or the hours",
        claims.search_minutes, claims.machine_minutes
    ))
}
