//! Calendar days as inclusive intervals, with or without an end, and sets of them. A day has no time zone: which
//! day it is now is asked of the place, see [`today_in`].

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Days from a first to a last one, both included; without a last one they have no end. Never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Days {
    first: Date,
    last: Option<Date>,
}

impl Days {
    /// Puts an interval together.
    ///
    /// # Errors
    /// Says so when it would be empty.
    pub fn new(first: Date, last: Option<Date>) -> Result<Self, String> {
        match last {
            Some(last) if last < first => Err(format!("{last} is before the first day {first}")),
            _ => Ok(Self { first, last }),
        }
    }

    /// The first day.
    #[must_use]
    pub const fn first(self) -> Date {
        self.first
    }

    /// The last day; none is without end.
    #[must_use]
    pub const fn last(self) -> Option<Date> {
        self.last
    }

    /// Whether a day is among them.
    #[must_use]
    pub fn contains(self, day: Date) -> bool {
        self.first <= day && self.last.is_none_or(|last| day <= last)
    }

    /// What two intervals have in common.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        let last = match (self.last, other.last) {
            (Some(one), Some(another)) => Some(one.min(another)),
            (one, another) => one.or(another),
        };
        Self::new(self.first.max(other.first), last).ok()
    }
}

/// Any days: intervals in order that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DaySet(Vec<Days>);

impl DaySet {
    /// The days of all intervals together, which may overlap.
    #[must_use]
    pub fn of(intervals: impl IntoIterator<Item = Days>) -> Self {
        let mut sorted: Vec<Days> = intervals.into_iter().collect();
        sorted.sort_unstable();
        let mut joined: Vec<Days> = Vec::with_capacity(sorted.len());
        for next in sorted {
            match joined.last_mut() {
                Some(before) if touches(*before, next) => before.last = later(before.last, next.last),
                _ => joined.push(next),
            }
        }
        Self(joined)
    }

    /// These days without those.
    #[must_use]
    pub fn without(&self, taken: &Self) -> Self {
        let mut left = self.0.clone();
        for gap in &taken.0 {
            left = left.into_iter().flat_map(|days| cut(days, *gap)).collect();
        }
        Self(left)
    }

    /// The first day of an interval that is not in the set.
    #[must_use]
    pub fn first_missing(&self, wanted: Days) -> Option<Date> {
        let wanted = Self(vec![wanted]);
        wanted.without(self).0.first().map(|days| days.first)
    }

    /// The intervals, in order.
    #[must_use]
    pub fn intervals(&self) -> &[Days] {
        &self.0
    }
}

/// Whether the later of two intervals begins inside the earlier one or on the day after it.
fn touches(earlier: Days, later: Days) -> bool {
    let Some(last) = earlier.last else { return true };
    // After the last day of the calendar comes nothing.
    last.tomorrow().map_or(true, |after| later.first <= after)
}

fn later(one: Option<Date>, another: Option<Date>) -> Option<Date> {
    Some(one?.max(another?))
}

/// What is left of an interval beside a gap.
fn cut(days: Days, gap: Days) -> impl Iterator<Item = Days> {
    let apart = days.intersect(gap).is_none();
    let before =
        gap.first.yesterday().ok().and_then(|last| Days { last: None, ..days }.up_to(days.last, last));
    let after = gap.last.and_then(|last| last.tomorrow().ok());
    let after = after.and_then(|first| Days::new(days.first.max(first), days.last).ok());
    let left = if apart { [Some(days), None] } else { [before, after] };
    left.into_iter().flatten()
}

impl Days {
    fn up_to(self, end: Option<Date>, last: Date) -> Option<Self> {
        Self::new(self.first, Some(end.map_or(last, |end| end.min(last)))).ok()
    }
}

/// The calendar day at a place.
#[must_use]
pub fn today_in(zone: &TimeZone, now: Timestamp) -> Date {
    now.to_zoned(zone.clone()).date()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn days(first: Date, last: Option<Date>) -> Days {
        Days::new(first, last).unwrap()
    }

    #[test]
    fn an_empty_interval_cannot_be_made() {
        assert!(Days::new(date(2024, 3, 1), Some(date(2024, 2, 29))).is_err());
        assert!(Days::new(date(2024, 3, 1), Some(date(2024, 3, 1))).is_ok());
    }

    #[test]
    fn intervals_that_meet_over_a_leap_day_leave_no_gap() {
        let until = |last| days(date(2024, 1, 1), Some(last));
        let from = days(date(2024, 3, 1), None);
        let year = days(date(2024, 1, 1), Some(date(2024, 12, 31)));
        assert_eq!(DaySet::of([until(date(2024, 2, 29)), from]).first_missing(year), None);
        assert_eq!(DaySet::of([until(date(2024, 2, 28)), from]).first_missing(year), Some(date(2024, 2, 29)));
        let year = days(date(2023, 1, 1), Some(date(2023, 12, 31)));
        let common = [days(date(2023, 1, 1), Some(date(2023, 2, 28))), days(date(2023, 3, 1), None)];
        assert_eq!(DaySet::of(common).first_missing(year), None);
    }

    #[test]
    fn an_interval_without_end_covers_what_has_none() {
        let open = DaySet::of([days(date(2020, 1, 1), None)]);
        assert_eq!(open.first_missing(days(date(2020, 1, 1), None)), None);
        let ended = DaySet::of([days(date(2020, 1, 1), Some(date(2020, 1, 31)))]);
        assert_eq!(ended.first_missing(days(date(2020, 1, 1), None)), Some(date(2020, 2, 1)));
    }

    #[test]
    fn it_is_tomorrow_in_harare_before_it_is_in_london() {
        let late = "2024-02-28T22:30:00Z".parse().unwrap();
        assert_eq!(today_in(&TimeZone::get("Africa/Harare").unwrap(), late), date(2024, 2, 29));
        assert_eq!(today_in(&TimeZone::UTC, late), date(2024, 2, 28));
    }

    fn any_days() -> impl Strategy<Value = Days> {
        (0_i32..60, proptest::option::of(0_i32..20)).prop_map(|(first, length)| {
            let day = |offset: i32| date(2024, 2, 1).saturating_add(jiff::Span::new().days(offset));
            days(day(first), length.map(|length| day(first + length)))
        })
    }

    proptest! {
        #[test]
        fn sets_agree_with_looking_at_every_day(
            held in proptest::collection::vec(any_days(), 0..5),
            taken in proptest::collection::vec(any_days(), 0..5),
            wanted in any_days(),
        ) {
            let set = DaySet::of(held.clone()).without(&DaySet::of(taken.clone()));
            let inside = |day: Date| {
                held.iter().any(|days| days.contains(day)) && !taken.iter().any(|days| days.contains(day))
            };
            let every = |days: Days| std::iter::successors(Some(days.first()), |day| day.tomorrow().ok())
                .take(200).take_while(move |day| days.contains(*day));
            prop_assert_eq!(set.first_missing(wanted), every(wanted).find(|day| !inside(*day)));
        }
    }
}
