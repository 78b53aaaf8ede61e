//! Places on the ground. Degrees are kept as integers: degrees of WGS 84 times ten million, about a centimetre, so
//! that comparing and crossing are exact. Floats appear only where a degree comes or goes, and in the measuring of
//! areas on the ellipsoid.

/// Units in a degree.
pub const UNITS: i32 = 10_000_000;

/// Degrees as they are kept; none when they are not finite or beyond `limit` degrees from zero.
#[must_use]
#[expect(clippy::float_arithmetic, clippy::cast_possible_truncation, reason = "degrees come as floats")]
pub fn kept(degrees: f64, limit: i32) -> Option<i32> {
    let inside = degrees.is_finite() && degrees.abs() <= f64::from(limit);
    inside.then(|| (degrees * f64::from(UNITS)).round() as i32)
}

/// Degrees as they go out.
#[must_use]
#[expect(clippy::float_arithmetic, reason = "degrees go as floats")]
pub fn degrees(kept: i32) -> f64 {
    f64::from(kept) / f64::from(UNITS)
}
