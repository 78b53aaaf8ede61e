//! The results as a page.

use std::fmt::Write as _;

use crate::figures::{Grouped, Hundredths, Micros};
use crate::machine::Machine;

/// The least that uploads must reach of the plain rate.
const TARGET: Hundredths = Hundredths(60);

/// Medians for a number of connections.
pub(crate) struct Point {
    pub(crate) lanes: usize,
    /// Thousands of bytes a second.
    pub(crate) copied: u64,
    pub(crate) uploaded: u64,
    /// The median of the ratios of each round.
    pub(crate) ratio: Hundredths,
}

/// Everything that was measured.
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) flush: Micros,
    /// Load averages of the machine when the run began and when it ended, as the kernel tells them.
    pub(crate) load: (String, String),
    pub(crate) rounds: usize,
    pub(crate) count: usize,
    pub(crate) bytes: usize,
    pub(crate) points: Vec<Point>,
}

pub(crate) fn markdown(of: &Results) -> String {
    let Machine { processor, cores, memory_mb, kernel, commit, date } = &of.machine;
    let settings: Vec<String> = of.settings.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let mut text = format!(
        "# Attachments\n\n`make bench-attachments` on {cores} cores ({processor}), {} MB of memory, Linux {kernel}, \
         commit {commit}, {date}. One embedded PostgreSQL: {}. The service runs with its default settings: files are in a \
         folder of the same disk. Load generator, service and database share the cores.\n\nEach round copies {} photos of {} \
         bytes through a bare TCP server, then uploads the same photos; {} rounds, medians. The plain server writes each \
         into a file, flushes it, moves it to its place and flushes the folder. The service does that, tells the disk to \
         begin with each half of a mebibyte, verifies the SHA-256, looks what the file is, and commits a row and an event for each. A flush of the disk (8 kB, then \
         fdatasync) took {} ms. Load averages over a minute: {} when the run began, {} when it ended; \
         what is much above 2 is other work. After each round the report was complete, photos were downloaded and compared, and the files of both were dropped from \
         memory.\n\n\
         | connections | plain copy kB/s | upload kB/s | ratio | target | verdict |\n|---|---|---|---|---|---|\n",
        Grouped(*memory_mb),
        settings.join(", "),
        of.count,
        Grouped(of.bytes as u64),
        of.rounds,
        of.flush,
        of.load.0,
        of.load.1,
    );
    for Point { lanes, copied, uploaded, ratio } in &of.points {
        let verdict = if TARGET <= *ratio { "met" } else { "missed" };
        let (copied, uploaded) = (Grouped(*copied), Grouped(*uploaded));
        // A string takes whatever it is given.
        let _written = writeln!(text, "| {lanes} | {copied} | {uploaded} | {ratio} | {TARGET} | {verdict} |");
    }
    text
}
