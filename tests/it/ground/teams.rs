//! Teams.

use safelane::rpc::pb;
use tonic::Code;

use crate::desk::reason;
use crate::harness::{World, fresh_id, in_world};

/// Records an organization of a kind and answers its id.
pub(super) async fn organization(
    world: &World,
    kind: pb::OrganizationKind,
    code: &str,
    country: &str,
) -> String {
    let id = fresh_id();
    let organization = pb::Organization {
        organization_id: id.clone(),
        kind: kind.into(),
        code: code.to_owned(),
        name: code.to_owned(),
        country_code: country.to_owned(),
        ..pb::Organization::default()
    };
    let request = pb::CreateOrganizationRequest { organization: Some(organization) };
    world.organizations().create_organization(request).await.expect("it is recorded");
    id
}

fn team(organization: &str, code: &str) -> pb::Team {
    pb::Team {
        team_id: fresh_id(),
        organization_id: organization.to_owned(),
        code: code.to_owned(),
        name: "Manual team 3".to_owned(),
        r#type: pb::TeamType::Manual.into(),
        ..pb::Team::default()
    }
}

/// Records a manual team and answers its id.
pub(crate) async fn recorded_team(world: &World, operator: &str, code: &str) -> String {
    let new = team(operator, code);
    let id = new.team_id.clone();
    world.teams().create_team(pb::CreateTeamRequest { team: Some(new) }).await.expect("it is recorded");
    id
}

#[tokio::test]
async fn a_team_is_recorded_once_and_changed_by_who_knows_its_state() {
    in_world(async |world| {
        let operator = organization(world, pb::OrganizationKind::Operator, "OP-1", "ZW").await;
        let mut teams = world.teams();
        let new = pb::CreateTeamRequest { team: Some(team(&operator, "MT-03")) };
        let first = teams.create_team(new.clone()).await.unwrap().into_inner();
        assert_eq!(first.revision, 2);
        assert_eq!(teams.create_team(new.clone()).await.unwrap().into_inner(), first);
        let mut other = new.clone();
        other.team.as_mut().unwrap().name = "Another".to_owned();
        let refused = teams.create_team(other).await.unwrap_err();
        let (name, facts) = reason(&refused);
        assert_eq!(
            (refused.code(), name.as_str(), facts["differs"].as_str()),
            (Code::AlreadyExists, "ID_TAKEN", "team.name")
        );
        let team = first.team.unwrap();
        let update = pb::UpdateTeamRequest {
            request_id: fresh_id(),
            team: Some(pb::Team { name: "Team 3".to_owned(), ..team.clone() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["name".to_owned()] }),
            expected_revision: team.revision,
        };
        let updated = teams.update_team(update.clone()).await.unwrap().into_inner();
        assert_eq!(updated.team.as_ref().unwrap().name, "Team 3");
        assert_eq!(teams.update_team(update.clone()).await.unwrap().into_inner(), updated);
        let stale = teams.update_team(pb::UpdateTeamRequest { request_id: fresh_id(), ..update }).await;
        let stale = stale.unwrap_err();
        assert_eq!((stale.code(), reason(&stale).0.as_str()), (Code::Aborted, "STALE_REVISION"));
        let get = pb::GetTeamRequest { team_id: team.team_id.clone(), min_revision: updated.revision };
        assert_eq!(teams.get_team(get).await.unwrap().into_inner().team, updated.team);
        let list = pb::ListTeamsRequest { organization_id: operator, ..pb::ListTeamsRequest::default() };
        assert_eq!(teams.list_teams(list).await.unwrap().into_inner().teams, [updated.team.unwrap()]);
    })
    .await;
}
