//! The operations side with a lot behind it, on one embedded PostgreSQL with fsync and synchronous commits.
//!
//! `make bench-operations` loads 5,000 teams, 50,000 people, 1,000,000 past assignments and 100,000 sites, measures over
//! real gRPC and writes `benches/results/operations.md`; `make bench-operations ARGS=--quick` is a small one to develop
//! with. The load generator lives in this process, on one thread, and shares the processors with the service and the
//! database. Every answer is checked: a check must find nothing, and a list must hold what the ground holds.

#[path = "../posting/cluster.rs"]
#[expect(dead_code, reason = "the other benchmark uses more of it")]
mod cluster;
#[path = "../posting/figures.rs"]
#[expect(dead_code, reason = "the other benchmark uses more of it")]
mod figures;
mod ground;
mod ids;
mod load;
#[path = "../posting/machine.rs"]
mod machine;
mod measures;
mod options;
mod plans;
mod report;
#[path = "../posting/service.rs"]
#[expect(dead_code, reason = "the other benchmark uses more of it")]
mod service;

use std::path::Path;

use clap::Parser as _;
use cluster::Cluster;
use machine::Machine;
use options::Options;
use report::Results;
use service::Service;
use tokio::signal::unix::{SignalKind, signal};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results");
const DRAFTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/operations");
const DATABASE: &str = "operations";

/// One thread, as in the other benchmark.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let cluster = Cluster::start().await?;
    let measured = tokio::select! {
        measured = run(&cluster, &options) => measured,
        told = told_to_end() => Err(told.err().unwrap_or_else(|| "ended by a signal".into())),
    };
    cluster.stop().await;
    write(&measured?, &options)
}

async fn run(cluster: &Cluster, options: &Options) -> Result<Results, Failure> {
    let sizes = options.sizes();
    cluster.make(DATABASE, None).await?;
    service::command(cluster, DATABASE, "migrate")?;
    let loaded = ground::load(cluster, sizes).await?;
    let service = Service::start(cluster, DATABASE)?;
    let measured = measures::all(service.address(), sizes).await;
    service.stop()?;
    let plans = plans::explain(cluster, sizes).await?;
    Ok(Results {
        machine: Machine::look(),
        command: "make bench-operations".to_owned(),
        settings: cluster.settings().await?,
        sizes,
        loaded,
        measured: measured?,
        plans,
    })
}

/// Waits for a signal. Handled, so that the processes and the folder of the run go with it.
async fn told_to_end() -> Result<(), Failure> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    Ok(())
}

fn write(results: &Results, options: &Options) -> Result<(), Failure> {
    // What is small must not stand where the figures of a full run are.
    let folder = Path::new(if options.complete() { RESULTS } else { DRAFTS });
    std::fs::create_dir_all(folder)?;
    let text = report::markdown(results);
    std::fs::write(folder.join("operations.md"), &text)?;
    std::fs::create_dir_all(DRAFTS)?;
    std::fs::write(Path::new(DRAFTS).join("plans.txt"), &results.plans)?;
    say(&text);
    progress(&format!("written to {}", folder.display()));
    Ok(())
}

/// A line about how far the run is.
#[expect(clippy::print_stderr, reason = "progress goes beside the figures")]
fn progress(line: &str) {
    eprintln!("{line}");
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn say(text: &str) {
    println!("{text}");
}
