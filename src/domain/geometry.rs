//! Places on the ground. Degrees are kept as integers: degrees of WGS 84 times ten million, about a centimetre, so
//! that comparing and crossing are exact. Floats appear only where a degree comes or goes, and in the measuring of
//! areas on the ellipsoid.

pub mod country;
mod crossing;
mod geojson;
mod holes;
mod measure;
pub mod parts;

pub use crossing::Comparisons;

use crate::domain::site::{Boundary, BoundingBox, Position};

/// Units in a degree.
pub const UNITS: i32 = 10_000_000;
/// The most vertices of an outline, those of its holes included; the position that closes a ring does not count.
pub const VERTICES_MAX: usize = 10_000;
/// The most degrees that an outline may be wide or high. The largest site is 100 km by 100 km.
const BOX_DEGREES_MAX: i64 = 10;

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

/// What is wrong with an outline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Where in the GeoJSON, such as `.coordinates[0][17]`; empty for all of it.
    pub path: String,
    /// What it is and what is allowed.
    pub rule: String,
}

impl Flaw {
    fn new(path: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { path: path.into(), rule: rule.into() }
    }
}

/// A point of an outline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vertex {
    /// Longitude.
    pub x: i32,
    /// Latitude.
    pub y: i32,
}

impl From<Position> for Vertex {
    fn from(of: Position) -> Self {
        Self { x: of.longitude_e7, y: of.latitude_e7 }
    }
}

/// A boundary that was checked, with its vertices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The boundary as it is kept.
    pub boundary: Boundary,
    /// The vertices of its outer ring.
    pub vertices: Vec<Vertex>,
    /// The vertices of its holes.
    holes: Vec<Vec<Vertex>>,
}

impl Outline {
    /// Reads and checks a GeoJSON Polygon (RFC 7946): its form, its bounds, that its rings neither cross themselves
    /// nor each other, and that it encloses something. `left` is what the request may still compare.
    ///
    /// # Errors
    /// The first flaw.
    pub fn read(text: &str, left: &mut Comparisons) -> Result<Self, Flaw> {
        let rings = geojson::read_rings(text)?;
        let bounds = bounds(&rings[0]).ok_or_else(|| Flaw::new(".coordinates[0]", "has no vertices"))?;
        check_extent(bounds)?;
        // Before edges are crossed: the products of what lies far away would not fit.
        holes::check_extents(&rings, bounds)?;
        for (index, ring) in rings.iter().enumerate() {
            crossing::check_simple(ring, left).map_err(|rule| Flaw::new(ring_path(index), rule))?;
        }
        holes::check(&rings, left)?;
        let computed_area_m2 = measure::area_m2(&rings);
        if computed_area_m2 < 1 {
            return Err(Flaw::new("", "encloses less than a square metre"));
        }
        let boundary = Boundary { geojson: text.to_owned(), bounds, computed_area_m2 };
        let mut rings = rings.into_iter();
        let vertices = rings.next().unwrap_or_default();
        Ok(Self { boundary, vertices, holes: rings.collect() })
    }
}

fn ring_path(index: usize) -> String {
    format!(".coordinates[{index}]")
}

/// The box of a ring.
fn bounds(ring: &[Vertex]) -> Option<BoundingBox> {
    Some(BoundingBox {
        south_e7: ring.iter().map(|vertex| vertex.y).min()?,
        west_e7: ring.iter().map(|vertex| vertex.x).min()?,
        north_e7: ring.iter().map(|vertex| vertex.y).max()?,
        east_e7: ring.iter().map(|vertex| vertex.x).max()?,
    })
}

/// Refuses what is larger than any site. What goes round the back of the earth is most likely a small site on the
/// 180th meridian.
fn check_extent(of: BoundingBox) -> Result<(), Flaw> {
    let unit = i64::from(UNITS);
    let width = i64::from(of.east_e7) - i64::from(of.west_e7);
    let height = i64::from(of.north_e7) - i64::from(of.south_e7);
    if 180 * unit < width {
        let rule = "crosses the 180th meridian; record a site on each side of it";
        return Err(Flaw::new(ring_path(0), rule));
    }
    if BOX_DEGREES_MAX * unit < width.max(height) {
        let (width, height) = (width.div_euclid(unit), height.div_euclid(unit));
        let rule = format!(
            "is {width} degrees wide and {height} degrees high; a site has at most {BOX_DEGREES_MAX}; look for a \
             position that lies far from the others"
        );
        return Err(Flaw::new(ring_path(0), rule));
    }
    Ok(())
}

/// What is wrong with a measured area beside the one that a boundary encloses, in square metres: they may differ by
/// 5 % or by 100 m², whichever is more.
#[must_use]
pub fn area_flaw(measured_m2: i64, computed_m2: i64) -> Option<String> {
    let apart = measured_m2.abs_diff(computed_m2);
    let allowed = (measured_m2.unsigned_abs() / 20).max(100);
    (allowed < apart).then(|| {
        format!(
            "encloses {computed_m2} m2, but the measured area is {measured_m2} m2; they may differ by {allowed} m2: \
             mend the one that is wrong"
        )
    })
}

#[cfg(test)]
mod tests;
