//! Outlines that are impossible, somewhere else or too large: refused with the place of what is wrong, and nothing is
//! stored. What is wrong with an outline by itself is tested in `domain/geometry`.

use safelane::rpc::pb;
use sqlx::Connection as _;
use tonic::Code;

use super::land::{part, remeasurement, splitting};
use super::sites::{authority, created, site};
use crate::bad_input::{day, names};
use crate::desk::bad_fields;
use crate::harness::{World, in_world};

/// A square hundredth of a degree, 1,165,533 m², north and east of a corner; or what its corners are made to.
fn square(corner: (f64, f64), made: impl Fn(f64, f64) -> (f64, f64)) -> String {
    let (west, south) = corner;
    #[expect(clippy::float_arithmetic, reason = "a drawing for a test")]
    let (east, north) = (west + 0.01, south + 0.01);
    let corners = [(west, south), (east, south), (east, north), (west, north), (west, south)];
    let corners = corners.map(|(x, y)| made(x, y)).map(|(x, y)| format!("[{x},{y}]"));
    format!(r#"{{"type":"Polygon","coordinates":[[{}]]}}"#, corners.join(","))
}

fn plain(x: f64, y: f64) -> (f64, f64) {
    (x, y)
}

/// East of Harare.
const INLAND: (f64, f64) = (32.0, -19.0);
const SQUARE_M2: i64 = 1_165_533;

fn outlined(authority: &str, boundary: String) -> pb::Site {
    pb::Site { boundary_geojson: boundary, position: None, ..site(authority, "ZW-1", SQUARE_M2) }
}

/// How many rows there are of everything that a site brings with it.
async fn rows(world: &World) -> i64 {
    let mut conn = world.database.connect().await;
    let counted = "SELECT (SELECT count(*) FROM sites) + (SELECT count(*) FROM land_movements)
                        + (SELECT count(*) FROM journal) + (SELECT count(*) FROM change_subjects)";
    let counted = sqlx::query_scalar(counted).fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    counted
}

#[tokio::test]
async fn a_bad_outline_is_refused_at_its_place_and_nothing_is_stored() {
    in_world(async |world| {
        let authority = authority(world).await;
        let before = rows(world).await;
        let boundary = "site.boundary_geojson";
        let many: Vec<String> = (0..10_001).map(|at| format!("[32.{at:05},-19.0]")).collect();
        let many = format!(r#"{{"type":"Polygon","coordinates":[[{},{}]]}}"#, many.join(","), many[0]);
        let bow_tie =
            r#"{"type":"Polygon","coordinates":[[[32,-19],[32.1,-19.1],[32.1,-19],[32,-19.1],[32,-19]]]}"#;
        for (text, field, says) in [
            ("POLYGON((0 0))".to_owned(), String::new(), "not JSON"),
            (r#"{"type":"MultiPolygon","coordinates":[]}"#.to_owned(), ".type".to_owned(), "each part"),
            (bow_tie.to_owned(), ".coordinates[0]".to_owned(), "crosses or touches itself"),
            (many, ".coordinates".to_owned(), "has 10001 vertices; at most 10000"),
            (square(INLAND, |x, y| (y, x)), String::new(), "exchanged"),
            (square((37.0, -19.0), plain), String::new(), "is not in ZW"),
            (square((181.0, -19.0), plain), ".coordinates[0][0][0]".to_owned(), "-180 to 180"),
        ] {
            let request = pb::CreateSiteRequest { site: Some(outlined(&authority, text)) };
            let refused = world.sites().create_site(request).await.expect_err(says);
            assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
            assert_eq!(bad_fields(&refused), [format!("{boundary}{field}")]);
            assert!(refused.message().contains(says), "{}", refused.message());
        }
        let off = pb::Site { area_m2: SQUARE_M2 * 2, ..outlined(&authority, square(INLAND, plain)) };
        let refused = world.sites().create_site(pb::CreateSiteRequest { site: Some(off) }).await.unwrap_err();
        assert_eq!(bad_fields(&refused), [boundary]);
        assert!(refused.message().contains("encloses 1165533 m2"), "{}", refused.message());
        assert!(refused.message().contains("2331066 m2"), "{}", refused.message());
        let far = Some(pb::Position { latitude: 32.8, longitude: -19.1, accuracy_m: 0 });
        let far = pb::Site { position: far, ..outlined(&authority, String::new()) };
        names(world.sites().create_site(pb::CreateSiteRequest { site: Some(far) }).await, &["site.position"]);
        assert_eq!(rows(world).await, before);
    })
    .await;
}

#[tokio::test]
async fn the_largest_outline_fits_a_message_and_comes_back_as_it_was_sent() {
    in_world(async |world| {
        let authority = authority(world).await;
        // Two banks of a long belt, five thousand positions each.
        let bank = |at: i32, south: i32| format!("[32.{:07},-19.{:07}]", 1_000_000 + at * 20, south);
        let mut positions: Vec<String> = (0..5_000).map(|at| bank(at, 500_000 + at % 2)).collect();
        positions.extend((0..5_000).rev().map(|at| bank(at, 480_000 - at % 2)));
        positions.push(positions[0].clone());
        let boundary = format!(r#"{{"type":"Polygon","coordinates":[[{}]]}}"#, positions.join(","));
        let new = pb::Site { area_m2: 233_000, ..outlined(&authority, boundary.clone()) };
        let made = created(world, new).await;
        assert_eq!(made.boundary_geojson, boundary);
        assert_eq!((made.area_m2, made.computed_area_m2.abs_diff(233_000) < 1_000), (233_000, true));
        // Lists leave it out.
        let list = pb::ListSitesRequest { authority_id: authority, ..pb::ListSitesRequest::default() };
        let found = world.sites().list_sites(list).await.unwrap().into_inner().sites;
        assert_eq!(found, [pb::Site { boundary_geojson: String::new(), ..made.clone() }]);
        let history = pb::GetSiteHistoryRequest { site_id: made.site_id.clone(), ..Default::default() };
        let history = world.sites().get_site_history(history).await.unwrap().into_inner().changes;
        assert_eq!(history[0].site.as_ref(), Some(&made));
    })
    .await;
}

#[tokio::test]
async fn parts_and_remeasurements_have_outlines_with_the_same_rules() {
    in_world(async |world| {
        let authority = authority(world).await;
        let site = created(world, outlined(&authority, square(INLAND, plain))).await;
        assert_eq!(site.computed_area_m2, SQUARE_M2);
        let stale = remeasurement(&site, SQUARE_M2 * 2, day(1998, 5, 1));
        names(world.sites().record_remeasurement(stale).await, &["boundary_geojson"]);
        let elsewhere = pb::RecordRemeasurementRequest {
            boundary_geojson: square((37.0, -19.0), plain),
            ..remeasurement(&site, SQUARE_M2 + 9, day(1998, 5, 1))
        };
        names(world.sites().record_remeasurement(elsewhere).await, &["boundary_geojson"]);
        let off = pb::SitePart { boundary_geojson: square(INLAND, plain), ..part("A", 500_000) };
        let rest = part("B", SQUARE_M2 - 500_000);
        let split = world.sites().split_site(splitting(&site, day(1998, 6, 1), vec![off, rest])).await;
        names(split, &["parts[0].boundary_geojson"]);
        let swapped = pb::SitePart { boundary_geojson: square(INLAND, |x, y| (y, x)), ..part("A", 582_766) };
        let split = world
            .sites()
            .split_site(splitting(&site, day(1998, 6, 1), vec![swapped, part("B", 582_767)]))
            .await;
        // Exchanged coordinates enclose another area as well, but that is not what is wrong.
        let split = split.unwrap_err();
        assert_eq!(bad_fields(&split), ["parts[0].boundary_geojson"]);
        assert!(split.message().contains("exchanged"), "{}", split.message());
        let moved = pb::RecordRemeasurementRequest {
            boundary_geojson: square((32.1, -19.0), plain),
            ..remeasurement(&site, SQUARE_M2, day(1998, 5, 1))
        };
        let site =
            world.sites().record_remeasurement(moved.clone()).await.unwrap().into_inner().site.unwrap();
        assert_eq!((site.boundary_geojson, site.area_m2), (moved.boundary_geojson, SQUARE_M2));
    })
    .await;
}

#[tokio::test]
async fn parts_lie_in_the_whole_and_apart_and_a_position_at_its_site() {
    in_world(async |world| {
        let authority = authority(world).await;
        let far = Some(pb::Position { latitude: -19.0, longitude: 32.2, accuracy_m: 0 });
        let far = pb::Site { position: far, ..outlined(&authority, square(INLAND, plain)) };
        names(world.sites().create_site(pb::CreateSiteRequest { site: Some(far) }).await, &["site.position"]);
        let tokyo = pb::Site { time_zone: "Asia/Tokyo".to_owned(), ..site(&authority, "ZW-2", 10) };
        names(
            world.sites().create_site(pb::CreateSiteRequest { site: Some(tokyo) }).await,
            &["site.time_zone"],
        );
        // Two squares side by side.
        let wide = |x: f64, y: f64| (if x < 32.005 { x } else { 32.02 }, y);
        let whole = pb::Site { area_m2: 2 * SQUARE_M2, ..outlined(&authority, square(INLAND, wide)) };
        let site = created(world, whole).await;
        let halves = |east: f64| {
            let outlined = |code: &str, west| pb::SitePart {
                boundary_geojson: square((west, INLAND.1), plain),
                ..part(code, SQUARE_M2)
            };
            splitting(&site, day(1998, 6, 1), vec![outlined("A", INLAND.0), outlined("B", east)])
        };
        let over = world.sites().split_site(halves(32.005)).await;
        assert!(over.as_ref().unwrap_err().message().contains("in common with parts[0]"), "{over:?}");
        names(over, &["parts[1].boundary_geojson"]);
        names(world.sites().split_site(halves(32.012)).await, &["parts[1].boundary_geojson"]);
        world.sites().split_site(halves(32.01)).await.unwrap();
    })
    .await;
}
