//! Crash and race evidence: a history of everything that clients did and heard, judged by a model that does
//! not know the service. See README.md in this folder.
//!
//! Each run is short in `make test` and long in `make torture`.
#![expect(clippy::print_stdout, reason = "a long run shows how far it is, and what it met")]

pub(crate) mod chance;
mod check;
mod clerk;
mod commit_cut;
pub(crate) mod crash;
mod deliveries;
mod finding;
mod follower;
mod forged;
mod history;
pub(crate) mod link;
mod load;
mod model;
mod overload;
mod proxy;
mod reading;
mod replicas;
mod rig;
mod scenario;
// A release build has no bugs to seed.
#[cfg(debug_assertions)]
mod seeded;
mod storm;
mod streams;
pub(crate) mod torture;
mod wire;

use crate::evidence::scenario::Scenario;
use crate::evidence::torture::holds;

#[tokio::test]
async fn two_replicas_interleave_as_one_ledger() {
    holds(Scenario::TwoReplicas).await;
}

#[tokio::test]
async fn a_service_that_is_killed_loses_and_doubles_nothing() {
    holds(Scenario::KillTheService).await;
}

#[tokio::test]
async fn a_postgres_that_is_killed_loses_and_doubles_nothing() {
    holds(Scenario::KillPostgres).await;
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown_and_a_retry_tells() {
    holds(Scenario::CutOneCommit).await;
}

#[tokio::test]
async fn a_booking_whose_answer_is_lost_is_found_again_by_the_service() {
    holds(Scenario::CutBookings).await;
}

#[tokio::test]
async fn commits_that_are_cut_under_load_lose_and_double_nothing() {
    holds(Scenario::CutCommitsUnderLoad).await;
}

#[tokio::test]
async fn a_storm_of_dropped_calls_leaves_no_open_transaction() {
    holds(Scenario::DropCalls).await;
}

#[tokio::test]
async fn deliveries_that_are_late_doubled_and_out_of_order_count_once() {
    holds(Scenario::DeliverAgain).await;
}

#[tokio::test]
async fn a_bad_entry_is_refused_alone() {
    holds(Scenario::OneBadEntry).await;
}

#[tokio::test]
async fn what_waits_at_half_close_is_answered() {
    holds(Scenario::HalfClose).await;
}

#[tokio::test]
async fn a_malformed_message_ends_only_its_own_stream() {
    holds(Scenario::MalformedMessage).await;
}

#[tokio::test]
async fn too_many_calls_are_refused_at_once_and_the_service_recovers() {
    holds(Scenario::SendTooMuch).await;
}
