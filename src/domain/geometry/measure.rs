//! Areas on the WGS 84 ellipsoid, by Karney's geodesic method.

use geo::{BooleanOps as _, Coord, GeodesicArea as _, LineString, Polygon};

use crate::domain::geometry::{Outline, Vertex, degrees};

/// The area of rings in whole square metres: the first without the others.
pub(super) fn area_m2(rings: &[Vec<Vertex>]) -> i64 {
    let mut areas = rings.iter().map(|ring| ring_area_m2(ring));
    let outer = areas.next().unwrap_or_default();
    outer.saturating_sub(areas.sum())
}

/// The sign tells only the direction of the ring, which the format leaves open.
#[expect(clippy::cast_possible_truncation, reason = "an area of ten degrees by ten has 13 digits")]
fn ring_area_m2(ring: &[Vertex]) -> i64 {
    polygon(ring).geodesic_area_signed().abs().round() as i64
}

/// The area that two outlines, each with its holes, have in common, in whole square metres.
#[expect(clippy::cast_possible_truncation, reason = "an area of ten degrees by ten has 13 digits")]
pub(super) fn common_m2(one: &Outline, other: &Outline) -> i64 {
    let common = with_holes(one).intersection(&with_holes(other));
    common.iter().map(|part| part.geodesic_area_signed().abs().round() as i64).sum()
}

fn with_holes(of: &Outline) -> Polygon<f64> {
    let line = |ring: &Vec<Vertex>| polygon(ring).into_inner().0;
    Polygon::new(line(&of.vertices), of.holes.iter().map(line).collect())
}

/// A ring as `geo` has it, in degrees.
pub(super) fn polygon(ring: &[Vertex]) -> Polygon<f64> {
    let coords = ring.iter().map(|vertex| Coord { x: degrees(vertex.x), y: degrees(vertex.y) });
    Polygon::new(LineString::new(coords.collect()), Vec::new())
}
