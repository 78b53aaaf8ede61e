//! pgbench: what an ordinary service would get out of the same PostgreSQL.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Failure;
use crate::cluster::Cluster;
use crate::cpu;
use crate::figures::{Hundredths, Micros};

const DATABASE: &str = "baseline";
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/baseline");
/// Clients and threads of a run for throughput.
const CLIENTS: (u32, u32) = (32, 2);
/// Of a run that asks what one caller waits.
const ALONE: (u32, u32) = (1, 1);

/// What one run of pgbench told.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Baseline {
    pub(crate) per_second: u64,
    /// pgbench tells the average only.
    pub(crate) average: Micros,
    pub(crate) database_cores: Hundredths,
}

/// The runs of one repeat.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Baselines {
    pub(crate) hot: Baseline,
    pub(crate) spread: Baseline,
    pub(crate) alone: Baseline,
}

/// Runs all of them, each on fresh tables.
pub(crate) async fn measure(cluster: &Cluster, length: Duration) -> Result<Baselines, Failure> {
    Ok(Baselines {
        hot: run(cluster, "hot.sql", CLIENTS, length).await?,
        spread: run(cluster, "spread.sql", CLIENTS, length).await?,
        alone: run(cluster, "hot.sql", ALONE, length / 2).await?,
    })
}

async fn run(
    cluster: &Cluster,
    script: &str,
    clients: (u32, u32),
    length: Duration,
) -> Result<Baseline, Failure> {
    cluster.make(DATABASE, None).await?;
    cluster.run(DATABASE, &[fs::read_to_string(Path::new(SCRIPTS).join("schema.sql"))?]).await?;
    cluster.settle(DATABASE).await?;
    let mut command = command(cluster, script, clients, length)?;
    let (before, begun) = (cpu::cluster(cluster.pid())?, Instant::now());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let (used, wall) = (cpu::cluster(cluster.pid())? - before, begun.elapsed());
    cluster.remove(DATABASE).await?;
    let told = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let found = |name| figure(&told, name).ok_or_else(|| format!("pgbench did not tell its {name}:\n{told}"));
    Ok(Baseline {
        per_second: found("tps")? / 1_000,
        average: Micros(found("latency average")?),
        database_cores: cpu::cores(used, wall),
    })
}

fn command(
    cluster: &Cluster,
    script: &str,
    (clients, threads): (u32, u32),
    length: Duration,
) -> Result<Command, Failure> {
    let (host, user) = cluster.host_and_user()?;
    let mut command = Command::new(cluster.program("pgbench")?);
    command.env_clear().env("LC_ALL", "C").current_dir(std::env::temp_dir());
    command.args(["-n", "-M", "prepared", "-T", &length.as_secs().max(1).to_string()]);
    command.args(["-c", &clients.to_string(), "-j", &threads.to_string()]);
    command.arg("-f").arg(Path::new(SCRIPTS).join(script));
    command.arg("-h").arg(host).args(["-U", &user, DATABASE]);
    Ok(command)
}

/// The number in a line such as `latency average = 0.345 ms`, in thousandths.
fn figure(told: &str, name: &str) -> Option<u64> {
    let line = told.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix("= "))?;
    let number = line.split_whitespace().next()?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let decimals: String = decimals.chars().chain("000".chars()).take(3).collect();
    Some(whole.parse::<u64>().ok()? * 1_000 + decimals.parse::<u64>().ok()?)
}
