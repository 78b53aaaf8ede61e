//! Task licences: which task an authority permits an operator to do.

use safelane::rpc::pb;
use tonic::Code;

use crate::desk::reason;
use crate::gate::Gate;
use crate::ground::members::{day, put, put_task};
use crate::ground::teams::organization;
use crate::harness::{fresh_id, in_world};

fn licence(operator: &str, authority: &str, task: &str) -> pb::GrantTaskLicenceRequest {
    let licence = pb::TaskLicence {
        licence_id: fresh_id(),
        organization_id: operator.to_owned(),
        authority_id: authority.to_owned(),
        task_id: task.to_owned(),
        certificate: "L-1".to_owned(),
        first_day: day("1998-01-01"),
        ..pb::TaskLicence::default()
    };
    pb::GrantTaskLicenceRequest { licence: Some(licence) }
}

#[tokio::test]
async fn a_licence_is_given_once_by_the_authority_of_the_task() {
    in_world(async |world| {
        let operator = organization(world, pb::OrganizationKind::Operator, "OP-1", "ZW").await;
        let authority = organization(world, pb::OrganizationKind::Authority, "NMAA", "ZW").await;
        let other = organization(world, pb::OrganizationKind::Authority, "NMAA-2", "MZ").await;
        let (task, program) = put_task(world, &operator).await;
        let mut teams = world.teams();
        let request = licence(&operator, &authority, &task);
        let first = teams.grant_task_licence(request.clone()).await.unwrap().into_inner();
        assert_eq!(teams.grant_task_licence(request).await.unwrap().into_inner(), first);
        let given = first.licence.unwrap();
        assert_eq!((&given.program_id, given.revision), (&program, first.revision));
        let list = |task_id: &str| pb::ListTaskLicencesRequest {
            organization_id: operator.clone(),
            task_id: task_id.to_owned(),
            ..Default::default()
        };
        assert_eq!(teams.list_task_licences(list(&task)).await.unwrap().into_inner().licences, [given]);
        assert!(teams.list_task_licences(list(&fresh_id())).await.unwrap().into_inner().licences.is_empty());
        let unknown =
            teams.grant_task_licence(licence(&operator, &authority, &fresh_id())).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
        put(world, format!("UPDATE tasks SET authority_id = '{authority}' WHERE task_id = '{task}'")).await;
        let elsewhere = teams.grant_task_licence(licence(&operator, &other, &task)).await.unwrap_err();
        assert_eq!(reason(&elsewhere).0, "BELONGS_ELSEWHERE");
        let kind = teams.grant_task_licence(licence(&authority, &authority, &task)).await.unwrap_err();
        assert_eq!(reason(&kind).0, "WRONG_ORGANIZATION_KIND");
        let empty = pb::GrantTaskLicenceRequest { licence: Some(pb::TaskLicence::default()) };
        let told = teams.grant_task_licence(empty).await.unwrap_err();
        for field in ["licence_id", "organization_id", "authority_id", "task_id", "first_day"] {
            assert!(told.message().contains(&format!("licence.{field}: ")), "{told}");
        }
        let gate = Gate::open(world).await;
        let request = gate.sent("coordinator", &operator, licence(&operator, &authority, &task));
        let refused = gate.server.teams().grant_task_licence(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let request = gate.sent("coordinator", &authority, licence(&operator, &authority, &task));
        gate.server.teams().grant_task_licence(request).await.unwrap();
        gate.server.finish().await;
    })
    .await;
}
