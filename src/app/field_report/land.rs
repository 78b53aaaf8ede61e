//! The land of an approval: what leaves which site, and what of a version that ends comes back.

use std::collections::BTreeSet;

use crate::app::change::Ground;
use crate::app::field_report::approval::{Turn, expect_ready};
use crate::app::site::{known_site, record_in, scopes_of};
use crate::domain::field_report::FieldReport;
use crate::domain::field_report::credit::{
    Credit, credited_before, missing_of_site, missing_then, movements, ruled_between, ruled_since,
    without_outline_m2,
};
use crate::domain::ids::{OrganizationId, ReportId, SiteId};
use crate::domain::land::{Booked, Movement};
use crate::domain::refusal::Refusal;
use crate::domain::site::{BoundingBox, Site, SiteStatus};
use crate::domain::task::Task;
use crate::error::Error;
use crate::store::field_report::credits::{left_then_m2, list_ground, list_moved};
use crate::store::site::ground::find_found_on;
use crate::store::site::land::{insert_movements, list_booked};
use crate::store::site::{find_lineage, update_site};

/// The most that is said about what contradicts a site, in characters.
const CONFLICT_MAX: usize = 1_000;

/// What becomes of one site.
struct OnSite {
    site: Site,
    moved: Vec<Movement>,
    /// Whether the part of the version that begins leaves the site.
    leaves: bool,
}

/// What stands against it, on all sites.
#[derive(Default)]
struct Against {
    missing: Vec<String>,
    credited: Vec<(ReportId, String)>,
}

/// Books the land of both versions on every site, once all of them can take it. Answers the sites whose land the new
/// version moves.
pub(super) async fn settle_land(
    ground: &mut Ground<'_>,
    report: ReportId,
    task: &Task,
    (turn, standing): (&Turn, Option<&Credit>),
) -> Result<BTreeSet<SiteId>, Error> {
    let had_moved = match standing {
        Some(standing) => list_moved(&mut *ground.conn, standing).await?,
        None => Vec::new(),
    };
    let (mut sites, mut against) = (Vec::new(), Against::default());
    for id in turn.sites() {
        let site = known_site(&mut *ground.conn, id).await?;
        if Some(site.authority) != task.authority {
            return Err(Error::bug(format!("site {id} is not of the authority of task {}", task.id)));
        }
        let booked = list_booked(&mut *ground.conn, id).await?;
        let (before, had_moved) = (site.clone(), had_moved.contains(&id));
        let on = weigh(ground, report, site, (turn, had_moved), &booked, &mut against).await?;
        sites.push((before, on));
    }
    expect_ready(report, turn.action(), against.missing)?;
    if !against.credited.is_empty() {
        return Err(Refusal::AreaCredited { report, parts: against.credited }.into());
    }
    let leaves = sites.iter().filter(|(_, on)| on.leaves).map(|(before, _)| before.id).collect();
    book(ground, sites).await?;
    Ok(leaves)
}

/// Works out what moves on one site, and what stands against it.
async fn weigh(
    ground: &mut Ground<'_>,
    report: ReportId,
    mut site: Site,
    (turn, had_moved): (&Turn, bool),
    booked: &[Booked],
    against: &mut Against,
) -> Result<OnSite, Error> {
    // What was measured after the work has its land already, and rules.
    let moving = |version: &Option<FieldReport>, comes_back| {
        let version = version.as_ref().filter(|version| !ruled_since(version.work_date, booked));
        version.map_or_else(Vec::new, |version| movements(version, &site, comes_back))
    };
    let back = if had_moved { moving(&turn.ends, true) } else { Vec::new() };
    let out = moving(&turn.begins, false);
    let leaves = !out.is_empty();
    let (mut moved, open) = (Vec::new(), matches!(site.status, SiteStatus::Open | SiteStatus::Suspended));
    // An amendment that is not about the land moves none.
    let same = undo_each_other(&back, &out);
    if open && !same {
        add(&mut site, &mut moved, back);
    } else if had_moved && !same {
        contest(&mut site, report, turn);
    }
    if let Some(version) = &turn.begins {
        let goes = leaves && !same;
        if goes && !open {
            against.missing.push(decided(&site));
        }
        against.missing.extend(missing_of_site(version, &site, goes && open, turn.looked_past));
        judge_ground(ground, &site, version, against).await?;
        if !leaves {
            against.missing.extend(beyond_then(ground, &site, version, booked).await?);
        }
        if goes && open {
            add(&mut site, &mut moved, out);
        }
    }
    Ok(OnSite { site, moved, leaves })
}

fn add(site: &mut Site, moved: &mut Vec<Movement>, movements: Vec<Movement>) {
    site.area_m2 = movements.iter().fold(site.area_m2, |area, of| area.saturating_add(of.area_m2));
    moved.extend(movements);
}

/// Whether all that comes back goes out again in the same way.
fn undo_each_other(back: &[Movement], out: &[Movement]) -> bool {
    let key = |of: &Movement| (of.kind, of.area_m2.abs(), of.effective_on);
    let (mut back, mut out): (Vec<_>, Vec<_>) =
        (back.iter().map(key).collect(), out.iter().map(key).collect());
    back.sort_unstable();
    out.sort_unstable();
    back == out
}

fn decided(site: &Site) -> String {
    format!(
        "site {} is {}: its land is decided; for new evidence reopen it, for a part of it report the part",
        site.id, site.status
    )
}

/// Land that was decided by its release cannot come back by itself: its authority must look at it.
fn contest(site: &mut Site, report: ReportId, turn: &Turn) {
    let what = if turn.begins.is_some() { "amended" } else { "voided" };
    let text = format!("report {report}, by which land of it was released, was {what}");
    let before = std::mem::take(&mut site.conflict);
    let all = if before.is_empty() { text } else { format!("{before}; {text}") };
    site.conflict = all.chars().take(CONFLICT_MAX).collect();
}

/// Notes ground that was credited before, on whatever site of the authority. What was found to be dangerous again since,
/// by a reopening or new evidence, counts anew; being measured larger makes no ground new.
async fn judge_ground(
    ground: &mut Ground<'_>,
    site: &Site,
    version: &FieldReport,
    against: &mut Against,
) -> Result<(), Error> {
    let Some(within) = box_of(version, site.id) else { return Ok(()) };
    let lineage = find_lineage(&mut *ground.conn, site.id).await?;
    let found_on = find_found_on(&mut *ground.conn, &lineage).await?;
    let since = found_on.map_or(site.evidence_on, |day| day.max(site.evidence_on));
    let before = list_ground(&mut *ground.conn, (site.authority, within), version.id, since).await?;
    match credited_before(version, site.id, &before) {
        Ok(credited) => against.credited.extend(credited),
        Err(rule) => against.missing.push(format!("the outlines on site {}: {rule}", site.id)),
    }
    Ok(())
}

/// Says so when parts without an outline, whose land a later measurement or split has already, are more than the site
/// had then. Those with one are told apart by their ground.
async fn beyond_then(
    ground: &mut Ground<'_>,
    site: &Site,
    version: &FieldReport,
    booked: &[Booked],
) -> Result<Option<String>, Error> {
    let claimed = without_outline_m2(version, site.id);
    let Some(between) = ruled_between(version.work_date, booked).filter(|_| 0 < claimed) else {
        return Ok(None);
    };
    let left = match between.since {
        Some(since) => {
            let days = (since, between.until);
            Some(left_then_m2(&mut *ground.conn, site.id, days, version.id).await?)
        }
        None => None,
    };
    Ok(missing_then(version, site.id, claimed, left))
}

/// The box of all outlines on a site.
fn box_of(version: &FieldReport, site: SiteId) -> Option<BoundingBox> {
    let of_site = version.claims.areas.iter().filter(|area| area.site == site);
    let boxes = of_site.filter_map(|area| Some(area.outline.as_ref()?.boundary.bounds));
    boxes.reduce(|one, other| BoundingBox {
        south_e7: one.south_e7.min(other.south_e7),
        west_e7: one.west_e7.min(other.west_e7),
        north_e7: one.north_e7.max(other.north_e7),
        east_e7: one.east_e7.max(other.east_e7),
    })
}

/// Writes what was worked out: the movements of one revision together.
async fn book(ground: &mut Ground<'_>, sites: Vec<(Site, OnSite)>) -> Result<(), Error> {
    let mut moved: Vec<Movement> = Vec::new();
    let mut authority: Option<OrganizationId> = None;
    for (before, OnSite { mut site, moved: of_site, .. }) in sites {
        if of_site.is_empty() && site == before {
            continue;
        }
        let scopes = scopes_of(&mut *ground.conn, &site).await?;
        site.revision = ground.revision(site.authority.scope())?;
        authority = Some(site.authority);
        update_site(&mut *ground.conn, &site).await?;
        record_in(ground, &scopes, &site)?;
        moved.extend(of_site);
    }
    match authority {
        Some(authority) if !moved.is_empty() => {
            let revision = ground.revision(authority.scope())?;
            insert_movements(&mut *ground.conn, authority, revision, &moved).await
        }
        _ => Ok(()),
    }
}
