//! What becomes of uploads when the service is stopped, killed, or has no place to write.

use std::time::Duration;

use safelane::rpc::pb;
use tonic::Code;

use super::super::rig::{Tablet, client};
use super::resume::{open, until};
use super::rig::{
    CHUNK, begin, chunk, digits, download, durable, messages, photo, send, settled, sha256, submitted, upload,
};
use crate::binary::Service;
use crate::desk::reason;
use crate::harness::{connect, files_of, in_world};

/// How long a process takes to be gone.
const GONE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_upload_goes_on_where_the_killed_service_was() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 3_000_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        let mut before = 0;
        for stop in [700_000, 1_900_001] {
            let mut service = Service::on(&world.database.url(), &["--log", "off"]).await;
            let connected = client(connect(service.address).await);
            let (from, _) = durable(&connected, id, &photo).await;
            assert!(before <= from, "what was told to be durable is there: {before} {from}");
            let (sending, answer) = open(&connected);
            sending.send(begin(id, sha256(&photo))).await.unwrap();
            let mut at = from;
            while at < stop {
                let to = (at + CHUNK).min(stop);
                sending.send(chunk(at, &photo[at..to])).await.unwrap();
                at = to;
            }
            until(&connected, id, &photo, stop - CHUNK).await;
            before = durable(&connected, id, &photo).await.0;
            service.signal("KILL");
            service.ended(GONE).await;
            answer.await.unwrap().unwrap_err();
        }
        let (from, present) = durable(&tablet.service, id, &photo).await;
        assert!(before <= from && !present, "{before} {from}");
        let state = send(&tablet.service, messages(id, &photo, from..photo.len(), CHUNK)).await.unwrap();
        assert!(state.present, "the bytes of before the kills are right");
        let (_, content) = download(&tablet.service, id, sha256(&photo), (0, 0)).await.unwrap();
        assert!(content == photo);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_drains_ends_uploads_in_good_order() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 500_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        let mut service = Service::on(&world.database.url(), &[]).await;
        let connected = client(connect(service.address).await);
        let (sending, answer) = open(&connected);
        sending.send(begin(id, sha256(&photo))).await.unwrap();
        sending.send(chunk(0, &photo[..60_000])).await.unwrap();
        until(&connected, id, &photo, 60_000).await;
        service.signal("TERM");
        let ended = answer.await.unwrap().unwrap_err();
        assert_eq!((ended.code(), reason(&ended).0.as_str()), (Code::Unavailable, "DRAINING"));
        drop((sending, connected));
        assert!(service.ended(GONE).await.success());
        assert!(service.errors().contains("collected attachments that nobody needs"), "{}", service.errors());
        assert_eq!(durable(&tablet.service, id, &photo).await, (60_000, false));
    })
    .await;
}

/// The moment between store and database: the file is in the store and nobody says so.
#[tokio::test]
async fn a_whole_upload_that_was_not_kept_is_kept_by_the_next_call() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 100_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        send(&tablet.service, messages(id, &photo, 0..99_000, CHUNK)).await.unwrap();
        let uploads = files_of(&world.database.name).join("uploads").join(&tablet.works.desk.operator_id);
        let staged = std::fs::read_dir(&uploads).unwrap().next().unwrap().unwrap().path();
        std::fs::write(&staged, &photo).unwrap();
        let digits = digits(&photo);
        let object = files_of(&world.database.name).join("objects").join(&digits[..2]).join(&digits);
        std::fs::create_dir_all(object.parent().unwrap()).unwrap();
        std::fs::hard_link(&staged, object).unwrap();
        assert_eq!(durable(&tablet.service, id, &photo).await, (100_000, false));
        assert_eq!(
            download(&tablet.service, id, sha256(&photo), (0, 0)).await.unwrap_err().code(),
            Code::NotFound
        );
        let state = send(&tablet.service, vec![begin(id, sha256(&photo))]).await.unwrap();
        assert!(state.present, "without another byte");
        let (_, content) = download(&tablet.service, id, sha256(&photo), (0, 0)).await.unwrap();
        assert!(content == photo);
        assert_eq!(settled(world).await.len(), 1, "nothing of the upload is left");
    })
    .await;
}

#[tokio::test]
async fn an_operator_with_too_much_that_is_not_finished_finishes_that_first() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let (begun, new) = (photo(1, 100_000), photo(2, 100_000));
        let report = submitted(&tablet, &[&begun, &new]).await;
        let id = &report.report_id;
        send(&tablet.service, messages(id, &begun, 0..50_000, CHUNK)).await.unwrap();
        // One that will have eight gibibytes: what counts is what will be there.
        let uploads = files_of(&world.database.name).join("uploads").join(&tablet.works.desk.operator_id);
        let many = uploads.join(format!("{}-{}", "00".repeat(32), (8_u64 << 30) - 150_000));
        std::fs::write(&many, b"x").unwrap();
        let refused = upload(&tablet.service, id, &new).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).0.as_str()),
            (Code::ResourceExhausted, "QUOTA_EXCEEDED")
        );
        assert!(upload(&tablet.service, id, &begun).await.unwrap().present);
        std::fs::remove_file(many).unwrap();
        let some = |number: usize| uploads.join(format!("{number:064x}-1"));
        (0..2_000).for_each(|number| std::fs::write(some(number), b"").unwrap());
        let refused = upload(&tablet.service, id, &new).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(
            refused.message().contains("unfinished uploads of an operator is limited to 2000"),
            "{refused:?}"
        );
        std::fs::remove_file(some(7)).unwrap();
        assert!(upload(&tablet.service, id, &new).await.unwrap().present);
    })
    .await;
}

/// A tablet on a bad link sends a photo in many calls.
#[tokio::test]
async fn an_upload_in_many_calls_is_not_read_again_at_each() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 100_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        let uploads = files_of(&world.database.name).join("uploads").join(&tablet.works.desk.operator_id);
        for reads_again in [true, false] {
            send(&tablet.service, messages(id, &photo, 0..90_000, CHUNK)).await.unwrap();
            let staged = std::fs::read_dir(&uploads).unwrap().next().unwrap().unwrap().path();
            let written_at = std::fs::metadata(&staged).unwrap().modified().unwrap();
            // Other bytes of the same length: whoever reads them finds another hash.
            std::fs::write(&staged, vec![7; 90_000]).unwrap();
            if !reads_again {
                std::fs::File::options().write(true).open(&staged).unwrap().set_modified(written_at).unwrap();
            }
            let told = send(&tablet.service, messages(id, &photo, 90_000..100_000, CHUNK)).await;
            assert_eq!(told.is_err(), reads_again, "{told:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told_and_mended() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 100_000);
        let report = submitted(&tablet, &[&photo]).await;
        let uploads = files_of(&world.database.name).join("uploads");
        std::fs::remove_dir(&uploads).unwrap();
        std::fs::write(&uploads, b"a file where a folder should be").unwrap();
        let refused = upload(&tablet.service, &report.report_id, &photo).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).0.as_str()), (Code::Unavailable, "FILES_AWAY"));
        assert!(!refused.message().contains('/'), "no path is shown: {}", refused.message());
        assert!(refused.metadata().contains_key("grpc-retry-pushback-ms"));
        std::fs::remove_file(&uploads).unwrap();
        let state: pb::UploadState = upload(&tablet.service, &report.report_id, &photo).await.unwrap();
        assert!(state.present);
    })
    .await;
}
