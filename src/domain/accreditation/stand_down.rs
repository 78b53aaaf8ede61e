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
