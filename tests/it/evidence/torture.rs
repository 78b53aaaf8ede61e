//! How long and with which seed: short by default, longer when `make torture` says so.

use std::time::{Duration, Instant};

use crate::evidence::load::Size;
use crate::evidence::scenario::Scenario;

/// The seed of a short run. Always the same, so that what fails for one fails for all.
pub(crate) const SEED: u64 = 1_998;
/// The longest round of a long run: after that a new one begins with the next seed.
const ROUND_MAX: Duration = Duration::from_secs(20);

/// A whole number from the environment.
pub(crate) fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}")))
}

/// How long each run goes on, when it is a long one.
fn seconds() -> Option<Duration> {
    setting("SAFELANE_TORTURE_SECONDS").map(Duration::from_secs)
}

/// How much work one round is.
fn size() -> Size {
    match seconds() {
        None => Size::QUICK,
        Some(seconds) => Size { callers: 12, streamers: 4, lasting: seconds.min(ROUND_MAX), ..Size::QUICK },
    }
}

/// Runs a scenario once, or with one seed after another until the time is over. It must find nothing.
pub(crate) async fn holds(scenario: Scenario) {
    let (start, mut seed) = (Instant::now(), setting("SAFELANE_TORTURE_SEED").unwrap_or(SEED));
    loop {
        println!("{scenario:?}: seed {seed}, {} s so far", start.elapsed().as_secs());
        if let Err(findings) = scenario.run(seed, size(), None).await {
            panic!("{scenario:?} with seed {seed}: {findings}");
        }
        if seconds().is_none_or(|seconds| seconds <= start.elapsed()) {
            return;
        }
        seed += 1;
    }
}
