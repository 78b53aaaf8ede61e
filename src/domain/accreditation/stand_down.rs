//! The stand-down: who has not worked for some days needs a refresher before going back to hazardous ground.

use jiff::ToSpan as _;
use jiff::civil::Date;

/// Days without work after which a person's accreditation lapses, unless the service is set up otherwise (Lebanon NMAS
/// 07.30).
pub const STAND_DOWN_DAYS_DEFAULT: u16 = 10;

/// The day since when a person's accreditation has lapsed by stand-down, on a day of work; none when it holds. It
/// holds when the person worked, had a refresher or was accredited at most `stand_down_days` days before. The last
/// work and the last refresher are those known up to that day.
#[must_use]
pub fn stood_down(
    first_day_of_work: Date,
    last_worked: Option<Date>,
    last_refresher: Option<Date>,
    accredited_since: Date,
    stand_down_days: u16,
) -> Option<Date> {
    let latest = [last_worked, last_refresher].into_iter().flatten().fold(accredited_since, Date::max);
    // Past the end of the calendar nothing lapses.
    let lapses_on = latest.checked_add((i64::from(stand_down_days) + 1).days()).ok()?;
    (lapses_on <= first_day_of_work).then_some(lapses_on)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    const LONG_AGO: Date = date(2020, 1, 1);

    #[test]
    fn the_last_day_that_counts_is_ten_days_before_over_a_leap_day() {
        let first = date(2024, 3, 5);
        let worked = |day| stood_down(first, Some(day), None, LONG_AGO, STAND_DOWN_DAYS_DEFAULT);
        assert_eq!(worked(date(2024, 2, 24)), None);
        assert_eq!(worked(date(2024, 2, 23)), Some(first));
        // A year without that day.
        let first = date(2023, 3, 5);
        let worked = |day| stood_down(first, Some(day), None, LONG_AGO, STAND_DOWN_DAYS_DEFAULT);
        assert_eq!(worked(date(2023, 2, 23)), None);
        assert_eq!(worked(date(2023, 2, 22)), Some(first));
    }

    #[test]
    fn a_refresher_brings_it_back_and_a_new_accreditation_begins_it() {
        let first = date(2024, 6, 20);
        let (worked, refreshed) = (Some(date(2024, 5, 1)), Some(date(2024, 6, 10)));
        assert_eq!(stood_down(first, worked, None, LONG_AGO, 10), Some(date(2024, 5, 12)));
        assert_eq!(stood_down(first, worked, refreshed, LONG_AGO, 10), None);
        assert_eq!(stood_down(first, worked, Some(date(2024, 6, 9)), LONG_AGO, 10), Some(first));
        assert_eq!(stood_down(first, None, None, date(2024, 6, 10), 10), None);
        assert_eq!(stood_down(first, None, None, date(2024, 6, 9), 10), Some(first));
        // Accredited from a later day on: other rules say whether it holds.
        assert_eq!(stood_down(first, None, None, date(2024, 7, 1), 10), None);
    }

    #[test]
    fn nothing_lapses_past_the_end_of_the_calendar() {
        assert_eq!(stood_down(Date::MAX, None, None, Date::MAX, 10), None);
    }

    fn day(offset: i64) -> Date {
        date(2024, 2, 1).saturating_add(offset.days())
    }

    proptest! {
        #[test]
        fn it_holds_when_the_latest_of_three_is_at_most_so_many_days_before(
            first in 0_i64..100,
            worked in proptest::option::of(0_i64..100),
            refreshed in proptest::option::of(0_i64..100),
            since in 0_i64..100,
            allowed in 0_u16..30,
        ) {
            let latest = since.max(worked.unwrap_or(0)).max(refreshed.unwrap_or(0));
            let told = stood_down(day(first), worked.map(day), refreshed.map(day), day(since), allowed);
            prop_assert_eq!(told.is_none(), first - latest <= i64::from(allowed));
            if let Some(lapsed) = told {
                // On the day before it still held.
                let before = lapsed.yesterday().unwrap();
                prop_assert_eq!(stood_down(before, worked.map(day), refreshed.map(day), day(since), allowed), None);
                prop_assert_eq!(stood_down(lapsed, worked.map(day), refreshed.map(day), day(since), allowed), told);
            }
        }
    }
}
