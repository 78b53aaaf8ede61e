//! `TeamService`: which function answers which call. The calls themselves are in the files of `team/`, one for each
//! kind of record.

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
}
