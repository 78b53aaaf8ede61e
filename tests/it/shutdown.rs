//! How the real process ends: signals, streams, stuck clients.

use std::time::{Duration, Instant};

use safelane::rpc::pb;
use safelane::rpc::pb::Delivery;
use safelane::rpc::pb::funding_service_client::FundingServiceClient;
use safelane::rpc::pb::stream_budget_report_request::Start;
use safelane::rpc::pb::stream_budget_report_response::Message;
use sqlx::{Connection as _, PgConnection};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Code, Streaming};
use tonic_health::pb::HealthCheckResponse;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::binary::Service;
use crate::desk::{Desk, reason};
use crate::following::{Client, Sent, body, entries, from, next, open, request, until, whole};
use crate::harness::{World, connect, in_world};
use crate::lane::{asking, within};

/// More than a machine under load needs to end a process that has nothing left to do.
const SLACK: Duration = Duration::from_secs(4);
/// How long the database may take to close, in `server.rs`.
const CLOSE_MAX: Duration = Duration::from_secs(5);

#[tokio::test]
async fn sigterm_drains_streams_and_calls_and_ends_with_zero() {
    drained_by("TERM").await;
}

#[tokio::test]
async fn ctrl_c_drains_like_sigterm() {
    drained_by("INT").await;
}

async fn drained_by(signal: &str) {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let mut service = Service::on(&world.database.url(), &["--drain-deadline", "15s"]).await;
        let channel = connect(service.address).await;
        let mut state = begun(&channel, request(&desk, Delivery::State)).await;
        let mut live = begun(&channel, request(&desk, Delivery::Entries)).await;
        let (sender, mut posting) = post_entries(&channel, &desk).await;
        let mut watch = watch(&channel).await;
        let lock = lock_head(world, &desk).await;
        let mut funding = FundingServiceClient::new(channel.clone());
        let entry = Some(desk.entry(desk.authorize(77)));
        let in_flight = tokio::spawn(async move { funding.post_entry(pb::PostEntryRequest { entry }).await });
        wait_for_waiter(world).await;
        let start = Instant::now();
        service.signal(signal);
        let told = within(watch.message()).await.expect("no error").expect("a status");
        assert_eq!(told.status(), ServingStatus::NotServing);
        lock.close().await.expect("the lock is let go");
        let posted = within(in_flight).await.expect("no panic").expect("the call completes").into_inner();
        for (stream, of) in [(&mut state, Delivery::State), (&mut live, Delivery::Entries)] {
            let before = to_the_end(stream).await;
            let last = before.last().expect("a message");
            let Message::Reconnect(reconnect) = body(last) else { panic!("{last:?}") };
            assert_eq!(reconnect.resume_token, last.resume_token);
            assert!(reconnect.after.is_some());
            let start = Start::ResumeToken(last.resume_token.clone());
            let rest =
                whole(&world.reports(), from(start, &until(posted.revision, &request(&desk, of)))).await;
            assert!(rest.iter().all(|sent| !matches!(body(sent), Message::Snapshot(_))));
            if of == Delivery::Entries {
                // Before the end or after it, as it came about, but once.
                let mut told = entries(&[before, rest].concat());
                told.retain(|(revision, _)| posted.revision <= *revision);
                assert_eq!(told, [(posted.revision, posted.revision - 1)]);
            }
        }
        let ended = within(posting.message()).await.expect_err("the drain ends it");
        assert_eq!((ended.code(), reason(&ended).0.as_str()), (Code::Unavailable, "DRAINING"));
        let status = service.ended(Duration::from_secs(15)).await;
        assert_eq!(status.code(), Some(0), "{}", service.errors());
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        drop(sender);
    })
    .await;
}

/// A stream that has sent its snapshot.
async fn begun(
    channel: &tonic::transport::Channel,
    request: pb::StreamBudgetReportRequest,
) -> Streaming<Sent> {
    let mut stream = open(&Client::new(channel.clone()), request).await.expect("the stream opens");
    while !matches!(body(&next(&mut stream).await.expect("a message")), Message::SnapshotEnd(_)) {}
    stream
}

async fn to_the_end(stream: &mut Streaming<Sent>) -> Vec<Sent> {
    let mut all = Vec::new();
    while let Some(sent) = next(stream).await {
        all.push(sent);
    }
    all
}

/// A stream of entries that has booked one and stays open.
async fn post_entries(
    channel: &tonic::transport::Channel,
    desk: &Desk,
) -> (mpsc::Sender<pb::PostEntriesRequest>, Streaming<pb::PostEntriesResponse>) {
    let (sender, receiver) = mpsc::channel(4);
    let entry = Some(desk.entry(desk.authorize(100)));
    sender.send(pb::PostEntriesRequest { entry }).await.expect("there is room");
    let mut funding = FundingServiceClient::new(channel.clone());
    let answers = funding.post_entries(ReceiverStream::new(receiver)).await.expect("it opens");
    let mut answers = answers.into_inner();
    let answer = within(answers.message()).await.expect("no error").expect("an answer");
    assert!(matches!(answer.outcome, Some(pb::post_entries_response::Outcome::Accepted(_))));
    (sender, answers)
}

async fn watch(channel: &tonic::transport::Channel) -> Streaming<HealthCheckResponse> {
    let mut health = HealthClient::new(channel.clone());
    let mut watch = health.watch(asking("readiness")).await.expect("it opens").into_inner();
    loop {
        let told = within(watch.message()).await.expect("no error").expect("a status");
        if told.status() == ServingStatus::Serving {
            return watch;
        }
    }
}

/// Keeps every writer of the program waiting until the connection is closed.
async fn lock_head(world: &World, desk: &Desk) -> PgConnection {
    let mut connection = world.database.connect().await;
    sqlx::raw_sql("BEGIN").execute(&mut connection).await.expect("a transaction");
    let scope: uuid::Uuid = desk.program_id.parse().expect("an id");
    sqlx::query("SELECT 1 FROM journal_head WHERE scope_id = $1 FOR UPDATE")
        .bind(scope)
        .execute(&mut connection)
        .await
        .expect("the lock");
    connection
}

async fn wait_for_waiter(world: &World) {
    let mut connection = world.database.connect().await;
    within(async {
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(&mut connection)
            .await
            .expect("the activity");
            if 0 < waiting {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A client that opened a stream and never reads from it, and one that never says a word.
async fn stuck(service: &Service, desk: &Desk) -> (Streaming<Sent>, TcpStream) {
    let endpoint = Endpoint::from_shared(format!("http://{}", service.address)).expect("a URL");
    let narrow = endpoint.initial_stream_window_size(16).connect().await.expect("it connects");
    let stream = open(&Client::new(narrow), request(desk, Delivery::State)).await.expect("it opens");
    (stream, TcpStream::connect(service.address).await.expect("it connects"))
}

#[tokio::test]
async fn stuck_clients_are_cut_at_the_drain_deadline() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let mut service = Service::on(&world.database.url(), &["--drain-deadline", "1s"]).await;
        let stuck = stuck(&service, &desk).await;
        let start = Instant::now();
        service.signal("TERM");
        let status = service.ended(Duration::from_secs(1) + SLACK).await;
        assert_eq!(status.code(), Some(2), "{}", service.errors());
        assert!(Duration::from_secs(1) <= start.elapsed(), "it had time to the deadline");
        drop(stuck);
    })
    .await;
}

#[tokio::test]
async fn a_second_signal_cuts_at_once() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let mut service = Service::on(&world.database.url(), &["--drain-deadline", "300s"]).await;
        let mut watch = watch(&connect(service.address).await).await;
        let stuck = stuck(&service, &desk).await;
        service.signal("TERM");
        within(watch.message()).await.expect("no error").expect("the first signal has come");
        service.signal("TERM");
        let status = service.ended(SLACK).await;
        assert_eq!(status.code(), Some(2), "{}", service.errors());
        drop(stuck);
    })
    .await;
}

#[tokio::test]
async fn a_write_that_hangs_in_the_database_does_not_keep_the_process() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let mut service = Service::on(&world.database.url(), &["--drain-deadline", "1s"]).await;
        let lock = lock_head(world, &desk).await;
        let mut funding = FundingServiceClient::new(connect(service.address).await);
        let entry = Some(desk.entry(desk.authorize(77)));
        let hanging = tokio::spawn(async move { funding.post_entry(pb::PostEntryRequest { entry }).await });
        wait_for_waiter(world).await;
        service.signal("TERM");
        let status = service.ended(Duration::from_secs(1) + CLOSE_MAX + SLACK).await;
        assert_eq!(status.code(), Some(2), "{}", service.errors());
        let told = within(hanging).await.expect("no panic").expect_err("it was cut");
        assert!(matches!(told.code(), Code::Unavailable | Code::Unknown | Code::Cancelled), "{told}");
        lock.close().await.expect("the lock is let go");
    })
    .await;
}
