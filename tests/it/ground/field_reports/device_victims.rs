//! Victims on a device: their details wait there until the service keeps them, and no longer; a person keeps one id.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use safelane::cli::field::capture::Device;
use safelane::cli::field::outbox::{Entry, EntryState};
use safelane::cli::field::sync::{Event, Until};
use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use serde_json::json;

use super::devices::Pad;
use super::personal::{NAME, details, erase, erasing, read, records, victims};
use super::rig::Tablet;
use crate::bad_input::day;
use crate::harness::{PERSONAL_KEY, World, in_world};

/// An accident as a device captures it: without ids, and with `halt_work`.
fn accident(tablet: &Tablet, names: &[&str]) -> pb::FieldReport {
    let told = |name: &&str| pb::VictimDetails { salt: vec![], ..details(name) };
    let victim = |name| pb::Victim { details: Some(told(name)), ..pb::Victim::default() };
    let accident = pb::AccidentReport {
        kind: pb::AccidentKind::CivilianAccident.into(),
        description: "A mine went off".to_owned(),
        victims: names.iter().map(victim).collect(),
        halt_work: true,
        ..pb::AccidentReport::default()
    };
    pb::FieldReport {
        task_id: tablet.task.task_id.clone(),
        work_date: Some(day(1998, 6, 15)),
        body: Some(Body::Accident(accident)),
        ..pb::FieldReport::default()
    }
}

fn newest(pad: &Pad) -> Entry {
    pad.status().entries.pop().expect("an entry")
}

/// Whether a text stands in any file of the outbox.
fn holds(device: &Device, text: &str) -> bool {
    let in_file = |path: &Path| {
        let content = std::fs::read(path).expect("it is read");
        content.windows(text.len()).any(|part| part == text.as_bytes())
    };
    let files = std::fs::read_dir(device.outbox.dir()).expect("a folder");
    files.map(|file| file.expect("a file").path()).filter(|path| path.is_file()).any(|path| in_file(&path))
}

#[tokio::test]
async fn details_wait_on_the_device_until_the_service_has_a_key_and_then_are_forgotten() {
    let world = World::start_without_personal_keys().await;
    let tablet = Tablet::open(&world).await;
    let pad = Pad::new(&tablet.team, world.address);
    let captured = pad.capture(accident(&tablet, &[NAME]), &[]);
    for _ in 0..2 {
        let summary = pad.sync(Until::Once).await;
        assert_eq!((summary.acknowledged, summary.left, summary.details_left), (1, 0, 1), "{summary:?}");
        let entry = newest(&pad);
        assert_eq!((entry.state, &entry.report), (EntryState::Acknowledged, &captured.report));
        let why = entry.details_told.expect("it is told");
        assert!(why.contains("--personal-key-file"), "{why}");
        assert!(pad.status().text(false).contains(&why));
    }
    let told = pad.heard.lock().expect("no panic").clone();
    assert!(
        told.iter().any(|event| matches!(event, Event::Acknowledged { details, .. } if !details.is_empty()))
    );
    // The work stands still all the same.
    assert_eq!(tablet.works.get(&tablet.task.task_id).await.state(), pb::TaskState::Suspended);
    assert!(holds(&pad.device, NAME) && records(&world).await == 0);

    let keyed = world.replica_with_personal_keys(PERSONAL_KEY).await;
    let mut service = keyed.field_reports();
    pad.call(keyed.address);
    let summary = pad.sync(Until::Once).await;
    assert_eq!((summary.left, summary.details_left, records(&world).await), (0, 0, 1), "{summary:?}");
    let request = pb::ReadVictimsRequest {
        report_id: captured.report.report_id.clone(),
        purpose: "Referral".to_owned(),
    };
    let shown = service.read_victims(request).await.unwrap().into_inner().victims;
    assert_eq!(shown[0].details, victims(&captured.report)[0].details);
    let entry = newest(&pad);
    assert_eq!((entry.content_sha256, entry.details_told), (captured.content_sha256, None));
    assert_eq!(victims(&entry.report)[0].details, None);
    assert_eq!(victims(&entry.report)[0].details_sha256, victims(&captured.report)[0].details_sha256);
    assert!(!holds(&pad.device, NAME), "what was taken is in no file of the outbox any more");
    drop(service);
    keyed.finish().await;
    drop(tablet);
    world.finish().await;
}

#[tokio::test]
async fn nobody_else_reads_an_outbox() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        let photo = pad.file("lane.jpg", b"\xFF\xD8\xFF\xE0lane");
        let captured = pad.capture(accident(&tablet, &[NAME]), &[photo]);
        let folder = pad.device.outbox.dir();
        let copy = pad.device.outbox.path_of(&captured.report.attachments[0].sha256);
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(folder), mode(&folder.join("files")), mode(&copy)), (0o700, 0o700, 0o600));
        for name in ["outbox.db", "outbox.db-wal"] {
            assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_new_version_has_the_same_victims_so_that_erasing_one_erases_all_that_is_known() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        let first = pad.capture(accident(&tablet, &["Nyasha", "Tendai"]), &[]);
        let id = first.report.report_id.clone();
        pad.sync_all().await;
        let amended = pad.device.amend(&id, accident(&tablet, &[NAME, "Tendai"]), &[]).expect("captured");
        let ids = |report: &pb::FieldReport| -> Vec<String> {
            victims(report).iter().map(|victim| victim.victim_id.clone()).collect()
        };
        assert_eq!(ids(&amended.report), ids(&first.report));
        let told = pad.device.amend(&id, accident(&tablet, &[NAME]), &[]).unwrap_err().to_string();
        assert!(ids(&first.report).iter().all(|id| told.contains(id)), "{told}");
        assert_eq!(pad.status().json()["reports"][0]["victim_ids"], json!(ids(&first.report)));
        pad.sync_all().await;
        erase(&tablet, &erasing(&first.report, &victims(&first.report)[0])).await.unwrap();
        let shown = read(&tablet, &id).await.unwrap();
        let names: Vec<_> = shown.iter().filter_map(|of| of.details.as_ref()).map(|of| &*of.name).collect();
        assert_eq!((shown.len(), names), (2, vec!["Tendai"]));
    })
    .await;
}
