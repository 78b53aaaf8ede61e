//! Reading sites, their surveys, their history and the land ledger.

use jiff::civil::Date;
use uuid::Uuid;

use crate::app::App;
use crate::app::page::{Page, PageRequest};
use crate::app::token::Filter;
use crate::domain::ids::SurveyId;
use crate::domain::ids::{OrganizationId, ScopeId, SiteId};
use crate::domain::kind::Kind;
use crate::domain::land::LandSums;
use crate::domain::site::{BoundingBox, HazardClass, Site, SiteStatus, Survey};
use crate::domain::text::CountryCode;
use crate::error::Error;
use crate::store::change::list_revisions_of;
use crate::store::journal::{Event, list_events_at};
use crate::store::site::find_site;
use crate::store::site::land::{LedgerFilter, LedgerRow, list_ledger, total_ledger};
use crate::store::site::listing::{SiteFilter, list_sites};
use crate::store::site::survey::list_surveys;

/// A page of a history ends when it has this many bytes: an outline can have half a mebibyte.
const HISTORY_BYTES: usize = 2 * 1024 * 1024;
/// Events that are read at once.
const EVENTS_AT_ONCE: usize = 20;

/// The land ledger between two days.
#[derive(Debug, Clone)]
pub struct LandLedger {
    /// The sites of this page.
    pub rows: Page<LedgerRow>,
    /// All sites of all pages.
    pub totals: LandSums,
}

impl App {
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

    /// Waits for a revision of an authority's journal, if one is named.
    async fn reach_authority(&self, of: Option<OrganizationId>, min_revision: i64) -> Result<(), Error> {
        match of.map(OrganizationId::scope) {
            Some(scope) => self.feed.reach(scope, min_revision).await,
            None => Ok(()),
        }
    }

    /// Sites by code, without their boundaries.
    ///
    /// # Errors
    /// `PageToken` when the token is of another list.
    pub async fn list_sites(
        &self,
        mut filter: SiteFilter,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<Site>, Error> {
        self.reach_authority(filter.authority, min_revision).await?;
        let bound = bound_to(&filter);
        filter.after = page.position(self, bound)?.map(|at| coded(&at)).transpose()?;
        let limit = page.limit();
        let read = move |filter: SiteFilter| {
            self.store.snapshot(move |conn| {
                let filter = filter.clone();
                Box::pin(async move { list_sites(conn, &filter, limit).await })
            })
        };
        let rows = read(filter).await?;
        Ok(page.cut(self, bound, rows, |row| at_code(row.id, row.code.as_str())))
    }

    /// The land ledger between two days.
    ///
    /// # Errors
    /// `PageToken` when the token is of another ledger.
    pub async fn get_land_ledger(
        &self,
        filter: LedgerFilter,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<LandLedger, Error> {
        self.reach_authority(filter.authority, min_revision).await?;
        let bound = Filter::of(&[
            b"land",
            &id_bytes(filter.authority.map(OrganizationId::uuid)),
            filter.country.as_ref().map_or("", CountryCode::as_str).as_bytes(),
            &id_bytes(filter.site.map(SiteId::uuid)),
            filter.first_day.to_string().as_bytes(),
            filter.last_day.to_string().as_bytes(),
        ]);
        let after = page.position(self, bound)?.map(|at| coded(&at)).transpose()?;
        let (after, limit) = (after.unwrap_or_default(), page.limit());
        let (rows, totals) = self
            .store
            .snapshot(move |conn| {
                let (filter, after) = (filter.clone(), after.clone());
                Box::pin(async move {
                    let rows = list_ledger(&mut *conn, &filter, &after, limit).await?;
                    Ok((rows, total_ledger(conn, &filter).await?))
                })
            })
            .await?;
        let rows = page.cut(self, bound, rows, |row| at_code(row.site, row.code.as_str()));
        Ok(LandLedger { rows, totals })
    }

    /// Surveys of a site, the newest day first.
    ///
    /// # Errors
    /// `NotFound` when there is no such site; `PageToken` when the token is of another list.
    pub async fn list_surveys(
        &self,
        site: SiteId,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<Survey>, Error> {
        let site = self.get_site(site, min_revision).await?;
        let bound = Filter::of(&[b"surveys", site.id.uuid().as_bytes()]);
        let after = page.position(self, bound)?.map(|at| dated(&at)).transpose()?;
        let rows = list_surveys(self.store.pool(), site.id, after, page.limit()).await?;
        let position = |row: &Survey| {
            let mut at = row.id.uuid().as_bytes().to_vec();
            at.extend(row.surveyed_on.to_string().into_bytes());
            at
        };
        Ok(page.cut(self, bound, rows, position))
    }

    /// Events of the authority's journal that changed a site, the oldest first. A page ends early when it is large.
    ///
    /// # Errors
    /// `NotFound` when there is no such site; `PageToken` when the token is of another list.
    pub async fn get_site_history(
        &self,
        site: SiteId,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<Event>, Error> {
        let site = self.get_site(site, min_revision).await?;
        let bound = Filter::of(&[b"site history", site.id.uuid().as_bytes()]);
        let after = page.position(self, bound)?;
        let after =
            after.map(|at| at.try_into().map_or(Err(Error::PageToken), |at| Ok(i64::from_be_bytes(at))));
        let (scope, after) = (site.authority.scope(), after.transpose()?.unwrap_or_default());
        let revisions =
            list_revisions_of(self.store.pool(), scope, site.id.uuid(), after, page.limit()).await?;
        let rows = self.events_up_to(scope, &revisions, page.size).await?;
        let next = rows.last().filter(|_| rows.len() < revisions.len());
        let next = next.map(|last| self.sealer.seal(bound, &last.revision.to_be_bytes()));
        Ok(Page { rows, next })
    }

    /// The first of these events that fit a page.
    async fn events_up_to(&self, scope: ScopeId, revisions: &[i64], size: u16) -> Result<Vec<Event>, Error> {
        let (mut events, mut bytes) = (Vec::new(), 0);
        let revisions = &revisions[..revisions.len().min(usize::from(size))];
        for some in revisions.chunks(EVENTS_AT_ONCE) {
            for event in list_events_at(self.store.pool(), scope, some).await? {
                if HISTORY_BYTES < bytes {
                    return Ok(events);
                }
                bytes += event.payload.len();
                events.push(event);
            }
        }
        Ok(events)
    }
}

fn bound_to(filter: &SiteFilter) -> Filter {
    let of_box = |of: BoundingBox| [of.south_e7, of.west_e7, of.north_e7, of.east_e7].map(i32::to_be_bytes);
    Filter::of(&[
        b"sites",
        &id_bytes(filter.authority.map(OrganizationId::uuid)),
        filter.country.as_ref().map_or("", CountryCode::as_str).as_bytes(),
        filter.class.map_or("", HazardClass::word).as_bytes(),
        filter.status.map_or("", SiteStatus::word).as_bytes(),
        &filter.bounds.map_or_else(Vec::new, |bounds| of_box(bounds).concat()),
        filter.text.as_bytes(),
    ])
}

fn id_bytes(id: Option<Uuid>) -> [u8; 16] {
    id.map(Uuid::into_bytes).unwrap_or_default()
}

/// A place in a list by code and id.
fn at_code(id: SiteId, code: &str) -> Vec<u8> {
    [id.uuid().as_bytes(), code.as_bytes()].concat()
}

fn coded(at: &[u8]) -> Result<(String, Uuid), Error> {
    let (id, code) = at.split_at_checked(16).ok_or(Error::PageToken)?;
    let code = String::from_utf8(code.to_vec()).map_err(|_| Error::PageToken)?;
    Ok((code, Uuid::from_slice(id).map_err(|_| Error::PageToken)?))
}

/// A place in a list by day and id.
fn dated(at: &[u8]) -> Result<(Date, SurveyId), Error> {
    let (day, id) = coded(at)?;
    Ok((day.parse().map_err(|_| Error::PageToken)?, SurveyId::new(id)))
}
