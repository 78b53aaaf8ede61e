//! Words for people: stops, reports and ages.

use uuid::Uuid;

use crate::cli::field::outbox::BrokenFile;
use crate::cli::field::places::Places;
use crate::domain::field_report::reference::reference;
use crate::domain::ids::ReportId;
use crate::rpc::pb;

/// A safety stop in one line.
pub(super) fn stop(stop: &pb::SafetyStop, places: &Places) -> String {
    let what = places.stopped(stop);
    let since = stop.issued_at.map(|at| format!(" since {}", instant(at))).unwrap_or_default();
    format!("{what}{since}, by {}: {}", stop.issued_by, stop.reason)
}

/// What became of a version that a service keeps in part.
pub(super) fn partly(answer: &pb::SubmitReportResponse) -> String {
    let version = answer.receipt.as_ref().map(|receipt| receipt.version).unwrap_or_default();
    format!(
        "the service does not know all fields of this app yet, and keeps version {version} without them; the whole report \
         stays here, and each sync sends it again: tell the office that the service has to be brought up to date"
    )
}

/// What is told of a safety stop that a report asks for, when an older service does not say what became of it.
const HALT_NOT_KNOWN: &str = "it is NOT KNOWN whether the work stands still: the service is older than this app and does not \
                              say whether it raised the safety stop; call your coordinator at once";

/// What became of the safety stop that a report asks for, and whether there is one. None when it asks for none.
pub(super) fn halt(report: &pb::FieldReport, answer: &pb::SubmitReportResponse) -> Option<(String, bool)> {
    match &answer.halt {
        Some(halt) => Some((halt.text.clone(), !halt.safety_stop_id.is_empty())),
        None => asks_for_a_stop(report).then(|| (HALT_NOT_KNOWN.to_owned(), false)),
    }
}

/// That no stop was raised, where a report that asks for one was refused.
pub(super) fn refused_halt(report: &pb::FieldReport) -> Option<&'static str> {
    asks_for_a_stop(report).then_some(
        "NO safety stop was raised: the report was refused; call your coordinator and the mine action authority at once, \
         who can stop the work",
    )
}

fn asks_for_a_stop(report: &pb::FieldReport) -> bool {
    use pb::field_report::Body;
    match &report.body {
        Some(Body::Accident(accident)) => accident.halt_work,
        Some(Body::Inspection(inspection)) => inspection.halt_work,
        _ => false,
    }
}

/// A file that cannot be uploaded, as people know it.
pub(super) fn broken(file: &BrokenFile) -> String {
    format!("{} of report {}: {}", file.name, short(&file.report_id), file.told)
}

/// The short reference of a report, as the service makes it.
pub(super) fn short(report_id: &str) -> String {
    Uuid::try_parse(report_id).map_or_else(|_| report_id.to_owned(), |id| reference(ReportId::new(id)))
}

/// Which kind a report is, in a word.
pub(super) fn kind(report: &pb::FieldReport) -> &'static str {
    use pb::field_report::Body;
    match &report.body {
        Some(Body::Progress(_)) => "progress",
        Some(Body::Survey(_)) => "survey",
        Some(Body::Ordnance(_)) => "ordnance",
        Some(Body::Completion(_)) => "completion",
        Some(Body::SpotTask(_)) => "spot task",
        Some(Body::Accident(_)) => "accident",
        Some(Body::RiskEducation(_)) => "risk education",
        Some(Body::Inspection(_)) => "inspection",
        Some(Body::ExpenseClaim(_)) => "expense claim",
        None => "report",
    }
}

/// How long ago, in the largest unit that says enough.
pub(super) fn age(seconds: i64) -> String {
    let (count, unit) = match seconds {
        ..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

/// Bytes in a unit that people can compare.
pub(super) fn size(bytes: i64) -> String {
    match bytes {
        ..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

fn instant(at: prost_types::Timestamp) -> String {
    jiff::Timestamp::new(at.seconds, at.nanos).map(|at| at.to_string()).unwrap_or_default()
}

/// Words of a hold or state without the name of its list.
pub(super) fn word(name: &str, of: &str) -> String {
    name.trim_start_matches(of).to_lowercase().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_the_largest_unit() {
        let told: Vec<String> = [1, 59, 60, 7_200, 9 * 86_400].into_iter().map(age).collect();
        assert_eq!(told, ["1 second ago", "59 seconds ago", "1 minute ago", "2 hours ago", "9 days ago"]);
    }
}
