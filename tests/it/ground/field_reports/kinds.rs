//! Every kind of report, whole and as bad as it can be.

use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;

use super::rig::{Tablet, item, outcome};
use crate::bad_input::{day, names};
use crate::harness::{fresh_id, in_world};

/// A good report of every kind.
fn every_kind(tablet: &Tablet) -> Vec<pb::FieldReport> {
    let cancelled = pb::ReleasedArea {
        site_id: tablet.site(),
        r#type: pb::ReleaseType::Cancelled.into(),
        area_m2: 900,
        ..pb::ReleasedArea::default()
    };
    let people = pb::Beneficiaries { girls: 12, boys: 9, women: 20, men: 4 };
    let survey = pb::SurveyReport {
        site_id: tablet.site(),
        kind: pb::SurveyKind::Ts.into(),
        result: pb::SurveyResult::NoEvidence.into(),
        evidence: "Ploughed for ten years".to_owned(),
        areas: vec![cancelled.clone()],
        evidence_type: pb::EvidenceType::Indirect.into(),
        suspected: vec![pb::OrdnanceCategory::ApMine.into(), pb::OrdnanceCategory::AvMine.into()],
        direct: Some(people),
        ..pb::SurveyReport::default()
    };
    let victim = pb::Victim { victim_id: fresh_id(), details_sha256: vec![7; 32], details: None };
    let accident = pb::AccidentReport {
        kind: pb::AccidentKind::DeminingAccident.into(),
        category: pb::OrdnanceCategory::ApMine.into(),
        description: "A mine went off while it was uncovered".to_owned(),
        victims: vec![victim],
        halt_work: true,
        position: Some(pb::Position { latitude: -18.97, longitude: 32.67, accuracy_m: 5 }),
    };
    let session = pb::RiskEducationReport {
        topic: "What to do in a minefield".to_owned(),
        minutes: 45,
        direct: Some(people),
        ..pb::RiskEducationReport::default()
    };
    let inspection = pb::InspectionReport {
        result: pb::InspectionResult::Critical.into(),
        sampled_m2: 40,
        finds: vec![item()],
        findings: "A mine in cleared land".to_owned(),
        measures_due: Some(day(1998, 6, 20)),
        halt_work: true,
        activity: pb::ActivityType::ManualClearance.into(),
        organization_id: fresh_id(),
        nonconformity: "search of lanes".to_owned(),
        measures: "The lane was searched again".to_owned(),
    };
    let claim = pb::ExpenseClaim {
        source: pb::ExpendSource::Available.into(),
        amount: Some(pb::Money { currency_code: "USD".to_owned(), minor_units: 4_250 }),
        category: pb::CostCategory::Vehicles.into(),
        payee: "Filling station in Mutare".to_owned(),
        ..pb::ExpenseClaim::default()
    };
    let completion = pb::CompletionReport {
        reference: "CR-12".to_owned(),
        areas: vec![cancelled],
        not_done: String::new(),
        direct: Some(people),
        indirect: Some(people),
    };
    let other = pb::OrdnanceItem {
        condition: pb::OrdnanceCondition::Other.into(),
        disposal: pb::OrdnanceDisposal::Other.into(),
        note: "Cast in concrete, fenced".to_owned(),
        ..item()
    };
    let spot = pb::SpotTaskReport {
        place: "The well".to_owned(),
        items: vec![item(), other],
        direct: Some(people),
        indirect: None,
    };
    let mut survey = tablet.report(Body::Survey(survey));
    survey.captured.as_mut().unwrap().gnss_time =
        Some(prost_types::Timestamp { seconds: 897_900_000, nanos: 1 });
    vec![
        tablet.progress(400),
        survey,
        tablet.find(),
        tablet.report(Body::Completion(completion)),
        tablet.report(Body::SpotTask(spot)),
        tablet.report(Body::Accident(accident)),
        tablet.report(Body::RiskEducation(session)),
        tablet.report(Body::Inspection(inspection)),
        tablet.report(Body::ExpenseClaim(claim)),
    ]
}

#[tokio::test]
async fn a_report_of_every_kind_is_stored_and_read_back() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        for (number, report) in (1..).zip(every_kind(&tablet)) {
            let answer = tablet.submit(&report).await.unwrap_or_else(|refused| panic!("{number}: {refused}"));
            let stored = tablet.get(&report.report_id, 0).await;
            assert_eq!((stored.kind, stored.report.as_ref()), (number, Some(&report)));
            assert_eq!(stored.holds, answer.holds);
            // Nobody is accredited for technical survey here.
            let expected = if number == 2 { "HELD" } else { "STORED" };
            assert_eq!(outcome(&answer), expected, "{number}: {answer:?}");
        }
    })
    .await;
}

/// Bodies about the ground that are as bad as can be, and what is wrong with them.
fn bad_on_the_ground(site: &str) -> Vec<(Body, &'static [&'static str])> {
    vec![
        (
            Body::Progress(pb::ProgressReport {
                worked: vec![pb::WorkedHours { role: 0, people: 2, minutes: 2_881 }],
                stand_downs: vec![pb::StandDown { cause: 0, minutes: 0, note: "\u{1}".to_owned() }],
                ..pb::ProgressReport::default()
            }),
            &[
                "report.progress.activity",
                "report.progress.worked[0].role",
                "report.progress.worked[0].minutes",
                "report.progress.stand_downs[0].cause",
                "report.progress.stand_downs[0].minutes",
                "report.progress.stand_downs[0].note",
            ],
        ),
        (
            Body::Survey(pb::SurveyReport {
                estimated_area_m2: -1,
                evidence_type: 3,
                suspected: vec![1, 1, 0],
                indirect: Some(pb::Beneficiaries { boys: -1, ..pb::Beneficiaries::default() }),
                boundary_geojson: "{}".to_owned(),
                areas: vec![pb::ReleasedArea {
                    site_id: site.to_owned(),
                    r#type: pb::ReleaseType::Cleared.into(),
                    area_m2: 1,
                    depth_cm: 1,
                    ..pb::ReleasedArea::default()
                }],
                ..pb::SurveyReport::default()
            }),
            &[
                "report.survey.site_id",
                "report.survey.kind",
                "report.survey.result",
                "report.survey.evidence",
                "report.survey.estimated_area_m2",
                "report.survey.boundary_geojson.type",
                "report.survey.areas[0].type",
                "report.survey.evidence_type",
                "report.survey.suspected[1]",
                "report.survey.suspected[2]",
                "report.survey.indirect.boys",
            ],
        ),
        (Body::Ordnance(pb::OrdnanceReport::default()), &["report.ordnance.items"]),
        (
            Body::Ordnance(pb::OrdnanceReport {
                items: vec![pb::OrdnanceItem { condition: pb::OrdnanceCondition::Other.into(), ..item() }],
                ..pb::OrdnanceReport::default()
            }),
            &["report.ordnance.items[0].note"],
        ),
        (
            Body::Completion(pb::CompletionReport {
                direct: Some(pb::Beneficiaries { women: -1, ..pb::Beneficiaries::default() }),
                ..pb::CompletionReport::default()
            }),
            &["report.completion.reference", "report.completion.direct.women"],
        ),
        (
            Body::SpotTask(pb::SpotTaskReport {
                direct: Some(pb::Beneficiaries { men: -1, ..pb::Beneficiaries::default() }),
                ..pb::SpotTaskReport::default()
            }),
            &["report.spot_task.place", "report.spot_task.direct.men"],
        ),
    ]
}

/// The same of the other bodies.
fn bad_elsewhere() -> Vec<(Body, &'static [&'static str])> {
    vec![
        (
            Body::Accident(pb::AccidentReport {
                category: 99,
                victims: vec![pb::Victim::default()],
                position: Some(pb::Position { latitude: 91.0, ..pb::Position::default() }),
                ..pb::AccidentReport::default()
            }),
            &[
                "report.accident.kind",
                "report.accident.category",
                "report.accident.description",
                "report.accident.victims[0].victim_id",
                "report.accident.victims[0].details_sha256",
                "report.accident.position.latitude",
            ],
        ),
        (
            Body::RiskEducation(pb::RiskEducationReport {
                direct: Some(pb::Beneficiaries { girls: -1, ..pb::Beneficiaries::default() }),
                indirect: Some(pb::Beneficiaries { men: 1_000_001, ..pb::Beneficiaries::default() }),
                ..pb::RiskEducationReport::default()
            }),
            &[
                "report.risk_education.topic",
                "report.risk_education.minutes",
                "report.risk_education.direct.girls",
                "report.risk_education.indirect.men",
            ],
        ),
        (
            Body::Inspection(pb::InspectionReport {
                result: pb::InspectionResult::Minor.into(),
                halt_work: true,
                activity: 99,
                organization_id: "us".to_owned(),
                nonconformity: "x".repeat(201),
                measures: "x".repeat(4_001),
                ..pb::InspectionReport::default()
            }),
            &[
                "report.inspection.findings",
                "report.inspection.halt_work",
                "report.inspection.activity",
                "report.inspection.organization_id",
                "report.inspection.nonconformity",
                "report.inspection.measures",
            ],
        ),
        (
            Body::ExpenseClaim(pb::ExpenseClaim {
                source: pb::ExpendSource::Advanced.into(),
                amount: Some(pb::Money { currency_code: "usd".to_owned(), minor_units: 0 }),
                ..pb::ExpenseClaim::default()
            }),
            &[
                "report.expense_claim.obligation_id",
                "report.expense_claim.amount.currency_code",
                "report.expense_claim.amount.minor_units",
                "report.expense_claim.category",
                "report.expense_claim.payee",
            ],
        ),
    ]
}

#[tokio::test]
async fn every_bad_field_of_every_kind_is_named() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        for (body, expected) in bad_on_the_ground(&tablet.site()).into_iter().chain(bad_elsewhere()) {
            names(tablet.submit(&tablet.report(body)).await, expected);
        }
        assert_eq!(Tablet::count(world).await, 0);
    })
    .await;
}
