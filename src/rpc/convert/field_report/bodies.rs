//! The bodies of reports: each is checked in full, and answers what rules look at.

use std::collections::BTreeSet;

use crate::domain::activity::ActivityType;
use crate::domain::field_report::outputs::{Outputs, People};
use crate::domain::field_report::{
    ClaimedArea, ClaimedCompletion, ClaimedExpense, ClaimedSource, Claims, Terrain,
};
use crate::domain::geometry::Comparisons;
use crate::domain::ids::{ObligationId, OrganizationId, SiteId};
use crate::domain::safety_stop::SafetyStopCause;
use crate::domain::site::{ReleaseType, SurveyKind, SurveyResult};
use crate::domain::text::{Note, Reference, Source, Text, Title};
use crate::rpc::convert::entry::read_category;
use crate::rpc::convert::site::{AREA_M2_MAX, read_outline, read_position};
use crate::rpc::pb;
use crate::rpc::pb::field_report::Body;
use crate::rpc::read::Reader;

use super::parts::{DAY_MINUTES, read_all, read_areas, read_items, read_stand_downs, read_worked, released};
use super::victims::read_victims;

/// The most minutes of all machines of a day.
const MACHINE_MINUTES_MAX: i32 = 100_000;
/// The most categories of ordnance that are suspected: more than there are.
const SUSPECTED_MAX: usize = 20;
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
            let users = read_users(reader, "report.spot_task", (sent.direct, sent.indirect));
            place.and(users).and(items).map(destroyed)
        }
        Body::Accident(sent) => read_accident(reader, sent),
        Body::RiskEducation(sent) => read_session(reader, sent),
        Body::Inspection(sent) => read_inspection(reader, sent),
        Body::ExpenseClaim(sent) => read_claim(reader, sent),
    }
}

fn destroyed(outputs: Outputs) -> Claims {
    Claims { outputs, ..Claims::default() }
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
    let (areas, (searchers, search_minutes)) = (areas?, searched?);
    Some(Claims {
        activity: Some(activity?),
        sites: sites_of(&areas),
        outputs: released(&areas),
        areas,
        terrain: terrain?,
        searchers,
        search_minutes,
        machine_minutes: i64::from(machines?),
        ..Claims::default()
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
    let known = reader.choice(&at("evidence_type"), sent.evidence_type, Some::<pb::EvidenceType>);
    let suspected = read_suspected(reader, &at("suspected"), &sent.suspected);
    let users = read_users(reader, "report.survey", (sent.direct, sent.indirect));
    result.and(evidence).and(estimate).and(outline).and(known).and(suspected).and(users)?;
    let areas = areas?;
    let activity = match kind? {
        SurveyKind::Nts => ActivityType::Nts,
        SurveyKind::Ts => ActivityType::Ts,
    };
    let mut sites = sites_of(&areas);
    sites.insert(site?);
    Some(Claims { activity: Some(activity), sites, outputs: released(&areas), areas, ..Claims::default() })
}

fn read_ordnance(reader: &mut Reader, sent: &pb::OrdnanceReport) -> Option<Claims> {
    let site = reader.optional_id("report.ordnance.site_id", &sent.site_id, SiteId::new);
    let items = read_items(reader, "report.ordnance.items", &sent.items);
    if sent.items.is_empty() {
        reader.bad("report.ordnance.items", "are none; name what was found");
    }
    Some(Claims { sites: site?.into_iter().collect(), ..destroyed(items?) })
}

fn read_completion(reader: &mut Reader, sent: &pb::CompletionReport) -> Option<Claims> {
    let reference = reader.parse("report.completion.reference", Source::parse(&sent.reference));
    let (field, mut left) = ("report.completion.areas", Comparisons::default());
    let areas = read_areas(reader, field, &sent.areas, &mut left);
    let not_done = reader.parse("report.completion.not_done", Note::parse(&sent.not_done));
    read_users(reader, "report.completion", (sent.direct, sent.indirect))?;
    let (areas, completion) = (areas?, ClaimedCompletion { reference: reference?, not_done: not_done? });
    Some(Claims {
        sites: sites_of(&areas),
        outputs: released(&areas),
        areas,
        completion: Some(completion),
        ..Claims::default()
    })
}

fn read_accident(reader: &mut Reader, sent: &pb::AccidentReport) -> Option<Claims> {
    let at = |name: &str| format!("report.accident.{name}");
    let kind: Option<pb::AccidentKind> = reader.specified(&at("kind"), sent.kind);
    let category = reader.choice(&at("category"), sent.category, Some::<pb::OrdnanceCategory>);
    let told = reader.parse(&at("description"), Text::<1, 4_000>::parse(&sent.description));
    let victims = read_victims(reader, &at("victims"), &sent.victims);
    let position = read_position(reader, &at("position"), sent.position.as_ref());
    kind.and(category).and(told).and(victims).and(position)?;
    let halts = sent.halt_work.then_some(SafetyStopCause::Accident);
    Some(Claims { halts, ..Claims::default() })
}

fn read_session(reader: &mut Reader, sent: &pb::RiskEducationReport) -> Option<Claims> {
    let at = |name: &str| format!("report.risk_education.{name}");
    let topic = reader.parse(&at("topic"), Title::parse(&sent.topic));
    let method = reader.parse(&at("method"), Text::<0, 200>::parse(&sent.method));
    let language = reader.parse(&at("language"), Text::<0, 50>::parse(&sent.language));
    let minutes = reader.within(&at("minutes"), sent.minutes, 1, DAY_MINUTES);
    let direct = read_people(reader, &at("direct"), sent.direct);
    let indirect = read_people(reader, &at("indirect"), sent.indirect);
    topic.and(method).and(language).and(minutes)?;
    let mut outputs = Outputs::default();
    outputs.reach(direct?, indirect?);
    Some(Claims { outputs, ..Claims::default() })
}

/// Who uses the land that a report is about. They are checked, and count nowhere.
fn read_users(
    reader: &mut Reader,
    body: &str,
    (direct, indirect): (Option<pb::Beneficiaries>, Option<pb::Beneficiaries>),
) -> Option<()> {
    let direct = read_people(reader, &format!("{body}.direct"), direct);
    let indirect = read_people(reader, &format!("{body}.indirect"), indirect);
    direct.and(indirect).map(|_| ())
}

fn read_suspected(reader: &mut Reader, field: &str, sent: &[i32]) -> Option<()> {
    let mut known = BTreeSet::new();
    let all = read_all(reader, field, (sent, SUSPECTED_MAX), |reader, field, category| {
        let read: Option<pb::OrdnanceCategory> = reader.specified(field, *category);
        if known.insert(*category) {
            return read;
        }
        reader.bad(field, "is there before; name each category once");
        None
    });
    all.map(|_| ())
}

fn read_people(reader: &mut Reader, field: &str, sent: Option<pb::Beneficiaries>) -> Option<People> {
    let sent = sent.unwrap_or_default();
    let mut read = |name: &str, count: i32| {
        reader.within(&format!("{field}.{name}"), count, 0, GROUP_MAX).map(i64::from)
    };
    let (girls, boys) = (read("girls", sent.girls), read("boys", sent.boys));
    let (women, men) = (read("women", sent.women), read("men", sent.men));
    Some(People { girls: girls?, boys: boys?, women: women?, men: men? })
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
    let activity = reader.choice(&at("activity"), sent.activity, Some::<pb::ActivityType>);
    let inspected = reader.optional_id(&at("organization_id"), &sent.organization_id, OrganizationId::new);
    let nonconformity = reader.parse(&at("nonconformity"), Text::<0, 200>::parse(&sent.nonconformity));
    let measures = reader.parse(&at("measures"), Text::<0, 4_000>::parse(&sent.measures));
    activity.and(inspected).and(nonconformity).and(measures)?;
    result.and(sampled).and(findings).and(due)?;
    let halts = sent.halt_work.then_some(SafetyStopCause::CriticalNonconformity);
    Some(Claims { halts, ..destroyed(finds?) })
}

fn read_claim(reader: &mut Reader, sent: &pb::ExpenseClaim) -> Option<Claims> {
    let at = |name: &str| format!("report.expense_claim.{name}");
    let source = read_source(reader, sent);
    let amount = reader.any_money(&at("amount"), sent.amount.as_ref());
    let category = reader.choice(&at("category"), sent.category, read_category);
    let payee = reader.parse(&at("payee"), Title::parse(&sent.payee));
    let reference = reader.parse(&at("reference"), Reference::parse(&sent.reference));
    let expense = ClaimedExpense {
        source: source?,
        amount: amount?,
        category: category?,
        payee: payee?,
        reference: reference?,
    };
    Some(Claims { expense: Some(expense), ..Claims::default() })
}

fn read_source(reader: &mut Reader, sent: &pb::ExpenseClaim) -> Option<ClaimedSource> {
    const OBLIGATION: &str = "report.expense_claim.obligation_id";
    let source: Option<pb::ExpendSource> = reader.specified("report.expense_claim.source", sent.source);
    if source == Some(pb::ExpendSource::Available) {
        if !sent.obligation_id.is_empty() {
            reader.bad(OBLIGATION, "is given, but the source is AVAILABLE; leave it empty");
        }
        return Some(ClaimedSource::Available);
    }
    let id = reader.id(OBLIGATION, &sent.obligation_id, ObligationId::new);
    match source? {
        pb::ExpendSource::Advanced => id.map(ClaimedSource::Advanced),
        _ => id.map(ClaimedSource::Obligated),
    }
}
