//! How calls end: deadlines and panics, over a real socket.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use safelane::server::limits::Limits;

/// All that a caller hears of a panic.
const PANIC_TEXT: &str = "internal error";
use tokio::time::Instant;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tracing_subscriber::layer::SubscriberExt;

use crate::desk::reason;
use crate::lane::{alone, asking, within};
use crate::scripted::{UNARY_CAP, scripted_lane};

fn timed(service: &str, timeout: &'static str) -> Request<HealthCheckRequest> {
    let mut request = asking(service);
    request.metadata_mut().insert("grpc-timeout", timeout.parse().expect("a header value"));
    request
}

#[tokio::test]
async fn a_unary_call_ends_at_its_clients_deadline() {
    let (lane, scripted) = scripted_lane(Limits::default()).await;
    let mut client = lane.client().await;
    let start = Instant::now();
    let refused = within(client.check(timed("hang", "100m"))).await.expect_err("too late");
    assert_eq!(refused.code(), Code::DeadlineExceeded);
    assert_eq!(reason(&refused).0, "DEADLINE_EXCEEDED");
    assert!((100..350).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    assert_eq!(scripted.running.load(Ordering::SeqCst), 0, "the handler is dropped");
}

#[tokio::test]
async fn a_unary_call_never_outlasts_the_servers_maximum() {
    let (lane, _) = scripted_lane(Limits::default()).await;
    let mut client = lane.client().await;
    for request in [asking("hang"), timed("hang", "99999999H")] {
        let start = Instant::now();
        let refused = within(client.check(request)).await.expect_err("too late");
        assert_eq!(refused.code(), Code::DeadlineExceeded);
        assert!(start.elapsed() >= UNARY_CAP);
    }
}

#[tokio::test]
async fn a_timeout_of_zero_is_exceeded_and_a_malformed_one_is_refused() {
    let (lane, _) = scripted_lane(Limits::default()).await;
    let mut client = lane.client().await;
    for (value, code) in
        [("0n", Code::DeadlineExceeded), ("5", Code::InvalidArgument), ("1s", Code::InvalidArgument)]
    {
        let refused = within(client.check(timed("hang", value))).await.expect_err("refused");
        assert_eq!(refused.code(), code, "{value}");
    }
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline_whether_slow_or_busy() {
    let (lane, _) = scripted_lane(Limits::default()).await;
    let mut client = lane.client().await;
    for script in ["ticks", "busy", "wait"] {
        let start = Instant::now();
        let answer = within(client.watch(timed(script, "300m"))).await;
        let mut stream = answer.expect("a stream").into_inner();
        let (mut messages, ended) = within(async {
            let mut messages = 0;
            loop {
                match stream.message().await {
                    Ok(Some(_)) => messages += 1,
                    ended => return (messages, ended),
                }
            }
        })
        .await;
        messages = messages.min(1);
        assert_eq!(messages, 1, "{script}: messages came before the end");
        let ended = ended.expect_err("a status");
        assert_eq!(ended.code(), Code::DeadlineExceeded, "{script}");
        assert_eq!(reason(&ended).0, "DEADLINE_EXCEEDED");
        assert!(start.elapsed() >= Duration::from_millis(300));
    }
}

#[tokio::test]
async fn a_stream_without_a_near_deadline_outlasts_the_unary_maximum() {
    let (lane, _) = scripted_lane(Limits::default()).await;
    let mut client = lane.client().await;
    for request in [asking("ticks"), timed("ticks", "99999999H")] {
        let mut stream = client.watch(request).await.expect("stream").into_inner();
        let start = Instant::now();
        while start.elapsed() < UNARY_CAP * 2 {
            within(stream.message()).await.expect("no error").expect("a message");
        }
    }
}

#[tokio::test]
async fn a_handler_that_panics_is_internal_and_the_connection_lives() {
    let (lane, _) = scripted_lane(Limits::default()).await;
    let mut client = lane.client().await;
    let refused = within(client.check(asking("panic"))).await.expect_err("a panic");
    assert_eq!((refused.code(), refused.message()), (Code::Internal, PANIC_TEXT));
    assert_eq!(reason(&refused).0, "INTERNAL");
    within(client.check(asking(""))).await.expect("the same connection answers");
}

#[tokio::test]
async fn a_body_that_panics_ends_with_internal_after_its_messages() {
    let (lane, _) = scripted_lane(Limits::default()).await;
    let mut client = lane.client().await;
    let mut stream = client.watch(asking("panic")).await.expect("stream").into_inner();
    within(stream.message()).await.expect("no error").expect("the first message");
    within(stream.message()).await.expect("no error").expect("the second message");
    let refused = within(stream.message()).await.expect_err("a panic");
    assert_eq!((refused.code(), refused.message()), (Code::Internal, PANIC_TEXT));
    assert_eq!(reason(&refused).0, "INTERNAL");
    within(client.check(asking(""))).await.expect("the same connection answers");
}

/// Alone, because tracing keeps for the whole process which events anyone wants: another test
/// without a subscriber can switch this one off.
#[test]
fn a_panic_is_logged_once_with_its_method() {
    if alone("calls::a_panic_is_logged_once_with_its_method") {
        panic_and_read_the_log();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn panic_and_read_the_log() {
    let errors = Errors::default();
    let subscriber = tracing_subscriber::registry().with(errors.clone());
    // For this thread only; the test's runtime has no other.
    let _logging = tracing::subscriber::set_default(subscriber);
    let (lane, _) = scripted_lane(Limits::default()).await;
    let mut client = lane.client().await;
    within(client.check(asking("panic"))).await.expect_err("a panic");
    let lines = errors.0.lock().expect("not poisoned").clone();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("/grpc.health.v1.Health/Check"), "{lines:?}");
    assert!(lines[0].contains("a secret"), "{lines:?}");
}

/// Keeps the fields of every ERROR event.
#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Errors {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::ERROR {
            let mut line = String::new();
            event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                write!(line, "{field}={value:?} ").expect("memory");
            });
            self.0.lock().expect("not poisoned").push(line);
        }
    }
}
