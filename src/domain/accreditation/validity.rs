//! On which days an accreditation holds.

use jiff::civil::Date;

use crate::domain::accreditation::{Accreditation, AccreditationState};
use crate::domain::days::{DaySet, Days};
use crate::domain::ids::OrganizationId;

/// The days on which at least one of these accreditations holds: their validity without suspensions, cut at the day
/// of withdrawal. An application holds on none. The caller chooses accreditations of one subject and activity.
#[must_use]
pub fn valid_days(all: &[Accreditation]) -> DaySet {
    let each: Vec<DaySet> = all.iter().map(Accreditation::valid_days).collect();
    DaySet::of(each.iter().flat_map(DaySet::intervals).copied())
}

/// Whether an accreditation counts where an authority decides: only its own do. Where there is none yet, all do.
#[must_use]
pub fn counts_for(authority: Option<OrganizationId>, accreditation: &Accreditation) -> bool {
    authority.is_none_or(|authority| accreditation.authority == authority)
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

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::accreditation::sample::granted;
    use crate::domain::accreditation::{AccreditationChange, Suspension};
    use crate::domain::text::Reason;

    fn days(first: Date, last: Option<Date>) -> Days {
        Days::new(first, last).unwrap()
    }

    fn reason() -> Reason {
        Reason::parse("checked").unwrap()
    }

    fn changed(mut of: Accreditation, change: AccreditationChange) -> Accreditation {
        of.change(change, jiff::Timestamp::UNIX_EPOCH).unwrap();
        of
    }

    #[test]
    fn open_ended_validity_holds_for_ever_and_a_suspension_that_goes_on_ends_it() {
        let open = granted(days(date(2024, 1, 1), None));
        assert_eq!(valid_days(std::slice::from_ref(&open)).intervals(), [open.days]);
        let (first_day, reason) = (date(2024, 3, 1), reason());
        let suspended = changed(open, AccreditationChange::Suspend { first_day, reason });
        let left = days(date(2024, 1, 1), Some(date(2024, 2, 29)));
        assert_eq!(suspended.valid_days().intervals(), [left]);
        let back = changed(suspended, AccreditationChange::Reinstate { on_day: date(2024, 3, 5) });
        assert_eq!(back.valid_days().intervals(), [left, days(date(2024, 3, 5), None)]);
        assert_eq!(back.suspensions[0].days, days(date(2024, 3, 1), Some(date(2024, 3, 4))));
    }

    #[test]
    fn adjacent_and_overlapping_validity_joins_over_a_leap_day() {
        let first = granted(days(date(2023, 3, 1), Some(date(2024, 2, 29))));
        let adjacent = granted(days(date(2024, 3, 1), Some(date(2025, 2, 28))));
        let overlapping = granted(days(date(2024, 2, 1), Some(date(2026, 1, 31))));
        let joined = days(date(2023, 3, 1), Some(date(2025, 2, 28)));
        assert_eq!(valid_days(&[adjacent.clone(), first.clone()]).intervals(), [joined]);
        let longer = days(date(2023, 3, 1), Some(date(2026, 1, 31)));
        assert_eq!(valid_days(&[overlapping, first.clone(), adjacent.clone()]).intervals(), [longer]);
        let short = Accreditation { days: days(date(2023, 3, 1), Some(date(2024, 2, 28))), ..first };
        let missing = valid_days(&[short, adjacent]).first_missing(joined);
        assert_eq!(missing, Some(date(2024, 2, 29)));
    }

    #[test]
    fn a_withdrawal_cuts_and_what_was_never_granted_never_held() {
        let whole = days(date(2024, 1, 1), Some(date(2024, 12, 31)));
        let withdraw = |on_day| AccreditationChange::Withdraw { on_day, reason: reason() };
        let cut = changed(granted(whole), withdraw(date(2024, 3, 1)));
        assert_eq!(cut.valid_days().intervals(), [days(date(2024, 1, 1), Some(date(2024, 2, 29)))]);
        for on_day in [date(2024, 1, 1), date(2023, 1, 1)] {
            assert_eq!(changed(granted(whole), withdraw(on_day)).valid_days(), DaySet::default());
        }
        assert_eq!(changed(granted(whole), withdraw(date(2030, 1, 1))).valid_days().intervals(), [whole]);
        let application =
            Accreditation { state: AccreditationState::Applied, granted_at: None, ..granted(whole) };
        assert_eq!(application.valid_days(), DaySet::default());
        let refused = changed(application, withdraw(date(2024, 6, 1)));
        assert_eq!(refused.valid_days(), DaySet::default());
    }

    #[test]
    fn it_is_expired_on_the_day_after_the_last() {
        let of = granted(days(date(2023, 3, 1), Some(date(2024, 2, 29))));
        assert_eq!(of.state_on(date(2024, 2, 29)), AccreditationState::Accredited);
        assert_eq!(of.state_on(date(2024, 3, 1)), AccreditationState::Expired);
        let application = Accreditation { state: AccreditationState::Applied, ..of };
        assert_eq!(application.state_on(date(2024, 3, 1)), AccreditationState::Applied);
    }

    fn day(offset: i32) -> Date {
        date(2024, 2, 1).saturating_add(jiff::Span::new().days(offset))
    }

    fn any_days() -> impl Strategy<Value = Days> {
        (0_i32..60, proptest::option::of(0_i32..30))
            .prop_map(|(first, length)| days(day(first), length.map(|length| day(first + length))))
    }

    fn any_accreditation() -> impl Strategy<Value = Accreditation> {
        let suspensions = proptest::collection::vec(any_days(), 0..3);
        let withdrawn = proptest::option::of((0_i32..90).prop_map(day));
        (any_days(), suspensions, withdrawn, any::<bool>()).prop_map(
            |(held, gaps, withdrawn, was_granted)| {
                let of = granted(held);
                Accreditation {
                    granted_at: of.granted_at.filter(|_| was_granted),
                    suspensions: gaps.into_iter().map(|days| Suspension { days, reason: reason() }).collect(),
                    withdrawn: withdrawn.map(|day| (day, reason())),
                    ..of
                }
            },
        )
    }

    proptest! {
        #[test]
        fn valid_days_agree_with_looking_at_every_day(all in proptest::collection::vec(any_accreditation(), 0..4)) {
            let valid = valid_days(&all);
            for offset in -1..130 {
                let day = day(offset);
                let holds = |of: &Accreditation| of.granted_at.is_some()
                    && of.days.contains(day)
                    && of.withdrawn.as_ref().is_none_or(|(withdrawn, _)| day < *withdrawn)
                    && !of.suspensions.iter().any(|gap| gap.days.contains(day));
                let inside = valid.intervals().iter().any(|days| days.contains(day));
                prop_assert_eq!(inside, all.iter().any(holds), "{}", day);
            }
        }
    }
}
