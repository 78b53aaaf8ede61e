//! `SyncReports`: order, refusals alone, clients that go away, draining.

use std::time::Duration;

use prost::Message as _;
use safelane::rpc::pb;
use sqlx::Connection as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use super::rig::{Tablet, outbox, outcome, refusal, stored, sync};
use crate::binary::Service;
use crate::desk::reason;
use crate::expect::refuses;
use crate::harness::{connect, fresh_id, in_world};

#[tokio::test]
async fn a_malformed_report_is_refused_alone_and_answers_keep_the_order() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let mut reports: Vec<_> = (0..20).map(|_| tablet.find()).collect();
        reports[3].team_id = "nobody".to_owned();
        reports[7].work_date = None;
        let answers = tablet.sync(&reports).await;
        assert_eq!(answers.len(), 20);
        for (index, (report, answer)) in reports.iter().zip(&answers).enumerate() {
            assert_eq!(answer.report_id, report.report_id);
            assert_eq!(answer.device_sequence, report.device_sequence);
            if index == 3 || index == 7 {
                let (code, text) = refusal(answer);
                assert_eq!(code, Code::InvalidArgument);
                assert!(
                    text.contains(if index == 3 { "report.team_id" } else { "report.work_date" }),
                    "{text}"
                );
            } else {
                assert_eq!(outcome(stored(answer)), "STORED");
            }
        }
        let state = tablet.state().await;
        assert_eq!((state.durable_through, state.highest, state.missing_count), (3, 20, 2));
        let nothing = pb::SyncReportsRequest::default();
        let mut answers =
            tablet.service.clone().sync_reports(tokio_stream::iter([nothing])).await.unwrap().into_inner();
        let answer = answers.message().await.unwrap().unwrap();
        assert_eq!(refusal(&answer), (Code::InvalidArgument, "report: is missing".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_report_that_is_too_large_is_refused_alone_and_those_behind_it_are_stored() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let mut reports: Vec<_> = (0..6).map(|_| tablet.find()).collect();
        // Above the limit, and nearly as large as a message that can be decoded.
        for (index, bytes) in [(2, 600 * 1024), (4, 4 * 1024 * 1024 - 1024)] {
            reports[index].note = "x".repeat(bytes);
        }
        let answers = tablet.sync(&reports).await;
        let ids = |of: &pb::FieldReport| (of.report_id.clone(), of.device_sequence);
        let answered: Vec<_> = answers.iter().map(|of| (of.report_id.clone(), of.device_sequence)).collect();
        assert_eq!(answered, reports.iter().map(ids).collect::<Vec<_>>());
        for index in [0, 1, 3, 5] {
            assert_eq!(outcome(stored(&answers[index])), "STORED", "{index}");
        }
        for index in [2, 4] {
            let size = reports[index].encoded_len();
            let text = format!(
                "report: has {size} bytes, and at most 524288 are taken; move long texts into an attachment, or make two \
                 reports of it"
            );
            assert_eq!(refusal(&answers[index]), (Code::ResourceExhausted, text.clone()));
            let size = size.to_string();
            let facts =
                [("what", "bytes of a report"), ("max", "524288"), ("field", "report"), ("size", &*size)];
            let alone = tablet.submit(&reports[index]).await;
            let alone = refuses(alone, Code::ResourceExhausted, "QUOTA_EXCEEDED", &facts);
            assert_eq!(alone.message(), text);
        }
        assert_eq!(Tablet::count(world).await, 4);
    })
    .await;
}

#[tokio::test]
async fn a_message_that_cannot_be_decoded_ends_the_stream_after_what_came_before_it() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let mut reports: Vec<_> = (0..3).map(|_| tablet.find()).collect();
        reports[1].note = "x".repeat(4 * 1024 * 1024);
        let sent: Vec<_> = reports.iter().cloned().map(outbox).collect();
        let mut answers =
            tablet.service.clone().sync_reports(tokio_stream::iter(sent)).await.unwrap().into_inner();
        stored(&answers.message().await.unwrap().unwrap());
        let ended = answers.message().await.unwrap_err();
        assert_eq!(ended.code(), Code::InvalidArgument);
        assert_eq!(ended.message(), "request: is larger than 4194304 bytes; send less at a time");
        assert_eq!(Tablet::count(world).await, 1);
    })
    .await;
}

#[tokio::test]
async fn what_was_read_is_stored_when_the_client_is_gone() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let (sending, sent) = mpsc::channel(200);
        let answers = tablet.service.clone().sync_reports(ReceiverStream::new(sent)).await.unwrap();
        for _ in 0..100 {
            sending.send(outbox(tablet.find())).await.unwrap();
        }
        // One answer shows that the server reads; the others are never taken.
        let mut answers = answers.into_inner();
        stored(&answers.message().await.unwrap().unwrap());
        drop((answers, sending));
        let durable = tablet.state().await.durable_through;
        assert!(1 <= durable, "{durable}");
        // What is not there is sent again, and nothing is there twice.
        let count = Tablet::count(world).await;
        assert!(durable <= count && count <= 100, "{durable} {count}");
    })
    .await;
}

#[tokio::test]
async fn an_outbox_of_a_thousand_reports_is_answered_in_order() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let reports: Vec<_> = (0..1_000).map(|_| tablet.find()).collect();
        let answers = tablet.sync(&reports).await;
        let ids = |id: &String| id.clone();
        let sent: Vec<_> = reports.iter().map(|report| ids(&report.report_id)).collect();
        assert_eq!(answers.iter().map(|answer| ids(&answer.report_id)).collect::<Vec<_>>(), sent);
        let through = |answer| stored(answer).sync_state.as_ref().unwrap().durable_through;
        assert_eq!(answers.iter().map(through).collect::<Vec<_>>(), (1..=1_000).collect::<Vec<_>>());
        let revisions: Vec<_> =
            answers.iter().map(|of| stored(of).receipt.as_ref().unwrap().revision).collect();
        assert!(revisions.windows(2).all(|pair| pair[0] + 1 == pair[1]), "one event for each");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_drains_answers_what_it_read_and_says_so() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let mut service = Service::on(&world.database.url(), &["--log", "off"]).await;
        let (sending, sent) = mpsc::channel(8);
        let mut client = super::rig::client(connect(service.address).await);
        let mut answers = client.sync_reports(ReceiverStream::new(sent)).await.unwrap().into_inner();
        sending.send(outbox(tablet.find())).await.unwrap();
        stored(&answers.message().await.unwrap().unwrap());
        service.signal("TERM");
        let ended = loop {
            match answers.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended as if all was well"),
                Err(status) => break status,
            }
        };
        assert_eq!((ended.code(), reason(&ended).0.as_str()), (Code::Unavailable, "DRAINING"));
        drop((sending, answers, client));
        assert!(service.ended(Duration::from_secs(20)).await.success());
    })
    .await;
}

#[tokio::test]
async fn tablets_that_wait_for_one_operator_leave_room_for_others() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        // Whoever holds the head of the operator's journal keeps every tablet of it waiting.
        let mut holder = world.database.connect().await;
        let operator = &tablet.works.desk.operator_id;
        let hold = format!("BEGIN; SELECT FROM journal_head WHERE scope_id = '{operator}' FOR UPDATE");
        sqlx::raw_sql(sqlx::AssertSqlSafe(hold)).execute(&mut holder).await.unwrap();
        let mut tablets = JoinSet::new();
        for _ in 0..50 {
            let device = fresh_id();
            let numbered = |number| pb::FieldReport {
                device_id: device.clone(),
                device_sequence: number,
                ..tablet.find()
            };
            let reports: Vec<_> = (1..=10).map(numbered).collect();
            let service = tablet.service.clone();
            tablets.spawn(async move { sync(&service, &reports).await.expect("the stream ends well") });
        }
        // Long enough for each to reach the database, of which this server has eight connections.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(tablet.works.get(&tablet.task.task_id).await.task_id, tablet.task.task_id);
        sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
        holder.close().await.unwrap();
        for answer in tablets.join_all().await.concat() {
            assert_eq!(outcome(stored(&answer)), "STORED");
        }
        assert_eq!(Tablet::count(world).await, 500);
    })
    .await;
}
