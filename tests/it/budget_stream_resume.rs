//! Going on where a budget stream was left, and what refuses to open one.

use std::time::{Duration, Instant};

use safelane::rpc::pb;
use safelane::rpc::pb::Delivery;
use safelane::rpc::pb::stream_budget_report_request::Start;
use safelane::rpc::pb::stream_budget_report_response::Message;
use safelane::store::migrate::renew_epoch;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::desk::{Desk, bad_fields, reason};
use crate::following::{
    Client, Held, YEAR_END, body, entries, from, held, live_a_busy_year, next, open, report, request,
    seconds, until, whole,
};
use crate::harness::{World, connect, fresh_id, in_world};

/// The most streams of one caller.
const STREAMS_MAX: usize = 200;
/// The most calls on one connection.
const CALLS_MAX: usize = 100;

async fn refusal(client: &Client, request: pb::StreamBudgetReportRequest) -> Status {
    open(client, request).await.expect_err("a refusal before the first message")
}

/// A busy year as it was streamed live, from the snapshot to the progress after its last change.
async fn recorded(
    world: &World,
    desk: &Desk,
    request: &pb::StreamBudgetReportRequest,
) -> Vec<pb::StreamBudgetReportResponse> {
    let mut stream = open(&world.reports(), request.clone()).await.unwrap();
    let read = async {
        let mut all = Vec::new();
        loop {
            all.push(next(&mut stream).await.expect("the stream goes on"));
            if matches!(body(&all[all.len() - 1]), Message::Progress(told) if told.revision == YEAR_END) {
                return all;
            }
        }
    };
    tokio::join!(read, live_a_busy_year(desk, async |_| {})).0
}

fn filters(desk: &Desk, delivery: Delivery) -> [pb::StreamBudgetReportRequest; 2] {
    let all = pb::StreamBudgetReportRequest { progress_interval: seconds(1), ..request(desk, delivery) };
    [all.clone(), pb::StreamBudgetReportRequest { allocation_id: desk.node("A1"), ..all }]
}

/// Whether the snapshot was not complete yet.
fn unfinished(sent: &pb::StreamBudgetReportResponse) -> bool {
    matches!(body(sent), Message::Begin(_) | Message::Snapshot(_))
}

#[tokio::test]
async fn entries_go_on_from_every_message_without_loss_or_repetition() {
    for filter in 0..2 {
        in_world(async |world| {
            let desk = Desk::open(world).await;
            let request = filters(&desk, Delivery::Entries)[filter].clone();
            let live = recorded(world, &desk, &request).await;
            let now = held(&report(&world.reports(), &request).await);
            let all = data(&live);
            assert!(10 <= all.len(), "{all:?}");
            for (place, sent) in live.iter().enumerate() {
                let start = Start::ResumeToken(sent.resume_token.clone());
                let rest = whole(&world.reports(), from(start, &until(YEAR_END, &request))).await;
                if unfinished(sent) {
                    assert_eq!(Held::default().fold(&rest), now, "after message {place}");
                    continue;
                }
                let joined = [data(&live[..=place]), data(&rest)].concat();
                assert_eq!(joined, all, "after message {place}");
                // Each entry names the same one before it as in the stream that was never cut.
                let chained = [entries(&live[..=place]), entries(&rest)].concat();
                assert_eq!(chained, entries(&live), "after message {place}");
            }
        })
        .await;
    }
}

#[tokio::test]
async fn what_was_missed_is_sent_at_once_and_not_at_the_next_poll() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let missed = until(13, &from(Start::AfterRevision(7), &request(&desk, Delivery::Entries)));
        let start = Instant::now();
        for _ in 0..8 {
            assert_eq!(entries(&whole(&world.reports(), missed.clone()).await).len(), 6);
        }
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    })
    .await;
}

/// Revisions of entries and of changes of periods.
fn data(all: &[pb::StreamBudgetReportResponse]) -> Vec<i64> {
    let revision = |sent: &pb::StreamBudgetReportResponse| match body(sent) {
        Message::Entry(entry) => Some(entry.read().expect("an entry").revision),
        Message::PeriodChanged(changed) => Some(changed.revision),
        _ => None,
    };
    all.iter().filter_map(revision).collect()
}

#[tokio::test]
async fn state_goes_on_from_every_message_to_the_same_report() {
    for filter in 0..2 {
        in_world(async |world| {
            let desk = Desk::open(world).await;
            let request = filters(&desk, Delivery::State)[filter].clone();
            let live = recorded(world, &desk, &request).await;
            let now = held(&report(&world.reports(), &request).await);
            let reports = live.iter().filter(|sent| matches!(body(sent), Message::Report(_))).count();
            assert!(2 < reports, "{live:?}");
            let expired = *data(&live).last().expect("the period expires");
            for (place, sent) in live.iter().enumerate() {
                let start = Start::ResumeToken(sent.resume_token.clone());
                let rest = whole(&world.reports(), from(start, &until(YEAR_END, &request))).await;
                assert_eq!(Held::default().fold(live[..=place].iter().chain(&rest)), now, "after {place}");
                assert_eq!(
                    rest.iter().any(|sent| matches!(body(sent), Message::Snapshot(_))),
                    unfinished(sent)
                );
                if !unfinished(sent) {
                    let told = [data(&live[..=place]), data(&rest)].concat();
                    assert!(told.contains(&expired), "after {place}: {told:?}");
                }
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_token_fits_only_its_own_stream() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let other = pb::Program { program_id: fresh_id(), code: "OTHER".to_owned(), ..desk.program() };
        let elsewhere = other.program_id.clone();
        world.funding().create_program(pb::CreateProgramRequest { program: Some(other) }).await.unwrap();
        let own = request(&desk, Delivery::Entries);
        let token = next(&mut open(&world.reports(), own.clone()).await.unwrap()).await.unwrap().resume_token;
        let start = Start::ResumeToken(token.clone());
        let mut changed = token.clone();
        changed.replace_range(3..4, if &token[3..4] == "A" { "B" } else { "A" });
        for strange in [
            from(start.clone(), &request(&desk, Delivery::State)),
            pb::StreamBudgetReportRequest { program_id: elsewhere, ..from(start.clone(), &own) },
            pb::StreamBudgetReportRequest { period_id: desk.period_id.clone(), ..from(start.clone(), &own) },
            pb::StreamBudgetReportRequest { allocation_id: desk.node("A"), ..from(start.clone(), &own) },
            from(Start::ResumeToken(changed), &own),
            from(Start::ResumeToken(String::new()), &own),
        ] {
            let refused = refusal(&world.reports(), strange.clone()).await;
            assert_eq!(refused.code(), Code::InvalidArgument, "{strange:?}");
            assert_eq!(reason(&refused).0, "RESUME_TOKEN_INVALID");
            assert_eq!(bad_fields(&refused), ["resume_token"]);
        }
        open(&world.reports(), from(start, &own)).await.expect("its own stream goes on");
    })
    .await;
}

#[tokio::test]
async fn a_token_of_the_history_before_a_restored_backup_is_refused() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let own = request(&desk, Delivery::Entries);
        let begin = next(&mut open(&world.reports(), own.clone()).await.unwrap()).await.unwrap();
        let start = Start::ResumeToken(begin.resume_token.clone());
        let Message::Begin(before) = body(&begin) else { panic!("{begin:?}") };
        renew_epoch(&world.store).await.unwrap();
        let replica = world.replica().await;
        let refused = refusal(&replica.reports(), from(start, &own)).await;
        assert_eq!(refused.code(), Code::FailedPrecondition);
        let (name, facts) = reason(&refused);
        assert_eq!(name, "RESUME_TOKEN_EPOCH");
        assert_eq!(facts["token_epoch"], before.feed_epoch);
        let begin = next(&mut open(&replica.reports(), own).await.unwrap()).await.unwrap();
        assert!(matches!(body(&begin), Message::Begin(now) if now.feed_epoch == facts["feed_epoch"]));
        replica.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_cannot_be_is_refused_before_its_first_message() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let own = request(&desk, Delivery::Entries);
        for delivery in [Delivery::State, Delivery::Entries] {
            let ahead = from(Start::AfterRevision(8), &request(&desk, delivery));
            let refused = refusal(&world.reports(), ahead).await;
            assert_eq!(refused.code(), Code::FailedPrecondition);
            let (name, facts) = reason(&refused);
            assert_eq!((name.as_str(), facts["revision"].as_str()), ("REVISION_AHEAD", "7"));
        }
        let strange = [
            pb::StreamBudgetReportRequest { program_id: fresh_id(), ..own.clone() },
            pb::StreamBudgetReportRequest { period_id: fresh_id(), ..own.clone() },
            pb::StreamBudgetReportRequest { allocation_id: fresh_id(), ..own.clone() },
        ];
        for unknown in strange {
            assert_eq!(refusal(&world.reports(), unknown).await.code(), Code::NotFound);
        }
        let nanos = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
        for bad in [nanos(0, 999_999_999), nanos(60, 1), nanos(-1, 0), nanos(i64::MAX, i32::MAX)] {
            let asked = pb::StreamBudgetReportRequest { progress_interval: bad, ..own.clone() };
            assert_eq!(bad_fields(&refusal(&world.reports(), asked).await), ["progress_interval"], "{bad:?}");
        }
        for (delivery, bad) in [(Delivery::State, nanos(61, 0)), (Delivery::Entries, nanos(1, 0))] {
            let asked =
                pb::StreamBudgetReportRequest { min_update_interval: bad, ..request(&desk, delivery) };
            assert_eq!(bad_fields(&refusal(&world.reports(), asked).await), ["min_update_interval"]);
        }
        let mute = pb::StreamBudgetReportRequest {
            start: Some(Start::AfterRevision(-1)),
            until_revision: Some(-1),
            ..request(&desk, Delivery::Unspecified)
        };
        let fields = bad_fields(&refusal(&world.reports(), mute).await);
        assert_eq!(fields, ["delivery", "after_revision", "until_revision"]);
    })
    .await;
}

#[tokio::test]
async fn a_caller_has_two_hundred_streams_and_a_dropped_one_frees_its_seat() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let own = request(&desk, Delivery::State);
        let mut streams = Vec::new();
        for _ in 0..STREAMS_MAX / CALLS_MAX {
            let client = Client::new(connect(world.address).await);
            for _ in 0..CALLS_MAX {
                streams.push(open(&client, own.clone()).await.expect("a seat is free"));
            }
        }
        let client = Client::new(connect(world.address).await);
        let refused = refusal(&client, own.clone()).await;
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let (name, facts) = reason(&refused);
        assert_eq!((name.as_str(), facts["max"].as_str()), ("QUOTA_EXCEEDED", "200"));
        let details = refused.get_error_details();
        assert!(details.retry_info().is_some_and(|info| info.retry_delay.is_some()));
        assert_eq!(details.quota_failure().map(|failure| failure.violations.len()), Some(1));
        streams.truncate(STREAMS_MAX - 2);
        let freed = async {
            let mut again = Vec::new();
            while again.len() < 2 {
                if let Ok(stream) = open(&client, own.clone()).await {
                    again.push(stream);
                }
            }
            again
        };
        let again = tokio::time::timeout(Duration::from_secs(10), freed).await.expect("seats are freed");
        assert_eq!(refusal(&client, own.clone()).await.code(), Code::ResourceExhausted);
        drop(again);
    })
    .await;
}
