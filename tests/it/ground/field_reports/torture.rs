//! Tablets at the end of bad links, while the service and PostgreSQL are killed: in the end each report is stored once,
//! each photo is the same byte for byte, no cut cost more than a chunk, and every tablet knows just what the service
//! knows. Small by default; `make torture` says how large.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use safelane::cli::field::outbox::EntryState;
use safelane::cli::field::sync::{Pace, Summary, Until};
use safelane::store::embedded::Embedded;
use safelane::store::{Store, audit, migrate};
use sqlx::Connection as _;
use tokio::task::JoinSet;

use super::bad_link::{BadLink, Weather};
use super::devices::{Pad, download, find, pace};
use super::rig::{Tablet, hash, outbox};
use crate::binary::{DataDir, Service};
use crate::evidence::chance::Chance;
use crate::evidence::crash::{GONE, kill, start_cluster};
use crate::evidence::torture::{SEED, setting};
use crate::harness::{TestDatabase, World};

/// What a link may do. Fair ones are among them, so that all ends in time.
const WEATHERS: [Weather; 12] = [
    Weather::Fair,
    Weather::Fair,
    Weather::Fair,
    Weather::Cut(4_000),
    Weather::Cut(60_000),
    Weather::Cut(400_000),
    Weather::HalfOpen(100_000),
    Weather::Slices(3_000),
    Weather::Late(Duration::from_millis(30)),
    Weather::LateAnswers(Duration::from_millis(200)),
    Weather::Replayed,
    Weather::Portal,
];
/// The most that a cut may cost: one chunk.
const CHUNK_BYTES: u64 = 64 * 1_024;

/// How large a run is.
#[derive(Debug, Clone, Copy)]
struct Size {
    devices: usize,
    reports: usize,
    /// Photos of a device; its first reports have one each, and all devices share the first one.
    photos: usize,
    photo_bytes: (u64, u64),
    /// So long something runs between two kills.
    between_kills: Duration,
}

const SMALL: Size = Size {
    devices: 8,
    reports: 6,
    photos: 2,
    photo_bytes: (100_000, 300_000),
    between_kills: Duration::from_secs(1),
};
const LARGE: Size =
    Size { devices: 200, reports: 50, photos: 20, between_kills: Duration::from_secs(8), ..SMALL };
/// Longer than the sync of a device takes, also in the large size.
const LAST: Until = Until::Elapsed(Duration::from_hours(1));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tablets_over_bad_links_end_where_the_service_is_however_it_is_killed() {
    let size = if setting("SAFELANE_TORTURE_SECONDS").is_some() { LARGE } else { SMALL };
    let seed = setting("SAFELANE_TORTURE_SEED").unwrap_or(SEED);
    println!("seed {seed}, {size:?}");
    let mut chance = Chance::new(seed);
    let place = DataDir::new();
    let mut cluster = start_cluster(&place).await;
    let world = open_world(&cluster).await;
    let tablet = Arc::new(Tablet::open(&world).await);
    let link = BadLink::drawing(world.address, &WEATHERS, chance.fork()).await;
    let url = world.database.url();
    let mut service = Service::on(&url, &["--log", "off"]).await;
    link.point_at(service.address);
    let link = Arc::new(link);
    let start = Instant::now();
    let mut devices = JoinSet::new();
    for number in 0..size.devices {
        let work = Work { tablet: Arc::clone(&tablet), link: Arc::clone(&link), size, chance: chance.fork() };
        devices.spawn(async move { work.run(number).await });
    }
    let mut kills = (0, 0);
    let finished = {
        let finishing = devices.join_all();
        tokio::pin!(finishing);
        loop {
            tokio::select! {
                done = &mut finishing => break done,
                () = tokio::time::sleep(size.between_kills) => {}
            }
            service.signal("KILL");
            service.ended(GONE).await;
            if kills.0 % 2 == 0 {
                kill(cluster);
                cluster = start_cluster(&place).await;
                kills.1 += 1;
            }
            service = Service::on(&url, &["--log", "off"]).await;
            link.point_at(service.address);
            kills.0 += 1;
        }
    };
    println!(
        "{} s; {} connections, {} kills of the service, {} of PostgreSQL",
        start.elapsed().as_secs(),
        link.carried(),
        kills.0,
        kills.1
    );
    link.clear_up();
    for device in &finished {
        settle(device).await;
    }
    println!("{}", judge(&world, &tablet, size, &finished).await);
    service.signal("TERM");
    service.ended(GONE).await;
    cluster.stop().await;
}

async fn open_world(cluster: &Embedded) -> World {
    let options = cluster.connect_options();
    let store = Store::new(options.clone(), 2);
    migrate::migrate(&store).await.expect("the migrations run");
    store.close().await;
    World::start_on(TestDatabase { name: "safelane".to_owned(), options }, None).await
}

/// What one device does.
struct Work {
    tablet: Arc<Tablet>,
    link: Arc<BadLink>,
    size: Size,
    chance: Chance,
}

/// A device at the end of its work.
struct Finished {
    pad: Pad,
    /// The photo of each report that has one, by its id.
    photos: BTreeMap<String, PathBuf>,
    summaries: Vec<Summary>,
}

impl Work {
    async fn run(mut self, number: usize) -> Finished {
        let pad = Pad::new(&self.tablet.team, self.link.address);
        let (mut photos, mut summaries) = (BTreeMap::new(), Vec::new());
        for report in 0..self.size.reports {
            let mut files = Vec::<PathBuf>::new();
            let photo = (report < self.size.photos).then(|| self.photo(number, report));
            if let Some(photo) = &photo {
                files.push(pad.file(&format!("{report}.jpg"), photo));
            }
            let entry = pad.capture(find(&self.tablet, &format!("report {report} of {number}")), &files);
            if let Some(photo) = files.pop() {
                photos.insert(entry.report.report_id.clone(), photo);
            }
            if report + 1 == self.size.reports / 2 {
                // On the way: half of it, with whatever link there is now.
                summaries.push(pad.sync_at(&impatient(), Until::Once).await);
                self.send_besides(&pad).await;
            }
        }
        let pace = impatient();
        let (synced, ()) = tokio::join!(pad.sync_at(&pace, LAST), self.send_besides(&pad));
        summaries.push(synced);
        Finished { pad, photos, summaries }
    }

    /// A photo of random content; the first of every device is the same.
    fn photo(&mut self, number: usize, report: usize) -> Vec<u8> {
        let mut chance = if report == 0 { Chance::new(0) } else { self.chance.fork() };
        let (least, most) = self.size.photo_bytes;
        let size = usize::try_from(least + chance.below(most - least)).expect("a size");
        let mut photo = b"\xFF\xD8\xFF\xE0".to_vec();
        while photo.len() < size {
            photo.extend(chance.below(u64::MAX).to_be_bytes());
        }
        photo.truncate(size);
        if report != 0 {
            photo.extend(number.to_be_bytes());
        }
        photo
    }

    /// The same outbox, in another order and at the same time, as by a phone that has a copy. What comes of it is nobody's
    /// concern.
    async fn send_besides(&mut self, pad: &Pad) {
        let mut entries = pad.status().entries;
        self.chance.shuffle(&mut entries);
        let mut service = super::rig::client(crate::evidence::link::lazily(self.link.address));
        let sent: Vec<_> = entries.into_iter().map(|entry| outbox(entry.report)).collect();
        let sending = async {
            if let Ok(answers) = service.sync_reports(tokio_stream::iter(sent)).await {
                let mut answers = answers.into_inner();
                while let Ok(Some(_)) = answers.message().await {}
            }
        };
        tokio::time::timeout(Duration::from_secs(2), sending).await.ok();
    }
}

/// Over these links little is worth waiting for.
fn impatient() -> Pace {
    Pace { patience: Duration::from_millis(1_500), ..pace() }
}

/// The last sync of a device, over a link that is good now.
async fn settle(device: &Finished) {
    let summary = device.pad.sync_at(&pace(), LAST).await;
    assert_eq!(summary.left, 0, "{summary:?}");
}

/// Says in figures what it cost.
async fn judge(world: &World, tablet: &Tablet, size: Size, finished: &[Finished]) -> String {
    let expected = i64::try_from(size.devices * size.reports).expect("a number");
    assert_eq!(Tablet::count(world).await, expected, "each report exactly once");
    let (mut sent, mut again, mut photo_bytes) = (0, 0, 0);
    for Finished { pad, photos, summaries } in finished {
        for summary in summaries {
            assert!(summary.again_bytes_max <= CHUNK_BYTES, "a cut cost more than a chunk: {summary:?}");
            assert_eq!(summary.refused, 0, "{summary:?}");
            sent += summary.sent_bytes;
            again += summary.again_bytes;
        }
        let status = pad.status();
        for entry in &status.entries {
            assert_eq!(entry.state, EntryState::Acknowledged);
            let stored = tablet.get(&entry.report.report_id, 0).await;
            assert_eq!(stored.report.as_ref(), Some(&entry.report));
            assert_eq!((stored.version, stored.complete), (1, true));
            let receipt =
                entry.answer.as_ref().and_then(|answer| answer.receipt.as_ref()).expect("a receipt");
            let told = (&receipt.content_sha256, receipt.version, &receipt.reference);
            assert_eq!(told, (&stored.content_sha256, 1, &stored.reference));
            assert_eq!(receipt.content_sha256, hash(&entry.report));
            if let Some(photo) = photos.get(&entry.report.report_id) {
                let photo = std::fs::read(photo).expect("it is there");
                photo_bytes += photo.len();
                assert!(download(tablet, &stored, 0).await == photo, "a photo changed on its way");
            }
        }
        let device_id = pad.device.outbox.settings().expect("it is read").device_id;
        let request = safelane::rpc::pb::GetSyncStateRequest { device_id };
        let state =
            tablet.service.clone().get_sync_state(request).await.unwrap().into_inner().sync_state.unwrap();
        let known = status.numbering.as_ref().expect("it was heard");
        assert_eq!(known.told, state, "the tablet knows what the service knows");
        let reports = i64::try_from(size.reports).expect("a number");
        assert_eq!((state.durable_through, state.missing_count), (reports, 0));
        assert_eq!((status.files.present, status.files.durable), (status.files.files, status.files.bytes));
    }
    let cuts: u64 = finished.iter().flat_map(|of| &of.summaries).map(|summary| summary.cuts).sum();
    assert!(0 < cuts, "the links were too good to prove anything");
    let audited = Store::new(world.database.options.clone(), 1);
    assert_eq!(audit::audit_everything(&audited).await.expect("the audit runs"), []);
    audited.close().await;
    let mut conn = world.database.connect().await;
    let twice = sqlx::query_scalar::<_, i64>(
        "SELECT count(*) FROM (SELECT report_id FROM report_versions GROUP BY report_id, version HAVING 1 < count(*)) t",
    );
    assert_eq!(twice.fetch_one(&mut conn).await.expect("a number"), 0);
    conn.close().await.expect("it closes");
    format!("{photo_bytes} bytes of photos; sent {sent}, of those again {again}; {cuts} cuts")
}
