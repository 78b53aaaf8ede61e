//! Histories that never happened, each with one thing wrong: the checker must say what.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;

use crate::desk::usd;
use crate::evidence::check::check;
use crate::evidence::finding::Check;
use crate::evidence::history::{Answer, Attempt, Refused};
use crate::evidence::model::Model;

/// The revision before the first entry, and what is available then.
const BASE: i64 = 10;
const AVAILABLE: i64 = 100;

/// A true history: 60 spent, 60 refused, 30 spent, one after another.
struct Forged {
    attempts: Vec<Attempt>,
    journal: Vec<pb::PostEntryResponse>,
    start: Instant,
}

impl Forged {
    fn true_one() -> Self {
        let mut forged = Self { attempts: Vec::new(), journal: Vec::new(), start: Instant::now() };
        forged.accept("a", 60, AVAILABLE - 60);
        forged.refuse("b", 60, AVAILABLE - 60);
        forged.accept("c", 30, AVAILABLE - 60 - 30);
        forged
    }

    fn accept(&mut self, id: &str, amount: i64, left: i64) {
        let revision = BASE + 1 + i64::try_from(self.journal.len()).unwrap();
        let buckets = pb::Buckets {
            received: AVAILABLE,
            available: left,
            expended: AVAILABLE - left,
            ..Default::default()
        };
        let allocation_id = "leaf".to_owned();
        let balance = pb::AllocationBalance { allocation_id, buckets: Some(buckets), ..Default::default() };
        let posted =
            pb::PostEntryResponse { entry: Some(spend(id, amount)), revision, allocations: vec![balance] };
        self.journal.push(posted.clone());
        self.attempt(id, amount, Answer::Accepted(posted));
    }

    fn refuse(&mut self, id: &str, amount: i64, available: i64) {
        let facts = [
            ("allocation_id", "leaf".to_owned()),
            ("available", available.to_string()),
            ("requested", amount.to_string()),
        ];
        let facts: HashMap<String, String> = facts.map(|(key, value)| (key.to_owned(), value)).into();
        let reason = "INSUFFICIENT_AVAILABLE".to_owned();
        self.attempt(id, amount, Answer::Refused(Refused { reason, facts }));
    }

    /// Each attempt takes one second, after the one before.
    fn attempt(&mut self, id: &str, amount: i64, answer: Answer) {
        let invoked = self.start + Duration::from_secs(2 * self.attempts.len() as u64);
        let answered = invoked + Duration::from_secs(1);
        self.attempts.push(Attempt { entry: spend(id, amount), invoked, answered, answer });
    }

    fn broken(&self) -> Vec<Check> {
        let buckets = pb::Buckets { received: AVAILABLE, available: AVAILABLE, ..Default::default() };
        let leaf =
            pb::Allocation { allocation_id: "leaf".to_owned(), buckets: Some(buckets), ..Default::default() };
        let findings = check(&self.attempts, &self.journal, &Model::opening(&[leaf]), BASE);
        findings.into_iter().map(|finding| finding.check).collect()
    }
}

fn spend(id: &str, amount: i64) -> pb::Entry {
    let expend = pb::Expend { allocation_id: "leaf".to_owned(), amount: usd(amount), ..Default::default() };
    pb::Entry { entry_id: id.to_owned(), action: Some(Action::Expend(expend)), ..Default::default() }
}

#[test]
fn a_true_history_has_no_findings() {
    assert_eq!(Forged::true_one().broken(), []);
}

#[test]
fn an_acknowledged_entry_that_is_not_kept_is_found() {
    let mut forged = Forged::true_one();
    forged.journal.pop();
    assert_eq!(forged.broken(), [Check::AcknowledgedIsKept]);
}

#[test]
fn an_entry_that_is_kept_twice_is_found() {
    let mut forged = Forged::true_one();
    let again = pb::PostEntryResponse { revision: BASE + 3, ..forged.journal[1].clone() };
    forged.journal.push(again);
    assert!(forged.broken().contains(&Check::KeptOnce));
}

#[test]
fn a_refused_entry_that_is_kept_is_found() {
    let mut forged = Forged::true_one();
    forged.attempts[2].answer = forged.attempts[1].answer.clone();
    assert!(forged.broken().contains(&Check::RefusedIsNotKept));
}

#[test]
fn an_entry_that_nobody_posted_is_found() {
    let mut forged = Forged::true_one();
    forged.attempts.pop();
    assert_eq!(forged.broken(), [Check::KeptWasPosted]);
}

#[test]
fn an_answer_that_is_not_what_is_kept_is_found() {
    let mut forged = Forged::true_one();
    forged.journal[1].revision = BASE + 3;
    assert!(forged.broken().contains(&Check::AnswerIsWhatIsKept));
    assert!(forged.broken().contains(&Check::RevisionsHaveNoGap));
}

#[test]
fn a_balance_that_the_model_does_not_have_is_found() {
    let mut forged = Forged::true_one();
    forged.journal[1].allocations[0].buckets = Some(pb::Buckets::default());
    forged.attempts[2].answer = Answer::Accepted(forged.journal[1].clone());
    assert_eq!(forged.broken(), [Check::BalancesAreRight]);
}

#[test]
fn an_entry_that_the_model_refuses_is_found() {
    let mut forged = Forged::true_one();
    forged.accept("d", 11, -1);
    assert_eq!(forged.broken(), [Check::AcceptanceIsRight]);
}

#[test]
fn revisions_against_the_order_of_time_are_found() {
    let mut forged = Forged::true_one();
    let (first, last) = (forged.attempts[0].clone(), forged.attempts[2].clone());
    (forged.attempts[0].invoked, forged.attempts[0].answered) = (last.invoked, last.answered);
    (forged.attempts[2].invoked, forged.attempts[2].answered) = (first.invoked, first.answered);
    assert!(forged.broken().contains(&Check::RealTimeOrder));
}

#[test]
fn a_refusal_that_no_state_explains_is_found() {
    let mut forged = Forged::true_one();
    // Nobody had 70 at any moment.
    forged.refuse("d", 90, 70);
    // These figures were true once, and no longer when the call began.
    forged.refuse("e", 60, AVAILABLE - 60);
    assert_eq!(forged.broken(), [Check::RefusalIsRight, Check::RefusalIsRight]);
}

#[test]
fn a_refusal_beside_other_calls_is_right_in_any_state_between() {
    let mut forged = Forged::true_one();
    forged.refuse("d", 60, AVAILABLE - 60);
    // It began before the last entry and was answered after it.
    forged.attempts[3].invoked = forged.attempts[2].invoked;
    assert_eq!(forged.broken(), []);
}
