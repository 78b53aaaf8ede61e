//! Sites of `SiteService`: recording and reading them.

use crate::app::App;
use crate::app::change::Changed;
use crate::app::site::CreateSite;
use crate::domain::caller::Caller;
use crate::domain::ids::SiteId;
use crate::domain::kind::Kind;
use crate::error::Error;
use crate::rpc::change::{answered, request as asked};
use crate::rpc::convert::site as convert;
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::read::Reader;

/// The first site in the event of a change.
pub(super) fn site_of(changed: &Changed) -> Result<Option<pb::Site>, Error> {
    let pick = |record| if let Record::Site(site) = record { Some(site) } else { None };
    answered(changed, pick).map(Some)
}

pub(super) async fn create(
    app: &App,
    caller: &Caller,
    sent: pb::CreateSiteRequest,
) -> Result<pb::CreateSiteResponse, Error> {
    let mut reader = Reader::default();
    let site = reader.need("site", sent.site.as_ref());
    let new = site.and_then(|site| convert::read_site(&mut reader, site));
    let new = reader.finish(new)?;
    let asked = asked(new.id.uuid(), Kind::Site, "SiteService/CreateSite", &sent);
    let changed = app.create_site(caller, asked, CreateSite(new)).await?;
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
