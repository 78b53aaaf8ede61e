//! Everything that a run found out.

use serde::Serialize;

use crate::baseline::{Baseline, Baselines};
use crate::cpu::Cores;
use crate::figures::{Hundredths, Micros, median};
use crate::growth::Growth;
use crate::load::{Mode, Outcome};
use crate::machine::Machine;
use crate::options::Kind;
use crate::soak::Soak;
use crate::tally::Latency;

/// All of it.
#[derive(Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) command: String,
    pub(crate) settings: Vec<(String, String)>,
    /// Entries that `VerifyLedger` replayed, and the audit found right.
    pub(crate) verified: i64,
    /// One for each repeat.
    pub(crate) flushes: Vec<Micros>,
    pub(crate) baselines: Vec<Baselines>,
    pub(crate) points: Vec<Point>,
    pub(crate) half_rates: Vec<HalfRate>,
    pub(crate) soak: Option<Soak>,
    pub(crate) growth: Option<Growth>,
}

/// A point with its repeats.
#[derive(Serialize)]
pub(crate) struct Point {
    pub(crate) mode: Mode,
    pub(crate) allocations: usize,
    pub(crate) in_flight: usize,
    pub(crate) runs: Vec<Run>,
}

/// What one load came to.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Run {
    pub(crate) per_second: u64,
    pub(crate) latency: Latency,
    pub(crate) batch: Hundredths,
    pub(crate) bytes_each: u64,
    pub(crate) cores: Cores,
    /// All that were posted, warm-up included, each of them proven.
    pub(crate) accepted: u64,
}

/// An open loop at half of what a closed loop with 256 in flight reached just before.
#[derive(Serialize)]
pub(crate) struct HalfRate {
    pub(crate) allocations: usize,
    pub(crate) runs: Vec<HalfRateRun>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct HalfRateRun {
    pub(crate) peak: u64,
    pub(crate) offered: u64,
    pub(crate) run: Run,
}

impl From<&Outcome> for Run {
    fn from(outcome: &Outcome) -> Self {
        Self {
            per_second: outcome.tally.per_second(),
            latency: outcome.tally.latency(),
            batch: outcome.batch,
            bytes_each: outcome.bytes_each,
            cores: outcome.cores,
            accepted: outcome.tally.accepted,
        }
    }
}

impl Run {
    /// The median of each figure by itself.
    pub(crate) fn median(runs: &[Self]) -> Self {
        fn of<T: Copy + Ord + Default>(runs: &[Run], figure: impl Fn(&Run) -> T) -> T {
            median(runs.iter().map(figure))
        }
        Self {
            per_second: of(runs, |run| run.per_second),
            latency: Latency {
                p50: of(runs, |run| run.latency.p50),
                p99: of(runs, |run| run.latency.p99),
                p999: of(runs, |run| run.latency.p999),
                max: of(runs, |run| run.latency.max),
            },
            batch: of(runs, |run| run.batch),
            bytes_each: of(runs, |run| run.bytes_each),
            cores: Cores {
                service: of(runs, |run| run.cores.service),
                database: of(runs, |run| run.cores.database),
                generator: of(runs, |run| run.cores.generator),
            },
            accepted: of(runs, |run| run.accepted),
        }
    }
}

impl Point {
    pub(crate) fn is(&self, kind: Kind) -> bool {
        (self.mode, self.allocations, self.in_flight) == (kind.mode, kind.allocations, kind.in_flight)
    }

    pub(crate) fn median(&self) -> Run {
        Run::median(&self.runs)
    }
}

impl HalfRate {
    pub(crate) fn median(&self) -> HalfRateRun {
        let runs: Vec<Run> = self.runs.iter().map(|half| half.run).collect();
        HalfRateRun {
            peak: median(self.runs.iter().map(|half| half.peak)),
            offered: median(self.runs.iter().map(|half| half.offered)),
            run: Run::median(&runs),
        }
    }
}

impl Results {
    /// Adds a run of a point.
    pub(crate) fn add(&mut self, kind: Kind, run: Run) {
        match self.points.iter_mut().find(|point| point.is(kind)) {
            Some(point) => point.runs.push(run),
            None => self.points.push(Point {
                mode: kind.mode,
                allocations: kind.allocations,
                in_flight: kind.in_flight,
                runs: vec![run],
            }),
        }
    }

    pub(crate) fn add_half_rate(&mut self, allocations: usize, run: HalfRateRun) {
        match self.half_rates.iter_mut().find(|half| half.allocations == allocations) {
            Some(half) => half.runs.push(run),
            None => self.half_rates.push(HalfRate { allocations, runs: vec![run] }),
        }
    }

    /// The median of one figure of the baseline over the repeats.
    pub(crate) fn baseline(&self, of: impl Fn(&Baselines) -> Baseline) -> Baseline {
        let runs: Vec<Baseline> = self.baselines.iter().map(of).collect();
        Baseline {
            per_second: median(runs.iter().map(|run| run.per_second)),
            average: median(runs.iter().map(|run| run.average)),
            database_cores: median(runs.iter().map(|run| run.database_cores)),
        }
    }

    pub(crate) fn flush(&self) -> Micros {
        median(self.flushes.iter().copied())
    }

    pub(crate) fn find(&self, mode: Mode, allocations: usize, in_flight: usize) -> Option<Run> {
        let kind = Kind { mode, allocations, in_flight };
        self.points.iter().find(|point| point.is(kind)).map(Point::median)
    }

    /// The point of a mode and a spread that carries the most, and its window.
    pub(crate) fn best(&self, mode: Mode, allocations: usize) -> Option<(usize, Run)> {
        let points =
            self.points.iter().filter(|point| (point.mode, point.allocations) == (mode, allocations));
        points.map(|point| (point.in_flight, point.median())).max_by_key(|(_, run)| run.per_second)
    }
}
