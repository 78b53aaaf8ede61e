//! Who may send a team all the same, when, and that it stays for ever; who may assign at all.

use safelane::rpc::pb;
use safelane::rpc::pb::team_service_client::TeamServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::yard::{Yard, day, names};
use crate::desk::reason;
use crate::gate::Gate;
use crate::ground::teams::organization;
use crate::harness::{fresh_id, in_world};

/// A yard behind a gate that asks for tokens.
struct Guarded {
    yard: Yard,
    gate: Gate,
    teams: TeamServiceClient<Channel>,
}

impl Guarded {
    async fn assign(
        &mut self,
        role: &str,
        organization: &str,
        (assignment, why): (pb::Assignment, &str),
    ) -> Result<pb::Assignment, Status> {
        let message = pb::AssignTeamRequest { assignment: Some(assignment), override_reason: why.to_owned() };
        let answer = self.teams.assign_team(self.gate.sent(role, organization, message)).await?;
        Ok(answer.into_inner().assignment.expect("the assignment"))
    }
}

async fn guarded(world: &crate::harness::World) -> Guarded {
    let yard = Yard::open(world).await;
    let gate = Gate::open(world).await;
    let teams = gate.server.teams();
    Guarded { yard, gate, teams }
}

const WHY: &str = "The flail broke, and the village waits for its well.";

#[tokio::test]
async fn a_coordinator_of_a_party_overrides_and_it_stays() {
    in_world(async |world| {
        let mut guarded = guarded(world).await;
        let (operator, office) = (guarded.yard.operator.clone(), guarded.yard.desk.office_id.clone());
        guarded.yard.run("UPDATE tasks SET team_type = 'MDD', last_day = '1998-06-24'".to_owned()).await;
        for (organization, first, last) in [(&operator, "06-16", "06-19"), (&office, "06-20", "06-25")] {
            let asked = guarded.yard.assignment(first, last);
            let refused = guarded.assign("coordinator", organization, (asked.clone(), "")).await.unwrap_err();
            assert_eq!(reason(&refused).0, "ASSIGNMENT_REFUSED");
            let found = guarded.yard.check(asked.clone()).await.unwrap();
            assert!(found.overridable);
            let sent = guarded.assign("coordinator", organization, (asked, WHY)).await.unwrap();
            let kept = sent.r#override.clone().expect("the override");
            assert_eq!((kept.reason.as_str(), kept.by.as_str()), (WHY, "coordinator"));
            assert_eq!(kept.findings, found.findings);
            let get = pb::GetAssignmentRequest { assignment_id: sent.assignment_id.clone(), min_revision: 0 };
            let read = guarded.yard.teams.get_assignment(get).await.unwrap().into_inner().assignment;
            assert_eq!(read, Some(sent.clone()), "what is read is what was answered");
            let end = pb::EndAssignmentRequest {
                request_id: fresh_id(),
                assignment_id: sent.assignment_id,
                last_day: Some(day("06-15")),
                reason: "Another team goes.".to_owned(),
                expected_revision: sent.revision,
            };
            let ended =
                guarded.yard.teams.end_assignment(end).await.unwrap().into_inner().assignment.unwrap();
            assert_eq!(ended.r#override, Some(kept), "the override outlives the assignment");
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_else_overrides() {
    in_world(async |world| {
        let mut guarded = guarded(world).await;
        let operator = guarded.yard.operator.clone();
        let other_office = organization(world, pb::OrganizationKind::Office, "OTHER-OFFICE", "").await;
        guarded.yard.run("UPDATE tasks SET team_type = 'MDD'".to_owned()).await;
        let asked = guarded.yard.assignment("06-15", "06-25");
        let (funder, authority) = (guarded.yard.desk.funder_id.clone(), guarded.yard.authority.clone());
        for (role, organization, code) in [
            ("admin", &operator, Code::PermissionDenied),
            ("field", &operator, Code::PermissionDenied),
            ("auditor", &operator, Code::PermissionDenied),
            ("funder", &funder, Code::PermissionDenied),
            ("coordinator", &other_office, Code::NotFound),
            ("coordinator", &authority, Code::PermissionDenied),
        ] {
            let refused = guarded.assign(role, organization, (asked.clone(), WHY)).await.unwrap_err();
            assert_eq!(refused.code(), code, "{role}: {refused:?}");
        }
        // The service without tokens makes everyone an administrator.
        let message = pb::AssignTeamRequest { assignment: Some(asked), override_reason: WHY.to_owned() };
        let refused = guarded.yard.teams.assign_team(message).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert_eq!(guarded.yard.count("assignments").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_team_of_another_operator_does_not_exist_for_a_coordinator() {
    in_world(async |world| {
        let mut guarded = guarded(world).await;
        let other = organization(world, pb::OrganizationKind::Operator, "OTHER", "").await;
        let asked = guarded.yard.assignment("06-15", "06-25");
        let refused = guarded.assign("coordinator", &other, (asked, "")).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn what_nobody_may_override_is_refused_with_all_of_it() {
    in_world(async |world| {
        let mut guarded = guarded(world).await;
        let operator = guarded.yard.operator.clone();
        guarded.yard.run("UPDATE tasks SET team_type = 'MDD', state = 'COMPLETED'".to_owned()).await;
        let asked = guarded.yard.assignment("06-15", "06-25");
        let found = guarded.yard.check(asked.clone()).await.unwrap();
        assert_eq!(names(&found.findings), ["TASK_STATE", "WRONG_TEAM_TYPE"]);
        assert!(!found.overridable);
        let refused = guarded.assign("coordinator", &operator, (asked, WHY)).await.unwrap_err();
        assert_eq!(reason(&refused).1["findings"], "2");
    })
    .await;
}

#[tokio::test]
async fn an_override_that_was_not_needed_is_not_kept() {
    in_world(async |world| {
        let mut guarded = guarded(world).await;
        let operator = guarded.yard.operator.clone();
        let asked = guarded.yard.assignment("06-15", "06-25");
        let sent = guarded.assign("coordinator", &operator, (asked, WHY)).await.unwrap();
        assert_eq!(sent.r#override, None);
        assert_eq!(guarded.yard.count("assignments WHERE override_reason IS NOT NULL").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_task_that_is_not_seen_does_not_exist() {
    in_world(async |world| {
        let mut guarded = guarded(world).await;
        let other = organization(world, pb::OrganizationKind::Operator, "OTHER", "").await;
        let operator = guarded.yard.operator.clone();
        let asked = guarded.yard.assignment("06-15", "06-25");
        let found = pb::FindAvailableTeamsRequest {
            task_id: asked.task_id.clone(),
            first_day: asked.first_day,
            last_day: asked.last_day,
            organization_id: operator.clone(),
            ..Default::default()
        };
        let check = pb::CheckAssignmentRequest { assignment: Some(asked.clone()), min_revision: 0 };
        for hidden in [
            "state = 'DRAFT', order_reference = '', issued_revision = NULL".to_owned(),
            format!(
                "state = 'ISSUED', order_reference = 'D-1', issued_revision = 1, operator_id = '{other}'"
            ),
        ] {
            guarded.yard.run(format!("UPDATE tasks SET {hidden}")).await;
            let mut teams = guarded.teams.clone();
            let sent = guarded.gate.sent("coordinator", &operator, check.clone());
            let checked = teams.check_assignment(sent).await.map(drop);
            let sent = guarded.gate.sent("coordinator", &operator, found.clone());
            let available = teams.find_available_teams(sent).await.map(drop);
            let assigned = guarded.assign("coordinator", &operator, (asked.clone(), "")).await.map(drop);
            for answer in [checked, available, assigned] {
                let refused = answer.expect_err("it is not told");
                assert_eq!((refused.code(), reason(&refused).1["kind"].as_str()), (Code::NotFound, "task"));
                assert!(!refused.message().contains("T-1"), "{refused:?}");
            }
        }
    })
    .await;
}
