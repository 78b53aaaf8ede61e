//! Photos on a device: it keeps them until it is told to let go, and sends again what the service lost.

use safelane::cli::field::outbox::{Pruned, Verdict};
use safelane::cli::field::sync::{Event, Pace};
use safelane::rpc::pb;
use safelane::store::migrate::renew_epoch;

use super::attachments::rig::{object_path, settled};
use super::devices::{LONG, Pad, find, pace};
use super::rig::Tablet;
use crate::harness::in_world;

const LANE: &[u8] = b"\xFF\xD8\xFF\xE0lane";

#[tokio::test]
async fn a_photo_that_a_receipt_calls_absent_is_uploaded_again() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        pad.capture(find(&tablet, "with a photo"), &[pad.file("lane.jpg", LANE)]);
        assert_eq!(pad.sync_all().await.files, 1);
        let outbox = &pad.device.outbox;
        assert_eq!(outbox.uploads().expect("they are read"), []);
        // The same report is answered once more, by a service that has the file no more.
        let entry = pad.status().entries.pop().expect("an entry");
        let mut answer = entry.answer.expect("an answer");
        answer.receipt.as_mut().expect("a receipt").attachments[0].present = false;
        let verdict = Verdict::Acknowledged(Box::new(answer));
        outbox.settle(&[(entry.entry, verdict)], &pb::DeviceClock::default()).expect("it is noted");
        let again = outbox.uploads().expect("they are read");
        assert_eq!((again.len(), again[0].durable_offset), (1, 0));
        assert_eq!(pad.sync_all().await.files, 1);
    })
    .await;
}

#[tokio::test]
async fn after_a_backup_was_restored_every_photo_is_asked_for_again() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        let with_feed = Pace { feed: true, ..pace() };
        pad.capture(find(&tablet, "with a photo"), &[pad.file("lane.jpg", LANE)]);
        pad.sync_at(&with_feed, LONG).await;
        let uploads = || {
            let heard = std::mem::take(&mut *pad.heard.lock().expect("no panic"));
            heard.iter().filter(|event| matches!(event, Event::Uploaded { .. })).count()
        };
        assert_eq!(uploads(), 1);
        pad.sync_at(&with_feed, LONG).await;
        assert_eq!(uploads(), 0, "it is the same history");
        renew_epoch(&world.store).await.expect("a new history");
        let replica = world.replica().await;
        pad.call(replica.address);
        let summary = pad.sync_at(&with_feed, LONG).await;
        assert_eq!((uploads(), summary.left, &*summary.feed_refused), (1, 0, ""), "{summary:?}");
        replica.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_photo_that_the_store_lost_is_uploaded_again_when_the_device_is_told_to_look() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        // A name that turns the direction of writing is not sent as it is.
        let lane = pad.file("\u{202e}lane.jpg", LANE);
        let outbox = &pad.device.outbox;
        pad.capture(find(&tablet, "with a photo"), &[lane, pad.file("marks.jpg", b"\xFF\xD8\xFFm")]);
        assert_eq!(pad.sync_all().await.files, 2);
        settled(world).await;
        let object = object_path(world, LANE);
        std::fs::remove_file(&object).expect("it is there");
        outbox.doubt_files().expect("it is noted");
        let summary = pad.sync_all().await;
        assert_eq!((summary.files, summary.left), (2, 0), "{summary:?}");
        assert_eq!(std::fs::read(object).expect("it is there again"), LANE);
        assert_eq!(summary.sent_bytes, LANE.len() as u64, "the other one is not sent");
    })
    .await;
}

#[tokio::test]
async fn copies_are_pruned_of_what_the_service_has_and_of_nothing_else() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        let outbox = &pad.device.outbox;
        pad.capture(
            find(&tablet, "sent"),
            &[pad.file("lane.jpg", LANE), pad.file("marks.jpg", b"\xFF\xD8\xFFm")],
        );
        assert_eq!(outbox.prune().expect("nothing is there to delete"), Pruned::default());
        pad.sync_all().await;
        // It is of another report, too, which waits.
        pad.capture(find(&tablet, "waits"), &[pad.file("lane.jpg", LANE)]);
        assert_eq!(outbox.prune().expect("it is deleted"), Pruned { files: 1, bytes: 4 });
        pad.sync_all().await;
        assert_eq!(outbox.prune().expect("it is deleted"), Pruned { files: 1, bytes: 8 });
        assert_eq!(outbox.prune().expect("all is deleted"), Pruned::default());
        assert_eq!(pad.status().broken, []);
    })
    .await;
}
