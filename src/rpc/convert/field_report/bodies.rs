//! The bodies of reports: each is checked in full, and answers what rules look at.

use std::collections::BTreeSet;

use crate::domain::activity::ActivityType;
use crate::domain::field_report::{ClaimedArea, Claims, Terrain};
use crate::domain::geometry::Comparisons;
use crate::domain::ids::{ObligationId, SiteId, VictimId};
use crate::domain::site::{ReleaseType, SurveyKind, SurveyResult};
use crate::domain::text::{Note, Reference, Source, Text, Title};
use crate::rpc::convert::site::{AREA_M2_MAX, read_outline};
use crate::rpc::pb;
use crate::rpc::pb::field_report::Body;
use crate::rpc::read::Reader;

use super::files::read_sha256;
use super::parts::{DAY_MINUTES, read_areas, read_items, read_stand_downs, read_worked};

/// The most victims of an accident.
const VICTIMS_MAX: usize = 100;
/// The most minutes of all machines of a day.
const MACHINE_MINUTES_MAX: i32 = 100_000;
/// The most people of one sex and age at a session.
const GROUP_MAX: i32 = 1_000_000;

pub(super) fn read_body(reader: &mut Reader, body: &Body) -> Option<Claims> {
    match body {
        Body::Progress(sent) => read_progress(reader, sent),
        Body::Survey(sent) => read_survey(reader, sent),
        Body::Ordnance(sent) => read_ordnance(reader, sent),
        Body::Completion(sent) => read_completion(reader, sent),
        Body::SpotTask(sent) => {
            let place = reader.parse("report.spot_task.place", Title::parse(&sent.place));
            let items = read_items(reader, "report.spot_task.items", &sent.items);
            place.and(items).map(|()| Claims::default())
        }
        Body::Accident(sent) => read_accident(reader, sent),
        Body::RiskEducation(sent) => read_session(reader, sent),
        Body::Inspection(sent) => read_inspection(reader, sent),
        Body::ExpenseClaim(sent) => read_claim(reader, sent),
    }
}

fn sites_of(areas: &[ClaimedArea]) -> BTreeSet<SiteId> {
    areas.iter().map(|area| area.site).collect()
}

fn read_progress(reader: &mut Reader, sent: &pb::ProgressReport) -> Option<Claims> {
    let at = |name: &str| format!("report.progress.{name}");
    let activity = reader.word(&at("activity"), sent.activity);
    let areas = read_areas(reader, &at("areas"), &sent.areas, &mut Comparisons::default());
    let searched = read_worked(reader, &at("worked"), &sent.worked);
    let machines = reader.within(&at("machine_minutes"), sent.machine_minutes, 0, MACHINE_MINUTES_MAX);
    let stand_downs = read_stand_downs(reader, &at("stand_downs"), &sent.stand_downs);
    let not_done = reader.within(&at("not_done_m2"), sent.not_done_m2, 0, AREA_M2_MAX);
    let reason = reader.parse(&at("not_done_reason"), Note::parse(&sent.not_done_reason));
    if 0 < sent.not_done_m2 && sent.not_done_reason.trim().is_empty() {
        reader.bad(at("not_done_reason"), "is empty; say why that area was not done");
    }
    let terrain: Option<Option<Terrain>> = reader.optional_word(&at("terrain"), sent.terrain);
    stand_downs.and(not_done).and(reason)?;
    let areas = areas?;
    Some(Claims {
        activity: Some(activity?),
        sites: sites_of(&areas),
        areas,
        terrain: terrain?,
        search_minutes: searched?,
        machine_minutes: i64::from(machines?),
        halts_work: false,
    })
}

fn read_survey(reader: &mut Reader, sent: &pb::SurveyReport) -> Option<Claims> {
    let at = |name: &str| format!("report.survey.{name}");
    let site = reader.id(&at("site_id"), &sent.site_id, SiteId::new);
    let kind = reader.word(&at("kind"), sent.kind);
    let result: Option<SurveyResult> = reader.word(&at("result"), sent.result);
    let evidence = reader.parse(&at("evidence"), Text::<1, 4_000>::parse(&sent.evidence));
    let estimate = reader.within(&at("estimated_area_m2"), sent.estimated_area_m2, 0, AREA_M2_MAX);
    let mut left = Comparisons::default();
    let outline = read_outline(reader, &at("boundary_geojson"), &sent.boundary_geojson, &mut left);
    let areas = read_areas(reader, &at("areas"), &sent.areas, &mut left);
    for (index, area) in areas.iter().flatten().enumerate() {
        if area.release == ReleaseType::Cleared {
            reader.bad(format!("{}[{index}].type", at("areas")), "is CLEARED; a survey cancels or reduces");
        }
    }
    result.and(evidence).and(estimate).and(outline)?;
    let areas = areas?;
    let activity = match kind? {
        SurveyKind::Nts => ActivityType::Nts,
        SurveyKind::Ts => ActivityType::Ts,
    };
    let mut sites = sites_of(&areas);
    sites.insert(site?);
    Some(Claims { activity: Some(activity), sites, areas, ..Claims::default() })
}

fn read_ordnance(reader: &mut Reader, sent: &pb::OrdnanceReport) -> Option<Claims> {
    let site = reader.optional_id("report.ordnance.site_id", &sent.site_id, SiteId::new);
    let items = read_items(reader, "report.ordnance.items", &sent.items);
    if sent.items.is_empty() {
        reader.bad("report.ordnance.items", "are none; name what was found");
    }
    items?;
    Some(Claims { sites: site?.into_iter().collect(), ..Claims::default() })
}

fn read_completion(reader: &mut Reader, sent: &pb::CompletionReport) -> Option<Claims> {
    let reference = reader.parse("report.completion.reference", Source::parse(&sent.reference));
    let (field, mut left) = ("report.completion.areas", Comparisons::default());
    let areas = read_areas(reader, field, &sent.areas, &mut left);
    let not_done = reader.parse("report.completion.not_done", Note::parse(&sent.not_done));
    reference.and(not_done)?;
    let areas = areas?;
    Some(Claims { sites: sites_of(&areas), areas, ..Claims::default() })
}

fn read_accident(reader: &mut Reader, sent: &pb::AccidentReport) -> Option<Claims> {
    let at = |name: &str| format!("report.accident.{name}");
    let kind: Option<pb::AccidentKind> = reader.specified(&at("kind"), sent.kind);
    let category = reader.choice(&at("category"), sent.category, Some::<pb::OrdnanceCategory>);
    let told = reader.parse(&at("description"), Text::<1, 4_000>::parse(&sent.description));
    let victims = read_victims(reader, &at("victims"), &sent.victims);
    kind.and(category).and(told).and(victims)?;
    Some(Claims { halts_work: sent.halt_work, ..Claims::default() })
}

fn read_victims(reader: &mut Reader, field: &str, sent: &[pb::Victim]) -> Option<()> {
    if VICTIMS_MAX < sent.len() {
        reader.bad(field, format!("are {}; give at most {VICTIMS_MAX}", sent.len()));
        return None;
    }
    let mut known = BTreeSet::new();
    for (index, victim) in sent.iter().enumerate() {
        let at = |name: &str| format!("{field}[{index}].{name}");
        let id = reader.id(&at("victim_id"), &victim.victim_id, VictimId::new);
        if id.is_some_and(|id| !known.insert(id)) {
            reader.bad(at("victim_id"), "is that of another victim of this report; make one for each");
        }
        if victim.details.is_some() {
            let rule = "personal data is not taken yet; send victim_id and details_sha256 only";
            reader.bad(at("details"), rule);
        }
        read_sha256(reader, &at("details_sha256"), &victim.details_sha256);
    }
    Some(())
}

fn read_session(reader: &mut Reader, sent: &pb::RiskEducationReport) -> Option<Claims> {
    let at = |name: &str| format!("report.risk_education.{name}");
    let topic = reader.parse(&at("topic"), Title::parse(&sent.topic));
    let method = reader.parse(&at("method"), Text::<0, 200>::parse(&sent.method));
    let language = reader.parse(&at("language"), Text::<0, 50>::parse(&sent.language));
    let minutes = reader.within(&at("minutes"), sent.minutes, 1, DAY_MINUTES);
    read_people(reader, &at("direct"), sent.direct);
    read_people(reader, &at("indirect"), sent.indirect);
    topic.and(method).and(language).and(minutes).map(|_| Claims::default())
}

fn read_people(reader: &mut Reader, field: &str, sent: Option<pb::Beneficiaries>) {
    let Some(sent) = sent else { return };
    let groups = [("girls", sent.girls), ("boys", sent.boys), ("women", sent.women), ("men", sent.men)];
    for (name, count) in groups {
        reader.within(&format!("{field}.{name}"), count, 0, GROUP_MAX);
    }
}

fn read_inspection(reader: &mut Reader, sent: &pb::InspectionReport) -> Option<Claims> {
    let at = |name: &str| format!("report.inspection.{name}");
    let result: Option<pb::InspectionResult> = reader.specified(&at("result"), sent.result);
    let sampled = reader.within(&at("sampled_m2"), sent.sampled_m2, 0, AREA_M2_MAX);
    let finds = read_items(reader, &at("finds"), &sent.finds);
    let findings = reader.parse(&at("findings"), Text::<1, 4_000>::parse(&sent.findings));
    let due = reader.optional_date(&at("measures_due"), sent.measures_due);
    if sent.halt_work && result.is_some_and(|result| result != pb::InspectionResult::Critical) {
        reader.bad(at("halt_work"), "is set, but only a CRITICAL result halts work");
    }
    result.and(sampled).and(finds).and(findings).and(due)?;
    Some(Claims { halts_work: sent.halt_work, ..Claims::default() })
}

fn read_claim(reader: &mut Reader, sent: &pb::ExpenseClaim) -> Option<Claims> {
    let at = |name: &str| format!("report.expense_claim.{name}");
    let source: Option<pb::ExpendSource> = reader.specified(&at("source"), sent.source);
    if source == Some(pb::ExpendSource::Available) {
        if !sent.obligation_id.is_empty() {
            reader.bad(at("obligation_id"), "is given, but the source is AVAILABLE; leave it empty");
        }
    } else {
        reader.id(&at("obligation_id"), &sent.obligation_id, ObligationId::new);
    }
    let amount = reader.any_money(&at("amount"), sent.amount.as_ref());
    let category: Option<pb::CostCategory> = reader.specified(&at("category"), sent.category);
    let payee = reader.parse(&at("payee"), Title::parse(&sent.payee));
    let reference = reader.parse(&at("reference"), Reference::parse(&sent.reference));
    source.and(amount).and(category).and(payee).and(reference).map(|_| Claims::default())
}
