//! The results as Markdown.

use std::fmt::Write as _;

use crate::figures::Grouped;
use crate::ground::Loaded;
use crate::machine::Machine;
use crate::measures::Measured;
use crate::options::{MEMBERS, Sizes};

/// Everything that a run found out.
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) command: String,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) sizes: Sizes,
    pub(crate) loaded: Loaded,
    pub(crate) measured: Vec<Measured>,
    pub(crate) plans: String,
}

fn grouped(count: i64) -> Grouped {
    Grouped(u64::try_from(count).unwrap_or_default())
}

pub(crate) fn markdown(of: &Results) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _written = write(&mut text, of);
    text
}

fn write(text: &mut String, of: &Results) -> std::fmt::Result {
    let (machine, sizes) = (&of.machine, of.sizes);
    writeln!(text, "# The operations side with a lot behind it\n")?;
    writeln!(
        text,
        "Measured by `{}` on {} at commit {}: {}, {} cores, {} MB, Linux {}. Service, PostgreSQL and load share the \
         cores. Calls are over gRPC, in closed loops of {} seconds after {} of warm-up; every answer is checked.\n",
        of.command,
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
        "Behind the calls: {} operators with {} teams, {} people, {} past assignments with {} of {MEMBERS} people each, \
         and {} sites; {} MB, loaded in {} seconds.\n",
        grouped(sizes.operators),
        grouped(sizes.teams()),
        grouped(sizes.people()),
        grouped(sizes.past_assignments()),
        sizes.people_each,
        grouped(sizes.sites()),
        Grouped(of.loaded.bytes / 1_000_000),
        of.loaded.took.as_secs(),
    )?;
    writeln!(text, "| call | callers | calls/s | p50 ms | p99 ms | max ms | p99 should be below |")?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: | --- |")?;
    for measured in &of.measured {
        let target = measured.target_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
        for outcome in &measured.outcomes {
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {target} |",
                measured.name,
                outcome.callers,
                Grouped(outcome.per_second),
                outcome.p50,
                outcome.p99,
                outcome.max,
            )?;
        }
    }
    writeln!(text, "\nPostgreSQL: {}.", settings(of))
}

fn settings(of: &Results) -> String {
    let told: Vec<String> = of.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
    told.join(", ")
}
