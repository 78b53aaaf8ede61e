//! Which role moves which money, with real tokens on a real server. What a caller does not see at all is in
//! `hidden_programs.rs`.

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use tonic::{Code, Status};

use crate::desk::{Desk, reason};
use crate::expect::refuses;
use crate::gate::Gate;
use crate::harness::{fresh_id, in_world};

fn denied<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let status = answer.expect_err("denied");
    assert_eq!((status.code(), reason(&status).0.as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
}

#[tokio::test]
async fn the_office_spends_and_only_the_funder_changes_the_authorization() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let gate = Gate::open(world).await;
        let (office, funder) = (desk.office_id.as_str(), desk.funder_id.as_str());
        let before = desk.state().await;
        for action in [desk.authorize(1), desk.rescind(1), Action::Increase(desk.increase())] {
            denied(gate.post("coordinator", office, desk.entry(action)).await);
        }
        let spends = || {
            [
                desk.allocate("T1", 1),
                desk.reserve(&fresh_id(), "T1", 1),
                Action::Obligate(desk.obligate(&fresh_id(), "T1", 1)),
                Action::Expend(desk.expend("T1", 1)),
            ]
        };
        for action in spends() {
            denied(gate.post("funder", funder, desk.entry(action)).await);
        }
        assert_eq!(desk.state().await, before);
        let authorize = desk.entry(desk.authorize(1));
        let posted = gate.post("funder", funder, authorize.clone()).await.unwrap();
        assert_eq!(posted.entry.unwrap().recorded_by, "funder");
        for action in spends() {
            gate.post("coordinator", office, desk.entry(action)).await.unwrap();
        }
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_reversal_needs_the_role_of_the_entry_that_it_undoes() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let gate = Gate::open(world).await;
        let (office, funder) = (desk.office_id.as_str(), desk.funder_id.as_str());
        let (authorize, spend) = (desk.entry(desk.authorize(1)), desk.entry(desk.allocate("T1", 1)));
        gate.post("funder", funder, authorize.clone()).await.unwrap();
        gate.post("coordinator", office, spend.clone()).await.unwrap();
        let before = desk.state().await;
        let (of_authorize, of_spend) = (desk.reverse(&authorize.entry_id), desk.reverse(&spend.entry_id));
        denied(gate.post("coordinator", office, desk.entry(of_authorize.clone())).await);
        denied(gate.post("funder", funder, desk.entry(of_spend.clone())).await);
        let preview = pb::PreviewEntryRequest { entry: Some(desk.entry(of_authorize.clone())) };
        denied(gate.server.funding().preview_entry(gate.sent("coordinator", office, preview)).await);
        assert_eq!(desk.state().await, before);
        gate.post("coordinator", office, desk.entry(of_spend)).await.unwrap();
        gate.post("funder", funder, desk.entry(of_authorize)).await.unwrap();
        // The same inside one stream, where the entry is not stored when the reversal is judged.
        let spend = desk.entry(Action::Expend(desk.expend("T1", 1)));
        let both = [spend.clone(), desk.entry(desk.reverse(&spend.entry_id))];
        let both = both.map(|entry| pb::PostEntriesRequest { entry: Some(entry) });
        let request = gate.sent("coordinator", office, tokio_stream::iter(both));
        let mut answers = gate.server.funding().post_entries(request).await.unwrap().into_inner();
        while let Some(answer) = answers.message().await.unwrap() {
            assert!(matches!(answer.outcome, Some(pb::post_entries_response::Outcome::Accepted(_))));
        }
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn an_auditor_reads_everything_and_writes_nothing() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let gate = Gate::open(world).await;
        let (mut funding, mut reports) = (gate.server.funding(), gate.server.reports());
        let (nobody, program_id) = (fresh_id(), desk.program_id.clone());
        let get = pb::GetProgramRequest { program_id: program_id.clone(), min_revision: 0 };
        funding.get_program(gate.sent("auditor", &nobody, get.clone())).await.unwrap();
        let report = pb::GetBudgetReportRequest { program_id: program_id.clone(), ..Default::default() };
        reports.get_budget_report(gate.sent("auditor", &nobody, report)).await.unwrap();
        let verify = pb::VerifyLedgerRequest { program_id };
        funding.verify_ledger(gate.sent("auditor", &nobody, verify)).await.unwrap();
        for role in ["auditor", "field"] {
            denied(gate.post(role, &desk.office_id, desk.entry(desk.allocate("T1", 1))).await);
            let preview = pb::PreviewEntryRequest { entry: Some(desk.entry(desk.allocate("T1", 1))) };
            denied(funding.preview_entry(gate.sent(role, &desk.office_id, preview)).await);
            let program = pb::CreateProgramRequest { program: Some(desk.program()) };
            denied(funding.create_program(gate.sent(role, &desk.office_id, program)).await);
        }
        denied(funding.get_program(gate.sent("field", &desk.office_id, get)).await);
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_coordinator_records_programs_of_its_own_office_only() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let gate = Gate::open(world).await;
        let new = || pb::CreateProgramRequest {
            program: Some(pb::Program { program_id: fresh_id(), code: "NEW".to_owned(), ..desk.program() }),
        };
        let mut funding = gate.server.funding();
        denied(funding.create_program(gate.sent("coordinator", &fresh_id(), new())).await);
        denied(funding.create_program(gate.sent("funder", &desk.funder_id, new())).await);
        funding.create_program(gate.sent("coordinator", &desk.office_id, new())).await.unwrap();
        let organization = pb::CreateOrganizationRequest { organization: None };
        let organization = gate.sent("coordinator", &desk.office_id, organization);
        denied(gate.server.organizations().create_organization(organization).await);
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn without_a_valid_token_nothing_answers() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let gate = Gate::open(world).await;
        let get = pb::GetProgramRequest { program_id: desk.program_id.clone(), min_revision: 0 };
        let bare = gate.server.funding().get_program(get.clone()).await;
        refuses(bare, Code::Unauthenticated, "UNAUTHENTICATED", &[]);
        let late = gate.sent("funder", &desk.funder_id, get);
        world.clock.set("1998-06-15T14:00:00Z");
        refuses(gate.server.funding().get_program(late).await, Code::Unauthenticated, "UNAUTHENTICATED", &[]);
        gate.server.finish().await;
    })
    .await;
}
