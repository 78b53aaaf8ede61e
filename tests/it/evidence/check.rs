//! The checks of a history against the journal, and of the journal against the model.
//!
//! The journal gives the order, so nothing has to be searched: a history is linearizable if the model accepts
//! the entries in the order of their revisions with the balances that were answered, if that order never
//! turns round two calls of which one was answered before the other began, and if every refusal is right in
//! some state that the call can have met.

use std::collections::HashMap;
use std::time::Instant;

use safelane::rpc::pb;

use crate::evidence::finding::{Check, Finding};
use crate::evidence::history::{Answer, Attempt, Refused};
use crate::evidence::model::{Model, No, same_content};

/// An entry of the journal and what the history knows of it.
struct Booked<'a> {
    posted: &'a pb::PostEntryResponse,
    /// The first attempt to post it.
    invoked: Option<Instant>,
    /// The first answer that said that it is booked.
    acknowledged: Option<Instant>,
}

/// Checks a history. `journal` are the entries after revision `base`, `opening` is the state at `base`.
pub(crate) fn check(
    attempts: &[Attempt],
    journal: &[pb::PostEntryResponse],
    opening: &Model,
    base: i64,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut booked: HashMap<&str, Booked<'_>> = HashMap::new();
    for (place, posted) in (base + 1..).zip(journal) {
        if posted.revision != place {
            findings.push(
                Check::RevisionsHaveNoGap
                    .broken(format!("revision {place} of the journal is numbered {}", posted.revision)),
            );
        }
        let new = Booked { posted, invoked: None, acknowledged: None };
        if booked.insert(&content(posted).entry_id, new).is_some() {
            findings.push(Check::KeptOnce.broken(format!("entry {}", content(posted).entry_id)));
        }
    }
    for attempt in attempts {
        findings.extend(check_attempt(attempt, &mut booked));
    }
    for entry in booked.values().filter(|entry| entry.invoked.is_none()) {
        findings.push(Check::KeptWasPosted.broken(format!("revision {}", entry.posted.revision)));
    }
    findings.extend(check_refused_ids(attempts, &booked));
    findings.extend(check_order(&booked));
    findings.extend(replay(attempts, journal, &booked, opening.clone(), base));
    findings
}

fn content(posted: &pb::PostEntryResponse) -> &pb::Entry {
    posted.entry.as_ref().expect("a posted entry holds the entry")
}

/// An acknowledged entry is in the journal as acknowledged; nothing is a fault.
fn check_attempt(attempt: &Attempt, booked: &mut HashMap<&str, Booked<'_>>) -> Option<Finding> {
    let id = attempt.entry.entry_id.as_str();
    let found = booked.get_mut(id).filter(|found| same_content(content(found.posted), &attempt.entry));
    match (&attempt.answer, found) {
        (Answer::Fault(told), _) => Some(Check::NoFault.broken(format!("entry {id}: {told}"))),
        (Answer::Accepted(answer), None) => {
            Some(Check::AcknowledgedIsKept.broken(format!("entry {id}, revision {}", answer.revision)))
        }
        (Answer::Accepted(answer), Some(found)) => {
            note(found, attempt);
            found.acknowledged =
                Some(found.acknowledged.map_or(attempt.answered, |first| first.min(attempt.answered)));
            let (told, kept) = (answer.revision, found.posted.revision);
            (answer != found.posted).then(|| {
                let told = format!("entry {id} was answered with revision {told}, and is kept at {kept}");
                Check::AnswerIsWhatIsKept.broken(told)
            })
        }
        (Answer::Refused(_) | Answer::Unknown(..), Some(found)) => {
            note(found, attempt);
            None
        }
        (Answer::Refused(_) | Answer::Unknown(..), None) => None,
    }
}

fn note(found: &mut Booked<'_>, attempt: &Attempt) {
    found.invoked = Some(found.invoked.map_or(attempt.invoked, |first| first.min(attempt.invoked)));
}

/// An entry of which every attempt was refused must not exist.
fn check_refused_ids(attempts: &[Attempt], booked: &HashMap<&str, Booked<'_>>) -> Vec<Finding> {
    let mut open: HashMap<&str, bool> = HashMap::new();
    for attempt in attempts {
        let refused = matches!(attempt.answer, Answer::Refused(_));
        *open.entry(&attempt.entry.entry_id).or_default() |= !refused;
    }
    let refused = open.iter().filter(|(id, open)| !**open && booked.contains_key(**id));
    refused.map(|(id, _)| Check::RefusedIsNotKept.broken(format!("entry {id}"))).collect()
}

/// Real time: what was answered before another began has the smaller revision.
fn check_order(booked: &HashMap<&str, Booked<'_>>) -> Vec<Finding> {
    let mut in_order: Vec<&Booked<'_>> = booked.values().collect();
    in_order.sort_by_key(|entry| entry.posted.revision);
    let mut findings = Vec::new();
    let mut latest: Option<(Instant, i64)> = None;
    for entry in in_order {
        if let (Some((invoked, before)), Some(acknowledged)) = (latest, entry.acknowledged)
            && acknowledged < invoked
        {
            let revision = entry.posted.revision;
            let told = format!("revision {revision} was answered before {before} was asked for");
            findings.push(Check::RealTimeOrder.broken(told));
        }
        latest = latest.max(entry.invoked.map(|invoked| (invoked, entry.posted.revision)));
    }
    findings
}

/// A refusal and the revisions between which it can have been decided.
struct Window<'a> {
    attempt: &'a Attempt,
    refused: &'a Refused,
    from: i64,
    to: i64,
    /// What the model would have said in the first of those states.
    instead: Option<Result<(), No>>,
}

/// Plays the journal through the model, and looks for a state that explains each refusal.
fn replay(
    attempts: &[Attempt],
    journal: &[pb::PostEntryResponse],
    booked: &HashMap<&str, Booked<'_>>,
    mut model: Model,
    base: i64,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut waiting = windows(attempts, booked, base);
    waiting.sort_by_key(|window| std::cmp::Reverse(window.from));
    let mut open = Vec::new();
    for (revision, next) in (base..).zip(journal.iter().map(Some).chain([None])) {
        while waiting.last().is_some_and(|window| window.from <= revision) {
            open.extend(waiting.pop());
        }
        open.retain_mut(|window| !explains(&model, window));
        let (over, still): (Vec<_>, Vec<_>) = open.into_iter().partition(|window| window.to <= revision);
        findings.extend(over.iter().map(unexplained));
        open = still;
        if let Some(posted) = next {
            findings.extend(book(&mut model, posted));
        }
    }
    findings.extend(open.iter().chain(&waiting).map(unexplained));
    findings
}

/// Books an entry in the model and compares the balances.
fn book(model: &mut Model, posted: &pb::PostEntryResponse) -> Vec<Finding> {
    let (revision, entry) = (posted.revision, content(posted));
    if let Err(no) = model.book(entry) {
        return vec![Check::AcceptanceIsRight.broken(format!("revision {revision}, model: {no:?}"))];
    }
    let wrong = posted.allocations.iter().filter_map(|told| {
        let (told, wanted) = (told.buckets, model.buckets(&told.allocation_id));
        let broken =
            || Check::BalancesAreRight.broken(format!("revision {revision}: {told:?}, model: {wanted:?}"));
        (told != wanted).then(broken)
    });
    wrong.collect()
}

/// Whether the model refuses in the same words in its present state.
fn explains(model: &Model, window: &mut Window<'_>) -> bool {
    let judged = model.judge(&window.attempt.entry);
    let explained = judged.as_ref().is_err_and(|no| {
        let told = |key: &str| window.refused.facts.get(key);
        no.reason == window.refused.reason && no.facts.iter().all(|(key, value)| told(key) == Some(value))
    });
    window.instead.get_or_insert(judged);
    explained
}

fn unexplained(window: &Window<'_>) -> Finding {
    let (id, Window { refused, from, to, instead, .. }) = (&window.attempt.entry.entry_id, window);
    let told = format!("entry {id}, revisions {from} to {to}: {refused:?}, model: {instead:?}");
    Check::RefusalIsRight.broken(told)
}

/// For each refusal: it was decided after everything that was answered before it began, and before everything
/// that began after it was answered.
fn windows<'a>(attempts: &'a [Attempt], booked: &HashMap<&str, Booked<'_>>, base: i64) -> Vec<Window<'a>> {
    let mut answered: Vec<(Instant, i64)> = Vec::new();
    let mut begun: Vec<(Instant, i64)> = Vec::new();
    for entry in booked.values() {
        answered.extend(entry.acknowledged.map(|when| (when, entry.posted.revision)));
        begun.extend(entry.invoked.map(|when| (when, entry.posted.revision)));
    }
    answered.sort_unstable();
    begun.sort_unstable();
    let mut highest = base;
    let answered: Vec<(Instant, i64)> = answered
        .into_iter()
        .map(|(when, revision)| {
            (when, {
                highest = highest.max(revision);
                highest
            })
        })
        .collect();
    let mut lowest = i64::MAX;
    let mut begun: Vec<(Instant, i64)> = begun
        .into_iter()
        .rev()
        .map(|(when, revision)| {
            (when, {
                lowest = lowest.min(revision);
                lowest
            })
        })
        .collect();
    begun.reverse();
    let window = |attempt: &'a Attempt| {
        let Answer::Refused(refused) = &attempt.answer else { return None };
        let before = answered.partition_point(|(when, _)| *when < attempt.invoked);
        let from = before.checked_sub(1).map_or(base, |last| answered[last].1);
        let after = begun.partition_point(|(when, _)| *when <= attempt.answered);
        let to = begun.get(after).map_or(i64::MAX, |(_, revision)| revision - 1);
        Some(Window { attempt, refused, from, to, instead: None })
    };
    attempts.iter().filter_map(window).collect()
}
