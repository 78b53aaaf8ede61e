//! How much land people and machines can release. Beyond that somebody looks twice: official totals were cut because
//! nobody had the capacity for them (Mine Action Review on Cambodia, 2023).

use crate::domain::activity::ActivityType;
use crate::domain::field_report::{Claims, Terrain};
use crate::domain::site::ReleaseType;

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

/// Says so, with the figures, when people searched longer, or more land, than can be.
pub(super) fn beyond(claims: &Claims) -> Option<String> {
    overworked(claims).or_else(|| more_land(claims))
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

/// Says so, with the figures, when more land was searched than can be. Land that a non-technical survey cancels is not
/// searched.
fn more_land(claims: &Claims) -> Option<String> {
    let searched = claims.areas.iter().filter(|area| area.release != ReleaseType::Cancelled);
    let searched = searched.fold(0_i64, |sum, area| sum.saturating_add(area.area_m2));
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
