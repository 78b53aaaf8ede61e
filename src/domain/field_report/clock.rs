//! What a device believes about time, and what can be made of it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What a device believes about time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceClock {
    /// Its wall clock.
    pub wall_time: Timestamp,
    /// Minutes of its time zone from UTC.
    pub utc_offset_minutes: i32,
    /// Time since it was switched on.
    pub elapsed: Option<Duration>,
    /// Names the time since it was switched on.
    pub boot_id: String,
    /// Time of the last fix.
    pub gnss_time: Option<Timestamp>,
}

/// How far a device's clock was ahead of the server's when it sent, in milliseconds. Travel counts as if there were none:
/// it is seconds, and clocks are wrong by days.
#[must_use]
pub fn clock_offset_ms(sent: &DeviceClock, received_at: Timestamp) -> i64 {
    sent.wall_time.as_millisecond() - received_at.as_millisecond()
}

/// Before this moment no device wrote a report: 1 January 1990.
const CAPTURED_MIN_SECOND: i64 = 631_152_000;

/// When a report was written, by the server's clock. A fix of a satellite is best; then the clock that nobody can set, if
/// the device was not switched off in between; then the wall clock. What says that it was written before there were such
/// devices, or after it was received, says nothing.
#[must_use]
pub fn captured_at(
    captured: &DeviceClock,
    sent: Option<&DeviceClock>,
    received_at: Timestamp,
) -> Option<Timestamp> {
    let can_be = |at: &Timestamp| CAPTURED_MIN_SECOND <= at.as_second() && *at <= received_at;
    let by_elapsed = || {
        let sent = sent.filter(|sent| !captured.boot_id.is_empty() && captured.boot_id == sent.boot_id)?;
        received_at.checked_sub(sent.elapsed?.checked_sub(captured.elapsed?)?).ok()
    };
    let by_wall_clock = || {
        let offset = SignedDuration::from_millis(clock_offset_ms(sent?, received_at));
        captured.wall_time.checked_sub(offset).ok()
    };
    let fix = captured.gnss_time.filter(can_be);
    let found = fix.or_else(|| by_elapsed().filter(can_be)).or_else(|| by_wall_clock().filter(can_be))?;
    // Whole microseconds are what is kept.
    Timestamp::from_microsecond(found.as_microsecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(wall: &str, elapsed: Option<u64>, boot: &str) -> DeviceClock {
        DeviceClock {
            wall_time: wall.parse().unwrap(),
            utc_offset_minutes: 120,
            elapsed: elapsed.map(Duration::from_secs),
            boot_id: boot.to_owned(),
            gnss_time: None,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_wrong_clock_is_put_right_by_what_it_says_when_it_sends() {
        // Nine days offline, with a clock that was reset to 1970.
        let captured = clock("1970-01-01T08:00:00Z", None, "");
        let sent = clock("1970-01-10T08:00:00Z", None, "");
        let received = at("2026-05-10T12:00:00Z");
        assert_eq!(captured_at(&captured, Some(&sent), received), Some(at("2026-05-01T12:00:00Z")));
        assert_eq!(captured_at(&captured, None, received), None);
    }

    #[test]
    fn a_clock_that_was_set_in_between_does_not_matter_if_the_device_stayed_on() {
        let captured = clock("2026-05-01T08:00:00Z", Some(1_000), "boot-7");
        let sent = clock("2031-01-01T00:00:00Z", Some(4_600), "boot-7");
        let received = at("2026-05-10T12:00:00Z");
        assert_eq!(captured_at(&captured, Some(&sent), received), Some(at("2026-05-10T11:00:00Z")));
        let rebooted = DeviceClock { boot_id: "boot-8".to_owned(), ..sent };
        let by_wall = captured_at(&captured, Some(&rebooted), received);
        assert_ne!(by_wall, Some(at("2026-05-10T11:00:00Z")));
    }

    #[test]
    fn a_fix_is_better_than_any_clock() {
        let fix = at("2026-05-02T06:00:00Z");
        let captured = DeviceClock { gnss_time: Some(fix), ..clock("1970-01-01T00:00:00Z", Some(5), "b") };
        let sent = clock("1970-01-01T01:00:00Z", Some(9), "b");
        assert_eq!(captured_at(&captured, Some(&sent), at("2026-05-10T12:00:00Z")), Some(fix));
    }

    #[test]
    fn a_clock_that_was_set_back_in_between_tells_nothing() {
        let captured = clock("2026-05-09T08:00:00Z", None, "");
        let sent = clock("1970-01-01T00:00:00Z", None, "");
        let received = at("2026-05-10T12:00:00Z");
        assert_eq!(captured_at(&captured, Some(&sent), received), None);
        // The earliest and the latest that a clock can say neither overflow nor pass.
        let (first, last) =
            (clock("0001-01-01T00:00:00Z", None, ""), clock("9999-12-30T00:00:00Z", None, ""));
        assert_eq!(captured_at(&first, Some(&last), received), None);
        assert_eq!(captured_at(&last, Some(&first), received), None);
        let rolled_over = DeviceClock { gnss_time: Some(at("1980-01-06T00:00:00Z")), ..captured };
        let sent = clock("2026-05-10T12:00:00Z", None, "");
        assert_eq!(captured_at(&rolled_over, Some(&sent), received), Some(at("2026-05-09T08:00:00Z")));
    }
}
