//! The clock. A use case reads it once and passes the instant down as a value; nothing else may ask for
//! the time.

use jiff::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine, in whole microseconds: what the database keeps.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        // A present instant in microseconds is always in range.
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}
