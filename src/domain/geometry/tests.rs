use std::fmt::Write as _;
use std::time::Instant;

use geo::line_intersection::{LineIntersection, line_intersection};
use geo::{Line, Validation as _};
use proptest::prelude::*;

use super::*;
use crate::domain::geometry::measure::polygon;

fn read(text: &str) -> Result<Outline, Flaw> {
    Outline::read(text, &mut Comparisons::default())
}

/// A polygon of one ring, closed.
fn ring(positions: &[(f64, f64)]) -> String {
    let mut text = String::from(r#"{"type":"Polygon","coordinates":[["#);
    for (longitude, latitude) in positions.iter().chain(positions.first()) {
        write!(text, "[{longitude},{latitude}],").unwrap();
    }
    text.pop();
    text + "]]}"
}

fn flaw_of(text: &str) -> (String, String) {
    let flaw = read(text).unwrap_err();
    (flaw.path, flaw.rule)
}

/// Expects a flaw at a path that says something.
fn flawed(text: &str, path: &str, says: &str) {
    let (found, rule) = flaw_of(text);
    assert_eq!(found, path, "{rule}");
    assert!(rule.contains(says), "{rule}");
}

const SQUARE: [(f64, f64); 4] = [(32.0, -19.0), (32.01, -19.0), (32.01, -18.99), (32.0, -18.99)];

#[test]
fn a_square_is_read_in_either_direction_and_measured_on_the_ellipsoid() {
    let outline = read(&ring(&SQUARE)).unwrap();
    // A hundredth of a degree; the formula of the zone between two parallels says 1,165,533 as well.
    assert_eq!(outline.boundary.computed_area_m2, 1_165_533);
    let mut reversed = SQUARE;
    reversed.reverse();
    assert_eq!(read(&ring(&reversed)).unwrap().boundary.computed_area_m2, 1_165_533);
    let bounds = outline.boundary.bounds;
    assert_eq!((bounds.west_e7, bounds.north_e7), (320_000_000, -189_900_000));
}

#[test]
fn what_is_not_a_polygon_is_told_by_its_place() {
    flawed("{", "", "not JSON");
    flawed("[]", "", "not a JSON object");
    flawed("{}", ".type", "missing");
    flawed(r#"{"type":"MultiPolygon","coordinates":[]}"#, ".type", "record a site for each part");
    flawed(r#"{"type":"Feature","geometry":null}"#, ".type", "only the geometry");
    flawed(r#"{"type":"Point","coordinates":[1,2]}"#, ".type", "give a Polygon");
    flawed(r#"{"type":"Polygon"}"#, ".coordinates", "not an array");
    flawed(r#"{"type":"Polygon","coordinates":[]}"#, ".coordinates", "no ring");
    flawed(r#"{"type":"Polygon","coordinates":[7]}"#, ".coordinates[0]", "not an array of positions");
    flawed(r#"{"type":"Polygon","coordinates":[[[0,0],[0,1],[0,0]]]}"#, ".coordinates[0]", "3 positions");
    flawed(
        r#"{"type":"Polygon","coordinates":[[[0,0],[0,1],[1,1],[1,0]]]}"#,
        ".coordinates[0]",
        "not closed",
    );
    flawed(
        r#"{"type":"Polygon","coordinates":[[[0,0],["0",1],[1,1],[0,0]]]}"#,
        ".coordinates[0][1]",
        "position",
    );
    flawed(r#"{"type":"Polygon","coordinates":[[[0,0],[0,1],[1e999,1],[0,0]]]}"#, "", "not JSON");
    let other = r#"{"type":"Polygon","crs":{"properties":{"name":"EPSG:32736"}},"coordinates":[]}"#;
    flawed(other, ".crs", "EPSG:32736");
}

#[test]
fn impossible_outlines_are_told_by_their_place() {
    flawed(&ring(&[(181.0, 0.0), (1.0, 0.0), (1.0, 1.0)]), ".coordinates[0][0][0]", "not -180 to 180");
    flawed(&ring(&[(1.0, 0.0), (1.0, 91.0), (1.0, 1.0)]), ".coordinates[0][1][1]", "exchanged");
    let meridian = [(179.9, 0.0), (-179.9, 0.0), (-179.9, 0.1), (179.9, 0.1)];
    flawed(&ring(&meridian), ".coordinates[0]", "180th meridian");
    flawed(&ring(&[(0.0, 0.0), (11.0, 0.0), (0.0, 1.0)]), ".coordinates[0]", "11 degrees wide");
    flawed(&ring(&[(0.0, 0.0), (0.1, 0.1), (0.2, 0.2)]), ".coordinates[0]", "no area");
    flawed(&ring(&[(0.0, 0.0), (0.1, 0.1), (0.1, 0.1)]), ".coordinates[0]", "2 different");
    flawed(&ring(&[(0.0, 0.0), (0.000_001, 0.0), (0.0, 0.000_001)]), "", "less than a square metre");
}

#[test]
fn a_ring_that_meets_itself_is_refused_wherever_it_does() {
    let bow_tie = [(0.0, 0.0), (0.1, 0.1), (0.1, 0.0), (0.0, 0.1)];
    flawed(&ring(&bow_tie), ".coordinates[0]", "after position 0 and the one after 2");
    let spike = [(0.0, 0.0), (0.2, 0.0), (0.1, 0.0), (0.1, 0.1)];
    flawed(&ring(&spike), ".coordinates[0]", "crosses or touches itself");
    let pinched = [(0.0, 0.0), (0.1, 0.05), (0.2, 0.0), (0.2, 0.1), (0.1, 0.05), (0.0, 0.1)];
    flawed(&ring(&pinched), ".coordinates[0]", "crosses or touches itself");
    let on_edge = [(0.0, 0.0), (0.2, 0.0), (0.2, 0.1), (0.1, 0.0), (0.0, 0.1)];
    flawed(&ring(&on_edge), ".coordinates[0]", "crosses or touches itself");
}

fn with_holes(holes: &str) -> String {
    format!(r#"{{"type":"Polygon","coordinates":[[[0,0],[0.1,0],[0.1,0.1],[0,0.1],[0,0]]{holes}]}}"#)
}

#[test]
fn holes_are_inside_and_apart() {
    let whole = read(&with_holes("")).unwrap().boundary.computed_area_m2;
    let hole = ",[[0.02,0.02],[0.04,0.02],[0.04,0.04],[0.02,0.04],[0.02,0.02]]";
    let less = read(&with_holes(hole)).unwrap().boundary.computed_area_m2;
    assert!((whole / 25 - (whole - less)).abs() < 100, "{whole} {less}");
    let touching = ",[[0,0.05],[0.02,0.04],[0.02,0.06],[0,0.05]]";
    assert!(read(&with_holes(touching)).is_ok());
    flawed(&with_holes(",[[1,1],[1.1,1],[1.1,1.1],[1,1]]"), ".coordinates[1]", "not inside");
    // So far away that products of its extent would not fit into 63 bits.
    let far = ",[[-180,-90],[180,-90],[180,90],[-180,90],[-179,0],[-180,-90]]";
    flawed(&with_holes(far), ".coordinates[1]", "not inside");
    flawed(&with_holes(",[[0.05,0.05],[0.2,0.05],[0.05,0.06],[0.05,0.05]]"), ".coordinates[1]", "not inside");
    flawed(&with_holes(&format!("{hole}{hole}")), ".coordinates[2]", "overlaps the hole coordinates[1]");
    flawed(&with_holes(",[[0,0],[0,0],[0,0],[0,0]]"), ".coordinates[1]", "1 different");
    let many: String = (0..101).map(|_| ",[[0.01,0.01],[0.02,0.01],[0.01,0.02],[0.01,0.01]]").collect();
    flawed(&with_holes(&many), ".coordinates", "101 holes");
}

/// A star of many vertices: jagged, but simple.
#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a drawing for a test")]
fn star(count: usize) -> Vec<(f64, f64)> {
    let corner = |at: usize| {
        let angle = std::f64::consts::TAU * at as f64 / count as f64;
        let reach = if at.is_multiple_of(2) { 0.09 } else { 0.1 };
        (30.0 + reach * angle.cos(), -19.0 + reach * angle.sin())
    };
    (0..count).map(corner).collect()
}

/// A comb of long teeth: every edge runs beside every other.
#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a drawing for a test")]
fn comb(count: usize) -> Vec<(f64, f64)> {
    let teeth = (0..count - 2).map(|at| {
        let up = at as f64 * 1e-5;
        (if at.is_multiple_of(2) { 0.5 } else { 0.0 }, up + if at.is_multiple_of(2) { 0.1 } else { 0.0 })
    });
    teeth.chain([(-0.1, 0.1), (-0.1, -0.1)]).collect()
}

#[test]
fn ten_thousand_vertices_are_read_and_one_more_is_not() {
    let begun = Instant::now();
    assert!(read(&ring(&star(VERTICES_MAX))).is_ok());
    assert!(read(&ring(&comb(2_000))).is_ok());
    flawed(&ring(&comb(VERTICES_MAX)), ".coordinates[0]", "too many long edges side by side");
    // Unoptimized; what compares all with all by floats takes a minute.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    flawed(&ring(&star(VERTICES_MAX + 1)), ".coordinates", "has 10001 vertices; at most 10000");
}

#[test]
fn measured_and_enclosed_areas_may_differ_a_little() {
    assert_eq!(area_flaw(1_000_000, 1_050_000), None);
    assert!(area_flaw(1_000_000, 1_050_001).unwrap().contains("encloses 1050001 m2"));
    assert_eq!(area_flaw(1, 101), None);
    assert!(area_flaw(1, 102).is_some());
}

#[test]
fn a_place_is_in_its_country_or_close_to_it() {
    let at = |longitude: f64, latitude: f64| {
        vec![Vertex { x: kept(longitude, 180).unwrap(), y: kept(latitude, 90).unwrap() }]
    };
    assert_eq!(country::flaw("ZW", &at(31.05, -17.83)), None);
    // Just inside Mozambique, on the border at Mutare.
    assert_eq!(country::flaw("ZW", &at(32.78, -18.98)), None);
    assert!(country::flaw("ZW", &at(35.0, -18.0)).unwrap().contains("is not in ZW, the authority's"));
    assert!(country::flaw("ZW", &at(-17.83, 31.05)).unwrap().contains("exchanged"));
    assert_eq!(country::flaw("QZ", &at(0.0, 0.0)), None);
}

#[test]
fn a_time_zone_is_one_of_a_place_and_not_of_the_other_side_of_the_earth() {
    for (country, zone, hours) in [
        ("ZW", "Africa/Harare", 2),
        ("CN", "Asia/Shanghai", 8),
        ("KI", "Pacific/Kiritimati", 14),
        ("RU", "Europe/Kaliningrad", 2),
        ("RU", "Asia/Kamchatka", 12),
        ("CO", "America/Bogota", -5),
        ("QZ", "Pacific/Auckland", 12),
    ] {
        assert_eq!(country::zone_flaw(country, zone, hours * 3_600), None, "{country}");
    }
    for (zone, hours, says) in [
        ("Etc/GMT-2", 2, "not the zone of a place"),
        ("UTC", 0, "not the zone of a place"),
        ("Asia/Tokyo", 9, "hours away from all of ZW"),
        ("Pacific/Honolulu", -10, "hours away from all of ZW"),
    ] {
        assert!(country::zone_flaw("ZW", zone, hours * 3_600).unwrap().contains(says), "{zone}");
    }
}

proptest! {
    /// On a small grid rings meet themselves often. Beside what `geo` says of the whole ring, which misses edges that
    /// touch where both have a vertex, every two edges are looked at by themselves.
    #[test]
    fn rings_are_judged_like_two_edges_at_a_time(points in proptest::collection::vec((0_i32..6, 0_i32..6), 3..9)) {
        let mut vertices: Vec<Vertex> = points.iter().map(|(x, y)| Vertex { x: *x, y: *y }).collect();
        vertices.dedup();
        prop_assume!(2 < vertices.len() && vertices.first() != vertices.last());
        let ours = crossing::check_simple(&vertices, &mut Comparisons::default()).is_ok();
        prop_assert_eq!(ours, is_simple(&vertices), "{:?}", &vertices);
        prop_assert!(!ours || polygon(&vertices).is_valid(), "{vertices:?}");
    }
}

fn is_simple(ring: &[Vertex]) -> bool {
    let lines: Vec<Line<f64>> = polygon(ring).exterior().lines().collect();
    let pairs = (0..lines.len()).flat_map(|one| (0..one).map(move |other| (other, one)));
    pairs.into_iter().all(|(one, other)| {
        let met = line_intersection(lines[one], lines[other]);
        let neighbours = one + 1 == other || (one == 0 && other + 1 == lines.len());
        if neighbours { matches!(met, Some(LineIntersection::SinglePoint { .. })) } else { met.is_none() }
    })
}
