//! Closed loops: so many callers, each with one call in flight.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use crate::Failure;
use crate::figures::Micros;
use crate::options::Sizes;

/// The longest latency that is told apart, in microseconds.
const LONGEST_US: u64 = 600_000_000;

/// What a load came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) callers: usize,
    pub(crate) per_second: u64,
    pub(crate) p50: Micros,
    pub(crate) p99: Micros,
    pub(crate) max: Micros,
}

/// Calls until the time is over. Each call gets a number of its own; latencies count after the warm-up.
pub(crate) async fn measure<F, C>(
    address: &str,
    sizes: Sizes,
    callers: usize,
    call: F,
) -> Result<Outcome, Failure>
where
    F: Fn(Channel, i64) -> C + Send + Sync + 'static,
    C: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let from = Instant::now() + sizes.warm_up;
    let until = from + sizes.measured;
    let (call, next) = (Arc::new(call), Arc::new(Mutex::new(0_i64)));
    let histogram = Arc::new(Mutex::new(Histogram::<u64>::new_with_bounds(1, LONGEST_US, 3)?));
    let mut running = JoinSet::new();
    for _ in 0..callers {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        let (call, next, histogram) = (Arc::clone(&call), Arc::clone(&next), Arc::clone(&histogram));
        running.spawn(async move {
            loop {
                let number = {
                    let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                    *next += 1;
                    *next
                };
                let sent = Instant::now();
                if until <= sent {
                    return Ok::<(), Failure>(());
                }
                call(channel.clone(), number).await?;
                if from <= sent {
                    let took = u64::try_from(sent.elapsed().as_micros()).unwrap_or(LONGEST_US);
                    histogram.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(took);
                }
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    let histogram = histogram.lock().unwrap_or_else(PoisonError::into_inner);
    let at = |quantile| Micros(histogram.value_at_quantile(quantile));
    let length = u64::try_from(sizes.measured.as_millis()).unwrap_or(u64::MAX);
    Ok(Outcome {
        callers,
        per_second: histogram.len().saturating_mul(1_000) / length.max(1),
        p50: at(0.5),
        p99: at(0.99),
        max: Micros(histogram.max()),
    })
}
