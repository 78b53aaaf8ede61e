//! What to run and for how long.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::load::Mode;

/// What the soak is for: entries of the big table, and how long it takes to fill it.
const ENTRIES: u64 = 10_000_000;
const SOAK_SECONDS: u64 = 600;

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Closed loops over modes, allocations and calls in flight.
    Points,
    /// Latency at half of the peak rate, in an open loop, and of a lone caller.
    HalfRate,
    /// Ten minutes at a fixed rate, with the memory of the service.
    Soak,
    /// A table of ten thousand entries against one of ten million.
    Growth,
}

/// Measures posting against pgbench on one embedded PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "posting")]
pub(crate) struct Options {
    /// One short repeat of fewer points, without soak and growth: about a minute, to develop with
    #[arg(long)]
    pub(crate) quick: bool,
    /// Parts to run; all when it is left out. Growth reads what the soak wrote, or writes it first
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Write the figures to posting.json too
    #[arg(long)]
    pub(crate) json: bool,
    /// Entries of the big table
    #[arg(long, default_value_t = ENTRIES)]
    pub(crate) entries: u64,
    /// How long the soak lasts, in seconds
    #[arg(long, default_value_t = SOAK_SECONDS)]
    pub(crate) soak_seconds: u64,
    /// Cargo says so to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// One kind of point: how entries travel, how many are in flight, how many allocations pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) mode: Mode,
    pub(crate) allocations: usize,
    pub(crate) in_flight: usize,
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) repeats: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    pub(crate) baseline: Duration,
    pub(crate) open_loop: Duration,
    pub(crate) growth_rounds: usize,
}

impl Options {
    pub(crate) fn runs(&self, part: Part) -> bool {
        if self.only.is_empty() {
            let long = matches!(part, Part::Soak | Part::Growth);
            return !(self.quick && long);
        }
        self.only.contains(&part)
    }

    /// Whether everything runs at its full size.
    pub(crate) fn complete(&self) -> bool {
        let sizes = (self.entries, self.soak_seconds) == (ENTRIES, SOAK_SECONDS);
        !self.quick && self.only.is_empty() && sizes
    }

    pub(crate) fn sizes(&self) -> Sizes {
        let seconds = Duration::from_secs;
        if self.quick {
            let half = Duration::from_millis(500);
            return Sizes {
                repeats: 1,
                warm_up: half,
                measured: seconds(1),
                baseline: seconds(3),
                open_loop: seconds(2),
                growth_rounds: 2,
            };
        }
        Sizes {
            repeats: 3,
            warm_up: seconds(1),
            measured: seconds(3),
            baseline: seconds(10),
            open_loop: seconds(5),
            growth_rounds: 5,
        }
    }

    /// The points of one repeat, in the order in which they run.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let spreads: &[usize] = if self.quick { &[1, 1_000] } else { &[1, 50, 1_000] };
        let unary: &[usize] = if self.quick { &[1, 64, 256] } else { &[1, 16, 64, 256, 1_024] };
        let streamed: &[usize] = if self.quick { &[64, 1_024] } else { &[1, 16, 64, 256, 1_024, 8_192] };
        let mut kinds = Vec::new();
        for &allocations in spreads {
            for (mode, windows) in [(Mode::Unary, unary), (Mode::Streamed, streamed)] {
                kinds.extend(windows.iter().map(|&in_flight| Kind { mode, allocations, in_flight }));
            }
        }
        kinds
    }
}
