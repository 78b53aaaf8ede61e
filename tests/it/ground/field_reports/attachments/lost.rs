//! Files that were stored and that the store has lost.

use std::fs;

use tonic::Code;

use super::super::rig::Tablet;
use super::rig::{
    CHUNK, begin, chunk, download, durable, messages, object_path, objects, photo, send, settled, sha256,
    submitted, upload,
};
use crate::desk::reason;
use crate::harness::in_world;

#[tokio::test]
async fn a_file_that_the_store_has_lost_is_sent_again_and_is_there() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 150_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        assert!(upload(&tablet.service, id, &photo).await.unwrap().present);
        let revision = tablet.get(id, 0).await.revision;
        let path = object_path(world, &photo);
        // Gone, cut by a restore, and longer than it may be.
        for left in [None, Some(&photo[..70_000]), Some(&[&photo[..], b"more"].concat())] {
            settled(world).await;
            fs::remove_file(&path).unwrap();
            if let Some(left) = left {
                fs::write(&path, left).unwrap();
            }
            let lost = download(&tablet.service, id, sha256(&photo), (0, 0)).await.unwrap_err();
            assert_eq!((lost.code(), reason(&lost).0.as_str()), (Code::DataLoss, "FILE_LOST"));
            assert!(lost.message().contains("uploads it again"), "{}", lost.message());
            assert_eq!(durable(&tablet.service, id, &photo).await, (0, false));
            let half = send(&tablet.service, messages(id, &photo, 0..CHUNK, CHUNK)).await.unwrap();
            assert!(!half.present);
            // What goes wrong on the way does not make it present.
            let wrong =
                [begin(id, sha256(&photo)), chunk(CHUNK, &photo[CHUNK..2 * CHUNK]), chunk(2 * CHUNK, &[])];
            let refused = send(&tablet.service, wrong.into()).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert!(upload(&tablet.service, id, &photo).await.unwrap().present);
            assert_eq!(durable(&tablet.service, id, &photo).await, (150_000, true));
            let (_, content) = download(&tablet.service, id, sha256(&photo), (0, 0)).await.unwrap();
            assert!(content == photo);
        }
        assert_eq!(objects(world).len(), 1);
        assert_eq!(tablet.get(id, 0).await.revision, revision, "what is known of it has not changed");
    })
    .await;
}
