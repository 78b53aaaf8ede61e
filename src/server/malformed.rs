//! A request that is not a message of its method is the caller's fault. The generated code answers it as
//! `INTERNAL` with the decoder's words; this layer answers `INVALID_ARGUMENT` instead.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::error::Violations;
use crate::rpc::status::status;

/// How the decoder's text begins (prost 0.14, `DecodeError`).
const DECODER: &str = "failed to decode Protobuf message";

/// The status for a request that cannot be decoded.
#[must_use]
pub fn malformed() -> Status {
    status(&Violations::one(
        "request",
        "is not a message of this method; check the proto files and the encoding",
    ))
}

/// Whether a status tells of a request that could not be decoded.
fn is_decoder(headers: &HeaderMap) -> bool {
    let told = Status::from_header_map(headers);
    told.is_some_and(|told| told.code() == Code::Internal && told.message().starts_with(DECODER))
}

/// Puts a [`Malformed`] around a service.
#[derive(Debug, Clone, Copy)]
pub struct MalformedLayer;

impl<S> Layer<S> for MalformedLayer {
    type Service = Malformed<S>;

    fn layer(&self, inner: S) -> Malformed<S> {
        Malformed { inner }
    }
}

/// A service that never answers with the decoder's words.
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
            Ok(if is_decoder(answer.headers()) { malformed().into_http() } else { answer })
        })
    }
}
