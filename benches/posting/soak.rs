//! Ten minutes at a fixed rate. The table that it fills is the big one of the growth part.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinHandle;

use crate::cpu::resident_kb;
use crate::figures::median;
use crate::load::{Arrivals, Mode, Stage};
use crate::options::Kind;
use crate::results::Run;
use crate::{Failure, progress};

/// How often memory is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// How many looks make a minute.
const MINUTE: usize = 6;
/// Tasks that pay.
const ALLOCATIONS: usize = 1_000;
/// The fill goes by rounds of this length, as fast as it can.
const FILL_ROUND: Duration = Duration::from_secs(20);
const FILL_LIMIT: Duration = Duration::from_mins(15);

/// What the soak found.
#[derive(Debug, Serialize)]
pub(crate) struct Soak {
    pub(crate) seconds: u64,
    pub(crate) offered: u64,
    /// Entries that the service was too far behind to be sent.
    pub(crate) unsent: u64,
    pub(crate) run: Run,
    /// Resident memory of the service: medians of the first and the last minute, and the most.
    pub(crate) first_kb: u64,
    pub(crate) last_kb: u64,
    pub(crate) max_kb: u64,
}

/// Posts `entries` in `length`.
pub(crate) async fn soak(stage: &Stage<'_>, entries: u64, length: Duration) -> Result<Soak, Failure> {
    let per_second = entries.div_ceil(length.as_secs().max(1));
    let arrivals = Arrivals { mode: Mode::Streamed, allocations: ALLOCATIONS, per_second };
    let memory = Memory::watch(stage.service.pid());
    let outcome = stage.arrivals(arrivals, Duration::ZERO, length, false).await?;
    let held = memory.end().await?;
    let minute = MINUTE.min(held.len());
    let (first, last) = (&held[..minute], &held[held.len() - minute..]);
    Ok(Soak {
        seconds: length.as_secs(),
        offered: per_second,
        unsent: outcome.unsent,
        run: Run::from(&outcome),
        first_kb: median(first.iter().copied()),
        last_kb: median(last.iter().copied()),
        max_kb: held.iter().copied().max().unwrap_or_default(),
    })
}

/// Posts as fast as the service takes it until the program has had `entries`, or time is up.
pub(crate) async fn fill(stage: &Stage<'_>, entries: u64) -> Result<(), Failure> {
    let begun = Instant::now();
    let kind = Kind { mode: Mode::Streamed, allocations: ALLOCATIONS, in_flight: 8_192 };
    let mut held = posted(stage).await?;
    let mut round = Duration::from_secs(1);
    while held < entries && begun.elapsed() < FILL_LIMIT {
        let accepted = stage.closed(kind, Duration::ZERO, round).await?.tally.accepted;
        held += accepted;
        progress(&format!("the big table holds {held} entries"));
        // As long as what is missing takes, or a little less.
        let missing = entries.saturating_sub(held);
        let rate = accepted.max(1) * 1_000 / u64::try_from(round.as_millis())?.max(1);
        round = Duration::from_millis(missing * 1_000 / rate.max(1) + 100).min(FILL_ROUND);
    }
    Ok(())
}

/// Entries that the journal of the program holds. The few that set it up count too.
pub(crate) async fn posted(stage: &Stage<'_>) -> Result<u64, Failure> {
    Ok(u64::try_from(stage.program.standing(stage.service.address()).await?.revision)?)
}

/// Looks at the memory of a process again and again.
struct Memory {
    looks: JoinHandle<Result<Vec<u64>, Failure>>,
    ended: tokio::sync::oneshot::Sender<()>,
}

impl Memory {
    fn watch(pid: u32) -> Self {
        let (ended, mut end) = tokio::sync::oneshot::channel();
        let looks = tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                tokio::select! {
                    _ = &mut end => return Ok(held),
                    () = tokio::time::sleep(LOOK) => held.push(resident_kb(pid)?),
                }
                if held.len().is_multiple_of(MINUTE) {
                    progress(&format!("soak: {} s, the service holds {:?} kB", held.len() * 10, held.last()));
                }
            }
        });
        Self { looks, ended }
    }

    async fn end(self) -> Result<Vec<u64>, Failure> {
        // A look that failed ended by itself.
        let _gone = self.ended.send(());
        self.looks.await?
    }
}
