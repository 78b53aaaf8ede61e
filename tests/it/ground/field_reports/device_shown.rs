//! What a device tells people: a bar where somebody looks at it, names instead of ids, and what is lost or changed.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use safelane::cli::field::outbox::Verdict;
use safelane::cli::field::status::Gap;
use safelane::cli::field::sync::{Event, Pace};
use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use safelane::rpc::pb::safety_stop::Target;

use super::devices::{LONG, Pad, download, find, pace};
use super::rig::{Tablet, clock};
use crate::binary::{output, safelane, text};
use crate::harness::{fresh_id, in_world};

const LANE: &[u8] = b"\xFF\xD8\xFF\xE0lane";

/// Both ends of a terminal: what is read from the first was written to the second.
fn terminal() -> (File, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).expect("it may be used");
    unlockpt(&ours).expect("it may be opened");
    let name = ptsname(ours.as_fd(), Vec::new()).expect("a name").into_string().expect("text");
    let theirs = OpenOptions::new().read(true).write(true).open(name).expect("it opens");
    (ours.into(), theirs)
}

/// All that was written to a terminal, until the last one who could has ended.
fn read_to_end(mut terminal: File) -> String {
    let (mut read, mut piece) = (Vec::new(), [0; 4_096]);
    while let Ok(count @ 1..) = terminal.read(&mut piece) {
        read.extend_from_slice(&piece[..count]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn a_bar_is_drawn_on_a_terminal_and_nowhere_else() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        let outbox = pad.device.outbox.dir().to_str().expect("text").to_owned();
        let sync = ["field", "sync", "--outbox", &outbox, "--once"];
        let photo = |mark: u8| pad.file("lane.jpg", &[&LANE[..4], &vec![mark; 300_000]].concat());
        pad.capture(find(&tablet, "in a log"), &[photo(1)]);
        let plain = output(safelane(&sync)).await;
        let (said, errors) = (text(&plain.stdout), text(&plain.stderr));
        assert!(said.contains("sending 1 reports and 1 files (300 kB)"), "{said}");
        assert!(
            said.contains("1 reports acknowledged (0 held), 0 refused, 1 files uploaded; 0 still wait"),
            "{said}"
        );
        assert_eq!(errors, "");
        assert!(said.chars().all(|c| !c.is_control() || c == '\n'), "{said:?}");
        // The same, where somebody looks.
        pad.capture(find(&tablet, "on a terminal"), &[photo(2)]);
        let (ours, theirs) = terminal();
        let mut command = safelane(&sync);
        command.env("TERM", "xterm").stdout(Stdio::piped()).stderr(theirs);
        let mut child = command.spawn().expect("it starts");
        // It holds the other end of the terminal.
        drop(command);
        let drawn = tokio::task::spawn_blocking(move || read_to_end(ours));
        assert!(child.wait().await.expect("it ends").success());
        let drawn = drawn.await.expect("it is read");
        assert!(drawn.contains("1 reports, 1 files") && drawn.contains("[█"), "{drawn:?}");
        // In all there is what waits when the sync begins, and what arrived is not counted twice.
        assert!(drawn.contains("░] 0 B/300.00 kB") && drawn.contains("█] 300.00 kB/300.00 kB"), "{drawn:?}");
        assert!(drawn.contains("acknowledged ") && drawn.contains('\u{1b}'), "{drawn:?}");
    })
    .await;
}

#[tokio::test]
async fn a_number_that_nobody_has_is_told_as_lost() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        // The outbox of before was lost with its reports 1 and 2; number 3 had arrived.
        let device_id = pad.device.outbox.settings().expect("they are read").device_id;
        let known = pb::FieldReport {
            report_id: fresh_id(),
            device_id,
            device_sequence: 3,
            team_id: tablet.team.clone(),
            captured: Some(clock("1998-06-15T11:00:00Z")),
            ..find(&tablet, "arrived")
        };
        tablet.submit(&known).await.expect("it is stored");
        pad.sync_all().await;
        let lost = [(1, 2, Gap::Lost)];
        assert_eq!(pad.status().gaps(), lost);
        // A new report takes none of these numbers, and makes nothing good.
        assert_eq!(pad.capture(find(&tablet, "new"), &[]).report.device_sequence, 4);
        pad.sync_all().await;
        let status = pad.status();
        assert_eq!(status.gaps(), lost);
        let told = status.text(false);
        assert!(told.contains("misses numbers 1 to 2, which is not here either; tell the office"), "{told}");
        let gap = &status.json()["numbering"]["missing"][0];
        assert_eq!((&gap["lost"], &gap["waits_here"]), (&true.into(), &false.into()));
    })
    .await;
}

#[tokio::test]
async fn a_copy_that_changed_is_told_and_not_uploaded_and_keeps_nothing_else_waiting() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        let changed = pad.capture(find(&tablet, "changed"), &[pad.file("lane.jpg", LANE)]).report;
        let gone = pad.capture(find(&tablet, "gone"), &[pad.file("gone.jpg", b"\xFF\xD8\xFFgone")]).report;
        let whole =
            pad.capture(find(&tablet, "whole"), &[pad.file("marks.jpg", b"\xFF\xD8\xFFmarks")]).report;
        let copy = |report: &pb::FieldReport| pad.device.outbox.path_of(&report.attachments[0].sha256);
        // As long as it was: only its content tells.
        std::fs::write(copy(&changed), b"\xFF\xD8\xFF\xE0LANE").expect("it is written");
        std::fs::remove_file(copy(&gone)).expect("it is there");
        let summary = pad.sync(LONG).await;
        assert_eq!((summary.acknowledged, summary.files, summary.left), (3, 1, 0), "{summary:?}");
        assert_eq!(summary.sent_bytes, 8, "nothing but the whole one is sent");
        for (report, name) in [(&changed, "lane.jpg"), (&gone, "gone.jpg")] {
            let stored = tablet.get(&report.report_id, 0).await;
            assert!(!stored.complete);
            let told =
                format!("{name} of report {}: its copy in the outbox changed or is gone", stored.reference);
            let heard = pad.heard.lock().expect("no panic").clone();
            let is_told =
                |event: &Event| matches!(event, Event::Broken { told: of } if of.starts_with(&told));
            assert!(heard.iter().any(is_told), "{heard:?}");
            assert!(pad.status().text(false).contains(&told), "{}", pad.status().text(false));
        }
        assert!(tablet.get(&whole.report_id, 0).await.complete);
        // The command line tells it by its exit code, until the file is attached again.
        let outbox = pad.device.outbox.dir().to_str().expect("text").to_owned();
        let again = output(safelane(&["field", "sync", "--outbox", &outbox, "--once"])).await;
        assert_eq!(again.status.code(), Some(4), "{}", text(&again.stdout));
        for (report, file) in
            [(&changed, pad.file("lane.jpg", LANE)), (&gone, pad.file("new.jpg", b"\xFF\xD8\xFFnew"))]
        {
            pad.device
                .amend(&report.report_id, find(&tablet, &report.note), &[file])
                .expect("it is captured");
        }
        pad.sync_all().await;
        let stored = tablet.get(&changed.report_id, 0).await;
        assert_eq!((stored.complete, download(&tablet, &stored, 0).await), (true, LANE.to_vec()));
    })
    .await;
}

#[tokio::test]
async fn what_becomes_of_a_file_after_its_capture_changes_nothing() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        let lane = pad.file("lane.jpg", LANE);
        let report = pad.capture(find(&tablet, "of then"), std::slice::from_ref(&lane)).report;
        std::fs::write(&lane, b"\xFF\xD8\xFFanother").expect("it is written");
        pad.sync_all().await;
        let stored = tablet.get(&report.report_id, 0).await;
        assert_eq!(download(&tablet, &stored, 0).await, LANE);
    })
    .await;
}

#[tokio::test]
async fn a_service_that_says_nothing_of_a_stop_is_told_as_not_known() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        let finding = pb::InspectionReport {
            result: pb::InspectionResult::Critical.into(),
            findings: "A lane without marking.".to_owned(),
            halt_work: true,
            ..pb::InspectionReport::default()
        };
        pad.capture(pb::FieldReport { body: Some(Body::Inspection(finding)), ..find(&tablet, "") }, &[]);
        pad.sync_all().await;
        assert!(!pad.status().text(false).contains("WARNING"), "the work stands still");
        // The answer of a service that does not have the field yet.
        let entry = pad.status().entries.pop().expect("an entry");
        let answer = pb::SubmitReportResponse { halt: None, ..entry.answer.expect("an answer") };
        let verdict = Verdict::Acknowledged(Box::new(answer));
        let settled = pad.device.outbox.settle(&[(entry.entry, verdict)], &pb::DeviceClock::default());
        settled.expect("it is noted");
        let told = pad.status().text(false);
        let (warning, list) = told.split_once("reports: ").expect("a list");
        for part in [warning, list] {
            assert!(part.contains("NOT KNOWN whether the work stands still"), "{told}");
            assert!(part.contains("call your coordinator"), "{told}");
        }
    })
    .await;
}

#[tokio::test]
async fn stops_are_told_by_the_codes_of_tasks_and_sites() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        let with_feed = Pace { feed: true, ..pace() };
        let (program_id, task_id) = (tablet.task.program_id.clone(), tablet.task.task_id.clone());
        let task = Target::Task(pb::StoppedTask { program_id, task_id: task_id.clone() });
        tablet.works.stop(task).await.expect("it is issued");
        let told = || {
            let heard = std::mem::take(&mut *pad.heard.lock().expect("no panic"));
            let stop = |event| if let Event::Stop { told } = event { Some(told) } else { None };
            heard.into_iter().filter_map(stop).collect::<Vec<String>>()
        };
        // At once, before the device knows the task; and again as soon as it does.
        pad.sync_at(&with_feed, LONG).await;
        let of_task = format!("task T-1 {} since ", tablet.task.title);
        let first = told();
        assert_eq!(first.len(), 2, "{first:?}");
        assert!(
            first[0].starts_with(&format!("task {task_id}, whose code is not known here yet")),
            "{first:?}"
        );
        assert!(first[1].starts_with(&of_task), "{first:?}");
        tablet.works.stop(Target::SiteId(tablet.site())).await.expect("it is issued");
        pad.sync_at(&with_feed, LONG).await;
        let second = told();
        // Those in force come again with what is new.
        assert!(second.iter().any(|told| told.starts_with("site ZW-0042 Burma Valley since ")), "{second:?}");
        assert!(second.iter().all(|told| !told.contains("not known here")), "{second:?}");
        let banner = pad.status().text(false);
        assert!(banner.contains(&of_task) && banner.contains("site ZW-0042 Burma Valley since"), "{banner}");
        assert!(!banner.contains(&task_id) && !banner.contains(&tablet.site()), "{banner}");
    })
    .await;
}
