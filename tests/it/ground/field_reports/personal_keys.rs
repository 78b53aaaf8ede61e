//! The keys of personal data: none, others, and the file that the binary makes.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;

use super::personal::{NAME, accident, kept, read, records, victim, victims};
use super::rig::{Tablet, hash, outcome, stored, submit};
use crate::binary::{DataDir, Service, output, safelane, text};
use crate::expect::says_no;
use crate::harness::{PERSONAL_KEY, TestDatabase, World, in_world};

const SETTING: (&str, &str) = ("setting", "--personal-key-file (SAFELANE_PERSONAL_KEY_FILE)");
const SOON: Duration = Duration::from_secs(15);

#[tokio::test]
async fn without_a_key_a_report_is_stored_without_its_details_and_stops_the_work() {
    let world = World::start_without_personal_keys().await;
    let tablet = Tablet::open(&world).await;
    let (find, mut report) = (tablet.find(), accident(&tablet, vec![victim(NAME)]));
    if let Some(Body::Accident(of)) = &mut report.body {
        of.halt_work = true;
    }
    let told = |answer: &pb::SubmitReportResponse| {
        let not_kept = answer.details_not_kept.clone().expect("it is told");
        assert_eq!(not_kept.reason(), pb::ErrorReason::PersonalKeyMissing);
        assert!(not_kept.text.contains("--personal-key-file"), "{}", not_kept.text);
    };
    let answer = tablet.submit(&report).await.unwrap();
    assert_eq!(outcome(&answer), "STORED");
    assert_eq!(answer.receipt.as_ref().unwrap().content_sha256, hash(&kept(&report)));
    told(&answer);
    let task = tablet.works.get(&tablet.task.task_id).await;
    assert_eq!(task.state(), pb::TaskState::Suspended, "the work does not wait for a key");
    let answers = tablet.sync(&[report.clone(), find, kept(&report)]).await;
    told(stored(&answers[0]));
    for answer in &answers[1..] {
        assert_eq!(stored(answer).details_not_kept, None, "none came with it");
    }
    says_no(read(&tablet, &report.report_id).await, "PERSONAL_KEY_MISSING", &[SETTING]);
    // Once there is a key, they come with the same report.
    let keyed = world.replica_with_personal_keys(PERSONAL_KEY).await;
    let answer = submit(&keyed.field_reports(), &report).await.unwrap();
    assert_eq!((outcome(&answer), records(&world).await), ("ALREADY_STORED", 1));
    assert_eq!(answer.details_not_kept, None);
    keyed.finish().await;
    drop(tablet);
    world.finish().await;
}

#[tokio::test]
async fn details_are_read_with_an_old_key_and_sealed_with_the_new_one() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = accident(&tablet, vec![victim(NAME)]);
        tablet.submit(&report).await.unwrap();
        let new = "8b".repeat(32);
        let rotated = world.replica_with_personal_keys(&format!("{new}\n{PERSONAL_KEY}\n")).await;
        let purpose = "Referral".to_owned();
        let request = pb::ReadVictimsRequest { report_id: report.report_id.clone(), purpose };
        let shown = rotated.field_reports().read_victims(request.clone()).await.unwrap().into_inner().victims;
        assert_eq!(shown[0].details, victims(&report)[0].details);
        let second = accident(&tablet, vec![victim(NAME)]);
        submit(&rotated.field_reports(), &second).await.unwrap();
        rotated.finish().await;
        let mut conn = world.database.connect().await;
        let of = "SELECT key_id FROM personal_records WHERE report_id = $1::text::uuid";
        let key_id: String =
            sqlx::query_scalar(of).bind(&second.report_id).fetch_one(&mut conn).await.unwrap();
        let facts = [SETTING, ("key_id", &*key_id)];
        says_no(read(&tablet, &second.report_id).await, "PERSONAL_KEY_MISSING", &facts);
        let mut service = Service::on(&world.database.url(), &[]).await;
        service.signal("TERM");
        service.ended(SOON).await;
        let told = service.errors();
        assert!(told.contains("not in the file") && told.contains(&key_id), "{told}");
        let old = world.replica_with_personal_keys(&new).await;
        let refused = old.field_reports().read_victims(request).await;
        assert!(refused.unwrap_err().message().contains("key"));
        old.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_private_database_gets_a_key_file_once_that_nobody_else_reads() {
    let place = DataDir::new();
    let file = place.path().join("personal.key");
    let mut keys = Vec::new();
    for made in [true, false] {
        let mut service = Service::start(safelane(&["serve", "--data-dir", place.arg()])).await;
        service.signal("TERM");
        assert_eq!(service.ended(SOON).await.code(), Some(0), "{}", service.errors());
        let key = std::fs::read_to_string(&file).unwrap();
        let told = service.errors();
        assert_eq!(told.contains("made a key for personal data"), made, "{told}");
        assert!(!told.contains(key.trim()), "{told}");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        keys.push(key);
    }
    assert_eq!((keys[0].trim().len(), &keys[0]), (64, &keys[1]));
}

#[tokio::test]
async fn an_external_database_gets_its_keys_from_the_setting_and_bad_ones_are_told_without_them() {
    let database = TestDatabase::create().await;
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("keys");
    let arguments = ["--personal-key-file", file.to_str().unwrap()];
    for (content, told) in [(None, "cannot be read"), (Some(""), "no key"), (Some("c0ffee"), "line 1")] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let mut command = safelane(&[&["serve"], &arguments[..]].concat());
        command.env("DATABASE_URL", database.url());
        let refused = output(command).await;
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("--personal-key-file") && said.contains(told), "{said}");
        assert!(!said.contains("c0ffee"), "{said}");
    }
    std::fs::write(&file, PERSONAL_KEY).unwrap();
    for (arguments, told) in [(&arguments[..], ""), (&[], "without details of victims")] {
        let mut service = Service::on(&database.url(), arguments).await;
        service.signal("TERM");
        assert_eq!(service.ended(SOON).await.code(), Some(0), "{}", service.errors());
        assert!(service.errors().contains(told), "{}", service.errors());
        assert!(!service.errors().contains(PERSONAL_KEY));
    }
    database.drop().await;
}
