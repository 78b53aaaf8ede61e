//! `FieldReportService`: which function answers which call. The calls themselves are in the files of `field_report/`.

mod download;
mod feed;
mod personal;
mod reads;
mod review;
mod submit;
mod sync_stream;
mod upload;

use tonic::{Request, Response, Status, Streaming};

use crate::app::App;
use crate::rpc::groups::GroupedAnswers;
use crate::rpc::pb::field_report_service_server::FieldReportService;
use crate::rpc::{caller, pb};

/// The most bytes of one request message. Far above a report: one that is too large can be read, and refused alone with its
/// size, while what cannot be read ends its stream.
pub const REPORT_MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

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

    async fn upload_attachment(
        &self,
        request: Request<Streaming<pb::UploadAttachmentRequest>>,
    ) -> Result<Response<pb::UploadAttachmentResponse>, Status> {
        Ok(Response::new(upload::upload(&self.app, caller(&request)?, request.into_inner()).await?))
    }

    async fn get_upload_state(
        &self,
        request: Request<pb::GetUploadStateRequest>,
    ) -> Result<Response<pb::GetUploadStateResponse>, Status> {
        Ok(Response::new(upload::state(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    type DownloadAttachmentStream = download::Downloading;

    async fn download_attachment(
        &self,
        request: Request<pb::DownloadAttachmentRequest>,
    ) -> Result<Response<Self::DownloadAttachmentStream>, Status> {
        Ok(Response::new(download::open(&self.app, &caller(&request)?, &request.into_inner()).await?))
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

    async fn review_report(
        &self,
        request: Request<pb::ReviewReportRequest>,
    ) -> Result<Response<pb::ReviewReportResponse>, Status> {
        Ok(Response::new(review::review(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn amend_report(
        &self,
        request: Request<pb::AmendReportRequest>,
    ) -> Result<Response<pb::AmendReportResponse>, Status> {
        Ok(Response::new(review::amend(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn void_report(
        &self,
        request: Request<pb::VoidReportRequest>,
    ) -> Result<Response<pb::VoidReportResponse>, Status> {
        Ok(Response::new(review::void(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    type StreamReportsStream = feed::Messages;

    async fn stream_reports(
        &self,
        request: Request<pb::StreamReportsRequest>,
    ) -> Result<Response<Self::StreamReportsStream>, Status> {
        Ok(Response::new(feed::stream(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn read_victims(
        &self,
        request: Request<pb::ReadVictimsRequest>,
    ) -> Result<Response<pb::ReadVictimsResponse>, Status> {
        Ok(Response::new(personal::read(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn erase_victim(
        &self,
        request: Request<pb::EraseVictimRequest>,
    ) -> Result<Response<pb::EraseVictimResponse>, Status> {
        Ok(Response::new(personal::erase(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn list_personal_access(
        &self,
        request: Request<pb::ListPersonalAccessRequest>,
    ) -> Result<Response<pb::ListPersonalAccessResponse>, Status> {
        let message = personal::list_access(&self.app, &caller(&request)?, &request.into_inner()).await?;
        Ok(Response::new(message))
    }
}
