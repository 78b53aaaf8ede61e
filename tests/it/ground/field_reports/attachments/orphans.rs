//! What nobody needs is deleted, and nothing else ever is.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use safelane::app::App;
use safelane::app::attachment::Attachments;
use safelane::app::attachment::orphans::Collected;
use safelane::clock::Clock;
use safelane::files::place::Place;
use safelane::rpc::journal::CODEC;

use super::super::rig::Tablet;
use super::resume::{open, until};
use super::rig::{
    begin, chunk, digits, disk_now, download, durable, files, messages, objects, photo, send, sha256,
    submitted, upload,
};
use crate::harness::{World, files_of, in_world};

/// A second, in which whoever looks believes that everything is very old.
const LATE: &str = "2200-01-01T00:00:00Z";

/// Another process that looks after the same files.
async fn keeper(world: &World) -> App {
    let (objects, staging) = Place::Folder(files_of(&world.database.name)).open().unwrap();
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    App::connect(world.store.clone(), Attachments::new(objects, staging), clock, CODEC).await.unwrap()
}

fn object_path(world: &World, content: &[u8]) -> PathBuf {
    let digits = digits(content);
    files_of(&world.database.name).join("objects").join(&digits[..2]).join(&digits)
}

/// Puts a file into the store that no row refers to, as a crash does.
fn orphan(world: &World, content: &[u8]) {
    let path = object_path(world, content);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[tokio::test]
async fn old_uploads_and_objects_that_nobody_refers_to_are_deleted_and_nothing_else() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let (kept, begun, lost) = (photo(1, 5_000), photo(2, 6_000), photo(3, 7_000));
        let report = submitted(&tablet, &[&kept, &begun]).await;
        let id = &report.report_id;
        upload(&tablet.service, id, &kept).await.unwrap();
        send(&tablet.service, messages(id, &begun, 0..2_500, 1_000)).await.unwrap();
        orphan(world, &lost);
        let foreign = files_of(&world.database.name).join("objects/readme.txt");
        fs::write(&foreign, b"not ours").unwrap();
        let keeper = keeper(world).await;
        assert_eq!(keeper.collect_orphans().await.unwrap(), Collected::default(), "everything is young");
        world.clock.set(LATE);
        let collected = keeper.collect_orphans().await.unwrap();
        let expected = Collected { uploads: 1, upload_bytes: 2_500, objects: 1, object_bytes: 7_000 };
        assert_eq!(collected, expected);
        assert_eq!(files(world).len(), 2, "{:?}", files(world));
        assert!(foreign.exists(), "what is not ours is left alone");
        let (_, content) = download(&tablet.service, id, sha256(&kept), (0, 0)).await.unwrap();
        assert!(content == kept);
        assert_eq!(durable(&tablet.service, id, &begun).await, (0, false));
        assert!(upload(&tablet.service, id, &begun).await.unwrap().present, "it begins anew");
        keeper.writer().finish().await;
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_goes_on_is_not_taken_away_for_its_age() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 50_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        let (sending, answer) = open(&tablet.service);
        sending.send(begin(id, sha256(&photo))).await.unwrap();
        sending.send(chunk(0, &photo[..20_000])).await.unwrap();
        until(&tablet.service, id, &photo, 20_000).await;
        let keeper = keeper(world).await;
        // By the clock of whoever looks, it was written to a moment ago.
        let now = jiff::Timestamp::try_from(disk_now(world) + Duration::from_mins(1)).unwrap();
        world.clock.set(&now.to_string());
        assert_eq!(keeper.collect_orphans().await.unwrap(), Collected::default());
        sending.send(chunk(20_000, &photo[20_000..])).await.unwrap();
        drop(sending);
        assert!(answer.await.unwrap().unwrap().present);
        keeper.writer().finish().await;
    })
    .await;
}

/// An old object without a row is about to be deleted in the very moment in which somebody uploads the same file.
#[tokio::test]
async fn a_file_that_is_uploaded_while_its_orphan_is_collected_is_there_afterwards() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let keeper = keeper(world).await;
        world.clock.set(LATE);
        let mut collected = 0;
        for seed in 0..40 {
            let photo = photo(seed, 3_000);
            let report = submitted(&tablet, &[&photo]).await;
            orphan(world, &photo);
            let id = &report.report_id;
            let (uploaded, found) =
                tokio::join!(upload(&tablet.service, id, &photo), keeper.collect_orphans());
            collected += found.unwrap().objects;
            assert!(uploaded.unwrap().present);
            let (_, content) = download(&tablet.service, id, sha256(&photo), (0, 0)).await.unwrap();
            assert!(content == photo, "{seed}");
        }
        assert_eq!(objects(world).len(), 40);
        assert!(collected <= 40);
        keeper.writer().finish().await;
    })
    .await;
}

#[tokio::test]
async fn the_age_of_an_object_is_that_of_its_file() {
    in_world(async |world| {
        let (old, young) = (photo(1, 100), photo(2, 100));
        for (content, days) in [(&old, 31), (&young, 29)] {
            orphan(world, content);
            let age = Duration::from_hours(24 * days);
            let file = File::options().write(true).open(object_path(world, content)).unwrap();
            file.set_modified(disk_now(world) - age).unwrap();
        }
        let now = jiff::Timestamp::try_from(disk_now(world)).unwrap();
        world.clock.set(&now.to_string());
        let keeper = keeper(world).await;
        // The server itself may have been faster.
        keeper.collect_orphans().await.unwrap();
        assert!(!object_path(world, &old).exists() && object_path(world, &young).exists());
        keeper.writer().finish().await;
    })
    .await;
}
