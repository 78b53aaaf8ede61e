//! What went wrong in the field with others' tools, one test each, named after the report of it. Some are proved by tests
//! that say more beside them:
//!
//! - kobotoolbox/kobocat#470 and #859, parallel sends of one submission that became several rows:
//!   `versions::eight_senders_of_the_same_fifty_reports_store_fifty`;
//! - akvo/akvo-flow#2944, the same data under other ids that counted twice:
//!   `holds::a_second_report_of_the_same_work_is_held_and_names_the_first`;
//! - getodk/central#794, what was deleted and is sent again:
//!   `review::amendments::central_794_who_sends_a_decided_report_again_is_told_a_final_state_and_nothing_is_stored`;
//! - getodk/collect#6509, whole lists that are downloaded again:
//!   `team_feed::a_cursor_resumes_without_a_snapshot_and_says_what_left_meanwhile`;
//! - getodk/getodk#235, corrections that never reach the device: `review::feed`, and
//!   `field::remarks_of_a_reviewer_come_back_to_the_device_until_they_are_answered`;
//! - hotosm/field-tm#1841, nobody knows when something has changed: `report_stream`;
//! - getodk/central#669 and #705, offline edits that came out of order and were stuck:
//!   `versions::versions_that_arrive_backwards_end_as_if_they_had_come_in_order`;
//! - kobotoolbox/enketo-express#776, "already have it" that loses photos:
//!   `attachments::whole::enketo_express_776_a_known_report_does_not_hide_that_its_photos_are_missing`;
//! - getodk/collect#7356, uploads that begin anew at every try:
//!   `attachments::resume::collect_7356_a_retry_goes_on_at_the_byte_where_the_link_broke`;
//! - Esri/Survey123Community#543, a crash that loses the survey:
//!   `field::survey123_543_a_capture_that_is_killed_anywhere_loses_nothing_that_it_told`;
//! - the question that makes a new service of the minimum data (GICHD): `seasons`.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use prost::Message as _;
use safelane::cli::field::outbox::EntryState;
use safelane::cli::field::sync::{Pace, Until};
use safelane::rpc::pb;
use safelane::rpc::pb::sync_reports_response::Outcome;
use safelane::server::limits::Limits;
use tonic::body::Body;

use super::bad_link::{BadLink, LOGIN, Weather};
use super::devices::{Pad, find, pace};
use super::rig::Tablet;
use crate::ground::feed_rig::with_teams;
use crate::harness::in_world;
use crate::lane::Lane;

#[tokio::test]
async fn formhub_678_a_retry_every_moment_at_a_slow_server_stores_one_row() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let slow = Weather::LateAnswers(Duration::from_secs(20));
        let link = BadLink::meeting(world.address, &[slow; 6]).await;
        let pad = Pad::new(&tablet.team, link.address);
        pad.capture(find(&tablet, "one"), &[]);
        let hasty = Pace { patience: Duration::from_millis(400), ..pace() };
        let summary = pad.sync_at(&hasty, super::devices::LONG).await;
        assert_eq!((summary.left, summary.cuts), (0, 6), "{summary:?}");
        assert_eq!(Tablet::count(world).await, 1);
        assert_eq!(pad.states(), [EntryState::Acknowledged]);
    })
    .await;
}

#[tokio::test]
async fn survey123_389_an_outbox_of_27_that_is_cut_and_sent_again_is_27_records() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        // Cut in the headers, in the reports, and in the answers.
        let cuts: Vec<Weather> = (1..9).map(|part| Weather::Cut(part * 700)).collect();
        let link = BadLink::meeting(world.address, &cuts).await;
        let pad = Pad::new(&tablet.team, link.address);
        for number in 0..27 {
            pad.capture(find(&tablet, &format!("record {number}")), &[]);
        }
        let summary = pad.sync_all().await;
        assert!(2 < summary.cuts, "{summary:?}");
        assert_eq!((summary.acknowledged, Tablet::count(world).await), (27, 27));
        let numbering = pad.status().numbering.expect("it was heard").told;
        assert_eq!((numbering.durable_through, numbering.missing_count), (27, 0));
    })
    .await;
}

#[tokio::test]
async fn collect_5317_an_edit_after_a_send_that_was_cut_is_a_version_and_no_conflict() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        let first = pad.capture(find(&tablet, "as it was sent"), &[]);
        // It was marked, sent and stored, and then the link broke: no answer came.
        let marked = pad.device.outbox.sending(&[first.entry]).expect("it is marked");
        tablet.submit(&marked[0].report).await.expect("it is stored");
        assert_eq!(pad.states(), [EntryState::Sending]);
        let id = first.report.report_id.clone();
        let edit = pad.device.amend(&id, find(&tablet, "as it was edited"), &[]).expect("it is captured");
        assert_eq!((edit.report.report_id.as_str(), edit.report.base_version), (id.as_str(), 1));
        pad.sync_all().await;
        assert_eq!(pad.states(), [EntryState::Acknowledged; 2]);
        assert_eq!(tablet.get(&id, 1).await.report.unwrap().note, "as it was sent");
        assert_eq!(tablet.get(&id, 0).await.report.unwrap().note, "as it was edited");
        assert_eq!(Tablet::count(world).await, 2);
    })
    .await;
}

#[tokio::test]
async fn collect_6768_a_list_of_three_that_gains_and_loses_a_fourth_is_known_to_have_changed() {
    with_teams(&[1], async |rig| {
        let (operator, team) = (rig.operators[0].0.as_str(), rig.operators[0].1[0].as_str());
        let mut three = BTreeSet::new();
        for _ in 0..3 {
            let task = rig.task(operator, &[rig.site().await]).await;
            rig.assign(operator, team, &task).await;
            three.insert(task);
        }
        let pad = Pad::new(team, rig.world.address);
        let with_feed = Pace { feed: true, ..pace() };
        let tasks = || -> BTreeSet<String> {
            let tasks = pad.device.outbox.feed_records::<pb::Task>("task").expect("they are read");
            tasks.into_iter().map(|task| task.task_id).collect()
        };
        pad.sync_at(&with_feed, Until::Once).await;
        assert_eq!(tasks(), three);
        let before = pad.device.outbox.feed_cursor().expect("it is read");
        let fourth = rig.task(operator, &[rig.site().await]).await;
        let assignment = rig.assign(operator, team, &fourth).await;
        pad.sync_at(&with_feed, Until::Once).await;
        assert!(tasks().contains(&fourth));
        rig.end(operator, &assignment, "ENDED").await;
        pad.sync_at(&with_feed, Until::Once).await;
        assert_eq!(tasks(), three);
        // The same list, and yet known to be a newer one.
        assert_ne!(pad.device.outbox.feed_cursor().expect("it is read"), before);
        // Both at once, between two looks.
        let assignment = rig.assign(operator, team, &fourth).await;
        rig.end(operator, &assignment, "ENDED").await;
        pad.sync_at(&with_feed, Until::Once).await;
        assert_eq!(tasks(), three);
    })
    .await;
}

#[tokio::test]
async fn getodk_983_and_kobocat_243_a_clock_that_was_reset_orders_nothing_and_is_found_out() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        pad.clock.set("1970-01-01T00:00:10Z");
        let first = pad.capture(find(&tablet, "written first"), &[]);
        pad.clock.set("2031-05-05T00:00:00Z");
        let second = pad.capture(find(&tablet, "written second"), &[]);
        pad.clock.set("1970-01-01T00:00:20Z");
        pad.sync_all().await;
        for (entry, number) in [(first, 1), (second, 2)] {
            let stored = tablet.get(&entry.report.report_id, 0).await;
            assert_eq!(stored.report.as_ref().map(|report| report.device_sequence), Some(number));
            assert_eq!((stored.state(), stored.holds), (pb::ReportState::Received, vec![]));
            // The time since the device was switched on tells when it was written, whatever the clock says.
            let (received, captured) = (stored.received_at.unwrap().seconds, stored.captured_at);
            let captured = captured.expect("it can be told").seconds;
            assert!((received - 60..=received).contains(&captured), "{captured} {received}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_captive_portal_that_answers_200_acknowledges_nothing() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        let kept = pad.capture(find(&tablet, "kept"), &[]).report;
        let portal = BadLink::meeting(world.address, &[Weather::Portal; 3]).await;
        let page = Lane::start(tower::service_fn(login), Limits::default()).await;
        let yes = Lane::start(tower::service_fn(yes_to_all), Limits::default()).await;
        let lies = tower::service_fn(move |asked| std::future::ready(Ok(lie(&kept, &asked))));
        let liar = Lane::start(lies, Limits::default()).await;
        // Twice and more: over a stream, and by a call.
        for (address, tries) in [(portal.address, 3), (page.address, 2), (yes.address, 2), (liar.address, 2)]
        {
            pad.call(address);
            for _ in 0..tries {
                let summary = pad.sync(Until::Once).await;
                assert_eq!((summary.acknowledged, summary.refused, summary.left), (0, 0, 1), "{summary:?}");
            }
        }
        assert_eq!(portal.carried(), 3);
        assert_eq!(Tablet::count(world).await, 0);
        pad.call(world.address);
        assert_eq!(pad.sync_all().await.acknowledged, 1);
        for lane in [page, yes, liar] {
            lane.shutdown.cut.cancel();
        }
    })
    .await;
}

/// A login page over HTTP/2, where a client might take the bare status for a success.
async fn login(_: http::Request<Incoming>) -> Result<http::Response<Body>, Infallible> {
    let body = Body::new(Full::from(LOGIN).map_err(|never| match never {}));
    Ok(http::Response::builder().header("content-type", "text/html").body(body).expect("an answer"))
}

/// Speaks gRPC, and says to everything that all is well.
async fn yes_to_all(_: http::Request<Incoming>) -> Result<http::Response<Body>, Infallible> {
    Ok(grpc(&[]))
}

/// Knows the contract, the device and the report, and says that it is stored, but not with what content.
fn lie(report: &pb::FieldReport, asked: &http::Request<Incoming>) -> http::Response<Body> {
    let receipt = pb::Receipt {
        report_id: report.report_id.clone(),
        content_sha256: vec![0; 32],
        version: 1,
        ..pb::Receipt::default()
    };
    let stored = pb::SubmitReportResponse {
        outcome: pb::ReportOutcome::Stored.into(),
        receipt: Some(receipt),
        ..pb::SubmitReportResponse::default()
    };
    let state = pb::SyncState { device_id: report.device_id.clone(), ..pb::SyncState::default() };
    let message = match asked.uri().path().rsplit('/').next() {
        Some("GetSyncState") => pb::GetSyncStateResponse { sync_state: Some(state) }.encode_to_vec(),
        Some("SubmitReport") => stored.encode_to_vec(),
        _ => pb::SyncReportsResponse {
            report_id: report.report_id.clone(),
            device_sequence: report.device_sequence,
            outcome: Some(Outcome::Stored(stored)),
        }
        .encode_to_vec(),
    };
    grpc(&message)
}

/// One message, and a good end.
fn grpc(message: &[u8]) -> http::Response<Body> {
    let length = u32::try_from(message.len()).expect("a short message");
    let framed = [&[0], &length.to_be_bytes()[..], message].concat();
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let body = Full::from(framed).with_trailers(std::future::ready(Some(Ok(trailers))));
    let body = Body::new(body.map_err(|never: Infallible| match never {}));
    http::Response::builder().header("content-type", "application/grpc").body(body).expect("an answer")
}
