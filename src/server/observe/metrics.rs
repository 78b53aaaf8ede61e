//! The instruments of the RPC layer.

use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};

/// Seconds, as the conventions for RPC advise them.
const CALL_BOUNDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// One second to one day.
const STREAM_BOUNDS: [f64; 8] = [1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 21_600.0, 86_400.0];

/// What is measured of calls and streams.
#[derive(Debug)]
pub(super) struct Instruments {
    /// Unary calls, from the first byte of the request to the status.
    pub(super) calls: Histogram<f64>,
    /// Streams, from their request to their status.
    pub(super) streams: Histogram<f64>,
    /// Streams that have begun and not ended.
    pub(super) active: UpDownCounter<i64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let calls = meter
            .f64_histogram("rpc.server.call.duration")
            .with_unit("s")
            .with_description("Duration of unary calls.")
            .with_boundaries(CALL_BOUNDS.to_vec())
            .build();
        let streams = meter
            .f64_histogram("safelane.rpc.stream.duration")
            .with_unit("s")
            .with_description("Duration of streams, from request to status.")
            .with_boundaries(STREAM_BOUNDS.to_vec())
            .build();
        let active = meter
            .i64_up_down_counter("safelane.rpc.active_streams")
            .with_unit("{stream}")
            .with_description("Streams that have begun and not ended.")
            .build();
        Self { calls, streams, active }
    }
}
