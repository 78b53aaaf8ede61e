//! A service that does what its request says, behind the layers of production.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use safelane::server::accept::Peer;
use safelane::server::deadline::{DeadlineLayer, streaming_methods};
use safelane::server::limits::Limits;
use safelane::server::panic::PanicLayer;
use tokio::sync::Notify;
use tokio_stream::{Stream, StreamExt, wrappers::IntervalStream};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::Layer;

use crate::lane::Lane;

/// The longest unary call.
pub(crate) const UNARY_CAP: Duration = Duration::from_millis(400);

/// Does what the service name in the request says.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    pub release: Arc<Notify>,
    pub running: Arc<AtomicUsize>,
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Scripted {
    fn run(&self) -> Running {
        self.running.fetch_add(1, Ordering::SeqCst);
        Running(Arc::clone(&self.running))
    }
}

#[tonic::async_trait]
impl Health for Scripted {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let _running = self.run();
        match request.get_ref().service.as_str() {
            "hang" => std::future::pending().await,
            "wait" => self.release.notified().await,
            "panic" => panic!("a secret"),
            "peer" => {
                let peer = request.extensions().get::<Peer>().expect("peer address");
                assert!(matches!(peer.0.ip(), IpAddr::V4(ip) if ip.is_loopback()));
            }
            _ => {}
        }
        Ok(Response::new(HealthCheckResponse::default()))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (running, release) = (self.run(), Arc::clone(&self.release));
        let message = || Ok(HealthCheckResponse::default());
        let every = |period| IntervalStream::new(tokio::time::interval(period));
        let stream: Self::WatchStream = match request.get_ref().service.as_str() {
            "busy" => Box::pin(tokio_stream::iter(std::iter::repeat_with(message))),
            "panic" => {
                let mut left = 2;
                Box::pin(every(Duration::from_millis(20)).map(move |_| {
                    assert!(left > 0, "a secret");
                    left -= 1;
                    message()
                }))
            }
            "wait" => {
                let (sender, receiver) = tokio::sync::mpsc::channel(1);
                tokio::spawn(async move {
                    sender.send(message()).await.expect("the client is there");
                    release.notified().await;
                });
                Box::pin(tokio_stream::wrappers::ReceiverStream::new(receiver))
            }
            _ => Box::pin(every(Duration::from_millis(50)).map(move |_| message())),
        };
        Ok(Response::new(Box::pin(stream.map(move |item| {
            let _held = &running;
            item
        }))))
    }
}

fn methods_that_stream() -> Vec<String> {
    let pool = prost_reflect::DescriptorPool::decode(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .expect("a descriptor set");
    streaming_methods(&pool)
}

/// The layers in the order of production.
pub(crate) async fn scripted_lane(limits: Limits) -> (Lane, Scripted) {
    let scripted = Scripted::default();
    let service = HealthServer::new(scripted.clone());
    let service = DeadlineLayer::new(UNARY_CAP, methods_that_stream()).layer(service);
    let service = tonic_web::GrpcWebLayer::new().layer(PanicLayer.layer(service));
    (Lane::start(service, limits).await, scripted)
}
