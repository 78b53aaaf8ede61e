//! A collector that keeps what it gets: the real OTLP/gRPC services on a real socket.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::metrics::v1 as metrics;
use opentelemetry_proto::tonic::collector::trace::v1 as trace;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// What has arrived so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Sink {
    spans: Arc<Mutex<Vec<Span>>>,
    metrics: Arc<Mutex<Vec<String>>>,
    resources: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    /// The two services, and what they will have received.
    pub(super) fn routes() -> (Self, Routes) {
        let sink = Self::default();
        let traces = trace::trace_service_server::TraceServiceServer::new(sink.clone());
        let metrics = metrics::metrics_service_server::MetricsServiceServer::new(sink.clone());
        (sink, Routes::new(traces).add_service(metrics))
    }

    /// Serves on a free port in the current runtime.
    pub(super) async fn start() -> (Self, SocketAddr) {
        let (sink, routes) = Self::routes();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = TowerToHyperService::new(routes.clone());
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        (sink, address)
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("not poisoned").clone()
    }

    pub(super) fn metrics(&self) -> Vec<String> {
        self.metrics.lock().expect("not poisoned").clone()
    }

    /// `key=value` of every resource.
    pub(super) fn resources(&self) -> Vec<String> {
        self.resources.lock().expect("not poisoned").clone()
    }
}

#[tonic::async_trait]
impl trace::trace_service_server::TraceService for Sink {
    async fn export(
        &self,
        request: Request<trace::ExportTraceServiceRequest>,
    ) -> Result<Response<trace::ExportTraceServiceResponse>, Status> {
        for group in request.into_inner().resource_spans {
            let attributes = group.resource.into_iter().flat_map(|one| one.attributes);
            let text = attributes.map(|one| format!("{}={:?}", one.key, one.value));
            self.resources.lock().expect("not poisoned").extend(text);
            let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.spans.lock().expect("not poisoned").extend(spans);
        }
        Ok(Response::new(trace::ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl metrics::metrics_service_server::MetricsService for Sink {
    async fn export(
        &self,
        request: Request<metrics::ExportMetricsServiceRequest>,
    ) -> Result<Response<metrics::ExportMetricsServiceResponse>, Status> {
        let scopes = request.into_inner().resource_metrics.into_iter().flat_map(|m| m.scope_metrics);
        let names = scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name);
        self.metrics.lock().expect("not poisoned").extend(names);
        Ok(Response::new(metrics::ExportMetricsServiceResponse::default()))
    }
}
