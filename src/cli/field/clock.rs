//! What the device believes about time, and the ids that it makes.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::{NoContext, Uuid};

use crate::clock::{Clock, SystemClock};
use crate::rpc::pb;

/// Where Linux names the time since it was switched on.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The clock as the device tells it: its wall clock, which anyone can set, and on Linux the time since it was switched
/// on, which nobody can.
#[must_use]
pub fn reading(clock: &dyn Clock) -> pb::DeviceClock {
    let now = clock.now();
    pb::DeviceClock {
        wall_time: Some(wire(now)),
        utc_offset_minutes: TimeZone::system().to_offset(now).seconds() / 60,
        elapsed: elapsed(),
        boot_id: boot_id(),
        gnss_time: None,
    }
}

/// How long ago a reading was, in seconds, as far as this device can tell: by the time since it was switched on when
/// it still is, else by the wall clock. None when that was set back since: then nobody can tell.
#[must_use]
pub fn seconds_since(then: &pb::DeviceClock, now: &pb::DeviceClock) -> Option<i64> {
    let seconds = match (then.elapsed, now.elapsed) {
        (Some(then_on), Some(now_on)) if !now.boot_id.is_empty() && then.boot_id == now.boot_id => {
            now_on.seconds - then_on.seconds
        }
        _ => now.wall_time?.seconds - then.wall_time?.seconds,
    };
    (0 <= seconds).then_some(seconds)
}

fn wire(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

#[cfg(target_os = "linux")]
fn elapsed() -> Option<prost_types::Duration> {
    let on = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Some(prost_types::Duration { seconds: on.tv_sec, nanos: i32::try_from(on.tv_nsec).ok()? })
}

/// A time that is not named by a boot compares with nothing.
#[cfg(not(target_os = "linux"))]
fn elapsed() -> Option<prost_types::Duration> {
    None
}

fn boot_id() -> String {
    let read = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
    read.trim().chars().take(64).collect()
}

/// A new id, a UUID of version 7. It is made on the device before anything is sent: whatever is sent again has the
/// same.
#[must_use]
pub fn fresh_id() -> String {
    let now = SystemClock.now();
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: i64, on: i64, boot: &str) -> pb::DeviceClock {
        pb::DeviceClock {
            wall_time: Some(prost_types::Timestamp { seconds: wall, nanos: 0 }),
            elapsed: Some(prost_types::Duration { seconds: on, nanos: 0 }),
            boot_id: boot.to_owned(),
            ..pb::DeviceClock::default()
        }
    }

    #[test]
    fn the_time_since_the_device_was_switched_on_counts_before_its_clock_and_a_clock_that_went_back_tells_nothing()
     {
        let then = at(10_000, 50, "a");
        assert_eq!(seconds_since(&then, &at(3, 110, "a")), Some(60));
        assert_eq!(seconds_since(&then, &at(10_600, 5, "b")), Some(600));
        assert_eq!(seconds_since(&then, &at(9_999, 5, "b")), None);
    }
}
