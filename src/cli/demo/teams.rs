//! The operators of the demo and their teams.

use crate::cli::client::{Connection, refused};
use crate::cli::demo::steps::id;
use crate::error::StartError;
use crate::rpc::pb;
use crate::rpc::pb::team_service_client::TeamServiceClient;

/// Operator, code, name and type of each team.
const TEAMS: [(&str, &str, &str, pb::TeamType); 5] = [
    ("operator", "MT-01", "Manual team 1", pb::TeamType::Manual),
    ("operator", "MT-02", "Manual team 2", pb::TeamType::Manual),
    ("operator", "EOD-01", "Disposal team", pb::TeamType::Eod),
    ("operator 2", "NTS-01", "Survey team", pb::TeamType::Nts),
    ("operator 2", "MDD-01", "Dog team", pb::TeamType::Mdd),
];

/// Records the teams, and says which.
pub(super) async fn record_teams(connection: Connection) -> Result<String, StartError> {
    let mut teams = TeamServiceClient::new(connection);
    for (operator, code, name, kind) in TEAMS {
        let team = pb::Team {
            team_id: id(&format!("team {code}")).to_string(),
            organization_id: id(operator).to_string(),
            code: code.to_owned(),
            name: name.to_owned(),
            r#type: kind.into(),
            ..Default::default()
        };
        teams.create_team(pb::CreateTeamRequest { team: Some(team) }).await.map_err(refused)?;
    }
    let names: Vec<&str> = TEAMS.iter().map(|(_, code, ..)| *code).collect();
    Ok(format!("\nThe teams of two operators: {}.", names.join(", ")))
}
