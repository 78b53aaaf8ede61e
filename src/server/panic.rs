//! Panics: a bug in one call ends that call as INTERNAL, and nothing else.
//!
//! Without it hyper resets the stream of a handler that panics, which a client takes for a
//! cancellation, and over HTTP/1 the connection dies. `tower_http::catch_panic` covers the
//! handler but not its body, where streams spend their lives. It must not know what was called.
//!
//! The client gets a fixed text: a panic message may hold anything. Place this layer inside the
//! gRPC-Web and observation layers, and outside all others. It has no effect when built with `panic = "abort"`.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Uri;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::error::Error;
use crate::rpc::status::status;

use super::trailers::trailers;

/// The layer; see the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct PanicLayer;

impl<S> Layer<S> for PanicLayer {
    type Service = PanicService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PanicService { inner }
    }
}

/// A service whose calls survive a panic. Made by [`PanicLayer`].
#[derive(Clone, Debug)]
pub struct PanicService<S> {
    inner: S,
}

impl<S, B> Service<http::Request<B>> for PanicService<S>
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

    // `AssertUnwindSafe` holds here and below: what panicked is dropped, never used again. What
    // it shared with other calls guards itself, as a poisoned `Mutex` does.
    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let uri = request.uri().clone();
        let answer = match catch_unwind(AssertUnwindSafe(|| self.inner.call(request))) {
            Ok(answer) => answer,
            Err(panic) => return Box::pin(std::future::ready(Ok(refusal(&uri, &*panic)))),
        };
        let mut answer = Box::pin(answer);
        Box::pin(std::future::poll_fn(move |cx| {
            let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx)));
            Poll::Ready(match polled {
                Ok(response) => ready!(response).map(|response| guarded(response, &uri)),
                Err(panic) => Ok(refusal(&uri, &*panic)),
            })
        }))
    }
}

fn refusal(uri: &Uri, panic: &(dyn Any + Send)) -> http::Response<Body> {
    report(uri, panic).into_http()
}

fn guarded(response: http::Response<Body>, uri: &Uri) -> http::Response<Body> {
    response.map(|body| Body::new(GuardedBody { inner: Some(body), uri: uri.clone() }))
}

/// Logs the panic and gives the status for the client. The place in the code is known only to
/// the process's panic hook.
fn report(uri: &Uri, panic: &(dyn Any + Send)) -> Status {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("not a text");
    tracing::error!(method = uri.path(), panic = message, "handler panicked");
    status(&Error::Panicked)
}

/// A body that ends with INTERNAL trailers if it panics.
struct GuardedBody {
    /// `None` after a panic.
    inner: Option<Body>,
    uri: Uri,
}

impl http_body::Body for GuardedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(inner) = self.inner.as_mut() else {
            return Poll::Ready(None);
        };
        match catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll_frame(cx))) {
            Ok(polled) => polled,
            Err(panic) => {
                self.inner = None;
                Poll::Ready(Some(trailers(&report(&self.uri, &*panic))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    /// Unknown on purpose: the body may end early.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
