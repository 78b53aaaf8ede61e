//! What an approval needs, beside the state of the report: what a version claims must fit its task and its ground, and
//! no ground is credited twice.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::activity::ActivityType;
use crate::domain::field_report::outputs::Outputs;
use crate::domain::field_report::{ClaimedArea, FieldReport};
use crate::domain::geometry::parts::{outside_flaw, shared_m2};
use crate::domain::geometry::{Comparisons, Outline, area_flaw};
use crate::domain::ids::{AllocationId, EntryId, OrganizationId, ProgramId, ReportId, SiteId, TaskId};
use crate::domain::land::{Booked, Movement, MovementKind, out_of_order};
use crate::domain::site::{ReleaseType, Site};
use crate::domain::task::Task;

/// What an approved version counts for in its program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    /// The program.
    pub program: ProgramId,
    /// The report.
    pub report: ReportId,
    /// The version.
    pub version: i32,
    /// The operator.
    pub operator: OrganizationId,
    /// The task.
    pub task: TaskId,
    /// The allocation that paid for it.
    pub allocation: AllocationId,
    /// Day of the work.
    pub work_date: Date,
    /// What it counts for.
    pub outputs: Outputs,
    /// The entry that paid a claim.
    pub entry: Option<EntryId>,
    /// When it began to count.
    pub approved_at: Timestamp,
    /// Who approved it.
    pub approved_by: String,
    /// How it ceased to count, if it did.
    pub ended: Option<Ended>,
}

/// How a version ceased to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Who ended it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Ground that was credited before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditedGround {
    /// The report that it was credited to.
    pub report: ReportId,
    /// How it was released.
    pub release: ReleaseType,
    /// Where.
    pub outline: Outline,
}

/// The way in which a release moves the land ledger.
#[must_use]
pub const fn movement_of(release: ReleaseType) -> MovementKind {
    match release {
        ReleaseType::Cancelled => MovementKind::Cancelled,
        ReleaseType::Reduced => MovementKind::Reduced,
        ReleaseType::Cleared => MovementKind::Cleared,
    }
}

/// Whether a method can release land in a way: only non-technical survey cancels, only technical survey reduces
/// (IMAS 07.11).
const fn releases(activity: ActivityType, release: ReleaseType) -> bool {
    match release {
        ReleaseType::Cancelled => matches!(activity, ActivityType::Nts | ActivityType::Resurvey),
        ReleaseType::Reduced => matches!(activity, ActivityType::Ts | ActivityType::Resurvey),
        ReleaseType::Cleared => matches!(
            activity,
            ActivityType::ManualClearance
                | ActivityType::Mechanical
                | ActivityType::AnimalDetection
                | ActivityType::Bac
        ),
    }
}

/// What the areas of a report lack beside its task, each in words with the way out. The method is the one that was
/// ordered: a tablet cannot choose another.
#[must_use]
pub fn missing_of_task(report: &FieldReport, task: &Task) -> Vec<String> {
    let mut missing = Vec::new();
    let activity = task.plan.activity;
    if let (Some(worked), Some(ordered)) = (report.claims.activity, activity)
        && worked != ordered
        && !report.claims.areas.is_empty()
    {
        missing
            .push(format!("it is about {worked}, {ordered} was ordered; report it for a task of that kind"));
    }
    for (index, area) in report.claims.areas.iter().enumerate() {
        if !task.plan.sites.contains(&area.site) {
            missing.push(format!("areas[{index}]: site {} is not one of the task's", area.site));
        }
        if let Some(activity) = activity.filter(|activity| !releases(*activity, area.release)) {
            let release = area.release;
            missing.push(format!("areas[{index}]: {activity} does not release land as {release}"));
        }
        let (depth, ordered) = (area.depth_cm, task.plan.depth_cm);
        if area.release == ReleaseType::Cleared && depth < ordered {
            missing.push(format!("areas[{index}]: cleared to {depth} cm, {ordered} cm were ordered"));
        }
    }
    missing
}

/// What was measured or split after the work, if anything was: it rules, and the land of the work is in it already.
/// Releases may be approved in any order.
#[must_use]
pub fn ruled_since(work_date: Date, booked: &[Booked]) -> bool {
    let ruling: Vec<Booked> = booked.iter().copied().filter(|booked| !booked.kind.is_release()).collect();
    out_of_order(work_date, &ruling).is_some()
}

/// The days between what was measured, split or found last before some work and what was next after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Between {
    /// When it was found, measured or split last, on the day of the work at the latest; none when nothing is known.
    pub since: Option<Date>,
    /// When it was next, after the day of the work.
    pub until: Date,
}

/// Between what the work of a day was done; none when nothing rules since.
#[must_use]
pub fn ruled_between(work_date: Date, booked: &[Booked]) -> Option<Between> {
    let ruling = || booked.iter().filter(|booked| !booked.kind.is_release()).map(|booked| booked.on);
    let until = ruling().filter(|on| work_date < *on).min()?;
    Some(Between { since: ruling().filter(|on| *on <= work_date).max(), until })
}

/// Square metres of a site that a report claims without an outline.
#[must_use]
pub fn without_outline_m2(report: &FieldReport, site: SiteId) -> i64 {
    let bare = report.claims.areas.iter().filter(|area| area.site == site && area.outline.is_none());
    bare.fold(0_i64, |sum, area| sum.saturating_add(area.area_m2))
}

/// What is wrong with land that is claimed without an outline and moves none, if anything is: there is no more of it than
/// the site had then and no other report is credited with. `left` is that; none when nobody knows.
#[must_use]
pub fn missing_then(report: &FieldReport, site: SiteId, claimed: i64, left: Option<i64>) -> Option<String> {
    let day = report.work_date;
    let way_out = "give the outline of each part, so that its ground can be told from that of others";
    match left {
        Some(left) if claimed <= left => None,
        Some(left) => Some(format!(
            "{claimed} m2 are more than the {left} m2 that site {site} had on {day} and that are not credited; {way_out}"
        )),
        None => Some(format!("nobody knows how much land site {site} had on {day}; {way_out}")),
    }
}

/// What the areas of a report lack beside one site of theirs, which may be worked on. `moves` says whether they are to
/// move its land, and `looked_past` whether a reviewer has said why the report counts all the same.
#[must_use]
pub fn missing_of_site(report: &FieldReport, site: &Site, moves: bool, looked_past: bool) -> Vec<String> {
    let areas: Vec<&ClaimedArea> = report.claims.areas.iter().filter(|area| area.site == site.id).collect();
    let claimed = areas.iter().fold(0_i64, |sum, area| sum.saturating_add(area.area_m2));
    let mut missing = Vec::new();
    if moves && site.area_m2 < claimed {
        let (left, id) = (site.area_m2, site.id);
        missing.push(format!("{claimed} m2 are more than the {left} m2 that site {id} has left"));
    }
    // Days do not tell which came first, so the unsafe one wins.
    if report.work_date <= site.evidence_on {
        let by_survey = areas.iter().any(|area| area.release != ReleaseType::Cleared);
        let (day, id, evidence) = (report.work_date, site.id, site.evidence_on);
        let older =
            format!("the work of {day} is not after the last evidence of danger on site {id}, of {evidence}");
        if by_survey {
            missing.push(format!("{older}; survey it again"));
        } else if !looked_past {
            missing.push(format!("{older}; if it counts all the same, say why in looked_past"));
        }
    }
    for area in areas {
        let Some(outline) = &area.outline else { continue };
        let outside = site.boundary.as_ref().and_then(|whole| outside_flaw(whole, outline));
        let flaw = outside.or_else(|| area_flaw(area.area_m2, outline.boundary.computed_area_m2));
        missing.extend(flaw.map(|flaw| format!("a part of site {}: it {flaw}", site.id)));
    }
    missing
}

/// Ground of a report that was credited before, or stands in it twice: to which report, and how much of it. Neighbours
/// are drawn apart by survey errors, so that up to a tenth of a part may lie in others, all of them together.
///
/// # Errors
/// Says so when there is too much to compare.
pub fn credited_before(
    report: &FieldReport,
    site: SiteId,
    credited: &[CreditedGround],
) -> Result<Vec<(ReportId, String)>, String> {
    let of_site = report.claims.areas.iter().filter(|area| area.site == site);
    let parts: Vec<(ReleaseType, &Outline)> =
        of_site.filter_map(|area| Some((area.release, area.outline.as_ref()?))).collect();
    let (mut found, mut left) = (Vec::new(), Comparisons::default());
    for (index, (release, part)) in parts.iter().enumerate() {
        let before = credited.iter().map(|of| (of.report, of.release, &of.outline));
        let within = parts[..index].iter().map(|(release, part)| (report.id, *release, *part));
        let (mut shared, mut all) = (Vec::new(), 0_i64);
        for (owner, how, other) in before.chain(within) {
            let common = shared_m2(other, part, &mut left)?;
            if 0 < common {
                all = all.saturating_add(common);
                shared.push((owner, format!("{common} m2 to be {release} are {how} by report {owner}")));
            }
        }
        if part.boundary.computed_area_m2 / 10 < all {
            found.extend(shared);
        }
    }
    Ok(found)
}

/// The movements by which the areas of a report leave their sites, or come back.
#[must_use]
pub fn movements(report: &FieldReport, site: &Site, comes_back: bool) -> Vec<Movement> {
    let of_site = report.claims.areas.iter().filter(|area| area.site == site.id);
    of_site
        .map(|area| {
            let area_m2 = if comes_back { area.area_m2 } else { area.area_m2.saturating_neg() };
            Movement {
                task: report.task,
                report: Some(report.id),
                ..Movement::new(site, movement_of(area.release), area_m2, report.work_date, String::new())
            }
        })
        .collect()
}
