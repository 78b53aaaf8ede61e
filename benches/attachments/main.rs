//! Uploads of photos against plain copies of the same photos through the same loopback, in the same run.
//!
//! `make bench-attachments` starts a PostgreSQL with fsync and the service as it is shipped, uploads photos over one and
//! over four connections, and lets a bare TCP server write the same bytes with the same flushes to the same disk: each file
//! into a file of its own, flushed every 8 MiB and at its end, moved to its place, and the folder flushed. It is as plain as
//! that: it does not tell the disk to begin earlier, as the service does, and it moves the file before it answers, where the
//! service makes a link and takes the first name away afterwards. Rounds alternate, and medians count. The load generator lives in this process, on one thread for each connection, and shares the processors
//! with the service and the database. `ARGS=--quick` is a small one to develop with.

#[path = "../posting/cluster.rs"]
#[expect(dead_code, reason = "the other benchmark uses more of it")]
mod cluster;
#[path = "../posting/figures.rs"]
mod figures;
#[path = "../posting/machine.rs"]
mod machine;
mod photos;
mod plain;
mod report;
#[path = "../posting/service.rs"]
#[expect(dead_code, reason = "the other benchmark uses more of it")]
mod service;
mod uploads;

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use clap::Parser;
use cluster::Cluster;
use figures::{Hundredths, median};
use machine::Machine;
use photos::Photos;
use report::{Point, Results};
use rustix::fs::{Advice, fadvise};
use service::Service;
use uploads::Team;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results");
const DRAFTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/attachments");
const DATABASE: &str = "attachments";
/// Tablets have the allocator of the binary as well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections at a time.
const LANES: [usize; 2] = [1, 4];

/// Measures uploads against plain copies.
#[derive(Debug, Parser)]
#[command(name = "attachments")]
struct Options {
    /// One round of few photos, to develop with
    #[arg(long)]
    quick: bool,
    /// Bytes of a photo
    #[arg(long, default_value_t = 3_000_000)]
    bytes: usize,
    /// Cargo says so to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let results = runtime.block_on(async {
        let cluster = Cluster::start().await?;
        let measured = run(&cluster, &options).await;
        cluster.stop().await;
        measured
    })?;
    write(&results, &options)
}

async fn run(cluster: &Cluster, options: &Options) -> Result<Results, Failure> {
    let before = load();
    let (rounds, count) = if options.quick { (1, 16) } else { (15, 80) };
    cluster.make(DATABASE, None).await?;
    service::command(cluster, DATABASE, "migrate")?;
    let service = Service::start(cluster, DATABASE)?;
    let team = Team::record(service.address()).await?;
    let folder = cluster.folder().join("plain");
    let plain = plain::Server::start(&folder)?;
    let mut points = Vec::new();
    for lanes in LANES {
        let (mut copied, mut uploaded) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let photos = Photos::make(u64::try_from(lanes * 100 + round)?, count, options.bytes);
            let begun = Instant::now();
            plain.copy(&photos, lanes)?;
            copied.push(rate(&photos, begun)?);
            let report = team.declare(&photos).await?;
            let begun = Instant::now();
            report.upload(&photos, lanes)?;
            uploaded.push(rate(&photos, begun)?);
            report.check(&photos).await?;
            for folder in ["attachments", "plain"] {
                forget(&cluster.folder().join(folder))?;
            }
            progress(&format!("{lanes} connections, round {round}: {copied:?} {uploaded:?} kB/s"));
        }
        let ratios =
            copied.iter().zip(&uploaded).map(|(copied, uploaded)| Hundredths::of(*uploaded, *copied));
        let ratio = median(ratios);
        points.push(Point { lanes, copied: median(copied), uploaded: median(uploaded), ratio });
    }
    let flush = cluster.flush_time()?;
    service.stop()?;
    let settings = cluster.settings().await?;
    let load = (before, load());
    let (machine, bytes) = (Machine::look(), options.bytes);
    Ok(Results { machine, settings, flush, load, rounds, count, bytes, points })
}

/// Drops all files of the run from the memory of the kernel, copies as well as uploads. Otherwise memory grows with each
/// round, and where a host takes back what its guest does not use, the next pages are several times slower than those
/// before: two speeds in one run.
fn forget(folder: &Path) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            forget(&path)?;
        } else if path.is_file() {
            fadvise(File::open(path)?, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}

/// The load average of the last minute.
fn load() -> String {
    let told = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    told.split(' ').next().unwrap_or_default().to_owned()
}

/// Thousands of bytes a second.
fn rate(photos: &Photos, begun: Instant) -> Result<u64, Failure> {
    let micros = u64::try_from(begun.elapsed().as_micros())?;
    Ok(photos.bytes() * 1_000 / micros.max(1))
}

fn write(results: &Results, options: &Options) -> Result<(), Failure> {
    // What is small must not stand where the figures of a full run are.
    let folder = Path::new(if options.quick { DRAFTS } else { RESULTS });
    std::fs::create_dir_all(folder)?;
    let text = report::markdown(results);
    std::fs::write(folder.join("attachments.md"), &text)?;
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
