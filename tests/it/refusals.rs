//! Every way in which money says no, with its code, its reason and its figures. What the tree, the ids and
//! the tokens refuse is in `refusals_structure.rs`; roles are in `access_rows.rs`.

use std::collections::BTreeMap;

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use tonic::Code;

use crate::desk::{Desk, usd};
use crate::expect::{refuses, says_no};
use crate::harness::{fresh_id, in_world};

const COMMENTS: &str = include_str!("../../proto/safelane/v1/error_reason.proto");

/// The code of each reason: what clients have built on. A new reason needs a row, and never a new code.
const CODES: [(&str, &str); 60] = [
    ("FIELD_INVALID", "INVALID_ARGUMENT"),
    ("PAGE_TOKEN_INVALID", "INVALID_ARGUMENT"),
    ("RESUME_TOKEN_INVALID", "INVALID_ARGUMENT"),
    ("RESUME_TOKEN_EPOCH", "FAILED_PRECONDITION"),
    ("REVISION_AHEAD", "FAILED_PRECONDITION"),
    ("NOT_FOUND", "NOT_FOUND"),
    ("ID_TAKEN", "ALREADY_EXISTS"),
    ("CODE_TAKEN", "FAILED_PRECONDITION"),
    ("STALE_REVISION", "ABORTED"),
    ("CONTENDED", "ABORTED"),
    ("UNAUTHENTICATED", "UNAUTHENTICATED"),
    ("PERMISSION_DENIED", "PERMISSION_DENIED"),
    ("QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED"),
    ("DATABASE_AWAY", "UNAVAILABLE"),
    ("OUTCOME_UNKNOWN", "UNAVAILABLE"),
    ("DRAINING", "UNAVAILABLE"),
    ("OVERLOADED", "UNAVAILABLE"),
    ("INTERNAL", "INTERNAL"),
    ("INSUFFICIENT_AVAILABLE", "FAILED_PRECONDITION"),
    ("INSUFFICIENT_RESERVED", "FAILED_PRECONDITION"),
    ("INSUFFICIENT_OBLIGATED", "FAILED_PRECONDITION"),
    ("INSUFFICIENT_ADVANCED", "FAILED_PRECONDITION"),
    ("DRAW_NOT_NEEDED", "FAILED_PRECONDITION"),
    ("PERIOD_EXPIRED", "FAILED_PRECONDITION"),
    ("PERIOD_CLOSED", "FAILED_PRECONDITION"),
    ("PERIOD_NOT_OPEN", "FAILED_PRECONDITION"),
    ("PERIOD_NOT_EXPIRED", "FAILED_PRECONDITION"),
    ("PERIOD_NOT_SETTLED", "FAILED_PRECONDITION"),
    ("EFFECTIVE_OUTSIDE_PERIOD", "FAILED_PRECONDITION"),
    ("EFFECTIVE_BEFORE_ENTRY", "FAILED_PRECONDITION"),
    ("NOT_A_LEAF", "FAILED_PRECONDITION"),
    ("ALLOCATION_IN_USE", "FAILED_PRECONDITION"),
    ("ALLOCATION_TOO_DEEP", "FAILED_PRECONDITION"),
    ("ROOT_HAS_NO_PARENT", "FAILED_PRECONDITION"),
    ("RESERVATION_ELSEWHERE", "FAILED_PRECONDITION"),
    ("BASE_CHANGED", "FAILED_PRECONDITION"),
    ("INCREASE_IS_ZERO", "FAILED_PRECONDITION"),
    ("NOTHING_TO_PUSH_DOWN", "FAILED_PRECONDITION"),
    ("ALREADY_REVERSED", "FAILED_PRECONDITION"),
    ("NOT_REVERSIBLE", "FAILED_PRECONDITION"),
    ("SAME_PERIOD", "FAILED_PRECONDITION"),
    ("AMOUNT_TOO_LARGE", "FAILED_PRECONDITION"),
    ("WRONG_ORGANIZATION_KIND", "FAILED_PRECONDITION"),
    ("WRONG_PURPOSE", "FAILED_PRECONDITION"),
    ("LIMIT_REACHED", "FAILED_PRECONDITION"),
    ("OTHER_PERIOD", "FAILED_PRECONDITION"),
    ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
    ("WRONG_STATE", "FAILED_PRECONDITION"),
    ("NOT_READY", "FAILED_PRECONDITION"),
    ("SAFETY_STOPPED", "FAILED_PRECONDITION"),
    ("ASSIGNMENT_REFUSED", "FAILED_PRECONDITION"),
    ("AREA_MISMATCH", "FAILED_PRECONDITION"),
    ("BELONGS_ELSEWHERE", "FAILED_PRECONDITION"),
    ("DAYS_OVERLAP", "FAILED_PRECONDITION"),
    ("OWN_REPORT", "FAILED_PRECONDITION"),
    ("AREA_CREDITED", "FAILED_PRECONDITION"),
    ("PERSONAL_KEY_MISSING", "FAILED_PRECONDITION"),
    ("PERSON_ERASED", "FAILED_PRECONDITION"),
    ("FILES_AWAY", "UNAVAILABLE"),
    ("FILE_LOST", "DATA_LOSS"),
];

#[test]
fn every_reason_has_one_code_and_its_comment_names_it() {
    let codes: BTreeMap<&str, &str> = CODES.into();
    assert_eq!(codes.len(), CODES.len(), "a reason stands twice");
    let values = COMMENTS.lines().filter_map(|line| line.trim().strip_prefix("ERROR_REASON_"));
    let names: Vec<&str> = values.filter_map(|value| value.split_once(" = ")).map(|(name, _)| name).collect();
    assert_eq!(names.len(), codes.len() + 1, "UNSPECIFIED has no code, every other value has one");
    for name in names.into_iter().filter(|name| *name != "UNSPECIFIED") {
        let code = codes.get(name).unwrap_or_else(|| panic!("{name} has no row"));
        assert!(pb::ErrorReason::from_str_name(&format!("ERROR_REASON_{name}")).is_some(), "{name}");
        let comment = format!("// ERROR_REASON_{name}: {code}. ");
        assert!(COMMENTS.contains(&comment), "the comment of {name} does not name {code}");
    }
}

#[tokio::test]
async fn money_that_is_not_there_is_refused_with_the_figures() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let (held, promised) = (fresh_id(), fresh_id());
        let (a1, id) = (desk.node("A1"), promised.as_str());
        let facts = [
            ("allocation_id", &*a1),
            ("available", "1160000000"),
            ("requested", "2000000000"),
            ("currency", "USD"),
        ];
        says_no(desk.post(desk.allocate("T1", 2_000_000_000)).await, "INSUFFICIENT_AVAILABLE", &facts);
        desk.post(desk.reserve(&held, "T1", 500)).await.unwrap();
        let facts =
            [("reservation_id", &*held), ("remaining", "500"), ("requested", "800"), ("shortfall", "300")];
        says_no(desk.post(desk.release(&held, 800)).await, "INSUFFICIENT_RESERVED", &facts);
        desk.post(Action::Obligate(desk.obligate(id, "T1", 500))).await.unwrap();
        let facts = [("obligation_id", id), ("remaining", "500"), ("requested", "800"), ("shortfall", "300")];
        says_no(desk.post(desk.disburse(id, 800)).await, "INSUFFICIENT_OBLIGATED", &facts);
        desk.post(desk.disburse(id, 200)).await.unwrap();
        let facts = [("obligation_id", id), ("remaining", "200"), ("requested", "300"), ("shortfall", "100")];
        says_no(desk.post(desk.refund(id, 300)).await, "INSUFFICIENT_ADVANCED", &facts);
        let invoice = desk.pay(pb::ExpendSource::Obligated, id, 200);
        let invoice = pb::Expend { draw_from_available: usd(100), ..invoice };
        let facts = [("obligation_id", id), ("remaining", "300"), ("left", "200")];
        says_no(desk.post(Action::Expend(invoice)).await, "DRAW_NOT_NEEDED", &facts);
    })
    .await;
}

#[tokio::test]
async fn sums_beyond_63_bits_and_increases_of_nothing_are_refused() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let root = desk.node("P");
        let facts = [("period_id", &*desk.period_id), ("base", "0"), ("percent_ppm", "250000")];
        says_no(desk.post(Action::Increase(desk.increase())).await, "INCREASE_IS_ZERO", &facts);
        for _ in 0..4 {
            desk.post(desk.authorize(1_000_000_000_000_000_000)).await.unwrap();
        }
        let facts = [("allocation_id", &*root)];
        says_no(desk.post(Action::Increase(desk.increase())).await, "NOTHING_TO_PUSH_DOWN", &facts);
        says_no(desk.post(desk.authorize(1)).await, "AMOUNT_TOO_LARGE", &facts);
        let tenfold = pb::Increase {
            amount: Some(pb::increase::Amount::PercentPpm(10_000_000)),
            push_down: pb::PushDown::None.into(),
            ..desk.increase()
        };
        says_no(desk.post(Action::Increase(tenfold)).await, "AMOUNT_TOO_LARGE", &facts);
    })
    .await;
}

#[tokio::test]
async fn an_increase_of_another_base_than_the_caller_read_is_refused() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let (revision, period) = desk.state().await;
        let of_base = |base_revision: i64| {
            let base = pb::IncreaseBase::Current.into();
            Action::Increase(pb::Increase { base, base_revision, ..desk.increase() })
        };
        let current = period.authorization_revision.to_string();
        let facts =
            [("period_id", &*desk.period_id), ("base_revision", "1"), ("authorization_revision", &*current)];
        says_no(desk.post(of_base(1)).await, "BASE_CHANGED", &facts);
        let (ahead, now) = ((revision + 1).to_string(), revision.to_string());
        let facts = [("requested", &*ahead), ("revision", &*now)];
        says_no(desk.post(of_base(revision + 1)).await, "REVISION_AHEAD", &facts);
        desk.post(of_base(revision)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_period_takes_each_step_only_in_its_turn() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let (held, promised) = (fresh_id(), fresh_id());
        desk.post(desk.reserve(&held, "T1", 7)).await.unwrap();
        desk.post(Action::Obligate(desk.obligate(&promised, "T1", 50))).await.unwrap();
        desk.post(desk.disburse(&promised, 20)).await.unwrap();
        let period = desk.period_id.as_str();
        let known = desk.state().await.1.revision;
        let state = |state| [("period_id", period), ("state", state)];
        let action = |action| [("period_id", period), ("action", action)];
        says_no(close(&desk, known).await, "PERIOD_NOT_EXPIRED", &state("OPEN"));
        let current = known.to_string();
        let facts = [("expected", "99"), ("current", &*current)];
        refuses(expire(&desk, 99).await, Code::Aborted, "STALE_REVISION", &facts);
        let known = desk.move_period().await.unwrap().revision;
        says_no(expire(&desk, known).await, "PERIOD_NOT_OPEN", &state("EXPIRED"));
        let obligate = Action::Obligate(desk.obligate(&fresh_id(), "T1", 1));
        says_no(desk.post(obligate).await, "PERIOD_EXPIRED", &action("obligate"));
        let late = desk.allocation(fresh_id(), desk.node("A1"), "LATE", pb::AllocationPurpose::Task);
        let refused = desk.create_allocation(late.clone()).await;
        says_no(refused, "PERIOD_EXPIRED", &action("create_allocation"));
        let leaf = desk.node("T1");
        let sums = [
            ("period_id", period),
            ("reserved", "7"),
            ("obligated", "30"),
            ("advanced", "20"),
            ("allocation_ids", &*leaf),
        ];
        says_no(close(&desk, known).await, "PERIOD_NOT_SETTLED", &sums);
        desk.post(desk.release(&held, 7)).await.unwrap();
        desk.post(desk.deobligate(&promised, 30)).await.unwrap();
        desk.post(Action::Expend(desk.pay(pb::ExpendSource::Advanced, &promised, 20))).await.unwrap();
        desk.move_period().await.unwrap();
        says_no(desk.post(desk.rescind(1)).await, "PERIOD_CLOSED", &action("rescind"));
        says_no(desk.create_allocation(late).await, "PERIOD_CLOSED", &action("create_allocation"));
    })
    .await;
}

async fn expire(desk: &Desk, expected_revision: i64) -> Result<pb::ExpirePeriodResponse, tonic::Status> {
    let (program_id, period_id) = (desk.program_id.clone(), desk.period_id.clone());
    let request =
        pb::ExpirePeriodRequest { request_id: fresh_id(), program_id, period_id, expected_revision };
    Ok(desk.funding.clone().expire_period(request).await?.into_inner())
}

async fn close(desk: &Desk, expected_revision: i64) -> Result<pb::ClosePeriodResponse, tonic::Status> {
    let (program_id, period_id) = (desk.program_id.clone(), desk.period_id.clone());
    let request = pb::ClosePeriodRequest { request_id: fresh_id(), program_id, period_id, expected_revision };
    Ok(desk.funding.clone().close_period(request).await?.into_inner())
}

#[tokio::test]
async fn days_outside_the_period_and_before_the_undone_entry_are_refused() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let dated = |action, year, month, day| pb::Entry {
            effective_on: Some(pb::Date { year, month, day }),
            ..desk.entry(action)
        };
        let outside = |effective_on| {
            [
                ("period_id", desk.period_id.as_str()),
                ("effective_on", effective_on),
                ("first_day", "1997-10-01"),
                ("last_day", "1998-09-30"),
            ]
        };
        let early = desk.post_entry(dated(desk.authorize(1), 1997, 9, 30)).await;
        says_no(early, "EFFECTIVE_OUTSIDE_PERIOD", &outside("1997-09-30"));
        world.clock.set("1998-10-05T00:00:00Z");
        let late = desk.post_entry(dated(desk.reserve(&fresh_id(), "T1", 1), 1998, 10, 1)).await;
        says_no(late, "EFFECTIVE_OUTSIDE_PERIOD", &outside("1998-10-01"));
        let undone = desk.entry(desk.allocate("T1", 9));
        desk.post_entry(undone.clone()).await.unwrap();
        let facts =
            [("entry_id", &*undone.entry_id), ("effective_on", "1998-01-14"), ("earliest", "1998-01-15")];
        let refused = desk.post_entry(dated(desk.reverse(&undone.entry_id), 1998, 1, 14)).await;
        says_no(refused, "EFFECTIVE_BEFORE_ENTRY", &facts);
    })
    .await;
}

#[tokio::test]
async fn an_entry_is_reversed_once_and_a_reversal_never() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let (undone, by) = (desk.entry(desk.allocate("T1", 9)), fresh_id());
        desk.post_entry(undone.clone()).await.unwrap();
        let reversal = pb::Entry { entry_id: by.clone(), ..desk.entry(desk.reverse(&undone.entry_id)) };
        desk.post_entry(reversal).await.unwrap();
        let facts = [("entry_id", &*undone.entry_id), ("reversed_by", &*by)];
        says_no(desk.post(desk.reverse(&undone.entry_id)).await, "ALREADY_REVERSED", &facts);
        says_no(desk.post(desk.reverse(&by)).await, "NOT_REVERSIBLE", &[("entry_id", &by)]);
        let (from_period_id, to_period_id) = (desk.period_id.clone(), desk.period_id.clone());
        let same = Action::CarryOver(pb::CarryOver { from_period_id, to_period_id, amount: usd(1) });
        says_no(desk.post(same).await, "SAME_PERIOD", &[("period_id", &desk.period_id)]);
    })
    .await;
}
