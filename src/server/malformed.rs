//! A request that is not a message of its method, or too large, is the caller's fault. The generated code
//! answers it in the decoder's words; this layer answers as `rpc::status` says.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::rpc::status::not_taken_in;

/// Puts a [`Malformed`] around a service.
#[derive(Debug, Clone, Copy)]
pub struct MalformedLayer;

impl<S> Layer<S> for MalformedLayer {
    type Service = Malformed<S>;

    fn layer(&self, inner: S) -> Malformed<S> {
        Malformed { inner }
    }
}

/// A service that never answers in the decoder's words.
#[derive(Debug, Clone)]
pub struct Malformed<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Malformed<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            Ok(match Status::from_header_map(answer.headers()).as_ref().and_then(not_taken_in) {
                Some(status) => status.into_http(),
                None => answer,
            })
        })
    }
}
