//! Spans and metrics of unary calls.

use std::convert::Infallible;

use http::Request;
use opentelemetry::TraceId;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{SpanId, SpanKind, Status as SpanStatus};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use safelane::server::observe::{MethodKind, Observe};
use safelane::telemetry::current_trace_id;
use tonic::Status;
use tonic::service::Routes;
use tower::{Layer, ServiceExt, service_fn};

use super::sink::Sink;
use super::{
    POST, Seen, TRACE, address, answer, bounds, drain, insert, message, request, text, traced, trailers,
};

#[tokio::test]
async fn a_unary_call_has_a_server_span_under_its_caller() {
    let seen = Seen::new();
    drain(seen.call(traced(POST), async || answer([message(), trailers("0")])).await).await;
    let span = seen.span(POST);
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.span_context.trace_id(), TraceId::from_hex(TRACE).expect("hex"));
    assert_eq!(span.parent_span_id, SpanId::from_hex("00f067aa0ba902b7").expect("hex"));
    assert!(span.parent_span_is_remote);
    assert_eq!(span.status, SpanStatus::Unset);
    let expected = [
        "client.address=192.0.2.7",
        "rpc.method=safelane.v1.FundingService/PostEntry",
        "rpc.response.status_code=OK",
        "rpc.system.name=grpc",
        "server.address=127.0.0.1",
        "server.port=8443",
    ];
    assert_eq!(text(&span.attributes), expected);
}

#[tokio::test]
async fn a_unary_call_is_measured_with_its_status() {
    let seen = Seen::new();
    drain(seen.call(request(POST), async || answer([message(), trailers("0")])).await).await;
    drop(seen.call(request(POST), async || Status::not_found("gone").into_http()).await);
    let method = "rpc.method=safelane.v1.FundingService/PostEntry";
    let rest = ["rpc.system.name=grpc", "server.address=127.0.0.1", "server.port=8443"];
    let ok = [&[method, "rpc.response.status_code=OK"][..], &rest].concat();
    let gone = [&["error.type=NOT_FOUND", method, "rpc.response.status_code=NOT_FOUND"][..], &rest].concat();
    let series = seen.series("rpc.server.call.duration");
    assert_eq!(series.len(), 2, "{series:?}");
    for (attributes, count) in series {
        assert!(attributes == ok || attributes == gone, "{attributes:?}");
        assert_eq!(count, 1);
    }
    let advised = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1., 2.5, 5., 7.5, 10.];
    assert_eq!(bounds(&seen, "rpc.server.call.duration"), advised);
}

#[tokio::test]
async fn only_the_servers_own_failures_make_a_span_an_error() {
    let seen = Seen::new();
    drop(seen.call(request(POST), async || Status::not_found("gone").into_http()).await);
    drop(seen.call(request(POST), async || Status::internal("bug").into_http()).await);
    let spans = seen.finished();
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[0].status, SpanStatus::Unset);
    assert!(text(&spans[0].attributes).contains(&"error.type=NOT_FOUND".to_owned()));
    assert_eq!(spans[1].status, SpanStatus::error(""));
    assert!(text(&spans[1].attributes).contains(&"error.type=INTERNAL".to_owned()));
}

#[tokio::test]
async fn a_status_in_the_trailers_counts_like_one_in_the_headers() {
    let seen = Seen::new();
    drain(seen.call(request(POST), async || answer([trailers("14")])).await).await;
    let attributes = text(&seen.span(POST).attributes);
    assert!(attributes.contains(&"rpc.response.status_code=UNAVAILABLE".to_owned()));
}

#[tokio::test]
async fn a_call_that_goes_away_is_cancelled() {
    let seen = Seen::new();
    drop(seen.call(request(POST), async || answer([message(), trailers("0")])).await);
    let waiting = seen.call(request(POST), async || std::future::pending().await);
    let _ = tokio::time::timeout(std::time::Duration::from_millis(10), waiting).await;
    let spans = seen.finished();
    assert_eq!(spans.len(), 2);
    for span in spans {
        let attributes = text(&span.attributes);
        assert!(attributes.contains(&"rpc.response.status_code=CANCELLED".to_owned()));
    }
}

#[tokio::test]
async fn a_handler_that_panics_is_an_internal_error() {
    let seen = Seen::new();
    let service = seen.layer.layer(service_fn(|_: Request<()>| async {
        assert!(current_trace_id().is_none(), "a bug");
        Ok::<_, Infallible>(answer([]))
    }));
    let call = tokio::spawn(service.oneshot(request(POST)));
    assert!(call.await.is_err_and(|error| error.is_panic()));
    let span = seen.span(POST);
    assert_eq!(span.status, SpanStatus::error(""));
    assert!(text(&span.attributes).contains(&"error.type=INTERNAL".to_owned()));
}

#[tokio::test]
async fn a_real_client_and_server_get_through() {
    let seen = Seen::new();
    let export = "opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let layer = Observe::new(&seen.meters.meter("test"), address(), [(export.to_owned(), MethodKind::Unary)]);
    let (_, routes) = Sink::routes();
    let mut client = TraceServiceClient::new(layer.layer(routes));
    client.export(ExportTraceServiceRequest::default()).await.expect("answered");
    let attributes = text(&seen.span(export).attributes);
    assert!(attributes.contains(&"rpc.response.status_code=OK".to_owned()), "{attributes:?}");
    // The same server without the method: tonic's own fallback answers.
    let mut client = TraceServiceClient::new(layer.layer(Routes::default()));
    let refused = client.export(ExportTraceServiceRequest::default()).await;
    assert_eq!(refused.expect_err("refused").code(), tonic::Code::Unimplemented);
    let last = seen.finished().pop().expect("a span");
    assert!(text(&last.attributes).contains(&"error.type=UNIMPLEMENTED".to_owned()));
}

#[tokio::test]
async fn an_unknown_method_does_not_make_a_new_series() {
    let seen = Seen::new();
    for method in ["a.B/C", "d.E/F"] {
        drop(seen.call(request(method), async || Status::unimplemented("").into_http()).await);
    }
    let series = seen.series("rpc.server.call.duration");
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].1, 2);
    assert!(series[0].0.contains(&"rpc.method=_OTHER".to_owned()));
    assert!(seen.finished().iter().all(|span| span.name == "_OTHER"));
}

#[tokio::test]
async fn a_store_call_is_a_client_span_under_its_rpc() {
    let seen = Seen::new();
    let response = seen
        .call(traced(POST), async || {
            // A task of its own, as transactions have.
            let task = tracing::Instrument::in_current_span(insert("not for the span"));
            let trace = tokio::spawn(task).await.expect("joined");
            assert_eq!(trace.as_deref(), Some(TRACE));
            answer([trailers("0")])
        })
        .await;
    drain(response).await;
    let (store, rpc) = (seen.span("db.ledger.insert"), seen.span(POST));
    assert_eq!(store.span_kind, SpanKind::Client);
    assert_eq!(store.parent_span_id, rpc.span_context.span_id());
    let expected = ["db.query.summary=ledger.insert", "db.system.name=postgresql"];
    assert_eq!(text(&store.attributes), expected);
}
