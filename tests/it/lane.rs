//! A running transport on a real socket, and a client for it that adds no time limits of its own.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use safelane::server::accept::{Drained, Shutdown, serve};
use safelane::server::limits::Limits;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::body::Body;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::Service;

/// Longer than anything here should take; a test that reaches it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Lane {
    pub address: SocketAddr,
    pub shutdown: Shutdown,
    server: JoinHandle<Drained>,
}

impl Lane {
    pub(crate) async fn start<S>(service: S, limits: Limits) -> Self
    where
        S: Service<http::Request<Incoming>, Response = http::Response<Body>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let shutdown = Shutdown::default();
        let server = tokio::spawn(serve(listener, service, limits, shutdown.clone()));
        Self { address, shutdown, server }
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connect")
    }

    /// A new connection. Not tonic's channel: that one enforces `grpc-timeout` itself.
    pub(crate) async fn client(&self) -> HealthClient<Wire> {
        let io = TokioIo::new(self.tcp().await);
        let (sender, connection) = handshake(TokioExecutor::new(), io).await.expect("handshake");
        tokio::spawn(connection);
        let origin = format!("http://{}", self.address).parse().expect("uri");
        HealthClient::with_origin(Wire(sender), origin)
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.server.is_finished()
    }

    pub(crate) async fn drained(self) -> Drained {
        within(self.server).await.expect("serve does not panic")
    }
}

/// One HTTP/2 connection as a tower service. Clones share it.
#[derive(Clone)]
pub(crate) struct Wire(SendRequest<Body>);

impl Service<http::Request<Body>> for Wire {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<http::Response<Incoming>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("done in time")
}

pub(crate) fn asking(service: &str) -> tonic::Request<HealthCheckRequest> {
    tonic::Request::new(HealthCheckRequest { service: service.to_owned() })
}

/// For a test that needs a whole process. In the test run it starts this binary again for that
/// one test, checks the outcome and returns false; in that second process it returns true.
pub(crate) fn alone(test: &str) -> bool {
    const CHILD: &str = "SAFELANE_TEST_ALONE";
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("this test binary");
    let arguments = [test, "--exact", "--nocapture"];
    let output = std::process::Command::new(program)
        .args(arguments)
        .env(CHILD, "1")
        .output()
        .expect("the second process runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    // A wrong name would run no test, and succeed.
    let passed = output.status.success() && printed.contains("1 passed");
    assert!(passed, "{printed}{complaint}");
    false
}
