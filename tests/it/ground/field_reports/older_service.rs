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
use safelane::cli::field::outbox::{EntryState, Refused, Verdict};
use safelane::cli::field::sync::{Event, Until};
use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
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
pub(super) struct Older {
    pub(super) address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Older {
    pub(super) async fn before(service: SocketAddr) -> Self {
        Self::answering(service, true).await
    }

    /// One that stores reports, and whose answers to them are lost on their way.
    async fn unheard(service: SocketAddr) -> Self {
        Self::answering(service, false).await
    }

    async fn answering(service: SocketAddr, is_heard: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let channel = Channel::from_shared(format!("http://{service}")).expect("an address").connect_lazy();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let channel = channel.clone();
                let passing = service_fn(move |request: http::Request<Incoming>| {
                    pass(channel.clone(), request, is_heard)
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

async fn pass(
    service: Channel,
    request: http::Request<Incoming>,
    is_heard: bool,
) -> Result<http::Response<tonic::body::Body>, tonic::transport::Error> {
    let is_lost = !is_heard && has_reports(&request);
    let answer = service.oneshot(without_notes(request)).await?;
    Ok(if is_lost { answer.map(lost) } else { answer })
}

/// The link breaks when the first answer comes: then the report is stored.
fn lost(mut answers: tonic::body::Body) -> tonic::body::Body {
    let (to, pieces) = mpsc::channel::<Result<Frame<Bytes>, tonic::Status>>(1);
    tokio::spawn(async move {
        answers.frame().await.expect("an answer").expect("it is whole");
        // The device may have gone away.
        to.send(Err(tonic::Status::unavailable("the link broke"))).await.ok();
    });
    tonic::body::Body::new(StreamBody::new(ReceiverStream::new(pieces)))
}

fn has_reports(request: &http::Request<Incoming>) -> bool {
    request.uri().path().ends_with("/SubmitReport") || request.uri().path().ends_with("/SyncReports")
}

/// Both ways to send reports have the report in the same field.
fn without_notes(request: http::Request<Incoming>) -> http::Request<tonic::body::Body> {
    if !has_reports(&request) {
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
        // Number 2 was of what was refused, and version 2 is the office's.
        assert_eq!((amended.report.base_version, amended.report.device_sequence), (2, 2));
        assert_eq!(pad.sync_all().await.acknowledged, 1);
        assert_eq!(tablet.get(&id, 0).await.report.expect("a report").note, "of the team");
    })
    .await;
}

#[tokio::test]
async fn what_an_older_service_stored_without_being_heard_is_sent_whole_to_a_newer_one() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let older = Older::unheard(world.address).await;
        let pad = Pad::new(&tablet.team, older.address);
        let id = pad.capture(find(&tablet, "by the well"), &[]).report.report_id;
        let summary = pad.sync(Until::Once).await;
        assert_eq!((summary.acknowledged, summary.left, summary.partly_left), (0, 1, 0), "{summary:?}");
        assert_eq!((Tablet::count(world).await, pad.states()), (1, vec![EntryState::Sending]));
        pad.call(world.address);
        let summary = pad.sync_all().await;
        assert_eq!((summary.refused, summary.acknowledged), (0, 1), "{summary:?}");
        let stored = tablet.get(&id, 0).await;
        assert_eq!((stored.version, &*stored.report.expect("a report").note), (2, "by the well"));
        // Its first number is taken: the next report is not held for it, and no gap is left.
        let next = pad.capture(find(&tablet, "next"), &[]);
        assert_eq!(next.report.device_sequence, 3);
        assert_eq!(pad.sync_all().await.held, 0);
        let numbering = pad.status().numbering.expect("it was heard").told;
        assert_eq!((numbering.durable_through, numbering.missing), (3, vec![]));
        // What comes after it is based on what the service has.
        let amended = pad.device.amend(&id, find(&tablet, "amended"), &[]).expect("it is captured");
        assert_eq!(amended.report.base_version, 2);
    })
    .await;
}

#[tokio::test]
async fn an_amendment_that_was_stored_without_being_heard_keeps_its_number_and_is_amended() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        let id = pad.capture(find(&tablet, "first"), &[]).report.report_id;
        pad.sync_all().await;
        pad.device.amend(&id, find(&tablet, "second"), &[]).expect("it is captured");
        let older = Older::unheard(world.address).await;
        pad.call(older.address);
        assert_eq!(pad.sync(Until::Once).await.left, 1);
        assert_eq!(Tablet::count(world).await, 2);
        pad.call(world.address);
        assert_eq!(pad.sync(LONG).await.refused, 1);
        assert_eq!(pad.status().free_numbers, Vec::<i64>::new(), "the service has number 2");
        let amended = pad.device.amend(&id, find(&tablet, "third"), &[]).expect("it is captured");
        assert_eq!((amended.report.base_version, amended.report.device_sequence), (2, 3));
        let summary = pad.sync_all().await;
        assert_eq!((summary.acknowledged, summary.held), (1, 0), "{summary:?}");
        assert_eq!(tablet.get(&id, 0).await.report.expect("a report").note, "third");
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_in_part_tells_its_holds_and_its_stop() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let older = Older::before(world.address).await;
        let pad = Pad::new(&tablet.team, older.address);
        let accident = pb::AccidentReport {
            kind: pb::AccidentKind::DeminingAccident.into(),
            description: "A mine went off in lane 3.".to_owned(),
            halt_work: true,
            ..pb::AccidentReport::default()
        };
        let accident = pb::FieldReport { body: Some(Body::Accident(accident)), ..find(&tablet, "by radio") };
        // Of a task that nobody knows: it is held, and stops nothing.
        pad.capture(pb::FieldReport { task_id: fresh_id(), ..accident }, &[]);
        let summary = pad.sync(LONG).await;
        assert_eq!((summary.partly_left, summary.held), (1, 1), "{summary:?}");
        let heard = pad.heard.lock().expect("no panic").clone();
        let is_told = |event: &Event| {
            let Event::Partly { held, halt, .. } = event else { return false };
            !held.is_empty() && halt.contains("NO safety stop was raised")
        };
        assert!(heard.iter().any(is_told), "{heard:?}");
        let (text, json) = (pad.status().text(false), pad.status().json());
        assert!(text.contains("WARNING") && text.contains("held, "), "{text}");
        assert!(!json["reports"][0]["holds"].as_array().expect("a list").is_empty(), "{json}");
        assert_eq!(json["reports"][0]["report_state"], "REPORT_STATE_HELD");
    })
    .await;
}

#[tokio::test]
async fn files_of_what_was_kept_in_part_are_uploaded_also_when_it_is_refused_later() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let older = Older::before(world.address).await;
        let pad = Pad::new(&tablet.team, older.address);
        pad.capture(find(&tablet, "by the well"), &[pad.file("lane.jpg", b"\xFF\xD8\xFFlane")]);
        assert_eq!(pad.sync(LONG).await.files, 1);
        let outbox = &pad.device.outbox;
        outbox.doubt_files().expect("they are doubted");
        let refused = Refused { told: "no".to_owned(), newest: None, is_taken: false, is_closed: false };
        let entry = pad.status().entries.pop().expect("an entry").entry;
        outbox
            .settle(&[(entry, Verdict::Refused(refused))], &pb::DeviceClock::default())
            .expect("it is noted");
        assert_eq!(pad.states(), [EntryState::Refused]);
        assert_eq!(outbox.uploads().expect("they are read").len(), 1);
        assert_eq!(outbox.files_waiting().expect("they are counted").0, 1);
    })
    .await;
}

#[tokio::test]
async fn files_of_what_was_replaced_by_its_own_whole_content_are_uploaded_also_when_that_is_refused() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let older = Older::before(world.address).await;
        let pad = Pad::new(&tablet.team, older.address);
        pad.capture(find(&tablet, "by the well"), &[pad.file("lane.jpg", b"\xFF\xD8\xFFlane")]);
        pad.sync(LONG).await;
        let outbox = &pad.device.outbox;
        outbox.doubt_files().expect("they are doubted");
        let refused = Refused { told: "no".to_owned(), newest: None, is_taken: false, is_closed: true };
        for verdict in [Verdict::Anew, Verdict::Refused(refused)] {
            let entry = pad.status().entries.pop().expect("an entry").entry;
            outbox.settle(&[(entry, verdict)], &pb::DeviceClock::default()).expect("it is noted");
        }
        assert_eq!(pad.states(), [EntryState::Replaced, EntryState::Refused]);
        assert_eq!(outbox.uploads().expect("they are read").len(), 1);
        assert_eq!(outbox.files_waiting().expect("they are counted").0, 1);
    })
    .await;
}

/// A backup of the service was restored, which does not have what it acknowledged, and does not take it any more.
#[tokio::test]
async fn what_a_restored_service_refuses_leaves_its_number_and_is_no_base() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        let first = pad.capture(find(&tablet, "first"), &[]);
        pad.sync_all().await;
        let (outbox, clock) = (&pad.device.outbox, pb::DeviceClock::default());
        let nothing = pb::SyncState { device_id: first.report.device_id, ..pb::SyncState::default() };
        outbox.set_sync_state(&nothing, &clock).expect("it is noted");
        assert_eq!(outbox.send_again(&[(1, 1)]).expect("it is marked"), 1);
        let refused = Refused { told: "no".to_owned(), newest: None, is_taken: false, is_closed: false };
        outbox.settle(&[(first.entry, Verdict::Refused(refused))], &clock).expect("it is noted");
        assert_eq!(pad.status().free_numbers, [1]);
        let id = first.report.report_id;
        let amended = pad.device.amend(&id, find(&tablet, "amended"), &[]).expect("it is captured");
        assert_eq!((amended.report.base_version, amended.report.device_sequence), (0, 1));
    })
    .await;
}
