//! Files in a bucket, with the real binary and its `AWS_` variables.

use std::time::Duration;

use tonic::Code;

use super::super::rig::{Tablet, client};
use super::bucket::Bucket;
use super::rig::{digits, download, durable, objects, photo, sha256, submitted, upload};
use crate::binary::{DataDir, Service, output, safelane, text};
use crate::desk::reason;
use crate::harness::{World, connect, in_world};

const GONE: Duration = Duration::from_secs(20);

async fn serving(world: &World, bucket: &Bucket, data: &DataDir) -> Service {
    let mut command = safelane(&["serve", "--data-dir", data.arg(), "--attachments", "s3://photos/of/teams"]);
    command
        .env("DATABASE_URL", world.database.url())
        .env("AWS_ENDPOINT_URL", format!("http://{}", bucket.address))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "a secret of the bucket");
    Service::start(command).await
}

/// Uploads are in the data directory only until they are whole.
async fn no_uploads(data: &DataDir, tablet: &Tablet) {
    let uploads = data.path().join("uploads").join(&tablet.works.desk.operator_id);
    let left = async {
        while 0 < std::fs::read_dir(&uploads).unwrap().count() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(GONE, left).await.expect("they go when they are kept");
}

#[tokio::test]
async fn photos_go_to_a_bucket_and_come_back_in_ranges() {
    in_world(async |world| {
        let (bucket, data) = (Bucket::start().await, DataDir::new());
        let tablet = Tablet::open(world).await;
        // One above the size of a part.
        let (small, large) = (photo(1, 100_000), photo(2, 9_000_000));
        let report = submitted(&tablet, &[&small, &large]).await;
        let id = &report.report_id;
        let lost = photo(3, 1_000);
        bucket.put(&format!("/photos/of/teams/objects/{}/{}", &digits(&lost)[..2], digits(&lost)), &lost);
        sqlx::query("INSERT INTO orphans (sha256, size, first_seen_at) VALUES (decode($1, 'hex'), 1000, '1998-01-01')")
            .bind(digits(&lost))
            .execute(&mut world.database.connect().await)
            .await
            .unwrap();
        let mut service = serving(world, &bucket, &data).await;
        let connected = client(connect(service.address).await);
        for photo in [&small, &large] {
            assert!(upload(&connected, id, photo).await.unwrap().present);
            let (file, content) = download(&connected, id, sha256(photo), (0, 0)).await.unwrap();
            assert!(content == *photo);
            assert_eq!(file.media_type, "image/jpeg");
            let (_, content) = download(&connected, id, sha256(photo), (70_000, 1_000)).await.unwrap();
            assert!(content == photo[70_000..71_000]);
        }
        let key = |content: &[u8]| {
            format!("/photos/of/teams/objects/{}/{}", &digits(content)[..2], digits(content))
        };
        let mut keys = vec![key(&small), key(&large), "/photos/of/teams/installation".to_owned()];
        keys.sort();
        // The service tidied up when it began: what nobody refers to for long is gone.
        let tidied = async {
            while bucket.keys().contains(&key(&lost)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(GONE, tidied).await.expect("the orphan is collected");
        assert_eq!(bucket.keys(), keys);
        assert_eq!(objects(world).len(), 0, "nothing is in the folder of the other server");
        assert!(
            bucket.requests().iter().any(|asked| asked.starts_with("POST")),
            "the large one came in parts"
        );
        no_uploads(&data, &tablet).await;
        assert!(!service.errors().contains("a secret"), "{}", service.errors());
        drop(connected);
        service.signal("TERM");
        assert!(service.ended(GONE).await.success());
    })
    .await;
}

#[tokio::test]
async fn a_bucket_that_refuses_loses_nothing_of_an_upload() {
    in_world(async |world| {
        let (bucket, data) = (Bucket::start().await, DataDir::new());
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 100_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        bucket.fail(true);
        let mut service = serving(world, &bucket, &data).await;
        let connected = client(connect(service.address).await);
        let refused = upload(&connected, id, &photo).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::Unavailable, "FILES_AWAY"));
        assert_eq!(durable(&connected, id, &photo).await, (100_000, false), "all bytes are there");
        bucket.fail(false);
        let nothing = super::rig::messages(id, &photo, 0..0, 1);
        assert!(super::rig::send(&connected, nothing).await.unwrap().present, "without another byte");
        assert_eq!(photos_in(&bucket), 1);
        assert!(
            service.errors().contains("the store of attachments does not answer"),
            "{}",
            service.errors()
        );
        drop(connected);
        service.signal("TERM");
        assert!(service.ended(GONE).await.success());
    })
    .await;
}

fn photos_in(bucket: &Bucket) -> usize {
    bucket.keys().iter().filter(|key| key.contains("/objects/")).count()
}

#[tokio::test]
async fn a_large_file_that_cannot_be_sent_leaves_no_parts_behind() {
    in_world(async |world| {
        let (bucket, data) = (Bucket::start().await, DataDir::new());
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 12_000_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        let mut service = serving(world, &bucket, &data).await;
        let connected = client(connect(service.address).await);
        bucket.fail_parts(true);
        let refused = upload(&connected, id, &photo).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::Unavailable, "FILES_AWAY"));
        assert_eq!((photos_in(&bucket), bucket.parts()), (0, 0), "{:?}", bucket.requests());
        bucket.fail_parts(false);
        assert!(upload(&connected, id, &photo).await.unwrap().present);
        assert_eq!(bucket.parts(), 0);
        let (_, content) = download(&connected, id, sha256(&photo), (0, 0)).await.unwrap();
        assert!(content == photo);
        drop(connected);
        service.signal("TERM");
        assert!(service.ended(GONE).await.success());
    })
    .await;
}

#[tokio::test]
async fn what_a_bucket_has_is_not_sent_and_what_it_has_wrong_or_lost_is_sent_again() {
    in_world(async |world| {
        let (bucket, data) = (Bucket::start().await, DataDir::new());
        let tablet = Tablet::open(world).await;
        let (there, short) = (photo(1, 50_000), photo(2, 60_000));
        let report = submitted(&tablet, &[&there, &short]).await;
        let id = &report.report_id;
        let key = |content: &[u8]| {
            format!("/photos/of/teams/objects/{}/{}", &digits(content)[..2], digits(content))
        };
        bucket.put(&key(&there), &there);
        bucket.put(&key(&short), &short[..10]);
        let mut service = serving(world, &bucket, &data).await;
        let connected = client(connect(service.address).await);
        let sent = |content: &[u8]| {
            let asked = format!("PUT {}", key(content));
            bucket.requests().iter().filter(|request| **request == asked).count()
        };
        for photo in [&there, &short] {
            assert!(upload(&connected, id, photo).await.unwrap().present);
            let (_, content) = download(&connected, id, sha256(photo), (0, 0)).await.unwrap();
            assert!(content == *photo);
        }
        assert_eq!((sent(&there), sent(&short)), (0, 1));
        no_uploads(&data, &tablet).await;
        bucket.lose(&key(&there));
        let lost = download(&connected, id, sha256(&there), (0, 0)).await.unwrap_err();
        assert_eq!((lost.code(), reason(&lost).0.as_str()), (Code::DataLoss, "FILE_LOST"));
        assert_eq!(durable(&connected, id, &there).await, (0, false));
        assert!(upload(&connected, id, &there).await.unwrap().present);
        assert_eq!((durable(&connected, id, &there).await, sent(&there)), ((50_000, true), 1));
        drop(connected);
        service.signal("TERM");
        assert!(service.ended(GONE).await.success());
    })
    .await;
}

#[tokio::test]
async fn a_place_that_cannot_be_is_told_at_the_start() {
    let database = crate::harness::TestDatabase::create().await;
    let data = DataDir::new();
    let file = data.path().join("a-file");
    std::fs::write(&file, b"").unwrap();
    let below = file.join("attachments").display().to_string();
    for (place, allowed) in [
        ("s3://B", "give a bucket and a prefix"),
        ("gs://bucket/x", "give a folder such as /srv/attachments, or s3://bucket/prefix"),
        (below.as_str(), "cannot be written to"),
    ] {
        let mut command = safelane(&["serve", "--listen", "127.0.0.1:0", "--attachments", place]);
        command.env("DATABASE_URL", database.url());
        let told = output(command).await;
        assert!(!told.status.success());
        let told = text(&told.stderr);
        assert!(told.contains("--attachments (SAFELANE_ATTACHMENTS)") && told.contains(allowed), "{told}");
    }
    database.drop().await;
}
