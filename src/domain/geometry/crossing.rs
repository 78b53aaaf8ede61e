//! Whether a ring crosses or touches itself, exactly, in integers.
//!
//! The `geo` crate compares every edge with every other: 0.8 s for 10,000 vertices, optimized. Here edges are sorted by
//! where they begin and compared only while they overlap: 9 ms for a jagged outline of 10,000. What is drawn to be
//! slow, long edges side by side, is refused after [`COMPARED_MAX`] comparisons, at most a tenth of a second.

use std::cmp::Ordering;

use crate::domain::geometry::Vertex;

/// The most pairs of edges that are compared: a thousand for each of 10,000 vertices. Outlines of ground need about
/// two for each.
const COMPARED_MAX: usize = 10_000_000;

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
    // The shorter the edges are along the axis beside its whole length, the fewer of them overlap.
    let mirrored: Vec<Vertex> = ring.iter().map(|vertex| Vertex { x: vertex.y, y: vertex.x }).collect();
    let ring = if crowding(&mirrored) < crowding(ring) { &mirrored } else { ring };
    match find_crossing(ring)? {
        None => Ok(()),
        Some((one, other)) => {
            Err(format!("crosses or touches itself: the edge after position {one} and the one after {other}"))
        }
    }
}

/// How many edges there are above a place on the x axis on average, in thousandths.
fn crowding(ring: &[Vertex]) -> u64 {
    let along = |(a, b): (&Vertex, &Vertex)| u64::from(a.x.abs_diff(b.x));
    let sum: u64 = ring.iter().zip(ring.iter().cycle().skip(1)).map(along).sum();
    let (low, high) = (ring.iter().map(|vertex| vertex.x).min(), ring.iter().map(|vertex| vertex.x).max());
    let whole = low.zip(high).map_or(1, |(low, high)| u64::from(high.abs_diff(low)).max(1));
    sum.saturating_mul(1_000) / whole
}

/// Numbers of the vertices before two edges that meet where they should not. Says so when finding out takes too long.
fn find_crossing(ring: &[Vertex]) -> Result<Option<(usize, usize)>, String> {
    let next = |at: usize| ring[(at + 1) % ring.len()];
    let mut edges: Vec<Edge> = ring.iter().enumerate().map(|(at, a)| Edge::new(at, *a, next(at))).collect();
    edges.sort_unstable_by_key(|edge| edge.low.x);
    let (mut open, mut compared): (Vec<&Edge>, usize) = (Vec::new(), 0);
    for edge in &edges {
        open.retain(|other| edge.low.x <= other.high.x);
        let crossed = open.iter().find(|other| meets_badly(ring.len(), edge, other));
        if let Some(other) = crossed {
            return Ok(Some((edge.from.min(other.from), edge.from.max(other.from))));
        }
        compared += open.len();
        if COMPARED_MAX < compared {
            return Err("has too many long edges side by side to be checked; simplify the outline".to_owned());
        }
        open.push(edge);
    }
    Ok(None)
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
