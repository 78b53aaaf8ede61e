//! Use cases of sites.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::app::App;
use crate::app::change::{Changed, Changing, Ground, Record, Request};
use crate::app::rights::may_act_for;
use crate::domain::caller::Caller;
use crate::domain::days::today_in;
use crate::domain::ids::{OrganizationId, ScopeId, SiteId};
use crate::domain::kind::Kind;
use crate::domain::land::{Movement, MovementKind};
use crate::domain::organization::OrganizationKind;
use crate::domain::refusal::Refusal;
use crate::domain::site::Site;
use crate::domain::text::CountryCode;
use crate::error::{Error, Violations};
use crate::store::Connection;
use crate::store::site::land::insert_movements;
use crate::store::site::{find_site, insert_site, list_operators_on};

/// Record a site. Its country is set by the use case.
pub struct CreateSite(pub Site);

impl Changing for CreateSite {
    async fn scopes(&self, _conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![self.0.authority.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let scope = self.0.authority.scope();
        let site = Site { created_at: ground.now, revision: ground.revision(scope)?, ..self.0.clone() };
        insert_site(ground.conn, &site).await?;
        let identified = Movement {
            site: site.id,
            country: site.country,
            kind: MovementKind::Identified,
            area_m2: site.area_m2,
            effective_on: site.information_on,
            note: String::new(),
        };
        insert_movements(ground.conn, site.authority, site.revision, &[identified]).await?;
        ground.record(scope, Record::Site(Box::new(site)))
    }
}

/// A site that must be there.
pub(crate) async fn known_site(conn: &mut Connection, id: SiteId) -> Result<Site, Error> {
    find_site(conn, id).await?.ok_or_else(|| Error::not_found(Kind::Site, id))
}

/// The scopes that a change of sites reaches: the authority first, then the operators that work on them.
pub(crate) async fn scopes_of(
    conn: &mut Connection,
    authority: OrganizationId,
    sites: &[SiteId],
) -> Result<Vec<ScopeId>, Error> {
    let operators = list_operators_on(conn, sites).await?;
    let operators = operators.into_iter().map(OrganizationId::scope);
    Ok(std::iter::once(authority.scope()).chain(operators).collect())
}

/// Refuses a day that has not come yet at the site.
pub(crate) fn expect_come(violations: &mut Violations, field: &str, day: Date, zone: &TimeZone, today: Date) {
    if today < day {
        let zone = zone.iana_name().unwrap_or("UTC");
        violations.add(field, format!("{day} is in the future; today is {today} in {zone}"));
    }
}

impl App {
    /// Records a site.
    ///
    /// # Errors
    /// Refuses an organization that is not an authority with a country, a code that is taken, and days to come.
    pub async fn create_site(
        &self,
        caller: &Caller,
        request: Request,
        new: CreateSite,
    ) -> Result<Changed, Error> {
        let CreateSite(mut site) = new;
        may_act_for(caller, site.authority)?;
        site.country = self.country_of(site.authority).await?;
        let mut violations = Violations::default();
        let zone = zone_of(&site)?;
        let today = today_in(&zone, self.now());
        expect_come(&mut violations, "site.information_on", site.information_on, &zone, today);
        violations.check()?;
        self.change(caller, request, CreateSite(site)).await
    }

    /// The country of an authority, in which its sites are.
    async fn country_of(&self, authority: OrganizationId) -> Result<CountryCode, Error> {
        let found = self.expect_organization(authority, OrganizationKind::Authority).await?;
        let missing = vec!["it has no country; record an authority with one".to_owned()];
        let (kind, id, action) = (Kind::Organization, authority.uuid(), "keep sites");
        found.country.ok_or_else(|| Refusal::NotReady { kind, id, action, missing }.into())
    }

    /// One site.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn get_site(&self, id: SiteId, min_revision: i64) -> Result<Site, Error> {
        let found = find_site(self.store.pool(), id).await?;
        let site = found.ok_or_else(|| Error::not_found(Kind::Site, id))?;
        if min_revision == 0 {
            return Ok(site);
        }
        self.feed.reach(site.authority.scope(), min_revision).await?;
        let found = find_site(self.store.pool(), id).await?;
        found.ok_or_else(|| Error::not_found(Kind::Site, id))
    }
}

/// The time zone of a site, which was checked when it was recorded.
pub(crate) fn zone_of(site: &Site) -> Result<TimeZone, Error> {
    TimeZone::get(&site.time_zone).map_err(|error| Error::bug(format!("time zone of {}: {error}", site.id)))
}
