//! Outlines of the parts of a site: inside that of the whole, and apart from each other.

use crate::domain::geometry::crossing::{Comparisons, take_for};
use crate::domain::geometry::measure::common_m2;
use crate::domain::geometry::{Outline, UNITS};
use crate::domain::site::{Boundary, BoundingBox, Position};

/// How far the box of a part may reach beyond that of the whole: a thousandth of a degree, about 100 m.
const BEYOND_WHOLE: i32 = UNITS / 1_000;
/// How far a reference point may lie from the box of its site: a tenth of a degree, about 11 km.
const BEYOND_SITE: i32 = UNITS / 10;

/// What is wrong with a part beside the outline of the whole.
#[must_use]
pub fn outside_flaw(whole: &Boundary, part: &Outline) -> Option<String> {
    let inside = holds(whole.bounds, part.boundary.bounds, BEYOND_WHOLE);
    (!inside)
        .then(|| "lies outside the outline of the site; mend it, or measure the site anew first".to_owned())
}

/// What is wrong with a reference point beside the outline of its site.
#[must_use]
pub fn position_flaw(site: &Boundary, position: Position) -> Option<String> {
    let inside = holds(site.bounds, BoundingBox::around(position), BEYOND_SITE);
    (!inside).then(|| {
        "lies more than a tenth of a degree outside the boundary; mend the one that is wrong".to_owned()
    })
}

fn holds(outer: BoundingBox, inner: BoundingBox, beyond: i32) -> bool {
    let least = |low: i32| low.saturating_sub(beyond);
    let most = |high: i32| high.saturating_add(beyond);
    least(outer.south_e7) <= inner.south_e7
        && least(outer.west_e7) <= inner.west_e7
        && inner.north_e7 <= most(outer.north_e7)
        && inner.east_e7 <= most(outer.east_e7)
}

/// The first flaw of outlines that have ground in common with an earlier one: the place of the outline in the list, and
/// the rule, which names the other by `name`. Common borders are drawn apart by survey errors: 1 % of the smaller part or
/// 100 m² are no flaw.
pub fn overlap_flaw(
    parts: &[Option<&Outline>],
    name: impl Fn(usize) -> String,
    left: &mut Comparisons,
) -> Option<(usize, String)> {
    for (index, part) in parts.iter().enumerate() {
        let Some(part) = part else { continue };
        for (other, earlier) in parts.iter().enumerate().take(index) {
            let Some(earlier) = earlier.filter(|earlier| meet(earlier, part)) else { continue };
            match common_ground(earlier, part, left) {
                Ok(0) => {}
                Ok(common) => {
                    let rule = format!(
                        "has {common} m2 in common with {}; draw one border between them",
                        name(other)
                    );
                    return Some((index, rule));
                }
                Err(rule) => return Some((index, rule)),
            }
        }
    }
    None
}

fn meet(one: &Outline, other: &Outline) -> bool {
    let (one, other) = (one.boundary.bounds, other.boundary.bounds);
    one.south_e7 < other.north_e7
        && other.south_e7 < one.north_e7
        && one.west_e7 < other.east_e7
        && other.west_e7 < one.east_e7
}

/// Square metres in common; 0 when they are within what surveys err.
fn common_ground(one: &Outline, other: &Outline, left: &mut Comparisons) -> Result<i64, String> {
    let smaller = one.boundary.computed_area_m2.min(other.boundary.computed_area_m2);
    let common = shared_m2(one, other, left)?;
    Ok(if (smaller / 100).max(100) < common { common } else { 0 })
}

/// Square metres in common.
///
/// # Errors
/// Says so when the request has compared too much.
pub fn shared_m2(one: &Outline, other: &Outline, left: &mut Comparisons) -> Result<i64, String> {
    if !meet(one, other) {
        return Ok(0);
    }
    let rings = |of: &Outline| [std::slice::from_ref(&of.vertices), &of.holes].concat();
    for first in rings(one) {
        for second in rings(other) {
            take_for(&first, &second, left)?;
        }
    }
    Ok(common_m2(one, other))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rectangle between degrees, in thousandths.
    fn rectangle([west, south, east, north]: [i32; 4], hole: &str) -> Outline {
        let at = |x: i32, y: i32| format!("[{x}e-3,{y}e-3]");
        let ring =
            [at(west, south), at(east, south), at(east, north), at(west, north), at(west, south)].join(",");
        let text = format!(r#"{{"type":"Polygon","coordinates":[[{ring}]{hole}]}}"#);
        Outline::read(&text, &mut Comparisons::default()).unwrap()
    }

    fn flaw(parts: &[&Outline]) -> Option<(usize, String)> {
        let parts: Vec<Option<&Outline>> =
            std::iter::once(None).chain(parts.iter().copied().map(Some)).collect();
        overlap_flaw(&parts, |index| format!("parts[{index}]"), &mut Comparisons::default())
    }

    #[test]
    fn parts_may_touch_and_lie_in_each_others_holes_and_not_overlap() {
        let left = rectangle([0, 0, 10, 10], "");
        assert_eq!(flaw(&[&left, &rectangle([10, 0, 20, 10], "")]), None);
        let (index, rule) = flaw(&[&left, &rectangle([9, 0, 20, 10], "")]).unwrap();
        assert!(index == 2 && rule.contains("m2 in common with parts[1]"), "{rule}");
        let within = rectangle([4, 4, 6, 6], "");
        assert!(flaw(&[&left, &within]).is_some(), "one lies in the other");
        assert!(flaw(&[&left, &left]).is_some());
        let hole = ",[[4e-3,4e-3],[6e-3,4e-3],[6e-3,6e-3],[4e-3,6e-3],[4e-3,4e-3]]";
        assert_eq!(flaw(&[&rectangle([0, 0, 10, 10], hole), &within]), None);
    }

    #[test]
    fn a_part_lies_in_the_whole_and_a_point_near_its_site() {
        let whole = rectangle([0, 0, 10, 10], "");
        assert_eq!(outside_flaw(&whole.boundary, &rectangle([5, 5, 11, 10], "")), None);
        assert!(outside_flaw(&whole.boundary, &rectangle([5, 5, 12, 10], "")).is_some());
        let at = |longitude_e7| Position { latitude_e7: 0, longitude_e7, accuracy_m: 0 };
        assert_eq!(position_flaw(&whole.boundary, at(1_100_000)), None);
        assert!(position_flaw(&whole.boundary, at(1_100_001)).is_some());
    }

    #[test]
    fn one_request_compares_no_more_than_one_outline_may() {
        let (mut left, mut read) = (Comparisons::default(), 0);
        // Long edges side by side: half a million comparisons each.
        let tooth =
            |at: i32| if at % 2 == 0 { format!("[0.5,{}e-5]", at + 10_000) } else { format!("[0,{at}e-5]") };
        let teeth: Vec<String> = (0..1_000).map(tooth).collect();
        let text = format!(
            r#"{{"type":"Polygon","coordinates":[[{},[-0.1,0.1],[-0.1,-0.1],{}]]}}"#,
            teeth.join(","),
            teeth[0]
        );
        while Outline::read(&text, &mut left).is_ok() {
            read += 1;
        }
        assert!((10..100).contains(&read), "{read} outlines of a thousand long edges");
        assert!(Outline::read(&text, &mut Comparisons::default()).is_ok());
    }
}
