//! The way to an OTLP/gRPC collector: batches of spans, and metrics at an interval.
//!
//! Both exporters work on threads of their own and drop what does not fit their queues, so a slow or
//! absent collector never delays a request. The SDK's own error logs are compiled out (feature
//! `internal-logs` is off); [`Told`] writes one line in their place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{
    ParentBasedSampler, Sampler, SdkTracerProvider, SpanData, SpanExporter as ExportSpans,
};

use super::{SCOPE, Settings};
use crate::error::StartError;

/// The longest that the last flush may take.
pub(super) const FLUSH_BOUND: Duration = Duration::from_secs(3);

/// One export gives up after this, so that a stuck collector cannot pile up work.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Providers that export to one collector.
#[derive(Debug)]
pub(super) struct Collector {
    spans: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

impl Collector {
    /// Prepares the exporters. The connection is made with the first export, and again when it breaks.
    pub(super) fn connect(endpoint: &str, settings: &Settings) -> Result<Self, StartError> {
        check(endpoint)?;
        let refused = |error: ExporterBuildError| unusable(endpoint, &error.to_string());
        let away = Arc::new(AtomicBool::new(false));
        let spans = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(refused)?;
        let metrics = MetricExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(refused)?;
        let resource = resource(settings);
        let reader = PeriodicReader::builder(Told { inner: metrics, away: away.clone() }).build();
        Ok(Self {
            spans: SdkTracerProvider::builder()
                .with_sampler(sampler(settings.sample_ratio_ppm))
                .with_resource(resource.clone())
                .with_batch_exporter(Told { inner: spans, away })
                .build(),
            metrics: SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build(),
        })
    }

    /// Makes the spans.
    pub(super) fn spans(&self) -> &SdkTracerProvider {
        &self.spans
    }

    /// Makes the meters.
    pub(super) fn metrics(&self) -> &SdkMeterProvider {
        &self.metrics
    }

    /// Flushes both at once and waits for at most [`FLUSH_BOUND`].
    ///
    /// The metric reader ignores the timeout it is given, so the bound is kept here: each flush has a
    /// thread, and a thread that does not come back is left behind.
    pub(super) fn shutdown(self) {
        let (running, finished) = mpsc::channel::<()>();
        let Self { spans, metrics } = self;
        let span_flush = running.clone();
        let started = [
            thread::Builder::new().name("flush-spans".into()).spawn(move || {
                let _ = spans.shutdown_with_timeout(FLUSH_BOUND);
                drop(span_flush);
            }),
            thread::Builder::new().name("flush-metrics".into()).spawn(move || {
                let _ = metrics.shutdown_with_timeout(FLUSH_BOUND);
                drop(running);
            }),
        ];
        // Nothing is ever sent: the wait ends when both threads have dropped their end.
        let _ = finished.recv_timeout(FLUSH_BOUND);
        drop(started);
    }
}

fn check(endpoint: &str) -> Result<(), StartError> {
    if !endpoint.starts_with("http://") {
        let rule = "TLS to a collector is not built in: run one beside the service";
        return Err(unusable(endpoint, rule));
    }
    // The exporter's channel spawns its worker when it is built and would panic.
    tokio::runtime::Handle::try_current()
        .map(drop)
        .map_err(|_| StartError::Refused("telemetry with a collector must start inside the runtime".into()))
}

fn unusable(endpoint: &str, why: &str) -> StartError {
    StartError::Setting {
        setting: "--otlp-endpoint (SAFELANE_OTLP_ENDPOINT)",
        value: endpoint.to_owned(),
        allowed: format!("the form http://host:port is expected ({why})"),
    }
}

/// The ratio also rules callers who ask to be sampled: anyone can send a `traceparent`, and nobody may
/// make this service record everything. The choice depends on the trace id alone, so services with the
/// same ratio keep the same traces.
fn sampler(ppm: u32) -> ParentBasedSampler {
    #[expect(clippy::float_arithmetic, reason = "the SDK takes the ratio as a float")]
    let ratio = Sampler::TraceIdRatioBased(f64::from(ppm) / 1_000_000.0);
    Sampler::parent_based(ratio.clone()).with_remote_parent_sampled(ratio)
}

/// `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` are read first and keep their say.
fn resource(settings: &Settings) -> Resource {
    let resource = Resource::builder()
        .with_attribute(KeyValue::new("service.version", settings.version.clone()))
        .with_attribute(KeyValue::new("service.instance.id", settings.instance.clone()));
    match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => resource.build(),
        None => resource.with_service_name(SCOPE).build(),
    }
}

/// An exporter that tells the operator once that the collector does not take what it is sent.
#[derive(Debug)]
struct Told<E> {
    inner: E,
    away: Arc<AtomicBool>,
}

impl<E> Told<E> {
    fn tell(&self, result: OTelSdkResult) -> OTelSdkResult {
        if result.is_err() && !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the telemetry collector does not answer; spans and metrics are dropped until it does"
            );
        }
        result
    }
}

impl<E: ExportSpans> ExportSpans for Told<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.tell(self.inner.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Told<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.tell(self.inner.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}
