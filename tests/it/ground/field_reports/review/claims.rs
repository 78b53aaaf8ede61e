//! Expense claims: the approval books the entry against the task's allocation, or nothing happens at all.

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use safelane::rpc::pb::field_report::Body;

use super::amendments::amend;
use super::{Board, approve, look_past, reject};
use crate::desk::{reason, usd};
use crate::expect::says_no;
use crate::ground::field_reports::rig::{reasons, stored};
use crate::ground::teams::recorded_team;
use crate::harness::{fresh_id, in_world};

type Change<'a> = &'a dyn Fn(&mut pb::ExpenseClaim);

pub(super) fn claim(minor_units: i64) -> Body {
    receipt("R-17", minor_units)
}

/// A claim by the number of its receipt.
pub(super) fn receipt(reference: &str, minor_units: i64) -> Body {
    Body::ExpenseClaim(pb::ExpenseClaim {
        source: pb::ExpendSource::Available.into(),
        amount: usd(minor_units),
        category: pb::CostCategory::Vehicles.into(),
        payee: "Mutare Fuel".to_owned(),
        reference: reference.to_owned(),
        ..pb::ExpenseClaim::default()
    })
}

async fn entry(board: &Board, id: &str) -> pb::Entry {
    let request = pb::GetEntryRequest {
        program_id: board.tablet.works.desk.program_id.clone(),
        entry_id: id.to_owned(),
        ..pb::GetEntryRequest::default()
    };
    let answer = board.tablet.works.desk.funding.clone().get_entry(request).await;
    answer.expect("it is booked").into_inner().posted.unwrap().read().unwrap().entry.unwrap()
}

#[tokio::test]
async fn an_approved_claim_is_an_expenditure_of_its_task() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let report = board.sent(board.tablet.report(claim(5_000))).await;
        let office = board.office().to_owned();
        let review = board.decide(&office, &report, approve()).await.unwrap().review.unwrap();
        assert_eq!(review.credit.unwrap().entry_id, report, "the entry has the id of the report");
        let booked = entry(&board, &report).await;
        let Some(Action::Expend(expend)) = booked.action else { panic!("not an expenditure") };
        assert_eq!((expend.amount, expend.report_id.as_str()), (usd(5_000), report.as_str()));
        assert_eq!(expend.task_id, board.tablet.task.task_id);
        assert_eq!(expend.allocation_id, board.tablet.works.desk.node("T1"));
        assert_eq!((booked.recorded_by.as_str(), booked.note.as_str()), ("coordinator", "Mutare Fuel R-17"));
        assert_eq!(booked.effective_on, Some(crate::bad_input::day(1998, 6, 15)));
        let buckets = board.tablet.works.desk.buckets("T1").await;
        assert_eq!((buckets.expended, buckets.available), (5_000, 39_995_000));
        // The writer of the program goes on where the approval left it.
        let desk = &board.tablet.works.desk;
        desk.post(Action::Expend(desk.expend("T1", 7))).await.expect("money moves on");
        assert_eq!(desk.buckets("T1").await.expended, 5_007);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_claim_without_money_is_refused_as_a_whole() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let report = board.sent(board.tablet.report(claim(40_000_001))).await;
        let (before, _) = board.tablet.works.desk.state().await;
        let office = board.office().to_owned();
        let node = board.tablet.works.desk.node("T1");
        let facts = [
            ("allocation_id", &*node),
            ("available", "40000000"),
            ("currency", "USD"),
            ("requested", "40000001"),
        ];
        let refused = board.decide(&office, &report, approve()).await;
        says_no(refused, "INSUFFICIENT_AVAILABLE", &facts);
        assert_eq!(board.state(&report).await, pb::ReportState::Received);
        assert_eq!(board.tablet.works.desk.state().await.0, before, "nothing was recorded in the program");
        // Once the money is there, the same report is approved.
        let desk = &board.tablet.works.desk;
        desk.post(desk.allocate("T1", 1)).await.unwrap();
        board.decide(&office, &report, approve()).await.expect("it is paid now");
        assert_eq!(desk.buckets("T1").await.available, 0);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_claim_in_another_currency_or_of_another_obligation_is_not_paid() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let desk = &board.tablet.works.desk;
        let elsewhere = fresh_id();
        desk.post(Action::Obligate(desk.obligate(&elsewhere, "B", 9_000))).await.unwrap();
        let foreign = |claim: &mut pb::ExpenseClaim| {
            claim.amount = Some(pb::Money { currency_code: "EUR".to_owned(), minor_units: 5_000 });
        };
        let obligated = |claim: &mut pb::ExpenseClaim, id: &str| {
            claim.obligation_id = id.to_owned();
            claim.source = pb::ExpendSource::Obligated.into();
        };
        let others = |claim: &mut pb::ExpenseClaim| obligated(claim, &elsewhere);
        let unknown = |claim: &mut pb::ExpenseClaim| obligated(claim, &fresh_id());
        let wrong: [(Change<'_>, &str); 3] = [
            (&foreign, "the program books USD"),
            (&others, "is of allocation"),
            (&unknown, "does not exist"),
        ];
        for (change, told) in wrong {
            let mut report = Box::new(board.tablet.report(claim(5_000)));
            if let Some(Body::ExpenseClaim(claim)) = &mut report.body {
                change(claim);
                claim.reference = format!("R-{told}");
            }
            let report = board.sent(*report).await;
            let refused = board.decide(board.office(), &report, approve()).await.unwrap_err();
            assert_eq!(reason(&refused).0, "NOT_READY");
            assert!(refused.message().contains(told), "{refused}");
        }
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn voiding_a_claim_gives_the_money_back() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let desk = &board.tablet.works.desk;
        let promised = fresh_id();
        desk.post(Action::Obligate(desk.obligate(&promised, "T1", 9_000))).await.unwrap();
        let mut report = board.tablet.report(claim(5_000));
        let Some(Body::ExpenseClaim(claim)) = &mut report.body else { panic!("a claim") };
        claim.obligation_id = promised;
        claim.source = pb::ExpendSource::Obligated.into();
        let report = board.sent(report).await;
        board.decide(board.office(), &report, approve()).await.unwrap();
        assert_eq!(desk.buckets("T1").await.obligated, 4_000);
        let voided = board.void(board.office(), &report).await.unwrap();
        assert_eq!((voided.state(), voided.approved_version), (pb::ReportState::Voided, 0));
        let buckets = desk.buckets("T1").await;
        assert_eq!((buckets.obligated, buckets.expended), (9_000, 0));
        let again = board.void(board.office(), &report).await.unwrap_err();
        assert_eq!(reason(&again).0, "WRONG_STATE");
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_claim_whose_entry_was_reversed_by_hand_is_voided_all_the_same_and_not_paid_back_twice() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let desk = &board.tablet.works.desk;
        let report = board.sent(board.tablet.report(claim(5_000))).await;
        board.decide(board.office(), &report, approve()).await.unwrap();
        let mut undone = desk.entry(desk.reverse(&report));
        undone.effective_on = Some(crate::bad_input::day(1998, 6, 15));
        desk.post_entry(undone).await.unwrap();
        board.void(board.office(), &report).await.expect("it counts no more");
        assert_eq!(desk.buckets("T1").await.available, 40_000_000);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_claim_is_paid_also_where_somebody_used_the_id_of_its_report() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let desk = &board.tablet.works.desk;
        let report = board.sent(board.tablet.report(claim(5_000))).await;
        let taken =
            pb::Entry { entry_id: report.clone(), ..desk.entry(Action::Expend(desk.expend("T1", 3))) };
        desk.post_entry(taken).await.unwrap();
        let review = board.decide(board.office(), &report, approve()).await.unwrap().review.unwrap();
        let paid = review.credit.unwrap().entry_id;
        assert_ne!(paid, report);
        assert_eq!(desk.buckets("T1").await.expended, 5_003);
        // Nor can a request of a reviewer take it.
        let own =
            pb::ReviewReportRequest { request_id: report.clone(), ..board.request(&report, approve()).await };
        let refused = board.ask(board.office(), own).await.unwrap_err();
        assert_eq!(crate::desk::bad_fields(&refused), ["request_id"]);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_receipt_that_was_claimed_before_is_held_on_whichever_day_and_paid_only_with_a_reason() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let first = board.sent(board.tablet.report(claim(5_000))).await;
        let office = board.office().to_owned();
        board.decide(&office, &first, approve()).await.expect("it is paid");
        let again = pb::FieldReport {
            work_date: Some(crate::bad_input::day(1998, 6, 12)),
            note: "fuel".to_owned(),
            ..board.tablet.report(claim(5_000))
        };
        let answer = board.tablet.submit(&again).await.unwrap();
        assert_eq!(reasons(&answer.holds), ["POSSIBLE_DUPLICATE"]);
        assert_eq!(answer.holds[0].subject_id, first);
        let text = &answer.holds[0].text;
        let known = board.tablet.get(&first, 0).await.reference;
        assert!(text.contains(&known) && text.contains("looked_past"), "{text}");
        let refused = board.decide(&office, &again.report_id, approve()).await.unwrap_err();
        assert!(refused.message().contains("looked_past"), "{refused}");
        assert_eq!(board.tablet.works.desk.buckets("T1").await.expended, 5_000, "it is paid once");
        board.decide(&office, &again.report_id, look_past("two cans")).await.expect("both happened");
        assert_eq!(board.tablet.works.desk.buckets("T1").await.expended, 10_000);
        // Another receipt or another amount is another purchase.
        board.sent(board.tablet.report(receipt("R-18", 5_000))).await;
        board.sent(board.tablet.report(claim(5_001))).await;
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_receipt_that_two_teams_claim_is_held() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let operator = &board.tablet.works.desk.operator_id;
        let other = recorded_team(world, operator, "MT-2").await;
        let by_other = |body| pb::FieldReport { team_id: other.clone(), ..board.tablet.report(body) };
        let first = board.sent(by_other(claim(5_000))).await;
        let again = board.tablet.submit(&board.tablet.report(claim(5_000))).await.unwrap();
        assert_eq!(reasons(&again.holds), ["POSSIBLE_DUPLICATE"]);
        assert_eq!(again.holds[0].subject_id, first);
        board.sent(by_other(receipt("R-18", 5_000))).await;
        // Both in one group, none of which is in the database yet.
        let pair = [by_other(receipt("R-19", 700)), board.tablet.report(receipt("R-19", 700))];
        let answers = board.tablet.sync(&pair).await;
        assert_eq!(reasons(&stored(&answers[0]).holds), [""; 0]);
        assert_eq!(reasons(&stored(&answers[1]).holds), ["POSSIBLE_DUPLICATE"]);
        assert_eq!(stored(&answers[1]).holds[0].subject_id, pair[0].report_id);
        board.finish().await;
    })
    .await;
}

/// What was paid stays known by its receipt, also after somebody tried to give it another one.
#[tokio::test]
async fn a_receipt_that_was_paid_is_compared_while_and_after_an_amendment_names_another() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let paid = board.tablet.report(receipt("R-20", 900));
        let id = board.sent(paid.clone()).await;
        board.decide(board.office(), &id, approve()).await.unwrap();
        let other = pb::FieldReport { base_version: 1, body: Some(receipt("R-21", 900)), ..paid };
        amend(&board, &other).await.unwrap();
        let claimed = async |reference| {
            let answer = board.tablet.submit(&board.tablet.report(receipt(reference, 900))).await.unwrap();
            (reasons(&answer.holds).join(","), answer.holds.first().map(|hold| hold.subject_id.clone()))
        };
        let held = ("POSSIBLE_DUPLICATE".to_owned(), Some(id.clone()));
        assert_eq!(claimed("R-20").await, held, "it counts");
        assert_eq!(claimed("R-21").await, held, "it may count");
        board.decide(board.office(), &id, reject()).await.unwrap();
        assert_eq!(claimed("R-20").await, held, "it counts");
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn many_claims_of_another_team_hide_none_of_the_own() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let other = recorded_team(world, &board.tablet.works.desk.operator_id, "MT-2").await;
        let first = board.sent(board.tablet.report(receipt("A-1", 300))).await;
        let others: Vec<_> = (0..70)
            .map(|number| {
                let body = receipt(&format!("B-{number}"), 300);
                pb::FieldReport { team_id: other.clone(), ..board.tablet.report(body) }
            })
            .collect();
        assert_eq!(board.tablet.sync(&others).await.len(), 70);
        let again = board.tablet.submit(&board.tablet.report(receipt("A-1", 300))).await.unwrap();
        assert_eq!(again.holds[0].subject_id, first);
        board.finish().await;
    })
    .await;
}
