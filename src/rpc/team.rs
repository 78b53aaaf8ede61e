//! `TeamService`: which function answers which call. The calls themselves are in the files of `team/`, one for each
//! kind of record.

mod accreditations;
mod assets;
mod assignments;
mod feed;
mod licences;
mod members;
mod refreshers;
mod teams;

use tonic::{Request, Response, Status};

use crate::app::App;
use crate::rpc::pb::team_service_server::TeamService;
use crate::rpc::{caller, pb};

/// Answers the calls of `TeamService`.
#[derive(Clone)]
pub struct TeamRpc {
    /// The use cases.
    pub app: App,
}

#[tonic::async_trait]
impl TeamService for TeamRpc {
    async fn create_team(
        &self,
        request: Request<pb::CreateTeamRequest>,
    ) -> Result<Response<pb::CreateTeamResponse>, Status> {
        Ok(Response::new(teams::create(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn get_team(
        &self,
        request: Request<pb::GetTeamRequest>,
    ) -> Result<Response<pb::GetTeamResponse>, Status> {
        Ok(Response::new(teams::get(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn list_teams(
        &self,
        request: Request<pb::ListTeamsRequest>,
    ) -> Result<Response<pb::ListTeamsResponse>, Status> {
        Ok(Response::new(teams::list(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn update_team(
        &self,
        request: Request<pb::UpdateTeamRequest>,
    ) -> Result<Response<pb::UpdateTeamResponse>, Status> {
        Ok(Response::new(teams::update(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn add_member(
        &self,
        request: Request<pb::AddMemberRequest>,
    ) -> Result<Response<pb::AddMemberResponse>, Status> {
        Ok(Response::new(members::add(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn update_member(
        &self,
        request: Request<pb::UpdateMemberRequest>,
    ) -> Result<Response<pb::UpdateMemberResponse>, Status> {
        Ok(Response::new(members::update(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn remove_member(
        &self,
        request: Request<pb::RemoveMemberRequest>,
    ) -> Result<Response<pb::RemoveMemberResponse>, Status> {
        Ok(Response::new(members::remove(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn erase_person(
        &self,
        request: Request<pb::ErasePersonRequest>,
    ) -> Result<Response<pb::ErasePersonResponse>, Status> {
        Ok(Response::new(members::erase(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn list_members(
        &self,
        request: Request<pb::ListMembersRequest>,
    ) -> Result<Response<pb::ListMembersResponse>, Status> {
        Ok(Response::new(members::list(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn register_asset(
        &self,
        request: Request<pb::RegisterAssetRequest>,
    ) -> Result<Response<pb::RegisterAssetResponse>, Status> {
        Ok(Response::new(assets::register(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn update_asset(
        &self,
        request: Request<pb::UpdateAssetRequest>,
    ) -> Result<Response<pb::UpdateAssetResponse>, Status> {
        Ok(Response::new(assets::update(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn get_asset(
        &self,
        request: Request<pb::GetAssetRequest>,
    ) -> Result<Response<pb::GetAssetResponse>, Status> {
        Ok(Response::new(assets::get(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn list_assets(
        &self,
        request: Request<pb::ListAssetsRequest>,
    ) -> Result<Response<pb::ListAssetsResponse>, Status> {
        Ok(Response::new(assets::list(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn apply_for_accreditation(
        &self,
        request: Request<pb::ApplyForAccreditationRequest>,
    ) -> Result<Response<pb::ApplyForAccreditationResponse>, Status> {
        Ok(Response::new(accreditations::apply(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn assess_accreditation(
        &self,
        request: Request<pb::AssessAccreditationRequest>,
    ) -> Result<Response<pb::AssessAccreditationResponse>, Status> {
        Ok(Response::new(accreditations::assess(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn grant_accreditation(
        &self,
        request: Request<pb::GrantAccreditationRequest>,
    ) -> Result<Response<pb::GrantAccreditationResponse>, Status> {
        Ok(Response::new(accreditations::grant(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn suspend_accreditation(
        &self,
        request: Request<pb::SuspendAccreditationRequest>,
    ) -> Result<Response<pb::SuspendAccreditationResponse>, Status> {
        Ok(Response::new(accreditations::suspend(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn reinstate_accreditation(
        &self,
        request: Request<pb::ReinstateAccreditationRequest>,
    ) -> Result<Response<pb::ReinstateAccreditationResponse>, Status> {
        Ok(Response::new(
            accreditations::reinstate(&self.app, &caller(&request)?, request.into_inner()).await?,
        ))
    }

    async fn withdraw_accreditation(
        &self,
        request: Request<pb::WithdrawAccreditationRequest>,
    ) -> Result<Response<pb::WithdrawAccreditationResponse>, Status> {
        Ok(Response::new(
            accreditations::withdraw(&self.app, &caller(&request)?, request.into_inner()).await?,
        ))
    }

    async fn get_accreditation(
        &self,
        request: Request<pb::GetAccreditationRequest>,
    ) -> Result<Response<pb::GetAccreditationResponse>, Status> {
        Ok(Response::new(accreditations::get(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn list_accreditations(
        &self,
        request: Request<pb::ListAccreditationsRequest>,
    ) -> Result<Response<pb::ListAccreditationsResponse>, Status> {
        Ok(Response::new(accreditations::list(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn record_refresher(
        &self,
        request: Request<pb::RecordRefresherRequest>,
    ) -> Result<Response<pb::RecordRefresherResponse>, Status> {
        Ok(Response::new(refreshers::record(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn list_refreshers(
        &self,
        request: Request<pb::ListRefreshersRequest>,
    ) -> Result<Response<pb::ListRefreshersResponse>, Status> {
        Ok(Response::new(refreshers::list(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn grant_task_licence(
        &self,
        request: Request<pb::GrantTaskLicenceRequest>,
    ) -> Result<Response<pb::GrantTaskLicenceResponse>, Status> {
        Ok(Response::new(licences::grant(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn list_task_licences(
        &self,
        request: Request<pb::ListTaskLicencesRequest>,
    ) -> Result<Response<pb::ListTaskLicencesResponse>, Status> {
        Ok(Response::new(licences::list(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn assign_team(
        &self,
        request: Request<pb::AssignTeamRequest>,
    ) -> Result<Response<pb::AssignTeamResponse>, Status> {
        Ok(Response::new(assignments::assign(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn check_assignment(
        &self,
        request: Request<pb::CheckAssignmentRequest>,
    ) -> Result<Response<pb::CheckAssignmentResponse>, Status> {
        Ok(Response::new(assignments::check(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn end_assignment(
        &self,
        request: Request<pb::EndAssignmentRequest>,
    ) -> Result<Response<pb::EndAssignmentResponse>, Status> {
        Ok(Response::new(assignments::end(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn get_assignment(
        &self,
        request: Request<pb::GetAssignmentRequest>,
    ) -> Result<Response<pb::GetAssignmentResponse>, Status> {
        Ok(Response::new(assignments::get(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn list_assignments(
        &self,
        request: Request<pb::ListAssignmentsRequest>,
    ) -> Result<Response<pb::ListAssignmentsResponse>, Status> {
        Ok(Response::new(assignments::list(&self.app, &caller(&request)?, request.into_inner()).await?))
    }

    async fn find_available_teams(
        &self,
        request: Request<pb::FindAvailableTeamsRequest>,
    ) -> Result<Response<pb::FindAvailableTeamsResponse>, Status> {
        Ok(Response::new(
            assignments::find_available(&self.app, &caller(&request)?, request.into_inner()).await?,
        ))
    }

    type StreamTeamFeedStream = feed::Messages;

    async fn stream_team_feed(
        &self,
        request: Request<pb::StreamTeamFeedRequest>,
    ) -> Result<Response<Self::StreamTeamFeedStream>, Status> {
        Ok(Response::new(feed::stream(&self.app, &caller(&request)?, request.into_inner()).await?))
    }
}
