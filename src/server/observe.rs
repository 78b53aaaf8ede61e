//! What an operator sees of each RPC: one server span and one measurement.
//!
//! The names are those of the OpenTelemetry conventions for RPC (`rpc.method` is the full name, the
//! status is text such as `NOT_FOUND`). Put the layer inside grpc-web, where trailers are still trailers,
//! and outside everything that can refuse a call, so that refusals are seen too.
//!
//! - A **unary** call has a span until its status is known, and a value in `rpc.server.call.duration`.
//! - A **stream** has a span for its set-up only, until the response headers: spans that live for hours
//!   are lost in a crash and are useless to look at. Its life goes to `safelane.rpc.stream.duration`, so
//!   that it does not spoil the latency of unary calls, and to `safelane.rpc.active_streams`.
//!   What happens inside a stream still carries the trace id of its set-up.
//!
//! A call that goes away before its end counts as `CANCELLED`, one that panics as `INTERNAL`.

mod body;
mod call;
mod metrics;

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use opentelemetry::metrics::Meter;
use opentelemetry::{KeyValue, StringValue};
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::Instrument;

use crate::server::accept::Peer;

use call::Call;
use metrics::Instruments;

/// `rpc.method` of everything that is not in the contract, so that a scan cannot make new time series.
const UNKNOWN: &str = "_OTHER";

/// How a method answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodKind {
    /// One request, one response.
    Unary,
    /// A stream in at least one direction.
    Stream,
}

/// The layer. Cloning shares everything.
#[derive(Debug, Clone)]
pub struct Observe {
    known: Arc<Known>,
}

impl Observe {
    /// Observes the `methods`, given by full name (`safelane.v1.FundingService/PostEntry`).
    ///
    /// `server` is the address that the service listens on. A request whose extensions hold the peer's
    /// [`Peer`] gets `client.address` on its span.
    pub fn new(
        meter: &Meter,
        server: SocketAddr,
        methods: impl IntoIterator<Item = (String, MethodKind)>,
    ) -> Self {
        let methods = methods
            .into_iter()
            .map(|(name, kind)| (format!("/{name}"), Arc::new(Method::new(&name, kind, server))))
            .collect();
        let other = Arc::new(Method::new(UNKNOWN, MethodKind::Unary, server));
        let instruments = Arc::new(Instruments::new(meter));
        Self { known: Arc::new(Known { methods, other, instruments }) }
    }
}

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observed { inner, known: Arc::clone(&self.known) }
    }
}

/// A method of the contract with the attributes that never change.
#[derive(Debug)]
struct Method {
    name: Arc<str>,
    kind: MethodKind,
    attributes: [KeyValue; 4],
}

impl Method {
    fn new(name: &str, kind: MethodKind, server: SocketAddr) -> Self {
        let name: Arc<str> = name.into();
        let address: Arc<str> = server.ip().to_string().into();
        let attributes = [
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", StringValue::from(Arc::clone(&name))),
            KeyValue::new("server.address", StringValue::from(address)),
            KeyValue::new("server.port", i64::from(server.port())),
        ];
        Self { name, kind, attributes }
    }
}

#[derive(Debug)]
struct Known {
    methods: HashMap<String, Arc<Method>>,
    other: Arc<Method>,
    instruments: Arc<Instruments>,
}

impl Known {
    fn begin<B>(&self, request: &Request<B>) -> Call {
        let method = self.methods.get(request.uri().path()).unwrap_or(&self.other);
        let client = request.extensions().get::<Peer>().map(|peer| &peer.0);
        Call::begin(method, &self.instruments, request.headers(), client)
    }
}

/// A service whose calls are observed.
#[derive(Debug, Clone)]
pub struct Observed<S> {
    inner: S,
    known: Arc<Known>,
}

impl<S, B> Service<Request<B>> for Observed<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = self.known.begin(&request);
        let span = call.span().clone();
        let answer = span.in_scope(|| self.inner.call(request)).instrument(span);
        Box::pin(async move {
            match answer.await {
                Ok(response) => Ok(body::observe(response, call)),
                Err(error) => {
                    call.end(tonic::Code::Unknown);
                    Err(error)
                }
            }
        })
    }
}
