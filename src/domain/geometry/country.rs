//! Whether a place is in a country, after the boundaries of `OpenStreetMap` that come with the crate
//! `country-boundaries`.

use std::collections::HashSet;
use std::sync::LazyLock;

use country_boundaries::{BOUNDARIES_ODBL_360X180, BoundingBox, CountryBoundaries, LatLon};

use crate::domain::geometry::{UNITS, Vertex, degrees};

/// How far from the middle of a place its country may be: mine belts lie on borders, and borders are disputed. A
/// tenth of a degree, about 11 km.
const NEAR: i32 = UNITS / 10;

/// How far the sun may be from the standard time of a place: four hours. China has more than three.
const ZONE_DEGREES: f64 = 60.0;

/// The boundaries of countries, and the codes that they know.
struct Atlas {
    boundaries: CountryBoundaries,
    known: HashSet<String>,
}

static ATLAS: LazyLock<Option<Atlas>> = LazyLock::new(|| {
    let boundaries = CountryBoundaries::from_reader(BOUNDARIES_ODBL_360X180).ok()?;
    let world = BoundingBox::new(-90.0, -180.0, 90.0, 179.99).ok()?;
    let known = boundaries.intersecting_ids(world).into_iter().map(str::to_owned).collect();
    Some(Atlas { boundaries, known })
});

impl Atlas {
    fn holds(&self, country: &str, at: Vertex) -> bool {
        let place = LatLon::new(degrees(at.y), degrees(at.x));
        place.is_ok_and(|place| self.boundaries.is_in(place, country))
    }

    /// Whether any of the vertices is in the country, or the country is near their middle.
    fn holds_any(&self, country: &str, vertices: &[Vertex]) -> bool {
        vertices.iter().any(|vertex| self.holds(country, *vertex))
            || around(vertices).iter().any(|near| self.holds(country, *near))
    }
}

/// Nine points: the middle of the box of some vertices, and all round it.
fn around(vertices: &[Vertex]) -> Vec<Vertex> {
    let middle = |of: fn(&Vertex) -> i32| {
        let (low, high) = (vertices.iter().map(of).min()?, vertices.iter().map(of).max()?);
        Some(low.midpoint(high))
    };
    let Some((x, y)) = middle(|vertex| vertex.x).zip(middle(|vertex| vertex.y)) else { return Vec::new() };
    let steps = [-NEAR, 0, NEAR];
    let points =
        steps.into_iter().flat_map(|right| steps.map(|up| (x.saturating_add(right), y.saturating_add(up))));
    points.map(|(x, y)| Vertex { x, y }).collect()
}

/// What is wrong with a place that should be in a country, by its two letters. Countries that the boundaries do not
/// know are not looked for.
#[must_use]
pub fn flaw(country: &str, vertices: &[Vertex]) -> Option<String> {
    let atlas = ATLAS.as_ref().filter(|atlas| atlas.known.contains(country))?;
    if atlas.holds_any(country, vertices) {
        return None;
    }
    let swapped: Option<Vec<Vertex>> = vertices.iter().map(|vertex| exchanged(*vertex)).collect();
    if swapped.is_some_and(|swapped| atlas.holds_any(country, &swapped)) {
        let rule = "with longitude and latitude exchanged it would be: longitude comes first in GeoJSON";
        return Some(format!("is not in {country}; {rule}"));
    }
    Some(format!("is not in {country}, the authority's country, nor within a tenth of a degree of it"))
}

/// What is wrong with the time zone of a site in a country. Standard time is nowhere more than four hours from that of
/// the sun; countries that the boundaries do not know may have any zone of a place.
#[must_use]
#[expect(clippy::float_arithmetic, reason = "the boundaries take degrees as floats")]
pub fn zone_flaw(country: &str, zone: &str, standard_seconds: i32) -> Option<String> {
    if zone.starts_with("Etc/") || !zone.contains('/') {
        return Some(format!(
            "{zone} is not the zone of a place; give the one of the site, such as Africa/Harare"
        ));
    }
    let atlas = ATLAS.as_ref().filter(|atlas| atlas.known.contains(country))?;
    // The earth turns by a degree in 240 seconds.
    let noon = f64::from(standard_seconds) / 240.0;
    let band = BoundingBox::new(-90.0, noon - ZONE_DEGREES, 90.0, noon + ZONE_DEGREES).ok()?;
    if atlas.boundaries.intersecting_ids(band).contains(country) {
        return None;
    }
    Some(format!("{zone} is hours away from all of {country}; give the zone of the site"))
}

fn exchanged(of: Vertex) -> Option<Vertex> {
    let limit = 90 * UNITS;
    (-limit..=limit).contains(&of.x).then_some(Vertex { x: of.y, y: of.x })
}

/// Reads the boundaries now, so that the first call does not wait for it.
pub fn prepare() {
    LazyLock::force(&ATLAS);
}
