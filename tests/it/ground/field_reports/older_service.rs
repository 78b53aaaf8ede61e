//! A service that is older than the app: it drops what it does not know, and its receipt has another hash. The report stays
//! on the device until the service knows all of it.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use prost::Message as _;
use safelane::cli::field::outbox::EntryState;
use safelane::cli::field::sync::{Event, Until};
use safelane::rpc::pb;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tower::{ServiceExt as _, service_fn};

use super::devices::{LONG, Pad, find};
use super::rig::{Tablet, edited};
use crate::binary::{output, safelane, text};
use crate::harness::{fresh_id, in_world};

/// The service of before reports had a note. Ends when dropped.
struct Older {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Older {
    async fn before(service: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let channel = Channel::from_shared(format!("http://{service}")).expect("an address").connect_lazy();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let channel = channel.clone();
                let passing = service_fn(move |request: http::Request<Incoming>| {
                    channel.clone().oneshot(without_notes(request))
                });
                connections.spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    // A device that goes away is no matter here.
                    server
                        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(passing))
                        .await
                        .ok();
                });
            }
        });
        Self { address, _serving: serving }
    }
}

/// Both ways to send reports have the report in the same field.
fn without_notes(request: http::Request<Incoming>) -> http::Request<tonic::body::Body> {
    if !request.uri().path().ends_with("/SubmitReport") && !request.uri().path().ends_with("/SyncReports") {
        return request.map(tonic::body::Body::new);
    }
    request.map(|body| {
        let (to, pieces) = mpsc::channel(16);
        tokio::spawn(pass_without_notes(body, to));
        tonic::body::Body::new(StreamBody::new(ReceiverStream::new(pieces)))
    })
}

async fn pass_without_notes(mut body: Incoming, to: mpsc::Sender<Result<Frame<Bytes>, tonic::Status>>) {
    let mut waiting = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(piece) = frame.into_data() else { continue };
        waiting.extend_from_slice(&piece);
        while let Some(message) = next_message(&mut waiting) {
            let mut request = pb::SubmitReportRequest::decode(&*message).expect("a request");
            request.report.as_mut().expect("a report").note.clear();
            let content = request.encode_to_vec();
            let length = u32::try_from(content.len()).expect("a length").to_be_bytes();
            let framed = [&[0], &length[..], &content].concat();
            if to.send(Ok(Frame::data(framed.into()))).await.is_err() {
                return;
            }
        }
    }
}

/// The next message of a call, when it is whole: a flag, four bytes of length, and the content.
fn next_message(waiting: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length: [u8; 4] = waiting.get(1..5)?.try_into().expect("four bytes");
    let end = 5 + usize::try_from(u32::from_be_bytes(length)).expect("a length");
    (end <= waiting.len()).then(|| waiting.drain(..end).skip(5).collect())
}

const UNKNOWN: &str =
    "the service does not know all fields of this app yet, and keeps version 1 without them";

#[tokio::test]
async fn what_a_service_drops_of_a_report_stays_here_until_it_knows_all_fields() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let older = Older::before(world.address).await;
        let pad = Pad::new(&tablet.team, older.address);
        let whole = pad.capture(find(&tablet, "by the well"), &[pad.file("lane.jpg", b"\xFF\xD8\xFFlane")]);
        let id = &whole.report.report_id;
        pad.capture(find(&tablet, ""), &[]);
        // Over a stream, and one by one: others and photos go through, and nothing is sent without end.
        for (round, acknowledged, files) in [(1, 1, 1), (2, 0, 0)] {
            let summary = pad.sync(LONG).await;
            assert_eq!(
                (summary.partly_left, summary.left, summary.foreign),
                (1, 0, 0),
                "{round} {summary:?}"
            );
            assert_eq!((summary.acknowledged, summary.files), (acknowledged, files), "{round} {summary:?}");
            assert_eq!(pad.states(), [EntryState::Sending, EntryState::Acknowledged]);
        }
        let status = pad.status();
        assert!(status.text(false).contains(UNKNOWN), "{}", status.text(false));
        assert_eq!(status.json()["reports"][0]["partly"]["version"], 1);
        assert_eq!(status.entries[0].report, whole.report);
        assert_eq!((status.gaps(), Tablet::count(world).await), (vec![], 2));
        let told = pad.heard.lock().expect("no panic").clone();
        let partly =
            told.iter().filter(|event| matches!(event, Event::Partly { told, .. } if told.contains(UNKNOWN)));
        assert_eq!(partly.count(), 2);
        // The service is brought up to date.
        pad.call(world.address);
        let summary = pad.sync_all().await;
        assert_eq!((summary.partly_left, summary.acknowledged, summary.refused), (0, 1, 0), "{summary:?}");
        let acknowledged = EntryState::Acknowledged;
        assert_eq!(pad.states(), [EntryState::Replaced, acknowledged, acknowledged]);
        let stored = tablet.get(id, 0).await;
        let report = stored.report.expect("a report");
        assert_eq!((stored.version, &*report.note, stored.complete), (2, "by the well", true));
        let numbering = pad.status().numbering.expect("it was heard").told;
        assert_eq!((numbering.durable_through, numbering.missing), (3, vec![]));
    })
    .await;
}

#[tokio::test]
async fn the_command_line_says_that_a_report_is_kept_in_part() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let older = Older::before(world.address).await;
        let pad = Pad::new(&tablet.team, older.address);
        pad.capture(find(&tablet, "by the well"), &[]);
        let outbox = pad.device.outbox.dir().to_str().expect("text").to_owned();
        let synced = output(safelane(&["field", "sync", "--outbox", &outbox, "--once"])).await;
        let told = text(&synced.stdout);
        assert!(told.contains(UNKNOWN) && told.contains("1 reports are kept in part"), "{told}");
        assert_eq!(synced.status.code(), Some(3), "{told}");
    })
    .await;
}

#[tokio::test]
async fn what_was_amended_meanwhile_is_sent_as_it_is_now() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let older = Older::before(world.address).await;
        let pad = Pad::new(&tablet.team, older.address);
        let id = pad.capture(find(&tablet, "first"), &[]).report.report_id;
        pad.sync(LONG).await;
        let mut second = find(&tablet, "second");
        second.work_date.as_mut().expect("a day").day = 14;
        let second = pad.device.amend(&id, second, &[]).expect("it is captured");
        assert_eq!(second.report.base_version, 1);
        assert_eq!(pad.sync(LONG).await.partly_left, 2);
        pad.call(world.address);
        let summary = pad.sync_all().await;
        assert_eq!((summary.partly_left, summary.refused), (0, 0), "{summary:?}");
        let stored = tablet.get(&id, 0).await;
        assert_eq!((stored.version, &*stored.report.expect("a report").note), (3, "second"));
        assert_eq!(Tablet::count(world).await, 3);
    })
    .await;
}

#[tokio::test]
async fn a_report_that_an_office_changed_meanwhile_is_refused_and_its_number_stays_taken() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let older = Older::before(world.address).await;
        let pad = Pad::new(&tablet.team, older.address);
        let id = pad.capture(find(&tablet, "by the well"), &[]).report.report_id;
        pad.sync(LONG).await;
        let stored = tablet.get(&id, 0).await.report.expect("a report");
        let office =
            pb::FieldReport { device_id: fresh_id(), ..edited(&tablet, &stored, 1, "of the office") };
        tablet.submit(&office).await.expect("it is stored");
        pad.call(world.address);
        let summary = pad.sync(LONG).await;
        assert_eq!((summary.refused, summary.partly_left), (1, 0), "{summary:?}");
        assert_eq!(pad.states(), [EntryState::Replaced, EntryState::Refused]);
        let amended = pad.device.amend(&id, find(&tablet, "of the team"), &[]).expect("it is captured");
        // Number 2 was of what was refused.
        assert_eq!((amended.report.base_version, amended.report.device_sequence), (1, 2));
        assert_eq!(pad.sync(Until::Once).await.refused, 1, "it is not of the office's version");
    })
    .await;
}
