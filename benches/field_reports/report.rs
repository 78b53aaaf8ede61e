//! The results as Markdown.

use std::fmt::Write as _;

use crate::behind::Loaded;
use crate::figures::Grouped;
use crate::ingest::Ingested;
use crate::machine::Machine;
use crate::measures::{Measured, TARGET_MS};
use crate::options::Sizes;
use crate::snapshot::Snapshot;

/// Everything that a run found out.
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) sizes: Sizes,
    pub(crate) loaded: Loaded,
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) measured: Vec<Measured>,
    pub(crate) ingested: Ingested,
}

pub(crate) fn markdown(of: &Results) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _written = write(&mut text, of);
    text
}

fn write(text: &mut String, of: &Results) -> std::fmt::Result {
    let (machine, sizes, loaded) = (&of.machine, of.sizes, of.loaded);
    writeln!(text, "# Field reports with a million behind them\n")?;
    writeln!(
        text,
        "Measured by `make bench-reports` on {} at commit {}: {}, {} cores, {} MB, Linux {}. Service, PostgreSQL and load \
         share the cores. Calls are over gRPC, in closed loops of {} seconds after {} of warm-up; every answer is \
         checked.\n",
        machine.date,
        machine.commit,
        machine.processor,
        machine.cores,
        Grouped(machine.memory_mb),
        machine.kernel,
        sizes.measured.as_secs(),
        sizes.warm_up.as_secs(),
    )?;
    writeln!(
        text,
        "Behind the calls: {} reports of one operator with {} teams, of about {} bytes; {} MB, loaded in {} seconds.\n",
        Grouped(u64::try_from(loaded.reports).unwrap_or_default()),
        sizes.teams,
        loaded.report_bytes,
        Grouped(loaded.bytes / 1_000_000),
        loaded.took.as_secs(),
    )?;
    writeln!(text, "| call | callers | calls/s | p50 ms | p99 ms | max ms | p99 should be below |")?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: | --- |")?;
    for measured in &of.measured {
        for outcome in &measured.outcomes {
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {TARGET_MS} ms |",
                measured.name,
                outcome.callers,
                Grouped(outcome.per_second),
                outcome.p50,
                outcome.p99,
                outcome.max,
            )?;
        }
    }
    writeln!(text)?;
    for Snapshot { name, reports, took } in &of.snapshots {
        let reports = Grouped(u64::try_from(*reports).unwrap_or_default());
        writeln!(text, "StreamReports, one snapshot of {name}: {reports} reports in {took:.1?}.\n")?;
    }
    let ingested = of.ingested;
    writeln!(
        text,
        "Ingest, medians of rounds by turns: **{} reports/s** of {} bytes over {} streams (5,000 are wanted). Plain \
         multi-row INSERTs by as many connections, 256 rows each: of the same rows (journal, report and version, with \
         the same indexes) {} reports/s, ratio **{}** (0.40 is wanted); of the reports' bytes alone, in a table of two \
         columns with one index, {} rows/s, ratio {}.",
        Grouped(ingested.per_second),
        ingested.bytes,
        ingested.streams,
        Grouped(ingested.rows.per_second),
        ingested.rows.ratio,
        Grouped(ingested.content.per_second),
        ingested.content.ratio,
    )?;
    let told: Vec<String> = of.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
    writeln!(text, "\nPostgreSQL: {}.", told.join(", "))
}
