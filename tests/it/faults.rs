//! The database goes away under a serving server and comes back.

use std::time::{Duration, Instant};

use safelane::rpc::pb;
use safelane::rpc::pb::Delivery;
use safelane::rpc::pb::get_budget_report_request::AsOf;
use safelane::store::embedded::{Embedded, Options};
use safelane::store::{Store, audit, migrate};
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use crate::binary::DataDir;
use crate::desk::{Desk, reason};
use crate::following::{entries, next, open, read_to, request, told};
use crate::harness::{TestDatabase, World, in_world};
use crate::lane::asking;

/// How soon readiness must show that the database is away: 3 s, and some for the machine.
const NOTICED: Duration = Duration::from_millis(3_500);
/// How soon all is well again once the database answers.
const RECOVERED: Duration = Duration::from_secs(20);

async fn start_cluster(place: &DataDir) -> Embedded {
    let data_dir = place.path().to_owned();
    let options = Options { data_dir, bin_dir: None, durable: true, max_connections: 30 };
    Embedded::start(options).await.expect("it starts")
}

/// Kills the server at once, with everyone in it, and frees its directory.
fn kill(cluster: Embedded) {
    let pid = cluster.pid().to_string();
    let killed = std::process::Command::new("kill").args(["-s", "KILL", "--", &format!("-{pid}")]).status();
    assert!(killed.expect("kill is there").success());
    drop(cluster);
}

/// Waits for a readiness, and tells how long that took.
async fn ready(world: &World, wanted: ServingStatus) -> Duration {
    let start = Instant::now();
    let mut health = HealthClient::new(world.channel());
    let polled = async {
        loop {
            let answer = health.check(asking("readiness")).await.expect("health answers");
            if answer.get_ref().status() == wanted {
                return start.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(RECOVERED, polled).await.expect("readiness changes")
}

/// A refusal that tells a client to come back, and nothing of what is inside.
fn assert_away(refused: &Status) {
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(["DATABASE_AWAY", "OUTCOME_UNKNOWN"].contains(&reason(refused).0.as_str()), "{refused:?}");
    let wait = refused.get_error_details().retry_info().and_then(|info| info.retry_delay);
    let pushback = refused.metadata().get("grpc-retry-pushback-ms").expect("the trailer");
    let milliseconds: u128 = pushback.to_str().expect("text").parse().expect("a number");
    assert_eq!(wait.expect("RetryInfo").as_millis(), milliseconds);
    assert_discreet(refused);
}

/// No word of the database, its driver or this machine.
fn assert_discreet(refused: &Status) {
    let shown = format!("{} {:?}", refused.message(), refused.get_error_details()).to_lowercase();
    let words =
        ["sqlx", "postgres", "sql", "pool", "socket", "os error", "relation", "constraint", "/", "::"];
    for word in words {
        assert!(!shown.contains(word), "{word:?} is shown: {shown}");
    }
}

#[tokio::test]
async fn a_database_that_is_killed_is_noticed_and_everything_goes_on_when_it_is_back() {
    let place = DataDir::new();
    let mut cluster = start_cluster(&place).await;
    let options = cluster.connect_options();
    let store = Store::new(options.clone(), 2);
    migrate::migrate(&store).await.expect("the migrations run");
    store.close().await;
    let world = World::start_on(TestDatabase { name: "safelane".to_owned(), options }, None).await;
    let desk = Desk::open(&world).await;
    desk.fund().await;
    let mut state = open(&world.reports(), request(&desk, Delivery::State)).await.unwrap();
    let mut live = open(&world.reports(), request(&desk, Delivery::Entries)).await.unwrap();
    let posting = keep_posting(&world, &desk);
    next(&mut live).await.unwrap();
    for _ in 0..2 {
        ready(&world, ServingStatus::Serving).await;
        kill(cluster);
        let noticed = ready(&world, ServingStatus::NotServing).await;
        assert!(noticed < NOTICED, "{noticed:?}");
        for refused in refusals(&world, &desk).await {
            assert_away(&refused);
        }
        cluster = start_cluster(&place).await;
        let back = ready(&world, ServingStatus::Serving).await;
        assert!(back < RECOVERED, "{back:?}");
        desk.post(desk.authorize(1)).await.expect("it is served again");
    }
    let acknowledged = posting.await.expect("no panic");
    assert_eq!(acknowledged.len(), ENTRIES);
    let head = desk.state().await.0;
    let (mut states, mut lived) = (Vec::new(), Vec::new());
    read_to(&mut live, head, &mut lived).await;
    read_to(&mut state, head, &mut states).await;
    let sent: Vec<i64> = entries(&lived).into_iter().map(|entry| entry.0).collect();
    assert_eq!(sent, (14..=head).collect::<Vec<_>>(), "nothing is lost or sent twice");
    assert!(acknowledged.iter().all(|revision| sent.contains(revision)), "every acknowledged entry is there");
    assert_eq!(head, 13 + 2 + i64::try_from(ENTRIES).unwrap(), "no entry was booked twice");
    assert!(states.iter().map(told).is_sorted_by(|a, b| *b == 0 || a <= b));
    let audited = Store::new(world.database.options.clone(), 1);
    assert_eq!(audit::audit_everything(&audited).await.expect("the audit runs"), []);
    audited.close().await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_database_that_hangs_is_noticed_and_calls_do_not_hang_with_it() {
    let place = DataDir::new();
    let cluster = start_cluster(&place).await;
    let options = cluster.connect_options();
    let store = Store::new(options.clone(), 2);
    migrate::migrate(&store).await.expect("the migrations run");
    store.close().await;
    let world = World::start_on(TestDatabase { name: "safelane".to_owned(), options }, None).await;
    let desk = Desk::open(&world).await;
    ready(&world, ServingStatus::Serving).await;
    signal_all(&place, "STOP");
    let (noticed, refused) = tokio::join!(ready(&world, ServingStatus::NotServing), async {
        let start = Instant::now();
        let refused = desk.post(desk.authorize(1)).await;
        (refused, start.elapsed())
    });
    signal_all(&place, "CONT");
    assert!(noticed < NOTICED, "{noticed:?}");
    assert_away(&refused.0.expect_err("nothing can be booked"));
    assert!(refused.1 < NOTICED, "{:?}", refused.1);
    ready(&world, ServingStatus::Serving).await;
    desk.post(desk.authorize(1)).await.expect("it is served again");
    cluster.stop().await;
}

/// Signals the server and everyone in it.
fn signal_all(place: &DataDir, name: &str) {
    let postmaster = place.postmaster().expect("it runs");
    let listed = std::process::Command::new("ps").args(["-o", "pid=", "--ppid", &postmaster]).output();
    let children = String::from_utf8(listed.expect("ps is there").stdout).expect("numbers");
    for pid in std::iter::once(postmaster.as_str()).chain(children.split_whitespace()) {
        std::process::Command::new("kill").args(["-s", name, pid]).output().expect("kill is there");
    }
}

/// How many entries are posted while the database comes and goes.
const ENTRIES: usize = 40;

/// Posts entries one after another, each again with its id until it is accepted. Answers their revisions.
fn keep_posting(world: &World, desk: &Desk) -> tokio::task::JoinHandle<Vec<i64>> {
    let mut funding = world.funding();
    let all: Vec<pb::Entry> = (0..ENTRIES).map(|_| desk.entry(desk.authorize(1))).collect();
    tokio::spawn(async move {
        let mut revisions = Vec::new();
        for entry in all {
            revisions.push(loop {
                let request = pb::PostEntryRequest { entry: Some(entry.clone()) };
                match funding.post_entry(request).await {
                    Ok(answer) => break answer.into_inner().revision,
                    Err(refused) => assert_away(&refused),
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            });
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        revisions
    })
}

/// One refusal of each kind of call.
async fn refusals(world: &World, desk: &Desk) -> Vec<Status> {
    let mut reports = world.reports();
    let report = pb::GetBudgetReportRequest {
        program_id: desk.program_id.clone(),
        as_of: Some(AsOf::AsOfRevision(9)),
        ..Default::default()
    };
    let get = pb::GetProgramRequest { program_id: desk.program_id.clone(), min_revision: 0 };
    let list = pb::ListProgramsRequest::default();
    let client = world.reports();
    let stream = open(&client, request(desk, Delivery::State));
    let answers = tokio::join!(desk.post(desk.authorize(1)), stream);
    let (mut one, mut many) = (world.funding(), world.funding());
    let reads =
        tokio::join!(reports.get_budget_report(report), one.get_program(get), many.list_programs(list));
    vec![
        answers.0.expect_err("no write"),
        answers.1.expect_err("no stream"),
        reads.0.expect_err("no report"),
        reads.1.expect_err("no program"),
        reads.2.expect_err("no list"),
    ]
}

#[tokio::test]
async fn a_fault_inside_shows_nothing_of_the_database() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let mut connection = world.database.connect().await;
        for (broken, mended) in [
            ("ALTER TABLE journal_head RENAME TO lost", "ALTER TABLE lost RENAME TO journal_head"),
            ("ALTER TABLE allocations RENAME TO lost", "ALTER TABLE lost RENAME TO allocations"),
            (
                "ALTER TABLE journal ADD CONSTRAINT lost CHECK (octet_length(payload) < 1) NOT VALID",
                "ALTER TABLE journal DROP CONSTRAINT lost",
            ),
        ] {
            sqlx::raw_sql(broken).execute(&mut connection).await.unwrap();
            let refused = desk.post(desk.authorize(1)).await.expect_err("it cannot be booked");
            assert_eq!((refused.code(), refused.message()), (Code::Internal, "internal error"), "{broken}");
            assert_discreet(&refused);
            sqlx::raw_sql(mended).execute(&mut connection).await.unwrap();
        }
        desk.post(desk.authorize(1)).await.expect("all is mended");
    })
    .await;
}
