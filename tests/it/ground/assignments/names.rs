//! Names of members in findings: told to the operator, and kept nowhere.

use std::collections::BTreeSet;

use safelane::app::personal_key::hex;
use safelane::rpc::pb;
use tonic::Status;
use tonic_types::StatusExt as _;

use super::yard::{Yard, day, names};
use crate::desk::reason;
use crate::gate::Gate;
use crate::harness::{World, fresh_id, in_world};
use crate::searching::tables_with;

/// Names that stand nowhere else.
const NAME: &str = "Farai Mukwekwezeke";
const RENAMED: &str = "Farai Chidyausiku";
/// What is kept of an override, to see that the search finds what is there.
const WHY: &str = "The village waits for its well.";

/// The texts of a refused assignment.
fn told(refused: &Status) -> Vec<String> {
    assert_eq!(reason(refused).0, "ASSIGNMENT_REFUSED", "{refused:?}");
    let details = refused.get_error_details();
    let broken = &details.precondition_failure().expect("a PreconditionFailure").violations;
    broken.iter().map(|of| of.description.clone()).collect()
}

async fn expect_nowhere(world: &World) {
    for name in [NAME, RENAMED, "Mukwekwezeke", "Chidyausiku"] {
        assert_eq!(tables_with(world, name).await, BTreeSet::new(), "{name}");
    }
}

#[tokio::test]
async fn names_are_told_to_the_operator_and_stand_in_no_table_and_no_event() {
    in_world(async |world| {
        let yard = Yard::open(world).await;
        let gate = Gate::open(world).await;
        let mut teams = gate.server.teams();
        let (own, office) = (&yard.operator, &yard.desk.office_id);
        let member = pb::Member {
            member_id: fresh_id(),
            team_id: yard.team.clone(),
            person_id: fresh_id(),
            name: NAME.to_owned(),
            role: pb::MemberRole::Deminer.into(),
            first_day: Some(day("06-01")),
            ..pb::Member::default()
        };
        let add = pb::AddMemberRequest { member: Some(member.clone()) };
        let added = teams.add_member(gate.sent("coordinator", own, add)).await.unwrap().into_inner();
        let added = added.member.unwrap();
        assert_eq!((&*added.name, added.name_digest.len()), (NAME, 32));
        let rename = pb::UpdateMemberRequest {
            request_id: fresh_id(),
            member: Some(pb::Member { name: RENAMED.to_owned(), ..added.clone() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["name".to_owned()] }),
            expected_revision: added.revision,
        };
        let renamed = teams.update_member(gate.sent("coordinator", own, rename)).await.unwrap().into_inner();
        let renamed = renamed.member.unwrap();
        assert_eq!(renamed.name, RENAMED);
        expect_nowhere(world).await;

        let asked = yard.assignment("06-15", "06-25");
        let check = || pb::CheckAssignmentRequest { assignment: Some(asked.clone()), min_revision: 0 };
        let available = || pb::FindAvailableTeamsRequest {
            task_id: asked.task_id.clone(),
            first_day: asked.first_day,
            last_day: asked.last_day,
            ..Default::default()
        };
        let assign = |why: &str| pb::AssignTeamRequest {
            assignment: Some(asked.clone()),
            override_reason: why.to_owned(),
        };
        let text = format!("DEMINER {} is not accredited", member.person_id);
        for (role, organization, name) in
            [("coordinator", own, RENAMED), ("coordinator", office, ""), ("auditor", own, "")]
        {
            let checked = teams.check_assignment(gate.sent(role, organization, check())).await.unwrap();
            let found = checked.into_inner().findings;
            assert_eq!(names(&found), ["PERSON_NOT_ACCREDITED"]);
            assert!(found[0].text.starts_with(&text), "{found:?}");
            assert_eq!((&*found[0].subject_name, &found[0].subject_id), (name, &member.person_id), "{role}");
            let teams_found =
                teams.find_available_teams(gate.sent(role, organization, available())).await.unwrap();
            let candidates = teams_found.into_inner().candidates;
            let own_team = candidates.iter().find(|of| of.findings == found);
            assert!(own_team.is_some(), "{candidates:?}");
            if role == "coordinator" {
                let refused = teams.assign_team(gate.sent(role, organization, assign(""))).await.unwrap_err();
                let prefix = if name.is_empty() { String::new() } else { format!("{name}: ") };
                let told = told(&refused);
                assert!(told[0].starts_with(&format!("{prefix}{text}")), "{told:?}");
            }
        }
        let sent = teams.assign_team(gate.sent("coordinator", own, assign(WHY))).await.unwrap().into_inner();
        let kept = sent.assignment.unwrap().r#override.unwrap();
        assert!(kept.findings[0].text.starts_with(&text) && kept.findings[0].subject_name.is_empty());
        assert_eq!(
            tables_with(world, WHY).await,
            BTreeSet::from(["assignments".to_owned(), "journal".to_owned()])
        );
        expect_nowhere(world).await;

        // Whoever was not recorded has no name to be told by.
        let other = pb::Member { member_id: fresh_id(), person_id: fresh_id(), ..member.clone() };
        let other =
            pb::AddMemberRequest { member: Some(pb::Member { first_day: Some(day("06-16")), ..other }) };
        let refused = teams.add_member(gate.sent("coordinator", own, other)).await.unwrap_err();
        let told = told(&refused);
        assert!(told[0].starts_with("DEMINER "), "{told:?}");

        let remove = pb::RemoveMemberRequest {
            request_id: fresh_id(),
            member_id: member.member_id.clone(),
            last_day: Some(day("06-14")),
            expected_revision: renamed.revision,
        };
        let removed = teams.remove_member(gate.sent("coordinator", own, remove)).await.unwrap().into_inner();
        assert_eq!(removed.member.unwrap().name, RENAMED);
        let erase = pb::ErasePersonRequest {
            request_id: fresh_id(),
            person_id: member.person_id.clone(),
            reason: "He asked for it".to_owned(),
        };
        teams.erase_person(gate.sent("coordinator", own, erase)).await.unwrap();
        expect_nowhere(world).await;
        // What the journal holds in the place of the name stays.
        let digests = tables_with(world, &hex(&renamed.name_digest)).await;
        assert_eq!(digests, BTreeSet::from(["journal".to_owned()]));
        drop(teams);
        gate.server.finish().await;
    })
    .await;
}
