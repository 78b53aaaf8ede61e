//! A new site out of a released one.

use jiff::civil::Date;

use crate::app::App;
use crate::app::change::{Changed, Changing, Ground, Request};
use crate::app::rights::may_act_for;
use crate::app::site::acts::stops_on_ground;
use crate::app::site::{id_taken, known_site, note_ahead, note_misfit, record_in, scopes_of};
use crate::domain::caller::Caller;
use crate::domain::geometry::Outline;
use crate::domain::ids::{ScopeId, SiteId};
use crate::domain::land::{Movement, MovementKind, tolerance_m2};
use crate::domain::safety_stop::halt_site;
use crate::domain::site::release::{Reopening, expect_ready, reopen};
use crate::domain::site::{HazardClass, Site, SiteStatus};
use crate::domain::text::{Code, Note, Reason};
use crate::error::{Error, Violations};
use crate::store::Connection;
use crate::store::site::ground::{list_open_from, released_m2};
use crate::store::site::land::insert_movements;
use crate::store::site::{find_lineage, insert_site};

/// Make a new site out of a released one.
pub struct ReopenSite {
    /// The released site. It stays as it is.
    pub from: SiteId,
    /// Id of the new site.
    pub id: SiteId,
    /// Its code.
    pub code: Code,
    /// Square metres that are dangerous after all.
    pub area_m2: i64,
    /// What the evidence says.
    pub class: HazardClass,
    /// Date of the information.
    pub information_on: Date,
    /// The evidence in words.
    pub evidence: Note,
    /// Its outline.
    pub outline: Option<Outline>,
    /// Why.
    pub reason: Reason,
}

impl Changing for ReopenSite {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        let from = known_site(conn, self.from).await?;
        scopes_of(conn, &from).await
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let from = known_site(ground.conn, self.from).await?;
        let scopes = scopes_of(ground.conn, &from).await?;
        self.check(ground, &from)?;
        let Reopening { booked_on, conflict } = reopen(&from, self.information_on)?;
        let lineage = find_lineage(&mut *ground.conn, from.id).await?;
        self.expect_room(ground.conn, &from, &lineage).await?;
        let mut site = Site { conflict, ..self.site(&from, ground)? };
        if !stops_on_ground(ground.conn, &from).await?.is_empty() {
            // The stop is on this ground, whatever site it was issued for.
            halt_site(&mut site);
        }
        insert_site(ground.conn, &site, || id_taken("new_site_id", site.id)).await?;
        let (kind, note) = (MovementKind::Identified, self.reason.as_str().to_owned());
        let identified = Movement::new(&site, kind, site.area_m2, booked_on, note);
        insert_movements(ground.conn, site.authority, site.revision, &[identified]).await?;
        record_in(ground, &scopes, &site)
    }
}

impl ReopenSite {
    /// Refuses days to come and places elsewhere.
    fn check(&self, ground: &Ground<'_>, from: &Site) -> Result<(), Error> {
        let mut violations = Violations::default();
        note_ahead(&mut violations, "information_on", self.information_on, from, ground.now)?;
        let (outline, country) = (self.outline.as_ref(), from.country);
        note_misfit(&mut violations, "boundary_geojson", (country, self.area_m2), outline, None);
        violations.check()
    }

    /// Refuses to find the same ground dangerous twice: what is open of it and the new site are no more than what was
    /// released, of the site itself and of each that it came from.
    async fn expect_room(&self, conn: &mut Connection, from: &Site, lineage: &[SiteId]) -> Result<(), Error> {
        let mut missing = Vec::new();
        for site in lineage {
            let released = released_m2(&mut *conn, *site).await?;
            let open = if released == 0 { Vec::new() } else { list_open_from(&mut *conn, *site).await? };
            let sum = open.iter().fold(self.area_m2, |sum, open| sum.saturating_add(open.area_m2));
            if released == 0 || sum <= released.saturating_add(tolerance_m2(released)) {
                continue;
            }
            let named: Vec<String> = open.iter().map(|of| format!("{} ({})", of.code, of.site_id)).collect();
            let beside = if named.is_empty() { "none".to_owned() } else { named.join(", ") };
            missing.push(format!(
                "{released} m2 of site {site} were released, and with area_m2 {} its open sites would have {sum} m2; open \
                 are: {beside}; work on those, and record land beyond it as a site of its own",
                self.area_m2
            ));
        }
        Ok(expect_ready(from.id, "be reopened", missing)?)
    }

    fn site(&self, from: &Site, ground: &Ground<'_>) -> Result<Site, Error> {
        let boundary = self.outline.as_ref().map(|outline| outline.boundary.clone());
        Ok(Site {
            id: self.id,
            code: self.code.clone(),
            class: self.class,
            status: SiteStatus::Open,
            area_m2: self.area_m2,
            bounds: boundary.as_ref().map_or(from.bounds, |boundary| Some(boundary.bounds)),
            boundary,
            information_on: self.information_on,
            evidence_on: self.information_on,
            evidence: self.evidence.clone(),
            came_from: Some(from.id),
            release: None,
            handed_over_on: None,
            created_at: ground.now,
            revision: ground.revision(from.authority.scope())?,
            ..from.clone()
        })
    }
}

impl App {
    /// Makes a new site out of a released one.
    ///
    /// # Errors
    /// Refuses a site that was not released, was split or is under a safety stop, and a code or an id that is taken.
    pub async fn reopen_site(
        &self,
        caller: &Caller,
        request: Request,
        reopen: ReopenSite,
    ) -> Result<Changed, Error> {
        let site = self.get_site(reopen.from, 0).await?;
        may_act_for(caller, site.authority)?;
        // Asked before the request is looked up: the id of an older site would be taken for a retry of its making.
        if find_lineage(self.store.pool(), site.id).await?.contains(&reopen.id) {
            let rule = format!("{} is the site itself or one that it came from; make a new id", reopen.id);
            return Err(Violations::one("new_site_id", rule));
        }
        self.change(caller, request, reopen).await
    }
}
