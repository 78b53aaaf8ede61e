//! Puts the service on a socket: wires the services and their layers together, accepts connections, and
//! drains in order.
//!
//! A call passes, from the outside in: gRPC-Web, observation, panics, authentication, deadline, malformed
//! requests, handler.

pub mod accept;
pub mod auth;
mod connection;
pub mod deadline;
mod grpc_timeout;
mod housekeeping;
pub mod jwks;
pub mod limits;
pub mod malformed;
pub mod observe;
pub mod panic;
mod passes;
mod preface;
pub mod token;
mod trailers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prost_reflect::DescriptorPool;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::{Layer as _, ServiceBuilder};

use crate::app::App;
use crate::app::attachment::Attachments;
use crate::app::personal_key::PersonalKeys;
use crate::app::readiness::{Readiness, watch_database};
use crate::clock::Clock;
use crate::domain::policy::Policy;
use crate::error::StartError;
use crate::files::place::Place;
use crate::rpc::access::AccessRules;
use crate::rpc::budget_report::BudgetReportRpc;
use crate::rpc::field_report::{FieldReportRpc, REPORT_MESSAGE_BYTES_MAX};
use crate::rpc::funding::FundingRpc;
use crate::rpc::health::HealthRpc;
use crate::rpc::organization::OrganizationRpc;
use crate::rpc::pb::budget_report_service_server::BudgetReportServiceServer;
use crate::rpc::pb::field_report_service_server::FieldReportServiceServer;
use crate::rpc::pb::funding_service_server::FundingServiceServer;
use crate::rpc::pb::organization_service_server::OrganizationServiceServer;
use crate::rpc::pb::site_service_server::SiteServiceServer;
use crate::rpc::pb::task_service_server::TaskServiceServer;
use crate::rpc::pb::team_service_server::TeamServiceServer;
use crate::rpc::site::{SITE_MESSAGE_BYTES_MAX, SiteRpc};
use crate::rpc::task::TaskRpc;
use crate::rpc::team::TeamRpc;
use crate::rpc::{DESCRIPTOR, MESSAGE_BYTES_MAX, journal};
use crate::server::accept::{Drained, Shutdown, serve};
use crate::server::auth::AuthLayer;
use crate::server::deadline::{DeadlineLayer, streaming_methods};
use crate::server::housekeeping::keep_house;
use crate::server::limits::Limits;
use crate::server::malformed::MalformedLayer;
use crate::server::observe::{MethodKind, Observe};
use crate::server::panic::PanicLayer;
use crate::server::token::Verifier;
use crate::store::Store;

/// The longest that a unary call may take, whatever the client asks for.
const UNARY_MAX: Duration = Duration::from_mins(1);
/// How long telemetry, pool and tasks have to end after the last connection.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// Which keys sign tokens.
#[derive(Debug, Clone)]
pub struct JwksSettings {
    /// The key set.
    pub file: PathBuf,
    /// Who must have issued a token.
    pub issuer: String,
    /// For whom a token must be.
    pub audience: String,
}

/// How to serve.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Keys of tokens; none makes every caller a local administrator.
    pub jwks: Option<JwksSettings>,
    /// Whether clients may ask for the proto files.
    pub reflection: bool,
    /// How long to go on serving once the drain begins.
    pub drain_wait: Duration,
    /// How long calls and streams then have.
    pub drain_deadline: Duration,
    /// Limits of connections.
    pub limits: Limits,
    /// Limits of the check of an assignment.
    pub policy: Policy,
    /// Keys of personal data; none refuses it.
    pub personal_keys: Option<PersonalKeys>,
    /// Where files that reports declare are kept.
    pub attachments: Place,
}

/// A server that has its port and does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: App,
    store: Store,
    settings: ServerSettings,
    rules: AccessRules,
    verifier: Option<Arc<Verifier>>,
}

impl Server {
    /// Checks everything that can be wrong before the first call: schema, access rules, keys, port.
    ///
    /// # Errors
    /// Tells in one line what is wrong.
    pub async fn bind(
        settings: ServerSettings,
        store: Store,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let rules = AccessRules::from_descriptor(DESCRIPTOR)?;
        let verifier = match &settings.jwks {
            None => None,
            Some(keys) => Some(Arc::new(Verifier::from_jwks_file(
                &keys.file,
                &keys.issuer,
                &keys.audience,
                Arc::clone(&clock),
            )?)),
        };
        let (objects, staging) = settings.attachments.open()?;
        let files = Attachments::new(objects, staging);
        let app = App::connect(store.clone(), files, clock, journal::CODEC).await?;
        let app = app.with_policy(settings.policy).with_personal_keys(settings.personal_keys.clone());
        let told = |error: std::io::Error| StartError::Setting {
            setting: "--listen (SAFELANE_LISTEN)",
            value: settings.listen.to_string(),
            allowed: format!("cannot listen there: {error}; choose a free port"),
        };
        let listener = TcpListener::bind(settings.listen).await.map_err(told)?;
        let address = listener.local_addr().map_err(told)?;
        Ok(Self { listener, address, app, store, settings, rules, verifier })
    }

    /// Where the server listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then drains. `cut` ends the drain at once.
    ///
    /// # Errors
    /// Fails when the descriptors cannot be read, which is a bug.
    pub async fn run_until(
        self,
        stop: CancellationToken,
        cut: CancellationToken,
    ) -> Result<Drained, StartError> {
        let (readiness, ready) = watch::channel(Readiness::Starting);
        let store = self.store.clone();
        let probe = tokio::spawn(watch_database(
            move || {
                let store = store.clone();
                async move { store.ping().await }
            },
            readiness.clone(),
        ));
        let poll = tokio::spawn(self.app.feed().clone().poll());
        let housekeeping = tokio::spawn(keep_house(self.app.clone()));
        let service = routes(&self, ready)?;
        let shutdown = Shutdown { stop: CancellationToken::new(), cut: cut.clone() };
        let mut serving = tokio::spawn(serve(self.listener, service, self.settings.limits, shutdown.clone()));
        tokio::select! {
            () = stop.cancelled() => {}
            // It ends only when it is told to; a server that no longer listens must not look alive.
            ended = &mut serving => {
                return Err(StartError::Refused(format!("the accept loop ended by itself: {ended:?}")));
            }
        }
        readiness.send_replace(Readiness::Draining);
        tracing::info!("draining: not serving any more");
        tokio::select! {
            () = tokio::time::sleep(self.settings.drain_wait) => {}
            () = cut.cancelled() => {}
        }
        self.app.feed().drain().cancel();
        shutdown.stop.cancel();
        let drained = drain(serving, &shutdown.cut, self.settings.drain_deadline).await;
        probe.abort();
        poll.abort();
        housekeeping.abort();
        let close = async {
            self.app.writer().finish().await;
            self.store.close().await;
        };
        if tokio::time::timeout(CLOSE_MAX, close).await.is_err() {
            tracing::warn!("the writers or the database connections did not finish in time");
        }
        Ok(drained)
    }
}

async fn drain(
    mut serving: tokio::task::JoinHandle<Drained>,
    cut: &CancellationToken,
    deadline: Duration,
) -> Drained {
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = tokio::time::sleep(deadline) => {
            tracing::warn!("the drain deadline has passed: cutting what is left");
            cut.cancel();
            serving.await
        }
    };
    ended.unwrap_or_else(|error| {
        tracing::error!(%error, "the accept loop failed");
        Drained { cut_connections: 0 }
    })
}

type Call = http::Request<hyper::body::Incoming>;

/// Every service with the layers around it.
fn routes(
    server: &Server,
    ready: watch::Receiver<Readiness>,
) -> Result<
    impl tower::Service<
        Call,
        Response = http::Response<tonic::body::Body>,
        Error = std::convert::Infallible,
        Future: Send,
    > + Clone
    + Send
    + 'static,
    StartError,
> {
    let app = &server.app;
    let pool = descriptors()?;
    let funding = FundingServiceServer::new(FundingRpc { app: app.clone() })
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let reports = BudgetReportServiceServer::new(BudgetReportRpc { app: app.clone() })
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let field_reports = FieldReportServiceServer::new(FieldReportRpc { app: app.clone() })
        .max_decoding_message_size(REPORT_MESSAGE_BYTES_MAX);
    let organizations = OrganizationServiceServer::new(OrganizationRpc { app: app.clone() })
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let sites = SiteServiceServer::new(SiteRpc { app: app.clone() })
        .max_decoding_message_size(SITE_MESSAGE_BYTES_MAX);
    let tasks =
        TaskServiceServer::new(TaskRpc { app: app.clone() }).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let teams =
        TeamServiceServer::new(TeamRpc { app: app.clone() }).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let names = pool.services().map(|service| service.full_name().to_owned());
    let own: Vec<String> = names.filter(|name| name.starts_with("safelane.")).collect();
    let mut routes = Routes::new(funding)
        .add_service(reports)
        .add_service(field_reports)
        .add_service(organizations)
        .add_service(sites)
        .add_service(tasks)
        .add_service(teams)
        .add_service(HealthRpc::new(ready, own).into_server());
    if server.settings.reflection {
        routes = with_reflection(routes)?;
    }
    let observe =
        Observe::new(&opentelemetry::global::meter(crate::telemetry::SCOPE), server.address, methods(&pool));
    let layers = ServiceBuilder::new()
        .layer(observe)
        .layer(PanicLayer)
        .layer(AuthLayer::new(server.rules.clone(), server.verifier.clone()))
        .layer(DeadlineLayer::new(UNARY_MAX, streaming_methods(&pool)))
        .layer(MalformedLayer);
    let inner = layers.service(routes.prepare());
    Ok(tonic_web::GrpcWebLayer::new().layer(inner))
}

/// The descriptors of everything that is served: deadlines and metrics need to know which methods stream.
fn descriptors() -> Result<DescriptorPool, StartError> {
    let mut pool = DescriptorPool::new();
    let sets = [
        DESCRIPTOR,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    for set in sets {
        pool.decode_file_descriptor_set(set)
            .map_err(|error| StartError::Refused(format!("a built-in descriptor is broken: {error}")))?;
    }
    Ok(pool)
}

fn methods(pool: &DescriptorPool) -> Vec<(String, MethodKind)> {
    let services: Vec<_> = pool.services().collect();
    let methods = services.iter().flat_map(|service| {
        service.methods().map(|method| {
            let streams = method.is_client_streaming() || method.is_server_streaming();
            let kind = if streams { MethodKind::Stream } else { MethodKind::Unary };
            (format!("{}/{}", service.full_name(), method.name()), kind)
        })
    });
    methods.collect()
}

fn with_reflection(routes: Routes) -> Result<Routes, StartError> {
    let broken = |error: tonic_reflection::server::Error| {
        StartError::Refused(format!("a built-in descriptor is broken: {error}"))
    };
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // The details of refusals, so that tools can show them.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(routes
        .add_service(builder().build_v1().map_err(broken)?)
        .add_service(builder().build_v1alpha().map_err(broken)?))
}
