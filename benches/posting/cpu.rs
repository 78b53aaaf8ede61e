//! Processor time of processes, as the kernel counts it.

use std::fs;
use std::time::Duration;

use serde::Serialize;

use crate::Failure;
use crate::figures::Hundredths;

/// Ticks that each of the three have used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    service: u64,
    database: u64,
    generator: u64,
}

/// How many cores each of the three kept busy.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Cores {
    pub(crate) service: Hundredths,
    pub(crate) database: Hundredths,
    pub(crate) generator: Hundredths,
}

impl Used {
    pub(crate) fn now(service: u32, postmaster: u32) -> Result<Self, Failure> {
        Ok(Self {
            service: process(&service.to_string())?.own,
            database: cluster(postmaster)?,
            generator: process("self")?.own,
        })
    }

    /// Busy cores between an earlier look and this one.
    pub(crate) fn since(&self, before: &Self, wall: Duration) -> Cores {
        Cores {
            service: cores(self.service - before.service, wall),
            database: cores(self.database.saturating_sub(before.database), wall),
            generator: cores(self.generator - before.generator, wall),
        }
    }
}

/// Ticks over a time, as cores.
pub(crate) fn cores(ticks: u64, wall: Duration) -> Hundredths {
    let second = rustix::param::clock_ticks_per_second();
    let used_us = ticks.saturating_mul(1_000_000) / second;
    Hundredths::of(used_us, u64::try_from(wall.as_micros()).unwrap_or(u64::MAX))
}

/// Ticks of a whole cluster. A backend that has ended counts among the dead children of its postmaster; when
/// one ends just now it would be counted in neither place, so the look is repeated.
pub(crate) fn cluster(postmaster: u32) -> Result<u64, Failure> {
    let mut root = process(&postmaster.to_string())?;
    loop {
        let children = children(postmaster)?;
        let again = process(&postmaster.to_string())?;
        if again.dead_children == root.dead_children {
            return Ok(again.own + again.dead_children + children);
        }
        root = again;
    }
}

fn children(parent: u32) -> Result<u64, Failure> {
    let mut ticks = 0;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        // A process may end while its turn comes.
        if let Some(found) = name.to_str().and_then(|name| process(name).ok())
            && found.parent == parent
        {
            ticks += found.own;
        }
    }
    Ok(ticks)
}

/// Resident memory of a process.
pub(crate) fn resident_kb(pid: u32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("VmRSS is missing")?;
    Ok(line.split_whitespace().next().ok_or("VmRSS has no value")?.parse()?)
}

struct Process {
    parent: u32,
    own: u64,
    dead_children: u64,
}

/// The fields of `/proc/<name>/stat` by the numbers of proc(5).
fn process(name: &str) -> Result<Process, Failure> {
    let stat = fs::read_to_string(format!("/proc/{name}/stat"))?;
    // The second field is a name in parentheses that may hold anything.
    let (_, rest) = stat.rsplit_once(") ").ok_or("stat has no name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).ok_or("stat is short");
    let ticks = |number| -> Result<u64, Failure> { Ok(field(number)?.parse()?) };
    Ok(Process {
        parent: field(4)?.parse()?,
        own: ticks(14)? + ticks(15)?,
        dead_children: ticks(16)? + ticks(17)?,
    })
}
