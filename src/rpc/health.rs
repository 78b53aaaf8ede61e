//! `grpc.health.v1.Health`: what load balancers and kubelets ask.
//!
//! Own implementation on tonic-health's generated trait. Its ready-made service in 0.14.9 starts
//! with `""` as SERVING, fails a Watch on an unknown name instead of answering `SERVICE_UNKNOWN`,
//! and its Watch streams never end, so they block a drain. It must not do I/O, nor know how
//! readiness is found out.
//!
//! The protocol's newer `List` is missing: the generated trait of 0.14.9 has only Check and
//! Watch. Add it when the trait has it.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::watch;
use tokio_stream::Stream;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::app::readiness::Readiness;

/// The name whose answer never looks at the database.
pub const LIVENESS: &str = "liveness";
/// The name that says whether calls should be sent here; `""` says the same.
pub const READINESS: &str = "readiness";
/// Largest request in bytes: a full service name is far shorter.
const REQUEST_LIMIT: usize = 4_096;

/// The Health service. Clones share the list of names.
#[derive(Clone, Debug)]
pub struct HealthRpc {
    readiness: watch::Receiver<Readiness>,
    services: Arc<HashSet<String>>,
}

impl HealthRpc {
    /// `services`: full names such as `safelane.v1.FundingService`; each follows readiness.
    pub fn new(readiness: watch::Receiver<Readiness>, services: impl IntoIterator<Item = String>) -> Self {
        Self { readiness, services: Arc::new(services.into_iter().collect()) }
    }

    /// The service for a router. Its path is `/grpc.health.v1.Health/`.
    #[must_use]
    pub fn into_server(self) -> HealthServer<Self> {
        HealthServer::new(self).max_decoding_message_size(REQUEST_LIMIT)
    }

    fn subject(&self, name: &str) -> Subject {
        match name {
            LIVENESS => Subject::Process,
            "" | READINESS => Subject::Calls,
            name if self.services.contains(name) => Subject::Calls,
            _ => Subject::Unknown,
        }
    }
}

/// What a name asks about.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Process,
    Calls,
    Unknown,
}

impl Subject {
    fn status(self, readiness: Readiness) -> ServingStatus {
        match (self, readiness) {
            // That the runtime came round to this line is the whole check. A restart does not
            // bring a database back, and a draining process must not be killed for it.
            (Self::Process, _) | (Self::Calls, Readiness::Serving) => ServingStatus::Serving,
            (Self::Calls, Readiness::Starting | Readiness::DatabaseAway | Readiness::Draining) => {
                ServingStatus::NotServing
            }
            (Self::Unknown, _) => ServingStatus::ServiceUnknown,
        }
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for HealthRpc {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let subject = self.subject(&request.get_ref().service);
        if matches!(subject, Subject::Unknown) {
            return Err(Status::not_found("unknown service name"));
        }
        let readiness = *self.readiness.borrow();
        Ok(Response::new(response(subject.status(readiness))))
    }

    type WatchStream = Updates;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Updates>, Status> {
        let subject = self.subject(&request.get_ref().service);
        let readiness = WatchStream::new(self.readiness.clone());
        Ok(Response::new(Updates { subject, readiness, last: None, ended: false }))
    }
}

/// A Watch stream: the status at once, then each change of it. While the process drains it ends
/// with OK, after `NOT_SERVING` where that is a change; the protocol has the client call again.
/// A client that is slow skips states in between and always gets the newest.
#[derive(Debug)]
pub struct Updates {
    subject: Subject,
    readiness: WatchStream<Readiness>,
    last: Option<ServingStatus>,
    ended: bool,
}

impl Stream for Updates {
    type Item = Result<HealthCheckResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.ended {
            let Some(readiness) = ready!(Pin::new(&mut self.readiness).poll_next(cx)) else {
                self.ended = true;
                break;
            };
            self.ended = readiness == Readiness::Draining;
            let status = self.subject.status(readiness);
            if self.last.replace(status) != Some(status) {
                return Poll::Ready(Some(Ok(response(status))));
            }
        }
        Poll::Ready(None)
    }
}
