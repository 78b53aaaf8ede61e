//! In which tables something stands that must stand in none, or only there.

use std::collections::BTreeSet;

use safelane::app::personal_key::hex;
use sqlx::AssertSqlSafe;

use crate::harness::World;

/// Names of the tables in which a text stands, in the clear or as bytes.
pub(crate) async fn tables_with(world: &World, text: &str) -> BTreeSet<String> {
    let mut conn = world.database.connect().await;
    let names = sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'");
    let names: Vec<String> = names.fetch_all(&mut conn).await.unwrap();
    assert!(30 < names.len(), "{names:?}");
    let bytes = hex(text.as_bytes());
    let mut found = BTreeSet::new();
    for name in names {
        let statement = format!(
            "SELECT EXISTS (SELECT FROM {name} t WHERE strpos(t::text, '{text}') <> 0 OR strpos(t::text, '{bytes}') <> 0)"
        );
        if sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&mut conn).await.unwrap() {
            found.insert(name);
        }
    }
    found
}
