//! One RPC from its request to its status.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::Code;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::metrics::Instruments;
use super::{Method, MethodKind};
use crate::telemetry::RPC_TARGET;

/// An RPC that has not ended. Dropping it ends it.
pub(super) struct Call {
    method: Arc<Method>,
    instruments: Arc<Instruments>,
    started: Instant,
    span: Span,
    /// The same span for OpenTelemetry, which ends it at the right moment even if a task that the
    /// handler spawned still holds `span`.
    context: Context,
    ended: bool,
}

impl Call {
    pub(super) fn begin(
        method: &Arc<Method>,
        instruments: &Arc<Instruments>,
        headers: &HeaderMap,
        client: Option<&SocketAddr>,
    ) -> Self {
        let span = tracing::info_span!(
            target: RPC_TARGET,
            parent: None,
            "rpc",
            otel.kind = "server",
            rpc.method = &*method.name,
        );
        if headers.contains_key("traceparent") {
            let caller = TraceContextPropagator::new().extract(&Headers(headers));
            // Fails only when no telemetry is set up, and then there is nothing to tell.
            let _ = span.set_parent(caller);
        }
        let context = span.context();
        describe(&context, method, client);
        if method.kind == MethodKind::Stream {
            instruments.active.add(1, &method.attributes[..2]);
        }
        Self {
            method: Arc::clone(method),
            instruments: Arc::clone(instruments),
            started: Instant::now(),
            span,
            context,
            ended: false,
        }
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    pub(super) fn is_stream(&self) -> bool {
        self.method.kind == MethodKind::Stream
    }

    /// The stream stands: its span ends here, without a status, because it has none yet.
    pub(super) fn stream_stands(&self) {
        self.context.span().end();
    }

    /// Ends the call. Only the first end counts.
    pub(super) fn finish(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let status = KeyValue::new("rpc.response.status_code", name(code));
        let error = (code != Code::Ok).then(|| KeyValue::new("error.type", name(code)));
        self.finish_span(code, &status, error.as_ref());
        let seconds = self.started.elapsed().as_secs_f64();
        let attributes: Vec<KeyValue> =
            self.method.attributes.iter().cloned().chain([status]).chain(error).collect();
        if self.is_stream() {
            self.instruments.streams.record(seconds, &attributes);
            self.instruments.active.add(-1, &self.method.attributes[..2]);
        } else {
            self.instruments.calls.record(seconds, &attributes);
        }
    }

    /// Like [`Call::finish`], for a call that has no body to wait for.
    pub(super) fn end(mut self, code: Code) {
        self.finish(code);
    }

    fn finish_span(&self, code: Code, status: &KeyValue, error: Option<&KeyValue>) {
        let span = self.context.span();
        if !span.is_recording() {
            return;
        }
        span.set_attributes([Some(status), error].into_iter().flatten().cloned());
        if is_fault(code) {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        self.finish(if panicked { Code::Internal } else { Code::Cancelled });
    }
}

/// Only a recording span is worth a name and attributes.
fn describe(context: &Context, method: &Method, client: Option<&SocketAddr>) {
    let span = context.span();
    if !span.is_recording() {
        return;
    }
    // As a field of the `tracing` span the name would be copied and formatted for every call.
    span.update_name(method.name.to_string());
    let [system, _, address, port] = &method.attributes;
    span.set_attributes([system, address, port].into_iter().cloned());
    if let Some(client) = client {
        span.set_attribute(KeyValue::new("client.address", client.ip().to_string()));
    }
}

/// The codes that are the server's own failure. The others tell a caller what it did, and would make
/// every error rate a measure of its callers.
fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// A status as the gRPC specification spells it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Request headers as the propagator wants them.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
