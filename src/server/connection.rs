//! One connection, from its first byte to its last stream.
//!
//! Speaks HTTP/2 (prior knowledge) or HTTP/1 (gRPC-Web), whichever the client begins.
//! It must not know the accept loop, nor what the service does.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::{Service, ServiceExt};

use super::accept::Peer;
use super::limits::Limits;
use super::preface::FirstBytes;

/// Serves one connection until the client leaves, an error, or `goaway` and then the last stream.
/// To cut it, drop the future: hyper then resets the streams and drops their handlers.
pub(super) async fn drive<T, S>(
    stream: T,
    peer: SocketAddr,
    service: S,
    limits: Arc<Limits>,
    goaway: CancellationToken,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<http::Request<Incoming>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let open = OpenStreams::default();
    let io = TokioIo::new(FirstBytes::within(limits.preface_timeout, stream));
    let builder = limits.builder(open.clone());
    let mut connection = pin!(builder.serve_connection(io, with_peer(service, peer, open.clone())));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = goaway.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = open.none_for(limits.goodbye_timeout) => {
                    tracing::debug!(%peer, "connection dropped: no open stream, and no answer to GOAWAY");
                    Ok(())
                }
            }
        }
    };
    if let Err(error) = ended {
        // Clients vanish all the time, so this is not a warning.
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// Puts the peer's address into each request, and drives tower's readiness for hyper.
fn with_peer<S>(
    service: S,
    peer: SocketAddr,
    open: OpenStreams,
) -> impl hyper::service::Service<
    http::Request<Incoming>,
    Response = http::Response<Body>,
    Error = Infallible,
    Future = impl Future<Output = Result<http::Response<Body>, Infallible>> + Send + 'static,
>
where
    S: Service<http::Request<Incoming>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
        if request.version() < http::Version::HTTP_2 {
            open.hold_forever();
        }
        request.extensions_mut().insert(Peer(peer));
        // `oneshot` calls the service inside the future. A panic there is in the stream's task,
        // not in the connection's.
        service.clone().oneshot(request)
    })
}

/// Counts the streams of one HTTP/2 connection, and runs them for hyper.
///
/// It exists for the peer that is gone without a word: h2 waits for its answer to the ping that
/// goes with GOAWAY, so every drain would last until its hard deadline. hyper does not tell how
/// many streams are open, but it spawns each as one task that lives as long as the stream.
#[derive(Clone, Default)]
struct OpenStreams(watch::Sender<usize>);

impl OpenStreams {
    /// HTTP/1 runs its calls in the connection's task and spawns nothing, so such a connection
    /// never counts as quiet. It needs no GOAWAY answer either.
    fn hold_forever(&self) {
        self.0.send_modify(|open| *open += 1);
    }

    fn begin(&self) -> OpenStream {
        self.0.send_modify(|open| *open += 1);
        OpenStream(self.clone())
    }

    /// Returns when no stream has been open for `limit` on end.
    async fn none_for(&self, limit: Duration) {
        let mut open = self.0.subscribe();
        loop {
            // Neither wait can fail: `self` holds the sender.
            let _ = open.wait_for(|open| *open == 0).await;
            if timeout(limit, open.wait_for(|open| *open > 0)).await.is_err() {
                return;
            }
        }
    }
}

impl<F> hyper::rt::Executor<F> for OpenStreams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let guard = self.begin();
        tokio::spawn(async move {
            stream.await;
            drop(guard);
        });
    }
}

/// One open stream; dropping it, also in a panic, counts it out.
struct OpenStream(OpenStreams);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.0.send_modify(|open| *open = open.saturating_sub(1));
    }
}
