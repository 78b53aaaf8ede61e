//! What the server does by itself, at its start and from time to time: it seals names that came while there was no key,
//! and deletes files that nobody needs any more. It says so.

use opentelemetry::KeyValue;

use crate::app::App;
use crate::app::attachment::orphans::INTERVAL;

/// Looks after names and files until it is aborted, which may be at any moment.
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
        seal_names(&app).await;
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

/// A replica without keys may have kept names in plain since the last time.
async fn seal_names(app: &App) {
    match app.seal_plain_names().await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "sealed names of persons that were kept in plain"),
        Err(error) => tracing::warn!(%error, "names of persons that are kept in plain could not be sealed"),
    }
}
