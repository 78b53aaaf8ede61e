//! Accreditations at three levels: who grants and takes back what, on which days, and how it is shown.

use safelane::rpc::pb;
use tonic::{Code, Status};

use crate::desk::reason;
use crate::gate::Gate;
use crate::ground::members::{added, assign, day, member};
use crate::ground::teams::{organization, recorded_team};
use crate::harness::{World, fresh_id, in_world};

/// An operator with a team of one person, and the authority that accredits them.
pub(super) struct Field {
    pub(super) operator: String,
    pub(super) authority: String,
    pub(super) team: String,
    pub(super) person: String,
}

impl Field {
    pub(super) async fn open(world: &World) -> Self {
        let operator = organization(world, pb::OrganizationKind::Operator, "OP-1", "ZW").await;
        let authority = organization(world, pb::OrganizationKind::Authority, "NMAA", "ZW").await;
        let team = recorded_team(world, &operator, "MT-01").await;
        let person = fresh_id();
        added(world, member(&team, &person)).await;
        Self { operator, authority, team, person }
    }

    /// The person's accreditation for manual clearance in 1998.
    pub(super) fn of_person(&self) -> pb::Accreditation {
        accreditation(&self.authority, pb::AccreditationLevel::Person, &self.person)
    }
}

/// An accreditation of a subject for manual clearance in 1998.
pub(super) fn accreditation(
    authority: &str,
    level: pb::AccreditationLevel,
    subject: &str,
) -> pb::Accreditation {
    pb::Accreditation {
        accreditation_id: fresh_id(),
        level: level.into(),
        subject_id: subject.to_owned(),
        authority_id: authority.to_owned(),
        activity: pb::ActivityType::ManualClearance.into(),
        certificate: "C-17".to_owned(),
        first_day: day("1998-01-01"),
        last_day: day("1998-12-31"),
        ..pb::Accreditation::default()
    }
}

fn granting(of: pb::Accreditation) -> pb::GrantAccreditationRequest {
    pb::GrantAccreditationRequest { grant: Some(pb::grant_accreditation_request::Grant::Accreditation(of)) }
}

/// Grants an accreditation.
pub(super) async fn granted(world: &World, of: pb::Accreditation) -> pb::Accreditation {
    let answer = world.teams().grant_accreditation(granting(of)).await.expect("it is granted");
    answer.into_inner().accreditation.unwrap()
}

async fn shown(world: &World, id: &str) -> pb::Accreditation {
    let request = pb::GetAccreditationRequest { accreditation_id: id.to_owned(), min_revision: 0 };
    world.teams().get_accreditation(request).await.unwrap().into_inner().accreditation.unwrap()
}

fn suspending(of: &pb::Accreditation, first_day: &str) -> pb::SuspendAccreditationRequest {
    pb::SuspendAccreditationRequest {
        request_id: fresh_id(),
        accreditation_id: of.accreditation_id.clone(),
        first_day: day(first_day),
        reason: "An accident".to_owned(),
        expected_revision: of.revision,
    }
}

fn reinstating(of: &pb::Accreditation, on_day: &str) -> pb::ReinstateAccreditationRequest {
    pb::ReinstateAccreditationRequest {
        request_id: fresh_id(),
        accreditation_id: of.accreditation_id.clone(),
        on_day: day(on_day),
        expected_revision: of.revision,
    }
}

fn withdrawing(of: &pb::Accreditation, on_day: &str) -> pb::WithdrawAccreditationRequest {
    pb::WithdrawAccreditationRequest {
        request_id: fresh_id(),
        accreditation_id: of.accreditation_id.clone(),
        on_day: day(on_day),
        reason: "Fraud".to_owned(),
        expected_revision: of.revision,
    }
}

fn assessing(of: &pb::Accreditation, stage: pb::AccreditationState) -> pb::AssessAccreditationRequest {
    pb::AssessAccreditationRequest {
        request_id: fresh_id(),
        accreditation_id: of.accreditation_id.clone(),
        stage: stage.into(),
        expected_revision: of.revision,
    }
}

fn told(refused: &Status) -> (Code, String) {
    (refused.code(), reason(refused).0)
}

#[tokio::test]
async fn all_three_levels_are_granted_once_in_the_journal_of_the_operator() {
    in_world(async |world| {
        let field = Field::open(world).await;
        let mut teams = world.teams();
        let mut expected = Vec::new();
        for (level, subject) in [
            (pb::AccreditationLevel::Organization, &field.operator),
            (pb::AccreditationLevel::Team, &field.team),
            (pb::AccreditationLevel::Person, &field.person),
        ] {
            let request = granting(accreditation(&field.authority, level, subject));
            let first = teams.grant_accreditation(request.clone()).await.unwrap().into_inner();
            assert_eq!(teams.grant_accreditation(request).await.unwrap().into_inner(), first);
            let of = first.accreditation.unwrap();
            assert_eq!(
                (of.state(), &of.organization_id),
                (pb::AccreditationState::Accredited, &field.operator)
            );
            assert!(of.granted_at.is_some());
            assert_eq!(of.revision, first.revision);
            expected.push(of);
        }
        let list = |page_token| pb::ListAccreditationsRequest {
            page_size: 2,
            page_token,
            organization_id: field.operator.clone(),
            min_revision: expected[2].revision,
            ..Default::default()
        };
        let page = teams.list_accreditations(list(String::new())).await.unwrap().into_inner();
        let rest = teams.list_accreditations(list(page.next_page_token)).await.unwrap().into_inner();
        let listed = [page.accreditations, rest.accreditations].concat();
        let plain = |of: &pb::Accreditation| pb::Accreditation { stood_down_since: None, ..of.clone() };
        assert_eq!(listed.iter().map(plain).collect::<Vec<_>>(), expected);
        let of_team = pb::ListAccreditationsRequest {
            organization_id: field.operator.clone(),
            level: pb::AccreditationLevel::Team.into(),
            subject_id: field.team.clone(),
            activity: pb::ActivityType::ManualClearance.into(),
            ..Default::default()
        };
        let found = teams.list_accreditations(of_team).await.unwrap().into_inner().accreditations;
        assert_eq!(found, [expected[1].clone()]);
    })
    .await;
}

#[tokio::test]
async fn an_application_goes_through_every_stage_in_order() {
    in_world(async |world| {
        use pb::AccreditationState as State;
        let field = Field::open(world).await;
        let mut teams = world.teams();
        let new = pb::ApplyForAccreditationRequest { accreditation: Some(field.of_person()) };
        let applied = teams.apply_for_accreditation(new).await.unwrap().into_inner().accreditation.unwrap();
        assert_eq!((applied.state(), &applied.granted_at), (State::Applied, &None));
        let early =
            teams.assess_accreditation(assessing(&applied, State::FieldAssessment)).await.unwrap_err();
        assert_eq!(told(&early), (Code::FailedPrecondition, "WRONG_STATE".to_owned()));
        assert_eq!(reason(&early).1["allowed"], "DESK_REVIEW");
        let wrong = teams.assess_accreditation(assessing(&applied, State::Accredited)).await.unwrap_err();
        assert!(wrong.message().contains("stage: is ACCREDITED"), "{wrong}");
        let finish = |of: &pb::Accreditation| pb::GrantAccreditationRequest {
            grant: Some(pb::grant_accreditation_request::Grant::Application(pb::GrantedApplication {
                request_id: fresh_id(),
                accreditation_id: of.accreditation_id.clone(),
                certificate: "C-18".to_owned(),
                first_day: day("1998-02-01"),
                last_day: None,
                expected_revision: of.revision,
            })),
        };
        let early = teams.grant_accreditation(finish(&applied)).await.unwrap_err();
        assert_eq!(reason(&early).0, "WRONG_STATE");
        let mut of = applied;
        for stage in [State::DeskReview, State::FieldAssessment] {
            let request = assessing(&of, stage);
            let done = teams.assess_accreditation(request.clone()).await.unwrap().into_inner();
            assert_eq!(teams.assess_accreditation(request).await.unwrap().into_inner(), done);
            of = done.accreditation.unwrap();
            assert_eq!(of.state(), stage);
        }
        let request = finish(&of);
        let done = teams.grant_accreditation(request.clone()).await.unwrap().into_inner();
        assert_eq!(teams.grant_accreditation(request).await.unwrap().into_inner(), done);
        let of = done.accreditation.unwrap();
        assert_eq!((of.state(), of.certificate.as_str()), (State::Accredited, "C-18"));
        assert_eq!((of.first_day, of.last_day), (day("1998-02-01"), None));
        assert!(of.granted_at.is_some());
        let again = teams.grant_accreditation(granting(pb::Accreditation {
            accreditation_id: of.accreditation_id,
            ..field.of_person()
        }));
        assert_eq!(again.await.unwrap_err().code(), Code::AlreadyExists);
    })
    .await;
}

#[tokio::test]
async fn it_is_suspended_reinstated_and_withdrawn_by_day() {
    in_world(async |world| {
        use pb::AccreditationState as State;
        let field = Field::open(world).await;
        let mut teams = world.teams();
        let of = granted(world, field.of_person()).await;
        let late = teams.suspend_accreditation(suspending(&of, "1999-01-01")).await.unwrap_err();
        assert!(late.message().starts_with("first_day: "), "{late}");
        let request = suspending(&of, "1998-03-05");
        let done = teams.suspend_accreditation(request.clone()).await.unwrap().into_inner();
        assert_eq!(teams.suspend_accreditation(request.clone()).await.unwrap().into_inner(), done);
        let stale = pb::SuspendAccreditationRequest { request_id: fresh_id(), ..request };
        assert_eq!(teams.suspend_accreditation(stale).await.unwrap_err().code(), Code::Aborted);
        let of = done.accreditation.unwrap();
        assert_eq!((of.state(), of.suspensions.len()), (State::Suspended, 1));
        let twice = teams.suspend_accreditation(suspending(&of, "1998-03-05")).await.unwrap_err();
        assert!(twice.message().contains("is not before 1998-03-05"), "{twice}");
        // What happened must not wait for a later day.
        let done = teams.suspend_accreditation(suspending(&of, "1998-03-01")).await.unwrap().into_inner();
        let of = done.accreditation.unwrap();
        assert_eq!(shown(world, &of.accreditation_id).await, of);
        assert_eq!((of.state(), of.suspensions.len()), (State::Suspended, 1));
        let empty = teams.reinstate_accreditation(reinstating(&of, "1998-03-01")).await.unwrap_err();
        assert!(empty.message().starts_with("on_day: "), "{empty}");
        let done = teams.reinstate_accreditation(reinstating(&of, "1998-03-11")).await.unwrap().into_inner();
        let of = done.accreditation.unwrap();
        assert_eq!(of.suspensions[0].last_day, day("1998-03-10"));
        let before = teams.suspend_accreditation(suspending(&of, "1998-03-10")).await.unwrap_err();
        assert!(before.message().starts_with("first_day: "), "{before}");
        let done = teams.suspend_accreditation(suspending(&of, "1998-03-11")).await.unwrap().into_inner();
        let of = done.accreditation.unwrap();
        let days = |of: &pb::Suspension| (of.first_day, of.last_day);
        let expected = [(day("1998-03-01"), day("1998-03-10")), (day("1998-03-11"), None)];
        assert_eq!(
            shown(world, &of.accreditation_id).await.suspensions.iter().map(days).collect::<Vec<_>>(),
            expected
        );
        let done = teams.withdraw_accreditation(withdrawing(&of, "1998-05-01")).await.unwrap().into_inner();
        let of = done.accreditation.unwrap();
        assert_eq!(
            (of.state(), of.withdrawn_on, of.withdrawal_reason.as_str()),
            (State::Withdrawn, day("1998-05-01"), "Fraud")
        );
        assert_eq!(shown(world, &of.accreditation_id).await, of);
        let done = teams.withdraw_accreditation(withdrawing(&of, "1998-04-01")).await.unwrap().into_inner();
        let of = done.accreditation.unwrap();
        assert_eq!(shown(world, &of.accreditation_id).await.withdrawn_on, day("1998-04-01"));
        let later = teams.withdraw_accreditation(withdrawing(&of, "1998-05-01")).await.unwrap_err();
        assert!(later.message().starts_with("on_day: "), "{later}");
        let ended = teams.reinstate_accreditation(reinstating(&of, "1998-06-01")).await.unwrap_err();
        assert_eq!(reason(&ended).0, "WRONG_STATE");
    })
    .await;
}

#[tokio::test]
async fn it_is_shown_as_expired_from_the_day_after_the_last() {
    in_world(async |world| {
        use pb::AccreditationState as State;
        let field = Field::open(world).await;
        let leap = pb::Accreditation {
            first_day: day("1996-01-01"),
            last_day: day("1996-02-29"),
            ..accreditation(&field.authority, pb::AccreditationLevel::Team, &field.team)
        };
        world.clock.set("1996-02-29T23:59:59Z");
        let of = granted(world, leap).await;
        assert_eq!(shown(world, &of.accreditation_id).await.state(), State::Accredited);
        let listed = async |state: State| {
            let request = pb::ListAccreditationsRequest {
                organization_id: field.operator.clone(),
                state: state.into(),
                ..Default::default()
            };
            world.teams().list_accreditations(request).await.unwrap().into_inner().accreditations
        };
        assert_eq!(listed(State::Expired).await, []);
        world.clock.set("1996-03-01T00:00:00Z");
        assert_eq!(shown(world, &of.accreditation_id).await.state(), State::Expired);
        assert_eq!(listed(State::Accredited).await, []);
        assert_eq!(listed(State::Expired).await.len(), 1);
        // The day has passed, what is stored has not changed: it can still be suspended for days that are over.
        let request = suspending(&of, "1996-02-01");
        world.teams().suspend_accreditation(request).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_person_stands_down_without_work_and_returns_with_a_refresher() {
    in_world(async |world| {
        let field = Field::open(world).await;
        let adjacent = pb::Accreditation { last_day: day("1998-06-09"), ..field.of_person() };
        granted(world, adjacent).await;
        let renewed = pb::Accreditation { first_day: day("1998-06-10"), ..field.of_person() };
        let of = granted(world, renewed).await;
        // The renewal does not begin the time anew: the person has been accredited since January.
        assert_eq!(shown(world, &of.accreditation_id).await.stood_down_since, day("1998-01-12"));
        let refresh = |held_on: &str| pb::RecordRefresherRequest {
            refresher: Some(pb::Refresher {
                refresher_id: fresh_id(),
                person_id: field.person.clone(),
                held_on: day(held_on),
                ..Default::default()
            }),
        };
        let mut teams = world.teams();
        let ahead = teams.record_refresher(refresh("1998-06-17")).await.unwrap_err();
        assert!(ahead.message().contains("refresher.held_on: 1998-06-17 is in the future"), "{ahead}");
        let request = refresh("1998-06-05");
        let first = teams.record_refresher(request.clone()).await.unwrap().into_inner();
        assert_eq!(teams.record_refresher(request).await.unwrap().into_inner(), first);
        assert_eq!(shown(world, &of.accreditation_id).await.stood_down_since, None);
        world.clock.set("1998-06-16T00:00:00Z");
        assert_eq!(shown(world, &of.accreditation_id).await.stood_down_since, day("1998-06-16"));
        // Outside its days it does not hold anyway.
        world.clock.set("1999-01-01T00:00:00Z");
        assert_eq!(shown(world, &of.accreditation_id).await.stood_down_since, None);
        let list = pb::ListRefreshersRequest {
            organization_id: field.operator.clone(),
            person_id: field.person.clone(),
            ..Default::default()
        };
        let found = teams.list_refreshers(list).await.unwrap().into_inner().refreshers;
        assert_eq!(found, [first.refresher.unwrap()]);
        let mut unknown = refresh("1998-06-01");
        unknown.refresher.as_mut().unwrap().person_id = fresh_id();
        assert_eq!(teams.record_refresher(unknown).await.unwrap_err().code(), Code::NotFound);
    })
    .await;
}

#[tokio::test]
async fn days_of_work_keep_a_person_current() {
    in_world(async |world| {
        world.clock.set("1998-05-01T12:00:00Z");
        let field = Field::open(world).await;
        let (team, person) = (recorded_team(world, &field.operator, "MT-02").await, fresh_id());
        assign(world, &field.operator, &team, "1998-05-01", "1998-06-03").await;
        assign(world, &field.operator, &team, "1998-06-14", "1998-07-31").await;
        added(world, member(&team, &person)).await;
        let of = granted(world, pb::Accreditation { subject_id: person, ..field.of_person() }).await;
        let mut since = Vec::new();
        for now in ["1998-06-13", "1998-06-14", "1998-06-15", "1998-08-10", "1998-08-11"] {
            world.clock.set(&format!("{now}T12:00:00Z"));
            since.push(shown(world, &of.accreditation_id).await.stood_down_since);
        }
        // Work that begins today does not count yet, work that goes on counts up to yesterday.
        assert_eq!(since, [None, day("1998-06-14"), None, None, day("1998-08-11")]);
    })
    .await;
}

#[tokio::test]
async fn every_bad_field_is_told_and_unknown_subjects_do_not_exist() {
    in_world(async |world| {
        let field = Field::open(world).await;
        let mut teams = world.teams();
        let bad =
            pb::Accreditation { level: 9, activity: 99, last_day: day("1997-12-31"), ..Default::default() };
        let told = teams.grant_accreditation(granting(bad)).await.unwrap_err();
        assert_eq!(told.code(), Code::InvalidArgument);
        for name in ["accreditation_id", "level", "subject_id", "authority_id", "activity", "first_day"] {
            assert!(told.message().contains(&format!("accreditation.{name}: ")), "{name}: {told}");
        }
        let none =
            teams.grant_accreditation(pb::GrantAccreditationRequest { grant: None }).await.unwrap_err();
        assert!(none.message().contains("grant: is missing"), "{none}");
        let grant = pb::grant_accreditation_request::Grant::Application(pb::GrantedApplication::default());
        let told = teams.grant_accreditation(pb::GrantAccreditationRequest { grant: Some(grant) }).await;
        let told = told.unwrap_err();
        for name in ["request_id", "accreditation_id", "first_day"] {
            assert!(told.message().contains(&format!("application.{name}: ")), "{name}: {told}");
        }
        let told = teams.suspend_accreditation(pb::SuspendAccreditationRequest::default()).await.unwrap_err();
        for name in ["request_id", "accreditation_id", "first_day", "reason"] {
            assert!(told.message().contains(&format!("{name}: ")), "{name}: {told}");
        }
        for level in [
            pb::AccreditationLevel::Organization,
            pb::AccreditationLevel::Team,
            pb::AccreditationLevel::Person,
        ] {
            let unknown = accreditation(&field.authority, level, &fresh_id());
            let missing = teams.grant_accreditation(granting(unknown)).await.unwrap_err();
            assert_eq!(missing.code(), Code::NotFound, "{level:?}");
        }
        let not_operator =
            accreditation(&field.authority, pb::AccreditationLevel::Organization, &field.authority);
        let told = teams.grant_accreditation(granting(not_operator)).await.unwrap_err();
        assert_eq!(reason(&told).0, "WRONG_ORGANIZATION_KIND");
        let not_authority = pb::Accreditation { authority_id: field.operator.clone(), ..field.of_person() };
        let told = teams.grant_accreditation(granting(not_authority)).await.unwrap_err();
        assert_eq!(reason(&told).0, "WRONG_ORGANIZATION_KIND");
    })
    .await;
}

#[tokio::test]
async fn the_authority_grants_and_the_operator_only_applies() {
    in_world(async |world| {
        let field = Field::open(world).await;
        let other = organization(world, pb::OrganizationKind::Authority, "NMAA-2", "MZ").await;
        let foreign = organization(world, pb::OrganizationKind::Operator, "OP-2", "ZW").await;
        let gate = Gate::open(world).await;
        let mut teams = gate.server.teams();
        let denied = |done: Result<_, Status>| done.map(|_: tonic::Response<_>| ()).map_err(|no| no.code());
        let grant = || granting(field.of_person());
        for (role, who) in [
            ("coordinator", &field.operator),
            ("coordinator", &other),
            ("field", &field.authority),
            ("funder", &other),
        ] {
            let done = teams.grant_accreditation(gate.sent(role, who, grant())).await;
            assert_eq!(denied(done), Err(Code::PermissionDenied), "{role}");
        }
        let of =
            teams.grant_accreditation(gate.sent("coordinator", &field.authority, grant())).await.unwrap();
        let of = of.into_inner().accreditation.unwrap();
        for (who, code) in [
            (&field.operator, Code::PermissionDenied),
            (&other, Code::PermissionDenied),
            (&foreign, Code::NotFound),
        ] {
            let request = gate.sent("coordinator", who, suspending(&of, "1998-06-01"));
            assert_eq!(teams.suspend_accreditation(request).await.unwrap_err().code(), code);
        }
        let request = gate.sent("coordinator", &field.authority, suspending(&of, "1998-06-01"));
        teams.suspend_accreditation(request).await.unwrap();
        let apply = || pb::ApplyForAccreditationRequest { accreditation: Some(field.of_person()) };
        for (who, code) in [(&field.authority, Code::PermissionDenied), (&foreign, Code::NotFound)] {
            let done = teams.apply_for_accreditation(gate.sent("coordinator", who, apply())).await;
            assert_eq!(done.unwrap_err().code(), code);
        }
        teams.apply_for_accreditation(gate.sent("coordinator", &field.operator, apply())).await.unwrap();
        let get =
            || pb::GetAccreditationRequest { accreditation_id: of.accreditation_id.clone(), min_revision: 0 };
        teams.get_accreditation(gate.sent("field", &field.operator, get())).await.unwrap();
        let hidden = teams.get_accreditation(gate.sent("coordinator", &foreign, get())).await.unwrap_err();
        assert_eq!(hidden.code(), Code::NotFound);
        let funder = teams.get_accreditation(gate.sent("funder", &field.operator, get())).await.unwrap_err();
        assert_eq!(funder.code(), Code::PermissionDenied);
        gate.server.finish().await;
    })
    .await;
}
