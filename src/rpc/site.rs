//! `SiteService`: which function answers which call. The calls themselves are in the files of `site/`.

mod acts;
mod reads;
mod sites;
mod splits;

use tonic::{Request, Response, Status};

use crate::app::App;
use crate::rpc::pb::site_service_server::SiteService;
use crate::rpc::{caller, pb};

/// The most bytes of one request message: an outline of 10,000 vertices takes up to half of it.
pub const SITE_MESSAGE_BYTES_MAX: usize = 1024 * 1024;

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
        Ok(Response::new(sites::create(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn get_site(
        &self,
        request: Request<pb::GetSiteRequest>,
    ) -> Result<Response<pb::GetSiteResponse>, Status> {
        Ok(Response::new(sites::get(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn list_sites(
        &self,
        request: Request<pb::ListSitesRequest>,
    ) -> Result<Response<pb::ListSitesResponse>, Status> {
        Ok(Response::new(sites::list(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn rename_site(
        &self,
        request: Request<pb::RenameSiteRequest>,
    ) -> Result<Response<pb::RenameSiteResponse>, Status> {
        Ok(Response::new(acts::rename(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn record_survey(
        &self,
        request: Request<pb::RecordSurveyRequest>,
    ) -> Result<Response<pb::RecordSurveyResponse>, Status> {
        Ok(Response::new(acts::record_survey(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn record_remeasurement(
        &self,
        request: Request<pb::RecordRemeasurementRequest>,
    ) -> Result<Response<pb::RecordRemeasurementResponse>, Status> {
        Ok(Response::new(acts::remeasure(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn split_site(
        &self,
        request: Request<pb::SplitSiteRequest>,
    ) -> Result<Response<pb::SplitSiteResponse>, Status> {
        Ok(Response::new(splits::split(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn suspend_site(
        &self,
        request: Request<pb::SuspendSiteRequest>,
    ) -> Result<Response<pb::SuspendSiteResponse>, Status> {
        Ok(Response::new(acts::suspend(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn resume_site(
        &self,
        request: Request<pb::ResumeSiteRequest>,
    ) -> Result<Response<pb::ResumeSiteResponse>, Status> {
        Ok(Response::new(acts::resume(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn close_site(
        &self,
        request: Request<pb::CloseSiteRequest>,
    ) -> Result<Response<pb::CloseSiteResponse>, Status> {
        Ok(Response::new(acts::close(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn hand_over_site(
        &self,
        request: Request<pb::HandOverSiteRequest>,
    ) -> Result<Response<pb::HandOverSiteResponse>, Status> {
        Ok(Response::new(acts::hand_over(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn reopen_site(
        &self,
        request: Request<pb::ReopenSiteRequest>,
    ) -> Result<Response<pb::ReopenSiteResponse>, Status> {
        Ok(Response::new(splits::reopen(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn get_land_ledger(
        &self,
        request: Request<pb::GetLandLedgerRequest>,
    ) -> Result<Response<pb::GetLandLedgerResponse>, Status> {
        Ok(Response::new(reads::land_ledger(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn list_surveys(
        &self,
        request: Request<pb::ListSurveysRequest>,
    ) -> Result<Response<pb::ListSurveysResponse>, Status> {
        Ok(Response::new(reads::surveys(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn get_site_history(
        &self,
        request: Request<pb::GetSiteHistoryRequest>,
    ) -> Result<Response<pb::GetSiteHistoryResponse>, Status> {
        Ok(Response::new(reads::history(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }
}
