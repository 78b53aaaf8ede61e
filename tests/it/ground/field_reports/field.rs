//! `safelane field`: the command line of a device, as a process that may be killed at any moment.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use safelane::cli::field::outbox::{EntryState, Outbox};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::review::{Board, give_back, reject};
use super::rig::{Tablet, edited};
use crate::binary::{output, safelane, text};
use crate::evidence::chance::Chance;
use crate::harness::{World, fresh_id, in_world};

/// The command line of one device.
pub(super) struct Pad {
    folder: tempfile::TempDir,
}

impl Pad {
    pub(super) async fn init(world: &World, tablet: &Tablet) -> Self {
        let pad = Self { folder: tempfile::tempdir().expect("a folder") };
        let server = format!("http://{}", world.address);
        let made = pad.run(&["init", "--server", &server, "--team", &tablet.team]).await;
        assert!(made.status.success(), "{}", text(&made.stderr));
        pad
    }

    pub(super) fn outbox(&self) -> &str {
        self.folder.path().to_str().expect("text")
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut all = vec!["field", arguments[0], "--outbox", self.outbox()];
        all.extend(&arguments[1..]);
        safelane(&all)
    }

    pub(super) async fn run(&self, arguments: &[&str]) -> Output {
        output(self.command(arguments)).await
    }

    pub(super) async fn status(&self) -> Value {
        let told = self.run(&["status", "--json"]).await;
        serde_json::from_slice(&told.stdout).expect("JSON")
    }

    pub(super) fn write(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("it is written");
        path.to_str().expect("text").to_owned()
    }
}

pub(super) fn found(tablet: &Tablet, note: &str) -> Value {
    json!({
        "taskId": tablet.task.task_id,
        "workDate": { "year": 1998, "month": 6, "day": 15 },
        "note": note,
        "ordnance": { "siteId": tablet.site(), "items": [{
            "category": "ORDNANCE_CATEGORY_AP_MINE", "model": "PMN-2", "quantity": 1,
            "condition": "ORDNANCE_CONDITION_ARMED", "disposal": "ORDNANCE_DISPOSAL_DEMOLISHED_IN_PLACE" }] },
    })
}

#[tokio::test]
async fn a_report_goes_from_a_file_to_an_acknowledgement() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::init(world, &tablet).await;
        let file = pad.write("report.json", &found(&tablet, "by the well").to_string());
        let captured = pad.run(&["capture", "--file", &file]).await;
        let said = text(&captured.stdout);
        assert!(said.starts_with("captured ") && said.contains("ordnance version 1, number 1"), "{said}");
        let waits = text(&pad.run(&["status"]).await.stdout);
        assert!(waits.starts_with("safety: NOT KNOWN"), "{waits}");
        assert!(waits.contains("reports: 1 wait, 0 acknowledged"), "{waits}");
        let synced = pad.run(&["sync", "--once"]).await;
        assert_eq!(synced.status.code(), Some(0), "{}{}", text(&synced.stdout), text(&synced.stderr));
        let status = pad.status().await;
        let report = &status["reports"][0];
        assert_eq!(
            (&report["state"], &report["outcome"]),
            (&json!("ACKNOWLEDGED"), &json!("REPORT_OUTCOME_STORED"))
        );
        assert!(said.contains(report["reference"].as_str().expect("text")), "{said}");
        assert_eq!(status["numbering"]["durable_through"], 1);
        let stored = tablet.get(report["report_id"].as_str().expect("text"), 0).await;
        assert_eq!(stored.reference, report["reference"]);
        assert_eq!(stored.report.expect("a report").note, "by the well");
        // Nothing is left to do.
        assert_eq!(pad.run(&["sync", "--once"]).await.status.code(), Some(0));
        assert_eq!(Tablet::count(world).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_stop_is_shown_first_and_what_is_held_says_why() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::init(world, &tablet).await;
        let operator = tablet.works.desk.operator_id.clone();
        let target = safelane::rpc::pb::safety_stop::Target::OperatorId(operator);
        let stop = tablet.works.stop(target).await.expect("it is issued");
        let file = pad.write("report.json", &found(&tablet, "after the stop").to_string());
        pad.run(&["capture", "--file", &file]).await;
        let synced = text(&pad.run(&["sync", "--once"]).await.stdout);
        assert!(synced.contains("STOP WORK: ALL WORK of the operator"), "{synced}");
        let told = text(&pad.run(&["status"]).await.stdout);
        assert!(told.starts_with(" STOP WORK "), "{told}");
        assert!(told.contains("safety: 1 in force (as of "), "{told}");
        assert!(told.contains("held, after safety stop: "), "{told}");
        tablet.works.lift(&stop).await.expect("it is lifted");
        pad.run(&["feed"]).await;
        let told = text(&pad.run(&["status"]).await.stdout);
        assert!(told.starts_with("safety: no stop in force (as of "), "{told}");
    })
    .await;
}

#[tokio::test]
async fn a_stop_that_was_asked_for_and_not_raised_is_shown() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::init(world, &tablet).await;
        let accident = json!({
            "workDate": { "year": 1998, "month": 6, "day": 15 },
            "accident": { "kind": "ACCIDENT_KIND_CIVILIAN_ACCIDENT", "description": "On the road", "haltWork": true },
        });
        let file = pad.write("report.json", &accident.to_string());
        pad.run(&["capture", "--file", &file]).await;
        let synced = text(&pad.run(&["sync", "--once"]).await.stdout);
        assert!(synced.contains("; NO safety stop was raised: the report names no task; call"), "{synced}");
        // It is not to be missed by whoever did not see the sync.
        let shown = text(&pad.run(&["status"]).await.stdout);
        let (warning, list) = shown.split_once("reports: ").expect("a list");
        assert!(warning.contains("WARNING") && warning.contains("NO safety stop was raised"), "{shown}");
        assert!(list.contains("\n    as of the answer: NO safety stop was raised"), "{shown}");
        let status = pad.status().await;
        let report = &status["reports"][0];
        assert!(report["halt"]["text"].as_str().expect("text").contains("NO safety stop"), "{status}");
        assert_eq!(report["halt"]["safety_stop_id"], Value::Null);
        assert_eq!(status["safety"]["without_stop"][0]["report_id"], report["report_id"]);
        // With the task in it, it stops work.
        let mut amended = accident.clone();
        amended["taskId"] = tablet.task.task_id.clone().into();
        let file = pad.write("report.json", &amended.to_string());
        let id = report["report_id"].as_str().expect("text");
        pad.run(&["amend", id, "--file", &file]).await;
        pad.run(&["sync", "--once"]).await;
        let shown = text(&pad.run(&["status"]).await.stdout);
        assert!(shown.starts_with(" STOP WORK ") && !shown.contains("WARNING"), "{shown}");
        let status = pad.status().await;
        assert_eq!(status["safety"]["without_stop"], json!([]));
        assert!(status["reports"][1]["halt"]["safety_stop_id"].is_string(), "{status}");
    })
    .await;
}

#[tokio::test]
async fn a_refused_report_stays_until_it_is_amended_and_leaves_no_gap() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::init(world, &tablet).await;
        let mut report = found(&tablet, "a model without a name");
        report["ordnance"]["items"][0]["category"] = "ORDNANCE_CATEGORY_OTHER".into();
        report["ordnance"]["items"][0]["model"] = "".into();
        let file = pad.write("report.json", &report.to_string());
        pad.run(&["capture", "--file", &file]).await;
        let synced = pad.run(&["sync", "--once"]).await;
        assert_eq!(synced.status.code(), Some(4), "{}", text(&synced.stdout));
        let status = pad.status().await;
        assert_eq!(status["reports"][0]["state"], "REFUSED");
        let why = status["reports"][0]["refusal"].as_str().expect("text");
        assert!(why.contains("report.ordnance.items[0].model"), "{why}");
        // The next report takes its number.
        let next = pad.write("next.json", &found(&tablet, "next").to_string());
        assert!(text(&pad.run(&["capture", "--file", &next]).await.stdout).contains("number 1"));
        report["ordnance"]["items"][0]["model"] = "home-made".into();
        let file = pad.write("report.json", &report.to_string());
        let reference = status["reports"][0]["reference"].as_str().expect("text");
        let amended = pad.run(&["amend", reference, "--file", &file]).await;
        assert!(text(&amended.stdout).contains("version 1, number 2"), "{}", text(&amended.stdout));
        assert_eq!(pad.run(&["sync", "--once"]).await.status.code(), Some(0));
        let numbering = &pad.status().await["numbering"];
        assert_eq!((&numbering["durable_through"], &numbering["missing"]), (&json!(2), &json!([])));
        assert_eq!(Tablet::count(world).await, 2);
    })
    .await;
}

#[tokio::test]
async fn an_amendment_whose_base_was_replaced_is_refused_and_may_be_amended_again() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::init(world, &tablet).await;
        let file = pad.write("report.json", &found(&tablet, "first").to_string());
        pad.run(&["capture", "--file", &file]).await;
        pad.run(&["sync", "--once"]).await;
        let id = pad.status().await["reports"][0]["report_id"].as_str().expect("text").to_owned();
        let stored = tablet.get(&id, 0).await.report.expect("a report");
        // An office replaced it from elsewhere.
        let mut other = edited(&tablet, &stored, 1, "of the office");
        other.device_id = fresh_id();
        tablet.submit(&other).await.expect("it is stored");
        let file = pad.write("report.json", &found(&tablet, "of the team").to_string());
        pad.run(&["amend", &id, "--file", &file]).await;
        assert_eq!(pad.run(&["sync", "--once"]).await.status.code(), Some(4));
        let why = pad.status().await["reports"][1]["refusal"].as_str().expect("text").to_owned();
        assert!(why.contains("STALE_REVISION"), "{why}");
        assert_eq!(tablet.get(&id, 0).await.report.expect("a report").note, "of the office");
        // Amended once more it follows the version that came in between, and says so.
        let amended = text(&pad.run(&["amend", &id, "--file", &file]).await.stdout);
        assert!(amended.starts_with("version 2 came in between, from elsewhere"), "{amended}");
        assert!(amended.contains("version 3, number 2"), "{amended}");
        assert_eq!(pad.run(&["sync", "--once"]).await.status.code(), Some(0));
        let stored = tablet.get(&id, 0).await;
        assert_eq!((stored.version, &*stored.report.expect("a report").note), (3, "of the team"));
        let next = text(&pad.run(&["amend", &id, "--file", &file]).await.stdout);
        assert!(next.starts_with("captured ") && next.contains("version 4, number 3"), "{next}");
    })
    .await;
}

#[tokio::test]
async fn a_refused_report_that_asks_for_a_stop_says_that_none_was_raised() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let pad = Pad::init(world, &board.tablet).await;
        let accident = |halts: bool| {
            json!({
                "workDate": { "year": 1998, "month": 6, "day": 15 },
                "accident": { "kind": "ACCIDENT_KIND_CIVILIAN_ACCIDENT", "description": "A cart", "haltWork": halts },
            })
        };
        let file = pad.write("report.json", &accident(false).to_string());
        pad.run(&["capture", "--file", &file]).await;
        pad.run(&["sync", "--once"]).await;
        let id = pad.status().await["reports"][0]["report_id"].as_str().expect("text").to_owned();
        board.decide(&board.tablet.works.desk.operator_id, &id, reject()).await.expect("it is rejected");
        let file = pad.write("report.json", &accident(true).to_string());
        pad.run(&["amend", &id, "--file", &file]).await;
        let synced = pad.run(&["sync", "--once"]).await;
        let synced = format!("{}{}", text(&synced.stdout), text(&synced.stderr));
        assert!(synced.contains("; NO safety stop was raised: the report was refused; call"), "{synced}");
        let shown = text(&pad.run(&["status"]).await.stdout);
        let (warning, list) = shown.split_once("reports: ").expect("a list");
        assert!(warning.contains("WARNING") && warning.contains("NO safety stop was raised"), "{shown}");
        assert!(list.contains("\n    NO safety stop was raised: the report was refused"), "{shown}");
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_version_of_a_rejected_report_is_refused_for_good_and_says_who_can_do_more() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let pad = Pad::init(world, &board.tablet).await;
        let file = pad.write("report.json", &found(&board.tablet, "first").to_string());
        pad.run(&["capture", "--file", &file]).await;
        pad.run(&["sync", "--once"]).await;
        let id = pad.status().await["reports"][0]["report_id"].as_str().expect("text").to_owned();
        board.decide(board.office(), &id, reject()).await.expect("it is rejected");
        let file = pad.write("report.json", &found(&board.tablet, "second").to_string());
        pad.run(&["amend", &id, "--file", &file]).await;
        assert_eq!(pad.run(&["sync", "--once"]).await.status.code(), Some(4));
        let told = text(&pad.run(&["status"]).await.stdout);
        assert!(told.contains("REFUSED for good") && !told.contains("amend it"), "{told}");
        assert!(told.contains("capture it as a new report") && !told.contains("AmendReport"), "{told}");
        let status = pad.status().await;
        assert_eq!(status["reports"][1]["is_closed"], true);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn remarks_of_a_reviewer_come_back_to_the_device_until_they_are_answered() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let pad = Pad::init(world, &board.tablet).await;
        let file = pad.write("report.json", &found(&board.tablet, "first").to_string());
        let photo = pad.write("lane.jpg", "");
        std::fs::write(&photo, b"\xFF\xD8\xFF\xE0lane").expect("it is written");
        pad.run(&["capture", "--file", &file, "--attach", &photo]).await;
        assert_eq!(pad.run(&["sync", "--once"]).await.status.code(), Some(0));
        let id = pad.status().await["reports"][0]["report_id"].as_str().expect("text").to_owned();
        let remark = give_back("ordnance.items[0].model", "Say which model it was");
        board.decide(board.office(), &id, remark).await.expect("it is returned");
        pad.run(&["sync", "--once"]).await;
        let told = text(&pad.run(&["status"]).await.stdout);
        let remark = "    ordnance.items[0].model: Say which model it was";
        assert!(told.lines().any(|line| line == remark), "{told}");
        assert!(told.contains("RETURNED by") && told.contains(&format!("amend {id}")), "{told}");
        let file = pad.write("report.json", &found(&board.tablet, "with the model").to_string());
        let amended = text(&pad.run(&["amend", &id, "--file", &file]).await.stdout);
        // The photo of the first version is that of the second as well.
        assert!(amended.contains("version 2, number 2, 1 files"), "{amended}");
        assert_eq!(pad.run(&["sync", "--once"]).await.status.code(), Some(0));
        pad.run(&["feed"]).await;
        assert_eq!(pad.status().await["returned"], json!([]));
        let stored = board.tablet.get(&id, 0).await;
        assert_eq!((stored.version, stored.complete), (2, true));
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_device_that_knows_nothing_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let outbox = folder.path().to_str().expect("text");
    let none = output(safelane(&["field", "status", "--outbox", outbox])).await;
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("safelane field init --outbox"), "{}", text(&none.stderr));
    let team = fresh_id();
    let clear = ["field", "init", "--outbox", outbox, "--server", "http://safelane.example", "--team", &team];
    let told = text(&output(safelane(&clear)).await.stderr);
    assert!(told.contains("in the clear") && told.contains("https://"), "{told}");
    let made = ["field", "init", "--outbox", outbox, "--server", "http://127.0.0.1:9", "--team", &team];
    assert!(output(safelane(&made)).await.status.success());
    let again = output(safelane(&made)).await;
    assert!(text(&again.stderr).contains("is an outbox already"), "{}", text(&again.stderr));
    let path = folder.path().join("bad.json");
    std::fs::write(&path, r#"{"progress": {"notDoneM2": "5"}}"#).expect("it is written");
    let bad = ["field", "capture", "--outbox", outbox, "--file", path.to_str().expect("text")];
    let told = text(&output(safelane(&bad)).await.stderr);
    for field in ["work_date:", "task_id:", "progress.notDoneReason:"] {
        assert!(told.contains(field), "{told}");
    }
    // Nobody answers there. Nothing waits, and yet something may be missing: a safety stop.
    let away = output(safelane(&["field", "sync", "--outbox", outbox, "--once"])).await;
    assert_eq!(away.status.code(), Some(5), "{}", text(&away.stdout));
    assert!(text(&away.stdout).contains("not everything was heard: "), "{}", text(&away.stdout));
    // Nor is anything lost by it.
    std::fs::write(
        &path,
        r#"{"workDate": {"year": 1998, "month": 6, "day": 15},
        "accident": {"kind": "ACCIDENT_KIND_NEAR_MISS", "description": "A fuze burned"}}"#,
    )
    .expect("it is written");
    assert!(output(safelane(&bad)).await.status.success());
    let away = output(safelane(&["field", "sync", "--outbox", outbox, "--once"])).await;
    assert_eq!(away.status.code(), Some(3), "{}", text(&away.stdout));
    assert!(text(&away.stdout).contains("nothing is lost"), "{}", text(&away.stdout));
}

#[tokio::test]
async fn trust_in_the_clear_holds_for_one_address() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = dir.path().join("tablet").to_str().unwrap().to_owned();
    // Names that are never found.
    let (camp, far) = ("http://camp.invalid:50051", "http://far.invalid:50051");
    let team = fresh_id();
    let made = ["field", "init", "--outbox", &outbox, "--team", &team, "--server", camp, "--insecure"];
    assert!(output(safelane(&made)).await.status.success());
    let told = async |more: &[&str]| {
        let sync = [&["field", "sync", "--once", "--outbox", &outbox], more].concat();
        text(&output(safelane(&sync)).await.stderr).contains("in the clear")
    };
    assert!(!told(&[]).await);
    assert!(told(&["--server", far]).await, "the trust was in another network");
    assert!(!told(&["--server", far, "--insecure"]).await);
    assert!(!told(&[]).await, "that is the address from now on");
    assert!(told(&["--server", camp]).await);
}

#[tokio::test]
async fn a_feed_that_is_refused_is_told_by_the_exit_code() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad { folder: tempfile::tempdir().expect("a folder") };
        let server = format!("http://{}", world.address);
        pad.run(&["init", "--server", &server, "--team", &fresh_id()]).await;
        let file = pad.write("report.json", &found(&tablet, "of nobody").to_string());
        pad.run(&["capture", "--file", &file]).await;
        let synced = pad.run(&["sync", "--once"]).await;
        let told = text(&synced.stdout);
        // An administrator reports for a team that there is not.
        assert!(told.contains("the team feed was not taken") && told.contains("NOT_FOUND"), "{told}");
        assert_eq!(synced.status.code(), Some(5), "{told}");
    })
    .await;
}

/// Esri/Survey123Community#543: a crash loses the survey. Here whatever was said to be captured is there, wherever the
/// process is killed, and what was not said is there as a whole or not at all.
#[tokio::test]
async fn survey123_543_a_capture_that_is_killed_anywhere_loses_nothing_that_it_told() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::init(world, &tablet).await;
        let file = pad.write("report.json", &found(&tablet, "kept").to_string());
        let mut chance = Chance::new(543);
        let mut told = Vec::new();
        for _ in 0..40 {
            let mut child = pad.command(&["capture", "--file", &file]).spawn().expect("it starts");
            let stdout = child.stdout.take().expect("a pipe");
            let killed = async {
                tokio::time::sleep(Duration::from_micros(chance.below(60_000))).await;
                child.kill().await.expect("it can be killed");
            };
            let mut lines = BufReader::new(stdout).lines();
            let (line, ()) = tokio::join!(lines.next_line(), killed);
            told.extend(line.ok().flatten());
        }
        let outbox = Outbox::open(Path::new(pad.outbox())).expect("it is whole");
        let entries = outbox.entries().expect("they are read");
        assert!(told.len() < 40 && told.len() <= entries.len(), "{} of {}", told.len(), entries.len());
        for line in &told {
            assert!(entries.iter().any(|entry| line.contains(&entry.report.report_id)), "{line} is lost");
        }
        let numbers: Vec<i64> = entries.iter().map(|entry| entry.report.device_sequence).collect();
        assert_eq!(numbers, (1..=i64::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
        assert_eq!(pad.run(&["sync", "--once"]).await.status.code(), Some(0));
        assert_eq!(Tablet::count(world).await, i64::try_from(entries.len()).unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_sync_that_is_killed_anywhere_goes_on_and_stores_each_report_once() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::init(world, &tablet).await;
        {
            let outbox = Outbox::open(Path::new(pad.outbox())).expect("it is whole");
            let device = safelane::cli::field::capture::Device::new(outbox, world.clock.clone());
            for number in 0..300 {
                device.capture(super::devices::find(&tablet, &format!("{number}")), &[]).expect("captured");
            }
        }
        let mut chance = Chance::new(7);
        let mut kills = 0;
        loop {
            let mut command = pad.command(&["sync", "--for", "20s"]);
            let mut child = command.stdout(Stdio::null()).spawn().expect("it starts");
            let wait = Duration::from_micros(20_000 + chance.below(60_000));
            if let Ok(ended) = tokio::time::timeout(wait, child.wait()).await {
                assert_eq!(ended.expect("it ends").code(), Some(0));
                break;
            }
            child.kill().await.expect("it can be killed");
            kills += 1;
            if kills == 60 {
                assert_eq!(pad.run(&["sync"]).await.status.code(), Some(0));
                break;
            }
        }
        assert!(1 < kills, "{kills} kills");
        let outbox = Outbox::open(Path::new(pad.outbox())).expect("it is whole");
        let entries = outbox.entries().expect("they are read");
        assert!(entries.iter().all(|entry| entry.state == EntryState::Acknowledged));
        assert_eq!(Tablet::count(world).await, 300);
    })
    .await;
}
