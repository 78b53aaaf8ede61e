//! Malformed requests: every bad field is named at once, and nothing is stored. The fields of entries one
//! by one are in `bad_entries.rs`.

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use tonic::{Code, Status};

use crate::desk::{Desk, bad_fields, reason};
use crate::harness::{fresh_id, in_world};

/// Expects a refusal that names exactly these fields.
pub(crate) fn names<T: std::fmt::Debug>(answer: Result<T, Status>, expected: &[&str]) {
    let status = answer.expect_err("malformed");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(reason(&status).0, "FIELD_INVALID");
    let (mut found, mut expected) = (bad_fields(&status), expected.to_vec());
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{status:?}");
}

/// Posts what must be refused and looks that the program is as before.
pub(crate) async fn posts_badly(desk: &Desk, entry: pb::Entry, expected: &[&str]) {
    let before = desk.state().await;
    names(desk.post_entry(entry).await, expected);
    assert_eq!(desk.state().await, before, "a refused entry changed the program");
}

#[expect(clippy::unnecessary_wraps, reason = "message fields are optional")]
pub(crate) fn money(currency_code: &str, minor_units: i64) -> Option<pb::Money> {
    Some(pb::Money { currency_code: currency_code.to_owned(), minor_units })
}

pub(crate) fn day(year: i32, month: i32, day: i32) -> pb::Date {
    pb::Date { year, month, day }
}

#[tokio::test]
async fn an_entry_with_five_bad_fields_hears_of_all_five() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let entry = pb::Entry {
            entry_id: "x".to_owned(),
            program_id: desk.program_id.clone(),
            effective_on: None,
            note: "n".repeat(1_001),
            evidence_sha256: vec![7; 31],
            action: None,
            ..Default::default()
        };
        let five =
            ["entry.entry_id", "entry.effective_on", "entry.note", "entry.evidence_sha256", "entry.action"];
        posts_badly(&desk, entry, &five).await;
        let obligate = pb::Obligate {
            obligation_id: String::new(),
            allocation_id: "00000000-0000-0000-0000-000000000000".to_owned(),
            amount: money("usd", 0),
            reservation_id: "{0198}".to_owned(),
            payee_name: " ".to_owned(),
            payee_id: fresh_id().replace('-', ""),
            reference: "r".repeat(101),
        };
        let fields = [
            "obligation_id",
            "allocation_id",
            "amount.currency_code",
            "amount.minor_units",
            "reservation_id",
            "payee_name",
            "payee_id",
            "reference",
        ]
        .map(|field| format!("entry.obligate.{field}"));
        let fields = fields.each_ref().map(String::as_str);
        posts_badly(&desk, desk.entry(Action::Obligate(obligate)), &fields).await;
        names(desk.funding.clone().post_entry(pb::PostEntryRequest { entry: None }).await, &["entry"]);
        let unplaced = pb::Entry {
            program_id: String::new(),
            note: "\u{0}".to_owned(),
            ..desk.entry(desk.authorize(0))
        };
        let fields = ["entry.program_id", "entry.note", "entry.authorize.amount.minor_units"];
        posts_badly(&desk, unplaced, &fields).await;
    })
    .await;
}

#[tokio::test]
async fn a_program_an_organization_and_their_parts_hear_of_every_bad_field() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let mut funding = desk.funding.clone();
        let before = desk.state().await;
        let program = pb::Program { title: "t".repeat(201), code: "us".to_owned(), ..Default::default() };
        let fields = ["program_id", "code", "title", "funder_id", "office_id", "currency_code"];
        let fields = fields.map(|field| format!("program.{field}"));
        let refused = funding.create_program(pb::CreateProgramRequest { program: Some(program) }).await;
        names(refused, &fields.each_ref().map(String::as_str));
        let period = pb::Period { last_day: Some(day(1998, 2, 29)), ..Default::default() };
        let fields =
            ["period_id", "program_id", "code", "title", "first_day", "last_day", "root_allocation_id"];
        let fields = fields.map(|field| format!("period.{field}"));
        let refused = funding.open_period(pb::OpenPeriodRequest { period: Some(period) }).await;
        names(refused, &fields.each_ref().map(String::as_str));
        let allocation = pb::Allocation {
            purpose: 99,
            country_code: "zw".to_owned(),
            recipient_id: "x".to_owned(),
            task_id: "x".to_owned(),
            ..Default::default()
        };
        let fields = [
            "allocation_id",
            "program_id",
            "period_id",
            "parent_id",
            "code",
            "title",
            "purpose",
            "country_code",
            "recipient_id",
            "task_id",
        ];
        let fields = fields.map(|field| format!("allocation.{field}"));
        names(desk.create_allocation(allocation).await, &fields.each_ref().map(String::as_str));
        let organization = pb::Organization { kind: 99, country_code: "Z".to_owned(), ..Default::default() };
        let fields = ["organization_id", "kind", "code", "name", "country_code"];
        let fields = fields.map(|field| format!("organization.{field}"));
        let request = pb::CreateOrganizationRequest { organization: Some(organization) };
        let refused = world.organizations().create_organization(request).await;
        names(refused, &fields.each_ref().map(String::as_str));
        names(funding.create_program(pb::CreateProgramRequest { program: None }).await, &["program"]);
        names(
            funding.expire_period(pb::ExpirePeriodRequest::default()).await,
            &["request_id", "program_id", "period_id", "expected_revision"],
        );
        assert_eq!(desk.state().await, before);
    })
    .await;
}

#[tokio::test]
async fn periods_and_allocations_must_fit_together() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let mut funding = desk.funding.clone();
        let good = desk.period(&fresh_id(), "LEAP", fresh_id());
        let backwards = pb::Period { last_day: Some(day(1997, 9, 30)), ..good.clone() };
        let long = pb::Period { last_day: Some(day(2007, 10, 2)), ..good.clone() };
        let own_root = pb::Period { root_allocation_id: good.period_id.clone(), ..good.clone() };
        for (bad, field) in [
            (backwards, "period.last_day"),
            (long, "period.last_day"),
            (own_root, "period.root_allocation_id"),
        ] {
            names(funding.open_period(pb::OpenPeriodRequest { period: Some(bad) }).await, &[field]);
        }
        let leap = pb::Period { first_day: Some(day(1996, 2, 29)), ..good };
        funding.open_period(pb::OpenPeriodRequest { period: Some(leap) }).await.unwrap();
        for (purpose, field) in [
            (pb::AllocationPurpose::Country, "allocation.country_code"),
            (pb::AllocationPurpose::Grant, "allocation.recipient_id"),
            (pb::AllocationPurpose::Root, "allocation.purpose"),
            (pb::AllocationPurpose::Unspecified, "allocation.purpose"),
        ] {
            let bare = desk.allocation(fresh_id(), desk.node("A"), "NEW", purpose);
            let bare = pb::Allocation { country_code: String::new(), recipient_id: String::new(), ..bare };
            names(desk.create_allocation(bare).await, &[field]);
        }
        let support = desk.allocation(fresh_id(), desk.node("A"), "NEW", pb::AllocationPurpose::Support);
        let with_task = pb::Allocation { task_id: fresh_id(), ..support };
        names(desk.create_allocation(with_task).await, &["allocation.task_id"]);
    })
    .await;
}

#[tokio::test]
async fn a_report_or_a_stream_with_unknown_words_is_refused() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let report = pb::GetBudgetReportRequest { profile: 99, max_depth: Some(-1), ..Default::default() };
        names(world.reports().get_budget_report(report).await, &["program_id", "profile", "max_depth"]);
        let stream = pb::StreamBudgetReportRequest {
            program_id: desk.program_id.clone(),
            delivery: 99,
            until_revision: Some(-1),
            progress_interval: Some(prost_types::Duration { seconds: 61, nanos: 0 }),
            ..Default::default()
        };
        let refused = world.reports().stream_budget_report(stream).await.map(|_| ());
        names(refused, &["delivery", "until_revision", "progress_interval"]);
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_and_the_connection_lives() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let before = desk.state().await;
        let entry = pb::Entry { note: "n".repeat(300 * 1024), ..desk.entry(desk.authorize(1)) };
        let status = desk.post_entry(entry).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(crate::desk::bad_fields(&status), ["request"]);
        assert!(status.message().contains("262144"), "the limit is told: {status:?}");
        let entry = pb::Entry { note: "n".repeat(200 * 1024), ..desk.entry(desk.authorize(1)) };
        posts_badly(&desk, entry, &["entry.note"]).await;
        assert_eq!(desk.state().await, before);
    })
    .await;
}

#[tokio::test]
async fn a_list_is_asked_for_a_prefix_that_codes_can_have() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let program_list = pb::ListProgramsRequest { code_prefix: "\u{0}".to_owned(), ..Default::default() };
        names(desk.funding.clone().list_programs(program_list).await, &["code_prefix"]);
        let list = pb::ListOrganizationsRequest {
            code_prefix: "\u{0}".to_owned(),
            kind: Some(99),
            ..Default::default()
        };
        names(world.organizations().list_organizations(list).await, &["code_prefix", "kind"]);
    })
    .await;
}

/// `ListProgramsRequest` with a `code_prefix` (field 4) that is not UTF-8.
const NOT_UTF8: [u8; 8] = [0, 0, 0, 0, 3, 0x22, 1, 0xff];

#[tokio::test]
async fn a_message_that_cannot_be_decoded_is_the_callers_fault_and_tells_no_inside() {
    in_world(async |world| {
        let request = http::Request::post("http://safelane/safelane.v1.FundingService/ListPrograms")
            .header("content-type", "application/grpc")
            .body(tonic::body::Body::new(http_body_util::Full::new(bytes::Bytes::from_static(&NOT_UTF8))))
            .unwrap();
        let answer = tower::ServiceExt::oneshot(world.channel(), request).await.unwrap();
        let status = tonic::Status::from_header_map(answer.headers()).expect("a status at once");
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert_eq!(crate::desk::bad_fields(&status), ["request"]);
        assert!(!status.message().contains("code_prefix"), "{status}");
    })
    .await;
}

#[tokio::test]
async fn a_method_that_does_not_exist_is_unimplemented() {
    in_world(async |world| {
        let request = http::Request::post("http://safelane/safelane.v1.FundingService/GetPrograms")
            .header("content-type", "application/grpc")
            .body(tonic::body::Body::empty())
            .unwrap();
        let answer = tower::ServiceExt::oneshot(world.channel(), request).await.unwrap();
        let status = tonic::Status::from_header_map(answer.headers()).expect("a status at once");
        assert_eq!(status.code(), tonic::Code::Unimplemented);
    })
    .await;
}
