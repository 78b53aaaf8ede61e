//! Tasks and what belongs to them, on the wire.

use crate::domain::assignment::{EVACUATION_MINUTES_MAX, MedicalCover};
use crate::domain::field_report::outputs::Outputs;
use crate::domain::ids::{AllocationId, AssetId, OrganizationId, PersonId, ProgramId, SiteId, TaskId};
use crate::domain::task::plan::{AREA_M2_MAX, DEPTH_CM_MAX, PlanEdit, SITES_MAX};
use crate::domain::task::{Completion, Instructions, QualityControl, Task, TaskPlan, TaskState};
use crate::domain::text::{Code, Note, Reference, Source, Title};
use crate::rpc::convert::assignment::medical_cover;
use crate::rpc::convert::outputs::outputs;
use crate::rpc::convert::words::WireWord;
use crate::rpc::convert::{UNSET, date, timestamp};
use crate::rpc::pb;
use crate::rpc::read::Reader;

/// The fields of a plan, by their names in the mask.
pub const PLAN_PATHS: [&str; 12] = [
    "allocation_id",
    "code",
    "title",
    "site_ids",
    "activity",
    "depth_cm",
    "planned_area_m2",
    "team_type",
    "first_day",
    "last_day",
    "operator_id",
    "instructions",
];

/// Reads a task to create.
pub fn read_task(reader: &mut Reader, sent: &pb::Task) -> Option<Task> {
    let id = reader.id("task.task_id", &sent.task_id, TaskId::new);
    let program = reader.id("task.program_id", &sent.program_id, ProgramId::new);
    let edits = read_edits(reader, sent, &PLAN_PATHS);
    // Both were read among the edits, where they were told when they are bad.
    let (code, title) = (Code::parse(&sent.code).ok()?, Title::parse(&sent.title).ok()?);
    let mut plan = TaskPlan::new(code, title);
    edits?.iter().for_each(|edit| edit.write(&mut plan));
    Some(Task {
        id: id?,
        program: program?,
        plan,
        state: TaskState::Draft,
        authority: None,
        country: None,
        order_reference: Reference::default(),
        medical_cover: None,
        suspension: None,
        completion: None,
        quality_controls: Vec::new(),
        handed_over_on: None,
        safety_stops: Vec::new(),
        approved: Outputs::default(),
        created_at: UNSET,
        revision: 0,
    })
}

/// Reads new values of a plan.
pub fn read_edits(reader: &mut Reader, sent: &pb::Task, paths: &[impl AsRef<str>]) -> Option<Vec<PlanEdit>> {
    // All are read before any is missed, so that every bad field is told.
    let read: Vec<_> = paths.iter().map(|path| read_edit(reader, sent, path.as_ref())).collect();
    read.into_iter().collect()
}

fn read_edit(reader: &mut Reader, sent: &pb::Task, path: &str) -> Option<PlanEdit> {
    let field = format!("task.{path}");
    match path {
        "allocation_id" => {
            let id = reader.optional_id(&field, &sent.allocation_id, AllocationId::new);
            id.map(PlanEdit::Allocation)
        }
        "code" => reader.parse(&field, Code::parse(&sent.code)).map(PlanEdit::Code),
        "title" => reader.parse(&field, Title::parse(&sent.title)).map(PlanEdit::Title),
        "site_ids" => read_sites(reader, &sent.site_ids).map(PlanEdit::Sites),
        "activity" => reader.optional_word(&field, sent.activity).map(PlanEdit::Activity),
        "depth_cm" => reader.within(&field, sent.depth_cm, 0, DEPTH_CM_MAX).map(PlanEdit::Depth),
        "planned_area_m2" => {
            reader.within(&field, sent.planned_area_m2, 0, AREA_M2_MAX).map(PlanEdit::PlannedArea)
        }
        "team_type" => reader.optional_word(&field, sent.team_type).map(PlanEdit::TeamType),
        "first_day" => reader.optional_date(&field, sent.first_day).map(PlanEdit::FirstDay),
        "last_day" => reader.optional_date(&field, sent.last_day).map(PlanEdit::LastDay),
        "operator_id" => {
            let id = reader.optional_id(&field, &sent.operator_id, OrganizationId::new);
            id.map(PlanEdit::Operator)
        }
        "instructions" => {
            reader.parse(&field, Instructions::parse(&sent.instructions)).map(PlanEdit::Instructions)
        }
        _ => {
            reader.bad("update_mask", format!("{path} is not a field of the plan"));
            None
        }
    }
}

fn read_sites(reader: &mut Reader, sent: &[String]) -> Option<Vec<SiteId>> {
    if SITES_MAX < sent.len() {
        reader.bad("task.site_ids", format!("names {} sites; {SITES_MAX} is the most", sent.len()));
        return None;
    }
    let mut sites: Vec<Option<SiteId>> = Vec::with_capacity(sent.len());
    for (index, text) in sent.iter().enumerate() {
        let field = format!("task.site_ids[{index}]");
        let site = reader.id(&field, text, SiteId::new);
        if site.is_some() && sites.contains(&site) {
            reader.bad(field, format!("{text} is named twice"));
            sites.push(None);
        } else {
            sites.push(site);
        }
    }
    sites.into_iter().collect()
}

/// Reads medical cover.
pub fn read_medical_cover(reader: &mut Reader, at: &str, sent: &pb::MedicalCover) -> Option<MedicalCover> {
    let field = |name: &str| format!("{at}.{name}");
    let paramedic = reader.id(&field("paramedic_id"), &sent.paramedic_id, PersonId::new);
    let ambulance = reader.id(&field("ambulance_id"), &sent.ambulance_id, AssetId::new);
    let hospital = reader.parse(&field("hospital"), Title::parse(&sent.hospital));
    let minutes =
        reader.within(&field("evacuation_minutes"), sent.evacuation_minutes, 1, EVACUATION_MINUTES_MAX);
    let drill_on = reader.optional_date(&field("drill_on"), sent.drill_on);
    Some(MedicalCover {
        paramedic: paramedic?,
        ambulance: ambulance?,
        hospital: hospital?,
        evacuation_minutes: minutes?,
        drill_on: drill_on?,
    })
}

/// Reads a completion report.
pub fn read_completion(reader: &mut Reader, sent: &pb::Completion) -> Option<Completion> {
    let completed_on = reader.date("completion.completed_on", sent.completed_on);
    let reference = reader.parse("completion.reference", Source::parse(&sent.reference));
    let not_done = reader.parse("completion.not_done", Note::parse(&sent.not_done));
    Some(Completion { completed_on: completed_on?, reference: reference?, not_done: not_done? })
}

/// Reads an inspection.
pub fn read_quality_control(reader: &mut Reader, sent: &pb::QualityControl) -> Option<QualityControl> {
    let inspected_on = reader.date("quality_control.inspected_on", sent.inspected_on);
    let reference = reader.parse("quality_control.reference", Source::parse(&sent.reference));
    let sampled_m2 = reader.within("quality_control.sampled_m2", sent.sampled_m2, 0, AREA_M2_MAX);
    let remarks = reader.parse("quality_control.remarks", Note::parse(&sent.remarks));
    Some(QualityControl {
        inspected_on: inspected_on?,
        passed: sent.passed,
        reference: reference?,
        sampled_m2: sampled_m2?,
        remarks: remarks?,
    })
}

/// A task for the wire.
#[must_use]
pub fn task(of: &Task) -> pb::Task {
    let plan = &of.plan;
    pb::Task {
        task_id: of.id.to_string(),
        program_id: of.program.to_string(),
        allocation_id: plan.allocation.map(|id| id.to_string()).unwrap_or_default(),
        code: plan.code.to_string(),
        title: plan.title.as_str().to_owned(),
        site_ids: plan.sites.iter().map(ToString::to_string).collect(),
        activity: plan.activity.map(WireWord::wire).unwrap_or_default(),
        depth_cm: plan.depth_cm,
        planned_area_m2: plan.planned_area_m2,
        team_type: plan.team_type.map(WireWord::wire).unwrap_or_default(),
        first_day: plan.first_day.map(date),
        last_day: plan.last_day.map(date),
        operator_id: plan.operator.map(|id| id.to_string()).unwrap_or_default(),
        instructions: plan.instructions.as_str().to_owned(),
        state: of.state.wire(),
        order_reference: of.order_reference.as_str().to_owned(),
        medical_cover: of.medical_cover.as_ref().map(medical_cover),
        suspension_cause: of.suspension.map(|(cause, _)| cause.wire()).unwrap_or_default(),
        completion: of.completion.as_ref().map(completion),
        quality_controls: of.quality_controls.iter().map(quality_control).collect(),
        handed_over_on: of.handed_over_on.map(date),
        safety_stop_ids: of.safety_stops.iter().map(ToString::to_string).collect(),
        country_code: of.country.map(|country| country.as_str().to_owned()).unwrap_or_default(),
        created_at: Some(timestamp(of.created_at)),
        revision: of.revision,
        approved: Some(Box::new(outputs(&of.approved))),
    }
}

fn completion(of: &Completion) -> pb::Completion {
    pb::Completion {
        completed_on: Some(date(of.completed_on)),
        reference: of.reference.as_str().to_owned(),
        not_done: of.not_done.as_str().to_owned(),
    }
}

fn quality_control(of: &QualityControl) -> pb::QualityControl {
    pb::QualityControl {
        inspected_on: Some(date(of.inspected_on)),
        passed: of.passed,
        reference: of.reference.as_str().to_owned(),
        sampled_m2: of.sampled_m2,
        remarks: of.remarks.as_str().to_owned(),
    }
}
