//! The accept loop: from a listening socket to a drained server.
//!
//! Written instead of `tonic::transport::Server`, which in 0.14.9 has no connection cap, no time
//! limit for the HTTP/2 preface and no drain deadline, cannot set the send buffer, and switches
//! off hyper's stream limits. It must not know gRPC, nor when the process should stop.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::Service;

use super::connection;
use super::limits::Limits;
use super::passes::InPasses;

/// First pause after a failed accept; each further failure doubles it.
const ACCEPT_PAUSE_FIRST: Duration = Duration::from_millis(10);
/// Longest pause between two tries to accept.
const ACCEPT_PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// The two steps of ending [`serve`]. Clones share the tokens.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Cancel to stop in good order: the listener closes, every connection gets a GOAWAY, open
    /// streams go on until they end. Streams that never end must be ended by their owners.
    pub stop: CancellationToken,
    /// Cancel when time is up: every connection that is left is dropped. Implies `stop`.
    pub cut: CancellationToken,
}

/// What was left when [`serve`] returned. Every connection is closed by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Drained {
    /// Connections that still had work when `cut` came. 0 means a clean drain.
    pub cut_connections: usize,
}

/// The client's address as the socket saw it; a proxy's address behind a proxy.
/// In the extensions of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Serves HTTP/2 (prior knowledge) and HTTP/1 on `listener` until `shutdown`, and returns when
/// the last connection is closed. Accept errors are waited out, never fatal. Dropping the
/// returned future drops every connection.
///
/// Each connection gets a clone of `service`, and each request a clone of that.
pub async fn serve<S>(listener: TcpListener, service: S, limits: Limits, shutdown: Shutdown) -> Drained
where
    S: Service<http::Request<Incoming>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let limits = Arc::new(limits);
    // Not `stop` itself: the listener must be closed before any client is told to go away, or it
    // would come back to this same process.
    let goaway = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut cap = Cap::new(limits.max_connections);
    loop {
        tokio::select! {
            biased;
            () = shutdown.stop.cancelled() => break,
            () = shutdown.cut.cancelled() => break,
            Some(ended) = connections.join_next() => note_end(&ended),
            // A finished connection restarts this branch, and so its pause after an error. That
            // is welcome: a file descriptor has just come free.
            (stream, peer) = accept(&listener), if cap.has_room(connections.len()) => {
                let (limits, goaway) = (Arc::clone(&limits), goaway.clone());
                let driven = connection::drive(stream, peer, service.clone(), limits, goaway);
                connections.spawn(InPasses::new(driven));
            }
        }
    }
    drop(listener);
    goaway.cancel();
    drain(connections, &shutdown.cut).await
}

/// Waits for the connections to end by themselves, until `cut`.
async fn drain(mut connections: JoinSet<()>, cut: &CancellationToken) -> Drained {
    loop {
        tokio::select! {
            biased;
            ended = connections.join_next() => match ended {
                Some(ended) => note_end(&ended),
                None => return Drained { cut_connections: 0 },
            },
            () = cut.cancelled() => break,
        }
    }
    connections.abort_all();
    let mut cut_connections = 0;
    while let Some(ended) = connections.join_next().await {
        // One that ended just before it was aborted is not counted.
        cut_connections += usize::from(ended.as_ref().is_err_and(JoinError::is_cancelled));
        note_end(&ended);
    }
    Drained { cut_connections }
}

/// A panic in a connection's own task is a bug here or in hyper: handlers do not run there,
/// except over HTTP/1, where the panic layer catches them first.
fn note_end(ended: &Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "connection task panicked");
    }
}

/// The next connection, ready to use. Errors are logged and waited out.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut pause = ACCEPT_PAUSE_FIRST;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // gRPC messages are small and complete; waiting for more bytes only adds delay.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "TCP_NODELAY not set");
                }
                return (stream, peer);
            }
            Err(error) if concerns_one_client(&error) => {
                tracing::debug!(%error, "client left before it was accepted");
            }
            Err(error) => {
                // EMFILE, ENFILE, ENOBUFS, ENOMEM: the client stays in the backlog, so trying
                // again at once would spin.
                tracing::warn!(%error, pause_ms = pause.as_millis(), "cannot accept, will try again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(ACCEPT_PAUSE_LONGEST);
            }
        }
    }
}

fn concerns_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// The connection cap; says once, not for each client, when it is reached.
struct Cap {
    most: usize,
    full: bool,
}

impl Cap {
    fn new(most: usize) -> Self {
        Self { most: most.max(1), full: false }
    }

    fn has_room(&mut self, open: usize) -> bool {
        let full = open >= self.most;
        if full && !self.full {
            tracing::warn!(open, "connection cap reached, not accepting");
        }
        self.full = full;
        !full
    }
}
