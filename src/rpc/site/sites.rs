//! Sites of `SiteService`: recording, reading and listing them.

use crate::app::App;
use crate::app::change::Changed;
use crate::domain::caller::{Caller, Role};
use crate::domain::ids::{OrganizationId, SiteId};
use crate::domain::kind::Kind;
use crate::domain::text::{CountryCode, Title};
use crate::error::Error;
use crate::rpc::change::{answered, request as asked};
use crate::rpc::convert::site as convert;
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::read::Reader;
use crate::store::site::listing::SiteFilter;

/// The site in a record, if it is one.
pub(super) fn pick_site(record: Record) -> Option<pb::Site> {
    if let Record::Site(site) = record { Some(site) } else { None }
}

/// The first site in the event of a change.
pub(super) fn site_of(changed: &Changed) -> Result<Option<pb::Site>, Error> {
    answered(changed, pick_site).map(Some)
}

pub(super) async fn create(
    app: &App,
    caller: &Caller,
    sent: &pb::CreateSiteRequest,
) -> Result<pb::CreateSiteResponse, Error> {
    let mut reader = Reader::default();
    let site = reader.need("site", sent.site.as_ref());
    let new = site.and_then(|site| convert::read_site(&mut reader, site));
    let new = reader.finish(new)?;
    let asked = asked(new.site.id.uuid(), Kind::Site, "SiteService/CreateSite", sent);
    let changed = app.create_site(caller, asked, new).await?;
    Ok(pb::CreateSiteResponse { site: site_of(&changed)?, revision: changed.revision })
}

pub(super) async fn get(
    app: &App,
    caller: &Caller,
    sent: &pb::GetSiteRequest,
) -> Result<pb::GetSiteResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("site_id", &sent.site_id, SiteId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let (id, min_revision) = reader.finish(id.zip(min_revision))?;
    let site = app.get_site(id, min_revision).await?;
    Ok(pb::GetSiteResponse { site: Some(convert::shown_to(caller.role(), convert::site(&site))) })
}

pub(super) async fn list(
    app: &App,
    caller: &Caller,
    sent: &pb::ListSitesRequest,
) -> Result<pb::ListSitesResponse, Error> {
    let mut reader = Reader::default();
    if caller.role() == Role::Funder && sent.bounding_box.is_some() {
        reader
            .bad("bounding_box", "is given, but funders do not see where sites are; filter by country_code");
    }
    let page = reader.page(sent.page_size, &sent.page_token);
    let filter = read_filter(&mut reader, sent);
    let min_revision = read_min_revision(&mut reader, sent.min_revision, &sent.authority_id);
    let ((page, filter), min_revision) = reader.finish(page.zip(filter).zip(min_revision))?;
    let found = app.list_sites(filter, min_revision, page).await?;
    let shown = found.rows.iter().map(|row| convert::shown_to(caller.role(), convert::site(row)));
    Ok(pb::ListSitesResponse { sites: shown.collect(), next_page_token: found.next.unwrap_or_default() })
}

fn read_filter(reader: &mut Reader, sent: &pb::ListSitesRequest) -> Option<SiteFilter> {
    let authority = reader.optional_id("authority_id", &sent.authority_id, OrganizationId::new);
    let country = reader.optional("country_code", &sent.country_code, CountryCode::parse);
    let class = reader.optional_word("class", sent.class);
    let status = reader.optional_word("status", sent.status);
    let bounds = convert::read_box(reader, "bounding_box", sent.bounding_box.as_ref());
    let text = reader.optional("text", &sent.text, Title::parse)?;
    Some(SiteFilter {
        authority: authority?,
        country: country?,
        class: class?,
        status: status?,
        bounds: bounds?,
        text: text.map(|text| text.as_str().to_lowercase()).unwrap_or_default(),
        after: None,
    })
}

/// A revision is one of an authority's journal, so it needs the authority.
pub(super) fn read_min_revision(reader: &mut Reader, sent: i64, authority_id: &str) -> Option<i64> {
    if sent != 0 && authority_id.is_empty() {
        reader.bad("min_revision", "is given without authority_id, in whose journal it would be");
        return None;
    }
    reader.revision("min_revision", sent)
}
