//! Several services that share a database and a folder of files.

use std::time::Duration;

use tonic::{Code, Status};

use super::super::rig::Tablet;
use super::resume::{open, until};
use super::rig::{Service, begin, chunk, download, durable, objects, photo, sha256, submitted, upload};
use crate::desk::reason;
use crate::harness::in_world;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether a tablet tries again.
fn is_for_now(refused: &Status) -> bool {
    [Code::Aborted, Code::Unavailable].contains(&refused.code())
}

/// Uploads a file as a tablet does, which tries again what is refused for now.
pub(super) async fn upload_patiently(service: &Service, report: &str, content: &[u8]) {
    let trying = async {
        loop {
            match upload(service, report, content).await {
                Err(refused) if is_for_now(&refused) => tokio::time::sleep(Duration::from_millis(5)).await,
                told => break assert!(told.unwrap().present),
            }
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.expect("it is there in the end");
}

#[tokio::test]
async fn one_service_at_a_time_writes_an_upload_in_a_folder_that_they_share() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let replica = world.replica().await;
        let other = replica.field_reports();
        let photo = photo(1, 200_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        let (sending, answer) = open(&tablet.service);
        sending.send(begin(id, sha256(&photo))).await.unwrap();
        sending.send(chunk(0, &photo[..50_000])).await.unwrap();
        until(&other, id, &photo, 50_000).await;
        // The tablet is back, at the other one, and sends everything again.
        let refused = upload(&other, id, &photo).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::Aborted, "CONTENDED"));
        assert_eq!(durable(&other, id, &photo).await, (50_000, false), "nothing was added to what is there");
        drop(sending);
        assert!(!answer.await.unwrap().unwrap().present);
        // What the first one left in good order, the other goes on with.
        assert!(upload(&other, id, &photo).await.unwrap().present);
        assert!(upload(&tablet.service, id, &photo).await.unwrap().present);
        let (_, content) = download(&tablet.service, id, sha256(&photo), (0, 0)).await.unwrap();
        assert!(content == photo);
        drop(other);
        replica.finish().await;
    })
    .await;
}

#[tokio::test]
async fn two_services_that_are_sent_the_same_photo_at_once_keep_it_as_it_is() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let replica = world.replica().await;
        let other = replica.field_reports();
        for seed in 0..15 {
            let photo = photo(seed, 400_000);
            let report = submitted(&tablet, &[&photo]).await;
            let id = &report.report_id;
            tokio::join!(upload_patiently(&tablet.service, id, &photo), upload_patiently(&other, id, &photo));
            let (file, content) = download(&other, id, sha256(&photo), (0, 0)).await.unwrap();
            assert!(content == photo, "{seed}: {} bytes", file.size);
        }
        assert_eq!(objects(world).len(), 15);
        drop(other);
        replica.finish().await;
    })
    .await;
}
