//! Deadlines: no call lasts longer than its client, or this server, allows.
//!
//! tonic 0.14.9 applies `grpc-timeout` only until the response headers and reports CANCELLED
//! (grpc-rust#75). This layer also covers the body and reports `DEADLINE_EXCEEDED`. It drops the
//! handler's future at the deadline, so a handler must run its writes in a task of their own.
//! It must not know what a method does, only its path and whether it streams.
//!
//! It belongs inside the gRPC-Web layer, which turns its trailers into a browser's form.
//! One limit: hyper asks a body for its next frame only when the client has taken the last one,
//! so the stream of a client that stopped reading ends by the client's reset or the keepalive.

use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use prost_reflect::DescriptorPool;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::error::{Error, Violations};
use crate::rpc::status::status;

use super::grpc_timeout;
use super::trailers::trailers;

/// A timeout above this is lowered to it, so that adding it to the clock cannot overflow. No call
/// lasts a year.
const LONGEST_TIMEOUT: Duration = Duration::from_hours(365 * 24);

/// The rule of [`DeadlineLayer`], and the layer itself. Clones share the list of methods.
#[derive(Clone, Debug)]
pub struct DeadlineLayer {
    longest_unary: Duration,
    streaming: Arc<HashSet<String>>,
}

impl DeadlineLayer {
    /// Unary calls get the client's timeout but at most `longest_unary`, also when the client
    /// names none. The methods in `streaming` (paths such as `/package.Service/Method`) get the
    /// client's timeout alone: without one they may last. An unknown path counts as unary.
    pub fn new(longest_unary: Duration, streaming: impl IntoIterator<Item = String>) -> Self {
        Self {
            longest_unary: longest_unary.min(LONGEST_TIMEOUT),
            streaming: Arc::new(streaming.into_iter().collect()),
        }
    }

    /// The timeout of a call, or the status that refuses it. The protocol does not say what to do
    /// with a malformed value. Ignoring it would run a call without the limit its client wanted.
    fn timeout(&self, request: &http::request::Parts) -> Result<Option<Duration>, Status> {
        let wanted = grpc_timeout::from_headers(&request.headers)
            .map_err(|_| status(&Violations::one("grpc-timeout", "is malformed; see the gRPC protocol")))?
            .map(|wanted| wanted.min(LONGEST_TIMEOUT));
        if self.streaming.contains(request.uri.path()) {
            return Ok(wanted);
        }
        Ok(Some(wanted.map_or(self.longest_unary, |wanted| wanted.min(self.longest_unary))))
    }
}

/// The paths of all methods that stream in either direction, for [`DeadlineLayer::new`]. The pool
/// must hold every service of the server, health and reflection too.
#[must_use]
pub fn streaming_methods(pool: &DescriptorPool) -> Vec<String> {
    pool.services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .filter(|method| method.is_client_streaming() || method.is_server_streaming())
        .map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name()))
        .collect()
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService { inner, rule: self.clone() }
    }
}

/// A service whose calls end at their deadline. Made by [`DeadlineLayer`].
#[derive(Clone, Debug)]
pub struct DeadlineService<S> {
    inner: S,
    rule: DeadlineLayer,
}

impl<S, B> Service<http::Request<B>> for DeadlineService<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let deadline = match self.rule.timeout(&parts) {
            Ok(timeout) => timeout.map(|timeout| Instant::now() + timeout),
            Err(status) => return Box::pin(std::future::ready(Ok(status.into_http()))),
        };
        let Some(deadline) = deadline else {
            return Box::pin(self.inner.call(http::Request::from_parts(parts, body)));
        };
        let answer = self.inner.call(http::Request::from_parts(parts, body));
        Box::pin(async move {
            match timeout_at(deadline, answer).await {
                Ok(Ok(response)) => Ok(response.map(|body| bounded(body, deadline))),
                Err(_) => Ok(exceeded().into_http()),
            }
        })
    }
}

fn exceeded() -> Status {
    status(&Error::DeadlineExceeded)
}

fn bounded(body: Body, deadline: Instant) -> Body {
    // `Body::new` drops a body that is at its end, so a trailers-only answer stays one.
    Body::new(BoundedBody { inner: Some(body), deadline: Box::pin(sleep_until(deadline)) })
}

/// A body that ends with `DEADLINE_EXCEEDED` trailers at its deadline.
struct BoundedBody {
    /// `None` after the end or the deadline: what the handler held is freed at once.
    inner: Option<Body>,
    deadline: Pin<Box<Sleep>>,
}

impl http_body::Body for BoundedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(inner) = this.inner.as_mut() else {
            return Poll::Ready(None);
        };
        // Before the next frame, not after: a stream that always has one would never end.
        if this.deadline.as_mut().poll(cx).is_ready() {
            this.inner = None;
            return Poll::Ready(Some(trailers(&exceeded())));
        }
        let frame = ready!(Pin::new(inner).poll_frame(cx));
        if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            // Ended in its own way: no second set of trailers, should someone ask again.
            this.inner = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    /// Unknown on purpose: the body may end early.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
