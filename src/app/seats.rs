//! How many streams each caller has open. A client that forgets to close its streams is stopped before it
//! takes the service down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::caller::Caller;
use crate::error::{Away, Error};

/// The most streams that one subject may have open on this server.
pub const STREAMS_PER_CALLER_MAX: u64 = 200;

/// Open streams by subject. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Seats {
    taken: Arc<Mutex<HashMap<String, u64>>>,
    what: &'static str,
    per_caller: u64,
    in_all: u64,
}

impl Default for Seats {
    fn default() -> Self {
        Self::of("open streams of a caller", STREAMS_PER_CALLER_MAX, u64::MAX)
    }
}

/// One open stream; dropped when it ends.
#[derive(Debug)]
pub struct Seat {
    seats: Seats,
    subject: String,
}

impl Seats {
    /// So many seats for each caller, and in all.
    #[must_use]
    pub fn of(what: &'static str, per_caller: u64, in_all: u64) -> Self {
        Self { taken: Arc::default(), what, per_caller, in_all }
    }

    /// Takes a seat for a caller.
    ///
    /// # Errors
    /// `Quota` when it has too many; `Overloaded` when all have.
    pub fn take(&self, caller: &Caller) -> Result<Seat, Error> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if self.in_all <= taken.values().sum() {
            return Err(Error::Unavailable(Away::Overloaded));
        }
        let count = taken.entry(caller.subject().to_owned()).or_default();
        if self.per_caller <= *count {
            return Err(Error::Quota { what: self.what, max: self.per_caller });
        }
        *count += 1;
        Ok(Seat { seats: self.clone(), subject: caller.subject().to_owned() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.subject) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.subject);
            }
        }
    }
}
