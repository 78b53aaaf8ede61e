//! The evidence is worth as much as its checker: each of twelve known bugs is seeded into the real binary, and
//! the run that should notice it must find something.

use safelane::seeded::Bug;

use crate::evidence::load::Size;
use crate::evidence::scenario::Scenario;

/// Which run notices which bug.
const NOTICED_BY: [(Bug, Scenario); 12] = [
    (Bug::AcknowledgeBeforeCommit, Scenario::CutOneCommit),
    (Bug::ForgetHeadLock, Scenario::TwoReplicas),
    (Bug::IdOrderedFeed, Scenario::TwoReplicas),
    (Bug::SkipReplayCheck, Scenario::DeliverAgain),
    (Bug::TrustStaleWorkingSet, Scenario::TwoReplicas),
    (Bug::KeepWorkingSetAfterFailure, Scenario::CutOneCommit),
    (Bug::AnswersOutOfOrder, Scenario::HalfClose),
    (Bug::OneBadEntryFailsAll, Scenario::OneBadEntry),
    (Bug::QueueWithoutBounds, Scenario::SendTooMuch),
    (Bug::HalfCloseDropsWaiting, Scenario::HalfClose),
    (Bug::OtherContentIsAReplay, Scenario::DeliverAgain),
    (Bug::Overspend, Scenario::TwoReplicas),
];
/// Races do not happen every time: how many seeds a bug may hide from.
const SEEDS: std::ops::Range<u64> = 1_998..2_002;

async fn is_noticed(bug: Bug) {
    let found = NOTICED_BY.iter().find(|(listed, _)| *listed == bug);
    let (_, scenario) = *found.expect("every bug is in the table");
    for seed in SEEDS {
        if let Err(findings) = scenario.run(seed, Size::SMALL, Some(bug)).await {
            println!("{}: noticed by {scenario:?} with seed {seed}: {findings}", bug.name());
            return;
        }
    }
    panic!("{}: {scenario:?} notices nothing", bug.name());
}

#[test]
fn every_seeded_bug_has_a_run_that_should_notice_it() {
    for bug in Bug::ALL {
        assert_eq!(NOTICED_BY.iter().filter(|(listed, _)| *listed == bug).count(), 1, "{bug:?}");
    }
}

#[tokio::test]
async fn a_bug_of_an_unknown_name_stops_the_service() {
    let mut command = crate::binary::safelane(&["serve", "--listen", "127.0.0.1:0"]);
    let database = crate::harness::TestDatabase::create().await;
    command.env("DATABASE_URL", database.url()).env("SAFELANE_SEEDED_BUG", "no-such-bug");
    let output = crate::binary::output(command).await;
    assert_eq!(output.status.code(), Some(2));
    let told = crate::binary::text(&output.stderr);
    assert!(told.contains("no-such-bug") && told.contains("overspend"), "{told}");
    database.drop().await;
}

#[tokio::test]
async fn an_acknowledgement_before_the_commit_is_noticed() {
    is_noticed(Bug::AcknowledgeBeforeCommit).await;
}

#[tokio::test]
async fn a_forgotten_head_lock_is_noticed() {
    is_noticed(Bug::ForgetHeadLock).await;
}

#[tokio::test]
async fn a_feed_in_the_order_of_ids_is_noticed() {
    is_noticed(Bug::IdOrderedFeed).await;
}

#[tokio::test]
async fn a_retry_that_is_judged_anew_is_noticed() {
    is_noticed(Bug::SkipReplayCheck).await;
}

#[tokio::test]
async fn a_working_set_that_another_replica_made_stale_is_noticed() {
    is_noticed(Bug::TrustStaleWorkingSet).await;
}

#[tokio::test]
async fn a_working_set_that_is_kept_after_a_failure_is_noticed() {
    is_noticed(Bug::KeepWorkingSetAfterFailure).await;
}

#[tokio::test]
async fn answers_out_of_order_are_noticed() {
    is_noticed(Bug::AnswersOutOfOrder).await;
}

#[tokio::test]
async fn one_bad_entry_that_fails_its_batch_is_noticed() {
    is_noticed(Bug::OneBadEntryFailsAll).await;
}

#[tokio::test]
async fn a_queue_without_bounds_is_noticed() {
    is_noticed(Bug::QueueWithoutBounds).await;
}

#[tokio::test]
async fn entries_dropped_at_half_close_are_noticed() {
    is_noticed(Bug::HalfCloseDropsWaiting).await;
}

#[tokio::test]
async fn other_content_answered_as_a_replay_is_noticed() {
    is_noticed(Bug::OtherContentIsAReplay).await;
}

#[tokio::test]
async fn an_overspend_is_noticed() {
    is_noticed(Bug::Overspend).await;
}
