//! Random numbers that a seed repeats.

use std::time::{Duration, Instant};

/// `SplitMix64`: short, and good enough to choose amounts and moments.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Another one, so that tasks do not depend on who of them draws first.
    pub(crate) const fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// From zero up to, not including, the limit.
    pub(crate) const fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// From one up to and including the limit.
    pub(crate) fn up_to(&mut self, limit: i64) -> i64 {
        let limit = u64::try_from(limit).expect("a positive limit");
        1 + i64::try_from(self.below(limit)).expect("below an i64")
    }

    pub(crate) const fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let count = u64::try_from(from.len()).expect("a length");
        &from[usize::try_from(self.below(count)).expect("an index")]
    }

    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let count = u64::try_from(last + 1).expect("a length");
            all.swap(last, usize::try_from(self.below(count)).expect("an index"));
        }
    }

    /// An id without any order, unlike those that clients make from the time: whoever reads by id instead of
    /// by revision must be noticed.
    pub(crate) fn id(&mut self) -> String {
        let number = (u128::from(self.next()) << 64) | u128::from(self.next());
        uuid::Builder::from_random_bytes(number.to_be_bytes()).into_uuid().to_string()
    }

    /// Waits up to so many microseconds. The runtime's timer knows only milliseconds, so the rest is spent
    /// in giving way to other tasks.
    pub(crate) async fn pause(&mut self, micros_max: u64) {
        if micros_max == 0 {
            return;
        }
        let (micros, start) = (self.below(micros_max), Instant::now());
        if 1_000 <= micros {
            tokio::time::sleep(Duration::from_millis(micros / 1_000)).await;
        }
        while start.elapsed() < Duration::from_micros(micros) {
            tokio::task::yield_now().await;
        }
    }
}
