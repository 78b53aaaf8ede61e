//! A write that is sent again: the first answer comes again, whatever happened since; the same id with other
//! content is refused and the difference is named.

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use tokio::task::JoinSet;
use tonic::Code;

use crate::desk::{Desk, usd};
use crate::expect::{post_settled, refuses};
use crate::harness::{fresh_id, in_world};

/// Every action once, each an entry that can be sent again.
async fn post_every_action(desk: &Desk) -> Vec<(pb::Entry, pb::PostEntryResponse)> {
    let (held, promised, undone) = (fresh_id(), fresh_id(), fresh_id());
    let reserved = pb::Obligate { reservation_id: held.clone(), ..desk.obligate(&promised, "T1", 900) };
    let by =
        pb::Increase { amount: Some(pb::increase::Amount::By(usd(4).unwrap())), base: 0, ..desk.increase() };
    let current = |base_revision| pb::Increase {
        base: pb::IncreaseBase::Current.into(),
        base_revision,
        ..desk.increase()
    };
    let actions = [
        desk.authorize(1_000),
        Action::Increase(desk.increase()),
        Action::Increase(by),
        Action::Increase(current(desk.state().await.0 + 3)),
        desk.rescind(7),
        desk.allocate("A", 50),
        desk.deallocate("A", 20),
        desk.reserve(&held, "T1", 1_000),
        desk.release(&held, 100),
        Action::Obligate(reserved),
        desk.deobligate(&promised, 50),
        desk.disburse(&promised, 400),
        desk.refund(&promised, 100),
        Action::Expend(desk.pay(pb::ExpendSource::Advanced, &promised, 200)),
        Action::Expend(desk.pay(pb::ExpendSource::Obligated, &promised, 300)),
    ];
    let last = pb::Entry { entry_id: undone.clone(), ..desk.entry(Action::Expend(desk.expend("T1", 5))) };
    let mut entries: Vec<pb::Entry> = actions.into_iter().map(|action| desk.entry(action)).collect();
    entries.extend([last, desk.entry(desk.reverse(&undone))]);
    let mut posted = Vec::new();
    for entry in entries {
        let answer = desk.post_entry(entry.clone()).await.unwrap();
        posted.push((entry, answer));
    }
    posted
}

#[tokio::test]
async fn every_kind_of_write_is_answered_as_the_first_time_whatever_came_later() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let (mut funding, mut organizations) = (desk.funding.clone(), world.organizations());
        let organization = pb::CreateOrganizationRequest {
            organization: Some(pb::Organization {
                organization_id: fresh_id(),
                kind: pb::OrganizationKind::Authority.into(),
                code: "ZIMAC".to_owned(),
                name: "Mine action centre".to_owned(),
                country_code: "ZW".to_owned(),
                ..Default::default()
            }),
        };
        let first_organization =
            organizations.create_organization(organization.clone()).await.unwrap().into_inner();
        let program = pb::Program { program_id: fresh_id(), code: "SECOND".to_owned(), ..desk.program() };
        let program = pb::CreateProgramRequest { program: Some(program) };
        let first_program = funding.create_program(program.clone()).await.unwrap().into_inner();
        let period = pb::OpenPeriodRequest { period: Some(desk.period(&fresh_id(), "FY1999", fresh_id())) };
        let first_period = funding.open_period(period.clone()).await.unwrap().into_inner();
        let allocation = desk.allocation(fresh_id(), desk.node("A1"), "T2", pb::AllocationPurpose::Task);
        let first_allocation = desk.create_allocation(allocation.clone()).await.unwrap();
        assert_eq!(first_allocation.allocation.as_ref().unwrap().depth, 3);
        let entries = post_every_action(&desk).await;
        desk.post(Action::Allocate(pb::Allocate {
            allocation_id: allocation.allocation_id.clone(),
            amount: usd(1),
        }))
        .await
        .unwrap();
        let opened = first_period.period.clone().unwrap();
        let expire = pb::ExpirePeriodRequest {
            request_id: fresh_id(),
            program_id: desk.program_id.clone(),
            period_id: opened.period_id.clone(),
            expected_revision: opened.revision,
        };
        let first_expired = funding.expire_period(expire.clone()).await.unwrap().into_inner();
        let close = pb::ClosePeriodRequest {
            request_id: fresh_id(),
            program_id: desk.program_id.clone(),
            period_id: opened.period_id.clone(),
            expected_revision: first_expired.revision,
        };
        let first_closed = funding.close_period(close.clone()).await.unwrap().into_inner();
        desk.move_period().await.unwrap();
        world.clock.set("2001-01-01T00:00:00Z");
        let before = desk.state().await;
        let replica = world.replica().await;
        for mut funding in [desk.funding.clone(), replica.funding()] {
            assert_eq!(funding.create_program(program.clone()).await.unwrap().into_inner(), first_program);
            assert_eq!(funding.open_period(period.clone()).await.unwrap().into_inner(), first_period);
            let request = pb::CreateAllocationRequest { allocation: Some(allocation.clone()) };
            assert_eq!(funding.create_allocation(request).await.unwrap().into_inner(), first_allocation);
            for (entry, first) in &entries {
                let request = pb::PostEntryRequest { entry: Some(entry.clone()) };
                assert_eq!(&funding.post_entry(request).await.unwrap().into_inner(), first);
            }
            assert_eq!(funding.expire_period(expire.clone()).await.unwrap().into_inner(), first_expired);
            assert_eq!(funding.close_period(close.clone()).await.unwrap().into_inner(), first_closed);
        }
        let again = organizations.create_organization(organization).await.unwrap().into_inner();
        assert_eq!(again, first_organization);
        assert_eq!(desk.state().await, before, "a repeated write changed something");
        replica.finish().await;
    })
    .await;
}

#[tokio::test]
async fn the_same_entry_id_with_other_content_names_the_first_field_that_differs() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let entry = desk.entry(Action::Obligate(desk.obligate(&fresh_id(), "T1", 5)));
        desk.post_entry(entry.clone()).await.unwrap();
        let before = desk.state().await;
        let Some(Action::Obligate(first)) = entry.action.clone() else { panic!("an obligation") };
        let with = |change: &dyn Fn(&mut pb::Obligate)| {
            let mut changed = first.clone();
            change(&mut changed);
            pb::Entry { action: Some(Action::Obligate(changed)), ..entry.clone() }
        };
        let on = Some(pb::Date { year: 1998, month: 1, day: 16 });
        for (changed, differs) in [
            (pb::Entry { note: "n".to_owned(), ..entry.clone() }, "entry.note"),
            (pb::Entry { effective_on: on, ..entry.clone() }, "entry.effective_on.day"),
            (pb::Entry { evidence_sha256: vec![1; 32], ..entry.clone() }, "entry.evidence_sha256"),
            (with(&|of| of.amount = usd(6)), "entry.obligate.amount.minor_units"),
            (with(&|of| of.obligation_id = fresh_id()), "entry.obligate.obligation_id"),
            (with(&|of| of.payee_name.push('s')), "entry.obligate.payee_name"),
            (with(&|of| of.reservation_id = fresh_id()), "entry.obligate.reservation_id"),
            (pb::Entry { action: Some(desk.authorize(5)), ..entry.clone() }, "entry.authorize"),
        ] {
            let facts = [("kind", "entry"), ("id", &*entry.entry_id), ("differs", differs)];
            refuses(desk.post_entry(changed).await, Code::AlreadyExists, "ID_TAKEN", &facts);
        }
        assert_eq!(desk.state().await, before);
    })
    .await;
}

#[tokio::test]
async fn the_same_id_of_a_record_with_other_content_names_the_field() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let mut funding = desk.funding.clone();
        let program = pb::Program { title: "Another".to_owned(), ..desk.program() };
        let facts = [("kind", "program"), ("id", &*desk.program_id), ("differs", "program.title")];
        let answer = funding.create_program(pb::CreateProgramRequest { program: Some(program) }).await;
        refuses(answer, Code::AlreadyExists, "ID_TAKEN", &facts);
        let period = desk.period(&desk.period_id, "FY1998", desk.node("P"));
        let period = pb::Period { last_day: Some(pb::Date { year: 1998, month: 9, day: 29 }), ..period };
        let facts = [("kind", "period"), ("id", &*desk.period_id), ("differs", "period.last_day.day")];
        let answer = funding.open_period(pb::OpenPeriodRequest { period: Some(period) }).await;
        refuses(answer, Code::AlreadyExists, "ID_TAKEN", &facts);
        let allocation = desk.allocation(desk.node("T1"), desk.node("A1"), "T9", pb::AllocationPurpose::Task);
        let leaf = desk.node("T1");
        let facts = [("kind", "allocation"), ("id", &*leaf), ("differs", "allocation.code")];
        refuses(desk.create_allocation(allocation).await, Code::AlreadyExists, "ID_TAKEN", &facts);
        let organization = pb::Organization {
            organization_id: desk.funder_id.clone(),
            kind: pb::OrganizationKind::Funder.into(),
            code: "FUNDER".to_owned(),
            name: "funders".to_owned(),
            ..Default::default()
        };
        let facts = [("kind", "organization"), ("id", &*desk.funder_id), ("differs", "organization.name")];
        let request = pb::CreateOrganizationRequest { organization: Some(organization) };
        let answer = world.organizations().create_organization(request).await;
        refuses(answer, Code::AlreadyExists, "ID_TAKEN", &facts);
    })
    .await;
}

#[tokio::test]
async fn an_id_of_one_kind_of_request_is_not_one_of_another() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let other_kind = |kind, id| [("kind", kind), ("id", id), ("differs", "kind of request")];
        let leaf = desk.node("T1");
        let entry = pb::Entry { entry_id: leaf.clone(), ..desk.entry(desk.authorize(1)) };
        refuses(desk.post_entry(entry).await, Code::AlreadyExists, "ID_TAKEN", &other_kind("entry", &leaf));
        let request_id = fresh_id();
        let expire = pb::ExpirePeriodRequest {
            request_id: request_id.clone(),
            program_id: desk.program_id.clone(),
            period_id: desk.period_id.clone(),
            expected_revision: desk.state().await.1.revision,
        };
        desk.funding.clone().expire_period(expire.clone()).await.unwrap();
        let close = pb::ClosePeriodRequest {
            request_id: request_id.clone(),
            program_id: desk.program_id.clone(),
            period_id: desk.period_id.clone(),
            expected_revision: desk.state().await.1.revision,
        };
        let answer = desk.funding.clone().close_period(close).await;
        let facts = other_kind("request", &request_id);
        refuses(answer, Code::AlreadyExists, "ID_TAKEN", &facts);
        let other = pb::ExpirePeriodRequest { expected_revision: 99, ..expire };
        let answer = desk.funding.clone().expire_period(other).await;
        let facts = [("kind", "request"), ("id", &*request_id), ("differs", "expected_revision")];
        refuses(answer, Code::AlreadyExists, "ID_TAKEN", &facts);
    })
    .await;
}

#[tokio::test]
async fn sixty_four_identical_calls_at_once_have_one_effect_and_one_answer() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let replica = world.replica().await;
        let before = desk.state().await.0;
        let entry = desk.entry(Action::Increase(desk.increase()));
        let mut calls = JoinSet::new();
        for number in 0..64 {
            let funding = if number % 2 == 0 { desk.funding.clone() } else { replica.funding() };
            calls.spawn(post_settled(funding, entry.clone()));
        }
        let answers: Vec<pb::PostEntryResponse> =
            calls.join_all().await.into_iter().map(Result::unwrap).collect();
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        let (revision, period) = desk.state().await;
        assert_eq!((revision, period.authorization), (before + 1, 8_500_000_000));
        replica.finish().await;
    })
    .await;
}
