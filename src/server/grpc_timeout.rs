//! The `grpc-timeout` header: one to eight digits and a unit.
//!
//! It must not know what a timeout is used for.

use std::time::Duration;

use http::HeaderMap;

/// The header's name.
pub(super) const GRPC_TIMEOUT: &str = "grpc-timeout";
/// Digits that the gRPC protocol allows.
const MOST_DIGITS: usize = 8;

/// The header is there and is not a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The client's timeout: `None` without the header. Zero is allowed although the protocol says
/// "positive", because gRPC-Go sends `0n` for a deadline that has already passed.
pub(super) fn from_headers(headers: &HeaderMap) -> Result<Option<Duration>, Malformed> {
    headers.get(GRPC_TIMEOUT).map(|value| parse(value.as_bytes()).ok_or(Malformed)).transpose()
}

fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > MOST_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Eight digits fit by far; so does the largest product, 99,999,999 hours in seconds.
    let amount = digits.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(amount * 3_600)),
        b'M' => Some(Duration::from_secs(amount * 60)),
        b'S' => Some(Duration::from_secs(amount)),
        b'm' => Some(Duration::from_millis(amount)),
        b'u' => Some(Duration::from_micros(amount)),
        b'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, expected) in [
            ("2H", Duration::from_hours(2)),
            ("3M", Duration::from_mins(3)),
            ("4S", Duration::from_secs(4)),
            ("5m", Duration::from_millis(5)),
            ("6u", Duration::from_micros(6)),
            ("7n", Duration::from_nanos(7)),
            ("0n", Duration::ZERO),
            ("99999999H", Duration::from_hours(99_999_999)),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        for text in ["", "S", "5", "-5S", "+5S", "5s", "1.5S", " 5S", "5 S", "123456789n", "5SS"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
