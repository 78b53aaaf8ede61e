//! What only a whole process can show: the subscriber it installs, its log lines and its last flush.
//!
//! A subscriber is set once in a process, and the test binary has many tests. So each test here runs
//! itself again as a child process, with [`CHILD`] set, and looks at what the child wrote.

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use http::Response;
use opentelemetry::TraceId;
use safelane::error::StartError;
use safelane::server::observe::Observe;
use safelane::telemetry::{self, Guard, LogFormat, SCOPE, Settings};
use tokio::runtime::Runtime;
use tonic::body::Body;
use tower::{Layer, ServiceExt, service_fn};

use super::sink::Sink;
use super::{POST, TRACE, address, answer, drain, insert, message, methods, traced, trailers};

const CHILD: &str = "SAFELANE_TEST_CHILD";

/// In the child: runs `body` and returns None. In the test: runs the child and returns what it wrote.
fn in_child(test: &str, body: impl FnOnce()) -> Option<Output> {
    if std::env::var_os(CHILD).is_some() {
        body();
        return None;
    }
    // The harness names a test by its path without the crate.
    let path = module_path!().split_once("::").expect("inside a crate").1;
    let output = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "--nocapture", "--test-threads=1", &format!("{path}::{test}")])
        .env(CHILD, "1")
        .output()
        .expect("the child starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{said}\n{}", log(&output).join("\n"));
    Some(output)
}

fn log(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect()
}

fn settings(log_format: LogFormat, collector: Option<SocketAddr>) -> Settings {
    Settings {
        log_format,
        log_filter: "info".into(),
        otlp_endpoint: collector.map(|address| format!("http://{address}")),
        sample_ratio_ppm: 1_000_000,
        version: "1.2.3".into(),
        instance: "one".into(),
    }
}

fn start(runtime: &Runtime, settings: &Settings) -> Guard {
    let _inside = runtime.enter();
    telemetry::init(settings).expect("telemetry starts")
}

/// One RPC that logs a line and calls the store.
async fn serve(layer: &Observe) {
    let service = service_fn(|_: http::Request<()>| async {
        tracing::info!(target: "safelane::test", entry = 7, "posting");
        insert("secret").await;
        Ok::<Response<Body>, std::convert::Infallible>(answer([message(), trailers("0")]))
    });
    drain(layer.layer(service).oneshot(traced(POST)).await.expect("infallible")).await;
}

fn observe() -> Observe {
    Observe::new(&opentelemetry::global::meter(SCOPE), address(), methods())
}

#[test]
fn the_last_flush_brings_spans_and_metrics_to_the_collector() {
    let output = in_child("the_last_flush_brings_spans_and_metrics_to_the_collector", || {
        let runtime = Runtime::new().expect("a runtime");
        let (sink, address) = runtime.block_on(Sink::start());
        // Everything is logged, h2 and all, and still only our spans reach the collector.
        let mut settings = settings(LogFormat::Human, Some(address));
        settings.log_filter = "trace".into();
        let guard = start(&runtime, &settings);
        runtime.block_on(async { serve(&observe()).await });
        // What the exporter's own transport says must not become a span, or exports feed themselves.
        tracing::info_span!(target: "hyper::proto::h2", "transport").in_scope(|| ());
        assert!(sink.spans().is_empty(), "nothing is sent before the batch is due");
        guard.shutdown();

        let spans = sink.spans();
        let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["db.ledger.insert", POST]);
        let rpc = spans.iter().find(|span| span.name == POST).expect("listed above");
        let trace = TraceId::from_hex(TRACE).expect("hex");
        assert_eq!(rpc.trace_id, trace.to_bytes());
        assert_eq!(sink.metrics(), ["rpc.server.call.duration"]);
        let resources = sink.resources().join("\n");
        for part in ["service.name", "safelane", "service.version", "1.2.3"] {
            assert!(resources.contains(part), "{resources}");
        }
    });
    if let Some(output) = output {
        assert!(!log(&output).iter().any(|line| line.contains("secret")));
    }
}

#[test]
fn a_callers_sampled_flag_cannot_force_a_trace() {
    in_child("a_callers_sampled_flag_cannot_force_a_trace", || {
        let runtime = Runtime::new().expect("a runtime");
        let (sink, address) = runtime.block_on(Sink::start());
        let mut settings = settings(LogFormat::Human, Some(address));
        settings.sample_ratio_ppm = 0;
        let guard = start(&runtime, &settings);
        runtime.block_on(async { serve(&observe()).await });
        guard.shutdown();
        assert!(sink.spans().is_empty(), "{:?}", sink.spans());
        assert_eq!(sink.metrics(), ["rpc.server.call.duration"]);
    });
}

#[test]
fn a_collector_that_is_away_costs_one_line_and_a_bounded_shutdown() {
    let name = "a_collector_that_is_away_costs_one_line_and_a_bounded_shutdown";
    let output = in_child(name, || {
        // A port that was free a moment ago refuses connections.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let nobody = listener.local_addr().expect("bound");
        drop(listener);
        let mut settings = settings(LogFormat::Human, Some(nobody));
        settings.log_filter = "info,safelane::test=off".into();
        shut_down_in_time(&settings);
    });
    if let Some(output) = output {
        let log = log(&output);
        assert_eq!(log.len(), 1, "{log:?}");
        assert!(log[0].contains("the telemetry collector does not answer"), "{log:?}");
    }
}

#[test]
fn a_collector_that_hangs_delays_no_call_and_no_shutdown() {
    let output = in_child("a_collector_that_hangs_delays_no_call_and_no_shutdown", || {
        // The kernel accepts connections, and nobody ever answers.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let silent = listener.local_addr().expect("bound");
        let mut settings = settings(LogFormat::Human, Some(silent));
        settings.log_filter = "info,safelane::test=off".into();
        shut_down_in_time(&settings);
    });
    if let Some(output) = output {
        assert!(log(&output).len() <= 1, "{:?}", log(&output));
    }
}

/// Serves more calls than the span queue holds, then shuts down; neither may wait for the collector.
fn shut_down_in_time(settings: &Settings) {
    let runtime = Runtime::new().expect("a runtime");
    let guard = start(&runtime, settings);
    let begun = Instant::now();
    runtime.block_on(async {
        let layer = observe();
        for _ in 0..5_000 {
            serve(&layer).await;
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(5), "calls took {:?}", begun.elapsed());
    let begun = Instant::now();
    guard.shutdown();
    let slack = Duration::from_secs(2);
    assert!(begun.elapsed() < Guard::BOUND + slack, "shutdown took {:?}", begun.elapsed());
}

#[test]
fn json_lines_name_their_trace_without_a_collector() {
    let output = in_child("json_lines_name_their_trace_without_a_collector", || {
        let runtime = Runtime::new().expect("a runtime");
        let guard = start(&runtime, &settings(LogFormat::Json, None));
        runtime.block_on(async { serve(&observe()).await });
        tracing::info!(target: "safelane::test", "outside");
        guard.shutdown();
    });
    let Some(output) = output else { return };
    let lines: Vec<serde_json::Value> =
        log(&output).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0]["message"], "posting");
    assert_eq!(lines[0]["entry"], 7);
    assert_eq!(lines[0]["trace_id"], TRACE);
    assert_eq!(lines[0]["span_id"].as_str().map(str::len), Some(16));
    assert_eq!(lines[0]["span"]["rpc.method"], POST);
    assert_eq!(lines[1]["message"], "outside");
    assert!(lines[1].get("trace_id").is_none());
}

#[test]
fn lines_for_people_name_their_trace_and_have_no_colours_in_a_pipe() {
    let output = in_child("lines_for_people_name_their_trace_and_have_no_colours_in_a_pipe", || {
        let runtime = Runtime::new().expect("a runtime");
        let guard = start(&runtime, &settings(LogFormat::Human, None));
        runtime.block_on(async { serve(&observe()).await });
        guard.shutdown();
    });
    let Some(output) = output else { return };
    let log = log(&output);
    assert_eq!(log.len(), 1, "{log:?}");
    let end = format!("safelane::test: posting entry=7 trace_id={TRACE}");
    assert!(log[0].ends_with(&end), "{log:?}");
    assert!(!log[0].contains("otel.kind") && !log[0].contains('\u{1b}'), "{log:?}");
}

#[test]
fn a_setting_that_cannot_work_stops_the_start() {
    let mut wrong = settings(LogFormat::Human, None);
    wrong.log_filter = "safelane=loud".into();
    let Err(StartError::Setting { value, .. }) = telemetry::init(&wrong) else {
        panic!("a filter with an unknown level was accepted");
    };
    assert_eq!(value, "safelane=loud");
    let mut wrong = settings(LogFormat::Human, None);
    wrong.otlp_endpoint = Some("https://collector:4317".into());
    let Err(StartError::Setting { allowed, .. }) = telemetry::init(&wrong) else {
        panic!("an https collector was accepted");
    };
    assert!(allowed.contains("TLS"), "{allowed}");
}

#[test]
fn a_collector_needs_a_runtime() {
    let without = settings(LogFormat::Human, Some(address()));
    assert!(matches!(telemetry::init(&without), Err(StartError::Refused(_))));
}
