//! Reads of `SiteService` beside sites: the land ledger, surveys, history.

use prost::Message as _;

use crate::app::App;
use crate::domain::caller::{Caller, Role};
use crate::domain::ids::{OrganizationId, SiteId};
use crate::domain::text::CountryCode;
use crate::error::Error;
use crate::rpc::change::reason_of;
use crate::rpc::convert::site::shown_to;
use crate::rpc::convert::survey::{land_sums, ledger_row, survey_shown_to};
use crate::rpc::pb;
use crate::rpc::read::Reader;
use crate::rpc::site::sites::{pick_site, read_min_revision};
use crate::store::journal::Event;
use crate::store::site::land::LedgerFilter;

pub(super) async fn land_ledger(
    app: &App,
    _caller: &Caller,
    sent: &pb::GetLandLedgerRequest,
) -> Result<pb::GetLandLedgerResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let filter = read_ledger_filter(&mut reader, sent);
    let min_revision = read_min_revision(&mut reader, sent.min_revision, &sent.authority_id);
    let ((page, filter), min_revision) = reader.finish(page.zip(filter).zip(min_revision))?;
    let ledger = app.get_land_ledger(filter, min_revision, page).await?;
    Ok(pb::GetLandLedgerResponse {
        rows: ledger.rows.rows.iter().map(ledger_row).collect(),
        totals: Some(land_sums(&ledger.totals)),
        next_page_token: ledger.rows.next.unwrap_or_default(),
    })
}

fn read_ledger_filter(reader: &mut Reader, sent: &pb::GetLandLedgerRequest) -> Option<LedgerFilter> {
    let authority = reader.optional_id("authority_id", &sent.authority_id, OrganizationId::new);
    let country = reader.optional("country_code", &sent.country_code, CountryCode::parse);
    if sent.authority_id.is_empty() == sent.country_code.is_empty() {
        reader.bad("authority_id", "and country_code: give exactly one of them");
    }
    let site = reader.optional_id("site_id", &sent.site_id, SiteId::new);
    let last = reader.need("last_day", sent.last_day);
    let days = reader.days("", sent.first_day, last);
    let days = days?;
    Some(LedgerFilter {
        authority: authority?,
        country: country?,
        site: site?,
        first_day: days.first(),
        last_day: days.last()?,
    })
}

pub(super) async fn surveys(
    app: &App,
    caller: &Caller,
    sent: &pb::ListSurveysRequest,
) -> Result<pb::ListSurveysResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let site = reader.id("site_id", &sent.site_id, SiteId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let ((page, site), min_revision) = reader.finish(page.zip(site).zip(min_revision))?;
    let found = app.list_surveys(site, min_revision, page).await?;
    Ok(pb::ListSurveysResponse {
        surveys: found.rows.iter().map(|row| survey_shown_to(caller.role(), row)).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

pub(super) async fn history(
    app: &App,
    caller: &Caller,
    sent: &pb::GetSiteHistoryRequest,
) -> Result<pb::GetSiteHistoryResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let site = reader.id("site_id", &sent.site_id, SiteId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let ((page, site), min_revision) = reader.finish(page.zip(site).zip(min_revision))?;
    let found = app.get_site_history(site, min_revision, page).await?;
    let changes = found.rows.iter().map(|event| change_of(caller.role(), site, event));
    Ok(pb::GetSiteHistoryResponse {
        changes: changes.collect::<Result<_, _>>()?,
        next_page_token: found.next.unwrap_or_default(),
    })
}

/// What an event did to a site. Funders see no persons and no free text.
fn change_of(role: Role, site: SiteId, event: &Event) -> Result<pb::SiteChange, Error> {
    let change =
        pb::Change::decode(event.payload.clone()).map_err(|error| Error::Internal(Box::new(error)))?;
    let reason = reason_of(&change).filter(|_| role != Role::Funder).unwrap_or_default();
    let mut sites = change.records.into_iter().filter_map(|record| record.record).filter_map(pick_site);
    let id = site.to_string();
    let after = sites.rfind(|found| found.site_id == id);
    Ok(pb::SiteChange {
        revision: change.revision,
        recorded_at: change.recorded_at,
        recorded_by: if role == Role::Funder { String::new() } else { change.recorded_by },
        method: change.method,
        site: after.map(|site| shown_to(role, site)),
        reason,
    })
}
