//! What the failures of the database mean to a caller.

use crate::error::{Away, Error};

/// Turns a failure of the database into the service's own words. The driver's text stays inside.
#[must_use]
pub(crate) fn failed(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Error::Unavailable(Away::Database),
        sqlx::Error::Database(told) => match told.code().as_deref() {
            // serialization_failure, deadlock_detected, lock_not_available.
            Some("40001" | "40P01" | "55P03") => Error::Contended,
            // Connection exceptions, shutdowns, too many connections, statement timeout.
            Some(code) if code.starts_with("08") || code.starts_with("57P") => {
                Error::Unavailable(Away::Database)
            }
            Some("53300" | "57014" | "25P03") => Error::Unavailable(Away::Database),
            _ => Error::Internal(Box::new(error)),
        },
        _ => Error::Internal(Box::new(error)),
    }
}

/// A connection lost at commit leaves the outcome open; a refusal of the commit does not.
pub(super) fn commit_failed(error: sqlx::Error) -> Error {
    match failed(error) {
        Error::Unavailable(Away::Database) => Error::Unavailable(Away::OutcomeUnknown),
        other => other,
    }
}

/// The constraint that a failed statement broke, if that is why it failed.
#[must_use]
pub(crate) fn broken_constraint(error: &sqlx::Error) -> Option<&str> {
    match error {
        sqlx::Error::Database(told) => told.constraint(),
        _ => None,
    }
}

/// An update that misses its row is a broken invariant, never a silent success.
pub(crate) fn expect_rows(affected: u64, expected: usize) -> Result<(), Error> {
    if usize::try_from(affected) == Ok(expected) {
        return Ok(());
    }
    Err(Error::bug(format!("an update touched {affected} rows, not {expected}")))
}
