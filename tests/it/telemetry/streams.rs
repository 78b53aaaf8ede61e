//! Spans and metrics of streams.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use opentelemetry::TraceId;
use safelane::telemetry::current_trace_id;
use tonic::Status;
use tonic::body::Body;

use super::{Seen, TRACE, WATCH, answer, drain, message, request, text, traced, trailers};

#[tokio::test]
async fn the_span_of_a_stream_ends_when_the_stream_stands() {
    let seen = Seen::new();
    let response = seen.call(traced(WATCH), async || answer([message(), trailers("0")])).await;
    let span = seen.span(WATCH);
    assert_eq!(span.span_context.trace_id(), TraceId::from_hex(TRACE).expect("hex"));
    assert!(!text(&span.attributes).iter().any(|one| one.starts_with("rpc.response")));
    drain(response).await;
    assert_eq!(seen.finished().iter().filter(|span| span.name == WATCH).count(), 1);
}

#[tokio::test]
async fn a_stream_is_measured_apart_from_unary_calls() {
    let seen = Seen::new();
    let response = seen.call(request(WATCH), async || answer([message(), trailers("13")])).await;
    assert_eq!(seen.series("safelane.rpc.active_streams")[0].1, 1);
    drain(response).await;
    assert_eq!(seen.series("safelane.rpc.active_streams")[0].1, 0);
    let ended = seen.series("safelane.rpc.stream.duration");
    assert_eq!(ended.len(), 1);
    assert!(ended[0].0.contains(&"rpc.response.status_code=INTERNAL".to_owned()));
    assert!(seen.series("rpc.server.call.duration").is_empty());
}

#[tokio::test]
async fn a_stream_that_is_refused_or_left_is_no_longer_active() {
    let seen = Seen::new();
    drop(seen.call(request(WATCH), async || Status::unauthenticated("").into_http()).await);
    drop(seen.call(request(WATCH), async || answer([message()])).await);
    assert_eq!(seen.series("safelane.rpc.active_streams")[0].1, 0);
    let mut codes: Vec<String> = seen
        .series("safelane.rpc.stream.duration")
        .into_iter()
        .flat_map(|(attributes, _)| attributes)
        .filter(|one| one.starts_with("rpc.response"))
        .collect();
    codes.sort();
    let expected = ["rpc.response.status_code=CANCELLED", "rpc.response.status_code=UNAUTHENTICATED"];
    assert_eq!(codes, expected);
}

/// A body whose second frame is made when it is asked for, as tonic does with a handler's stream.
struct Lazy {
    seen_trace: Arc<Mutex<Option<String>>>,
}

impl http_body::Body for Lazy {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        *self.seen_trace.lock().expect("one thread") = current_trace_id();
        Poll::Ready(Some(Ok(trailers("0"))))
    }
}

#[tokio::test]
async fn work_inside_a_stream_still_knows_its_trace() {
    let seen = Seen::new();
    let seen_trace = Arc::default();
    let body = Lazy { seen_trace: Arc::clone(&seen_trace) };
    let body = Arc::new(Mutex::new(Some(body)));
    let response = seen
        .call(traced(WATCH), async move || {
            let body = body.lock().expect("one thread").take().expect("one call");
            Response::new(Body::new(body))
        })
        .await;
    drain(response).await;
    assert_eq!(seen_trace.lock().expect("one thread").as_deref(), Some(TRACE));
    assert_eq!(current_trace_id(), None);
}
