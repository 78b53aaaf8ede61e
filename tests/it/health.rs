//! The Health service against its protocol, over a real socket.

use safelane::app::readiness::Readiness;
use safelane::rpc::health::HealthRpc;
use safelane::server::limits::Limits;
use tokio::sync::watch;
use tokio::time::{Duration, sleep};
use tonic::{Code, Streaming};
use tonic_health::pb::HealthCheckResponse;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::lane::{Lane, asking, within};

const SERVICE: &str = "safelane.v1.FundingService";

async fn lane_with_health() -> (Lane, watch::Sender<Readiness>) {
    let (sender, receiver) = watch::channel(Readiness::Starting);
    let health = HealthRpc::new(receiver, [SERVICE.to_owned()]).into_server();
    (Lane::start(health, Limits::default()).await, sender)
}

async fn next(stream: &mut Streaming<HealthCheckResponse>) -> Option<ServingStatus> {
    within(stream.message()).await.expect("no error").map(|response| response.status())
}

#[tokio::test]
async fn check_follows_readiness_for_every_name_but_liveness() {
    let (lane, readiness) = lane_with_health().await;
    let mut client = lane.client().await;
    for (state, expected) in [
        (Readiness::Starting, ServingStatus::NotServing),
        (Readiness::Serving, ServingStatus::Serving),
        (Readiness::DatabaseAway, ServingStatus::NotServing),
        (Readiness::Draining, ServingStatus::NotServing),
    ] {
        readiness.send_replace(state);
        for name in ["", "readiness", SERVICE] {
            let answer = client.check(asking(name)).await.expect("known name");
            assert_eq!(answer.get_ref().status(), expected, "{state:?} {name:?}");
        }
        let answer = client.check(asking("liveness")).await.expect("known name");
        assert_eq!(answer.get_ref().status(), ServingStatus::Serving, "{state:?} liveness");
    }
}

#[tokio::test]
async fn check_of_an_unknown_name_is_not_found() {
    let (lane, _readiness) = lane_with_health().await;
    let refused = lane.client().await.check(asking("nobody")).await.expect_err("unknown name");
    assert_eq!(refused.code(), Code::NotFound);
}

#[tokio::test]
async fn watch_sends_at_once_and_on_every_change_and_ends_with_the_drain() {
    let (lane, readiness) = lane_with_health().await;
    let mut client = lane.client().await;
    let mut stream = client.watch(asking(SERVICE)).await.expect("stream").into_inner();
    assert_eq!(next(&mut stream).await, Some(ServingStatus::NotServing));
    readiness.send_replace(Readiness::Serving);
    assert_eq!(next(&mut stream).await, Some(ServingStatus::Serving));
    readiness.send_replace(Readiness::DatabaseAway);
    assert_eq!(next(&mut stream).await, Some(ServingStatus::NotServing));
    readiness.send_replace(Readiness::Serving);
    assert_eq!(next(&mut stream).await, Some(ServingStatus::Serving));
    readiness.send_replace(Readiness::Draining);
    assert_eq!(next(&mut stream).await, Some(ServingStatus::NotServing));
    assert_eq!(next(&mut stream).await, None);
}

#[tokio::test]
async fn watch_does_not_repeat_a_status() {
    let (lane, readiness) = lane_with_health().await;
    let mut client = lane.client().await;
    let mut stream = client.watch(asking("")).await.expect("stream").into_inner();
    assert_eq!(next(&mut stream).await, Some(ServingStatus::NotServing));
    readiness.send_replace(Readiness::DatabaseAway);
    sleep(Duration::from_millis(50)).await;
    readiness.send_replace(Readiness::Serving);
    assert_eq!(next(&mut stream).await, Some(ServingStatus::Serving));
}

#[tokio::test]
async fn watch_of_an_unknown_name_says_so_and_stays_open_until_the_drain() {
    let (lane, readiness) = lane_with_health().await;
    let mut client = lane.client().await;
    let mut stream = client.watch(asking("nobody")).await.expect("stream").into_inner();
    assert_eq!(next(&mut stream).await, Some(ServingStatus::ServiceUnknown));
    readiness.send_replace(Readiness::Serving);
    let quiet = tokio::time::timeout(Duration::from_millis(100), stream.message()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    readiness.send_replace(Readiness::Draining);
    assert_eq!(next(&mut stream).await, None);
}

#[tokio::test]
async fn liveness_is_never_told_to_be_not_serving() {
    let (lane, readiness) = lane_with_health().await;
    let mut client = lane.client().await;
    let mut stream = client.watch(asking("liveness")).await.expect("stream").into_inner();
    assert_eq!(next(&mut stream).await, Some(ServingStatus::Serving));
    readiness.send_replace(Readiness::DatabaseAway);
    readiness.send_replace(Readiness::Draining);
    assert_eq!(next(&mut stream).await, None);
}

#[tokio::test]
async fn a_watch_that_begins_during_the_drain_gets_one_answer() {
    let (lane, readiness) = lane_with_health().await;
    readiness.send_replace(Readiness::Draining);
    let mut client = lane.client().await;
    let mut stream = client.watch(asking("")).await.expect("stream").into_inner();
    assert_eq!(next(&mut stream).await, Some(ServingStatus::NotServing));
    assert_eq!(next(&mut stream).await, None);
}

#[tokio::test]
async fn watch_streams_do_not_hold_up_the_drain() {
    let (lane, readiness) = lane_with_health().await;
    let mut client = lane.client().await;
    let mut stream = client.watch(asking("")).await.expect("stream").into_inner();
    assert_eq!(next(&mut stream).await, Some(ServingStatus::NotServing));
    readiness.send_replace(Readiness::Draining);
    lane.shutdown.stop.cancel();
    assert_eq!(lane.drained().await.cut_connections, 0);
}
