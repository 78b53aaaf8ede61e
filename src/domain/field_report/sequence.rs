//! What is there of a device's numbering. A device numbers what it sends from 1 without gaps, so that a gap is a report
//! that is lost or still on its way.

use std::collections::BTreeMap;

use crate::domain::ids::DeviceId;

/// The greatest number.
pub const SEQUENCE_MAX: i64 = 1_000_000_000;
/// The most runs of numbers that are kept of a device. A device that leaves more gaps is broken; its reports are taken
/// again once it has sent what lies between.
pub const RUNS_MAX: usize = 1_000;

/// The most runs of missing numbers that are told at once.
const MISSING_TOLD_MAX: usize = 100;

/// What is there of a device's numbering, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncState {
    /// The device.
    pub device: DeviceId,
    /// Everything up to here was received; 0 for nothing.
    pub durable_through: i64,
    /// The greatest number that was received.
    pub highest: i64,
    /// The lowest missing numbers between the two.
    pub missing: Vec<(i64, i64)>,
    /// How many are missing in all.
    pub missing_count: i64,
}

/// The numbers that were received, as runs that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received(BTreeMap<i64, i64>);

impl Received {
    /// From runs as they were stored.
    #[must_use]
    pub fn of(runs: impl IntoIterator<Item = (i64, i64)>) -> Self {
        Self(runs.into_iter().collect())
    }

    /// Notes a number. Answers whether it was new.
    pub fn insert(&mut self, number: i64) -> bool {
        let before = self.0.range(..=number).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| number <= last) {
            return false;
        }
        let first = match before {
            Some((first, last)) if last + 1 == number => first,
            _ => number,
        };
        let last = self.0.remove(&(number + 1)).unwrap_or(number);
        self.0.insert(first, last);
        true
    }

    /// Whether a number was received.
    #[must_use]
    pub fn contains(&self, number: i64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
    }

    /// Whether a number could be noted without more runs than are kept.
    #[must_use]
    pub fn has_room_for(&self, number: i64) -> bool {
        let touches = self.contains(number) || self.contains(number - 1) || self.contains(number + 1);
        touches || self.0.len() < RUNS_MAX
    }

    /// Everything up to here was received; 0 for nothing.
    #[must_use]
    pub fn through(&self) -> i64 {
        self.0.get(&1).copied().unwrap_or(0)
    }

    /// The greatest number that was received; 0 for none.
    #[must_use]
    pub fn highest(&self) -> i64 {
        self.0.values().next_back().copied().unwrap_or(0)
    }

    /// The numbers that are missing below the highest, the lowest first.
    pub fn missing(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let ends = std::iter::once(0).chain(self.0.values().copied());
        ends.zip(self.0.keys().copied())
            .filter(|(last, next)| last + 1 < *next)
            .map(|(last, next)| (last + 1, next - 1))
    }

    /// What is told about it.
    #[must_use]
    pub fn state(&self, device: DeviceId) -> SyncState {
        SyncState {
            device,
            durable_through: self.through(),
            highest: self.highest(),
            missing: self.missing().take(MISSING_TOLD_MAX).collect(),
            missing_count: self.missing().map(|(first, last)| last - first + 1).sum(),
        }
    }

    /// The runs, the lowest first.
    pub fn runs(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.0.iter().map(|(first, last)| (*first, *last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_gap_shows_until_it_is_filled() {
        let mut received = Received::default();
        for number in (1..=41).chain([43]) {
            assert!(received.insert(number));
        }
        assert_eq!((received.through(), received.highest()), (41, 43));
        assert_eq!(received.missing().collect::<Vec<_>>(), [(42, 42)]);
        assert!(received.insert(42) && !received.insert(42));
        assert_eq!((received.through(), received.missing().count()), (43, 0));
    }

    #[test]
    fn numbers_that_never_begin_at_one_are_all_missing_before() {
        let received = Received::of([(7, 9)]);
        assert_eq!((received.through(), received.highest()), (0, 9));
        assert_eq!(received.missing().collect::<Vec<_>>(), [(1, 6)]);
    }

    #[test]
    fn more_gaps_than_are_kept_find_no_room_but_fillings_do() {
        let runs = i64::try_from(RUNS_MAX).unwrap();
        let received = Received::of((1..=runs).map(|run| (run * 2, run * 2)));
        assert!(!received.has_room_for(runs * 2 + 5));
        assert!(received.has_room_for(5) && received.has_room_for(runs * 2 + 1) && received.has_room_for(2));
    }

    proptest! {
        #[test]
        fn runs_say_the_same_as_a_set(numbers in prop::collection::vec(1_i64..60, 0..80)) {
            let (mut received, mut set) = (Received::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(received.insert(number), set.insert(number));
                let missing: BTreeSet<i64> = received.missing().flat_map(|(first, last)| first..=last).collect();
                let highest = set.last().copied().unwrap_or(0);
                let expected: BTreeSet<i64> = (1..=highest).filter(|of| !set.contains(of)).collect();
                prop_assert_eq!(missing, expected);
                prop_assert_eq!(received.highest(), highest);
                let through = (1..=60).take_while(|of| set.contains(of)).last().unwrap_or(0);
                prop_assert_eq!(received.through(), through);
                prop_assert_eq!(Received::of(received.runs()), received.clone());
            }
        }
    }
}
