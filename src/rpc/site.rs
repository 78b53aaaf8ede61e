//! `SiteService`: which function answers which call. The calls themselves are in the files of `site/`.

mod sites;

use tonic::{Request, Response, Status};

use crate::app::App;
use crate::rpc::pb::site_service_server::SiteService;
use crate::rpc::{caller, pb};

/// Answers the calls of `SiteService`.
#[derive(Clone)]
pub struct SiteRpc {
    /// The use cases.
    pub app: App,
}

#[tonic::async_trait]
impl SiteService for SiteRpc {
    async fn create_site(
        &self,
        request: Request<pb::CreateSiteRequest>,
    ) -> Result<Response<pb::CreateSiteResponse>, Status> {
        Ok(Response::new(sites::create(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn get_site(
        &self,
        request: Request<pb::GetSiteRequest>,
    ) -> Result<Response<pb::GetSiteResponse>, Status> {
        Ok(Response::new(sites::get(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }
}
