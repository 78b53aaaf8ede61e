//! Lists and ledgers with many sites behind them: they answer the same, and are looked up by their indexes.

use safelane::rpc::pb;
use sqlx::Connection as _;

use super::sites::authority;
use super::tasks::Works;
use crate::bad_input::day;
use crate::harness::{Replica, World, in_world};

/// More than a list by box sorts.
const MANY: usize = 5_000;
/// One in so many is in another country.
const RARE: usize = 500;

/// Sites on a grid north and east of 19 degrees south and 32 degrees east, with their movements.
async fn fill(world: &World, authority: &str) {
    let country = format!("CASE WHEN n % {RARE} = 0 THEN 'MZ' ELSE 'ZW' END");
    Works::run(
        world,
        format!(
            "INSERT INTO sites (authority_id, site_id, country_code, code, name, former_names, class, status, area_m2,
                    searched, south_e7, west_e7, north_e7, east_e7, time_zone, information_on, evidence_on, evidence,
                    conflict, created_at, revision)
             SELECT '{authority}', gen_random_uuid(), {country}, 'S-' || lpad(n::text, 5, '0'), 'n', '{{}}', 'SHA', 'OPEN',
                    10, 's', -190000000 + n, 320000000 + n, -190000000 + n, 320000000 + n, 'Africa/Harare',
                    '1998-03-01', '1998-03-01', '', '', now(), 1
               FROM generate_series(1, {MANY}) AS n;
             INSERT INTO land_movements (authority_id, revision, ordinal, site_id, country_code, kind, area_m2,
                    effective_on, note)
             SELECT authority_id, 1, row_number() OVER (), site_id, country_code, 'IDENTIFIED', 10, '1998-03-01', ''
               FROM sites;
             ANALYZE sites, land_movements"
        ),
    )
    .await;
}

/// Codes of all pages.
async fn codes(replica: &Replica, mut request: pb::ListSitesRequest) -> Vec<String> {
    let mut codes = Vec::new();
    request.page_size = 1_000;
    loop {
        let page = replica.sites().list_sites(request.clone()).await.unwrap().into_inner();
        codes.extend(page.sites.into_iter().map(|site| site.code));
        if page.next_page_token.is_empty() {
            return codes;
        }
        request.page_token = page.next_page_token;
    }
}

/// How often an index was read.
async fn read(world: &World, index: &str) -> i64 {
    let mut conn = world.database.connect().await;
    let sql = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = $1";
    let scans = sqlx::query_scalar(sql).bind(index).fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    scans
}

#[tokio::test]
async fn many_sites_are_listed_in_order_and_a_country_is_looked_up() {
    in_world(async |world| {
        let authority = authority(world).await;
        fill(world, &authority).await;
        let indexes = ["sites_country_code_idx", "land_movements_country_code_idx"];
        let before = [read(world, indexes[0]).await, read(world, indexes[1]).await];
        let replica = world.replica().await;
        let code = |n: usize| format!("S-{n:05}");
        let bounding_box = Some(pb::BoundingBox { south: -19.0, west: 32.0, north: -18.0, east: 33.0 });
        let all = pb::ListSitesRequest { bounding_box, ..pb::ListSitesRequest::default() };
        assert_eq!(codes(&replica, all.clone()).await, (1..=MANY).map(code).collect::<Vec<_>>());
        let rare: Vec<String> = (1..=MANY / RARE).map(|n| code(n * RARE)).collect();
        let country_code = "MZ".to_owned();
        assert_eq!(codes(&replica, pb::ListSitesRequest { country_code, ..all }).await, rare);
        let request = pb::ListSitesRequest { country_code: "MZ".to_owned(), ..Default::default() };
        assert_eq!(codes(&replica, request).await, rare);
        let ledger = pb::GetLandLedgerRequest {
            country_code: "MZ".to_owned(),
            first_day: Some(day(1998, 3, 1)),
            last_day: Some(day(1998, 3, 1)),
            ..pb::GetLandLedgerRequest::default()
        };
        let found = replica.sites().get_land_ledger(ledger).await.unwrap().into_inner();
        assert_eq!(found.totals.unwrap().identified_m2, 100);
        // A connection tells its counts at the latest when it ends.
        replica.finish().await;
        for (index, before) in indexes.into_iter().zip(before) {
            assert!(before < read(world, index).await, "{index} is not read");
        }
    })
    .await;
}
