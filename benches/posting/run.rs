//! The whole run, part by part.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::entry::Ids;
use crate::growth;
use crate::load::{Arrivals, Mode, Stage};
use crate::machine::Machine;
use crate::options::{Kind, Options, Part, Sizes};
use crate::program::Program;
use crate::results::{HalfRateRun, Results, Run};
use crate::service::{self, Service};
use crate::{Failure, baseline, progress, proof, soak};

/// The program is set up here once, with ten thousand entries. Everything else runs on copies of it.
const SEED: &str = "seed";
/// Entries of the seed by stream and by call, in a second each.
const SEED_ENTRIES: [(Mode, u64); 2] = [(Mode::Streamed, 9_000), (Mode::Unary, 1_000)];
const POINTS: &str = "points";
const BIG: &str = "big";
/// Entries in flight when the peak is looked for.
const PEAK_IN_FLIGHT: usize = 256;
/// Tasks that pay at half of the peak rate: the hot one, and all.
const HALF_RATE_SPREADS: [usize; 2] = [1, 1_000];

pub(crate) async fn everything(cluster: &Cluster, options: &Options) -> Result<Results, Failure> {
    let sizes = options.sizes();
    let mut results = Results {
        machine: Machine::look(),
        command: std::env::args()
            .skip(1)
            .filter(|argument| argument != "--bench")
            .collect::<Vec<_>>()
            .join(" "),
        settings: cluster.settings().await?,
        verified: 0,
        flushes: Vec::new(),
        baselines: Vec::new(),
        points: Vec::new(),
        half_rates: Vec::new(),
        soak: None,
        growth: None,
    };
    let program = seed(cluster, &mut results).await?;
    let repeated = options.runs(Part::Points) || options.runs(Part::HalfRate);
    let repeats = if repeated { sizes.repeats } else { 1 };
    for repeat in 1..=repeats {
        progress(&format!("repeat {repeat} of {repeats}"));
        compare(cluster, &mut results, sizes.baseline).await?;
        if repeated {
            self::repeat(cluster, &program, options, &mut results).await?;
        }
    }
    if options.runs(Part::Soak) || options.runs(Part::Growth) {
        fill_and_grow(cluster, &program, options, &mut results).await?;
    }
    Ok(results)
}

/// Makes the seed, and has it proven whole by the service and by the audit.
async fn seed(cluster: &Cluster, results: &mut Results) -> Result<Program, Failure> {
    cluster.make(SEED, None).await?;
    service::command(cluster, SEED, "migrate")?;
    let service = Service::start(cluster, SEED)?;
    let program = Program::set_up(service.address(), &mut Ids::new()?).await?;
    service.stop()?;
    let stage = Stage::open(cluster, &program, SEED).await?;
    for (mode, per_second) in SEED_ENTRIES {
        let arrivals = Arrivals { mode, allocations: program.tasks.len(), per_second };
        stage.arrivals(arrivals, Duration::ZERO, Duration::from_secs(1), true).await?;
    }
    results.verified = proof::verify(&stage).await?;
    stage.service.stop()?;
    service::command(cluster, SEED, "audit")?;
    progress(&format!("the program is set up; {} entries verified and audited", results.verified));
    Ok(program)
}

/// The flush time and pgbench.
async fn compare(cluster: &Cluster, results: &mut Results, length: Duration) -> Result<(), Failure> {
    let flush = cluster.flush_time()?;
    let found = baseline::measure(cluster, length).await?;
    progress(&format!(
        "flush {flush} ms; pgbench hot {}/s, spread {}/s, alone {} ms",
        found.hot.per_second, found.spread.per_second, found.alone.average
    ));
    results.flushes.push(flush);
    results.baselines.push(found);
    Ok(())
}

/// All points and half rates once, on a fresh copy of the seed.
async fn repeat(
    cluster: &Cluster,
    program: &Program,
    options: &Options,
    results: &mut Results,
) -> Result<(), Failure> {
    let sizes = options.sizes();
    cluster.make(POINTS, Some(SEED)).await?;
    let stage = Stage::open(cluster, program, POINTS).await?;
    let kinds = if options.runs(Part::Points) { options.kinds() } else { Vec::new() };
    for kind in kinds {
        let outcome = stage.closed(kind, sizes.warm_up, sizes.measured).await?;
        let run = Run::from(&outcome);
        progress(&format!(
            "{:<8} {:>5} allocations {:>5} in flight: {:>7}/s, p50 {} ms, p99 {} ms, batch {}",
            kind.mode.name(),
            kind.allocations,
            kind.in_flight,
            run.per_second,
            run.latency.p50,
            run.latency.p99,
            run.batch
        ));
        results.add(kind, run);
    }
    if options.runs(Part::HalfRate) {
        for allocations in HALF_RATE_SPREADS {
            results.add_half_rate(allocations, half_rate(&stage, allocations, &sizes).await?);
        }
    }
    stage.service.stop()?;
    cluster.remove(POINTS).await
}

/// Finds the peak of unary calls, then sends half as many at fixed times.
async fn half_rate(stage: &Stage<'_>, allocations: usize, sizes: &Sizes) -> Result<HalfRateRun, Failure> {
    let kind = Kind { mode: Mode::Unary, allocations, in_flight: PEAK_IN_FLIGHT };
    let peak = stage.closed(kind, sizes.warm_up, sizes.measured).await?.tally.per_second();
    let arrivals = Arrivals { mode: Mode::Unary, allocations, per_second: peak / 2 };
    let outcome = stage.arrivals(arrivals, sizes.warm_up, sizes.open_loop, true).await?;
    let run = Run::from(&outcome);
    progress(&format!(
        "half rate, {allocations} allocations: {} of {peak}/s, p50 {} ms, p99 {} ms",
        peak / 2,
        run.latency.p50,
        run.latency.p99
    ));
    Ok(HalfRateRun { peak, offered: peak / 2, run })
}

/// The soak fills the big table, which growth then measures.
async fn fill_and_grow(
    cluster: &Cluster,
    program: &Program,
    options: &Options,
    results: &mut Results,
) -> Result<(), Failure> {
    cluster.make(BIG, Some(SEED)).await?;
    let stage = Stage::open(cluster, program, BIG).await?;
    if options.runs(Part::Soak) {
        let missing = options.entries.saturating_sub(soak::posted(&stage).await?);
        let length = Duration::from_secs(options.soak_seconds);
        results.soak = Some(soak::soak(&stage, missing, length).await?);
    }
    if !options.runs(Part::Growth) {
        return stage.service.stop();
    }
    soak::fill(&stage, options.entries).await?;
    stage.service.stop()?;
    results.growth = Some(growth::measure(cluster, program, (SEED, BIG), &options.sizes()).await?);
    Ok(())
}
