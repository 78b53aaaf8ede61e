//! What `StreamBudgetReport` sends, in both deliveries.

use std::time::Instant;

use safelane::rpc::pb;
use safelane::rpc::pb::Delivery;
use safelane::rpc::pb::budget_report_service_client::BudgetReportServiceClient;
use safelane::rpc::pb::entry::Action;
use safelane::rpc::pb::stream_budget_report_request::Start;
use safelane::rpc::pb::stream_budget_report_response::Message;
use safelane::store::journal::leaf_hash;
use tokio::task::JoinSet;
use tonic::transport::Endpoint;

use crate::desk::{Desk, usd};
use crate::following::{
    Held, body, entries, from, held, live_a_busy_year, next, open, read_to, report, request, seconds, told,
    until, whole,
};
use crate::harness::{World, fresh_id, in_world};

const BOTH: [Delivery; 2] = [Delivery::State, Delivery::Entries];

#[tokio::test]
async fn a_stream_begins_with_a_snapshot_of_one_revision_in_parts() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let mut adding = JoinSet::new();
        for number in 0..510 {
            let mut funding = world.funding();
            let code = format!("G{number}");
            let purpose = pb::AllocationPurpose::Grant;
            let allocation = Some(desk.allocation(fresh_id(), desk.node("B"), &code, purpose));
            adding.spawn(async move {
                funding.create_allocation(pb::CreateAllocationRequest { allocation }).await.expect("added");
            });
        }
        adding.join_all().await;
        let expected = report(&world.reports(), &request(&desk, Delivery::State)).await;
        for delivery in BOTH {
            let all = whole(&world.reports(), until(0, &request(&desk, delivery))).await;
            let [begin, first, second, end, progress] = all.as_slice() else { panic!("{}", all.len()) };
            let Message::Begin(begin) = body(begin) else { panic!("{begin:?}") };
            assert_eq!(begin.revision, expected.revision);
            assert_eq!((begin.currency_code.as_str(), begin.minor_unit_exponent), ("USD", 2));
            assert_eq!(begin.progress_interval, seconds(15));
            assert!(uuid::Uuid::try_parse(&begin.feed_epoch).is_ok());
            let (Message::Snapshot(first), Message::Snapshot(second)) = (body(first), body(second)) else {
                panic!("{first:?}, {second:?}");
            };
            assert_eq!(first.rows.len(), 500);
            assert_eq!([first.rows.as_slice(), second.rows.as_slice()].concat(), expected.rows);
            let Message::SnapshotEnd(end) = body(end) else { panic!("{end:?}") };
            assert_eq!((end.revision, end.row_count), (expected.revision, 516));
            assert_eq!(end.totals, expected.totals);
            assert!(matches!(body(progress), Message::Progress(_)));
        }
    })
    .await;
}

#[tokio::test]
async fn entries_come_once_in_order_and_state_ends_on_the_report() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let mut state = open(&world.reports(), request(&desk, Delivery::State)).await.unwrap();
        let mut live = open(&world.reports(), request(&desk, Delivery::Entries)).await.unwrap();
        let mut other = open(&world.reports(), request(&desk, Delivery::Entries)).await.unwrap();
        let mut posted = Vec::new();
        live_a_busy_year(&desk, async |revision| posted.push(revision)).await;
        let head = *posted.last().expect("changes");
        let (mut states, mut lived, mut others) = (Vec::new(), Vec::new(), Vec::new());
        read_to(&mut state, head, &mut states).await;
        read_to(&mut live, head, &mut lived).await;
        read_to(&mut other, head, &mut others).await;
        let sent = entries(&lived);
        assert_eq!(sent.iter().map(|entry| entry.0).collect::<Vec<_>>(), journal_entries(world, &desk).await);
        assert_eq!(sent[0].1, 7, "the first entry names where the stream began");
        assert!(sent.windows(2).all(|pair| pair[1].1 == pair[0].0), "{sent:?}");
        assert_eq!(data(&lived), data(&others), "two subscribers see the same");
        let now = report(&world.reports(), &request(&desk, Delivery::State)).await;
        assert_eq!(Held::default().fold(&states), held(&now));
        for messages in [&states, &lived] {
            let changed = |sent: &pb::StreamBudgetReportResponse| match body(sent) {
                Message::PeriodChanged(told) => Some(told.period.as_ref().expect("a period").state()),
                _ => None,
            };
            let changed: Vec<_> = messages.iter().filter_map(changed).collect();
            assert_eq!(changed, [pb::PeriodState::Open, pb::PeriodState::Expired]);
        }
    })
    .await;
}

/// Messages other than progress.
fn data(all: &[pb::StreamBudgetReportResponse]) -> Vec<pb::StreamBudgetReportResponse> {
    all.iter().filter(|sent| !matches!(body(sent), Message::Progress(_))).cloned().collect()
}

async fn journal_entries(world: &World, desk: &Desk) -> Vec<i64> {
    stored(world, desk).await.into_iter().map(|(revision, _)| revision).collect()
}

/// The leaf hashes of entries, as stored.
async fn stored(world: &World, desk: &Desk) -> Vec<(i64, Vec<u8>)> {
    let scope: uuid::Uuid = desk.program_id.parse().unwrap();
    sqlx::query_as(
        "SELECT revision, leaf_hash FROM journal WHERE scope_id = $1 AND kind = 5 ORDER BY revision",
    )
    .bind(scope)
    .fetch_all(&mut world.database.connect().await)
    .await
    .unwrap()
}

#[tokio::test]
async fn all_history_is_streamed_as_the_bytes_that_the_journal_hashed() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        live_a_busy_year(&desk, async |_| {}).await;
        let head = desk.state().await.0;
        let history = from(Start::AfterRevision(0), &until(head, &request(&desk, Delivery::Entries)));
        let all = whole(&world.reports(), history).await;
        let hashed = |sent: &pb::StreamBudgetReportResponse| match body(sent) {
            Message::Entry(entry) => {
                let revision = entry.read().expect("an entry").revision;
                Some((revision, leaf_hash(&entry.stored).to_vec()))
            }
            _ => None,
        };
        let sent: Vec<(i64, Vec<u8>)> = all.iter().filter_map(hashed).collect();
        assert_eq!(sent, stored(world, &desk).await);
        let Message::Progress(last) = body(all.last().unwrap()) else { panic!("{:?}", all.last()) };
        assert_eq!(last.revision, head);
        assert!(matches!(body(&all[0]), Message::Begin(begin) if begin.revision == 0));
        let history = from(Start::AfterRevision(0), &until(head, &request(&desk, Delivery::State)));
        let all = whole(&world.reports(), history).await;
        let now = report(&world.reports(), &request(&desk, Delivery::State)).await;
        assert_eq!(Held::default().fold(&all), held(&now));
    })
    .await;
}

#[tokio::test]
async fn a_filter_leaves_out_the_rest_and_shows_no_gap() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let grant = pb::StreamBudgetReportRequest {
            allocation_id: desk.node("A1"),
            ..request(&desk, Delivery::Entries)
        };
        let period = pb::StreamBudgetReportRequest {
            period_id: desk.period_id.clone(),
            ..request(&desk, Delivery::Entries)
        };
        live_a_busy_year(&desk, async |_| {}).await;
        let head = desk.state().await.0;
        for filter in [grant, period] {
            let now = report(&world.reports(), &filter).await;
            let touched = touching(world, &desk, &now).await;
            assert!(touched.len() < journal_entries(world, &desk).await.len(), "the filter filters");
            let all = whole(&world.reports(), from(Start::AfterRevision(0), &until(head, &filter))).await;
            let sent = entries(&all);
            assert_eq!(sent.iter().map(|entry| entry.0).collect::<Vec<_>>(), touched);
            assert!(sent.windows(2).all(|pair| pair[1].1 == pair[0].0), "{sent:?}");
            assert_eq!(sent[0].1, 0);
            let state = pb::StreamBudgetReportRequest { delivery: Delivery::State.into(), ..filter };
            let all = whole(&world.reports(), from(Start::AfterRevision(0), &until(head, &state))).await;
            assert_eq!(Held::default().fold(&all), held(&now));
        }
    })
    .await;
}

/// Revisions of the entries that touched a row of the report.
async fn touching(world: &World, desk: &Desk, of: &pb::BudgetReport) -> Vec<i64> {
    let mut touched = Vec::new();
    let history = until(desk.state().await.0, &request(desk, Delivery::Entries));
    let all = whole(&world.reports(), from(Start::AfterRevision(0), &history)).await;
    for sent in &all {
        let Message::Entry(entry) = body(sent) else { continue };
        let entry = entry.read().unwrap();
        let ids: Vec<&String> = of.rows.iter().map(|row| &row.allocation_id).collect();
        if entry.allocations.iter().any(|touched| ids.contains(&&touched.allocation_id)) {
            touched.push(entry.revision);
        }
    }
    touched
}

#[tokio::test]
async fn a_quiet_stream_tells_of_progress_in_time_and_never_before_the_data() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let mut streams = Vec::new();
        for delivery in BOTH {
            let every_second =
                pb::StreamBudgetReportRequest { progress_interval: seconds(1), ..request(&desk, delivery) };
            streams.push(open(&world.reports(), every_second).await.unwrap());
        }
        for stream in &mut streams {
            while !matches!(body(&next(stream).await.unwrap()), Message::SnapshotEnd(_)) {}
        }
        let quiet = Instant::now();
        for beat in 1..=2 {
            for stream in &mut streams {
                let Message::Progress(progress) = body(&next(stream).await.unwrap()).clone() else {
                    panic!("nothing has happened")
                };
                assert_eq!(progress.revision, 7);
                assert!(quiet.elapsed().as_millis() < 1_000 * beat + 500, "{:?}", quiet.elapsed());
            }
        }
        let authorized = desk.post(desk.authorize(100)).await.unwrap().revision;
        for stream in &mut streams {
            let mut seen = false;
            loop {
                let sent = next(stream).await.unwrap();
                match body(&sent) {
                    Message::Progress(progress) if progress.revision == authorized => break,
                    Message::Progress(progress) => assert_eq!(progress.revision, 7),
                    _ => seen = told(&sent) == authorized,
                }
            }
            assert!(seen, "progress covers data that was not sent");
        }
    })
    .await;
}

#[tokio::test]
async fn a_bounded_stream_waits_for_its_end_and_closes() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let mut streams = Vec::new();
        for delivery in BOTH {
            streams.push(open(&world.reports(), until(9, &request(&desk, delivery))).await.unwrap());
        }
        desk.fund().await;
        for stream in &mut streams {
            let mut all = Vec::new();
            while let Some(sent) = next(stream).await {
                all.push(sent);
            }
            let Message::Progress(last) = body(all.last().unwrap()) else { panic!("{:?}", all.last()) };
            assert_eq!(last.revision, 9);
            assert!(all.iter().all(|sent| told(sent) <= 9));
        }
    })
    .await;
}

#[tokio::test]
async fn a_write_through_another_replica_reaches_the_stream() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let replica = world.replica().await;
        let mut streams = Vec::new();
        for delivery in BOTH {
            streams.push(open(&world.reports(), request(&desk, delivery)).await.unwrap());
        }
        let entry = desk.entry(desk.authorize(500));
        let posted = replica.funding().post_entry(pb::PostEntryRequest { entry: Some(entry) }).await;
        let revision = posted.unwrap().into_inner().revision;
        for stream in &mut streams {
            read_to(stream, revision, &mut Vec::new()).await;
        }
        drop(streams);
        replica.finish().await;
    })
    .await;
}

/// With a small window and long rows, most of what is posted finds the way to this reader blocked.
#[tokio::test]
async fn a_slow_reader_of_states_is_kept_and_ends_on_the_newest() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let purpose = pb::AllocationPurpose::Support;
        let long = pb::Allocation {
            title: "x".repeat(200),
            ..desk.allocation(fresh_id(), desk.node("B"), "LONG", purpose)
        };
        let (allocation_id, amount) = (long.allocation_id.clone(), usd(300));
        desk.create_allocation(long).await.unwrap();
        desk.post(Action::Allocate(pb::Allocate { allocation_id: allocation_id.clone(), amount }))
            .await
            .unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{}", world.address)).unwrap();
        let narrow = endpoint.initial_stream_window_size(1_024).connect().await.unwrap();
        let slow = request(&desk, Delivery::State);
        let mut stream = open(&BudgetReportServiceClient::new(narrow), slow.clone()).await.unwrap();
        let mut head = 0;
        for _ in 0..300 {
            let expense = pb::Expend { allocation_id: allocation_id.clone(), ..desk.expend("T1", 1) };
            head = desk.post(Action::Expend(expense)).await.unwrap().revision;
        }
        let mut all = Vec::new();
        read_to(&mut stream, head, &mut all).await;
        let now = report(&world.reports(), &slow).await;
        assert_eq!(Held::default().fold(&all), held(&now));
        let reports = all.iter().filter(|sent| matches!(body(sent), Message::Report(_))).count();
        assert!(reports < 300, "states in between are skipped");
    })
    .await;
}
