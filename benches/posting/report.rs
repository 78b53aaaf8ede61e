//! The report as Markdown. Every number in it was measured by the run that writes it.

use crate::figures::{Grouped, Hundredths};
use crate::results::Results;
use crate::table;
use crate::targets::targets;

pub(crate) fn markdown(results: &Results) -> String {
    let mut parts = vec![machine(results), section("Against the targets", &targets(results))];
    parts.push(section("Baseline", &baseline(results)));
    if !results.points.is_empty() {
        parts.push(section("Points", &points(results)));
    }
    if !results.half_rates.is_empty() {
        parts.push(section("At half of the peak rate", &half_rates(results)));
    }
    parts.extend(soak(results));
    parts.extend(growth(results));
    parts.join("\n")
}

fn section(title: &str, text: &str) -> String {
    format!("## {title}\n\n{text}")
}

fn machine(results: &Results) -> String {
    let machine = &results.machine;
    let settings: Vec<String> =
        results.settings.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let command = format!("make bench ARGS=\"{}\"", results.command);
    format!(
        "# Posting\n\n`{}` on {} cores ({}), {} MB of memory, Linux {}, commit {}, {}. \
         One embedded PostgreSQL: {}. The service runs with its default settings. Load generator, service and database share the cores.\n\n\
         A flush of the disk (8 kB, then fdatasync) took {} ms. All figures are medians; repeats: {}; `x hot` and \
         `x spread` are ratios to pgbench in the same run.\n\n\
         Each answer was checked for its entry, its order and its revision; after each load the revisions of the \
         answers were compared with the journal one by one and the money of each task with what was answered. \
         There were no errors: one would have ended the run. `VerifyLedger` replayed {} entries and `safelane \
         audit` found nothing.\n",
        if results.command.is_empty() { "make bench" } else { &command },
        machine.cores,
        machine.processor,
        Grouped(machine.memory_mb),
        machine.kernel,
        machine.commit,
        machine.date,
        settings.join(", "),
        results.flush(),
        results.baselines.len(),
        Grouped(u64::try_from(results.verified).unwrap_or_default()),
    )
}

fn baseline(results: &Results) -> String {
    format!(
        "One posting a transaction in one function call, `benches/baseline`, fresh tables for each run; pgbench \
         with prepared statements, before the points of each repeat.\n\n{}",
        table::baseline(results)
    )
}

fn points(results: &Results) -> String {
    let accepted = results.points.iter().flat_map(|point| &point.runs).map(|run| run.accepted).sum();
    format!(
        "Closed loops: an answer is followed by the next entry. Unary calls share connections of up to 100 calls; \
         streams have a connection each, one for up to 64 in flight, then two, four, and eight for more than \
         1,024. Batch is entries by transaction; bytes are what tables and indexes grow by, and mean little where \
         few entries were posted; CPU is cores in use. {} entries were posted and proven.\n\n{}\n\
         ![entries a second by entries in flight](posting.svg)\n",
        Grouped(accepted),
        table::points(results)
    )
}

fn half_rates(results: &Results) -> String {
    format!(
        "Open loop: calls go out at fixed times, and latency counts from when a call was due. The peak is that of \
         256 calls in flight, measured right before.\n\n{}",
        table::half_rates(results)
    )
}

fn soak(results: &Results) -> Option<String> {
    let soak = results.soak.as_ref()?;
    let run = &soak.run;
    let kept = if soak.unsent == 0 {
        "the service kept up".to_owned()
    } else {
        format!("the service did not keep up: {} entries could not be sent on time", Grouped(soak.unsent))
    };
    let text = format!(
        "Streamed, 1,000 allocations, {}/s offered for {} s at fixed times: {kept}. {} entries were accepted, \
         {}/s in the window; p50 {} ms, p99 {} ms, p99.9 {} ms, worst {} ms; batch {}, {} bytes an entry; CPU: \
         service {}, database {}, generator {}.\n\n\
         Resident memory of the service, looked at every 10 s: {} kB in the first minute (median), {} kB in the \
         last, {} kB at most.\n",
        Grouped(soak.offered),
        soak.seconds,
        Grouped(run.accepted),
        Grouped(run.per_second),
        run.latency.p50,
        run.latency.p99,
        run.latency.p999,
        run.latency.max,
        run.batch,
        run.bytes_each,
        run.cores.service,
        run.cores.database,
        run.cores.generator,
        Grouped(soak.first_kb),
        Grouped(soak.last_kb),
        Grouped(soak.max_kb),
    );
    Some(section("Soak", &text))
}

fn growth(results: &Results) -> Option<String> {
    let growth = results.growth.as_ref()?;
    let median = growth.median();
    let rows = growth.rounds.iter().enumerate().map(|(number, round)| {
        let ratio = Hundredths::of(round.big, round.small);
        vec![
            (number + 1).to_string(),
            Grouped(round.small).to_string(),
            Grouped(round.big).to_string(),
            ratio.to_string(),
        ]
    });
    let text = format!(
        "Streamed, 1,000 allocations, 1,024 in flight, small and big in turns, each first in every other round, \
         each with a service of its own that was started for the round, after VACUUM ANALYZE and CHECKPOINT. \
         The small table is made anew for each round: it held {} entries before and at most {} after one. The big one held {} before the first.\n\n{}\n\
         Medians: small {}/s, big {}/s, ratio {}.\n",
        Grouped(growth.small_entries),
        Grouped(growth.small_entries_after),
        Grouped(growth.big_entries),
        table::table(&["round", "small/s", "big/s", "ratio"], rows.collect(), true),
        Grouped(median.small),
        Grouped(median.big),
        Hundredths::of(median.big, median.small),
    );
    Some(section("Growth", &text))
}
