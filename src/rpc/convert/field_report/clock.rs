//! What a device believes about time.

use jiff::Timestamp;

use crate::domain::field_report::clock::DeviceClock;
use crate::domain::text::Text;
use crate::rpc::pb;
use crate::rpc::read::Reader;

/// No device was on for longer than a hundred years.
const ELAPSED_SECONDS: std::ops::RangeInclusive<i64> = 0..=3_155_760_000;
/// The most that a time zone is away from UTC, in minutes.
const OFFSET_MINUTES_MAX: i32 = 840;

/// Reads a device's clock. It may be as wrong as it likes, but must be a clock.
pub fn read_clock(reader: &mut Reader, field: &str, sent: &pb::DeviceClock) -> Option<DeviceClock> {
    let at = |name: &str| format!("{field}.{name}");
    let wall_time = reader.need(&at("wall_time"), sent.wall_time);
    let wall_time = wall_time.and_then(|sent| read_instant(reader, &at("wall_time"), sent));
    let (low, high) = (-OFFSET_MINUTES_MAX, OFFSET_MINUTES_MAX);
    let utc_offset_minutes = reader.within(&at("utc_offset_minutes"), sent.utc_offset_minutes, low, high);
    let elapsed = reader.span(&at("elapsed"), sent.elapsed, ELAPSED_SECONDS);
    let boot_id = reader.parse(&at("boot_id"), Text::<0, 64>::parse(&sent.boot_id));
    let gnss_time = match sent.gnss_time {
        None => Some(None),
        Some(sent) => read_instant(reader, &at("gnss_time"), sent).map(Some),
    };
    Some(DeviceClock {
        wall_time: wall_time?,
        utc_offset_minutes: utc_offset_minutes?,
        elapsed: elapsed?,
        boot_id: boot_id?.as_str().to_owned(),
        gnss_time: gnss_time?,
    })
}

/// An instant of the years 1 to 9999, as the contract of the type says.
fn read_instant(reader: &mut Reader, field: &str, sent: prost_types::Timestamp) -> Option<Timestamp> {
    const FIRST_SECOND: i64 = -62_135_596_800;
    let in_order = FIRST_SECOND <= sent.seconds && 0 <= sent.nanos;
    let read = Timestamp::new(sent.seconds, sent.nanos).ok().filter(|_| in_order);
    if read.is_none() {
        let rule = format!(
            "is {} s and {} ns, which is not an instant of the years 1 to 9999",
            sent.seconds, sent.nanos
        );
        reader.bad(field, rule);
    }
    read
}
