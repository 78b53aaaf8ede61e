//! SQL, and nothing but SQL: no rules, no wire types. Functions take the connection of the caller's
//! transaction, so that what belongs together is one transaction; [`Store`] opens those.
//!
//! Statement texts begin with `-- area.verb`, which shows in `pg_stat_statements` and in logs.

pub mod accreditation;
pub mod asset;
pub mod assignment;
pub mod attachment;
pub mod audit;
pub mod change;
pub mod embedded;
mod failure;
pub mod feed;
pub mod field_report;
pub mod funding;
pub mod journal;
pub mod ledger;
pub mod licence;
pub mod line;
pub mod member;
pub mod migrate;
pub mod organization;
pub mod orphan;
pub mod person;
pub mod person_name;
pub mod personal;
pub mod refresher;
pub mod report;
pub mod restatement;
pub mod rows;
pub mod safety_stop;
pub mod site;
pub mod task;
pub mod team;
pub mod team_feed;

use std::pin::Pin;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::error::{Away, Error};
use crate::store::failure::commit_failed;
use crate::store::line::Line;

pub(crate) use failure::{broken_constraint, expect_rows, failed};

/// How often a transaction is tried when it loses to a concurrent one.
pub const TRIES_MAX: u32 = 5;
/// How much longer each next try waits.
const RETRY_WAIT: Duration = Duration::from_millis(10);
/// How long a call waits for a free connection before it is refused.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long a connection counts as alive after it came back to the pool, which asks each for a sign of life then. A database
/// that restarts takes longer; a call that meets it just then, or a server of connections that moves to another host, is told
/// to come again, as any other is meanwhile. Asking each time would cost as much as a look-up by key.
const PROVEN_FOR: Duration = Duration::from_millis(200);
/// The longest that one try of a transaction may take. Above the server's own limit of a statement, which does
/// not help when the server never answers: sqlx 0.9 has neither keepalive nor a time limit for a connection
/// that is in use.
pub const TRY_MAX: Duration = Duration::from_secs(35);
/// The same for work that reads a whole journal.
const LONG_TRY_MAX: Duration = Duration::from_mins(30);
/// Server-side limits of every session, in milliseconds: a lost client must not hold locks.
const SESSION_SETTINGS: [(&str, &str); 4] = [
    ("idle_in_transaction_session_timeout", "10000"),
    ("lock_timeout", "5000"),
    ("statement_timeout", "30000"),
    // A plan made for an empty table must not stay when it has grown.
    ("plan_cache_mode", "force_custom_plan"),
];

/// Begins a snapshot.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// The same for look-ups by key. They are planned once for each connection, which takes longer than to run them. Such a
/// plan may be made while a table is still empty, so it must not be one that reads whole tables.
const LOOK_UP: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off";

/// The connection of a transaction. Use cases pass it on to the functions of this layer.
pub type Connection = PgConnection;

/// When the statements of a transaction that changes something are planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// Each time, for the values at hand.
    Anew,
    /// Once for each connection: for rows that are found by their keys, where planning takes longer than running.
    Once,
}

/// What a transaction body answers.
pub type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'c>>;

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    /// For rows that are found by their keys, with the settings of a writer's session: see [`line::SETTINGS`], which says why.
    keyed: PgPool,
    /// One connection of its own for the readiness check: a queue for the others says nothing about the
    /// database.
    probe: PgPool,
    /// For the connections that writers keep.
    writing: PgConnectOptions,
    /// For work that takes as long as it takes: migrations.
    unbounded: PgConnectOptions,
    /// Work that must be finished before the pool is closed.
    tasks: TaskTracker,
}

impl Store {
    /// Reads a connection URL.
    ///
    /// # Errors
    /// Says what is wrong, without the URL, which holds a password.
    pub fn parse_url(url: &str) -> Result<PgConnectOptions, String> {
        let known = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        if !known {
            return Err("does not begin with postgres:// or postgresql://".to_owned());
        }
        url.parse().map_err(|_| "is not a PostgreSQL URL such as postgres://user@host:5432/name".to_owned())
    }

    /// Makes pools that connect when they are first used: one for reads, and one of as many connections for what is found
    /// by its key.
    #[must_use]
    pub fn new(options: PgConnectOptions, connections_max: u32) -> Self {
        let unbounded = options.application_name("safelane");
        let bounded = unbounded.clone().options(SESSION_SETTINGS);
        let writing = bounded.clone().options(line::SETTINGS);
        let pool = |connections, options: &PgConnectOptions| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .test_before_acquire(false)
                .before_acquire(|conn, found| {
                    Box::pin(async move {
                        if PROVEN_FOR < found.idle_for {
                            conn.ping().await?;
                        }
                        Ok(true)
                    })
                })
                .connect_lazy_with(options.clone())
        };
        Self {
            pool: pool(connections_max, &bounded),
            keyed: pool(connections_max, &writing),
            probe: pool(1, &bounded),
            writing,
            unbounded,
            tasks: TaskTracker::new(),
        }
    }

    /// Runs `body` in a transaction that changes something, in a task of its own: a caller that goes away changes
    /// nothing about it. A try that loses to a concurrent transaction is begun again, [`TRIES_MAX`] times at most.
    ///
    /// # Errors
    /// What the body answers; `Contended` when every try lost; `OutcomeUnknown` when the connection was lost at
    /// COMMIT.
    pub async fn transaction<T, F>(&self, name: &'static str, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut PgConnection) -> Work<'c, T> + Send + Sync + 'static,
    {
        self.transaction_planned(name, Planned::Anew, body).await
    }

    /// The same with a say in when statements are planned.
    ///
    /// # Errors
    /// As [`Store::transaction`].
    pub async fn transaction_planned<T, F>(
        &self,
        name: &'static str,
        planned: Planned,
        body: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut PgConnection) -> Work<'c, T> + Send + Sync + 'static,
    {
        let pool = match planned {
            Planned::Anew => self.pool.clone(),
            Planned::Once => self.keyed.clone(),
        };
        self.detach(async move {
            for lost in 0..TRIES_MAX {
                if lost != 0 {
                    // Not for the first try: tokio rounds a sleep of nothing up to a millisecond.
                    tokio::time::sleep(RETRY_WAIT * lost).await;
                }
                let mut conn = pool.acquire().await.map_err(failed)?;
                let tried = tokio::time::timeout(TRY_MAX, transaction_on(&mut conn, &body)).await;
                match tried {
                    Ok(Err(Error::Contended)) => tracing::debug!(name, lost, "a transaction lost to another"),
                    Ok(done) => return done,
                    Err(_) => {
                        // It may be in the middle of anything, so nobody else may get it.
                        conn.close_on_drop();
                        return Err(Error::Unavailable(Away::OutcomeUnknown));
                    }
                }
            }
            Err(Error::Contended)
        })
        .await
    }

    /// Runs `body` without a transaction around it: look-ups by key, and then one statement that writes and is fenced by what
    /// they found. In a task of its own, as a transaction is, and on a connection that keeps its plans.
    ///
    /// # Errors
    /// What the body answers; `OutcomeUnknown` when it takes too long.
    pub async fn fenced<T, F>(&self, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection) -> Work<'c, T> + Send + 'static,
    {
        let pool = self.keyed.clone();
        self.detach(async move {
            let mut conn = pool.acquire().await.map_err(failed)?;
            let tried = tokio::time::timeout(TRY_MAX, body(&mut conn)).await;
            tried.unwrap_or_else(|_| {
                // It may be in the middle of anything, so nobody else may get it.
                conn.close_on_drop();
                Err(Error::Unavailable(Away::OutcomeUnknown))
            })
        })
        .await
    }

    /// Runs `body` on one consistent, read-only snapshot.
    ///
    /// # Errors
    /// What the body answers.
    pub async fn snapshot<T, F>(&self, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut PgConnection) -> Work<'c, T> + Send + Sync + 'static,
    {
        self.snapshot_within(SNAPSHOT, TRY_MAX, body).await
    }

    /// The same for many look-ups by key, which keep their plans.
    ///
    /// # Errors
    /// What the body answers.
    pub async fn look_up<T, F>(&self, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut PgConnection) -> Work<'c, T> + Send + Sync + 'static,
    {
        self.snapshot_within(LOOK_UP, TRY_MAX, body).await
    }

    /// The same for work that reads a whole journal.
    ///
    /// # Errors
    /// What the body answers.
    pub async fn long_snapshot<T, F>(&self, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut PgConnection) -> Work<'c, T> + Send + Sync + 'static,
    {
        self.snapshot_within(SNAPSHOT, LONG_TRY_MAX, body).await
    }

    /// The work runs in a task of its own, so that a caller that goes away leaves no transaction open: sqlx 0.9
    /// returns a connection with an open transaction to the pool when `begin` is dropped (sqlx issue 4393).
    async fn snapshot_within<T, F>(&self, begin: &'static str, limit: Duration, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut PgConnection) -> Work<'c, T> + Send + Sync + 'static,
    {
        let pool = self.pool.clone();
        self.detach(async move {
            let mut conn = pool.acquire().await.map_err(failed)?;
            let tried = tokio::time::timeout(limit, snapshot_on(&mut conn, begin, &body)).await;
            tried.unwrap_or_else(|_| {
                // It may be in the middle of anything, so nobody else may get it.
                conn.close_on_drop();
                Err(Error::Unavailable(Away::Database))
            })
        })
        .await
    }

    /// Answers when the database does.
    ///
    /// # Errors
    /// `Unavailable` when it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        sqlx::query("-- store.ping\nSELECT 1").execute(&self.probe).await.map_err(failed)?;
        Ok(())
    }

    /// A connection for one writer to keep. It connects when it is first used.
    #[must_use]
    pub fn line(&self) -> Line {
        Line::new(self.writing.clone())
    }

    /// A connection without time limits, outside the pool.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub(crate) async fn connect_unbounded(&self) -> Result<PgConnection, Error> {
        self.unbounded.connect().await.map_err(failed)
    }

    /// The pool, for single statements.
    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The same for statements that find rows by their keys, and are planned once for each connection.
    pub(crate) const fn keyed(&self) -> &PgPool {
        &self.keyed
    }

    /// Runs work in a task of its own, which goes on when its caller is gone.
    ///
    /// # Errors
    /// What the work answers; a fault when it panics.
    pub async fn detach<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let task = self.tasks.spawn(work.in_current_span());
        task.await.unwrap_or_else(|lost| Err(Error::Internal(Box::new(lost))))
    }

    /// Runs work that blocks and that nobody waits for, to its end.
    pub fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        self.tasks.spawn_blocking(work);
    }

    /// Waits for work in progress and closes every connection.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.pool.close().await;
        self.keyed.close().await;
        self.probe.close().await;
    }
}

async fn transaction_on<T, F>(conn: &mut PgConnection, body: &F) -> Result<T, Error>
where
    T: Send,
    F: for<'c> Fn(&'c mut PgConnection) -> Work<'c, T> + Sync,
{
    let mut tx = conn.begin().await.map_err(failed)?;
    match body(&mut tx).await {
        Ok(done) => {
            tx.commit().await.map_err(commit_failed)?;
            Ok(done)
        }
        Err(error) => {
            if let Err(lost) = tx.rollback().await {
                // The connection is gone, and the transaction with it.
                tracing::debug!(error = %lost, "rollback on a lost connection");
            }
            Err(error)
        }
    }
}

async fn snapshot_on<T, F>(conn: &mut PgConnection, begin: &'static str, body: &F) -> Result<T, Error>
where
    T: Send,
    F: for<'c> Fn(&'c mut PgConnection) -> Work<'c, T> + Sync,
{
    let mut tx = conn.begin_with(begin).await.map_err(failed)?;
    let answer = body(&mut tx).await;
    // Nothing was written, so both ends are the same; one that fails means that the connection is gone.
    if let Err(lost) = tx.rollback().await {
        tracing::debug!(error = %lost, "rollback on a lost connection");
    }
    answer
}
