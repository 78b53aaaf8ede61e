use super::*;
use crate::domain::activity::ActivityType;
use crate::rpc::pb::field_report::Body;

const SITE: &str = "0198f2c0-0000-7000-8000-000000000007";

fn report(body: Body) -> pb::FieldReport {
    let clock = pb::DeviceClock {
        wall_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5 }),
        ..pb::DeviceClock::default()
    };
    pb::FieldReport {
        report_id: "0198f2c0-0000-7000-8000-000000000001".to_owned(),
        device_id: "0198f2c0-0000-7000-8000-000000000002".to_owned(),
        device_sequence: 1,
        team_id: "0198f2c0-0000-7000-8000-000000000003".to_owned(),
        task_id: "0198f2c0-0000-7000-8000-000000000004".to_owned(),
        work_date: Some(pb::Date { year: 2026, month: 5, day: 4 }),
        captured: Some(clock),
        body: Some(body),
        ..pb::FieldReport::default()
    }
}

fn area() -> pb::ReleasedArea {
    let release = pb::ReleaseType::Cleared as i32;
    pb::ReleasedArea {
        site_id: SITE.to_owned(),
        r#type: release,
        area_m2: 40,
        depth_cm: 13,
        ..Default::default()
    }
}

fn progress() -> pb::ProgressReport {
    let worked =
        |role: pb::MemberRole, people, minutes| pb::WorkedHours { role: role.into(), people, minutes };
    pb::ProgressReport {
        activity: pb::ActivityType::ManualClearance.into(),
        areas: vec![area()],
        worked: vec![worked(pb::MemberRole::Deminer, 4, 1_920), worked(pb::MemberRole::Driver, 1, 480)],
        terrain: pb::Terrain::Hard.into(),
        ..pb::ProgressReport::default()
    }
}

/// The bad fields of a report.
fn fields(sent: &pb::FieldReport) -> Vec<String> {
    match read_report(Some(sent)) {
        Ok(read) => panic!("read as {read:?}"),
        Err(Error::Invalid(violations)) => violations.list().iter().map(|of| of.field.clone()).collect(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn what_rules_look_at_is_taken_from_the_body_and_the_hash_is_of_the_typed_message() {
    let sent = report(Body::Progress(progress()));
    let read = read_report(Some(&sent)).unwrap();
    assert_eq!(read.kind, ReportKind::Progress);
    assert_eq!(read.claims.activity, Some(ActivityType::ManualClearance));
    assert_eq!((read.claims.search_minutes, read.claims.sites.len()), (1_920, 1));
    assert_eq!(read.claims.searchers, 4);
    assert_eq!(read.claims.areas[0].area_m2, 40);
    // Fields that the contract does not know make no other content.
    let mut bytes = sent.encode_to_vec();
    bytes.extend_from_slice(&[0xf8, 0x7f, 0x01]);
    let again = read_report(Some(&pb::FieldReport::decode(bytes.as_slice()).unwrap())).unwrap();
    assert_eq!(again.content_sha256, read.content_sha256);
    let other = pb::FieldReport { note: "rain".to_owned(), ..sent };
    assert_ne!(read_report(Some(&other)).unwrap().content_sha256, read.content_sha256);
}

#[test]
fn every_bad_field_is_named_at_once() {
    let bad = pb::FieldReport {
        report_id: String::new(),
        device_id: "x".to_owned(),
        device_sequence: 0,
        work_date: Some(pb::Date { year: 2026, month: 2, day: 30 }),
        captured: None,
        position: Some(pb::Position { latitude: 91.0, longitude: f64::NAN, accuracy_m: -1 }),
        base_version: -1,
        note: "\u{7}".to_owned(),
        ..report(Body::Progress(pb::ProgressReport {
            activity: 0,
            areas: vec![pb::ReleasedArea { area_m2: -5, depth_cm: 0, ..area() }],
            not_done_m2: 7,
            machine_minutes: -1,
            terrain: 99,
            ..progress()
        }))
    };
    assert_eq!(
        fields(&bad),
        [
            "report.report_id",
            "report.device_id",
            "report.device_sequence",
            "report.work_date",
            "report.captured",
            "report.position.latitude",
            "report.position.longitude",
            "report.position.accuracy_m",
            "report.base_version",
            "report.note",
            "report.progress.activity",
            "report.progress.areas[0].area_m2",
            "report.progress.areas[0].depth_cm",
            "report.progress.machine_minutes",
            "report.progress.not_done_reason",
            "report.progress.terrain",
        ]
    );
}

#[test]
fn names_with_paths_lies_about_files_and_ordnance_without_category_are_refused() {
    let file = |name: &str, size| pb::Attachment {
        sha256: vec![7; 32],
        size,
        media_type: "image/jpeg".to_owned(),
        name: name.to_owned(),
    };
    let item = pb::OrdnanceItem { quantity: 1, ..pb::OrdnanceItem::default() };
    let mut sent = report(Body::Ordnance(pb::OrdnanceReport { site_id: String::new(), items: vec![item] }));
    sent.attachments = vec![
        file("../../etc/passwd", 1),
        pb::Attachment { media_type: "text/html".to_owned(), sha256: vec![1], size: 0, ..file("a.jpg", 1) },
    ];
    let items = "report.ordnance.items[0]";
    assert_eq!(
        fields(&sent),
        [
            "report.attachments[0].name".to_owned(),
            "report.attachments[1].sha256".to_owned(),
            "report.attachments[1].size".to_owned(),
            "report.attachments[1].media_type".to_owned(),
            format!("{items}.category"),
            format!("{items}.condition"),
            format!("{items}.disposal"),
        ]
    );
    sent.attachments = vec![file("a.jpg", 1), file("b.jpg", 2)];
    assert_eq!(fields(&sent)[0], "report.attachments[1].size");
}

fn victim() -> pb::Victim {
    let id = "0198f2c0-0000-7000-8000-000000000009".to_owned();
    pb::Victim { victim_id: id, details_sha256: vec![1; 32], details: None }
}

fn details() -> pb::VictimDetails {
    pb::VictimDetails {
        salt: vec![7; 16],
        name: "Nyasha".to_owned(),
        born_on: Some(pb::Date { year: 1931, month: 2, day: 3 }),
        outcome: pb::VictimOutcome::Injured.into(),
        ..pb::VictimDetails::default()
    }
}

fn accident(victims: Vec<pb::Victim>) -> pb::FieldReport {
    report(Body::Accident(pb::AccidentReport {
        kind: pb::AccidentKind::NearMiss.into(),
        description: "a vehicle left the safe lane".to_owned(),
        victims,
        ..pb::AccidentReport::default()
    }))
}

#[test]
fn details_of_victims_are_no_part_of_the_report_and_their_hash_is_filled_in() {
    assert!(read_report(Some(&accident(vec![victim()]))).unwrap().personal.is_empty());
    let hash = Sha256::digest(details().encode_to_vec()).to_vec();
    let named = |details_sha256: &[u8], details| {
        accident(vec![pb::Victim { details_sha256: details_sha256.to_vec(), details, ..victim() }])
    };
    let without = read_report(Some(&named(&hash, None))).unwrap();
    for sent in [named(&hash, Some(details())), named(&[], Some(details()))] {
        let read = read_report(Some(&sent)).unwrap();
        assert_eq!((&read.content, read.content_sha256), (&without.content, without.content_sha256));
        assert_eq!(read.personal.len(), 1);
        assert_eq!(pb::VictimDetails::decode(read.personal[0].1.0.clone()).unwrap(), details());
        assert!(!format!("{read:?}").contains("Nyasha"));
    }
    assert_eq!(victims_of(&without.content).unwrap().len(), 1);
}

#[test]
fn every_bad_field_of_a_victim_is_named_and_never_quoted() {
    let with = |details| accident(vec![pb::Victim { details: Some(details), ..victim() }]);
    let at = |name: &str| format!("report.accident.victims[0].{name}");
    assert_eq!(fields(&with(details())), [at("details_sha256")]);
    let long = |count| "Nyasha".repeat(count);
    let bad = pb::VictimDetails {
        salt: vec![7; 15],
        name: long(40),
        identification: long(40),
        group: 9,
        born_on: Some(pb::Date { year: 2001, month: 2, day: 29 }),
        address: long(90),
        outcome: 0,
        activity: long(90),
        tampering: 4,
    };
    let sent = accident(vec![pb::Victim { details: Some(bad), details_sha256: Vec::new(), ..victim() }]);
    let names =
        ["salt", "name", "identification", "group", "born_on", "address", "outcome", "activity", "tampering"];
    assert_eq!(fields(&sent), names.map(|name| at(&format!("details.{name}"))));
    let told = read_report(Some(&sent)).unwrap_err().to_string();
    assert!(["Nyasha", "2001", "29", "is 9"].iter().all(|said| !told.contains(said)), "{told}");
    let nothing = pb::Victim { details_sha256: Vec::new(), ..victim() };
    assert_eq!(fields(&accident(vec![nothing])), [at("details_sha256")]);
    assert_eq!(fields(&accident(vec![victim(), victim()])), ["report.accident.victims[1].victim_id"]);
}

#[test]
fn a_flood_of_suspected_ordnance_is_one_bad_field() {
    let survey = pb::SurveyReport { suspected: vec![0; 100_000], ..pb::SurveyReport::default() };
    let named = fields(&report(Body::Survey(survey)));
    let suspected: Vec<_> =
        named.iter().filter(|field| field.starts_with("report.survey.suspected")).collect();
    assert_eq!(suspected, ["report.survey.suspected"]);
}

#[test]
fn days_that_cannot_be_right_are_read_and_no_task_is_refused_where_one_is_needed() {
    for year in [1, 1989, 9999] {
        let day = Some(pb::Date { year, month: 1, day: 1 });
        let sent = pb::FieldReport { work_date: day, ..report(Body::Progress(progress())) };
        assert!(read_report(Some(&sent)).is_ok(), "{year}");
    }
    let sent = pb::FieldReport { task_id: String::new(), ..report(Body::Progress(progress())) };
    assert_eq!(fields(&sent), ["report.task_id"]);
    let spot =
        pb::SpotTaskReport { place: "at the well".to_owned(), items: Vec::new(), ..Default::default() };
    let sent = pb::FieldReport { task_id: String::new(), ..report(Body::SpotTask(spot)) };
    assert_eq!(read_report(Some(&sent)).unwrap().task, None);
}

#[test]
fn an_event_is_the_message_that_readers_get() {
    use crate::domain::field_report::review::Reviewed;
    use crate::domain::field_report::{Hold, HoldReason, ReportState, StoredReport};
    use crate::domain::ids::OrganizationId;

    let sent = report(Body::Progress(progress()));
    let read = read_report(Some(&sent)).unwrap();
    let hold = Hold { reason: HoldReason::FutureDate, text: "it has not come".to_owned(), subject: None };
    let of = StoredReport {
        id: read.id,
        operator: OrganizationId::new(uuid::Uuid::from_u128(1)),
        program: None,
        kind: read.kind,
        version: 1,
        newest_version: 2,
        content: read.content,
        content_sha256: read.content_sha256,
        state: ReportState::Held,
        holds: vec![hold],
        attachments: vec![([7; 32], false)],
        received_at: jiff::Timestamp::UNIX_EPOCH,
        received_by: "tablet-7".to_owned(),
        clock_offset_ms: Some(-1_500),
        captured_at: None,
        amendment: "the depth was wrong".to_owned(),
        reviewed: Reviewed::default(),
        revision: 3,
    };
    let told = stored(&of).unwrap();
    assert_eq!(encode_stored(&of), told.encode_to_vec());
    let offset = told.clock_offset.unwrap();
    assert_eq!((told.report, offset.seconds, offset.nanos), (Some(sent), -1, -500_000_000));
}
