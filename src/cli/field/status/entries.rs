//! What became of each report, in words and for machines.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::field::outbox::{Entry, EntryState, hex};
use crate::cli::field::{shown, victims};
use crate::rpc::pb;

/// A version in words.
pub(super) fn entry_text(entry: &Entry) -> String {
    let report = &entry.report;
    let version = report.base_version + 1;
    let heard = entry.heard();
    let receipt = heard.and_then(|answer| answer.receipt.as_ref());
    let reference =
        receipt.map_or_else(|| shown::short(&report.report_id), |receipt| receipt.reference.clone());
    let mut text = format!("  {reference} {} version {version}: ", shown::kind(report));
    text.push_str(match entry.state {
        EntryState::Waiting => "waits",
        EntryState::Sending if entry.partly.is_some() => "kept in part",
        EntryState::Sending if entry.earlier.is_some() => "acknowledged before, to be sent again",
        EntryState::Sending => "sent, not acknowledged yet",
        EntryState::Acknowledged => "acknowledged",
        EntryState::Refused if entry.is_closed => "REFUSED for good",
        EntryState::Refused => "REFUSED; amend it",
        EntryState::Replaced => "replaced",
    });
    let decided = receipt.map(pb::Receipt::state);
    if let Some(state @ (pb::ReportState::Rejected | pb::ReportState::Voided)) = decided {
        let word = shown::word(state.as_str_name(), "REPORT_STATE_");
        write!(text, "; a reviewer's decision is final: {word}").ok();
    }
    if let Some((told, _)) = heard.and_then(|answer| shown::halt(report, answer)) {
        // It may have been lifted since: the banner says what is in force.
        write!(text, "\n    as of the answer: {told}").ok();
    }
    for hold in heard.iter().flat_map(|answer| &answer.holds) {
        let word = shown::word(hold.reason().as_str_name(), "HOLD_REASON_");
        write!(text, "\n    held, {word}: {}", hold.text).ok();
    }
    if let Some(answer) = entry.partly.as_ref().filter(|_| entry.state == EntryState::Sending) {
        write!(text, "\n    {}", shown::partly(answer)).ok();
    }
    for told in entry.refusal.iter().chain(details_told(entry)) {
        write!(text, "\n    {told}").ok();
    }
    if let Some(told) = refused_halt(entry) {
        write!(text, "\n    {told}").ok();
    }
    text.push('\n');
    text
}

/// Why the service does not keep the details of the victims of a version, which wait here.
fn details_told(entry: &Entry) -> Option<&String> {
    let partly = entry.partly.as_ref().and_then(|answer| answer.details_not_kept.as_ref());
    entry.details_told.as_ref().or(partly.map(|of| &of.text))
}

fn refused_halt(entry: &Entry) -> Option<&'static str> {
    let is_refused = entry.state == EntryState::Refused && entry.heard().is_none();
    shown::refused_halt(&entry.report).filter(|_| is_refused)
}

/// The newest versions that the service answered and that asked for a safety stop which it did not raise, as far as is known,
/// and those that it refused: for each its place, its report and what is told.
pub(super) fn without_stop(entries: &[Entry]) -> Vec<(&Entry, String)> {
    let mut newest = BTreeMap::new();
    for entry in entries {
        if let Some(answer) = entry.heard() {
            newest.insert(&entry.report.report_id, (entry, shown::halt(&entry.report, answer)));
        } else if let Some(told) = refused_halt(entry) {
            let before = newest.get(&entry.report.report_id);
            if before.is_none_or(|(_, halt)| halt.as_ref().is_none_or(|(_, is_raised)| !is_raised)) {
                newest.insert(&entry.report.report_id, (entry, Some((told.to_owned(), false))));
            }
        }
    }
    let told = newest.into_values().filter_map(|(entry, halt)| Some((entry, halt?)));
    let mut told: Vec<_> =
        told.filter(|(_, (_, is_raised))| !is_raised).map(|(entry, (text, _))| (entry, text)).collect();
    told.sort_by_key(|(entry, _)| entry.entry);
    told
}

/// A report that was returned, with the remarks, in words.
pub(super) fn returned_text(stored: &pb::StoredReport) -> String {
    let id = stored.report.as_ref().map(|report| report.report_id.clone()).unwrap_or_default();
    let mut text = format!("  {} RETURNED by {}; amend {id}\n", stored.reference, stored.reviewed_by);
    for remark in &stored.remarks {
        let field = if remark.field.is_empty() { "the whole report" } else { &remark.field };
        writeln!(text, "    {field}: {}", remark.text).ok();
    }
    text
}

/// A version for machines.
pub(super) fn entry_json(entry: &Entry) -> Value {
    let hold = |hold: &pb::Hold| json!({ "reason": hold.reason().as_str_name(), "text": hold.text });
    let heard = entry.heard();
    let halt = heard.and_then(|answer| Some((shown::halt(&entry.report, answer)?.0, answer.halt.as_ref())));
    json!({
        "report_id": entry.report.report_id,
        "reference": shown::short(&entry.report.report_id),
        "kind": shown::kind(&entry.report),
        "version": entry.report.base_version + 1,
        "device_sequence": entry.report.device_sequence,
        "content_sha256": hex(&entry.content_sha256),
        "state": entry.state.to_string(),
        "outcome": entry.answer.as_ref().map(|answer| answer.outcome().as_str_name()),
        "report_state": heard.and_then(|answer| Some(answer.receipt.as_ref()?.state().as_str_name())),
        "holds": heard.iter().flat_map(|answer| &answer.holds).map(hold).collect::<Vec<_>>(),
        "partly": entry.partly.as_ref().and_then(|answer| answer.receipt.as_ref()).map(|receipt| json!({
            "version": receipt.version, "content_sha256": hex(&receipt.content_sha256) })),
        "halt": halt.map(|(text, told)| json!({
            "text": text, "safety_stop_id": told.map(|of| &of.safety_stop_id).filter(|id| !id.is_empty()) })),
        "refusal": entry.refusal,
        "is_closed": entry.is_closed,
        "newest_version": entry.newest,
        "details_not_kept": details_told(entry),
        "victim_ids": victims::of(&entry.report).iter().map(|victim| &victim.victim_id).collect::<Vec<_>>(),
    })
}

/// A report that was returned, for machines.
pub(super) fn returned_json(stored: &pb::StoredReport) -> Value {
    let remark = |remark: &pb::Remark| json!({ "field": remark.field, "text": remark.text });
    json!({
        "report_id": stored.report.as_ref().map(|report| report.report_id.clone()),
        "reference": stored.reference,
        "newest_version": stored.newest_version,
        "remarks": stored.remarks.iter().map(remark).collect::<Vec<_>>(),
    })
}
