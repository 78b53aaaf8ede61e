//! The accept loop against real sockets: protocols, limits, drain.

use std::sync::atomic::Ordering;
use std::time::Duration;

use safelane::server::limits::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::lane::{alone, asking, within};
use crate::scripted::scripted_lane;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const MOMENT: Duration = Duration::from_millis(200);

/// Waits until the server closes; how it closes does not matter.
async fn closed_within(limit: Duration, stream: &mut TcpStream) -> bool {
    timeout(limit, async { while matches!(stream.read(&mut [0; 512]).await, Ok(1..)) {} }).await.is_ok()
}

/// A gRPC-Web call of Check over HTTP/1; returns all that comes until the text `until`.
async fn call_over_http1(stream: &mut TcpStream, service: &str, until: &str) -> String {
    let length = service.len();
    let mut message = vec![0, 0, 0, 0, u8::try_from(length + 2).expect("short"), 10];
    message.push(u8::try_from(length).expect("short"));
    message.extend_from_slice(service.as_bytes());
    let head = format!(
        "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nhost: here\r\n\
         content-type: application/grpc-web+proto\r\ncontent-length: {}\r\n\r\n",
        message.len()
    );
    stream.write_all(head.as_bytes()).await.expect("write");
    stream.write_all(&message).await.expect("write");
    let (mut answer, mut chunk) = (String::new(), [0; 512]);
    while !answer.contains(until) {
        let read = within(stream.read(&mut chunk)).await.expect("read");
        assert!(read > 0, "closed after: {answer}");
        answer.push_str(&String::from_utf8_lossy(&chunk[..read]));
    }
    answer
}

#[tokio::test]
async fn a_call_over_http2_is_answered_and_knows_its_peer_and_deadline() {
    let (lane, _) = scripted_lane(Limits::default()).await;
    within(lane.client().await.check(asking("peer"))).await.expect("answered");
}

#[tokio::test]
async fn a_grpc_web_call_over_http1_is_answered_on_the_same_port() {
    let (lane, _) = scripted_lane(Limits::default()).await;
    let mut stream = lane.tcp().await;
    call_over_http1(&mut stream, "peer", "grpc-status:0").await;
    call_over_http1(&mut stream, "hang", "grpc-status: 4").await;
    call_over_http1(&mut stream, "panic", "grpc-status: 13").await;
    call_over_http1(&mut stream, "peer", "grpc-status:0").await;
}

#[tokio::test]
async fn stop_closes_the_listener_and_waits_for_the_open_stream() {
    let limits = Limits { goodbye_timeout: Duration::from_millis(50), ..Limits::default() };
    let (lane, scripted) = scripted_lane(limits).await;
    let mut client = lane.client().await;
    let mut stream = client.watch(asking("wait")).await.expect("stream").into_inner();
    within(stream.message()).await.expect("no error").expect("a message");
    lane.shutdown.stop.cancel();
    sleep(MOMENT).await;
    assert!(lane.is_running(), "the stream is still open");
    TcpStream::connect(lane.address).await.expect_err("the listener is closed");
    within(client.check(asking(""))).await.expect_err("GOAWAY ends new calls");
    scripted.release.notify_one();
    assert!(within(stream.message()).await.expect("ended in good order").is_none());
    assert_eq!(lane.drained().await.cut_connections, 0);
}

#[tokio::test]
async fn cut_ends_and_counts_what_is_left_and_drops_its_handlers() {
    let (lane, scripted) = scripted_lane(Limits::default()).await;
    let mut client = lane.client().await;
    let mut stream = client.watch(asking("ticks")).await.expect("stream").into_inner();
    within(stream.message()).await.expect("no error").expect("a message");
    let mut other = lane.client().await;
    within(other.check(asking(""))).await.expect("answered");
    lane.shutdown.stop.cancel();
    sleep(MOMENT).await;
    assert!(lane.is_running(), "the stream is still open");
    lane.shutdown.cut.cancel();
    assert_eq!(lane.drained().await.cut_connections, 1, "the idle connection ended by itself");
    within(async { while stream.message().await.is_ok() {} }).await;
    within(async {
        while scripted.running.load(Ordering::SeqCst) > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn cut_alone_also_stops_the_server() {
    let (lane, _) = scripted_lane(Limits::default()).await;
    let mut client = lane.client().await;
    let _stream = client.watch(asking("ticks")).await.expect("stream");
    lane.shutdown.cut.cancel();
    assert_eq!(lane.drained().await.cut_connections, 1);
}

#[tokio::test]
async fn a_silent_connection_does_not_block_the_drain() {
    let (lane, _) = scripted_lane(Limits::default()).await;
    let _silent = lane.tcp().await;
    let mut halfway = lane.tcp().await;
    halfway.write_all(&PREFACE[..10]).await.expect("write");
    let mut idle_http1 = lane.tcp().await;
    call_over_http1(&mut idle_http1, "peer", "grpc-status:0").await;
    sleep(MOMENT).await;
    lane.shutdown.stop.cancel();
    let drained = timeout(Duration::from_secs(1), lane.drained()).await.expect("at once");
    assert_eq!(drained.cut_connections, 0);
}

#[tokio::test]
async fn a_peer_that_never_answers_the_goaway_does_not_block_the_drain() {
    let limits = Limits { goodbye_timeout: MOMENT, ..Limits::default() };
    let (lane, _) = scripted_lane(limits).await;
    let mut dead = lane.tcp().await;
    dead.write_all(&[PREFACE, EMPTY_SETTINGS].concat()).await.expect("write");
    sleep(MOMENT).await;
    lane.shutdown.stop.cancel();
    sleep(MOMENT / 2).await;
    assert!(lane.is_running(), "it has time to answer");
    assert_eq!(lane.drained().await.cut_connections, 0);
}

#[tokio::test]
async fn an_http1_call_is_finished_during_the_drain() {
    let limits = Limits { goodbye_timeout: Duration::from_millis(20), ..Limits::default() };
    let (lane, scripted) = scripted_lane(limits).await;
    let mut stream = lane.tcp().await;
    let call = tokio::spawn(async move { call_over_http1(&mut stream, "wait", "grpc-status:0").await });
    sleep(MOMENT / 2).await;
    lane.shutdown.stop.cancel();
    sleep(MOMENT / 2).await;
    scripted.release.notify_one();
    within(call).await.expect("answered");
    assert_eq!(lane.drained().await.cut_connections, 0);
}

#[tokio::test]
async fn a_connection_without_a_whole_preface_is_closed_in_time() {
    let limits = Limits { preface_timeout: MOMENT, ..Limits::default() };
    let (lane, _) = scripted_lane(limits).await;
    let mut client = lane.client().await;
    let mut silent = lane.tcp().await;
    let mut halfway = lane.tcp().await;
    halfway.write_all(&PREFACE[..10]).await.expect("write");
    assert!(closed_within(MOMENT * 3, &mut silent).await);
    assert!(closed_within(MOMENT * 3, &mut halfway).await);
    within(client.check(asking(""))).await.expect("a real client is not touched");
}

#[tokio::test]
async fn an_http1_head_that_never_ends_is_closed_in_time() {
    let limits = Limits { header_read_timeout: MOMENT, ..Limits::default() };
    let (lane, _) = scripted_lane(limits).await;
    let mut slow = lane.tcp().await;
    let half = b"POST /grpc.health.v1.Health/Check HTTP/1.1\r\nhost: he";
    slow.write_all(half).await.expect("write");
    assert!(closed_within(MOMENT * 3, &mut slow).await);
}

#[tokio::test]
async fn connections_above_the_cap_wait_for_a_free_place() {
    let limits = Limits { max_connections: 2, ..Limits::default() };
    let (lane, _) = scripted_lane(limits).await;
    let (mut first, mut second) = (lane.client().await, lane.client().await);
    within(first.check(asking(""))).await.expect("answered");
    within(second.check(asking(""))).await.expect("answered");
    let mut third = lane.client().await;
    let waiting = tokio::spawn(async move { third.check(asking("")).await });
    sleep(MOMENT).await;
    assert!(!waiting.is_finished(), "no third connection is served");
    within(second.check(asking(""))).await.expect("those inside are served");
    drop(first);
    within(waiting).await.expect("no panic").expect("answered after one left");
}

#[tokio::test]
async fn the_stream_and_header_limits_are_announced() {
    let limits = Limits {
        max_concurrent_streams: 7,
        max_header_list_size: 9_000,
        // Less than HTTP/2 allows.
        max_frame_size: 1_000,
        ..Limits::default()
    };
    let (lane, _) = scripted_lane(limits).await;
    let mut stream = lane.tcp().await;
    stream.write_all(&[PREFACE, EMPTY_SETTINGS].concat()).await.expect("write");
    let mut head = [0; 9];
    within(stream.read_exact(&mut head)).await.expect("a frame head");
    assert_eq!(head[3], 4, "the first frame is SETTINGS");
    let mut payload = vec![0; usize::from(head[2])];
    within(stream.read_exact(&mut payload)).await.expect("the settings");
    let settings: Vec<(u16, u32)> = payload
        .chunks_exact(6)
        .map(|entry| {
            let value = entry[2..].try_into().expect("four bytes");
            (u16::from_be_bytes([entry[0], entry[1]]), u32::from_be_bytes(value))
        })
        .collect();
    assert!(settings.contains(&(3, 7)), "max concurrent streams: {settings:?}");
    assert!(settings.contains(&(6, 9_000)), "max header list size: {settings:?}");
    assert!(settings.contains(&(4, Limits::default().stream_window)), "window: {settings:?}");
    let frame = settings.iter().find(|(name, _)| *name == 5);
    assert!(frame.is_none_or(|(_, size)| *size == 16_384), "max frame size: {settings:?}");
}

#[tokio::test]
async fn a_peer_that_stops_answering_pings_is_dropped() {
    let limits = Limits { keepalive_interval: MOMENT, keepalive_timeout: MOMENT, ..Limits::default() };
    let (lane, _) = scripted_lane(limits).await;
    let mut client = lane.client().await;
    let mut dead = lane.tcp().await;
    dead.write_all(&[PREFACE, EMPTY_SETTINGS].concat()).await.expect("write");
    assert!(closed_within(MOMENT * 5, &mut dead).await);
    within(client.check(asking(""))).await.expect("one that answers stays");
}

/// Alone, because a file limit is the whole process's.
#[test]
fn the_server_outlives_a_lack_of_file_descriptors() {
    if alone("transport::the_server_outlives_a_lack_of_file_descriptors") {
        run_out_of_files();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run_out_of_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let (lane, _) = scripted_lane(Limits::default()).await;
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(40), maximum }).expect("a lower limit");
    // Blocking, so the one thread cannot accept before the table is full of client sockets.
    let mut held = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect(lane.address) {
        held.push(stream);
    }
    assert!(held.len() > 10, "only {} sockets", held.len());
    sleep(MOMENT).await;
    assert!(lane.is_running(), "accept errors are not fatal");
    drop(held);
    sleep(MOMENT).await;
    within(lane.client().await.check(asking(""))).await.expect("answered again");
}
