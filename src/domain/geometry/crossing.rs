//! Whether a ring crosses or touches itself, exactly, in integers.
//!
//! The `geo` crate compares every edge with every other: 0.8 s for 10,000 vertices, optimized. Here edges are sorted by
//! where they begin and compared only while they overlap: 9 ms for a jagged outline of 10,000. What is drawn to be
//! slow, long edges side by side, is refused after [`COMPARED_MAX`] comparisons of one request, at most a tenth of a
//! second, since outlines are checked where calls are answered.

use std::cmp::Ordering;

use crate::domain::geometry::Vertex;

/// The most pairs of edges that are compared: a thousand for each of 10,000 vertices. Outlines of ground need about
/// two for each.
const COMPARED_MAX: usize = 10_000_000;

/// How many pairs of edges of different outlines may lie so close that they may meet. Common borders have about three
/// for each vertex.
const CLOSE_MAX: usize = 200_000;

/// What one request may still ask for, in all of its outlines.
#[derive(Debug)]
pub struct Comparisons {
    compared: usize,
    close: usize,
}

impl Default for Comparisons {
    fn default() -> Self {
        Self { compared: COMPARED_MAX, close: CLOSE_MAX }
    }
}

impl Comparisons {
    fn take(&mut self, compared: usize, close: usize) -> Result<(), String> {
        let left = self.compared.checked_sub(compared).zip(self.close.checked_sub(close));
        let too_many = "has too many long edges side by side to be checked; simplify the outline";
        (self.compared, self.close) = left.ok_or(too_many)?;
        Ok(())
    }
}

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
pub(super) fn check_simple(ring: &[Vertex], left: &mut Comparisons) -> Result<(), String> {
    let (first, second) = (ring[0], ring[1]);
    if ring.iter().all(|vertex| turn(first, second, *vertex) == Ordering::Equal) {
        return Err("encloses no area: all positions are on one line".to_owned());
    }
    // The shorter the edges are along the axis beside its whole length, the fewer of them overlap.
    let mirrored: Vec<Vertex> = ring.iter().map(|vertex| Vertex { x: vertex.y, y: vertex.x }).collect();
    let ring = if crowding(&mirrored) < crowding(ring) { &mirrored } else { ring };
    match find_crossing(ring, left)? {
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
fn find_crossing(ring: &[Vertex], left: &mut Comparisons) -> Result<Option<(usize, usize)>, String> {
    let edges = edges_of(ring);
    let mut open: Vec<&Edge> = Vec::new();
    for edge in &edges {
        open.retain(|other| edge.low.x <= other.high.x);
        let crossed = open.iter().find(|other| meets_badly(ring.len(), edge, other));
        if let Some(other) = crossed {
            return Ok(Some((edge.from.min(other.from), edge.from.max(other.from))));
        }
        left.take(open.len(), 0)?;
        open.push(edge);
    }
    Ok(None)
}

/// The edges of a ring by where they begin.
fn edges_of(ring: &[Vertex]) -> Vec<Edge> {
    let next = |at: usize| ring[(at + 1) % ring.len()];
    let mut edges: Vec<Edge> = ring.iter().enumerate().map(|(at, a)| Edge::new(at, *a, next(at))).collect();
    edges.sort_unstable_by_key(|edge| edge.low.x);
    edges
}

/// Takes what comparing the edges of two rings costs. What looks for all their crossings afterwards is not bounded by
/// itself.
pub(super) fn take_for(one: &[Vertex], other: &[Vertex], left: &mut Comparisons) -> Result<(), String> {
    let both = [edges_of(one), edges_of(other)];
    let mut all: Vec<(usize, &Edge)> =
        both.iter().enumerate().flat_map(|(of, edges)| edges.iter().map(move |edge| (of, edge))).collect();
    all.sort_by_key(|(_, edge)| edge.low.x);
    let mut open: [Vec<&Edge>; 2] = [Vec::new(), Vec::new()];
    for (of, edge) in all {
        let opposite = &mut open[1 - of];
        opposite.retain(|other| edge.low.x <= other.high.x);
        let close = opposite.iter().filter(|other| edge.low.y <= other.high.y && other.low.y <= edge.high.y);
        left.take(opposite.len(), close.count())?;
        open[of].push(edge);
    }
    Ok(())
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
