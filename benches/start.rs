//! How long the service takes from its start to SERVING, and how much memory it holds when idle.
//!
//! `cargo bench --bench start` prints a table: the first start on a private PostgreSQL (with initdb), starts on
//! existing data, and starts on a PostgreSQL that runs already. Each is repeated; the median counts. Times are
//! of this machine, beside what else runs on it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use safelane::store::embedded::{Embedded, Options};
use sqlx::ConnectOptions as _;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

type Failure = Box<dyn std::error::Error>;

/// Starts of each kind.
const REPEATS: usize = 5;
/// How long an idle service is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(5);
const BINARY: &str = env!("CARGO_BIN_EXE_safelane");

fn main() -> Result<(), Failure> {
    tokio::runtime::Runtime::new()?.block_on(measure())
}

async fn measure() -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("safelane-bench-{}", std::process::id()));
    let mut first = Vec::new();
    for round in 0..REPEATS {
        let data = folder.join(format!("first-{round}"));
        first.push(start_and_stop(&private(&data)).await?.0);
    }
    let data = folder.join("first-0");
    let mut again = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..REPEATS {
        let (time, held) = start_and_stop(&private(&data)).await?;
        again.push(time);
        memory.push(held);
    }
    let external = external(&folder).await?;
    std::fs::remove_dir_all(&folder)?;
    report("first start, private PostgreSQL (initdb included)", &mut first);
    report("start on existing data, private PostgreSQL included", &mut again);
    report("start on a PostgreSQL that runs already", &mut external.clone());
    memory.sort_unstable();
    say(&format!("idle memory of the service (RSS, median)              {} kB", memory[memory.len() / 2]));
    Ok(())
}

/// Starts on a PostgreSQL that this program runs.
async fn external(folder: &Path) -> Result<Vec<Duration>, Failure> {
    let data_dir = folder.join("external");
    let options = Options { data_dir, bin_dir: None, durable: true, max_connections: 20 };
    let embedded = Embedded::start(options).await?;
    let url = embedded.connect_options().to_url_lossy().to_string();
    let status =
        Command::new(BINARY).arg("migrate").env("DATABASE_URL", &url).stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err("the migration failed".into());
    }
    let mut times = Vec::new();
    for _ in 0..REPEATS {
        let mut command = Command::new(BINARY);
        command.arg("serve").arg("--attachments").arg(folder.join("attachments")).env("DATABASE_URL", &url);
        times.push(start_and_stop_command(command).await?.0);
    }
    embedded.stop().await;
    Ok(times)
}

fn private(data: &Path) -> impl Fn() -> Command + use<> {
    let data = data.to_owned();
    move || {
        let mut command = Command::new(BINARY);
        command.arg("serve").arg("--data-dir").arg(&data).env_remove("DATABASE_URL");
        command
    }
}

async fn start_and_stop(command: &(impl Fn() -> Command + Sync)) -> Result<(Duration, u64), Failure> {
    start_and_stop_command(command()).await
}

/// Time from the start of the process to SERVING, and memory once it was idle.
async fn start_and_stop_command(mut command: Command) -> Result<(Duration, u64), Failure> {
    command.args(["--listen", "127.0.0.1:0", "--log", "error"]).stdout(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn()?;
    let address = address(&mut child)?;
    until_serving(&address).await?;
    let time = begun.elapsed();
    tokio::time::sleep(IDLE).await;
    let held = resident_kb(child.id())?;
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    let status = child.wait()?;
    if status.success() { Ok((time, held)) } else { Err(format!("the service ended with {status}").into()) }
}

fn address(child: &mut Child) -> Result<String, Failure> {
    let out = child.stdout.take().ok_or("standard output is a pipe")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    let address = line.trim().strip_prefix("listening on ").ok_or("the service did not start")?;
    Ok(address.to_owned())
}

async fn until_serving(address: &str) -> Result<(), Failure> {
    let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
    let mut client = HealthClient::new(channel);
    loop {
        let request = HealthCheckRequest { service: "readiness".to_owned() };
        if client.check(request).await?.into_inner().status() == ServingStatus::Serving {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn resident_kb(pid: u32) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("VmRSS is missing")?;
    let kb = line.split_whitespace().nth(1).ok_or("VmRSS has no value")?;
    Ok(kb.parse()?)
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    say(&format!("{what:<53} {} ms (worst {} ms)", median.as_millis(), worst.as_millis()));
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn say(line: &str) {
    println!("{line}");
}
