//! Whole files: uploaded, shown on their reports, downloaded, stored once.

use std::time::Duration;

use safelane::rpc::pb;
use tokio::task::JoinSet;
use tonic::Code;

use super::super::rig::{Tablet, edited, outcome, submit};
use super::rig::{
    attachment, begin, chunk, download, durable, files, objects, photo, settled, sha256, submitted, upload,
    with_photos,
};
use crate::harness::in_world;

/// What a receipt or a report says of its files.
fn present(of: &[pb::AttachmentState]) -> Vec<bool> {
    of.iter().map(|state| state.present).collect()
}

#[tokio::test]
async fn a_photo_is_uploaded_and_downloaded_whole_and_in_ranges() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 300_001);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        assert_eq!(durable(&tablet.service, id, &photo).await, (0, false));
        let missing = download(&tablet.service, id, sha256(&photo), (0, 0)).await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound);
        let state = upload(&tablet.service, id, &photo).await.unwrap();
        assert_eq!((state.present, state.durable_offset, state.size), (true, 300_001, 300_001));
        assert_eq!(state.sha256, sha256(&photo));
        assert_eq!(durable(&tablet.service, id, &photo).await, (300_001, true));
        for (from, limit) in [(0, 0), (0, 1), (65_535, 2), (299_999, 100), (100_000, 150_000), (300_001, 0)] {
            let (file, content) = download(&tablet.service, id, sha256(&photo), (from, limit)).await.unwrap();
            let end = if limit == 0 { photo.len() } else { photo.len().min(from + limit) };
            assert_eq!(content, photo[from..end], "{from} {limit}");
            assert_eq!((file.media_type.as_str(), file.name.as_str()), ("image/jpeg", "photo.jpg"));
            assert_eq!((file.size, file.sha256), (300_001, sha256(&photo)));
        }
        let beyond = download(&tablet.service, id, sha256(&photo), (300_002, 0)).await.unwrap_err();
        assert_eq!(beyond.code(), Code::InvalidArgument);
        assert!(beyond.message().contains("read_offset: is 300002"), "{}", beyond.message());
        assert_eq!(settled(world).await.len(), 1, "nothing of the upload is left");
    })
    .await;
}

#[tokio::test]
async fn a_report_is_complete_when_all_it_declares_is_there() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let (one, two) = (photo(1, 1_000), photo(2, 70_000));
        let report = with_photos(&tablet, &[&one, &two]);
        let receipt = tablet.submit(&report).await.unwrap().receipt.unwrap();
        assert_eq!(present(&receipt.attachments), [false, false]);
        let before = tablet.get(&report.report_id, 0).await;
        assert!(!before.complete);
        upload(&tablet.service, &report.report_id, &two).await.unwrap();
        let between = tablet.get(&report.report_id, 0).await;
        assert_eq!((present(&between.attachments), between.complete), (vec![false, true], false));
        assert_eq!(between.revision, before.revision + 1, "readers by revision see that it changed");
        // Whoever lost the answer and sends the report again learns what is missing.
        let again = tablet.submit(&report).await.unwrap();
        assert_eq!(outcome(&again), "ALREADY_STORED");
        assert_eq!(present(&again.receipt.unwrap().attachments), [false, true]);
        upload(&tablet.service, &report.report_id, &one).await.unwrap();
        let after = tablet.get(&report.report_id, 0).await;
        assert_eq!((present(&after.attachments), after.complete), (vec![true, true], true));
        assert_eq!((after.state(), after.revision), (pb::ReportState::Received, before.revision + 2));
        // A new version that keeps one photo and adds another.
        let mut next = edited(&tablet, &report, 1, "with another photo");
        next.attachments =
            vec![attachment(&one, "image/jpeg", ""), attachment(&photo(3, 20), "image/jpeg", "")];
        let receipt = tablet.submit(&next).await.unwrap().receipt.unwrap();
        assert_eq!(present(&receipt.attachments), [true, false]);
        assert!(!tablet.get(&report.report_id, 0).await.complete);
        assert!(tablet.get(&report.report_id, 1).await.complete);
    })
    .await;
}

/// enketo-express#776: larger photos were missing for good, since a retry was answered with "already have it" as soon as the
/// report was known.
#[tokio::test]
async fn enketo_express_776_a_known_report_does_not_hide_that_its_photos_are_missing() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let (small, large) = (photo(1, 10_000), photo(2, 500_000));
        let report = submitted(&tablet, &[&small, &large]).await;
        upload(&tablet.service, &report.report_id, &small).await.unwrap();
        // The batch with the large photo fails in the middle, and the app sends everything again.
        let half = super::rig::messages(&report.report_id, &large, 0..250_000, super::rig::CHUNK);
        super::rig::send(&tablet.service, half).await.unwrap();
        let again = tablet.submit(&report).await.unwrap();
        assert_eq!(outcome(&again), "ALREADY_STORED");
        assert_eq!(present(&again.receipt.unwrap().attachments), [true, false], "the large one is missing");
        assert!(!tablet.get(&report.report_id, 0).await.complete);
        let state = upload(&tablet.service, &report.report_id, &large).await.unwrap();
        assert!(state.present);
        let again = tablet.submit(&report).await.unwrap();
        assert_eq!(present(&again.receipt.unwrap().attachments), [true, true]);
        let (_, content) =
            download(&tablet.service, &report.report_id, sha256(&large), (0, 0)).await.unwrap();
        assert!(content == large);
    })
    .await;
}

#[tokio::test]
async fn the_same_photo_in_two_reports_is_stored_once() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 100_000);
        let (one, two) = (submitted(&tablet, &[&photo]).await, submitted(&tablet, &[&photo]).await);
        let state = upload(&tablet.service, &one.report_id, &photo).await.unwrap();
        assert!(state.present);
        let revision = tablet.get(&one.report_id, 0).await.revision;
        for report in [&one, &two] {
            let stored = tablet.get(&report.report_id, 0).await;
            assert!(stored.complete);
            assert_eq!(stored.revision, revision, "one event for both");
            let (_, content) =
                download(&tablet.service, &report.report_id, sha256(&photo), (0, 0)).await.unwrap();
            assert!(content == photo);
        }
        // A third one knows it from its receipt, and an upload is answered at once.
        let three = with_photos(&tablet, &[&photo]);
        let receipt = tablet.submit(&three).await.unwrap().receipt.unwrap();
        assert_eq!(present(&receipt.attachments), [true]);
        let state =
            super::rig::send(&tablet.service, vec![begin(&three.report_id, sha256(&photo))]).await.unwrap();
        assert!(state.present);
        let whole = upload(&tablet.service, &three.report_id, &photo).await.unwrap();
        assert!(whole.present);
        assert_eq!(objects(world).len(), 1);
    })
    .await;
}

#[tokio::test]
async fn photos_that_wait_for_each_other_are_noted_together() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photos: Vec<_> = (1..=6).map(|seed| photo(seed, 100_000)).collect();
        let declared: Vec<_> = photos.iter().map(Vec::as_slice).collect();
        let id = submitted(&tablet, &declared).await.report_id;
        // Whoever holds the head of the operator's journal keeps every photo of it waiting.
        let mut holder = world.database.connect().await;
        let operator = &tablet.works.desk.operator_id;
        let hold = format!("BEGIN; SELECT FROM journal_head WHERE scope_id = '{operator}' FOR UPDATE");
        sqlx::raw_sql(sqlx::AssertSqlSafe(hold)).execute(&mut holder).await.unwrap();
        let mut uploads = JoinSet::new();
        for photo in photos.clone() {
            let (service, id) = (tablet.service.clone(), id.clone());
            uploads.spawn(async move { upload(&service, &id, &photo).await });
        }
        while objects(world).len() < photos.len() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Long enough for the last one to wait, too.
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(uploads.try_join_next().is_none(), "nothing is present before it is noted");
        sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
        for state in uploads.join_all().await {
            assert!(state.unwrap().present);
        }
        let sql = "SELECT count(DISTINCT f.xmin::text), count(DISTINCT f.revision), max(f.revision) = max(r.revision)
                     FROM attachments f CROSS JOIN reports r";
        let told: (i64, i64, bool) = sqlx::query_as(sql).fetch_one(&mut holder).await.unwrap();
        assert!(told.0 < 6, "{} transactions", told.0);
        assert_eq!((told.1, told.2), (6, true), "each has its revision, and the report the last one");
        assert!(tablet.get(&id, 0).await.complete);
    })
    .await;
}

#[tokio::test]
async fn a_photo_is_found_by_keys_however_many_the_operator_has() {
    const PHOTOS: u64 = 100;
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let replica = world.replica().await;
        let service = replica.field_reports();
        // One that every report declares.
        let map = photo(PHOTOS, 100);
        for seed in 0..PHOTOS {
            let photo = photo(seed, 100);
            let report = with_photos(&tablet, &[&photo, &map]);
            submit(&service, &report).await.unwrap();
            for file in [&photo, &map] {
                assert!(upload(&service, &report.report_id, file).await.unwrap().present);
            }
        }
        drop(service);
        // A connection tells its counts at the latest when it ends.
        replica.finish().await;
        let sql = "SELECT sum(idx_tup_read)::bigint, sum(seq_tup_read)::bigint FROM pg_stat_user_tables t
                     JOIN pg_stat_user_indexes i USING (relid)
                    WHERE t.relname IN ('attachments', 'report_attachments')";
        let mut conn = world.database.connect().await;
        let read: (i64, i64) = sqlx::query_as(sql).fetch_one(&mut conn).await.unwrap();
        // All of them at each would be 10,000.
        assert!(u64::try_from(read.0).unwrap() < 20 * PHOTOS && read.1 < 100, "{read:?} rows were read");
    })
    .await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_nothing_is_lost() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 100_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        let refused = async |messages: Vec<pb::UploadAttachmentRequest>| {
            let refused = super::rig::send(&tablet.service, messages).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
            refused.message().to_owned()
        };
        let begun = || begin(id, sha256(&photo));
        let told =
            refused(vec![begun(), chunk(0, &photo[..1_000]), chunk(1_001, &photo[1_001..2_000])]).await;
        assert_eq!(told, "chunk.write_offset: is 1001, but there are 1000 bytes; go on from there or before");
        assert_eq!(durable(&tablet.service, id, &photo).await, (1_000, false), "what fits is kept");
        let told =
            refused(vec![begun(), chunk(1_000, &photo[1_000..60_000]), chunk(60_000, &[0; 40_001])]).await;
        assert!(
            told.starts_with("chunk.content: has 40001 bytes from byte 60000, beyond the 100000"),
            "{told}"
        );
        assert_eq!(durable(&tablet.service, id, &photo).await, (60_000, false));
        let told = refused(vec![begun(), chunk(60_000, &[0; 64 * 1024 + 1])]).await;
        assert_eq!(told, "chunk.content: has 65537 bytes; give 1 to 65536");
        let told = refused(vec![begun(), chunk(60_000, &[])]).await;
        assert_eq!(told, "chunk.content: has 0 bytes; give 1 to 65536");
        let told = refused(vec![begun(), begun()]).await;
        assert!(told.starts_with("begin: comes a second time"), "{told}");
        let told = refused(vec![chunk(0, &photo[..10])]).await;
        assert!(told.starts_with("chunk: comes before begin"), "{told}");
        assert!(refused(vec![]).await.starts_with("begin: is missing"));
        let told = refused(vec![begin("nobody", vec![1])]).await;
        assert!(told.contains("begin.report_id") && told.contains("begin.sha256"), "{told}");
        let mut negative = chunk(0, &photo[..10]);
        if let Some(pb::upload_attachment_request::Part::Chunk(chunk)) = &mut negative.part {
            chunk.write_offset = -1;
        }
        assert!(refused(vec![begun(), negative]).await.contains("write_offset: is -1"));
        assert_eq!(durable(&tablet.service, id, &photo).await, (60_000, false), "after all of that");
        let state = upload(&tablet.service, id, &photo).await.unwrap();
        assert!(state.present, "what is there is skipped");
    })
    .await;
}

#[tokio::test]
async fn a_file_with_another_hash_is_thrown_away_and_begins_anew() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 100_000);
        let report = submitted(&tablet, &[&photo]).await;
        let id = &report.report_id;
        let mut broken = photo.clone();
        broken[50_000] ^= 1;
        let mut messages = super::rig::messages(id, &broken, 0..broken.len(), 30_000);
        messages[0] = begin(id, sha256(&photo));
        let refused = super::rig::send(&tablet.service, messages).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("begin again from byte 0"), "{}", refused.message());
        assert_eq!(durable(&tablet.service, id, &photo).await, (0, false));
        assert_eq!(files(world), Vec::<String>::new());
        assert!(!tablet.get(id, 0).await.complete);
        assert!(upload(&tablet.service, id, &photo).await.unwrap().present);
        let (_, content) = download(&tablet.service, id, sha256(&photo), (0, 0)).await.unwrap();
        assert!(content == photo);
    })
    .await;
}

#[tokio::test]
async fn a_declared_size_that_is_wrong_spoils_no_other_report() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let photo = photo(1, 10_000);
        let right = submitted(&tablet, &[&photo]).await;
        let mut wrong = with_photos(&tablet, &[&photo]);
        wrong.attachments[0].size = 4_000;
        tablet.submit(&wrong).await.unwrap();
        let half = super::rig::messages(&right.report_id, &photo, 0..5_000, 1_000);
        super::rig::send(&tablet.service, half).await.unwrap();
        // All that the other report declares: it cannot have that hash.
        let short = super::rig::messages(&wrong.report_id, &photo, 0..4_000, 1_000);
        let refused = super::rig::send(&tablet.service, short).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(
            durable(&tablet.service, &right.report_id, &photo).await,
            (5_000, false),
            "it is untouched"
        );
        assert!(upload(&tablet.service, &right.report_id, &photo).await.unwrap().present);
        let held = tablet.get(&wrong.report_id, 0).await;
        assert_eq!(held.state(), pb::ReportState::Held);
        assert!(held.holds[0].text.contains("says it has 4000 bytes, but has 10000"), "{:?}", held.holds);
        assert!(held.complete, "the file is there all the same");
        assert_eq!(tablet.get(&right.report_id, 0).await.state(), pb::ReportState::Received);
    })
    .await;
}
