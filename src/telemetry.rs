//! Logs, traces and metrics of the process.
//!
//! [`init`] installs one subscriber with two layers. The first gives every RPC a trace id and, when a
//! collector is configured, sends spans there. The second writes log lines to stderr and puts the trace
//! id on them. The order matters: the first layer makes the context that the second one reads.
//!
//! Without a collector nothing is recorded. Only the span of the RPC itself reaches the first layer, and
//! its sampler says no, so it costs two random ids and no attributes. Log lines and INTERNAL errors can
//! name their trace all the same.
//!
//! Only targets of this crate reach the first layer. So the exporter's own h2, hyper, tonic and tower
//! events can never feed the exporter.

mod collector;
mod lines;

use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Context, global};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Registry};

use crate::error::StartError;
use collector::Collector;

/// Target of the span that every RPC gets.
pub const RPC_TARGET: &str = "safelane::rpc";

/// Name of the instrumentation scope, and of the service unless `OTEL_SERVICE_NAME` says otherwise.
pub const SCOPE: &str = "safelane";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people; coloured when stderr is a terminal.
    Human,
    /// One JSON object in each line.
    Json,
}

/// What the operator chooses.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which events are logged, in the syntax of `RUST_LOG`.
    pub log_filter: String,
    /// `http://host:port` of an OTLP/gRPC collector. None sends nothing anywhere.
    pub otlp_endpoint: Option<String>,
    /// How many of a million traces are kept. A caller's sampled flag cannot raise it.
    pub sample_ratio_ppm: u32,
    /// `service.version` of everything that is sent.
    pub version: String,
    /// `service.instance.id`: tells replicas apart, whose counters would otherwise overwrite each other.
    pub instance: String,
}

/// Keeps the exporters. Give it back with [`Guard::shutdown`] before the process ends.
#[must_use = "spans and metrics that are still queued are lost without Guard::shutdown"]
#[derive(Debug)]
pub struct Guard {
    collector: Option<Collector>,
}

impl Guard {
    /// Sends what is queued and stops the exporters, in at most [`Guard::BOUND`].
    ///
    /// It blocks. Call it outside async code, on success and on error, while the runtime in which
    /// [`init`] ran still exists: that runtime drives the connection to the collector.
    pub fn shutdown(self) {
        if let Some(collector) = self.collector {
            collector.shutdown();
        }
    }

    /// The longest that [`Guard::shutdown`] takes, also when the collector is away.
    pub const BOUND: std::time::Duration = collector::FLUSH_BOUND;
}

/// Starts logs, and traces and metrics when a collector is configured. Once in a process.
///
/// With a collector it must run inside the tokio runtime (`Runtime::enter` is enough).
/// Metrics are then available from `opentelemetry::global::meter(SCOPE)`; without one, that meter
/// does nothing.
pub fn init(settings: &Settings) -> Result<Guard, StartError> {
    let filter = log_filter(&settings.log_filter)?;
    let collector = match &settings.otlp_endpoint {
        Some(endpoint) => Some(Collector::connect(endpoint, settings)?),
        None => None,
    };
    let ids = match &collector {
        Some(collector) => collector.spans().clone(),
        None => ids_only(),
    };
    let scope = if collector.is_some() { Scope::Everything } else { Scope::Calls };
    let subscriber = Registry::default()
        .with(bridge(ids.tracer(SCOPE), scope))
        .with(lines::layer(settings.log_format).with_filter(filter));
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| StartError::Refused("telemetry was started twice".into()))?;
    if let Some(collector) = &collector {
        global::set_meter_provider(collector.metrics().clone());
    }
    Ok(Guard { collector })
}

fn log_filter(text: &str) -> Result<EnvFilter, StartError> {
    EnvFilter::try_new(text).map_err(|error| StartError::Setting {
        setting: "--log (SAFELANE_LOG)",
        value: text.to_owned(),
        allowed: format!("a list such as \"info,safelane=debug\" is expected ({error})"),
    })
}

/// A provider that hands out ids and records nothing.
fn ids_only() -> SdkTracerProvider {
    SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff).build()
}

/// Which spans become OpenTelemetry spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The span of each RPC: enough for trace ids.
    Calls,
    /// All spans of this crate down to DEBUG, with their warnings and errors as span events.
    Everything,
}

impl Scope {
    fn wants(self, metadata: &Metadata<'_>) -> bool {
        if self == Self::Calls {
            return metadata.is_span() && metadata.target() == RPC_TARGET;
        }
        let lowest = if metadata.is_span() { Level::DEBUG } else { Level::WARN };
        let target = metadata.target();
        let ours = target == SCOPE || target.starts_with("safelane::");
        ours && *metadata.level() <= lowest
    }

    fn lowest(self) -> LevelFilter {
        match self {
            Self::Calls => LevelFilter::INFO,
            Self::Everything => LevelFilter::DEBUG,
        }
    }
}

/// The layer that turns `tracing` spans into OpenTelemetry spans.
///
/// Thread ids, source lines and busy times are left out: they cost more than they tell.
#[must_use]
pub fn bridge<S>(tracer: SdkTracer, scope: Scope) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let filter: FilterFn<_> = filter_fn(move |metadata| scope.wants(metadata));
    OpenTelemetryLayer::new(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter.with_max_level_hint(scope.lowest()))
}

/// The trace id of the RPC that is being served here, in hex. An INTERNAL error carries it to the
/// caller, and the log lines of the call carry it too.
#[must_use]
pub fn current_trace_id() -> Option<String> {
    Context::map_current(|context| {
        let span = context.span();
        let id = span.span_context().trace_id();
        (id != opentelemetry::TraceId::INVALID).then(|| id.to_string())
    })
}
