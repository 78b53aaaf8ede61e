//! The stream of reports for reviewers: what is sent and when, over cuts, drains and replicas.

use safelane::rpc::pb;
use safelane::rpc::pb::stream_reports_response::Message;
use safelane::store::migrate::renew_epoch;
use tonic::Code;

use super::personal::{NAME, accident, kept, victim};
use super::report_stream_parts::{Reviewer, after, all, following, next, open, told};
use super::rig::{Tablet, client, edited, submit};
use crate::bad_input::day;
use crate::binary::Service;
use crate::desk::reason;
use crate::expect::refuses;
use crate::gate::Gate;
use crate::ground::tasks::Works;
use crate::ground::teams::organization;
use crate::harness::{World, connect, fresh_id, in_world};

fn id_of(message: &Message) -> &str {
    match message {
        Message::Report(report) => &report.report.as_ref().expect("a report").report_id,
        Message::Left(left) => &left.report_id,
        other => panic!("about no report: {other:?}"),
    }
}

/// A report that is held: its day has not come.
fn early(tablet: &Tablet) -> pb::FieldReport {
    pb::FieldReport { work_date: Some(day(1998, 6, 20)), ..tablet.find() }
}

#[tokio::test]
async fn a_snapshot_is_in_the_order_of_changes_and_then_every_change_follows() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let (one, two) = (tablet.find(), accident(&tablet, vec![victim(NAME)]));
        for report in [&one, &two, &edited(&tablet, &one, 1, "changed last")] {
            tablet.submit(report).await.unwrap();
        }
        let mut stream = open(&tablet.service, following(&tablet)).await.unwrap();
        let (_, Message::Begin(begin)) = told(&mut stream).await else { panic!("begin is first") };
        assert!(!begin.resumed);
        let (_, first) = told(&mut stream).await;
        assert_eq!(id_of(&first), two.report_id);
        let Message::Report(first) = first else { panic!("a report") };
        assert_eq!(first.report.unwrap(), kept(&two), "without what is known of the victim");
        let (_, second) = told(&mut stream).await;
        let Message::Report(second) = second else { panic!("a report") };
        assert_eq!((second.version, &*second.report.unwrap().note), (2, "changed last"));
        let (_, Message::SnapshotEnd(end)) = told(&mut stream).await else { panic!("the snapshot ends") };
        assert_eq!(end.revision, begin.revision);
        let Some(Message::Progress(progress)) = next(&mut stream).await.unwrap().message else {
            panic!("progress in a quiet interval")
        };
        assert_eq!(progress.revision, end.revision);
        let three = tablet.find();
        for report in [&three, &edited(&tablet, &two, 1, "again")] {
            let answer = tablet.submit(report).await.unwrap();
            let (_, message) = told(&mut stream).await;
            assert_eq!(id_of(&message), report.report_id);
            let Message::Report(sent) = message else { panic!("a report") };
            assert_eq!(sent.revision, answer.receipt.unwrap().revision);
        }
    })
    .await;
}

#[tokio::test]
async fn what_leaves_the_filter_is_told_and_what_never_matched_is_not_shown() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let (held, good) = (early(&tablet), tablet.find());
        for report in [&held, &good] {
            tablet.submit(report).await.unwrap();
        }
        let received =
            pb::StreamReportsRequest { state: pb::ReportState::Received.into(), ..following(&tablet) };
        let mut stream = open(&tablet.service, received).await.unwrap();
        let mut reviewer = Reviewer::default();
        reviewer.read(&mut stream, 3).await;
        assert_eq!(reviewer.held.keys().collect::<Vec<_>>(), [&good.report_id]);
        let worse = pb::FieldReport { work_date: Some(day(1998, 6, 20)), ..edited(&tablet, &good, 1, "") };
        let better = pb::FieldReport { work_date: Some(day(1998, 6, 14)), ..edited(&tablet, &held, 1, "") };
        for report in [&worse, &better] {
            tablet.submit(report).await.unwrap();
        }
        let (_, left) = told(&mut stream).await;
        assert_eq!((id_of(&left), matches!(left, Message::Left(_))), (&*good.report_id, true));
        let (_, entered) = told(&mut stream).await;
        assert_eq!((id_of(&entered), matches!(entered, Message::Report(_))), (&*held.report_id, true));

        let of_task = pb::StreamReportsRequest { task_id: fresh_id(), ..following(&tablet) };
        let mut stream = open(&tablet.service, of_task).await.unwrap();
        told(&mut stream).await;
        assert!(matches!(told(&mut stream).await.1, Message::SnapshotEnd(_)));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_skipped_and_nothing_comes_twice_wherever_it_is_cut() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let mut reports: Vec<_> = (0..12).map(|_| tablet.find()).collect();
        tablet.sync(&reports).await;
        let request = following(&tablet);
        let (mut reviewer, mut cut) = (Reviewer::default(), 1);
        // Cut after every number of messages, in the snapshot and after it, while reports change.
        for round in 0..12 {
            let mut stream = open(&tablet.service, after(&request, &reviewer.token)).await.unwrap();
            reviewer.read(&mut stream, cut).await;
            drop(stream);
            cut = 1 + (cut + 2) % 5;
            let fresh = tablet.find();
            let changed = edited(&tablet, &reports[round], 1, "changed");
            tablet.sync(&[changed, fresh.clone()]).await;
            reports.push(fresh);
        }
        let expected = all(&tablet).await;
        let head = expected.values().map(|report| report.revision).max().unwrap();
        let mut stream = open(&tablet.service, after(&request, &reviewer.token)).await.unwrap();
        reviewer.read_to(&mut stream, head).await;
        assert_eq!(reviewer.held, expected);
        let mut once = reviewer.came.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), reviewer.came.len(), "nothing twice: {:?}", reviewer.came);
        assert!(reviewer.came.is_sorted_by_key(|(_, revision)| *revision));
    })
    .await;
}

#[tokio::test]
async fn pages_of_many_and_of_large_reports_are_all_sent() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let wide = |report: pb::FieldReport| pb::FieldReport { note: "x".repeat(4_000), ..report };
        let many: Vec<_> = (0..450).map(|_| tablet.find()).collect();
        tablet.sync(&many).await;
        let mut large = Vec::new();
        for _ in 0..12 {
            let mut report = wide(tablet.find());
            let Some(pb::field_report::Body::Ordnance(of)) = &mut report.body else { panic!("ordnance") };
            // About 430 kB each.
            of.items = vec![pb::OrdnanceItem { model: "x".repeat(100), ..super::rig::item() }; 500];
            report.attachments = (0..200_u8).map(|number| file(number, 200)).collect();
            large.push(report);
        }
        tablet.sync(&large).await;
        let mut stream = open(&tablet.service, following(&tablet)).await.unwrap();
        let mut reviewer = Reviewer::default();
        reviewer.read_to(&mut stream, 1).await;
        assert_eq!((reviewer.came.len(), reviewer.held), (462, all(&tablet).await));
    })
    .await;
}

fn file(number: u8, name: usize) -> pb::Attachment {
    pb::Attachment {
        sha256: vec![number; 32],
        size: 1,
        media_type: "image/jpeg".to_owned(),
        name: "n".repeat(name),
    }
}

#[tokio::test]
async fn a_change_by_another_replica_is_seen() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let replica = world.replica().await;
        let mut stream = open(&replica.field_reports(), following(&tablet)).await.unwrap();
        let mut reviewer = Reviewer::default();
        reviewer.read_to(&mut stream, 1).await;
        let report = tablet.find();
        submit(&client(world.channel()), &report).await.unwrap();
        let (token, message) = told(&mut stream).await;
        assert_eq!(id_of(&message), report.report_id);
        // A token of one is good at the other.
        let second = tablet.find();
        tablet.submit(&second).await.unwrap();
        let mut here = open(&tablet.service, after(&following(&tablet), &token)).await.unwrap();
        let (_, Message::Begin(begin)) = told(&mut here).await else { panic!("begin is first") };
        assert!(begin.resumed);
        assert_eq!(id_of(&told(&mut here).await.1), second.report_id);
        drop((stream, here));
        replica.finish().await;
    })
    .await;
}

#[tokio::test]
async fn others_find_nothing_before_the_first_message() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let gate = Gate::open(world).await;
        let mut service = gate.server.field_reports();
        let (own, request) = (tablet.works.desk.operator_id.clone(), following(&tablet));
        let (office, authority) = (&tablet.works.desk.office_id, &tablet.works.authority_id);
        let stranger = organization(world, pb::OrganizationKind::Operator, "OTHER", "ZW").await;
        let facts = [("kind", "organization"), ("id", &*own)];
        let hidden = service.stream_reports(gate.sent("coordinator", &stranger, request.clone())).await;
        refuses(hidden.map(|_| ()), Code::NotFound, "NOT_FOUND", &facts);
        for role in ["funder", "field"] {
            let denied = service.stream_reports(gate.sent(role, &own, request.clone())).await.unwrap_err();
            assert_eq!(denied.code(), Code::PermissionDenied, "{role}");
        }
        for (role, of) in
            [("coordinator", &own), ("coordinator", office), ("coordinator", authority), ("auditor", &own)]
        {
            let mut stream =
                service.stream_reports(gate.sent(role, of, request.clone())).await.unwrap().into_inner();
            let first = next(&mut stream).await.unwrap();
            assert!(matches!(first.message, Some(Message::Begin(_))), "{role}");
        }
        let nobody = fresh_id();
        let facts = [("kind", "organization"), ("id", &*nobody)];
        let unknown = pb::StreamReportsRequest { operator_id: nobody.clone(), ..request };
        refuses(open(&tablet.service, unknown).await.map(|_| ()), Code::NotFound, "NOT_FOUND", &facts);
        drop(service);
        gate.server.finish().await;
    })
    .await;
}

/// The token of the snapshot's end.
async fn token(tablet: &Tablet) -> String {
    let mut stream = open(&tablet.service, following(tablet)).await.unwrap();
    loop {
        let (token, message) = told(&mut stream).await;
        if let Message::SnapshotEnd(_) = message {
            return token;
        }
    }
}

#[tokio::test]
async fn a_token_of_another_filter_history_or_future_is_refused() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        tablet.submit(&tablet.find()).await.unwrap();
        let (token, request) = (token(&tablet).await, following(&tablet));
        let refused = async |request: pb::StreamReportsRequest| {
            let status = open(&tablet.service, request).await.map(|_| ()).unwrap_err();
            (status.code(), reason(&status).0)
        };
        let invalid = (Code::InvalidArgument, "RESUME_TOKEN_INVALID".to_owned());
        let other = organization(world, pb::OrganizationKind::Operator, "OTHER", "ZW").await;
        let resumed = after(&request, &token);
        for wrong in [
            pb::StreamReportsRequest { operator_id: other, ..resumed.clone() },
            pb::StreamReportsRequest { task_id: tablet.task.task_id.clone(), ..resumed.clone() },
            pb::StreamReportsRequest { state: pb::ReportState::Held.into(), ..resumed.clone() },
            after(&request, "AAAA"),
        ] {
            assert_eq!(refused(wrong).await, invalid);
        }
        let operator = &request.operator_id;
        let back = format!("UPDATE journal_head SET revision = revision - 1 WHERE scope_id = '{operator}'");
        let forth = format!("UPDATE journal_head SET revision = revision + 1 WHERE scope_id = '{operator}'");
        Works::run(world, back).await;
        assert_eq!(refused(resumed.clone()).await, (Code::FailedPrecondition, "REVISION_AHEAD".to_owned()));
        Works::run(world, forth).await;
        renew_epoch(&world.store).await.unwrap();
        let replica = world.replica().await;
        let status = open(&replica.field_reports(), resumed).await.map(|_| ()).unwrap_err();
        assert_eq!(reason(&status).0, "RESUME_TOKEN_EPOCH");
        replica.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_drains_asks_to_reconnect_and_the_token_goes_on_elsewhere() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        tablet.submit(&tablet.find()).await.unwrap();
        let mut service = Service::on(&world.database.url(), &["--drain-deadline", "15s"]).await;
        let there = client(connect(service.address).await);
        let mut stream = open(&there, following(&tablet)).await.unwrap();
        let mut reviewer = Reviewer::default();
        reviewer.read_to(&mut stream, 1).await;
        service.signal("TERM");
        let (token, Message::Reconnect(last)) = told(&mut stream).await else { panic!("reconnect is last") };
        assert_eq!(token, last.resume_token);
        assert!(next(&mut stream).await.is_none(), "nothing comes after it");
        drop((stream, there));
        assert_eq!(service.ended(std::time::Duration::from_secs(20)).await.code(), Some(0));
        let report = tablet.find();
        tablet.submit(&report).await.unwrap();
        let mut stream = open(&tablet.service, after(&following(&tablet), &token)).await.unwrap();
        told(&mut stream).await;
        assert_eq!(id_of(&told(&mut stream).await.1), report.report_id);
    })
    .await;
}

#[tokio::test]
async fn a_reviewer_who_follows_while_everybody_sends_ends_with_what_there_is() {
    in_world(async |world: &World| {
        let tablet = Tablet::open(world).await;
        let request =
            pb::StreamReportsRequest { state: pb::ReportState::Received.into(), ..following(&tablet) };
        let mut stream = open(&tablet.service, request).await.unwrap();
        let mut reviewer = Reviewer::default();
        let sending = async {
            for _ in 0..15 {
                let reports: Vec<_> =
                    (0..6).map(|n| if n % 2 == 0 { tablet.find() } else { early(&tablet) }).collect();
                tablet.sync(&reports).await;
                let swapped = reports.iter().map(|report| {
                    let date = if report.work_date == Some(day(1998, 6, 20)) { 15 } else { 20 };
                    pb::FieldReport {
                        work_date: Some(day(1998, 6, date)),
                        ..edited(&tablet, report, 1, &report.note)
                    }
                });
                tablet.sync(&swapped.collect::<Vec<_>>()).await;
            }
        };
        let reading = async {
            // The last of the six of the last round is the last change.
            while reviewer.reached < 15 * 12 {
                reviewer.take(next(&mut stream).await.expect("the stream goes on"));
            }
        };
        tokio::join!(sending, reading);
        let mut expected = all(&tablet).await;
        let head = expected.values().map(|report| report.revision).max().unwrap();
        reviewer.read_to(&mut stream, head).await;
        expected.retain(|_, report| report.state() == pb::ReportState::Received);
        assert_eq!((expected.len(), reviewer.held), (45, expected));
    })
    .await;
}
