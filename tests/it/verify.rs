//! `VerifyLedger` on a busy ledger: it holds, and after each kind of tampering it says what does not.

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use safelane::rpc::pb::verify_ledger_response::Message;
use sqlx::{AssertSqlSafe, PgConnection};
use tonic::Code;

use crate::desk::{Desk, usd};
use crate::expect::refuses;
use crate::harness::{fresh_id, in_world};

const TABLES: [&str; 7] =
    ["journal_head", "journal", "periods", "allocations", "reservations", "obligations", "reversals"];

/// Books something of everything, two periods, a reversal and an increase included.
async fn busy(desk: &Desk) -> i64 {
    desk.fund().await;
    let (held, promised, second) = (fresh_id(), fresh_id(), fresh_id());
    let period = desk.period(&second, "FY1999", fresh_id());
    desk.funding.clone().open_period(pb::OpenPeriodRequest { period: Some(period) }).await.unwrap();
    let carry_over =
        pb::CarryOver { from_period_id: desk.period_id.clone(), to_period_id: second, amount: usd(77) };
    let spent = desk.entry(Action::Expend(desk.expend("T1", 5)));
    let mut entries = vec![desk.entry(Action::Increase(desk.increase())), desk.entry(desk.rescind(3))];
    entries.push(desk.entry(desk.authorize(1_000)));
    for action in [
        Action::CarryOver(carry_over),
        desk.reserve(&held, "T1", 1_000),
        Action::Obligate(pb::Obligate {
            reservation_id: held.clone(),
            ..desk.obligate(&promised, "T1", 900)
        }),
        desk.disburse(&promised, 400),
        Action::Expend(desk.pay(pb::ExpendSource::Advanced, &promised, 200)),
        desk.refund(&promised, 100),
        desk.deobligate(&promised, 50),
    ] {
        entries.push(desk.entry(action));
    }
    // An authorization pays for the rescission and the carry-over, so it comes before them.
    entries.swap(1, 2);
    entries.extend([spent.clone(), desk.entry(desk.reverse(&spent.entry_id))]);
    let count = entries.len();
    for entry in entries {
        desk.post_entry(entry).await.unwrap();
    }
    // Authorize and five allocations of `fund` come on top.
    i64::try_from(count + 6).unwrap()
}

async fn verify(desk: &Desk) -> pb::VerifyVerdict {
    let request = pb::VerifyLedgerRequest { program_id: desk.program_id.clone() };
    let mut told = desk.funding.clone().verify_ledger(request).await.unwrap().into_inner();
    let mut last = 0;
    loop {
        match told.message().await.unwrap().expect("a verdict ends the stream").message.unwrap() {
            Message::Progress(progress) => {
                assert!(last < progress.revision);
                last = progress.revision;
            }
            Message::Verdict(verdict) => {
                assert!(told.message().await.unwrap().is_none(), "the verdict is the last message");
                return verdict;
            }
        }
    }
}

#[tokio::test]
async fn a_busy_ledger_holds_and_every_invariant_is_told() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let entries = busy(&desk).await;
        let verdict = verify(&desk).await;
        assert!(verdict.holds, "{verdict:#?}");
        let revision = desk.state().await.0;
        assert_eq!(
            (verdict.revision, verdict.events_read, verdict.entries_read),
            (revision, revision, entries)
        );
        assert_eq!(verdict.first_difference, "");
        let mut names: Vec<&str> = verdict.invariants.iter().map(|invariant| &*invariant.name).collect();
        assert_eq!(names.len(), 35);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 35, "every invariant has a name of its own");
        for invariant in &verdict.invariants {
            assert!(invariant.holds && invariant.differences == 0 && !invariant.meaning.is_empty());
        }
        let id = fresh_id();
        let request = pb::VerifyLedgerRequest { program_id: id.clone() };
        let missing = desk.funding.clone().verify_ledger(request).await.map(|_| ());
        refuses(missing, Code::NotFound, "NOT_FOUND", &[("kind", "program"), ("id", &id)]);
    })
    .await;
}

/// Runs statements as an attacker with the database in hand: no foreign keys, no triggers.
async fn run(conn: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(format!("SET session_replication_role = replica; {sql}")))
        .execute(conn)
        .await
        .unwrap();
}

/// Each tampering, with the invariants that it must break.
fn tamperings(desk: &Desk) -> Vec<(String, &'static [&'static str])> {
    let (leaf, child) = (desk.node("T1"), desk.node("B"));
    let last = "revision = (SELECT max(revision) FROM journal WHERE scope_id = {scope})";
    let first_entry = "revision = (SELECT min(revision) FROM journal WHERE scope_id = {scope} AND kind = 5)";
    let of = |sql: String| sql.replace("{scope}", &format!("'{}'", desk.program_id));
    let flip = |column: &str, place: &str, which: &str| {
        let table = "UPDATE journal SET";
        let byte = format!("set_byte({column}, {place}, get_byte({column}, {place}) # 1)");
        of(format!("{table} {column} = {byte} WHERE scope_id = {{scope}} AND {which}"))
    };
    vec![
        (
            format!(
                "UPDATE allocations SET available = available - 5, reserved = reserved + 5 WHERE allocation_id = '{leaf}'"
            ),
            &["stored_balances_are_the_replay", "reservations_sum_to_reserved"],
        ),
        (
            format!(
                "UPDATE allocations SET available = available + 5, expended = expended - 5, expended_out = expended_out + 5 WHERE allocation_id = '{leaf}'"
            ),
            &["stored_balances_are_the_replay"],
        ),
        (
            format!(
                "UPDATE allocations SET received = received + 5, received_in = received_in + 5, available = available + 5 WHERE allocation_id = '{child}'"
            ),
            &["stored_balances_are_the_replay", "children_sum_to_allocated_out"],
        ),
        (
            format!("UPDATE allocations SET child_count = 1 WHERE allocation_id = '{child}'"),
            &["stored_balances_are_the_replay", "child_count_is_exact"],
        ),
        (
            format!("UPDATE allocations SET title = 'another' WHERE allocation_id = '{child}'"),
            &["stored_balances_are_the_replay"],
        ),
        (
            flip("payload", "octet_length(payload) - 1", last),
            &["events_are_readable", "leaf_hash_is_of_the_payload"],
        ),
        (flip("leaf_hash", "0", first_entry), &["events_are_readable", "leaf_hash_is_of_the_payload"]),
        (
            of(format!("DELETE FROM journal WHERE scope_id = {{scope}} AND {first_entry}")),
            &["events_are_readable", "journal_has_no_gap"],
        ),
        (
            of(format!("DELETE FROM journal WHERE scope_id = {{scope}} AND {last}")),
            &["journal_has_no_gap", "stored_reversals_are_the_replay"],
        ),
        ("DELETE FROM reversals".to_owned(), &["stored_reversals_are_the_replay"]),
        (
            "UPDATE obligations SET obligated = obligated + 1".to_owned(),
            &["stored_balances_are_the_replay", "obligations_sum_to_buckets"],
        ),
        (
            "UPDATE obligations SET payee_name = 'somebody else'".to_owned(),
            &["stored_balances_are_the_replay"],
        ),
        (
            "UPDATE reservations SET remaining = remaining - 1".to_owned(),
            &["stored_balances_are_the_replay", "reservations_sum_to_reserved"],
        ),
        (
            "UPDATE periods SET authorized = authorized + 1".to_owned(),
            &["stored_balances_are_the_replay", "authorization_is_the_root"],
        ),
        ("UPDATE periods SET state = 'CLOSED'".to_owned(), &["stored_balances_are_the_replay"]),
        (
            of("UPDATE journal_head SET revision = revision + 1 WHERE scope_id = {scope}".to_owned()),
            &["journal_has_no_gap"],
        ),
        (
            of("UPDATE journal_head SET revision = revision - 1 WHERE scope_id = {scope}".to_owned()),
            &["journal_has_no_gap"],
        ),
        (
            of(format!(
                "UPDATE journal SET recorded_at = '1990-01-01Z' WHERE scope_id = {{scope}} AND {last}"
            )),
            &["time_never_goes_back"],
        ),
        (
            // All of the past, so that the order still holds.
            of("UPDATE journal SET recorded_at = recorded_at - interval '400 days' WHERE scope_id = {scope}".to_owned()),
            &["events_are_readable", "head_time_is_that_of_the_last"],
        ),
        (
            // Two entries change places with their hashes.
            of("UPDATE journal j SET payload = o.payload, leaf_hash = o.leaf_hash FROM journal o \
                WHERE j.scope_id = {scope} AND o.scope_id = {scope} AND (j.revision, o.revision) IN ((9, 10), (10, 9))"
                .to_owned()),
            &["events_are_readable"],
        ),
    ]
}

#[tokio::test]
async fn every_tampering_is_found_and_named() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        busy(&desk).await;
        let mut conn = world.database.connect().await;
        for table in TABLES {
            run(&mut conn, format!("CREATE TABLE kept_{table} AS TABLE {table}")).await;
        }
        for (sql, broken) in tamperings(&desk) {
            run(&mut conn, sql.clone()).await;
            let verdict = verify(&desk).await;
            assert!(!verdict.holds, "not found: {sql}");
            assert_ne!(verdict.first_difference, "", "not told: {sql}");
            for name in broken {
                let found = verdict.invariants.iter().find(|invariant| invariant.name == *name);
                assert!(!found.expect("a known name").holds, "{name} holds after {sql}");
            }
            for table in TABLES {
                run(&mut conn, format!("DELETE FROM {table}; INSERT INTO {table} TABLE kept_{table}")).await;
            }
            assert!(verify(&desk).await.holds, "the rows are back after {sql}");
        }
    })
    .await;
}
