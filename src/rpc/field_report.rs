//! `FieldReportService`: which function answers which call. The calls themselves are in the files of `field_report/`.

mod reads;
mod submit;
mod sync_stream;

use tonic::{Request, Response, Status, Streaming};

use crate::app::App;
use crate::rpc::convert::field_report::REPORT_BYTES_MAX;
use crate::rpc::groups::GroupedAnswers;
use crate::rpc::pb::field_report_service_server::FieldReportService;
use crate::rpc::{caller, pb};

/// The most bytes of one request message: a report, and room for what is around it.
pub const REPORT_MESSAGE_BYTES_MAX: usize = REPORT_BYTES_MAX + 64 * 1024;

/// Answers the calls of `FieldReportService`.
#[derive(Clone)]
pub struct FieldReportRpc {
    /// The use cases.
    pub app: App,
}

#[tonic::async_trait]
impl FieldReportService for FieldReportRpc {
    async fn submit_report(
        &self,
        request: Request<pb::SubmitReportRequest>,
    ) -> Result<Response<pb::SubmitReportResponse>, Status> {
        Ok(Response::new(submit::submit(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    type SyncReportsStream = GroupedAnswers<pb::SyncReportsResponse>;

    async fn sync_reports(
        &self,
        request: Request<Streaming<pb::SyncReportsRequest>>,
    ) -> Result<Response<Self::SyncReportsStream>, Status> {
        Ok(Response::new(sync_stream::answer(&self.app, caller(&request)?, request.into_inner())?))
    }

    async fn get_sync_state(
        &self,
        request: Request<pb::GetSyncStateRequest>,
    ) -> Result<Response<pb::GetSyncStateResponse>, Status> {
        Ok(Response::new(reads::sync_state(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn get_report(
        &self,
        request: Request<pb::GetReportRequest>,
    ) -> Result<Response<pb::GetReportResponse>, Status> {
        Ok(Response::new(reads::get(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn list_reports(
        &self,
        request: Request<pb::ListReportsRequest>,
    ) -> Result<Response<pb::ListReportsResponse>, Status> {
        Ok(Response::new(reads::list(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }
}
