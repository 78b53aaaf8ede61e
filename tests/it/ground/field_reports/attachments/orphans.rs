//! What nobody needs is deleted, and nothing else ever is.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use safelane::app::App;
use safelane::app::attachment::Attachments;
use safelane::app::attachment::orphans::Collected;
use safelane::clock::Clock;
use safelane::files::place::Place;
use safelane::rpc::journal::CODEC;
use safelane::store::migrate::renew_epoch;
use sqlx::types::Uuid;
use tonic::Code;

use super::super::rig::Tablet;
use super::replicas::upload_patiently;
use super::resume::{open, until};
use super::rig::{
    begin, chunk, digits, disk_now, download, durable, files, messages, object_path, objects, photo, send,
    settled, sha256, submitted, upload,
};
use crate::desk::reason;
use crate::harness::{ManualClock, START, World, files_of, in_world};

/// A second, in which whoever looks believes that everything is very old.
const LATE: &str = "2200-01-01T00:00:00Z";
/// What was first seen then is due when a test begins.
const LONG_AGO: &str = "1998-01-01";

/// Another process that looks after the same files, by a clock of its own: the service looks as well, and finds nothing that
/// is due.
async fn keeper(world: &World) -> (App, Arc<ManualClock>) {
    let (objects, staging) = Place::Folder(files_of(&world.database.name)).open().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let told = Arc::clone(&clock) as Arc<dyn Clock>;
    let app = App::connect(world.store.clone(), Attachments::new(objects, staging), told, CODEC).await;
    (app.unwrap(), clock)
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
        settled(world).await;
        send(&tablet.service, messages(id, &begun, 0..2_500, 1_000)).await.unwrap();
        orphan(world, &lost);
        let foreign = files_of(&world.database.name).join("objects/readme.txt");
        fs::write(&foreign, b"not ours").unwrap();
        let (keeper, clock) = keeper(world).await;
        let before = keeper.collect_orphans().await.unwrap();
        assert_eq!(
            before,
            Collected::default(),
            "uploads are young, and objects are seen for the first time"
        );
        clock.set(LATE);
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
        let (keeper, clock) = keeper(world).await;
        // By the clock of whoever looks, it was written to a moment ago.
        let now = jiff::Timestamp::try_from(disk_now(world) + Duration::from_mins(1)).unwrap();
        clock.set(&now.to_string());
        assert_eq!(keeper.collect_orphans().await.unwrap(), Collected::default());
        sending.send(chunk(20_000, &photo[20_000..])).await.unwrap();
        drop(sending);
        assert!(answer.await.unwrap().unwrap().present);
        keeper.writer().finish().await;
    })
    .await;
}

/// The database says when it first saw an object without a row, and since when it is being deleted. The service, which looks
/// once when it starts, may have marked it before.
async fn mark(world: &World, content: &[u8], first_seen_at: &str, deleting_since: Option<&str>) {
    sqlx::query(
        "INSERT INTO orphans (sha256, size, first_seen_at, deleting_since)
         VALUES (decode($1, 'hex'), 1, $2::timestamptz, $3::timestamptz)
         ON CONFLICT (sha256) DO UPDATE
         SET first_seen_at = excluded.first_seen_at, deleting_since = excluded.deleting_since",
    )
    .bind(digits(content))
    .bind(first_seen_at)
    .bind(deleting_since)
    .execute(&mut world.database.connect().await)
    .await
    .unwrap();
}

async fn marks(world: &World) -> i64 {
    let counted = sqlx::query_scalar("SELECT count(*) FROM orphans");
    counted.fetch_one(&mut world.database.connect().await).await.unwrap()
}

/// An old object without a row is about to be deleted in the very moment in which somebody uploads the same file.
#[tokio::test]
async fn a_file_that_is_uploaded_while_its_orphan_is_collected_is_there_afterwards() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let (keeper, _) = keeper(world).await;
        for seed in 0..40 {
            let photo = photo(seed, 3_000);
            let report = submitted(&tablet, &[&photo]).await;
            orphan(world, &photo);
            mark(world, &photo, LONG_AGO, None).await;
            let id = &report.report_id;
            let ((), collected) =
                tokio::join!(upload_patiently(&tablet.service, id, &photo), keeper.collect_orphans());
            assert!(collected.unwrap().objects <= 1);
            let (_, content) = download(&tablet.service, id, sha256(&photo), (0, 0)).await.unwrap();
            assert!(content == photo, "{seed}");
        }
        assert_eq!(objects(world).len(), 40);
        keeper.collect_orphans().await.unwrap();
        assert_eq!((objects(world).len(), marks(world).await), (40, 0));
        keeper.writer().finish().await;
    })
    .await;
}

/// After a backup of the database was restored, files that came later have no row, however old they are.
#[tokio::test]
async fn an_object_is_deleted_long_after_it_was_first_seen_without_a_row_whatever_its_age() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let (keeper, clock) = keeper(world).await;
        let (lost, sent_again) = (photo(1, 100), photo(2, 100));
        let report = submitted(&tablet, &[&sent_again]).await;
        for content in [&lost, &sent_again] {
            orphan(world, content);
            let file = fs::File::options().write(true).open(object_path(world, content)).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        }
        for (day, left) in [("2020-01-01", 2), ("2020-01-30", 2), ("2020-01-31", 1)] {
            clock.set(&format!("{day}T00:00:00Z"));
            keeper.collect_orphans().await.unwrap();
            assert_eq!(objects(world).len(), left, "{day}");
            if day == "2020-01-30" {
                assert!(upload(&tablet.service, &report.report_id, &sent_again).await.unwrap().present);
                assert_eq!(marks(world).await, 1, "whoever keeps a file takes its mark away");
            }
        }
        assert!(!object_path(world, &lost).exists());
        assert_eq!(marks(world).await, 0);
        keeper.writer().finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_new_epoch_forgets_what_an_old_backup_has_seen() {
    in_world(async |world| {
        let ((keeper, clock), lost) = (keeper(world).await, photo(1, 100));
        orphan(world, &lost);
        // Not due for the service, whose clock stands; due for the keeper, unless it was first seen when the test began.
        mark(world, &lost, "1998-05-25", None).await;
        clock.set("1998-07-05T12:00:00Z");
        renew_epoch(&world.store).await.unwrap();
        assert_eq!(keeper.collect_orphans().await.unwrap(), Collected::default());
        assert!(object_path(world, &lost).exists());
        keeper.writer().finish().await;
    })
    .await;
}

/// A service died, or its store did not answer, while it deleted: nobody knows when the object will be gone.
#[tokio::test]
async fn a_file_whose_deletion_is_under_way_is_not_kept_until_that_is_over() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let (keeper, clock) = keeper(world).await;
        let photo = photo(1, 50_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        orphan(world, &photo);
        mark(world, &photo, LONG_AGO, Some("1998-06-15 11:30Z")).await;
        clock.set("1998-06-15T12:00:00Z");
        let refused = upload(&tablet.service, id, &photo).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::Unavailable, "FILES_AWAY"));
        assert_eq!(durable(&tablet.service, id, &photo).await, (50_000, false), "all bytes are there");
        assert_eq!(keeper.collect_orphans().await.unwrap().objects, 0, "somebody may still be at it");
        clock.set("1998-06-15T12:30:00Z");
        assert_eq!(keeper.collect_orphans().await.unwrap().objects, 1);
        assert_eq!((objects(world).len(), marks(world).await), (0, 0));
        assert!(send(&tablet.service, vec![begin(id, sha256(&photo))]).await.unwrap().present);
        let (_, content) = download(&tablet.service, id, sha256(&photo), (0, 0)).await.unwrap();
        assert!(content == photo);
        keeper.writer().finish().await;
    })
    .await;
}

#[tokio::test]
async fn the_files_of_another_installation_are_left_alone() {
    in_world(async |world| {
        let ((keeper, clock), lost) = (keeper(world).await, photo(1, 100));
        orphan(world, &lost);
        keeper.collect_orphans().await.unwrap();
        clock.set(LATE);
        let marker = files_of(&world.database.name).join("installation");
        let ours: Uuid = fs::read_to_string(&marker).unwrap().trim().parse().unwrap();
        fs::write(&marker, Uuid::from_u128(7).to_string()).unwrap();
        assert_eq!(keeper.collect_orphans().await.unwrap(), Collected::default());
        assert!(object_path(world, &lost).exists());
        fs::write(&marker, format!("{ours}\n")).unwrap();
        assert_eq!(keeper.collect_orphans().await.unwrap().objects, 1);
        keeper.writer().finish().await;
    })
    .await;
}
