//! How many streams each caller has open. A client that forgets to close its streams is stopped before it
//! takes the service down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::caller::Caller;
use crate::error::Error;

/// The most streams that one subject may have open on this server.
pub const STREAMS_PER_CALLER_MAX: u64 = 200;

/// Open streams by subject. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Seats {
    taken: Arc<Mutex<HashMap<String, u64>>>,
}

/// One open stream; dropped when it ends.
#[derive(Debug)]
pub struct Seat {
    seats: Seats,
    subject: String,
}

impl Seats {
    /// Takes a seat for a caller.
    ///
    /// # Errors
    /// `Quota` when it has too many.
    pub fn take(&self, caller: &Caller) -> Result<Seat, Error> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(caller.subject().to_owned()).or_default();
        if STREAMS_PER_CALLER_MAX <= *count {
            return Err(Error::Quota { what: "open streams of a caller", max: STREAMS_PER_CALLER_MAX });
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
