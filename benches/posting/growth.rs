//! Whether a big table costs throughput: the same load on a small and on a big one, in turns.

use serde::Serialize;

use crate::cluster::Cluster;
use crate::figures::median;
use crate::load::{Mode, Stage};
use crate::options::{Kind, Sizes};
use crate::program::Program;
use crate::{Failure, progress, soak};

const KIND: Kind = Kind { mode: Mode::Streamed, allocations: 1_000, in_flight: 1_024 };
const SMALL: &str = "small";

/// What growth costs.
#[derive(Debug, Serialize)]
pub(crate) struct Growth {
    pub(crate) rounds: Vec<Round>,
    /// What the tables held before the first measured round.
    pub(crate) small_entries: u64,
    pub(crate) big_entries: u64,
    /// What the small one held at the end of a round, at most. It is made anew for each.
    pub(crate) small_entries_after: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Round {
    pub(crate) small: u64,
    pub(crate) big: u64,
}

impl Growth {
    /// Medians of both.
    pub(crate) fn median(&self) -> Round {
        Round {
            small: median(self.rounds.iter().map(|round| round.small)),
            big: median(self.rounds.iter().map(|round| round.big)),
        }
    }
}

/// Measures both in turns. `seed` is what the small one is a copy of.
pub(crate) async fn measure(
    cluster: &Cluster,
    program: &Program,
    (seed, big): (&str, &str),
    sizes: &Sizes,
) -> Result<Growth, Failure> {
    let mut growth = Growth { rounds: Vec::new(), small_entries: 0, big_entries: 0, small_entries_after: 0 };
    for number in 0..sizes.growth_rounds {
        // Whoever comes second may find something of the first, so each is first in turn.
        let (small, large) = if number.is_multiple_of(2) {
            let small = small_round(cluster, program, seed, sizes).await?;
            (small, round(cluster, program, big, sizes).await?)
        } else {
            let large = round(cluster, program, big, sizes).await?;
            (small_round(cluster, program, seed, sizes).await?, large)
        };
        if number == 0 {
            (growth.small_entries, growth.big_entries) = (small.before, large.before);
        }
        growth.small_entries_after = growth.small_entries_after.max(small.after);
        growth.rounds.push(Round { small: small.per_second, big: large.per_second });
        let (small, large) = (small.per_second, large.per_second);
        progress(&format!("growth, round {}: small {small}/s, big {large}/s", number + 1));
    }
    Ok(growth)
}

/// One measurement, and how many entries the table held before and after it.
struct Measured {
    per_second: u64,
    before: u64,
    after: u64,
}

/// Makes the small table anew and measures it.
async fn small_round(
    cluster: &Cluster,
    program: &Program,
    seed: &str,
    sizes: &Sizes,
) -> Result<Measured, Failure> {
    cluster.make(SMALL, Some(seed)).await?;
    let measured = round(cluster, program, SMALL, sizes).await?;
    cluster.remove(SMALL).await?;
    Ok(measured)
}

async fn round(
    cluster: &Cluster,
    program: &Program,
    database: &str,
    sizes: &Sizes,
) -> Result<Measured, Failure> {
    let stage = Stage::open(cluster, program, database).await?;
    let before = soak::posted(&stage).await?;
    // Short, so that the small table stays a small one.
    let outcome = stage.closed(KIND, sizes.warm_up, sizes.measured * 2 / 3).await?;
    stage.service.stop()?;
    let after = before + outcome.tally.accepted;
    Ok(Measured { per_second: outcome.tally.per_second(), before, after })
}
