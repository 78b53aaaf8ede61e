//! Assignments on the wire.

use std::collections::HashSet;

use jiff::civil::Date;

use crate::app::assignment::{ASSETS_MAX, DAYS_MAX, Proposal};
use crate::app::person::NamesByPerson;
use crate::domain::assignment::facts::{Asked, AskedCover};
use crate::domain::assignment::{
    AssignedPerson, Assignment, EVACUATION_MINUTES_MAX, Finding, MedicalCover, Override,
};
use crate::domain::ids::{AssetId, AssignmentId, PersonId, TaskId, TeamId};
use crate::domain::text::Title;
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::convert::{date, timestamp};
use crate::rpc::pb;
use crate::rpc::read::Reader;

/// Reads who is to be sent where, when and with what. Medical cover may be missing or have gaps: that is a finding,
/// not a bad field.
pub fn read_proposal(reader: &mut Reader, sent: &pb::Assignment) -> Option<Proposal> {
    let team = reader.id("assignment.team_id", &sent.team_id, TeamId::new);
    let task = reader.id("assignment.task_id", &sent.task_id, TaskId::new);
    let days = read_days(reader, "assignment.", sent.first_day, sent.last_day);
    let assets = read_assets(reader, sent);
    let cover = match &sent.medical_cover {
        None => Some(AskedCover::default()),
        Some(cover) => read_cover(reader, "assignment.medical_cover", cover),
    };
    if let (Some(assets), Some(AskedCover { ambulance: Some(ambulance), .. })) = (&assets, &cover)
        && let Some(index) = assets.iter().position(|id| id == ambulance)
    {
        let rule = "is the ambulance of the medical cover; it is not taken along besides";
        reader.bad(format!("assignment.asset_ids[{index}]"), rule);
    }
    let (first_day, last_day) = days?;
    let asked = Asked { first_day, last_day, cover: cover? };
    Some(Proposal { team: team?, task: task?, asked, assets: assets? })
}

/// Days with an end, at most [`DAYS_MAX`] of them.
pub fn read_days(
    reader: &mut Reader,
    field: &str,
    first: Option<pb::Date>,
    last: Option<pb::Date>,
) -> Option<(Date, Date)> {
    let first = reader.date(&format!("{field}first_day"), first);
    let field = format!("{field}last_day");
    let (last, first) = (reader.date(&field, last)?, first?);
    let count = i64::from(first.until(last).map_or(i32::MAX, |span| span.get_days())) + 1;
    if last < first {
        reader.bad(field, format!("{last} is before the first day {first}"));
        return None;
    }
    if DAYS_MAX < count {
        reader.bad(field, format!("{last} makes it {count} days; give at most {DAYS_MAX}"));
        return None;
    }
    Some((first, last))
}

fn read_assets(reader: &mut Reader, sent: &pb::Assignment) -> Option<Vec<AssetId>> {
    let count = sent.asset_ids.len();
    if ASSETS_MAX < count {
        reader.bad("assignment.asset_ids", format!("has {count} ids; give at most {ASSETS_MAX}"));
        return None;
    }
    let (mut ids, mut seen) = (Vec::with_capacity(count), HashSet::new());
    for (index, text) in sent.asset_ids.iter().enumerate() {
        let field = format!("assignment.asset_ids[{index}]");
        let id = reader.id(&field, text, AssetId::new);
        if id.is_some_and(|id| !seen.insert(id)) {
            reader.bad(field, "is there twice; give each asset once");
        }
        ids.push(id);
    }
    ids.into_iter().collect()
}

/// Reads medical cover of which parts may be missing.
fn read_cover(reader: &mut Reader, field: &str, sent: &pb::MedicalCover) -> Option<AskedCover> {
    let of = |name: &str| format!("{field}.{name}");
    let paramedic = reader.optional_id(&of("paramedic_id"), &sent.paramedic_id, PersonId::new);
    let ambulance = reader.optional_id(&of("ambulance_id"), &sent.ambulance_id, AssetId::new);
    let hospital = reader.optional(&of("hospital"), &sent.hospital, Title::parse);
    let minutes = match sent.evacuation_minutes {
        0 => Some(None),
        given => reader.within(&of("evacuation_minutes"), given, 1, EVACUATION_MINUTES_MAX).map(Some),
    };
    let drill_on = reader.optional_date(&of("drill_on"), sent.drill_on);
    Some(AskedCover {
        paramedic: paramedic?,
        ambulance: ambulance?,
        hospital: hospital?,
        evacuation_minutes: minutes?,
        drill_on: drill_on?,
    })
}

/// Medical cover for the wire.
#[must_use]
pub fn medical_cover(of: &MedicalCover) -> pb::MedicalCover {
    pb::MedicalCover {
        paramedic_id: of.paramedic.to_string(),
        ambulance_id: of.ambulance.to_string(),
        hospital: of.hospital.as_str().to_owned(),
        evacuation_minutes: of.evacuation_minutes,
        drill_on: of.drill_on.map(date),
    }
}

/// A finding for the wire.
#[must_use]
pub fn finding(of: &Finding) -> pb::Finding {
    pb::Finding {
        reason: of.reason.wire(),
        text: of.text.clone(),
        subject_id: of.subject.to_string(),
        first_day: of.first_day.map(date),
        blocking_id: of.blocking.as_ref().map(AssignmentId::to_string).unwrap_or_default(),
        overridable: of.reason.overridable(),
        subject_name: String::new(),
    }
}

/// Findings for an answer that is not kept, with the names of the persons whom they are about.
#[must_use]
pub fn findings(of: &[Finding], names: &NamesByPerson) -> Vec<pb::Finding> {
    let shown = |of: &Finding| {
        let name = names.get(&PersonId::new(of.subject));
        let subject_name = name.map(|name| name.as_str().to_owned()).unwrap_or_default();
        pb::Finding { subject_name, ..finding(of) }
    };
    of.iter().map(shown).collect()
}

fn overridden(of: &Override) -> pb::Override {
    pb::Override {
        reason: of.reason.as_str().to_owned(),
        by: of.by.clone(),
        findings: of.findings.iter().map(finding).collect(),
    }
}

fn person(of: &AssignedPerson) -> pb::AssignedPerson {
    pb::AssignedPerson {
        person_id: of.person.to_string(),
        first_day: Some(date(of.first_day)),
        last_day: Some(date(of.last_day)),
    }
}

/// An assignment for the wire.
#[must_use]
pub fn assignment(of: &Assignment) -> pb::Assignment {
    pb::Assignment {
        assignment_id: of.id.to_string(),
        team_id: of.team.to_string(),
        program_id: of.program.to_string(),
        task_id: of.task.to_string(),
        first_day: Some(date(of.first_day)),
        last_day: Some(date(of.last_day)),
        asset_ids: of.assets.iter().map(AssetId::to_string).collect(),
        medical_cover: Some(medical_cover(&of.medical_cover)),
        r#override: of.overridden.as_ref().map(overridden),
        organization_id: of.organization.to_string(),
        people: of.people.iter().map(person).collect(),
        state: of.state.wire(),
        created_at: Some(timestamp(of.created_at)),
        revision: of.revision,
        end_reason: of.end_reason.as_ref().map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
    }
}
