//! Tables that a terminal and a Markdown reader both show.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

use crate::figures::{Grouped, Hundredths};
use crate::load::Mode;
use crate::results::{Results, Run};

/// A table whose first column is text and the others numbers, or all text.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>, numbers: bool) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    if numbers {
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n")
}

pub(crate) fn points(results: &Results) -> String {
    let header = [
        "mode",
        "allocations",
        "in flight",
        "entries/s",
        "x hot",
        "x spread",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "batch",
        "bytes/entry",
        "CPU service",
        "CPU database",
        "CPU generator",
    ];
    let hot = results.baseline(|run| run.hot).per_second;
    let spread = results.baseline(|run| run.spread).per_second;
    let mut rows = Vec::new();
    for point in &results.points {
        let run = point.median();
        let mut row = vec![point.mode.name().to_owned(), point.allocations.to_string()];
        row.push(Grouped(point.in_flight as u64).to_string());
        row.push(Grouped(run.per_second).to_string());
        row.push(Hundredths::of(run.per_second, hot).to_string());
        row.push(Hundredths::of(run.per_second, spread).to_string());
        row.extend(figures(&run));
        rows.push(row);
    }
    table(&header, rows, true)
}

/// Latency, batch, bytes and processors.
fn figures(run: &Run) -> Vec<String> {
    vec![
        run.latency.p50.to_string(),
        run.latency.p99.to_string(),
        run.latency.p999.to_string(),
        run.batch.to_string(),
        run.bytes_each.to_string(),
        run.cores.service.to_string(),
        run.cores.database.to_string(),
        run.cores.generator.to_string(),
    ]
}

pub(crate) fn half_rates(results: &Results) -> String {
    let header = [
        "mode",
        "allocations",
        "peak/s",
        "offered/s",
        "answered/s",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "batch",
        "bytes/entry",
        "CPU service",
        "CPU database",
        "CPU generator",
    ];
    let mut rows = Vec::new();
    for half in &results.half_rates {
        let median = half.median();
        let mut row = vec![Mode::Unary.name().to_owned(), half.allocations.to_string()];
        for count in [median.peak, median.offered, median.run.per_second] {
            row.push(Grouped(count).to_string());
        }
        row.extend(figures(&median.run));
        rows.push(row);
    }
    table(&header, rows, true)
}

pub(crate) fn baseline(results: &Results) -> String {
    let header = ["pgbench", "postings/s", "of each repeat", "average ms", "CPU database"];
    let rows = [
        ("hot, 32 clients", results.baseline(|run| run.hot), each(results, |run| run.hot.per_second)),
        (
            "spread, 32 clients",
            results.baseline(|run| run.spread),
            each(results, |run| run.spread.per_second),
        ),
        ("hot, 1 client", results.baseline(|run| run.alone), each(results, |run| run.alone.per_second)),
    ];
    let rows = rows.into_iter().map(|(name, run, each)| {
        let per_second = Grouped(run.per_second).to_string();
        vec![name.to_owned(), per_second, each, run.average.to_string(), run.database_cores.to_string()]
    });
    table(&header, rows.collect(), true)
}

fn each(results: &Results, of: impl Fn(&crate::baseline::Baselines) -> u64) -> String {
    let runs: Vec<String> = results.baselines.iter().map(|run| Grouped(of(run)).to_string()).collect();
    runs.join(" / ")
}
