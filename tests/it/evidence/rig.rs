//! What a run needs: a database with a funded program, services of the real binary, and an honest server in
//! this process by which the run is judged.

use std::sync::Arc;

use safelane::rpc::pb;
use safelane::seeded::Bug;
use sqlx::Connection as _;

use crate::binary::{Service, safelane};
use crate::desk::Desk;
use crate::evidence::chance::Chance;
use crate::evidence::model::Model;
use crate::evidence::reading::read_journal;
use crate::harness::{TestDatabase, World};

/// A world with a funded desk. Its own server is never seeded with a bug; the services that it starts are.
pub(crate) struct Rig {
    pub(crate) world: World,
    pub(crate) desk: Arc<Desk>,
    pub(crate) chance: Chance,
    /// The state and the revision from which a run counts.
    pub(crate) opening: Model,
    pub(crate) base: i64,
    bug: Option<Bug>,
}

impl Rig {
    pub(crate) async fn new(seed: u64, bug: Option<Bug>) -> Self {
        Self::on(World::start(None).await, seed, bug).await
    }

    /// On a cluster that the run may kill.
    pub(crate) async fn on_database(database: TestDatabase, seed: u64) -> Self {
        Self::on(World::start_on(database, None).await, seed, None).await
    }

    async fn on(world: World, seed: u64, bug: Option<Bug>) -> Self {
        let desk = Desk::open(&world).await;
        desk.fund().await;
        let request = pb::ListAllocationsRequest {
            program_id: desk.program_id.clone(),
            period_id: desk.period_id.clone(),
            page_size: 1_000,
            ..Default::default()
        };
        let listed = desk.funding.clone().list_allocations(request).await.expect("the tree").into_inner();
        let opening = Model::opening(&listed.allocations);
        let base = desk.state().await.0;
        Self { world, desk: Arc::new(desk), chance: Chance::new(seed), opening, base, bug }
    }

    /// A service on the database, with the bug of the run.
    pub(crate) async fn service(&self) -> Service {
        self.service_at(&self.world.database.url()).await
    }

    /// A service that reaches the database by another way.
    pub(crate) async fn service_at(&self, url: &str) -> Service {
        let mut command = safelane(&["serve", "--log", "off"]);
        command.env("DATABASE_URL", url);
        if let Some(bug) = self.bug {
            command.env("SAFELANE_SEEDED_BUG", bug.name());
        }
        Service::start(command).await
    }

    /// The journal since the beginning of the run, read by the honest server.
    pub(crate) async fn journal(&self) -> Result<Vec<pb::PostEntryResponse>, String> {
        read_journal(self.world.funding(), &self.desk.program_id, self.base, 1_000).await
    }

    /// Removes the database. The findings were collected before.
    pub(crate) async fn remove(self) {
        self.world.database.drop().await;
    }

    /// Holds the lock that every writer to the program needs, until the connection is closed.
    pub(crate) async fn hold_head(&self) -> sqlx::PgConnection {
        let mut connection = self.world.database.connect().await;
        sqlx::raw_sql("BEGIN").execute(&mut connection).await.expect("a transaction");
        sqlx::query("SELECT 1 FROM journal_head WHERE scope_id = $1::uuid FOR UPDATE")
            .bind(&self.desk.program_id)
            .execute(&mut connection)
            .await
            .expect("the lock");
        connection
    }

    /// Sessions of the database in a state, this one and the honest server's aside.
    pub(crate) async fn sessions(&self, connection: &mut sqlx::PgConnection, state: &str) -> i64 {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                AND pid <> pg_backend_pid() AND {state}"
        );
        let counted = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(connection).await;
        counted.expect("the database answers")
    }
}

/// Lets go of what a connection holds.
pub(crate) async fn let_go(connection: sqlx::PgConnection) {
    connection.close().await.expect("the connection closes");
}
