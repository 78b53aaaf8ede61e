//! Devices as `safelane field` makes them, each with an outbox of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use safelane::cli::field::capture::Device;
use safelane::cli::field::outbox::{Entry, EntryState, Outbox, Settings};
use safelane::cli::field::status::Status;
use safelane::cli::field::sync::{Event, Pace, Summary, Until, sync};
use safelane::clock::Clock;
use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use tempfile::TempDir;

use super::rig::{Tablet, item};
use crate::bad_input::day;
use crate::harness::{ManualClock, START, fresh_id};

/// Longer than any sync here should take.
pub(super) const LONG: Until = Until::Elapsed(Duration::from_mins(4));

/// A device whose clock a test sets.
pub(super) struct Pad {
    pub(super) device: Device,
    pub(super) clock: Arc<ManualClock>,
    pub(super) heard: Arc<Mutex<Vec<Event>>>,
    folder: TempDir,
}

/// Impatient, as tests are.
pub(super) fn pace() -> Pace {
    Pace {
        patience: Duration::from_secs(2),
        slowest_link: 1_000_000,
        first_wait: Duration::from_millis(20),
        last_wait: Duration::from_millis(200),
        in_flight: 16,
        feed: false,
        ..Pace::default()
    }
}

impl Pad {
    pub(super) fn new(team: &str, address: SocketAddr) -> Self {
        Self::made(team, address, false)
    }

    /// A device with a token, in the file `token` beside the outbox.
    pub(super) fn with_token(team: &str, address: SocketAddr, token: &str) -> Self {
        let pad = Self::made(team, address, true);
        pad.file("token", token.as_bytes());
        pad
    }

    fn made(team: &str, address: SocketAddr, with_token: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            device_id: fresh_id(),
            team_id: team.to_owned(),
            server: format!("http://{address}"),
            token_file: with_token.then(|| folder.path().join("token")),
            ca_file: None,
            insecure: false,
        };
        let outbox = Outbox::init(&folder.path().join("outbox"), &settings).expect("an outbox");
        let clock = Arc::new(ManualClock::at(START));
        let device = Device::new(outbox, Arc::clone(&clock) as Arc<dyn Clock>);
        Self { device, clock, heard: Arc::default(), folder }
    }

    /// A new file beside the outbox.
    pub(super) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("it is written");
        path
    }

    pub(super) fn capture(&self, report: pb::FieldReport, files: &[PathBuf]) -> Entry {
        self.device.capture(report, files).expect("it is captured")
    }

    /// Points the device elsewhere.
    pub(super) fn call(&self, address: SocketAddr) {
        self.link(|settings| settings.server = format!("http://{address}"));
    }

    /// Changes how the device calls the service.
    pub(super) fn link(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.device.outbox.settings().expect("they are read");
        change(&mut settings);
        self.device.outbox.set_link(&settings).expect("it is noted");
    }

    pub(super) async fn sync(&self, until: Until) -> Summary {
        self.sync_at(&pace(), until).await
    }

    pub(super) async fn sync_at(&self, pace: &Pace, until: Until) -> Summary {
        let heard = Arc::clone(&self.heard);
        let tell = move |event| heard.lock().expect("no panic").push(event);
        Box::pin(sync(&self.device, pace, until, &tell)).await.expect("the device is in order")
    }

    /// Syncs until nothing waits.
    pub(super) async fn sync_all(&self) -> Summary {
        let summary = self.sync(LONG).await;
        assert_eq!(summary.left, 0, "{summary:?}");
        summary
    }

    pub(super) fn status(&self) -> Status {
        Status::of(&self.device).expect("it is read")
    }

    pub(super) fn states(&self) -> Vec<EntryState> {
        self.status().entries.iter().map(|entry| entry.state).collect()
    }
}

/// Ordnance that was found: of those there are many on a day.
pub(super) fn find(tablet: &Tablet, note: &str) -> pb::FieldReport {
    pb::FieldReport {
        task_id: tablet.task.task_id.clone(),
        work_date: Some(day(1998, 6, 15)),
        note: note.to_owned(),
        body: Some(Body::Ordnance(pb::OrdnanceReport { site_id: tablet.site(), items: vec![item()] })),
        ..pb::FieldReport::default()
    }
}

/// The bytes of a file that the service has.
pub(super) async fn download(tablet: &Tablet, stored: &pb::StoredReport, index: usize) -> Vec<u8> {
    use pb::download_attachment_response::Part;
    let report = stored.report.as_ref().expect("a report");
    let request = pb::DownloadAttachmentRequest {
        report_id: report.report_id.clone(),
        sha256: report.attachments[index].sha256.clone(),
        ..pb::DownloadAttachmentRequest::default()
    };
    let mut client = tablet.service.clone();
    let mut parts = client.download_attachment(request).await.expect("it is there").into_inner();
    let mut content = Vec::new();
    while let Some(part) = parts.message().await.expect("it is sent to the end") {
        if let Some(Part::Chunk(chunk)) = part.part {
            content.extend(chunk.content);
        }
    }
    content
}
