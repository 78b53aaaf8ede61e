//! The response body that tells a [`Call`] how it ended.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as _, Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};

use super::call::Call;

/// Ends the call if the response already has a status, or watches the body for it.
pub(super) fn observe(response: Response<Body>, call: Call) -> Response<Body> {
    if let Some(code) = status_in(response.headers()) {
        call.end(code);
        return response;
    }
    if response.body().is_end_stream() {
        call.end(Code::Unknown);
        return response;
    }
    if call.is_stream() {
        call.stream_stands();
    }
    response.map(|inner| Body::new(Watched { inner, call }))
}

fn status_in(headers: &HeaderMap) -> Option<Code> {
    Some(Code::from_bytes(headers.get("grpc-status")?.as_bytes()))
}

struct Watched {
    inner: Body,
    call: Call,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self { inner, call } = self.get_mut();
        // The handler of a stream runs in here; that of a unary call has already ended.
        let span = call.is_stream().then(|| call.span().clone());
        let entered = span.as_ref().map(tracing::Span::enter);
        let polled = Pin::new(inner).poll_frame(context);
        drop(entered);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    call.finish(status_in(trailers).unwrap_or(Code::Unknown));
                }
            }
            Poll::Ready(Some(Err(status))) => call.finish(status.code()),
            Poll::Ready(None) => call.finish(Code::Unknown),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
