//! What the RPC layer tells: spans and metrics in memory, one call at a time.
//!
//! Each test has its own subscriber on its own thread (`set_default` and the current-thread runtime), so
//! the tests run beside all others. What only the whole process can show is in `process.rs`.

mod calls;
mod process;
mod sink;
mod streams;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as _, Frame};
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use safelane::server::accept::Peer;
use safelane::server::observe::{MethodKind, Observe};
use safelane::telemetry::{Scope, bridge, current_trace_id};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, ServiceExt, service_fn};
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing_subscriber::layer::SubscriberExt;

const POST: &str = "safelane.v1.FundingService/PostEntry";
const WATCH: &str = "safelane.v1.ReportService/StreamBudgetReport";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn methods() -> [(String, MethodKind); 2] {
    [(POST.into(), MethodKind::Unary), (WATCH.into(), MethodKind::Stream)]
}

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8443))
}

/// In-memory exporters and the layer that feeds them.
struct Seen {
    spans: InMemorySpanExporter,
    metrics: InMemoryMetricExporter,
    meters: SdkMeterProvider,
    layer: Observe,
    _subscriber: DefaultGuard,
    _second: Dispatch,
}

impl Seen {
    fn new() -> Self {
        // With one dispatcher in the process, `tracing` asks only the thread that meets a callsite first
        // whether anyone wants it, and that may be another test's. With two it asks all of them.
        let second = Dispatch::new(NoSubscriber::default());
        let spans = InMemorySpanExporter::default();
        let metrics = InMemoryMetricExporter::default();
        let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
        let reader = PeriodicReader::builder(metrics.clone()).build();
        let meters = SdkMeterProvider::builder().with_reader(reader).build();
        let layer = Observe::new(&meters.meter("test"), address(), methods());
        let subscriber =
            tracing_subscriber::registry().with(bridge(tracers.tracer("test"), Scope::Everything));
        let subscriber = tracing::subscriber::set_default(subscriber);
        Self { spans, metrics, meters, layer, _subscriber: subscriber, _second: second }
    }

    /// Sends one request to a handler that makes the response.
    async fn call<F, A>(&self, request: Request<()>, handler: F) -> Response<Body>
    where
        F: FnOnce() -> A + Clone + Send + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let service = service_fn(move |_: Request<()>| {
            let answer = handler.clone()();
            async move { Ok::<_, Infallible>(answer.await) }
        });
        self.layer.layer(service).oneshot(request).await.expect("infallible")
    }

    fn finished(&self) -> Vec<SpanData> {
        self.spans.get_finished_spans().expect("readable")
    }

    fn span(&self, name: &str) -> SpanData {
        let found = self.finished().into_iter().find(|span| span.name == name);
        found.unwrap_or_else(|| panic!("no span {name} in {:?}", self.finished()))
    }

    /// Attributes and count of each series of a histogram, or the value of each series of a sum.
    fn series(&self, name: &str) -> Vec<(Vec<String>, i64)> {
        self.metrics.reset();
        self.meters.force_flush().expect("flushed");
        let all = self.metrics.get_finished_metrics().expect("readable");
        let scopes = all.iter().flat_map(ResourceMetrics::scope_metrics);
        let mut found = Vec::new();
        for metric in scopes.flat_map(ScopeMetrics::metrics).filter(|m| m.name() == name) {
            match metric.data() {
                AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                    for point in histogram.data_points() {
                        let count = i64::try_from(point.count()).expect("small");
                        found.push((text(point.attributes()), count));
                    }
                }
                AggregatedMetrics::I64(MetricData::Sum(sum)) => {
                    for point in sum.data_points() {
                        found.push((text(point.attributes()), point.value()));
                    }
                }
                other => panic!("unexpected kind of {name}: {other:?}"),
            }
        }
        found
    }
}

/// The bucket bounds of a histogram that has one series.
fn bounds(seen: &Seen, name: &str) -> Vec<f64> {
    seen.meters.force_flush().expect("flushed");
    let all = seen.metrics.get_finished_metrics().expect("readable");
    let scopes = all.iter().flat_map(ResourceMetrics::scope_metrics);
    let metric = scopes.flat_map(ScopeMetrics::metrics).find(|metric| metric.name() == name);
    match metric.expect("measured").data() {
        AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
            histogram.data_points().next().expect("one series").bounds().collect()
        }
        other => panic!("unexpected kind of {name}: {other:?}"),
    }
}

fn text<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>) -> Vec<String> {
    let mut all: Vec<String> =
        attributes.into_iter().map(|one| format!("{}={}", one.key, one.value)).collect();
    all.sort();
    all
}

fn request(method: &str) -> Request<()> {
    Request::post(format!("http://safelane/{method}")).body(()).expect("valid")
}

fn traced(method: &str) -> Request<()> {
    let mut request = request(method);
    request.headers_mut().insert("traceparent", HeaderValue::from_static(PARENT));
    request.extensions_mut().insert(Peer(SocketAddr::from(([192, 0, 2, 7], 50_000))));
    request
}

/// A body of frames that are all ready; it stays pending after the last unless that was trailers.
struct Frames(VecDeque<Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.0.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Poll::Pending,
        }
    }
}

fn message() -> Frame<Bytes> {
    Frame::data(Bytes::from_static(b"\0\0\0\0\0"))
}

fn trailers(code: &'static str) -> Frame<Bytes> {
    Frame::trailers(HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static(code),
    )]))
}

fn answer(frames: impl IntoIterator<Item = Frame<Bytes>>) -> Response<Body> {
    Response::new(Body::new(Frames(frames.into_iter().collect())))
}

/// Reads frames until trailers have come.
async fn drain(response: Response<Body>) {
    let mut body = response.into_body();
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        match frame {
            Some(Ok(frame)) if frame.is_data() => {}
            _ => return,
        }
    }
}

/// A store call as the service makes them.
#[tracing::instrument(
    target = "safelane::store",
    level = "debug",
    name = "db.ledger.insert",
    skip_all,
    fields(
        otel.kind = "client",
        db.system.name = "postgresql",
        db.query.summary = "ledger.insert",
    )
)]
async fn insert(_secret: &str) -> Option<String> {
    tokio::task::yield_now().await;
    current_trace_id()
}
