//! Posting against pgbench, in one run on one embedded PostgreSQL with fsync and synchronous commits.
//!
//! `make bench` prints a table and writes `benches/results/posting.md` and `posting.svg`; `make bench
//! ARGS=--quick` is a short one to develop with. The load generator lives in this process, on one thread, and
//! shares the processors with the service and the database; what it uses is told. Closed loops find the
//! throughput, open loops with a fixed schedule the latency. Every answer is checked, and after every load
//! the revisions, the money of each task and the journal are compared with what was answered.

mod answer;
mod baseline;
mod cluster;
mod cpu;
mod entry;
mod figures;
mod growth;
mod load;
mod machine;
mod options;
mod plot;
mod program;
mod proof;
mod report;
mod results;
mod run;
mod schedule;
mod service;
mod soak;
mod streamed;
mod table;
mod tally;
mod targets;
mod unary;
mod wire;

use std::path::Path;

use clap::Parser as _;

use cluster::Cluster;
use options::Options;
use results::Results;
use tokio::signal::unix::{SignalKind, signal};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results");
const DRAFTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/posting");

/// One thread is enough to fill two processors with work for others, and wakes nobody across threads.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let cluster = Cluster::start().await?;
    let measured = tokio::select! {
        measured = run::everything(&cluster, &options) => measured,
        told = told_to_end() => Err(told.err().unwrap_or_else(|| "ended by a signal".into())),
    };
    cluster.stop().await;
    write(&measured?, &options)
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
    // What is short or in parts must not stand where the figures of a full run are.
    let folder = Path::new(if options.complete() { RESULTS } else { DRAFTS });
    std::fs::create_dir_all(folder)?;
    let text = report::markdown(results);
    std::fs::write(folder.join("posting.md"), &text)?;
    if !results.points.is_empty() {
        plot::draw(results, &folder.join("posting.svg"))?;
    }
    if options.json {
        let json = serde_json::to_string_pretty(results)?;
        std::fs::write(folder.join("posting.json"), json + "\n")?;
    }
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
