//! Many callers at once, on two replicas: nothing is spent twice, nobody waits for another program, and a
//! caller that goes away leaves nothing behind.

use safelane::app::writer::SHARDS;
use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use sqlx::PgConnection;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::desk::{Desk, reason};
use crate::expect::post_settled;
use crate::harness::{World, fresh_id, in_world};

const WRITERS: usize = 32;
/// Looks at the database until something has happened. Each look is a round trip, so this is a few seconds.
const LOOKS_MAX: u32 = 20_000;

#[tokio::test]
async fn parallel_writers_on_two_replicas_spend_exactly_what_is_available() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let replica = world.replica().await;
        let mut writers = JoinSet::new();
        for number in 0..WRITERS {
            let funding = if number % 2 == 0 { desk.funding.clone() } else { replica.funding() };
            // Together 64 million minor units of 40 million.
            let entries = [0; 4].map(|_| desk.entry(Action::Expend(desk.expend("T1", 500_000))));
            writers.spawn(async move {
                let mut answers = Vec::new();
                for entry in entries {
                    answers.push(post_settled(funding.clone(), entry).await);
                }
                answers
            });
        }
        let answers: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
        let (accepted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!((accepted.len(), refused.len()), (80, 48));
        for status in refused.into_iter().map(Result::unwrap_err) {
            let (name, metadata) = reason(&status);
            assert_eq!(name, "INSUFFICIENT_AVAILABLE");
            assert_eq!((&*metadata["available"], &*metadata["requested"]), ("0", "500000"));
        }
        let leaf = desk.buckets("T1").await;
        assert_eq!((leaf.available, leaf.expended), (0, 40_000_000));
        let mut revisions: Vec<i64> = accepted.into_iter().map(|answer| answer.unwrap().revision).collect();
        revisions.sort_unstable();
        assert!(revisions.windows(2).all(|pair| pair[0] + 1 == pair[1]), "no revision is skipped or shared");
        replica.finish().await;
    })
    .await;
}

/// A second program with a period, which is another writer's.
async fn second_program(desk: &Desk) -> (String, String) {
    let writer = |id: &str| id.parse::<uuid::Uuid>().unwrap().as_u128() % u128::from(SHARDS);
    let elsewhere = |id: &String| writer(id) != writer(&desk.program_id);
    let program_id = std::iter::repeat_with(fresh_id).find(elsewhere).unwrap();
    let period_id = fresh_id();
    let mut funding = desk.funding.clone();
    let program = pb::Program { program_id: program_id.clone(), code: "SECOND".to_owned(), ..desk.program() };
    funding.create_program(pb::CreateProgramRequest { program: Some(program) }).await.unwrap();
    let period = desk.period(&period_id, "FY1998", fresh_id());
    let period = pb::Period { program_id: program_id.clone(), ..period };
    funding.open_period(pb::OpenPeriodRequest { period: Some(period) }).await.unwrap();
    (program_id, period_id)
}

/// Takes the lock that every writer to a program needs first.
async fn hold(conn: &mut PgConnection, program_id: &str) {
    sqlx::query("BEGIN").execute(&mut *conn).await.unwrap();
    sqlx::query("SELECT 1 FROM journal_head WHERE scope_id = $1::uuid FOR UPDATE")
        .bind(program_id)
        .execute(conn)
        .await
        .unwrap();
}

/// Waits until this many sessions of the database are in a state.
async fn until(world: &World, state: &str, enough: impl Fn(i64) -> bool) {
    let mut conn = world.database.connect().await;
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND pid <> pg_backend_pid() AND {state}"
    );
    for _ in 0..LOOKS_MAX {
        let statement = sqlx::AssertSqlSafe(sql.clone());
        let count: i64 = sqlx::query_scalar(statement).fetch_one(&mut conn).await.unwrap();
        if enough(count) {
            return;
        }
    }
    panic!("never: {state}");
}

#[tokio::test]
async fn a_program_does_not_wait_for_another_one() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let (program_id, period_id) = second_program(&desk).await;
        let mut conn = world.database.connect().await;
        hold(&mut conn, &desk.program_id).await;
        let waiting = tokio::spawn(post_settled(desk.funding.clone(), desk.entry(desk.authorize(1))));
        until(world, "wait_event_type = 'Lock'", |count| count == 1).await;
        let authorize = Action::Authorize(pb::Authorize { period_id, amount: crate::desk::usd(1) });
        let entry = pb::Entry { program_id, ..desk.entry(authorize) };
        let answer = desk.post_entry(entry).await.unwrap();
        assert_eq!(answer.revision, 3);
        assert!(!waiting.is_finished(), "the first program is held");
        sqlx::query("ROLLBACK").execute(&mut conn).await.unwrap();
        waiting.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
async fn two_programs_written_at_once_both_keep_every_entry() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let (second, second_period) = second_program(&desk).await;
        let before = desk.state().await.0;
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            writers.spawn(post_settled(desk.funding.clone(), desk.entry(desk.authorize(1))));
            let period_id = second_period.clone();
            let authorize = Action::Authorize(pb::Authorize { period_id, amount: crate::desk::usd(1) });
            let entry = pb::Entry { program_id: second.clone(), ..desk.entry(authorize) };
            writers.spawn(post_settled(desk.funding.clone(), entry));
        }
        writers.join_all().await.into_iter().for_each(|answer| drop(answer.unwrap()));
        let (revision, period) = desk.state().await;
        assert_eq!((revision, period.authorization), (before + 32, 32));
        let request = pb::GetProgramRequest { program_id: second, min_revision: 0 };
        let other = desk.funding.clone().get_program(request).await.unwrap().into_inner();
        assert_eq!((other.revision, other.program.unwrap().periods[0].authorization), (2 + 32, 32));
    })
    .await;
}

#[tokio::test]
async fn of_sixteen_reversals_of_one_entry_exactly_one_wins() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let spent = desk.entry(Action::Expend(desk.expend("T1", 9)));
        desk.post_entry(spent.clone()).await.unwrap();
        let replica = world.replica().await;
        let mut callers = JoinSet::new();
        for number in 0..16 {
            let funding = if number % 2 == 0 { desk.funding.clone() } else { replica.funding() };
            callers.spawn(post_settled(funding, desk.entry(desk.reverse(&spent.entry_id))));
        }
        let answers = callers.join_all().await;
        let winner = answers.iter().find_map(|answer| answer.as_ref().ok()).expect("one wins");
        let winner = &winner.entry.as_ref().unwrap().entry_id;
        let lost: Vec<&Status> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert_eq!(lost.len(), 15);
        for status in lost {
            let (name, metadata) = reason(status);
            assert_eq!((name.as_str(), &metadata["reversed_by"]), ("ALREADY_REVERSED", winner));
        }
        assert_eq!(desk.buckets("T1").await.expended, 0);
        replica.finish().await;
    })
    .await;
}

#[tokio::test]
async fn of_sixteen_programs_with_one_code_exactly_one_is_recorded() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let replica = world.replica().await;
        let mut callers = JoinSet::new();
        for number in 0..16 {
            let mut funding = if number % 2 == 0 { desk.funding.clone() } else { replica.funding() };
            let new = pb::Program { program_id: fresh_id(), code: "ONE".to_owned(), ..desk.program() };
            callers.spawn(async move {
                let request = pb::CreateProgramRequest { program: Some(new) };
                funding.create_program(request).await.map(|_| ())
            });
        }
        let answers = callers.join_all().await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        for status in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(reason(status).0, "CODE_TAKEN");
        }
        replica.finish().await;
    })
    .await;
}

#[tokio::test]
async fn callers_that_go_away_leave_no_open_transaction_and_no_half_entry() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let mut conn = world.database.connect().await;
        hold(&mut conn, &desk.program_id).await;
        let entries: Vec<pb::Entry> =
            (0..WRITERS).map(|_| desk.entry(Action::Expend(desk.expend("T1", 1)))).collect();
        let mut callers = JoinSet::new();
        for entry in entries.clone() {
            callers.spawn(post_settled(desk.funding.clone(), entry));
        }
        // Some are in the middle of their transaction, the others wait for a connection.
        until(world, "wait_event_type = 'Lock'", |count| 0 < count).await;
        callers.abort_all();
        while let Some(ended) = callers.join_next().await {
            assert!(ended.unwrap_err().is_cancelled());
        }
        sqlx::query("ROLLBACK").execute(&mut conn).await.unwrap();
        until(world, "wait_event_type = 'Lock'", |count| count == 0).await;
        until(world, "state LIKE 'idle in transaction%'", |count| count == 0).await;
        // What was booked is told, what was not is booked now; either way each counts once.
        for entry in entries {
            post_settled(desk.funding.clone(), entry).await.unwrap();
        }
        assert_eq!(desk.buckets("T1").await.expended, 32);
        until(world, "state LIKE 'idle in transaction%'", |count| count == 0).await;
        let refused = desk.post(Action::Expend(desk.expend("T1", 40_000_000))).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
    })
    .await;
}
