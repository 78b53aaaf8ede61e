//! Uploads that are cut and go on, and several of one file at once.

use std::time::Duration;

use safelane::rpc::pb;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::super::rig::{Tablet, client};
use super::rig::{
    CHUNK, Service, begin, chunk, download, durable, messages, objects, photo, send, sha256, submitted,
    upload,
};
use crate::desk::reason;
use crate::evidence::chance::Chance;
use crate::harness::{connect, in_world};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

type Answer = JoinHandle<Result<pb::UploadState, Status>>;

/// An upload that a test feeds.
pub(super) fn open(service: &Service) -> (mpsc::Sender<pb::UploadAttachmentRequest>, Answer) {
    let (sending, sent) = mpsc::channel(64);
    let mut service = service.clone();
    let answer = tokio::spawn(async move {
        let answer = service.upload_attachment(ReceiverStream::new(sent)).await?;
        Ok(answer.into_inner().upload.expect("a state"))
    });
    (sending, answer)
}

/// Waits until so many bytes are durable.
pub(super) async fn until(service: &Service, report: &str, content: &[u8], bytes: usize) {
    let reached = async { while durable(service, report, content).await.0 < bytes {} };
    tokio::time::timeout(PATIENCE, reached).await.expect("it gets there");
}

/// collect#7356: about a hundred photos over a bad link, of which every retry began with the first byte.
#[tokio::test]
async fn collect_7356_a_retry_goes_on_at_the_byte_where_the_link_broke() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 900_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        let (mut sent, mut cuts) = (0, 0);
        loop {
            // Each try has a connection of its own, which breaks after three chunks.
            let service = client(connect(world.address).await);
            let (from, present) = durable(&service, id, &photo).await;
            assert!(!present);
            assert!(
                sent <= from + CHUNK,
                "at most one chunk of {sent} sent bytes is lost, not back to {from}"
            );
            let (sending, answer) = open(&service);
            sending.send(begin(id, sha256(&photo))).await.unwrap();
            let mut at = from;
            for _ in 0..3 {
                let to = (at + CHUNK).min(photo.len());
                if at < to {
                    sending.send(chunk(at, &photo[at..to])).await.unwrap();
                }
                at = to;
            }
            sent = at;
            if at == photo.len() {
                drop(sending);
                assert!(answer.await.unwrap().unwrap().present);
                break;
            }
            // What is on its way arrives; then the link is gone without a word.
            until(&tablet.service, id, &photo, at).await;
            answer.abort();
            drop((sending, service));
            cuts += 1;
        }
        assert!(4 <= cuts, "{cuts}");
        let (_, content) = download(&tablet.service, id, sha256(&photo), (0, 0)).await.unwrap();
        assert!(content == photo);
    })
    .await;
}

#[tokio::test]
async fn an_upload_goes_on_at_any_byte_with_chunks_of_any_size() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let mut chance = Chance::new(7);
        let below = |chance: &mut Chance, limit: usize| {
            usize::try_from(chance.below(u64::try_from(limit).unwrap())).unwrap()
        };
        for case in 0..25 {
            let size = 20 + below(&mut chance, 200_000);
            let photo = photo(100 + case, size);
            let report = submitted(&tablet, &[&photo]).await;
            let id = &report.report_id;
            let mut at = 0;
            while at < size {
                // From wherever a client may believe to be, up to anywhere, in pieces of one size.
                let (from, to) = (below(&mut chance, at + 1), at + 1 + below(&mut chance, size - at));
                let step = 1 + below(&mut chance, CHUNK);
                let state =
                    send(&tablet.service, messages(id, &photo, from..to, step.max(size / 50))).await.unwrap();
                assert_eq!(usize::try_from(state.durable_offset).unwrap(), to, "case {case}");
                assert_eq!(state.present, to == size);
                assert_eq!(durable(&tablet.service, id, &photo).await, (to, to == size));
                at = to;
            }
            let (_, content) = download(&tablet.service, id, sha256(&photo), (0, 0)).await.unwrap();
            assert!(content == photo, "case {case}");
        }
    })
    .await;
}

#[tokio::test]
async fn parallel_uploads_of_one_file_end_with_one_right_file() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 1_000_000);
        let report = submitted(&tablet, &[&photo]).await;
        let mut uploads = JoinSet::new();
        for _ in 0..8 {
            let (photo, id) = (photo.clone(), report.report_id.clone());
            let service = client(connect(world.address).await);
            uploads.spawn(async move { upload(&service, &id, &photo).await.map(|state| state.present) });
        }
        for answer in uploads.join_all().await {
            assert!(answer.unwrap(), "each learns that it is there");
        }
        let (_, content) =
            download(&tablet.service, &report.report_id, sha256(&photo), (0, 0)).await.unwrap();
        assert!(content == photo);
        assert_eq!(objects(world).len(), 1);
    })
    .await;
}

#[tokio::test]
async fn half_of_a_broken_link_makes_room_and_what_it_sent_is_kept() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 200_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        let (sending, answer) = open(&tablet.service);
        sending.send(begin(id, sha256(&photo))).await.unwrap();
        sending.send(chunk(0, &photo[..50_000])).await.unwrap();
        until(&tablet.service, id, &photo, 50_000).await;
        // The tablet is back over another link, while the server still believes in the first.
        let second = client(connect(world.address).await);
        let state = send(&second, messages(id, &photo, 50_000..photo.len(), CHUNK)).await.unwrap();
        assert!(state.present);
        let first = answer.await.unwrap().unwrap_err();
        assert_eq!((first.code(), reason(&first).0.as_str()), (Code::Aborted, "CONTENDED"));
        drop(sending);
    })
    .await;
}

#[tokio::test]
async fn an_upload_past_its_deadline_keeps_what_was_read() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 200_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        let (sending, sent) = mpsc::channel(64);
        sending.send(begin(id, sha256(&photo))).await.unwrap();
        sending.send(chunk(0, &photo[..60_000])).await.unwrap();
        let mut request = tonic::Request::new(ReceiverStream::new(sent));
        request.set_timeout(Duration::from_millis(300));
        let late = tablet.service.clone().upload_attachment(request).await.unwrap_err();
        assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled), "{late:?}");
        drop(sending);
        until(&tablet.service, id, &photo, 60_000).await;
        assert!(send(&tablet.service, messages(id, &photo, 60_000..200_000, CHUNK)).await.unwrap().present);
    })
    .await;
}
