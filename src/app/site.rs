//! Use cases of sites: recording them here, changing and reading them in the files of `site/`.

pub mod acts;
pub mod reads;
mod release;
pub mod reopen;
pub mod split;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::app::App;
use crate::app::change::{Changed, Changing, Ground, Record, Request};
use crate::app::rights::may_act_for;
use crate::domain::caller::Caller;
use crate::domain::days::today_in;
use crate::domain::geometry::country::zone_flaw;
use crate::domain::geometry::parts::{outside_flaw, position_flaw};
use crate::domain::geometry::{Outline, Vertex, area_flaw, country};
use crate::domain::ids::{OrganizationId, ScopeId, SiteId};
use crate::domain::kind::Kind;
use crate::domain::land::{Movement, MovementKind};
use crate::domain::organization::OrganizationKind;
use crate::domain::refusal::Refusal;
use crate::domain::site::{Boundary, Site};
use crate::domain::text::CountryCode;
use crate::error::{Error, Violations};
use crate::store::Connection;
use crate::store::site::land::insert_movements;
use crate::store::site::{find_site, insert_site, list_operators_on};

/// Record a site.
pub struct CreateSite {
    /// The site. Its country is set by the use case.
    pub site: Site,
    /// Its outline, which is checked against that country.
    pub outline: Option<Outline>,
}

impl Changing for CreateSite {
    async fn scopes(&self, _conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![self.site.authority.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let scope = self.site.authority.scope();
        let revision = ground.revision(scope)?;
        let site = Site { created_at: ground.now, revision, ..self.site.clone() };
        // This id did not record it: another authority did, or a split or a reopening.
        let taken = || Error::id_elsewhere(Kind::Site, site.id, "site.authority_id or kind of request");
        insert_site(ground.conn, &site, taken).await?;
        let kind = MovementKind::Identified;
        let identified = Movement::new(&site, kind, site.area_m2, site.information_on, String::new());
        insert_movements(ground.conn, site.authority, revision, &[identified]).await?;
        ground.record(scope, Record::Site(Box::new(site)))
    }
}

/// A site that must be there.
pub(crate) async fn known_site(conn: &mut Connection, id: SiteId) -> Result<Site, Error> {
    find_site(conn, id).await?.ok_or_else(|| Error::not_found(Kind::Site, id))
}

/// The scopes that a change of a site reaches: its authority first, then the operators that work on it.
pub(crate) async fn scopes_of(conn: &mut Connection, site: &Site) -> Result<Vec<ScopeId>, Error> {
    let operators = list_operators_on(conn, &[site.id]).await?;
    let operators = operators.into_iter().map(OrganizationId::scope);
    Ok(std::iter::once(site.authority.scope()).chain(operators).collect())
}

/// Records a site in each of the scopes that it reaches.
pub(crate) fn record_in(ground: &mut Ground<'_>, scopes: &[ScopeId], site: &Site) -> Result<(), Error> {
    scopes.iter().try_for_each(|scope| ground.record(*scope, Record::Site(Box::new(site.clone()))))
}

/// A new site that another one is made into has the id of a site already.
fn id_taken(field: impl Into<String>, id: SiteId) -> Error {
    Violations::one(field, format!("{id} is the id of another site; make a new id"))
}

/// The time zone of a site, which was checked when it was recorded.
fn zone_of(site: &Site) -> Result<TimeZone, Error> {
    TimeZone::get(&site.time_zone).map_err(|error| Error::bug(format!("time zone of {}: {error}", site.id)))
}

/// How far standard time at a site is before that of Greenwich, in seconds.
fn standard_seconds(site: &Site, now: Timestamp) -> Result<i32, Error> {
    let zone = zone_of(site)?;
    let now = zone.to_offset_info(now);
    Ok(now.offset().seconds() - if now.dst().is_dst() { 3_600 } else { 0 })
}

/// Notes a day that has not come yet at a site.
fn note_ahead(
    violations: &mut Violations,
    field: &str,
    day: Date,
    site: &Site,
    now: Timestamp,
) -> Result<(), Error> {
    let today = today_in(&zone_of(site)?, now);
    if today < day {
        violations.add(field, format!("{day} is in the future; it is {today} in {}", site.time_zone));
    }
    Ok(())
}

/// Refuses a day that has not come yet at a site.
fn expect_come(field: &str, day: Date, site: &Site, now: Timestamp) -> Result<(), Error> {
    let mut violations = Violations::default();
    note_ahead(&mut violations, field, day, site, now)?;
    violations.check()
}

/// Notes an outline that is not in the country, or else encloses another area than was measured, or else is not in that
/// of the whole. The country comes first, because exchanged coordinates break the other rules as well.
fn note_misfit(
    violations: &mut Violations,
    field: &str,
    (country, measured_m2): (CountryCode, i64),
    outline: Option<&Outline>,
    whole: Option<&Boundary>,
) {
    let Some(outline) = outline else { return };
    let Outline { boundary, vertices, .. } = outline;
    let elsewhere = country::flaw(country.as_str(), vertices);
    let flaw = elsewhere.or_else(|| area_flaw(measured_m2, boundary.computed_area_m2));
    let flaw = flaw.or_else(|| outside_flaw(whole?, outline));
    if let Some(rule) = flaw {
        violations.add(field, rule);
    }
}

impl App {
    /// Records a site.
    ///
    /// # Errors
    /// Refuses an organization that is not an authority with a country, a code that is taken, days to come and places
    /// elsewhere.
    pub async fn create_site(
        &self,
        caller: &Caller,
        request: Request,
        new: CreateSite,
    ) -> Result<Changed, Error> {
        let CreateSite { mut site, outline } = new;
        may_act_for(caller, site.authority)?;
        site.country = self.country_of(site.authority).await?;
        let mut violations = Violations::default();
        note_ahead(&mut violations, "site.information_on", site.information_on, &site, self.now())?;
        let (field, country) = ("site.boundary_geojson", site.country);
        note_misfit(&mut violations, field, (country, site.area_m2), outline.as_ref(), None);
        let place = site.position.map(Vertex::from);
        if let Some(rule) = place.and_then(|place| country::flaw(country.as_str(), &[place])) {
            violations.add("site.position", rule);
        } else if let Some(rule) =
            site.boundary.as_ref().zip(site.position).and_then(|(of, at)| position_flaw(of, at))
        {
            violations.add("site.position", rule);
        }
        if let Some(rule) = zone_flaw(country.as_str(), &site.time_zone, standard_seconds(&site, self.now())?)
        {
            violations.add("site.time_zone", rule);
        }
        violations.check()?;
        self.change(caller, request, CreateSite { site, outline }).await
    }

    /// The country of an authority, in which its sites are.
    async fn country_of(&self, authority: OrganizationId) -> Result<CountryCode, Error> {
        let found = self.expect_organization(authority, OrganizationKind::Authority).await?;
        let missing = vec!["it has no country; record an authority with one".to_owned()];
        let (kind, id, action) = (Kind::Organization, authority.uuid(), "keep sites");
        found.country.ok_or_else(|| Refusal::NotReady { kind, id, action, missing }.into())
    }
}
