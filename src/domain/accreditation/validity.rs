//! On which days an accreditation holds.

use jiff::civil::Date;

use crate::domain::accreditation::{Accreditation, AccreditationState};
use crate::domain::days::{DaySet, Days};

/// The days on which at least one of these accreditations holds: their validity without suspensions, cut at the day
/// of withdrawal. An application holds on none. The caller chooses accreditations of one subject and activity.
#[must_use]
pub fn valid_days(all: &[Accreditation]) -> DaySet {
    let each: Vec<DaySet> = all.iter().map(Accreditation::valid_days).collect();
    DaySet::of(each.iter().flat_map(DaySet::intervals).copied())
}

impl Accreditation {
    /// The days on which it holds.
    #[must_use]
    pub fn valid_days(&self) -> DaySet {
        if self.granted_at.is_none() {
            return DaySet::default();
        }
        let suspended = DaySet::of(self.suspensions.iter().map(|suspension| suspension.days));
        DaySet::of(self.until_withdrawal()).without(&suspended)
    }

    /// What the withdrawal leaves of the validity.
    fn until_withdrawal(&self) -> Option<Days> {
        let Some((withdrawn_on, _)) = &self.withdrawn else { return Some(self.days) };
        let last = withdrawn_on.yesterday().ok()?;
        self.days.intersect(Days::new(self.days.first(), Some(last)).ok()?)
    }

    /// The state that is shown on a day: what is stored, or EXPIRED once the last day has passed.
    #[must_use]
    pub fn state_on(&self, day: Date) -> AccreditationState {
        let held = matches!(self.state, AccreditationState::Accredited | AccreditationState::Suspended);
        let passed = self.days.last().is_some_and(|last| last < day);
        if held && passed { AccreditationState::Expired } else { self.state }
    }
}
