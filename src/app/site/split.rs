//! Splitting a site. Tasks on it go on on its open parts, so that a safety stop of a part reaches whoever works there.

use jiff::civil::Date;

use crate::app::App;
use crate::app::change::{Changed, Changing, Ground, Request};
use crate::app::rights::may_act_for;
use crate::app::site::release::{KnownGround, expect_nobody_works, named_survey};
use crate::app::site::{id_taken, known_site, note_ahead, note_misfit, record_in, scopes_of};
use crate::app::task::record as record_task;
use crate::app::team::expect_revision;
use crate::domain::caller::Caller;
use crate::domain::geometry::Outline;
use crate::domain::ids::{ScopeId, SiteId};
use crate::domain::kind::Kind;
use crate::domain::land::{Booked, MovementKind, Part, out_of_order, split};
use crate::domain::site::{LandRelease, Site, SiteStatus};
use crate::domain::task;
use crate::domain::text::{Code, Reason, Title};
use crate::error::{Error, Violations};
use crate::store::Connection;
use crate::store::site::land::{insert_movements, list_booked};
use crate::store::site::{insert_site, update_site};
use crate::store::task::{append_sites, list_going_on};

/// Split a site.
pub struct SplitSite {
    /// The site.
    pub site: SiteId,
    /// Its revision as the caller knows it.
    pub expected_revision: i64,
    /// The day.
    pub split_on: Date,
    /// Why.
    pub reason: Reason,
    /// The parts, 2 to [`crate::domain::land::PARTS_MAX`], with ids and codes of their own.
    pub parts: Vec<NewPart>,
}

/// A part of a site that is split.
pub struct NewPart {
    /// Id of the new site.
    pub id: SiteId,
    /// Its code.
    pub code: Code,
    /// What people call it.
    pub name: Title,
    /// Square metres.
    pub area_m2: i64,
    /// Its outline.
    pub outline: Option<Outline>,
    /// How it is released at once.
    pub release: Option<LandRelease>,
}

impl Changing for SplitSite {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        let site = known_site(conn, self.site).await?;
        let mut scopes = scopes_of(conn, &site).await?;
        let tasks = list_going_on(conn, site.id).await?;
        let more: Vec<_> = task::scopes_of(&tasks).into_iter().filter(|of| !scopes.contains(of)).collect();
        scopes.extend(more);
        Ok(scopes)
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let mut site = known_site(ground.conn, self.site).await?;
        expect_revision(Kind::Site, site.id, self.expected_revision, site.revision)?;
        let scopes = scopes_of(ground.conn, &site).await?;
        let known = KnownGround::of(ground.conn, site.id).await?;
        let booked = list_booked(&mut *ground.conn, site.id).await?;
        self.check(ground, &site, (&known.lineage, &booked))?;
        site.revision = ground.revision(site.authority.scope())?;
        let parts = self.parts(ground, &site).await?;
        let done = split(&mut site, parts, self.split_on, self.reason.as_str(), &known.proof(None))?;
        if done.parts.iter().all(|part| part.status != SiteStatus::Open) {
            expect_nobody_works(ground.conn, site.id, "be split into released parts only").await?;
        }
        update_site(ground.conn, &site).await?;
        record_in(ground, &scopes, &site)?;
        for (index, part) in done.parts.iter().enumerate() {
            let taken = || id_taken(format!("parts[{index}].site_id"), part.id);
            insert_site(ground.conn, part, taken).await?;
            record_in(ground, &scopes, part)?;
        }
        insert_movements(ground.conn, site.authority, site.revision, &done.movements).await?;
        go_on_on_parts(ground, site.id, &done.parts).await
    }
}

/// Adds the parts that are left to work on to every task that is not over.
async fn go_on_on_parts(ground: &mut Ground<'_>, site: SiteId, parts: &[Site]) -> Result<(), Error> {
    let open = parts.iter().filter(|part| part.status == SiteStatus::Open);
    let open: Vec<SiteId> = open.map(|part| part.id).collect();
    if open.is_empty() {
        return Ok(());
    }
    for mut task in list_going_on(&mut *ground.conn, site).await? {
        task.revision = ground.revision(task.program.scope())?;
        task.plan.sites.extend(&open);
        append_sites(ground.conn, &task, &open).await?;
        record_task(ground, &task)?;
    }
    Ok(())
}

impl SplitSite {
    /// Refuses days to come and days out of order, places elsewhere, and parts that the site came from itself.
    fn check(
        &self,
        ground: &Ground<'_>,
        site: &Site,
        (lineage, booked): (&[SiteId], &[Booked]),
    ) -> Result<(), Error> {
        let mut violations = Violations::default();
        note_ahead(&mut violations, "split_on", self.split_on, site, ground.now)?;
        if let Some(rule) = out_of_order(self.split_on, booked) {
            violations.add("split_on", rule);
        }
        let whole = site.boundary.as_ref();
        for (index, part) in self.parts.iter().enumerate() {
            let field = |name: &str| format!("parts[{index}].{name}");
            if lineage.contains(&part.id) {
                let rule = format!("{} is the site itself or one that it came from; make a new id", part.id);
                violations.add(field("site_id"), rule);
            }
            if let Some(release) = &part.release {
                let (field, day) = (field("release.decided_on"), release.decided_on);
                note_ahead(&mut violations, &field, day, site, ground.now)?;
                let made = Booked { on: self.split_on, kind: MovementKind::SplitIn };
                if let Some(rule) = out_of_order(day, &[made]) {
                    violations.add(&field, rule);
                }
            }
            let (outline, country) = (part.outline.as_ref(), site.country);
            note_misfit(&mut violations, &field("boundary_geojson"), (country, part.area_m2), outline, whole);
        }
        violations.check()
    }

    /// The parts as sites: they have everything from the one that is split but what makes them parts.
    async fn parts(&self, ground: &mut Ground<'_>, site: &Site) -> Result<Vec<Part>, Error> {
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let boundary = part.outline.as_ref().map(|outline| outline.boundary.clone());
            let made = Site {
                id: part.id,
                code: part.code.clone(),
                name: part.name.clone(),
                former_names: Vec::new(),
                status: SiteStatus::Open,
                area_m2: part.area_m2,
                position: site.position.filter(|_| boundary.is_none()),
                // Without an outline of its own it is somewhere where the whole was.
                bounds: boundary.as_ref().map_or(site.bounds, |boundary| Some(boundary.bounds)),
                boundary,
                came_from: Some(site.id),
                created_at: ground.now,
                ..site.clone()
            };
            let survey = part.release.as_ref().and_then(|release| release.survey);
            let survey = named_survey(ground.conn, survey).await?;
            parts.push(Part { site: made, release: part.release.clone(), survey });
        }
        Ok(parts)
    }
}

impl App {
    /// Splits a site.
    ///
    /// # Errors
    /// `Stale` when the caller knows an older state; areas that do not add up, codes and ids that are taken, and
    /// releases that are not proven.
    pub async fn split_site(
        &self,
        caller: &Caller,
        request: Request,
        split: SplitSite,
    ) -> Result<Changed, Error> {
        let site = self.get_site(split.site, 0).await?;
        may_act_for(caller, site.authority)?;
        self.change(caller, request, split).await
    }
}
