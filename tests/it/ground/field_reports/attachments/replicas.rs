//! Several services that share a database and a folder of files.

use std::time::Duration;

use safelane::rpc::pb;
use tonic::{Code, Status};

use super::super::rig::{Tablet, reasons, submit};
use super::resume::{open, until};
use super::rig::{
    PATIENCE, Service, attachment, begin, chunk, download, durable, objects, photo, sha256, submitted, upload,
};
use crate::desk::reason;
use crate::harness::in_world;

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

/// The journal moves between the look at its head and the statement that notes the photo.
#[tokio::test]
async fn a_photo_is_noted_when_another_service_moves_the_journal_meanwhile() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let replica = world.replica().await;
        let other = replica.field_reports();
        let photo = photo(1, 100_000);
        let id = submitted(&tablet, &[&photo]).await.report_id;
        let (mut holder, mut watcher) = (world.database.connect().await, world.database.connect().await);
        let operator = &tablet.works.desk.operator_id;
        let lock = format!("BEGIN; SELECT FROM journal_head WHERE scope_id = '{operator}' FOR UPDATE");
        sqlx::raw_sql(sqlx::AssertSqlSafe(lock)).execute(&mut holder).await.unwrap();
        // It waits for the photo, too, and says something else of it.
        let lies = vec![attachment(&photo, "application/pdf", "map.pdf")];
        let liar = pb::FieldReport { attachments: lies, ..tablet.find() };
        let sent = liar.clone();
        let moving = tokio::spawn(async move { submit(&other, &sent).await.unwrap() });
        until_waiting(&mut watcher, 1).await;
        let (service, report) = (tablet.service.clone(), id.clone());
        let sending = tokio::spawn(async move { upload(&service, &report, &photo).await.unwrap() });
        until_waiting(&mut watcher, 2).await;
        // The other service waited first.
        sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
        moving.await.unwrap();
        assert!(sending.await.unwrap().present);
        let (honest, held) = (tablet.get(&id, 0).await, tablet.get(&liar.report_id, 0).await);
        assert_eq!((honest.state(), honest.complete), (pb::ReportState::Received, true));
        assert_eq!((held.state(), held.complete), (pb::ReportState::Held, true));
        assert_eq!(reasons(&held.holds), ["MEDIA_TYPE"]);
        let sql = "SELECT array_agg(DISTINCT revision) = ARRAY[(SELECT revision FROM attachments)]
                          AND max(revision) = (SELECT count(*) FROM journal WHERE scope_id = $1::uuid)
                     FROM reports";
        let last: bool = sqlx::query_scalar(sql).bind(operator).fetch_one(&mut watcher).await.unwrap();
        assert!(last, "both moved to the revision of the photo, which is the last, and none is missing");
        replica.finish().await;
    })
    .await;
}

async fn until_waiting(conn: &mut sqlx::PgConnection, sessions: i64) {
    let sql = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waiting =
        async { while sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *conn).await.unwrap() < sessions {} };
    tokio::time::timeout(PATIENCE, waiting).await.expect("they wait");
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
