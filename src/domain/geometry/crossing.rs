//! Whether a ring crosses or touches itself, exactly, in integers.
//!
//! The `geo` crate compares every edge with every other, which takes seconds for 10,000 vertices. Here edges are
//! sorted by where they begin and compared only while they overlap: milliseconds for outlines of the ground. What is
//! drawn to be slow (long edges side by side) costs the same number of comparisons, but each is a few subtractions.

use std::cmp::Ordering;

use crate::domain::geometry::Vertex;

/// An edge with its extent.
struct Edge {
    /// Number of the vertex that it begins at.
    from: usize,
    a: Vertex,
    b: Vertex,
    low: Vertex,
    high: Vertex,
}

impl Edge {
    fn new(from: usize, a: Vertex, b: Vertex) -> Self {
        let low = Vertex { x: a.x.min(b.x), y: a.y.min(b.y) };
        let high = Vertex { x: a.x.max(b.x), y: a.y.max(b.y) };
        Self { from, a, b, low, high }
    }
}

/// Passes a ring that encloses something and neither crosses nor touches itself. Its extent is at most ten degrees,
/// so that no product below is near 63 bits.
pub(super) fn check_simple(ring: &[Vertex]) -> Result<(), String> {
    let (first, second) = (ring[0], ring[1]);
    if ring.iter().all(|vertex| turn(first, second, *vertex) == Ordering::Equal) {
        return Err("encloses no area: all positions are on one line".to_owned());
    }
    match find_crossing(ring) {
        None => Ok(()),
        Some((one, other)) => {
            Err(format!("crosses or touches itself: the edge after position {one} and the one after {other}"))
        }
    }
}

/// Numbers of the vertices before two edges that meet where they should not.
fn find_crossing(ring: &[Vertex]) -> Option<(usize, usize)> {
    let next = |at: usize| ring[(at + 1) % ring.len()];
    let mut edges: Vec<Edge> = ring.iter().enumerate().map(|(at, a)| Edge::new(at, *a, next(at))).collect();
    edges.sort_unstable_by_key(|edge| edge.low.x);
    let mut open: Vec<&Edge> = Vec::new();
    for edge in &edges {
        open.retain(|other| edge.low.x <= other.high.x);
        let crossed = open.iter().find(|other| meets_badly(ring.len(), edge, other));
        if let Some(other) = crossed {
            return Some((edge.from.min(other.from), edge.from.max(other.from)));
        }
        open.push(edge);
    }
    None
}

/// Whether two edges of a ring meet anywhere but in the vertex between them. Their extents in x overlap.
fn meets_badly(count: usize, one: &Edge, other: &Edge) -> bool {
    if one.high.y < other.low.y || other.high.y < one.low.y {
        return false;
    }
    if (one.from + 1) % count == other.from {
        return turns_back(one.a, one.b, other.b);
    }
    if (other.from + 1) % count == one.from {
        return turns_back(other.a, other.b, one.b);
    }
    let apart = |p: Vertex, q: Vertex, edge: &Edge| {
        let (one, other) = (turn(p, q, edge.a), turn(p, q, edge.b));
        one == other && one != Ordering::Equal
    };
    // Where all four are on one line the extents, which overlap, tell that the edges do.
    !apart(one.a, one.b, other) && !apart(other.a, other.b, one)
}

/// Whether the way from `b` to `c` goes back on that from `a` to `b`.
fn turns_back(a: Vertex, b: Vertex, c: Vertex) -> bool {
    let (back, on) = (minus(a, b), minus(c, b));
    turn(a, b, c) == Ordering::Equal && 0 < back.0 * on.0 + back.1 * on.1
}

/// To which side of the way from `a` to `b` a point lies.
fn turn(a: Vertex, b: Vertex, point: Vertex) -> Ordering {
    let (way, to) = (minus(b, a), minus(point, a));
    (way.0 * to.1).cmp(&(way.1 * to.0))
}

fn minus(a: Vertex, b: Vertex) -> (i64, i64) {
    (i64::from(a.x) - i64::from(b.x), i64::from(a.y) - i64::from(b.y))
}
