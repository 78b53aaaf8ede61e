//! What the server does by itself from time to time: it deletes files that nobody needs any more, and says so.

use opentelemetry::KeyValue;

use crate::app::App;
use crate::app::attachment::orphans::INTERVAL;

/// Looks after the files until it is aborted, which may be at any moment.
pub(super) async fn keep_house(app: App) {
    let meter = opentelemetry::global::meter(crate::telemetry::SCOPE);
    let collected = meter
        .u64_counter("safelane.attachments.collected")
        .with_description("Files that were deleted because nobody needs them any more.")
        .with_unit("{file}")
        .build();
    app.attachments().probe().await;
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match app.collect_orphans().await {
            Ok(found) => {
                collected.add(found.uploads, &[KeyValue::new("safelane.file.kind", "upload")]);
                collected.add(found.objects, &[KeyValue::new("safelane.file.kind", "object")]);
                tracing::info!(
                    uploads = found.uploads,
                    upload_bytes = found.upload_bytes,
                    objects = found.objects,
                    object_bytes = found.object_bytes,
                    "collected attachments that nobody needs"
                );
            }
            Err(error) => tracing::warn!(%error, "attachments that nobody needs could not be collected"),
        }
    }
}
