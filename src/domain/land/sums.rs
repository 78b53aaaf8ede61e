//! Sums of movements between two days.

use jiff::civil::Date;

use crate::domain::land::{Movement, MovementKind};

/// Land that came and went between two days, with the sign of the effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LandSums {
    /// What there was before the first day.
    pub opening: i64,
    /// What was found.
    pub identified: i64,
    /// By how much new measurements differ.
    pub remeasured: i64,
    /// Released by non-technical survey; 0 or less.
    pub cancelled: i64,
    /// Released by technical survey; 0 or less.
    pub reduced: i64,
    /// Released by clearance; 0 or less.
    pub cleared: i64,
    /// What came from split sites.
    pub split_in: i64,
    /// What went to parts; 0 or less.
    pub split_out: i64,
}

impl LandSums {
    /// What there was after the last day: always the opening and everything that moved.
    #[must_use]
    pub const fn closing(&self) -> i64 {
        self.opening
            + self.identified
            + self.remeasured
            + self.cancelled
            + self.reduced
            + self.cleared
            + self.split_in
            + self.split_out
    }

    /// Adds a movement to a ledger that begins on a day. What is after its last day is left out before.
    pub fn add(&mut self, first_day: Date, moved: &Movement) {
        let place = if moved.effective_on < first_day {
            &mut self.opening
        } else {
            match moved.kind {
                MovementKind::Identified => &mut self.identified,
                MovementKind::Remeasured => &mut self.remeasured,
                MovementKind::Cancelled => &mut self.cancelled,
                MovementKind::Reduced => &mut self.reduced,
                MovementKind::Cleared => &mut self.cleared,
                MovementKind::SplitIn => &mut self.split_in,
                MovementKind::SplitOut => &mut self.split_out,
            }
        };
        *place = place.saturating_add(moved.area_m2);
    }
}
