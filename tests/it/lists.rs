//! Lists and single reads: every row exactly once over pages of any size, in a stable order; tokens only of
//! their own list; reads that wait for what was written on another replica.

use std::fmt::Debug;

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use tonic::{Code, Status};

use crate::desk::{Desk, bad_fields, usd};
use crate::expect::refuses;
use crate::harness::{World, fresh_id, in_world};

/// Ids of the rows of a page, and the token of the next.
type Page = Result<(Vec<String>, String), Status>;

/// Reads a list at several page sizes, expects the same rows each time, and returns them.
async fn every_row(fetch: impl AsyncFn(i32, String) -> Page) -> Vec<String> {
    let mut lists = Vec::new();
    for size in [1, 2, 1_000] {
        let (mut rows, mut token) = (Vec::new(), String::new());
        loop {
            let (page, next) = fetch(size, token).await.unwrap();
            assert!(page.len() <= usize::try_from(size).unwrap());
            rows.extend(page);
            if next.is_empty() {
                break;
            }
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            assert!(next.chars().all(plain), "a token fits into a URL: {next}");
            token = next;
        }
        lists.push(rows);
    }
    assert!(lists[0] == lists[1] && lists[1] == lists[2], "{lists:#?}");
    let negative = fetch(-1, String::new()).await.unwrap_err();
    assert_eq!(
        (negative.code(), bad_fields(&negative)),
        (Code::InvalidArgument, vec!["page_size".to_owned()])
    );
    refuses(fetch(1, "AAAA".to_owned()).await, Code::InvalidArgument, "PAGE_TOKEN_INVALID", &[]);
    lists.remove(0)
}

/// A token of one list is not one of another.
async fn tokens_do_not_mix(one: impl AsyncFn(i32, String) -> Page, other: impl AsyncFn(i32, String) -> Page) {
    let token = one(1, String::new()).await.unwrap().1;
    assert_ne!(token, "", "the list has a second page");
    refuses(other(1, token).await, Code::InvalidArgument, "PAGE_TOKEN_INVALID", &[]);
}

async fn organizations(world: &World, list: pb::ListOrganizationsRequest, size: i32, token: String) -> Page {
    let request = pb::ListOrganizationsRequest { page_size: size, page_token: token, ..list };
    let found = world.organizations().list_organizations(request).await?.into_inner();
    Ok((found.organizations.into_iter().map(|row| row.code).collect(), found.next_page_token))
}

#[tokio::test]
async fn organizations_are_listed_by_code_and_by_each_filter() {
    in_world(async |world| {
        Desk::open(world).await;
        for (code, country) in [("ZW/2", "ZW"), ("ZW-1", "ZW"), ("ZW.1", "MZ"), ("A", ""), ("0", "ZW")] {
            let organization = pb::Organization {
                organization_id: fresh_id(),
                kind: pb::OrganizationKind::Authority.into(),
                code: code.to_owned(),
                name: code.to_owned(),
                country_code: country.to_owned(),
                ..Default::default()
            };
            let request = pb::CreateOrganizationRequest { organization: Some(organization) };
            world.organizations().create_organization(request).await.unwrap();
        }
        let all = pb::ListOrganizationsRequest::default;
        let list = async |filter: pb::ListOrganizationsRequest| {
            every_row(async |size, token| organizations(world, filter.clone(), size, token).await).await
        };
        assert_eq!(list(all()).await, ["0", "A", "FUNDER", "OFFICE", "OPERATOR", "ZW-1", "ZW.1", "ZW/2"]);
        let authorities =
            pb::ListOrganizationsRequest { kind: Some(pb::OrganizationKind::Authority.into()), ..all() };
        assert_eq!(list(authorities.clone()).await, ["0", "A", "ZW-1", "ZW.1", "ZW/2"]);
        let in_zimbabwe = pb::ListOrganizationsRequest { country_code: "ZW".to_owned(), ..all() };
        assert_eq!(list(in_zimbabwe.clone()).await, ["0", "ZW-1", "ZW/2"]);
        let prefixed = pb::ListOrganizationsRequest { code_prefix: "ZW".to_owned(), ..in_zimbabwe.clone() };
        assert_eq!(list(prefixed).await, ["ZW-1", "ZW/2"]);
        tokens_do_not_mix(
            async |size, token| organizations(world, authorities.clone(), size, token).await,
            async |size, token| organizations(world, in_zimbabwe.clone(), size, token).await,
        )
        .await;
    })
    .await;
}

async fn programs(desk: &Desk, list: pb::ListProgramsRequest, size: i32, token: String) -> Page {
    let request = pb::ListProgramsRequest { page_size: size, page_token: token, ..list };
    let found = desk.funding.clone().list_programs(request).await?.into_inner();
    assert!(found.programs.iter().all(|program| program.periods.is_empty()));
    Ok((found.programs.into_iter().map(|row| row.code).collect(), found.next_page_token))
}

#[tokio::test]
async fn programs_are_listed_by_code_funder_and_prefix() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        for code in ["US-HD-2000", "AU-1", "US-HD-1999"] {
            let new = pb::Program { program_id: fresh_id(), code: code.to_owned(), ..desk.program() };
            desk.funding
                .clone()
                .create_program(pb::CreateProgramRequest { program: Some(new) })
                .await
                .unwrap();
        }
        let all = pb::ListProgramsRequest::default;
        let list = async |filter: pb::ListProgramsRequest| {
            every_row(async |size, token| programs(&desk, filter.clone(), size, token).await).await
        };
        assert_eq!(list(all()).await, ["AU-1", "US-HD-1998", "US-HD-1999", "US-HD-2000"]);
        let prefixed = pb::ListProgramsRequest { code_prefix: "US-HD-1".to_owned(), ..all() };
        assert_eq!(list(prefixed.clone()).await, ["US-HD-1998", "US-HD-1999"]);
        let funded = pb::ListProgramsRequest { funder_id: desk.funder_id.clone(), ..all() };
        assert_eq!(list(funded).await.len(), 4);
        let nobody = pb::ListProgramsRequest { funder_id: desk.office_id.clone(), ..all() };
        assert!(list(nobody).await.is_empty());
        tokens_do_not_mix(
            async |size, token| programs(&desk, all(), size, token).await,
            async |size, token| programs(&desk, prefixed.clone(), size, token).await,
        )
        .await;
    })
    .await;
}

async fn tree(desk: &Desk, top: &str, max_depth: Option<i32>, size: i32, token: String) -> Page {
    let request = pb::ListAllocationsRequest {
        page_size: size,
        page_token: token,
        program_id: desk.program_id.clone(),
        period_id: desk.period_id.clone(),
        allocation_id: top.to_owned(),
        max_depth,
        min_revision: 0,
    };
    let found = desk.funding.clone().list_allocations(request).await?.into_inner();
    Ok((found.allocations.into_iter().map(|row| row.code).collect(), found.next_page_token))
}

#[tokio::test]
async fn allocations_are_listed_as_a_tree_from_any_top_to_any_depth() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        // `-` and `.` sort before letters and digits, so a list by text alone would part A from its children.
        for (code, parent, purpose) in [
            ("A-2", "P", pb::AllocationPurpose::Country),
            ("A.2", "P", pb::AllocationPurpose::Country),
            ("Z", "A", pb::AllocationPurpose::Support),
            ("0", "A", pb::AllocationPurpose::Support),
        ] {
            desk.create_allocation(desk.allocation(fresh_id(), desk.node(parent), code, purpose))
                .await
                .unwrap();
        }
        let list = async |top: &str, depth| {
            every_row(async |size, token| tree(&desk, top, depth, size, token).await).await
        };
        let a = desk.node("A");
        let whole = ["FY1998", "A", "0", "A1", "T1", "Z", "A-2", "A.2", "B", "C"];
        assert_eq!(list("", None).await, whole);
        assert_eq!(list("", Some(i32::MAX)).await, whole);
        assert_eq!(list("", Some(1)).await, ["FY1998", "A", "A-2", "A.2", "B", "C"]);
        assert_eq!(list("", Some(0)).await, ["FY1998"]);
        assert_eq!(list(&a, None).await, ["A", "0", "A1", "T1", "Z"]);
        assert_eq!(list(&a, Some(1)).await, ["A", "0", "A1", "Z"]);
        assert_eq!(list(&desk.node("T1"), None).await, ["T1"]);
        tokens_do_not_mix(
            async |size, token| tree(&desk, "", None, size, token).await,
            async |size, token| tree(&desk, &a, None, size, token).await,
        )
        .await;
        let missing = tree(&desk, &fresh_id(), None, 1, String::new()).await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound);
    })
    .await;
}

async fn obligations(desk: &Desk, list: pb::ListObligationsRequest, size: i32, token: String) -> Page {
    let program_id = desk.program_id.clone();
    let request = pb::ListObligationsRequest { page_size: size, page_token: token, program_id, ..list };
    let found = desk.funding.clone().list_obligations(request).await?.into_inner();
    Ok((found.obligations.into_iter().map(|row| row.obligation_id).collect(), found.next_page_token))
}

#[tokio::test]
async fn obligations_are_listed_by_id_and_one_tells_its_sums() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let mut ids: Vec<String> = (0..5).map(|_| fresh_id()).collect();
        for (id, leaf) in ids.iter().zip(["B", "T1", "T1", "B", "T1"]) {
            desk.post(Action::Obligate(desk.obligate(id, leaf, 100))).await.unwrap();
        }
        let (paid, ended) = (ids[1].clone(), ids[2].clone());
        let invoice = desk.pay(pb::ExpendSource::Obligated, &paid, 85);
        let invoice = pb::Expend { draw_from_available: usd(15), ..invoice };
        desk.post(desk.disburse(&paid, 30)).await.unwrap();
        desk.post(Action::Expend(desk.pay(pb::ExpendSource::Advanced, &paid, 20))).await.unwrap();
        desk.post(Action::Expend(invoice)).await.unwrap();
        let revision = desk.post(desk.deobligate(&ended, 100)).await.unwrap().revision;
        let request = pb::GetObligationRequest {
            program_id: desk.program_id.clone(),
            obligation_id: paid.clone(),
            min_revision: revision,
        };
        let found =
            desk.funding.clone().get_obligation(request).await.unwrap().into_inner().obligation.unwrap();
        assert_eq!((found.total, found.obligated, found.advanced, found.expended), (115, 0, 10, 105));
        assert_eq!((found.revision, found.payee_name.as_str()), (revision - 1, "Clearance operator"));
        ids.sort_unstable();
        let all = pb::ListObligationsRequest::default;
        let list = async |filter: pb::ListObligationsRequest| {
            every_row(async |size, token| obligations(&desk, filter.clone(), size, token).await).await
        };
        assert_eq!(list(all()).await, ids);
        let of_leaf = pb::ListObligationsRequest { allocation_id: desk.node("B"), ..all() };
        assert_eq!(list(of_leaf.clone()).await.len(), 2);
        let open = pb::ListObligationsRequest { open_only: true, ..all() };
        ids.retain(|id| *id != ended);
        assert_eq!(list(open).await, ids);
        tokens_do_not_mix(
            async |size, token| obligations(&desk, all(), size, token).await,
            async |size, token| obligations(&desk, of_leaf.clone(), size, token).await,
        )
        .await;
    })
    .await;
}

/// Waits for nothing and expects an answer; what is not there fails the test.
fn there<T: Debug>(answer: Result<tonic::Response<T>, Status>) -> T {
    answer.unwrap().into_inner()
}

#[tokio::test]
async fn a_read_waits_for_what_was_written_on_another_replica() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let replica = world.replica().await;
        let (now, _) = desk.state().await;
        let request = pb::GetAllocationRequest {
            program_id: desk.program_id.clone(),
            allocation_id: desk.node("T1"),
            min_revision: now + 1,
        };
        let (mut remote, waiting) = (replica.funding(), request.clone());
        let waiting = tokio::spawn(async move { remote.get_allocation(waiting).await });
        let spent = desk.entry(Action::Expend(desk.expend("T1", 5)));
        let written = desk.post_entry(spent.clone()).await.unwrap().revision;
        let seen = there(waiting.await.unwrap()).allocation.unwrap();
        assert_eq!((seen.revision, seen.buckets.unwrap().expended), (written, 5));
        let program_id = desk.program_id.clone();
        let get = pb::GetProgramRequest { program_id: program_id.clone(), min_revision: written };
        assert_eq!(there(replica.funding().get_program(get).await).revision, written);
        let reversal = desk.post(desk.reverse(&spent.entry_id)).await.unwrap();
        let get =
            pb::GetEntryRequest { program_id, entry_id: spent.entry_id, min_revision: reversal.revision };
        let found = there(replica.funding().get_entry(get).await);
        assert_eq!(found.reversed_by, reversal.entry.unwrap().entry_id);
        assert_eq!(found.posted.unwrap().read().unwrap().revision, written);
        replica.finish().await;
    })
    .await;
}
