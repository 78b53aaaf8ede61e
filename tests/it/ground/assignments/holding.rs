//! What a change of people, teams and equipment must not take from assignments that stand.

use safelane::rpc::pb;
use safelane::store::audit::run_audit;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::yard::{Yard, day};
use crate::desk::reason;
use crate::harness::{fresh_id, in_world};

/// The findings of a refusal.
fn found<T>(done: Result<T, Status>) -> Vec<String> {
    let Err(refused) = done else { return Vec::new() };
    assert_eq!(reason(&refused).0, "ASSIGNMENT_REFUSED", "{refused:?}");
    let details = refused.get_error_details();
    let told = &details.precondition_failure().expect("a PreconditionFailure").violations;
    told.iter().map(|of| of.subject.clone()).collect()
}

fn mask(paths: &[&str]) -> prost_types::FieldMask {
    prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }
}

/// A new person in the team from a day on, or why not.
async fn join(yard: &mut Yard, role: pb::MemberRole, first: &str) -> Result<pb::Member, Status> {
    let member = pb::Member {
        member_id: fresh_id(),
        team_id: yard.team.clone(),
        person_id: fresh_id(),
        name: "Farai".to_owned(),
        role: role.into(),
        first_day: Some(day(first)),
        ..pb::Member::default()
    };
    let done = yard.teams.add_member(pb::AddMemberRequest { member: Some(member) }).await?;
    Ok(done.into_inner().member.expect("the membership"))
}

async fn change(yard: &mut Yard, member: &pb::Member, role: pb::MemberRole) -> Result<pb::Member, Status> {
    let request = pb::UpdateMemberRequest {
        request_id: fresh_id(),
        member: Some(pb::Member { role: role.into(), ..member.clone() }),
        update_mask: Some(mask(&["role"])),
        expected_revision: member.revision,
    };
    Ok(yard.teams.update_member(request).await?.into_inner().member.expect("the membership"))
}

async fn remove(yard: &mut Yard, member: &pb::Member, last: &str) -> Result<pb::Member, Status> {
    let request = pb::RemoveMemberRequest {
        request_id: fresh_id(),
        member_id: member.member_id.clone(),
        last_day: Some(day(last)),
        expected_revision: member.revision,
    };
    Ok(yard.teams.remove_member(request).await?.into_inner().member.expect("the membership"))
}

async fn membership(yard: &mut Yard, name: &str) -> pb::Member {
    let request = pb::ListMembersRequest { organization_id: yard.operator.clone(), ..Default::default() };
    let all = yard.teams.list_members(request).await.unwrap().into_inner().members;
    all.into_iter().find(|member| member.name == name).expect("a member")
}

async fn end(yard: &mut Yard, assignment: &pb::Assignment, last: &str) {
    let request = pb::EndAssignmentRequest {
        request_id: fresh_id(),
        assignment_id: assignment.assignment_id.clone(),
        last_day: Some(day(last)),
        reason: "The rains came early.".to_owned(),
        expected_revision: assignment.revision,
    };
    yard.teams.end_assignment(request).await.expect("it is ended");
}

#[tokio::test]
async fn who_joins_a_standing_assignment_must_be_fit_for_it() {
    in_world(async |world| {
        use pb::MemberRole::{Deminer, Driver};
        let mut yard = Yard::open(world).await;
        yard.assign(yard.assignment("06-15", "06-25")).await.unwrap();
        assert_eq!(found(join(&mut yard, Deminer, "06-16").await), ["PERSON_NOT_ACCREDITED"]);
        join(&mut yard, Deminer, "06-26").await.expect("after the assignment nobody asks");
        let driver = join(&mut yard, Driver, "06-16").await.expect("drivers need no accreditation");
        assert_eq!(found(change(&mut yard, &driver, Deminer).await), ["PERSON_NOT_ACCREDITED"]);
        yard.accredit("PERSON", &driver.person_id, "1998-06-02", None).await;
        // Driving is no work that keeps it from lapsing.
        world.clock.set("1998-06-20T12:00:00Z");
        assert_eq!(found(change(&mut yard, &driver, Deminer).await), ["PERSON_STOOD_DOWN"]);
        let refresher = pb::Refresher {
            refresher_id: fresh_id(),
            person_id: driver.person_id.clone(),
            held_on: Some(day("06-12")),
            ..pb::Refresher::default()
        };
        let request = pb::RecordRefresherRequest { refresher: Some(refresher) };
        yard.teams.record_refresher(request).await.unwrap();
        change(&mut yard, &driver, Deminer).await.expect("a refresher brings it back");
        assert_eq!(yard.count("assignment_people WHERE role = 'DEMINER'").await, 1);
    })
    .await;
}

#[tokio::test]
async fn days_in_roles_without_accreditation_keep_nobody_current() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        yard.assign(yard.assignment("06-15", "06-25")).await.unwrap();
        let driver = membership(&mut yard, "Tendai").await.person_id;
        let leader = yard.leader.clone();
        world.clock.set("1998-06-26T12:00:00Z");
        let mut since = Vec::new();
        for person in [&driver, &leader] {
            let id = yard.accredit("PERSON", person, "1998-06-01", None).await;
            let request = pb::GetAccreditationRequest { accreditation_id: id, min_revision: 0 };
            let of = yard.teams.get_accreditation(request).await.unwrap().into_inner().accreditation.unwrap();
            since.push(of.stood_down_since);
        }
        assert_eq!(since, [Some(day("06-12")), None]);
    })
    .await;
}

#[tokio::test]
async fn a_standing_assignment_keeps_somebody_and_its_paramedic() {
    in_world(async |world| {
        use pb::MemberRole::{Driver, Paramedic};
        let mut yard = Yard::open(world).await;
        let sent = yard.assign(yard.assignment("06-15", "06-25")).await.unwrap().assignment.unwrap();
        let leader = membership(&mut yard, "Rudo").await;
        let driver = membership(&mut yard, "Tendai").await;
        remove(&mut yard, &leader, "06-18").await.expect("one is left");
        assert_eq!(found(remove(&mut yard, &driver, "06-24").await), ["TEAM_EMPTY"]);
        let driver = remove(&mut yard, &driver, "06-25").await.expect("that is the last day");
        let medic = membership(&mut yard, "Chipo").await;
        assert_eq!(found(remove(&mut yard, &medic, "06-24").await), ["PARAMEDIC_UNFIT"]);
        assert_eq!(found(change(&mut yard, &medic, Driver).await), ["PARAMEDIC_UNFIT"]);
        let paramedic = yard.paramedic.clone();
        let other = yard.new_team("MED-2", "MEDICAL").await;
        yard.join(
            &other,
            &paramedic,
            Paramedic.as_str_name().trim_start_matches("MEMBER_ROLE_"),
            "1998-01-01",
            None,
        )
        .await;
        remove(&mut yard, &medic, "06-24").await.expect("there is another membership");
        let sent = pb::Assignment { revision: driver.revision.max(sent.revision), ..sent };
        let get = pb::GetAssignmentRequest { assignment_id: sent.assignment_id, min_revision: 0 };
        let now = yard.teams.get_assignment(get).await.unwrap().into_inner().assignment.unwrap();
        assert_eq!(now.people.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn what_a_standing_assignment_needs_is_not_withdrawn() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let sent = yard.assign(yard.assignment("06-15", "06-25")).await.unwrap().assignment.unwrap();
        let assets = [yard.detector.clone(), yard.ambulance.clone()];
        let withdraw = |id: &String| pb::UpdateAssetRequest {
            request_id: fresh_id(),
            asset: Some(pb::Asset {
                asset_id: id.clone(),
                state: pb::AssetState::Withdrawn.into(),
                ..Default::default()
            }),
            update_mask: Some(mask(&["state"])),
            expected_revision: 1,
        };
        let disband = |team: &String| pb::UpdateTeamRequest {
            request_id: fresh_id(),
            team: Some(pb::Team {
                team_id: team.clone(),
                state: pb::TeamState::Disbanded.into(),
                ..Default::default()
            }),
            update_mask: Some(mask(&["state"])),
            expected_revision: 1,
        };
        let team = yard.team.clone();
        let expect = |refused: Status| {
            assert_eq!(
                (refused.code(), reason(&refused).0.as_str()),
                (Code::FailedPrecondition, "NOT_READY")
            );
            assert!(refused.message().contains(&sent.assignment_id), "{refused}");
        };
        for id in &assets {
            expect(yard.teams.update_asset(withdraw(id)).await.unwrap_err());
        }
        expect(yard.teams.update_team(disband(&team)).await.unwrap_err());
        // It is needed until the day is over.
        world.clock.set("1998-06-16T12:00:00Z");
        end(&mut yard, &sent, "06-15").await;
        for id in &assets {
            yard.teams.update_asset(withdraw(id)).await.unwrap();
        }
        yard.teams.update_team(disband(&team)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_audit_finds_days_and_owners_that_do_not_fit() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        yard.assign(yard.assignment("06-15", "06-25")).await.unwrap();
        let leader = yard.leader.clone();
        let accreditation = yard.accredit("PERSON", &leader, "1998-06-20", None).await;
        let (team, authority) = (yard.team.clone(), yard.authority.clone());
        let rules = [
            "people_work_while_they_are_members",
            "assets_are_away_as_long_as_the_team",
            "suspended_is_what_a_suspension_holds",
            "an_assignment_is_of_one_operator",
        ];
        let broken = async |yard: &mut Yard| {
            let found = run_audit(&mut yard.sql, None).await.expect("an audit");
            let broken = |rule: &&str| found.iter().any(|of| of.invariant == *rule);
            rules.into_iter().filter(broken).collect::<Vec<_>>()
        };
        assert_eq!(broken(&mut yard).await, [""; 0]);
        let faults = [
            "UPDATE assignment_people SET last_day = last_day + 1".to_owned(),
            "UPDATE assignment_assets SET last_day = last_day - 1".to_owned(),
            format!("INSERT INTO suspensions VALUES ('{accreditation}', '1998-06-21', NULL, 'An accident')"),
            format!("UPDATE teams SET organization_id = '{authority}' WHERE team_id = '{team}'"),
        ];
        yard.run("BEGIN".to_owned()).await;
        for (index, fault) in faults.into_iter().enumerate() {
            yard.run(fault).await;
            assert_eq!(broken(&mut yard).await, rules[..=index]);
        }
        yard.run("ROLLBACK".to_owned()).await;
    })
    .await;
}
