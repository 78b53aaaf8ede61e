//! How the writers' statements reach their rows while the tables grow from empty: by key from the first row
//! on, and in place.

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use safelane::rpc::pb::post_entries_response::Outcome;

use crate::desk::Desk;
use crate::harness::{Replica, in_world};

const ENTRIES: usize = 3_000;
const RETRIES: usize = 500;

/// Posts entries by one stream. All must be accepted.
async fn post(replica: &Replica, entries: &[pb::Entry]) {
    let sent: Vec<_> =
        entries.iter().map(|entry| pb::PostEntriesRequest { entry: Some(entry.clone()) }).collect();
    let mut answers = replica.funding().post_entries(tokio_stream::iter(sent)).await.unwrap().into_inner();
    let mut accepted = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        assert!(matches!(answer.outcome, Some(Outcome::Accepted(_))), "{answer:?}");
        accepted += 1;
    }
    assert_eq!(accepted, entries.len());
}

#[tokio::test]
async fn writers_read_by_key_and_update_in_place_while_tables_grow_from_empty() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let replica = world.replica().await;
        let entries: Vec<pb::Entry> =
            (0..ENTRIES).map(|_| desk.entry(Action::Expend(desk.expend("T1", 1)))).collect();
        for part in entries.chunks(100) {
            post(&replica, part).await;
        }
        // Retries are looked up by their ids.
        post(&replica, &entries[..RETRIES]).await;
        // A connection tells its counts at the latest when it ends.
        replica.finish().await;
        let mut conn = world.database.connect().await;
        let mut counts = async |table: &str| -> (i64, i64, i64, i64) {
            sqlx::query_as(
                "SELECT seq_scan, idx_scan, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = $1",
            )
            .bind(table)
            .fetch_one(&mut conn)
            .await
            .unwrap()
        };
        let (scans, probes, ..) = counts("journal").await;
        assert_eq!(scans, 0, "the journal is never read from end to end");
        assert!(RETRIES <= usize::try_from(probes).unwrap(), "{probes} look-ups by key");
        for table in ["journal_head", "allocations"] {
            let (_, _, updates, in_place) = counts(table).await;
            assert!(0 < updates && updates * 9 <= in_place * 10, "{table}: {in_place} of {updates} in place");
        }
    })
    .await;
}
