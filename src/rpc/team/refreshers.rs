//! Refreshers of `TeamService`.

use uuid::Uuid;

use crate::app::App;
use crate::domain::caller::Caller;
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::kind::Kind;
use crate::error::Error;
use crate::rpc::change::{answered, request as asked};
use crate::rpc::convert::accreditation as convert;
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::read::Reader;
use crate::store::refresher::RefresherFilter;

pub(super) async fn record(
    app: &App,
    caller: &Caller,
    sent: pb::RecordRefresherRequest,
) -> Result<pb::RecordRefresherResponse, Error> {
    let mut reader = Reader::default();
    let refresher = reader.need("refresher", sent.refresher.as_ref());
    let new = refresher.and_then(|of| convert::read_refresher(&mut reader, of, app.now()));
    let new = reader.finish(new)?;
    let asked = asked(new.id.uuid(), Kind::Refresher, "TeamService/RecordRefresher", &sent);
    let changed = app.record_refresher(caller, asked, new).await?;
    let pick = |record| if let Record::Refresher(of) = record { Some(of) } else { None };
    let refresher = answered(&changed, pick).map(Some)?;
    Ok(pb::RecordRefresherResponse { refresher, revision: changed.revision })
}

pub(super) async fn list(
    app: &App,
    caller: &Caller,
    sent: pb::ListRefreshersRequest,
) -> Result<pb::ListRefreshersResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let operator = reader.id("organization_id", &sent.organization_id, OrganizationId::new);
    let person = reader.optional_id("person_id", &sent.person_id, PersonId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let all = page.zip(operator).zip(person.zip(min_revision));
    let ((page, operator), (person, min_revision)) = reader.finish(all)?;
    let filter = RefresherFilter { operator, person, after: Uuid::nil() };
    let found = app.list_refreshers(caller, filter, min_revision, page).await?;
    Ok(pb::ListRefreshersResponse {
        refreshers: found.rows.iter().map(convert::refresher).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}
