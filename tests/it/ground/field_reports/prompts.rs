//! Reports that are captured by questions: every kind, with wrong answers that are asked again, and answers that end.

use std::path::Path;
use std::process::{Output, Stdio};

use safelane::cli::field::outbox::Outbox;
use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::field::Pad;
use super::rig::Tablet;
use crate::bad_input::day;
use crate::binary::text;
use crate::ground::tasks::Works;
use crate::harness::{World, fresh_id, in_world};

/// What is answered for one kind: a line each, the rules that wrong answers among them are told, and the body that it makes.
struct Told {
    kind: &'static str,
    answers: String,
    rules: &'static [&'static str],
    body: Body,
}

fn told(kind: &'static str, answers: &str, rules: &'static [&'static str], body: Body) -> Told {
    // Lines are apart by bars, so that an answer of nothing is seen.
    Told { kind, answers: answers.split('|').flat_map(|line| [line.trim(), "\n"]).collect(), rules, body }
}

const PEOPLE: pb::Beneficiaries = pb::Beneficiaries { girls: 12, boys: 9, women: 20, men: 0 };

fn every_kind(tablet: &Tablet) -> Vec<Told> {
    [on_the_ground(tablet), of_ordnance(tablet), elsewhere()].into_iter().flatten().collect()
}

fn area(tablet: &Tablet, kind: pb::ReleaseType, area_m2: i64, depth_cm: i32) -> pb::ReleasedArea {
    pb::ReleasedArea {
        site_id: tablet.site(),
        r#type: kind.into(),
        area_m2,
        depth_cm,
        ..pb::ReleasedArea::default()
    }
}

fn on_the_ground(tablet: &Tablet) -> Vec<Told> {
    let progress = pb::ProgressReport {
        activity: pb::ActivityType::ManualClearance.into(),
        areas: vec![area(tablet, pb::ReleaseType::Cleared, 400, 13)],
        worked: vec![pb::WorkedHours { role: pb::MemberRole::Deminer.into(), people: 8, minutes: 3_840 }],
        stand_downs: vec![pb::StandDown {
            cause: pb::SuspensionCause::Season.into(),
            minutes: 45,
            note: "rain".to_owned(),
        }],
        not_done_m2: 50,
        not_done_reason: "rain".to_owned(),
        terrain: pb::Terrain::Hard.into(),
        ..pb::ProgressReport::default()
    };
    let survey = pb::SurveyReport {
        site_id: tablet.site(),
        kind: pb::SurveyKind::Nts.into(),
        result: pb::SurveyResult::NoEvidence.into(),
        evidence: "Ploughed for ten years".to_owned(),
        areas: vec![area(tablet, pb::ReleaseType::Cancelled, 900, 0)],
        evidence_type: pb::EvidenceType::Indirect.into(),
        suspected: vec![pb::OrdnanceCategory::ApMine.into(), pb::OrdnanceCategory::AvMine.into()],
        direct: Some(PEOPLE),
        ..pb::SurveyReport::default()
    };
    let completion = pb::CompletionReport {
        reference: "CR-12".to_owned(),
        direct: Some(PEOPLE),
        ..pb::CompletionReport::default()
    };
    vec![
        told(
            "progress",
            "that one|1|yesterday|1989-12-31|1998-06-15|manual clearance|y|zw-0042|CLEARED|0|400|13|n|y|deminer|8|\
             11521|3840|n||y|season|45|rain|n|50||rain|hard|",
            &[
                "\"that one\" is no id such as",
                "\"yesterday\" is not a day such as 2026-03-14",
                "1989-12-31 is not from 1990 to 2199",
                "\"0\" is not a whole number from 1 to 10000000000",
                "\"11521\" is not a whole number from 1 to 11520",
                "this cannot be left out",
            ],
            Body::Progress(progress),
        ),
        told(
            "survey",
            "T-1|1998-06-15|ZW-0042|nts|no evidence|Ploughed for ten years|indirect|1, ap mine|ap mine, 2||y|ZW-0042|\
             cleared|cancelled|900|n|y|12|9|20||n|",
            &["\"ap mine\" is there twice", "\"cleared\" is none of these"],
            Body::Survey(survey),
        ),
        told("completion", "1|1998-06-15|CR-12|n||y|12|9|20|0|n|", &[], Body::Completion(completion)),
    ]
}

fn of_ordnance(tablet: &Tablet) -> Vec<Told> {
    let mine = pb::OrdnanceItem {
        category: pb::OrdnanceCategory::ApMine.into(),
        model: "PMN-2".to_owned(),
        quantity: 1,
        condition: pb::OrdnanceCondition::Armed.into(),
        disposal: pb::OrdnanceDisposal::RenderedSafe.into(),
        depth_cm: 5,
        ..pb::OrdnanceItem::default()
    };
    let pipe = pb::OrdnanceItem {
        category: pb::OrdnanceCategory::Other.into(),
        improvised: true,
        model: "pipe".to_owned(),
        quantity: 3,
        condition: pb::OrdnanceCondition::Other.into(),
        disposal: pb::OrdnanceDisposal::DemolishedInPlace.into(),
        position: Some(pb::Position { latitude: -18.97, longitude: 32.67, accuracy_m: 0 }),
        note: "in concrete".to_owned(),
        ..pb::OrdnanceItem::default()
    };
    let spot = pb::SpotTaskReport {
        place: "The well".to_owned(),
        items: vec![mine.clone()],
        ..pb::SpotTaskReport::default()
    };
    let inspection = pb::InspectionReport {
        result: pb::InspectionResult::Critical.into(),
        sampled_m2: 40,
        finds: vec![mine],
        findings: "A mine in cleared land".to_owned(),
        measures_due: Some(day(1998, 6, 20)),
        activity: pb::ActivityType::ManualClearance.into(),
        nonconformity: "search of lanes".to_owned(),
        measures: "Searched again".to_owned(),
        ..pb::InspectionReport::default()
    };
    vec![
        told(
            "ordnance",
            "1|1998-06-15|ZW-0042|other|maybe|y||pipe|three|3|other|demolished_in_place||91, 0|-18.97, 32.67||\
             in concrete|n|by the well",
            &["answer y or n", "\"three\" is not a whole number", "\"91, 0\" is not latitude (-90 to 90)"],
            Body::Ordnance(pb::OrdnanceReport { site_id: tablet.site(), items: vec![pipe] }),
        ),
        told(
            "spot-task",
            "|1998-06-15|The well|y|ap mine|n|PMN-2|1|armed|rendered safe|5|||n|n|n|",
            &[],
            Body::SpotTask(spot),
        ),
        told(
            "inspection",
            "1|1998-06-15|critical|manual clearance|us||40|y|1|n|PMN-2|1|1|3|5|||n|A mine in cleared land|\
             search of lanes|Searched again|1998-06-20|n|",
            &["\"us\" is no id"],
            Body::Inspection(inspection),
        ),
    ]
}

fn elsewhere() -> Vec<Told> {
    let accident = pb::AccidentReport {
        kind: pb::AccidentKind::NearMiss.into(),
        description: "A fuze burned".to_owned(),
        ..pb::AccidentReport::default()
    };
    let session = pb::RiskEducationReport {
        topic: "Mines".to_owned(),
        method: "theatre".to_owned(),
        language: "Shona".to_owned(),
        minutes: 45,
        direct: Some(PEOPLE),
        indirect: None,
    };
    let claim = pb::ExpenseClaim {
        source: pb::ExpendSource::Available.into(),
        amount: Some(pb::Money { currency_code: "USD".to_owned(), minor_units: 4_250 }),
        category: pb::CostCategory::Vehicles.into(),
        payee: "Filling station".to_owned(),
        ..pb::ExpenseClaim::default()
    };
    vec![
        told(
            "accident",
            "|1998-06-15|near miss||A fuze burned||y|injured|man|A. Moyo||1971-02-03|||no|n|n|",
            &[],
            Body::Accident(accident),
        ),
        told(
            "risk-education",
            "|1998-06-15|Mines|theatre|Shona|1441|45|y|12|9|20||n|",
            &["\"1441\" is not a whole number from 1 to 1440"],
            Body::RiskEducation(session),
        ),
        told(
            "expense-claim",
            "1|1998-06-15|available|us|usd|42.505|42.50|vehicles|Filling station||",
            &["the three letters of a currency", "at most 2 decimals, such as 42.55"],
            Body::ExpenseClaim(claim),
        ),
    ]
}

async fn answered(pad: &Pad, kind: &str, answers: &str) -> Output {
    let mut command = pad.command(&["capture", "--ask", kind]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(answers.as_bytes()).await.expect("it is asked");
    drop(stdin);
    child.wait_with_output().await.expect("it ends")
}

/// Survey is a method of its own.
async fn accredit_for_survey(world: &World, tablet: &Tablet) {
    let (operator, authority) = (&tablet.works.desk.operator_id, &tablet.works.authority_id);
    for (level, subject) in [("ORGANIZATION", operator), ("TEAM", &tablet.team)] {
        let id = fresh_id();
        let statement = format!(
            "INSERT INTO accreditations (organization_id, accreditation_id, level, subject_id, authority_id, activity,
                    certificate, first_day, last_day, state, granted_at, created_at, revision)
             VALUES ('{operator}', '{id}', '{level}', '{subject}', '{authority}', 'NTS', '',
                    '1998-05-01', '1998-09-15', 'ACCREDITED', now(), now(), 1)"
        );
        Works::run(world, statement).await;
    }
}

#[tokio::test]
async fn a_report_of_every_kind_can_be_answered_question_by_question() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        accredit_for_survey(world, &tablet).await;
        let pad = Pad::init(world, &tablet).await;
        // The feed tells which tasks and sites there are to choose from.
        assert!(pad.run(&["feed"]).await.status.success());
        let every = every_kind(&tablet);
        for of in &every {
            let done = answered(&pad, of.kind, &of.answers).await;
            let (said, asked) = (text(&done.stdout), text(&done.stderr));
            assert!(said.starts_with("captured "), "{}: {said}{asked}", of.kind);
            for rule in of.rules {
                assert!(asked.contains(rule), "{}: {rule}: {asked}", of.kind);
            }
        }
        let synced = text(&pad.run(&["sync", "--once"]).await.stdout);
        let status = pad.status().await;
        let reports = status["reports"].as_array().expect("a list");
        assert_eq!(reports.len(), every.len());
        for (report, of) in reports.iter().zip(every) {
            let kind = of.kind;
            assert_eq!(report["outcome"], json!("REPORT_OUTCOME_STORED"), "{kind}: {report} {synced}");
            let stored = tablet.get(report["report_id"].as_str().expect("text"), 0).await;
            let mut body = stored.report.and_then(|report| report.body);
            if let Some(Body::Accident(accident)) = &mut body {
                assert_eq!(accident.victims.drain(..).count(), 1);
            }
            assert_eq!(body, Some(of.body), "{kind}");
        }
    })
    .await;
}

#[tokio::test]
async fn answers_that_end_make_no_report() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::init(world, &tablet).await;
        assert!(pad.run(&["feed"]).await.status.success());
        for of in every_kind(&tablet) {
            let lines: Vec<&str> = of.answers.split_inclusive('\n').collect();
            let without_end = of.answers.trim_end_matches('\n').to_owned() + "said";
            for ended in [String::new(), lines[..lines.len() / 2].concat(), without_end] {
                let done = answered(&pad, of.kind, &ended).await;
                let told = text(&done.stderr);
                assert_eq!(done.status.code(), Some(1), "{}: {told}", of.kind);
                assert!(told.contains("the answers ended in the middle; nothing was captured"), "{told}");
            }
        }
        let outbox = Outbox::open(Path::new(pad.outbox())).expect("it is whole");
        assert_eq!(outbox.entries().expect("they are read").len(), 0);
    })
    .await;
}

#[tokio::test]
async fn files_are_looked_at_before_anything_is_asked() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::init(world, &tablet).await;
        for (path, why) in [("/no/such/lane.jpg", "No such file"), (pad.outbox(), "it is a folder")] {
            let told = text(&pad.run(&["capture", "--ask", "progress", "--attach", path]).await.stderr);
            assert!(told.contains(why) && !told.contains("task"), "{told}");
        }
    })
    .await;
}
