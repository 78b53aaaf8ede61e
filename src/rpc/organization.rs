//! `OrganizationService`.

use tonic::{Request, Response, Status};

use crate::app::App;
use crate::domain::ids::OrganizationId;
use crate::domain::text::{Code, CountryCode};
use crate::rpc::pb::organization_service_server::OrganizationService;
use crate::rpc::read::Reader;
use crate::rpc::{caller, convert, pb};
use crate::store::organization::OrganizationFilter;

/// Answers the calls of `OrganizationService`.
#[derive(Clone)]
pub struct OrganizationRpc {
    /// The use cases.
    pub app: App,
}

#[tonic::async_trait]
impl OrganizationService for OrganizationRpc {
    async fn create_organization(
        &self,
        request: Request<pb::CreateOrganizationRequest>,
    ) -> Result<Response<pb::CreateOrganizationResponse>, Status> {
        let caller = caller(&request)?;
        let mut reader = Reader::default();
        let sent = reader.need("organization", request.into_inner().organization);
        let new = sent.and_then(|sent| convert::read_organization(&mut reader, &sent));
        let (organization, revision) = self.app.create_organization(&caller, reader.finish(new)?).await?;
        let organization = Some(convert::organization(&organization));
        Ok(Response::new(pb::CreateOrganizationResponse { organization, revision }))
    }

    async fn get_organization(
        &self,
        request: Request<pb::GetOrganizationRequest>,
    ) -> Result<Response<pb::GetOrganizationResponse>, Status> {
        let sent = request.into_inner();
        let mut reader = Reader::default();
        let id = reader.id("organization_id", &sent.organization_id, OrganizationId::new);
        let min_revision = reader.revision("min_revision", sent.min_revision);
        let (id, min_revision) = reader.finish(id.zip(min_revision))?;
        let organization = self.app.get_organization(id, min_revision).await?;
        let organization = Some(convert::organization(&organization));
        Ok(Response::new(pb::GetOrganizationResponse { organization }))
    }

    async fn list_organizations(
        &self,
        request: Request<pb::ListOrganizationsRequest>,
    ) -> Result<Response<pb::ListOrganizationsResponse>, Status> {
        let sent = request.into_inner();
        let mut reader = Reader::default();
        let page = reader.page(sent.page_size, &sent.page_token);
        let kind = match sent.kind {
            None => Some(None),
            Some(kind) => reader.choice("kind", kind, convert::organization_kind).map(Some),
        };
        let country = reader.optional("country_code", &sent.country_code, CountryCode::parse);
        let prefix = reader.optional("code_prefix", &sent.code_prefix, Code::parse);
        let all = page.zip(kind.zip(country)).zip(prefix);
        let ((page, (kind, country)), _prefix) = reader.finish(all)?;
        let filter = OrganizationFilter {
            kind,
            country: country.map(|country| country.as_str().to_owned()),
            code_prefix: sent.code_prefix,
            after_code: String::new(),
        };
        let found = self.app.list_organizations(filter, page).await?;
        Ok(Response::new(pb::ListOrganizationsResponse {
            organizations: found.rows.iter().map(convert::organization).collect(),
            next_page_token: found.next.unwrap_or_default(),
        }))
    }
}
