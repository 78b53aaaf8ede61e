//! Uploads that a call left unfinished a moment ago. A device that sends a photo in many calls goes on at each without
//! that everything before is read and hashed again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::files::UploadKey;
use crate::files::content::Content;
use crate::files::staged::{Rested, Staged};

/// The most uploads that are remembered. Each holds an open file and up to 64 KiB.
const RESTING_MAX: usize = 128;
/// How long one is remembered.
const REST_MAX: Duration = Duration::from_mins(1);

/// Uploads that nobody writes now, the longest forgotten first. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Resting(Arc<Mutex<VecDeque<(Instant, Rested)>>>);

impl Resting {
    /// Remembers an upload that was left, with what its bytes came to.
    pub fn put(&self, staged: Staged, content: Content) {
        let Some(rested) = staged.rest(content) else { return };
        let mut resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        resting.retain(|(since, other)| since.elapsed() < REST_MAX && other.key() != rested.key());
        if RESTING_MAX <= resting.len() {
            resting.pop_front();
        }
        resting.push_back((Instant::now(), rested));
    }

    /// The upload, if it is remembered. This blocks, as everything that follows does.
    ///
    /// # Errors
    /// `WouldBlock` when somebody else writes it.
    pub fn wake(&self, key: &UploadKey) -> std::io::Result<Option<(Staged, Content)>> {
        let found = {
            let mut resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            resting.retain(|(since, _)| since.elapsed() < REST_MAX);
            let at = resting.iter().position(|(_, rested)| rested.key() == key);
            at.and_then(|at| resting.remove(at))
        };
        found.map_or(Ok(None), |(_, rested)| rested.wake())
    }

    /// How much of an upload is there for good, if that is remembered: then no flush is needed.
    #[must_use]
    pub fn durable(&self, key: &UploadKey) -> Option<u64> {
        let resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, rested) = resting.iter().find(|(_, rested)| rested.key() == key)?;
        rested.is_as_it_was().then(|| rested.offset())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::files::staging::Staging;

    #[test]
    fn so_many_are_remembered_and_the_oldest_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::new(folder.path().to_owned());
        let key = |number: u128| UploadKey { operator: Uuid::from_u128(number), sha256: [1; 32], size: 9 };
        let resting = Resting::default();
        let count = RESTING_MAX as u128 + 1;
        for number in 0..count {
            let (mut staged, mut content) = staging.open(&key(number)).unwrap();
            content.update(b"123");
            staged.append(&[b"123"]).unwrap();
            staged.sync().unwrap();
            resting.put(staged, content);
        }
        assert_eq!(resting.durable(&key(0)), None);
        assert!(resting.wake(&key(0)).unwrap().is_none());
        assert_eq!(resting.durable(&key(count - 1)), Some(3));
        let (staged, content) = resting.wake(&key(count - 1)).unwrap().unwrap();
        assert_eq!((staged.offset(), content.length()), (3, 3));
        assert_eq!(resting.durable(&key(count - 1)), None);
    }
}
