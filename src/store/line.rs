//! The connection that one writer keeps: no pool to wait for, no ping before each transaction, and session
//! settings of its own. It is closed, and made anew when it is next needed, whenever a transaction on it did
//! not end in good order; so a transaction that was left half done never meets the next one.

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};

use crate::error::{Away, Error};
use crate::store::failure::commit_failed;
use crate::store::{ACQUIRE_TIMEOUT, failed};

/// Settings of a writer's session, beside those of every session. A writer reads by key only, a few rows
/// or a few thousand. Without the other ways to go, the planner takes the index for a table that it believes
/// to be empty just as for one of ten million rows. So one plan serves them all, and need not be made anew for
/// each batch.
pub(super) const SETTINGS: [(&str, &str); 5] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_bitmapscan", "off"),
];

/// A writer's connection.
#[derive(Debug)]
pub struct Line {
    options: PgConnectOptions,
    /// None when there is none, or when it is in the middle of something.
    idle: Option<PgConnection>,
    /// The one of the transaction that is open.
    busy: Option<PgConnection>,
    /// Whether that one was connected for it.
    new: bool,
}

impl Line {
    /// Connects when it is first used.
    pub(super) const fn new(options: PgConnectOptions) -> Self {
        Self { options, idle: None, busy: None, new: false }
    }

    /// Begins a transaction. One that was left open before is gone with its connection.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer. Nothing has happened then.
    pub async fn begin(&mut self) -> Result<(), Error> {
        self.busy = None;
        self.new = false;
        let conn = match self.idle.take() {
            Some(kept) => self.begin_on(kept).await?,
            None => self.begin_anew().await?,
        };
        self.busy = Some(conn);
        Ok(())
    }

    /// The connection of the transaction that is open.
    ///
    /// # Errors
    /// A bug when none is.
    pub fn open(&mut self) -> Result<&mut PgConnection, Error> {
        self.busy.as_mut().ok_or_else(|| Error::bug("no transaction is open"))
    }

    /// The database may have been restarted since the connection was last used: that costs a new one, not
    /// a refusal.
    async fn begin_on(&mut self, mut kept: PgConnection) -> Result<PgConnection, Error> {
        match in_time(execute(&mut kept, "BEGIN")).await? {
            Ok(()) => Ok(kept),
            Err(_lost) => self.begin_anew().await,
        }
    }

    async fn begin_anew(&mut self) -> Result<PgConnection, Error> {
        self.new = true;
        let mut conn = in_time(self.options.connect()).await?.map_err(failed)?;
        in_time(execute(&mut conn, "BEGIN")).await?.map_err(failed)?;
        Ok(conn)
    }

    /// The connection that was kept, for statements that are transactions by themselves. [`Line::keep`] it
    /// afterwards. What such a statement is fenced by was read on this very connection: on another one the
    /// database may be a replica that lost its last commits.
    ///
    /// # Errors
    /// `Contended` when none was kept. Nothing has happened then.
    pub fn idle(&mut self) -> Result<&mut PgConnection, Error> {
        self.busy = None;
        let kept = self.idle.take().ok_or(Error::Contended)?;
        Ok(self.busy.insert(kept))
    }

    /// Whether the transaction is the first one of its connection.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.new
    }

    /// Keeps the connection of [`Line::idle`], on which every statement was answered. One that is not kept is
    /// closed before the next use.
    pub fn keep(&mut self) {
        self.idle = self.busy.take();
    }

    /// Commits.
    ///
    /// # Errors
    /// `OutcomeUnknown` when the connection was lost before the database answered.
    pub async fn commit(&mut self) -> Result<(), Error> {
        self.end("COMMIT").await.map_err(commit_failed)
    }

    /// Gives the transaction up.
    pub async fn roll_back(&mut self) {
        if let Err(lost) = self.end("ROLLBACK").await {
            // The connection is gone, and the transaction with it.
            tracing::debug!(error = %lost, "rollback on a lost connection");
        }
    }

    async fn end(&mut self, how: &'static str) -> Result<(), sqlx::Error> {
        let Some(mut conn) = self.busy.take() else { return Err(sqlx::Error::WorkerCrashed) };
        let ended = execute(&mut conn, how).await;
        // The database ends the transaction also when it refuses to commit it.
        if matches!(ended, Ok(()) | Err(sqlx::Error::Database(_))) {
            self.idle = Some(conn);
        }
        ended
    }
}

/// Gives up a database that does not answer. What was asked of it must be without effect.
async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T, Error> {
    tokio::time::timeout(ACQUIRE_TIMEOUT, answer).await.map_err(|_| Error::Unavailable(Away::Database))
}

async fn execute(conn: &mut PgConnection, statement: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(statement).execute(conn).await.map(|_| ())
}
