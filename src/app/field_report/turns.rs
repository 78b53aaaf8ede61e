//! Who takes in reports of an operator now. One transaction at a time can hold the head of its journal; whoever waits for
//! that in the database has a connection meanwhile, and a few hundred tablets of one operator would leave none for anybody
//! else. So they wait here, in the order in which they came.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::domain::ids::OrganizationId;
use crate::error::{Away, Error};

/// The most groups of reports that wait for one operator.
const WAITING_MAX: usize = 1_000;
/// The map and whoever has the turn hold a turn, too.
const NOT_WAITING: usize = 2;

type ByOperator = HashMap<OrganizationId, Arc<Mutex<()>>>;

/// The turns of all operators. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Lock<ByOperator>>);

/// A turn; the next one begins when it is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
    operator: OrganizationId,
    _held: OwnedMutexGuard<()>,
}

impl Turns {
    /// Waits for a turn.
    ///
    /// # Errors
    /// `Overloaded` when too many wait already.
    pub async fn take(&self, operator: OrganizationId) -> Result<Turn, Error> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(operator).or_default())
        };
        if WAITING_MAX + NOT_WAITING < Arc::strong_count(&turn) {
            return Err(Error::Unavailable(Away::Overloaded));
        }
        Ok(Turn { turns: self.clone(), operator, _held: turn.lock_owned().await })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody can begin to wait while the map is locked.
        if turns.get(&self.operator).is_some_and(|turn| Arc::strong_count(turn) <= NOT_WAITING) {
            turns.remove(&self.operator);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn waiting(turns: &Turns) -> usize {
        turns.0.lock().unwrap().len()
    }

    #[tokio::test]
    async fn one_after_the_other_has_the_turn_and_nothing_is_left_behind() {
        let turns = Turns::default();
        let (one, two) = (OrganizationId::new(Uuid::from_u128(1)), OrganizationId::new(Uuid::from_u128(2)));
        let first = turns.take(one).await.unwrap();
        let second = tokio::spawn({
            let turns = turns.clone();
            async move { turns.take(one).await }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        // Another operator has turns of its own.
        drop(turns.take(two).await.unwrap());
        drop(first);
        drop(second.await.unwrap().unwrap());
        assert_eq!(waiting(&turns), 0);
    }

    #[tokio::test]
    async fn who_goes_away_waits_no_more_and_a_crowd_is_told_to_come_again() {
        let turns = Turns::default();
        let operator = OrganizationId::new(Uuid::from_u128(1));
        let first = turns.take(operator).await.unwrap();
        let crowd: Vec<_> = (0..WAITING_MAX)
            .map(|_| {
                let turns = turns.clone();
                tokio::spawn(async move { turns.take(operator).await.map(drop) })
            })
            .collect();
        let held = || Arc::strong_count(&turns.0.lock().unwrap()[&operator]);
        while held() < WAITING_MAX + NOT_WAITING {
            tokio::task::yield_now().await;
        }
        let refused = turns.take(operator).await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable(Away::Overloaded)));
        for gone in &crowd {
            gone.abort();
        }
        for gone in crowd {
            assert!(gone.await.is_err());
        }
        drop(first);
        drop(turns.take(operator).await.unwrap());
        assert_eq!(waiting(&turns), 0);
    }
}
