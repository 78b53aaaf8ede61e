//! Task licences of `TeamService`.

use uuid::Uuid;

use crate::app::App;
use crate::domain::caller::Caller;
use crate::domain::ids::{OrganizationId, TaskId};
use crate::domain::kind::Kind;
use crate::error::Error;
use crate::rpc::change::{answered, request as asked};
use crate::rpc::convert::accreditation as convert;
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::read::Reader;
use crate::store::licence::LicenceFilter;

pub(super) async fn grant(
    app: &App,
    caller: &Caller,
    sent: pb::GrantTaskLicenceRequest,
) -> Result<pb::GrantTaskLicenceResponse, Error> {
    let mut reader = Reader::default();
    let licence = reader.need("licence", sent.licence.as_ref());
    let new = licence.and_then(|of| convert::read_licence(&mut reader, of));
    let new = reader.finish(new)?;
    let asked = asked(new.id.uuid(), Kind::TaskLicence, "TeamService/GrantTaskLicence", &sent);
    let changed = app.grant_task_licence(caller, asked, new).await?;
    let pick = |record| if let Record::Licence(of) = record { Some(of) } else { None };
    let licence = answered(&changed, pick).map(Some)?;
    Ok(pb::GrantTaskLicenceResponse { licence, revision: changed.revision })
}

pub(super) async fn list(
    app: &App,
    caller: &Caller,
    sent: pb::ListTaskLicencesRequest,
) -> Result<pb::ListTaskLicencesResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let operator = reader.id("organization_id", &sent.organization_id, OrganizationId::new);
    let task = reader.optional_id("task_id", &sent.task_id, TaskId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let all = page.zip(operator).zip(task.zip(min_revision));
    let ((page, operator), (task, min_revision)) = reader.finish(all)?;
    let filter = LicenceFilter { operator, task, after: Uuid::nil() };
    let found = app.list_task_licences(caller, filter, min_revision, page).await?;
    Ok(pb::ListTaskLicencesResponse {
        licences: found.rows.iter().map(convert::licence).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}
