//! What was asked for, beside what was measured.

use crate::figures::{Grouped, Hundredths, Micros};
use crate::load::Mode;
use crate::results::Results;
use crate::table::table;

/// Ratios to pgbench hot and spread that a call and a stream must reach, in hundredths.
const UNARY_HOT: Hundredths = Hundredths(1_200);
const UNARY_SPREAD: Hundredths = Hundredths(130);
const STREAMED_HOT: Hundredths = Hundredths(5_000);
const STREAMED_SPREAD: Hundredths = Hundredths(600);
/// Entries a second by stream, when the disk flushes fast enough.
const STREAMED_PER_SECOND: u64 = 100_000;
const FAST_FLUSH: Micros = Micros(200);
/// p99 beyond the flush at half of the peak rate.
const HALF_RATE_P99: Micros = Micros(10_000);
/// How much more than a lone client of pgbench a lone caller may wait: gRPC, the rules, more statements. Any
/// timer that gathers a batch would be seen above it.
const ALONE_MORE: Micros = Micros(1_000);
/// What the big table and the last minute of the soak may cost, in per cent.
const SLACK_PERCENT: u64 = 10;
const BYTES_MAX: u64 = 400;
/// The unary targets are about this many calls in flight.
const IN_FLIGHT: usize = 256;
const SPREAD: usize = 1_000;

/// What was asked, what was measured, whether it is enough. Nothing when it does not apply.
type Row = (String, String, Option<bool>);

pub(crate) fn targets(results: &Results) -> String {
    let mut rows = Vec::new();
    rows.extend(ratios(results));
    rows.extend(latencies(results));
    rows.extend(growth(results));
    rows.extend(bytes(results));
    let verdict = |met: Option<bool>| met.map_or("does not apply", |met| if met { "met" } else { "missed" });
    let rows = rows.into_iter().map(|(asked, measured, met)| vec![asked, measured, verdict(met).to_owned()]);
    table(&["target", "measured", "verdict"], rows.collect(), false)
}

/// Who pays, in words.
fn paid_by(allocations: usize) -> String {
    match allocations {
        1 => "one hot allocation".to_owned(),
        more => format!("{} allocations", Grouped(more as u64)),
    }
}

fn ratios(results: &Results) -> Vec<Row> {
    let hot = results.baseline(|run| run.hot).per_second;
    let spread = results.baseline(|run| run.spread).per_second;
    let mut rows = Vec::new();
    for (allocations, base, name, least) in
        [(1, hot, "hot", UNARY_HOT), (SPREAD, spread, "spread", UNARY_SPREAD)]
    {
        if let Some(run) = results.find(Mode::Unary, allocations, IN_FLIGHT) {
            let ratio = Hundredths::of(run.per_second, base);
            let asked = format!(
                "unary, {}, {IN_FLIGHT} in flight: at least {least} x pgbench {name}",
                paid_by(allocations)
            );
            rows.push((asked, format!("{ratio} x ({}/s)", Grouped(run.per_second)), Some(least <= ratio)));
        }
    }
    let mut most = None;
    for (allocations, base, name, least) in
        [(1, hot, "hot", STREAMED_HOT), (SPREAD, spread, "spread", STREAMED_SPREAD)]
    {
        if let Some((window, run)) = results.best(Mode::Streamed, allocations) {
            let ratio = Hundredths::of(run.per_second, base);
            let asked = format!("streamed, {}: at least {least} x pgbench {name}", paid_by(allocations));
            let measured =
                format!("{ratio} x ({}/s, {} in flight)", Grouped(run.per_second), Grouped(window as u64));
            rows.push((asked, measured, Some(least <= ratio)));
            most = most.max(Some(run.per_second));
        }
    }
    if let Some(most) = most {
        let flush = results.flush();
        let asked = format!(
            "streamed: at least {}/s when a flush takes {FAST_FLUSH} ms or less",
            Grouped(STREAMED_PER_SECOND)
        );
        let measured = format!("{}/s, a flush takes {flush} ms", Grouped(most));
        rows.push((asked, measured, (flush <= FAST_FLUSH).then_some(STREAMED_PER_SECOND <= most)));
    }
    rows
}

fn latencies(results: &Results) -> Vec<Row> {
    let flush = results.flush();
    let mut rows = Vec::new();
    for half in &results.half_rates {
        let p99 = half.median().run.latency.p99;
        let beyond = Micros(p99.0.saturating_sub(flush.0));
        let asked = format!(
            "unary, {}, half of the peak rate: p99 under {HALF_RATE_P99} ms beyond the flush",
            paid_by(half.allocations)
        );
        rows.push((asked, format!("{beyond} ms beyond {flush} ms"), Some(beyond < HALF_RATE_P99)));
    }
    if let Some(run) = results.find(Mode::Unary, 1, 1) {
        let (p50, base) = (run.latency.p50, results.baseline(|run| run.alone).average);
        let asked = format!(
            "a lone caller pays no added waiting: p50 at most {ALONE_MORE} ms above pgbench with one client"
        );
        let measured = format!("p50 {p50} ms, pgbench {base} ms, a flush {flush} ms");
        rows.push((asked, measured, Some(p50.0 <= base.0 + ALONE_MORE.0)));
    }
    rows
}

fn growth(results: &Results) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(growth) = &results.growth {
        let median = growth.median();
        let (small, big) = (Grouped(growth.small_entries), Grouped(growth.big_entries));
        let asked = format!("{big} entries in the table cost at most {SLACK_PERCENT} % against {small}");
        let ratio = Hundredths::of(median.big, median.small);
        rows.push((asked, format!("{ratio} of the throughput"), Some(100 - SLACK_PERCENT <= ratio.0)));
    }
    if let Some(soak) = &results.soak {
        let asked = format!(
            "memory flat for {} s: the last minute at most {SLACK_PERCENT} % above the first",
            soak.seconds
        );
        let measured = format!("{} kB, then {} kB", Grouped(soak.first_kb), Grouped(soak.last_kb));
        rows.push((asked, measured, Some(soak.last_kb * 100 <= soak.first_kb * (100 + SLACK_PERCENT))));
    }
    rows
}

/// The most of any run with enough entries for the size of a page not to matter.
fn bytes(results: &Results) -> Option<Row> {
    const ENOUGH: u64 = 200_000;
    let of_soak = results.soak.as_ref().map(|soak| soak.run);
    let runs = results.points.iter().flat_map(|point| &point.runs).copied().chain(of_soak);
    let most = runs.filter(|run| ENOUGH <= run.accepted).max_by_key(|run| run.bytes_each)?;
    let asked = format!("under {BYTES_MAX} bytes stored per entry");
    let measured = format!("{} at most, over {} entries", most.bytes_each, Grouped(most.accepted));
    Some((asked, measured, Some(most.bytes_each < BYTES_MAX)))
}
