//! A world for each test: a fresh migrated database, the real server on a free port with a clock that the
//! test sets, and clients. After every test the ledger audit runs.
//!
//! PostgreSQL is a private cluster that this process starts once, or `TEST_DATABASE_URL`. A small guard
//! process stops the cluster when this process ends, however it ends.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use safelane::app::personal_key::PersonalKeys;
use safelane::clock::Clock;
use safelane::domain::policy::Policy;
use safelane::files::place::Place;
use safelane::rpc::pb::budget_report_service_client::BudgetReportServiceClient;
use safelane::rpc::pb::field_report_service_client::FieldReportServiceClient;
use safelane::rpc::pb::funding_service_client::FundingServiceClient;
use safelane::rpc::pb::organization_service_client::OrganizationServiceClient;
use safelane::rpc::pb::site_service_client::SiteServiceClient;
use safelane::rpc::pb::task_service_client::TaskServiceClient;
use safelane::rpc::pb::team_service_client::TeamServiceClient;
use safelane::server::accept::Drained;
use safelane::server::limits::Limits;
use safelane::server::{JwksSettings, Server, ServerSettings};
use safelane::store::embedded::{Embedded, Options};
use safelane::store::{Store, audit, migrate};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// Connections of one test's server. Kept small: tests run side by side on one cluster.
const CONNECTIONS: u32 = 8;
/// The database that every test's database is a copy of.
const TEMPLATE: &str = "safelane_template";
/// The key of personal data.
pub(crate) const PERSONAL_KEY: &str = "7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a";
/// When every test begins, unless it sets its clock.
pub(crate) const START: &str = "1998-06-15T12:00:00Z";

/// The cluster of this test run.
struct Cluster {
    admin: PgConnectOptions,
    /// Held so that the cluster runs as long as this process.
    _own: Option<(Embedded, Child, ChildStdin)>,
}

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

async fn cluster() -> &'static Cluster {
    CLUSTER.get_or_init(start_cluster).await
}

async fn start_cluster() -> Cluster {
    let cluster = match std::env::var("TEST_DATABASE_URL") {
        Ok(url) => Cluster { admin: url.parse().expect("TEST_DATABASE_URL is a PostgreSQL URL"), _own: None },
        Err(_) => start_own_cluster().await,
    };
    let mut admin = cluster.admin.connect().await.expect("PostgreSQL answers");
    for statement in
        [format!("DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)"), format!("CREATE DATABASE {TEMPLATE}")]
    {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut admin).await.expect("the template can be made");
    }
    admin.close().await.expect("the connection closes");
    let store = Store::new(cluster.admin.clone().database(TEMPLATE), 2);
    migrate::migrate(&store).await.expect("the migrations run");
    store.close().await;
    cluster
}

async fn start_own_cluster() -> Cluster {
    let data_dir = std::env::temp_dir().join(format!("safelane-tests-{}", std::process::id()));
    let options = Options { data_dir: data_dir.clone(), bin_dir: None, durable: false, max_connections: 400 };
    let embedded = Embedded::start(options).await.expect("a private PostgreSQL starts; see the README");
    let pid = embedded.pid();
    // Reads until this process ends, then stops the server and removes its folder.
    let script = "cat >/dev/null; kill -INT \"$1\" 2>/dev/null; \
                  while kill -0 \"$1\" 2>/dev/null; do sleep 0.1; done; rm -rf -- \"$2\"";
    let mut guard = Command::new("sh")
        .args(["-c", script, "guard", &pid.to_string()])
        .arg(&data_dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh is there");
    let stdin = guard.stdin.take().expect("the guard's input is a pipe");
    Cluster { admin: embedded.connect_options(), _own: Some((embedded, guard, stdin)) }
}

/// A clock that stands until it is set.
#[derive(Debug)]
pub(crate) struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    pub(crate) fn at(instant: &str) -> Self {
        Self(Mutex::new(instant.parse().expect("an instant")))
    }

    pub(crate) fn set(&self, instant: &str) {
        *self.0.lock().unwrap() = instant.parse().expect("an instant");
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A database of its own for one test.
pub(crate) struct TestDatabase {
    pub(crate) name: String,
    pub(crate) options: PgConnectOptions,
}

impl TestDatabase {
    /// Copies the template.
    pub(crate) async fn create() -> Self {
        let cluster = cluster().await;
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("safelane_test_{}_{number}", std::process::id());
        run_admin(cluster, format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")).await;
        Self { options: cluster.admin.clone().database(&name), name }
    }

    /// An empty database, without the migrations.
    pub(crate) async fn create_empty() -> Self {
        let cluster = cluster().await;
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("safelane_empty_{}_{number}", std::process::id());
        run_admin(cluster, format!("CREATE DATABASE {name}")).await;
        Self { options: cluster.admin.clone().database(&name), name }
    }

    /// A URL for the binary. Sockets go in a parameter, as libpq has it.
    pub(crate) fn url(&self) -> String {
        self.options.to_url_lossy().to_string()
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        self.options.connect().await.expect("the test's database answers")
    }

    pub(crate) async fn drop(self) {
        run_admin(cluster().await, format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
        std::fs::remove_dir_all(files_of(&self.name)).ok();
    }
}

async fn run_admin(cluster: &Cluster, statement: String) {
    let mut admin = cluster.admin.connect().await.expect("PostgreSQL answers");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut admin).await.expect("an administrator may do that");
    admin.close().await.expect("the connection closes");
}

/// A server under test.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) database: TestDatabase,
    pub(crate) store: Store,
    channel: Channel,
    stop: CancellationToken,
    serving: JoinHandle<Drained>,
}

/// Runs a test in a fresh world and audits the ledger afterwards.
pub(crate) async fn in_world(test: impl AsyncFnOnce(&World)) {
    let world = World::start(None).await;
    test(&world).await;
    world.finish().await;
}

impl World {
    /// Starts a server; with keys it asks for tokens.
    pub(crate) async fn start(jwks: Option<JwksSettings>) -> Self {
        Self::start_on(TestDatabase::create().await, jwks).await
    }

    /// Starts a server on a database.
    pub(crate) async fn start_on(database: TestDatabase, jwks: Option<JwksSettings>) -> Self {
        let settings = settings(&database, jwks);
        Self::start_with(database, settings).await
    }

    /// Starts a server that does not show its proto files.
    pub(crate) async fn start_without_reflection() -> Self {
        let database = TestDatabase::create().await;
        let settings = ServerSettings { reflection: false, ..settings(&database, None) };
        Self::start_with(database, settings).await
    }

    /// Starts a server that has no keys for personal data.
    pub(crate) async fn start_without_personal_keys() -> Self {
        let database = TestDatabase::create().await;
        let settings = ServerSettings { personal_keys: None, ..settings(&database, None) };
        Self::start_with(database, settings).await
    }

    async fn start_with(database: TestDatabase, settings: ServerSettings) -> Self {
        let store = Store::new(database.options.clone(), CONNECTIONS);
        let clock = Arc::new(ManualClock::at(START));
        let server = Server::bind(settings, store.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
        let server = server.await.expect("the server binds");
        let address = server.address();
        let stop = CancellationToken::new();
        let serving = server.run_until(stop.clone(), CancellationToken::new());
        let serving = tokio::spawn(async move { serving.await.expect("the server runs") });
        let channel = connect(address).await;
        Self { address, clock, database, store, channel, stop, serving }
    }

    /// A second server on the same database: another replica.
    pub(crate) async fn replica(&self) -> Replica {
        self.replica_with(None).await
    }

    /// Another replica; with keys it asks for tokens.
    pub(crate) async fn replica_with(&self, jwks: Option<JwksSettings>) -> Replica {
        self.replica_as(settings(&self.database, jwks)).await
    }

    /// Another replica, with other keys for personal data.
    pub(crate) async fn replica_with_personal_keys(&self, keys: &str) -> Replica {
        let personal_keys = Some(PersonalKeys::parse(keys).expect("keys"));
        let settings = ServerSettings { personal_keys, ..settings(&self.database, None) };
        self.replica_as(settings).await
    }

    async fn replica_as(&self, settings: ServerSettings) -> Replica {
        let store = Store::new(self.database.options.clone(), CONNECTIONS);
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let server = Server::bind(settings, store, clock).await.expect("the replica binds");
        let address = server.address();
        let stop = CancellationToken::new();
        let serving = server.run_until(stop.clone(), CancellationToken::new());
        let serving = tokio::spawn(async move { serving.await.expect("the replica runs") });
        Replica { address, channel: connect(address).await, stop, serving }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn funding(&self) -> FundingServiceClient<Channel> {
        FundingServiceClient::new(self.channel())
    }

    pub(crate) fn reports(&self) -> BudgetReportServiceClient<Channel> {
        BudgetReportServiceClient::new(self.channel())
    }

    pub(crate) fn organizations(&self) -> OrganizationServiceClient<Channel> {
        OrganizationServiceClient::new(self.channel())
    }

    pub(crate) fn teams(&self) -> TeamServiceClient<Channel> {
        TeamServiceClient::new(self.channel())
    }

    pub(crate) fn sites(&self) -> SiteServiceClient<Channel> {
        SiteServiceClient::new(self.channel())
    }

    pub(crate) fn tasks(&self) -> TaskServiceClient<Channel> {
        TaskServiceClient::new(self.channel())
    }

    /// Audits the ledger, stops the server and drops the database.
    pub(crate) async fn finish(self) {
        let audited = Store::new(self.database.options.clone(), 1);
        let findings = audit::audit_everything(&audited).await.expect("the audit runs");
        assert!(findings.is_empty(), "the ledger audit found {findings:#?}");
        audited.close().await;
        drop(self.channel);
        self.stop.cancel();
        let drained = tokio::time::timeout(Duration::from_secs(30), self.serving).await;
        let drained = drained.expect("the server stops in time").expect("the server does not panic");
        assert_eq!(drained.cut_connections, 0, "every connection ends by itself");
        self.database.drop().await;
    }
}

/// Another server on the database of a world.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    channel: Channel,
    stop: CancellationToken,
    serving: JoinHandle<Drained>,
}

impl Replica {
    pub(crate) fn organizations(&self) -> OrganizationServiceClient<Channel> {
        OrganizationServiceClient::new(self.channel.clone())
    }

    pub(crate) fn funding(&self) -> FundingServiceClient<Channel> {
        FundingServiceClient::new(self.channel.clone())
    }

    pub(crate) fn teams(&self) -> TeamServiceClient<Channel> {
        TeamServiceClient::new(self.channel.clone())
    }

    pub(crate) fn tasks(&self) -> TaskServiceClient<Channel> {
        TaskServiceClient::new(self.channel.clone())
    }

    pub(crate) fn sites(&self) -> SiteServiceClient<Channel> {
        SiteServiceClient::new(self.channel.clone())
    }

    pub(crate) fn reports(&self) -> BudgetReportServiceClient<Channel> {
        BudgetReportServiceClient::new(self.channel.clone())
    }

    pub(crate) fn field_reports(&self) -> FieldReportServiceClient<Channel> {
        FieldReportServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn finish(self) {
        drop(self.channel);
        self.stop.cancel();
        let drained = self.serving.await.expect("the replica does not panic");
        assert_eq!(drained.cut_connections, 0, "every connection ends by itself");
    }
}

fn settings(database: &TestDatabase, jwks: Option<JwksSettings>) -> ServerSettings {
    ServerSettings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        jwks,
        reflection: true,
        drain_wait: Duration::ZERO,
        drain_deadline: Duration::from_secs(10),
        limits: Limits::default(),
        policy: Policy::default(),
        personal_keys: Some(PersonalKeys::parse(PERSONAL_KEY).expect("a key")),
        attachments: Place::Folder(files_of(&database.name)),
    }
}

/// Where the servers of a database keep files. It goes with the cluster.
pub(crate) fn files_of(database: &str) -> PathBuf {
    std::env::temp_dir().join(format!("safelane-tests-{}", std::process::id())).join("files").join(database)
}

pub(crate) async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address is a URL");
    endpoint.connect().await.expect("the server answers")
}

/// A new id.
#[expect(clippy::disallowed_methods, reason = "tests play the clients, which make the ids")]
pub(crate) fn fresh_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
