//! Members: who is in which team on which days, and the days on assignments that follow.

use safelane::rpc::pb;
use sqlx::{AssertSqlSafe, Row as _};
use tonic::Code;

use crate::desk::reason;
use crate::gate::Gate;
use crate::ground::teams::{organization, recorded_team};
use crate::harness::{World, fresh_id, in_world};

/// A calendar day, written as 1998-06-15.
#[expect(clippy::unnecessary_wraps, reason = "days are optional fields of messages")]
pub(super) fn day(text: &str) -> Option<pb::Date> {
    let parts: Vec<i32> = text.split('-').map(|part| part.parse().expect("a number")).collect();
    Some(pb::Date { year: parts[0], month: parts[1], day: parts[2] })
}

/// A deminer in a team from the first day of 1998 on.
pub(super) fn member(team: &str, person: &str) -> pb::Member {
    pb::Member {
        member_id: fresh_id(),
        team_id: team.to_owned(),
        person_id: person.to_owned(),
        name: "Tendai Moyo".to_owned(),
        role: pb::MemberRole::Deminer.into(),
        first_day: day("1998-01-01"),
        ..pb::Member::default()
    }
}

/// Records a membership.
pub(super) async fn added(world: &World, member: pb::Member) -> pb::Member {
    let request = pb::AddMemberRequest { member: Some(member) };
    world.teams().add_member(request).await.expect("it is recorded").into_inner().member.unwrap()
}

async fn operator(world: &World, code: &str) -> String {
    organization(world, pb::OrganizationKind::Operator, code, "ZW").await
}

async fn refused(world: &World, member: pb::Member) -> (Code, String) {
    let request = pb::AddMemberRequest { member: Some(member) };
    let refused = world.teams().add_member(request).await.unwrap_err();
    (refused.code(), reason(&refused).0)
}

#[tokio::test]
async fn a_member_is_recorded_once_and_listed() {
    in_world(async |world| {
        let operator = operator(world, "OP-1").await;
        let team = recorded_team(world, &operator, "MT-01").await;
        let (new, mut teams) = (member(&team, &fresh_id()), world.teams());
        let request = pb::AddMemberRequest { member: Some(new.clone()) };
        let first = teams.add_member(request.clone()).await.unwrap().into_inner();
        let recorded = first.member.clone().unwrap();
        assert_eq!((recorded.organization_id.as_str(), recorded.last_day), (operator.as_str(), None));
        assert_eq!(teams.add_member(request.clone()).await.unwrap().into_inner(), first);
        let mut other = request;
        other.member.as_mut().unwrap().role = pb::MemberRole::Driver.into();
        let taken = teams.add_member(other).await.unwrap_err();
        assert_eq!(
            (taken.code(), reason(&taken).1["differs"].as_str()),
            (Code::AlreadyExists, "member.role")
        );
        let list = |on: &str| pb::ListMembersRequest {
            organization_id: operator.clone(),
            team_id: team.clone(),
            on_day: day(on),
            min_revision: first.revision,
            ..pb::ListMembersRequest::default()
        };
        let found = teams.list_members(list("1998-01-01")).await.unwrap().into_inner();
        assert_eq!(found.members, [recorded]);
        assert!(teams.list_members(list("1997-12-31")).await.unwrap().into_inner().members.is_empty());
    })
    .await;
}

#[tokio::test]
async fn pages_of_members_fit_only_their_filters() {
    in_world(async |world| {
        let operator = operator(world, "OP-1").await;
        let team = recorded_team(world, &operator, "MT-01").await;
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(added(world, member(&team, &fresh_id())).await);
        }
        let mut request =
            pb::ListMembersRequest { page_size: 2, organization_id: operator, ..Default::default() };
        let mut teams = world.teams();
        let first = teams.list_members(request.clone()).await.unwrap().into_inner();
        request.page_token = first.next_page_token;
        let second = teams.list_members(request.clone()).await.unwrap().into_inner();
        assert_eq!(second.next_page_token, "");
        assert_eq!([first.members, second.members].concat(), all);
        let other = pb::ListMembersRequest { team_id: team, ..request };
        assert_eq!(teams.list_members(other).await.unwrap_err().code(), Code::InvalidArgument);
    })
    .await;
}

#[tokio::test]
async fn every_bad_field_of_a_member_is_told() {
    in_world(async |world| {
        let bad = pb::Member {
            member_id: "x".to_owned(),
            role: 99,
            first_day: day("1998-02-29"),
            last_day: day("1989-01-01"),
            ..pb::Member::default()
        };
        let request = pb::AddMemberRequest { member: Some(bad) };
        let refused = world.teams().add_member(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        for field in ["member_id", "team_id", "person_id", "name", "role", "first_day", "last_day"] {
            assert!(
                refused.message().contains(&format!("member.{field}: ")),
                "{field}: {}",
                refused.message()
            );
        }
        let empty = pb::Member { last_day: day("1997-12-31"), ..member(&fresh_id(), &fresh_id()) };
        let request = pb::AddMemberRequest { member: Some(empty) };
        let refused = world.teams().add_member(request).await.unwrap_err();
        assert!(refused.message().contains("1997-12-31 is before the first day 1998-01-01"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn a_person_is_in_a_team_once_at_a_time_and_comes_back_later() {
    in_world(async |world| {
        let operator = operator(world, "OP-1").await;
        let (team, person) = (recorded_team(world, &operator, "MT-01").await, fresh_id());
        let leap = pb::Member {
            first_day: day("1996-01-01"),
            last_day: day("1996-02-29"),
            ..member(&team, &person)
        };
        added(world, leap.clone()).await;
        let again = pb::Member { member_id: fresh_id(), first_day: day("1996-02-29"), ..leap.clone() };
        assert_eq!(refused(world, again).await, (Code::FailedPrecondition, "DAYS_OVERLAP".to_owned()));
        let next = pb::Member { first_day: day("1996-03-01"), ..member(&team, &person) };
        added(world, next).await;
        // In another team on the same days: who works where is told by assignments.
        let other = recorded_team(world, &operator, "MT-02").await;
        added(world, pb::Member { member_id: fresh_id(), team_id: other, ..leap }).await;
    })
    .await;
}

#[tokio::test]
async fn two_concurrent_memberships_of_one_person_leave_one() {
    in_world(async |world| {
        let operator = operator(world, "OP-1").await;
        let team = recorded_team(world, &operator, "MT-01").await;
        for _ in 0..10 {
            let person = fresh_id();
            let add = |member| async move {
                world.teams().add_member(pb::AddMemberRequest { member: Some(member) }).await
            };
            let (one, two) = tokio::join!(add(member(&team, &person)), add(member(&team, &person)));
            assert_ne!(one.is_ok(), two.is_ok());
            let lost = one.err().or(two.err()).unwrap();
            assert_eq!(reason(&lost).0, "DAYS_OVERLAP");
        }
    })
    .await;
}

#[tokio::test]
async fn a_person_belongs_to_one_operator() {
    in_world(async |world| {
        let (one, two) = (operator(world, "OP-1").await, operator(world, "OP-2").await);
        let (first, second) =
            (recorded_team(world, &one, "MT-01").await, recorded_team(world, &two, "MT-01").await);
        let person = fresh_id();
        let known = added(world, member(&first, &person)).await;
        let request = pb::AddMemberRequest { member: Some(member(&second, &person)) };
        let elsewhere = world.teams().add_member(request).await.unwrap_err();
        // Like any id that is taken: whose person it is, is not told.
        let (name, facts) = reason(&elsewhere);
        assert_eq!((elsewhere.code(), name.as_str()), (Code::AlreadyExists, "ID_TAKEN"));
        assert_eq!(facts["differs"], "member.person_id");
        assert!(!format!("{elsewhere:?}").contains(&one), "{elsewhere:?}");
        // The same membership id in the journal of the other operator is no retry.
        let same = pb::Member { member_id: known.member_id, ..member(&second, &fresh_id()) };
        assert_eq!(refused(world, same).await, (Code::AlreadyExists, "ID_TAKEN".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_disbanded_team_takes_nobody_and_an_unknown_one_does_not_exist() {
    in_world(async |world| {
        let operator = operator(world, "OP-1").await;
        let team = recorded_team(world, &operator, "MT-01").await;
        let disband = pb::UpdateTeamRequest {
            request_id: fresh_id(),
            team: Some(pb::Team {
                team_id: team.clone(),
                state: pb::TeamState::Disbanded.into(),
                ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["state".to_owned()] }),
            expected_revision: 2,
        };
        world.teams().update_team(disband).await.unwrap();
        assert_eq!(refused(world, member(&team, &fresh_id())).await.1, "WRONG_STATE");
        assert_eq!(refused(world, member(&fresh_id(), &fresh_id())).await.0, Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn a_membership_is_changed_by_who_knows_its_state() {
    in_world(async |world| {
        let operator = operator(world, "OP-1").await;
        let (team, person, mut teams) =
            (recorded_team(world, &operator, "MT-01").await, fresh_id(), world.teams());
        let old = added(world, pb::Member { last_day: day("1998-01-31"), ..member(&team, &person) }).await;
        let new = added(world, pb::Member { first_day: day("1998-03-01"), ..member(&team, &person) }).await;
        let update = |paths: &[&str], last_day| pb::UpdateMemberRequest {
            request_id: fresh_id(),
            member: Some(pb::Member {
                name: "Tendai Ncube".to_owned(),
                role: pb::MemberRole::TeamLeader.into(),
                last_day,
                ..old.clone()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: paths.iter().map(ToString::to_string).collect(),
            }),
            expected_revision: old.revision,
        };
        let overlap = teams.update_member(update(&["last_day"], None)).await.unwrap_err();
        assert_eq!(reason(&overlap).0, "DAYS_OVERLAP");
        let empty = teams.update_member(update(&["last_day"], day("1997-12-31"))).await.unwrap_err();
        assert_eq!(empty.code(), Code::InvalidArgument);
        assert!(empty.message().starts_with("member.last_day: "), "{empty}");
        let request = update(&["name", "role", "last_day"], day("1998-02-28"));
        let changed = teams.update_member(request.clone()).await.unwrap().into_inner();
        let member = changed.member.clone().unwrap();
        assert_eq!((member.name.as_str(), member.last_day), ("Tendai Ncube", day("1998-02-28")));
        assert_eq!(teams.update_member(request.clone()).await.unwrap().into_inner(), changed);
        let stale = pb::UpdateMemberRequest { request_id: fresh_id(), ..request };
        assert_eq!(teams.update_member(stale).await.unwrap_err().code(), Code::Aborted);
        // The name is the person's, in every membership.
        let list =
            pb::ListMembersRequest { organization_id: operator, person_id: person, ..Default::default() };
        let names = teams.list_members(list).await.unwrap().into_inner().members;
        assert_eq!(names.iter().map(|of| of.name.as_str()).collect::<Vec<_>>(), ["Tendai Ncube"; 2]);
        let remove = |last_day| pb::RemoveMemberRequest {
            request_id: fresh_id(),
            member_id: new.member_id.clone(),
            last_day,
            expected_revision: new.revision,
        };
        let before = teams.remove_member(remove(day("1998-02-28"))).await.unwrap_err();
        assert!(before.message().starts_with("last_day: "), "{before}");
        let removed = teams.remove_member(remove(day("1998-03-01"))).await.unwrap().into_inner();
        let removed = removed.member.unwrap();
        assert_eq!(removed.last_day, day("1998-03-01"));
        let longer =
            pb::RemoveMemberRequest { expected_revision: removed.revision, ..remove(day("1998-03-02")) };
        assert!(teams.remove_member(longer).await.unwrap_err().message().contains("is after 1998-03-01"));
    })
    .await;
}

/// Puts a task into the database, without the rules of `CreateTask`, and answers it and its program.
pub(super) async fn put_task(world: &World, operator: &str) -> (String, String) {
    let (task, program) = (fresh_id(), fresh_id());
    let statement = format!(
        "INSERT INTO programs (program_id, code, title, funder_id, office_id, currency_code, created_at, revision)
           VALUES ('{program}', 'P-{program}', 'P', '{operator}', '{operator}', 'USD', now(), 1);
         INSERT INTO tasks (program_id, task_id, code, title, depth_cm, planned_area_m2, instructions, state,
                order_reference, created_at, revision)
           VALUES ('{program}', '{task}', 'T', 'T', 0, 0, '', 'DRAFT', '', now(), 1);"
    );
    put(world, statement).await;
    (task, program)
}

pub(super) async fn put(world: &World, statement: String) {
    let mut conn = world.database.connect().await;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut conn).await.expect("it can be put there");
}

/// Puts an assignment of a team into the database, without the rules of `AssignTeam`.
pub(super) async fn assign(world: &World, operator: &str, team: &str, first: &str, last: &str) -> String {
    let assignment = fresh_id();
    let (task, program) = put_task(world, operator).await;
    let statement = format!(
        "INSERT INTO assignments (organization_id, assignment_id, team_id, program_id, task_id, first_day, last_day,
                state, paramedic_id, ambulance_id, hospital, evacuation_minutes, created_at, revision)
           VALUES ('{operator}', '{assignment}', '{team}', '{program}', '{task}', '{first}', '{last}', 'STANDING',
                '{task}', '{task}', 'H', 30, now(), 1)"
    );
    put(world, statement).await;
    assignment
}

async fn days_on(world: &World, assignment: &str) -> Vec<(String, String)> {
    let statement = format!(
        "SELECT first_day::text, last_day::text FROM assignment_people WHERE assignment_id = '{assignment}'
          ORDER BY first_day"
    );
    let mut conn = world.database.connect().await;
    let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(&mut conn).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn pair(first: &str, last: &str) -> (String, String) {
    (first.to_owned(), last.to_owned())
}

#[tokio::test]
async fn the_days_on_assignments_follow_the_memberships() {
    in_world(async |world| {
        world.clock.set("1998-01-20T12:00:00Z");
        let operator = operator(world, "OP-1").await;
        let (team, person, mut teams) =
            (recorded_team(world, &operator, "MT-01").await, fresh_id(), world.teams());
        // Somebody else is there all the time.
        let other = added(world, member(&team, &fresh_id())).await;
        let spring = assign(world, &operator, &team, "1998-02-01", "1998-02-28").await;
        let summer = assign(world, &operator, &team, "1998-06-01", "1998-06-30").await;
        let joined =
            added(world, pb::Member { first_day: day("1998-02-10"), ..member(&team, &person) }).await;
        assert_eq!(days_on(world, &spring).await, [pair("1998-02-10", "1998-02-28")]);
        assert_eq!(days_on(world, &summer).await, [pair("1998-06-01", "1998-06-30")]);
        let remove = pb::RemoveMemberRequest {
            request_id: fresh_id(),
            member_id: joined.member_id,
            last_day: day("1998-02-12"),
            expected_revision: joined.revision,
        };
        teams.remove_member(remove).await.unwrap();
        assert_eq!(days_on(world, &spring).await, [pair("1998-02-10", "1998-02-12")]);
        assert_eq!(days_on(world, &summer).await, []);
        let again = added(world, pb::Member { first_day: day("1998-02-20"), ..member(&team, &person) }).await;
        let both = [pair("1998-02-10", "1998-02-12"), pair("1998-02-20", "1998-02-28")];
        assert_eq!(days_on(world, &spring).await, both);
        // An assignment has changed when its people have: not by a new role.
        let update = pb::UpdateMemberRequest {
            request_id: fresh_id(),
            expected_revision: again.revision,
            member: Some(pb::Member { role: pb::MemberRole::Driver.into(), ..again.clone() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["role".to_owned()] }),
        };
        teams.update_member(update).await.unwrap();
        let list = pb::ListAssignmentsRequest { organization_id: operator, ..Default::default() };
        let listed = teams.list_assignments(list).await.unwrap().into_inner().assignments;
        let revisions: Vec<i64> = listed.iter().map(|of| of.revision).collect();
        assert_eq!(revisions, [again.revision; 2]);
        assert_eq!((listed[0].people.len(), listed[1].people.len()), (2, 1));
        // Somebody else is not touched by it, and a new name touches nobody's days.
        let late = added(world, member(&team, &fresh_id())).await;
        assert_eq!(days_on(world, &spring).await.len(), 3);
        let rename = pb::UpdateMemberRequest {
            request_id: fresh_id(),
            expected_revision: other.revision,
            member: Some(pb::Member { name: "Tendai Ncube".to_owned(), ..other }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["name".to_owned()] }),
        };
        teams.update_member(rename).await.unwrap();
        assert_eq!(days_on(world, &spring).await.len(), 3);
        // What is over is cut but not joined.
        world.clock.set("1998-03-01T12:00:00Z");
        added(world, member(&team, &fresh_id())).await;
        assert_eq!(days_on(world, &spring).await.len(), 3);
        let remove = pb::RemoveMemberRequest {
            request_id: fresh_id(),
            member_id: late.member_id,
            last_day: day("1998-01-31"),
            expected_revision: late.revision,
        };
        teams.remove_member(remove).await.unwrap();
        assert_eq!(days_on(world, &spring).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn who_works_with_another_team_cannot_join_one_that_works() {
    in_world(async |world| {
        world.clock.set("1998-01-20T12:00:00Z");
        let operator = operator(world, "OP-1").await;
        let one = recorded_team(world, &operator, "MT-01").await;
        let two = recorded_team(world, &operator, "MT-02").await;
        assign(world, &operator, &one, "1998-02-01", "1998-02-28").await;
        let other = assign(world, &operator, &two, "1998-02-28", "1998-03-31").await;
        let person = fresh_id();
        added(world, member(&one, &person)).await;
        assert_eq!(refused(world, member(&two, &person)).await.1, "DAYS_OVERLAP");
        assert_eq!(days_on(world, &other).await, []);
        let later = pb::Member { first_day: day("1998-03-01"), ..member(&two, &person) };
        added(world, later).await;
        assert_eq!(days_on(world, &other).await, [pair("1998-03-01", "1998-03-31")]);
    })
    .await;
}

#[tokio::test]
async fn members_are_kept_by_their_operator_and_never_seen_by_funders() {
    in_world(async |world| {
        let (own, foreign) = (operator(world, "OP-1").await, operator(world, "OP-2").await);
        let authority = organization(world, pb::OrganizationKind::Authority, "NMAA", "ZW").await;
        let team = recorded_team(world, &own, "MT-01").await;
        let gate = Gate::open(world).await;
        let mut teams = gate.server.teams();
        let add = || pb::AddMemberRequest { member: Some(member(&team, &fresh_id())) };
        for (role, organization, code) in [
            ("field", &own, Code::PermissionDenied),
            ("funder", &own, Code::PermissionDenied),
            ("auditor", &own, Code::PermissionDenied),
            ("coordinator", &authority, Code::PermissionDenied),
            ("coordinator", &foreign, Code::NotFound),
        ] {
            let refused = teams.add_member(gate.sent(role, organization, add())).await.unwrap_err();
            assert_eq!(refused.code(), code, "{role}");
        }
        for role in ["coordinator", "admin"] {
            teams.add_member(gate.sent(role, &own, add())).await.unwrap();
        }
        let list = || pb::ListMembersRequest { organization_id: own.clone(), ..Default::default() };
        for (role, organization, seen) in [
            ("funder", &own, None),
            ("field", &foreign, None),
            ("coordinator", &foreign, None),
            ("field", &own, Some(2)),
            ("coordinator", &authority, Some(2)),
            ("auditor", &foreign, Some(2)),
        ] {
            let found = teams.list_members(gate.sent(role, organization, list())).await;
            assert_eq!(found.ok().map(|found| found.into_inner().members.len()), seen, "{role}");
        }
        gate.server.finish().await;
    })
    .await;
}
