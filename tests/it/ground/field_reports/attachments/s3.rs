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
        let mut keys = vec![key(&small), key(&large)];
        keys.sort();
        // The service tidied up when it began: what nobody refers to is gone.
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
        let left =
            std::fs::read_dir(data.path().join("uploads").join(&tablet.works.desk.operator_id)).unwrap();
        assert_eq!(left.count(), 0, "uploads are in the data directory only until they are whole");
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
        assert_eq!(bucket.keys().len(), 1);
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
