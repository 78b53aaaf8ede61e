//! The content of a report: read from JSON, checked as far as a device can, and hashed as the contract says.

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use sha2::{Digest as _, Sha256};

use crate::error::StartError;
use crate::rpc::pb::field_report::Body;
use crate::rpc::{DESCRIPTOR, pb};

/// The most bytes of a report.
const REPORT_BYTES_MAX: usize = 512 * 1_024;
/// The most bytes of its number, which it gets last.
const NUMBER_BYTES_MAX: usize = 11;
/// What the device fills in by itself.
const OWN_FIELDS: [&str; 8] = [
    "report_id",
    "reportId",
    "device_id",
    "deviceId",
    "device_sequence",
    "deviceSequence",
    "base_version",
    "baseVersion",
];

/// Reads a report from JSON, by the proto3 JSON mapping of `FieldReport`, without ids of the device and its clock.
pub fn from_json(text: &str) -> Result<pb::FieldReport, StartError> {
    let refuse = |told: String| StartError::Refused(format!("the report cannot be read: {told}"));
    let value: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| refuse(format!("it is not JSON: {error}; see `safelane field capture --help`")))?;
    if let Some(field) =
        OWN_FIELDS.iter().chain(&["captured", "attachments"]).find(|field| value.get(field).is_some())
    {
        let told = match *field {
            "attachments" => "leave `attachments` out and name the files with --attach".to_owned(),
            field => format!("leave `{field}` out; the device sets it"),
        };
        return Err(refuse(told));
    }
    let pool = DescriptorPool::decode(DESCRIPTOR).map_err(|error| refuse(error.to_string()))?;
    let kind = pool.get_message_by_name("safelane.v1.FieldReport");
    let kind = kind.ok_or_else(|| refuse("FieldReport is unknown".to_owned()))?;
    let read = DynamicMessage::deserialize(kind, value).map_err(|error| refuse(error.to_string()))?;
    pb::FieldReport::decode(read.encode_to_vec().as_slice()).map_err(|error| refuse(error.to_string()))
}

/// Checks what can be checked without the service, all at once. The service checks again, and more.
pub fn check(report: &pb::FieldReport) -> Result<(), StartError> {
    let mut bad: Vec<String> = Vec::new();
    let mut need = |holds: bool, told: &str| {
        if !holds {
            bad.push(told.to_owned());
        }
    };
    need(
        is_uuid(&report.team_id),
        "team_id: give the UUID of the team, or leave it out for that of the outbox",
    );
    need(report.task_id.is_empty() || is_uuid(&report.task_id), "task_id: give the UUID of the task");
    need(
        report.work_date.is_some_and(is_day),
        "work_date: give the day of the work, such as {\"year\": 2026, \"month\": 3, \"day\": 14}",
    );
    need(report.note.chars().count() <= 4_000, "note: give at most 4,000 characters");
    match &report.body {
        None => need(
            false,
            "body: give one of progress, survey, ordnance, completion, spotTask, accident, \
                             riskEducation, inspection or expenseClaim",
        ),
        Some(body) => check_body(report, body, &mut need),
    }
    if bad.is_empty() {
        return Ok(());
    }
    Err(StartError::Refused(format!(
        "the report is not complete; nothing was captured:\n  {}",
        bad.join("\n  ")
    )))
}

/// Checks that a report is not too large, with all that belongs to it.
pub fn check_size(report: &pb::FieldReport) -> Result<(), StartError> {
    let size = report.encoded_len() + NUMBER_BYTES_MAX;
    if size <= REPORT_BYTES_MAX {
        return Ok(());
    }
    Err(StartError::Refused(format!(
        "the report has {size} bytes, and at most {REPORT_BYTES_MAX} are taken; nothing was captured: move long texts \
         into a file, or make two reports of it"
    )))
}

fn check_body(report: &pb::FieldReport, body: &Body, need: &mut impl FnMut(bool, &str)) {
    let task =
        matches!(body, Body::Progress(_) | Body::Survey(_) | Body::Completion(_) | Body::ExpenseClaim(_));
    need(!task || !report.task_id.is_empty(), "task_id: a report of this kind is about a task; name it");
    let areas = match body {
        Body::Progress(of) => &*of.areas,
        Body::Survey(of) => &*of.areas,
        Body::Completion(of) => &*of.areas,
        _ => &[],
    };
    need(areas.iter().all(|area| 0 < area.area_m2), "areas: each area_m2 is above 0");
    let items = match body {
        Body::Ordnance(of) => &*of.items,
        Body::SpotTask(of) => &*of.items,
        Body::Inspection(of) => &*of.finds,
        _ => &[],
    };
    let named = |item: &pb::OrdnanceItem| item.category() != pb::OrdnanceCategory::Unspecified;
    need(
        items.iter().all(|item| named(item) && 0 < item.quantity),
        "items: each has a category and a quantity",
    );
    match body {
        Body::Ordnance(of) => need(!of.items.is_empty(), "ordnance.items: name at least one item"),
        Body::Accident(of) => need(!of.description.is_empty(), "accident.description: say what happened"),
        Body::Progress(of) => {
            let explained = of.not_done_m2 == 0 || !of.not_done_reason.is_empty();
            need(explained, "progress.notDoneReason: say why it was not done");
        }
        _ => {}
    }
}

fn is_uuid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

fn is_day(date: pb::Date) -> bool {
    let part = |value: i32| i8::try_from(value).ok();
    match (i16::try_from(date.year), part(date.month), part(date.day)) {
        (Ok(year), Some(month), Some(day)) => 0 < year && jiff::civil::Date::new(year, month, day).is_ok(),
        _ => false,
    }
}

/// The content hash: SHA-256 of the message in protobuf binary, fields in the order of their numbers and without
/// defaults, in which every victim holds nothing but its id and the hash of its details.
#[must_use]
pub fn sha256_of(report: &pb::FieldReport) -> [u8; 32] {
    Sha256::digest(without_details(report).encode_to_vec()).into()
}

/// The report with every victim as it is stored: the id and the hash of its details.
#[must_use]
pub fn without_details(report: &pb::FieldReport) -> pb::FieldReport {
    let mut told = report.clone();
    if let Some(Body::Accident(accident)) = &mut told.body {
        for victim in &mut accident.victims {
            victim.details = None;
        }
    }
    told
}

/// What a file is by its first bytes, as far as the service takes it.
#[must_use]
pub fn media_type(head: &[u8]) -> Option<&'static str> {
    let at = |from: usize, bytes: &[u8]| head.get(from..).is_some_and(|rest| rest.starts_with(bytes));
    let brand = |names: &[&[u8]]| at(4, b"ftyp") && names.iter().any(|name| at(8, name));
    let found = if at(0, b"\xFF\xD8\xFF") {
        "image/jpeg"
    } else if at(0, b"\x89PNG\r\n\x1A\n") {
        "image/png"
    } else if at(0, b"RIFF") && at(8, b"WEBP") {
        "image/webp"
    } else if brand(&[b"heic", b"heix", b"mif1", b"msf1"]) {
        "image/heic"
    } else if brand(&[b"M4A "]) {
        "audio/mp4"
    } else if brand(&[b""]) {
        "video/mp4"
    } else if at(0, b"ID3") || at(0, b"\xFF\xFB") || at(0, b"\xFF\xF3") {
        "audio/mpeg"
    } else if at(0, b"%PDF-") {
        "application/pdf"
    } else if !head.is_empty() && is_text(head) {
        "text/plain"
    } else {
        return None;
    };
    Some(found)
}

/// A head may end in the middle of a character.
fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return false,
    };
    valid.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_from_json_and_says_all_that_it_lacks() {
        let report =
            from_json(r#"{"workDate": {"year": 2026, "month": 2, "day": 30}, "ordnance": {}}"#).unwrap();
        let told = check(&report).unwrap_err().to_string();
        for field in ["team_id:", "work_date:", "ordnance.items:"] {
            assert!(told.contains(field), "{told}");
        }
        let own = from_json(r#"{"reportId": "0198"}"#).unwrap_err().to_string();
        assert!(own.contains("leave `reportId` out"), "{own}");
        let unknown = from_json(r#"{"workdate": {}}"#).unwrap_err().to_string();
        assert!(unknown.contains("workdate"), "{unknown}");
    }

    #[test]
    fn a_report_is_too_large_with_the_files_that_it_names() {
        let name = "n".repeat(4_000);
        let file = pb::Attachment { name, ..pb::Attachment::default() };
        let of =
            |files| pb::FieldReport { attachments: vec![file.clone(); files], ..pb::FieldReport::default() };
        assert!(check_size(&of(130)).is_ok());
        let told = check_size(&of(131)).unwrap_err().to_string();
        assert!(told.contains("at most 524288"), "{told}");
    }

    #[test]
    fn a_file_is_known_by_its_first_bytes() {
        assert_eq!(media_type(b"\xFF\xD8\xFF\xE0"), Some("image/jpeg"));
        assert_eq!(media_type(b"\0\0\0\x18ftypheic"), Some("image/heic"));
        assert_eq!(media_type("mine d\u{e9}tect".as_bytes()), Some("text/plain"));
        assert_eq!(media_type(b"\x7FELF\x02\x01"), None);
        assert_eq!(media_type(b""), None);
    }
}
