//! GeoJSON Polygons into rings of vertices, with the place of what is wrong. Read by hand, because a parser of all of
//! GeoJSON says only that something is wrong somewhere.

use serde_json::{Map, Value};

use crate::domain::geometry::{Flaw, VERTICES_MAX, Vertex, kept, ring_path};
use crate::domain::text::quote;

/// The names under which a coordinate system is WGS 84.
const WGS_84: [&str; 3] = ["urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84", "EPSG:4326"];

/// Reads the rings of a Polygon, the outer one first, each without the position that closes it and without repeated
/// positions. There is at least one ring, and every ring has at least three vertices.
pub(super) fn read_rings(text: &str) -> Result<Vec<Vec<Vertex>>, Flaw> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| Flaw::new("", format!("is not JSON: {error}")))?;
    let Value::Object(polygon) = value else {
        return Err(Flaw::new("", "is not a JSON object; give a GeoJSON Polygon (RFC 7946)"));
    };
    check_type(&polygon)?;
    check_system(&polygon)?;
    let Some(Value::Array(rings)) = polygon.get("coordinates") else {
        return Err(Flaw::new(".coordinates", "is not an array of rings"));
    };
    if rings.is_empty() {
        return Err(Flaw::new(".coordinates", "has no ring"));
    }
    check_count(rings)?;
    rings.iter().enumerate().map(|(index, ring)| read_ring(index, ring)).collect()
}

fn check_type(polygon: &Map<String, Value>) -> Result<(), Flaw> {
    let rule = match polygon.get("type").and_then(Value::as_str) {
        Some("Polygon") => return Ok(()),
        Some("MultiPolygon") => {
            "is MultiPolygon; a site is one Polygon: record a site for each part".to_owned()
        }
        Some(kind @ ("Feature" | "FeatureCollection")) => {
            format!("is {kind}; give only the geometry, a Polygon")
        }
        Some(other) => format!("is {}; give a Polygon", quote(other)),
        None => "is missing; give a GeoJSON Polygon (RFC 7946)".to_owned(),
    };
    Err(Flaw::new(".type", rule))
}

/// RFC 7946 knows WGS 84 only. Older files may name another system, in which the same numbers are another place.
fn check_system(polygon: &Map<String, Value>) -> Result<(), Flaw> {
    let Some(system) = polygon.get("crs").filter(|system| !system.is_null()) else { return Ok(()) };
    let name = system.pointer("/properties/name").and_then(Value::as_str).unwrap_or_default();
    if WGS_84.contains(&name) {
        return Ok(());
    }
    Err(Flaw::new(".crs", format!("is {}; positions must be WGS 84 (RFC 7946)", quote(name))))
}

fn check_count(rings: &[Value]) -> Result<(), Flaw> {
    let of_ring = |ring: &Value| ring.as_array().map_or(0, |ring| ring.len().saturating_sub(1));
    let count: usize = rings.iter().map(of_ring).sum();
    if VERTICES_MAX < count {
        let rule = format!("has {count} vertices; at most {VERTICES_MAX} are allowed: simplify the outline");
        return Err(Flaw::new(".coordinates", rule));
    }
    Ok(())
}

fn read_ring(index: usize, ring: &Value) -> Result<Vec<Vertex>, Flaw> {
    let path = ring_path(index);
    let Value::Array(positions) = ring else {
        return Err(Flaw::new(path, "is not an array of positions"));
    };
    if positions.len() < 4 {
        let rule =
            format!("has {} positions; a ring has at least 4, the last like the first", positions.len());
        return Err(Flaw::new(path, rule));
    }
    let mut vertices = Vec::with_capacity(positions.len());
    for (place, position) in positions.iter().enumerate() {
        vertices.push(read_position(&format!("{path}[{place}]"), position)?);
    }
    if vertices.first() != vertices.last() {
        return Err(Flaw::new(path, "is not closed: its last position must be like its first"));
    }
    vertices.pop();
    vertices.dedup();
    while 1 < vertices.len() && vertices.first() == vertices.last() {
        vertices.pop();
    }
    if vertices.len() < 3 {
        let rule = format!("has {} different positions; a ring has at least 3", vertices.len());
        return Err(Flaw::new(path, rule));
    }
    Ok(vertices)
}

fn read_position(path: &str, position: &Value) -> Result<Vertex, Flaw> {
    let numbers: Option<Vec<f64>> =
        position.as_array().and_then(|numbers| numbers.iter().map(Value::as_f64).collect());
    let (longitude, latitude) = match numbers.as_deref() {
        // A height is allowed by the format and means nothing here.
        Some([longitude, latitude] | [longitude, latitude, _]) => (*longitude, *latitude),
        _ => return Err(Flaw::new(path, "is not a position [longitude, latitude] in degrees")),
    };
    let x = kept(longitude, 180);
    let y = kept(latitude, 90);
    match (x, y) {
        (Some(x), Some(y)) => Ok(Vertex { x, y }),
        (Some(_), None) => {
            let swapped = if kept(longitude, 90).is_some() && kept(latitude, 180).is_some() {
                "; longitude comes first: are they exchanged?"
            } else {
                ""
            };
            Err(Flaw::new(format!("{path}[1]"), format!("latitude {latitude} is not -90 to 90{swapped}")))
        }
        (None, _) => {
            Err(Flaw::new(format!("{path}[0]"), format!("longitude {longitude} is not -180 to 180")))
        }
    }
}
