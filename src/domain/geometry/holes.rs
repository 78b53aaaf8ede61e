//! Holes of an outline: inside it, and apart from each other.

use geo::algorithm::dimensions::Dimensions;
use geo::coordinate_position::CoordPos;
use geo::relate::IntersectionMatrix;
use geo::{PreparedGeometry, Relate as _};

use crate::domain::geometry::crossing::{Comparisons, take_for};
use crate::domain::geometry::measure::polygon;
use crate::domain::geometry::{Flaw, Vertex, ring_path};
use crate::domain::site::BoundingBox;

/// The most holes of an outline: each is compared with each.
const HOLES_MAX: usize = 100;

const NOT_INSIDE: &str = "is a hole that is not inside the outer ring";

/// Passes holes whose box is inside that of the outer ring.
pub(super) fn check_extents(rings: &[Vec<Vertex>], outer: BoundingBox) -> Result<(), Flaw> {
    let outside = |vertex: &Vertex| {
        let (x, y) = (vertex.x, vertex.y);
        x < outer.west_e7 || outer.east_e7 < x || y < outer.south_e7 || outer.north_e7 < y
    };
    match rings.iter().position(|ring| ring.iter().any(outside)) {
        None => Ok(()),
        Some(index) => Err(Flaw::new(ring_path(index), NOT_INSIDE)),
    }
}

/// Passes rings of which all after the first are inside it. Rings may touch in single points.
pub(super) fn check(rings: &[Vec<Vertex>], left: &mut Comparisons) -> Result<(), Flaw> {
    let Some((outer, holes)) = rings.split_first().filter(|(_, holes)| !holes.is_empty()) else {
        return Ok(());
    };
    if HOLES_MAX < holes.len() {
        let rule = format!("has {} holes; at most {HOLES_MAX} are allowed", holes.len());
        return Err(Flaw::new(".coordinates", rule));
    }
    for (index, hole) in holes.iter().enumerate() {
        for ring in rings.iter().take(index + 1) {
            take_for(ring, hole, left).map_err(|rule| Flaw::new(ring_path(index + 1), rule))?;
        }
    }
    let outer = PreparedGeometry::from(polygon(outer));
    let holes: Vec<_> = holes.iter().map(|hole| PreparedGeometry::from(polygon(hole))).collect();
    for (index, hole) in holes.iter().enumerate() {
        let related = outer.relate(hole);
        if !related.is_contains() || runs_along(&related) {
            return Err(Flaw::new(ring_path(index + 1), NOT_INSIDE));
        }
        for (other, earlier) in holes.iter().take(index).enumerate() {
            let related = earlier.relate(hole);
            let covers = related.get(CoordPos::Inside, CoordPos::Inside) == Dimensions::TwoDimensional;
            if covers || runs_along(&related) {
                let rule = format!("is a hole that overlaps the hole coordinates[{}]", other + 1);
                return Err(Flaw::new(ring_path(index + 1), rule));
            }
        }
    }
    Ok(())
}

/// Whether two rings have more than single points in common.
fn runs_along(related: &IntersectionMatrix) -> bool {
    related.get(CoordPos::OnBoundary, CoordPos::OnBoundary) == Dimensions::OneDimensional
}
