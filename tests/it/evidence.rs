//! Crash and race evidence: a history of everything that clients did and heard, judged by a model that does
//! not know the service. See README.md in this folder.
//!
//! Each run is short in `make test` and long in `make torture`.

mod chance;
mod check;
mod clerk;
mod crash;
mod follower;
mod history;
mod link;
mod load;
mod model;
mod proxy;
mod reading;
mod replicas;
mod rig;
mod torture;

use crate::evidence::rig::Rig;
use crate::evidence::torture::{run, size};

#[tokio::test]
async fn two_replicas_interleave_as_one_ledger() {
    run("two replicas", async |seed| {
        let mut rig = Rig::new(seed, None).await;
        let verdict = replicas::share_the_money(&mut rig, size()).await;
        rig.remove().await;
        verdict
    })
    .await;
}

#[tokio::test]
async fn a_service_that_is_killed_loses_and_doubles_nothing() {
    run("kill the service", async |seed| {
        let mut rig = Rig::new(seed, None).await;
        let verdict = crash::kill_the_service(&mut rig, size()).await;
        rig.remove().await;
        verdict
    })
    .await;
}

#[tokio::test]
async fn a_postgres_that_is_killed_loses_and_doubles_nothing() {
    run("kill PostgreSQL", async |seed| crash::kill_postgres(seed, size()).await).await;
}
