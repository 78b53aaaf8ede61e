//! What the tree of allocations, the ids, the codes, the tokens and the quota refuse.

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use safelane::rpc::pb::stream_budget_report_request::Start;
use tonic::{Code, Status};

use crate::desk::Desk;
use crate::expect::{refuses, says_no};
use crate::harness::{fresh_id, in_world};

#[tokio::test]
async fn only_a_leaf_is_spent_from_and_what_is_spent_from_stays_a_leaf() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let (a, b, p) = (desk.node("A"), desk.node("B"), desk.node("P"));
        let facts = [("allocation_id", &*a), ("child_count", "1")];
        says_no(desk.post(desk.reserve(&fresh_id(), "A", 1)).await, "NOT_A_LEAF", &facts);
        let held = fresh_id();
        desk.post(desk.reserve(&held, "B", 10)).await.unwrap();
        let below = desk.allocation(fresh_id(), b.clone(), "B1", pb::AllocationPurpose::Grant);
        says_no(desk.create_allocation(below).await, "ALLOCATION_IN_USE", &[("allocation_id", &b)]);
        says_no(desk.post(desk.deallocate("P", 1)).await, "ROOT_HAS_NO_PARENT", &[("allocation_id", &p)]);
        says_no(desk.post(desk.allocate("P", 1)).await, "ROOT_HAS_NO_PARENT", &[("allocation_id", &p)]);
        let elsewhere = pb::Obligate { reservation_id: held.clone(), ..desk.obligate(&fresh_id(), "T1", 1) };
        let facts = [("reservation_id", &*held), ("allocation_id", &*b)];
        says_no(desk.post(Action::Obligate(elsewhere)).await, "RESERVATION_ELSEWHERE", &facts);
    })
    .await;
}

#[tokio::test]
async fn a_tree_keeps_its_purposes_its_period_and_its_depth() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let a = desk.node("A");
        let country = desk.allocation(fresh_id(), a.clone(), "A-2", pb::AllocationPurpose::Country);
        let facts = [("purpose", "COUNTRY"), ("parent_purpose", "COUNTRY")];
        says_no(desk.create_allocation(country).await, "WRONG_PURPOSE", &facts);
        let second = fresh_id();
        open(&desk, desk.period(&second, "FY1999", fresh_id())).await.unwrap();
        let grant = desk.allocation(fresh_id(), a.clone(), "A-3", pb::AllocationPurpose::Grant);
        let grant = pb::Allocation { period_id: second.clone(), ..grant };
        let facts = [("parent_id", &*a), ("period_id", &*second)];
        says_no(desk.create_allocation(grant).await, "OTHER_PERIOD", &facts);
        let mut parent = desk.node("A1");
        for depth in 3..=16 {
            let id = fresh_id();
            let below =
                desk.allocation(id.clone(), parent, &format!("D{depth}"), pb::AllocationPurpose::Grant);
            let added = desk.create_allocation(below).await.unwrap().allocation.unwrap();
            assert_eq!(added.depth, depth);
            parent = id;
        }
        let below = desk.allocation(fresh_id(), parent.clone(), "D17", pb::AllocationPurpose::Grant);
        let facts = [("parent_id", &*parent), ("depth", "17"), ("max", "16")];
        says_no(desk.create_allocation(below).await, "ALLOCATION_TOO_DEEP", &facts);
    })
    .await;
}

async fn open(desk: &Desk, period: pb::Period) -> Result<pb::OpenPeriodResponse, Status> {
    let request = pb::OpenPeriodRequest { period: Some(period) };
    Ok(desk.funding.clone().open_period(request).await?.into_inner())
}

async fn create(desk: &Desk, program: pb::Program) -> Result<pb::CreateProgramResponse, Status> {
    let request = pb::CreateProgramRequest { program: Some(program) };
    Ok(desk.funding.clone().create_program(request).await?.into_inner())
}

#[tokio::test]
async fn codes_are_unique_in_their_scope_and_lists_have_an_end() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let program = pb::Program { program_id: fresh_id(), ..desk.program() };
        let facts = [("kind", "program"), ("code", "US-HD-1998")];
        says_no(create(&desk, program).await, "CODE_TAKEN", &facts);
        let organization = pb::Organization {
            organization_id: fresh_id(),
            kind: pb::OrganizationKind::Office.into(),
            code: "OFFICE".to_owned(),
            name: "another".to_owned(),
            ..Default::default()
        };
        let request = pb::CreateOrganizationRequest { organization: Some(organization) };
        let refused = world.organizations().create_organization(request).await;
        says_no(refused, "CODE_TAKEN", &[("kind", "organization"), ("code", "OFFICE")]);
        let grant = desk.allocation(fresh_id(), desk.node("B"), "A1", pb::AllocationPurpose::Grant);
        let facts = [("kind", "allocation"), ("code", "A1")];
        says_no(desk.create_allocation(grant).await, "CODE_TAKEN", &facts);
        let facts = [("kind", "period"), ("code", "FY1998")];
        says_no(open(&desk, desk.period(&fresh_id(), "FY1998", fresh_id())).await, "CODE_TAKEN", &facts);
        for number in 1..200 {
            open(&desk, desk.period(&fresh_id(), &format!("Y{number}"), fresh_id())).await.unwrap();
        }
        let facts = [("what", "the list of periods of a program"), ("max", "200")];
        says_no(open(&desk, desk.period(&fresh_id(), "Y200", fresh_id())).await, "LIMIT_REACHED", &facts);
    })
    .await;
}

#[tokio::test]
async fn a_program_needs_organizations_of_the_right_kind() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let (operator, funder) = (desk.operator_id.clone(), desk.funder_id.clone());
        let new = || pb::Program { program_id: fresh_id(), code: "NEW".to_owned(), ..desk.program() };
        let wrong = pb::Program { funder_id: operator.clone(), ..new() };
        let facts = [("organization_id", &*operator), ("kind", "OPERATOR"), ("required", "FUNDER")];
        says_no(create(&desk, wrong).await, "WRONG_ORGANIZATION_KIND", &facts);
        let wrong = pb::Program { office_id: funder.clone(), ..new() };
        let facts = [("organization_id", &*funder), ("kind", "FUNDER"), ("required", "OFFICE")];
        says_no(create(&desk, wrong).await, "WRONG_ORGANIZATION_KIND", &facts);
    })
    .await;
}

#[tokio::test]
async fn what_does_not_exist_is_named_with_its_kind() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let id = fresh_id();
        let missing = |kind| [("kind", kind), ("id", id.as_str())];
        let entry = desk.entry(desk.authorize(1));
        let elsewhere = pb::Entry { program_id: id.clone(), ..entry };
        refuses(desk.post_entry(elsewhere).await, Code::NotFound, "NOT_FOUND", &missing("program"));
        let authorize =
            Action::Authorize(pb::Authorize { period_id: id.clone(), amount: crate::desk::usd(1) });
        let leaf = pb::Expend { allocation_id: id.clone(), ..desk.expend("T1", 1) };
        for (action, kind) in [
            (authorize, "period"),
            (Action::Expend(leaf), "allocation"),
            (desk.release(&id, 1), "reservation"),
            (desk.disburse(&id, 1), "obligation"),
            (desk.reverse(&id), "entry"),
        ] {
            refuses(desk.post(action).await, Code::NotFound, "NOT_FOUND", &missing(kind));
        }
        let program = pb::Program { program_id: fresh_id(), funder_id: id.clone(), ..desk.program() };
        refuses(create(&desk, program).await, Code::NotFound, "NOT_FOUND", &missing("organization"));
        let report = pb::GetBudgetReportRequest {
            program_id: desk.program_id.clone(),
            period_id: id.clone(),
            ..Default::default()
        };
        let refused = world.reports().get_budget_report(report).await;
        refuses(refused, Code::NotFound, "NOT_FOUND", &missing("period"));
    })
    .await;
}

#[tokio::test]
async fn an_id_that_is_taken_is_named() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let (held, promised) = (fresh_id(), fresh_id());
        desk.post(desk.reserve(&held, "T1", 1)).await.unwrap();
        desk.post(Action::Obligate(desk.obligate(&promised, "T1", 1))).await.unwrap();
        let again = desk.post(desk.reserve(&held, "T1", 1)).await;
        let facts = [("kind", "reservation"), ("id", &*held), ("differs", "entry_id")];
        refuses(again, Code::AlreadyExists, "ID_TAKEN", &facts);
        let again = desk.post(Action::Obligate(desk.obligate(&promised, "T1", 1))).await;
        let facts = [("kind", "obligation"), ("id", &*promised), ("differs", "entry_id")];
        refuses(again, Code::AlreadyExists, "ID_TAKEN", &facts);
        let root = desk.allocation(desk.node("P"), desk.node("A"), "ROOT", pb::AllocationPurpose::Support);
        let again = desk.create_allocation(root).await.unwrap_err();
        assert_eq!(again.code(), Code::AlreadyExists);
    })
    .await;
}

#[tokio::test]
async fn a_token_of_another_list_stream_or_history_is_refused() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let program_id = desk.program_id.clone();
        let list = pb::ListEntriesRequest {
            program_id: program_id.clone(),
            page_token: "AAAA".to_owned(),
            ..Default::default()
        };
        let refused = desk.funding.clone().list_entries(list).await;
        refuses(refused, Code::InvalidArgument, "PAGE_TOKEN_INVALID", &[]);
        let mut reports = world.reports();
        let follow = |start| pb::StreamBudgetReportRequest {
            program_id: program_id.clone(),
            delivery: pb::Delivery::State.into(),
            start: Some(start),
            ..Default::default()
        };
        let refused = reports.stream_budget_report(follow(Start::ResumeToken("AAAA".to_owned()))).await;
        refuses(refused, Code::InvalidArgument, "RESUME_TOKEN_INVALID", &[]);
        let revision = desk.state().await.0.to_string();
        let refused = reports.stream_budget_report(follow(Start::AfterRevision(900))).await;
        says_no(refused, "REVISION_AHEAD", &[("requested", "900"), ("revision", &revision)]);
        let mut stream =
            reports.stream_budget_report(follow(Start::AfterRevision(0))).await.unwrap().into_inner();
        let resume_token = stream.message().await.unwrap().unwrap().resume_token;
        let mut conn = world.database.connect().await;
        let read = "SELECT epoch::text FROM feed";
        let before: String = sqlx::query_scalar(read).fetch_one(&mut conn).await.unwrap();
        sqlx::query("UPDATE feed SET epoch = gen_random_uuid()").execute(&mut conn).await.unwrap();
        let after: String = sqlx::query_scalar(read).fetch_one(&mut conn).await.unwrap();
        let restored = world.replica().await;
        let refused = restored.reports().stream_budget_report(follow(Start::ResumeToken(resume_token))).await;
        says_no(refused, "RESUME_TOKEN_EPOCH", &[("token_epoch", &before), ("feed_epoch", &after)]);
        restored.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_caller_has_200_streams_and_gets_a_place_back_when_one_ends() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let request = || pb::StreamBudgetReportRequest {
            program_id: desk.program_id.clone(),
            delivery: pb::Delivery::Entries.into(),
            ..Default::default()
        };
        // A connection carries 100 calls at a time.
        let mut reports = Vec::new();
        for _ in 0..3 {
            let channel = crate::harness::connect(world.address).await;
            reports.push(pb::budget_report_service_client::BudgetReportServiceClient::new(channel));
        }
        let mut open = Vec::new();
        for number in 0..200 {
            open.push(reports[number / 90].stream_budget_report(request()).await.unwrap());
        }
        let facts = [("what", "open streams of a caller"), ("max", "200")];
        let refused = reports[2].stream_budget_report(request()).await;
        refuses(refused, Code::ResourceExhausted, "QUOTA_EXCEEDED", &facts);
        drop(open.pop());
        while let Err(status) = reports[2].stream_budget_report(request()).await {
            assert_eq!(status.code(), Code::ResourceExhausted);
        }
        // Streams that are open would hold the server's drain.
        drop(open);
    })
    .await;
}
