//! Field reports with a million behind them, on one embedded PostgreSQL with fsync and synchronous commits.
//!
//! `make bench-reports` loads 1,000,000 reports of one operator, measures lists, the queue of a reviewer and approvals over
//! real gRPC, then streams reports in beside plain INSERTs of the same bytes and of the same rows, and writes
//! `benches/results/field_reports.md`; `make bench-reports ARGS=--quick` is a small one to develop with. The load generator
//! lives in this process and shares the processors with the service and the database. Every answer is checked.

mod behind;
#[path = "../posting/cluster.rs"]
#[expect(dead_code, reason = "the other benchmark uses more of it")]
mod cluster;
#[path = "../posting/figures.rs"]
mod figures;
#[path = "../operations/ground.rs"]
#[expect(dead_code, reason = "the other benchmark uses more of it")]
mod ground;
#[path = "../operations/ids.rs"]
#[expect(dead_code, reason = "the other benchmark uses more of it")]
mod ids;
mod ingest;
#[path = "../operations/load.rs"]
mod load;
#[path = "../posting/machine.rs"]
mod machine;
mod measures;
#[path = "../operations/options.rs"]
mod options;
mod plain;
mod report;
#[path = "../posting/service.rs"]
#[expect(dead_code, reason = "the other benchmark uses more of it")]
mod service;
mod snapshot;

use std::path::Path;

use clap::Parser as _;
use cluster::Cluster;
use ingest::Ingested;
use machine::Machine;
use measures::Measured;
use options::{Options, Sizes};
use report::Results;
use service::Service;
use snapshot::Snapshot;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results");
const DRAFTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/field_reports");
const DATABASE: &str = "operations";
/// Operators; the first one has all the reports.
const OPERATORS: i64 = 4;

/// One thread, as in the other benchmarks.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let cluster = Cluster::start().await?;
    let measured = tokio::select! {
        measured = run(&cluster, &options) => measured,
        // The processes and the folder of the run go with it.
        told = tokio::signal::ctrl_c() => Err(told.err().map_or_else(|| "ended by a signal".into(), Failure::from)),
    };
    cluster.stop().await;
    write(&measured?, &options)
}

async fn run(cluster: &Cluster, options: &Options) -> Result<Results, Failure> {
    let sizes = options.sizes();
    let teams = sizes.teams() / OPERATORS;
    // Past assignments are for the other benchmark.
    let sizes = Sizes { operators: OPERATORS, teams, assignments: 0, ..sizes };
    let reports = if options.complete() { 1_000_000 } else { 20_000 };
    cluster.make(DATABASE, None).await?;
    service::command(cluster, DATABASE, "migrate")?;
    ground::load(cluster, sizes).await?;
    let loaded = behind::load(cluster, sizes, reports).await?;
    let service = Service::start(cluster, DATABASE)?;
    let found = measure(cluster, service.address(), sizes, reports).await;
    service.stop()?;
    let (snapshots, measured, ingested) = found?;
    Ok(Results {
        machine: Machine::look(),
        settings: cluster.settings().await?,
        sizes,
        loaded,
        snapshots,
        measured,
        ingested,
    })
}

type Found = (Vec<Snapshot>, Vec<Measured>, Ingested);

async fn measure(cluster: &Cluster, address: &str, sizes: Sizes, reports: i64) -> Result<Found, Failure> {
    let snapshots = snapshot::all(address, sizes, reports).await?;
    let measured = measures::all(address, sizes, reports).await?;
    Ok((snapshots, measured, ingest::measure(cluster, address, sizes).await?))
}

fn write(results: &Results, options: &Options) -> Result<(), Failure> {
    // What is small must not stand where the figures of a full run are.
    let folder = Path::new(if options.complete() { RESULTS } else { DRAFTS });
    std::fs::create_dir_all(folder)?;
    let text = report::markdown(results);
    std::fs::write(folder.join("field_reports.md"), &text)?;
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
