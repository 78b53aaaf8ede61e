//! What a team's feed sends, and when.

use std::slice::from_ref;

use safelane::domain::kind::Kind;
use safelane::rpc::pb;
use safelane::rpc::pb::stream_team_feed_response::Message;
use safelane::rpc::pb::team_service_client::TeamServiceClient;
use safelane::store::migrate::renew_epoch;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use super::feed_rig::{Rig, about, next, open, several, told, with_teams};
use super::sites::{created, site};
use crate::bad_input::day;
use crate::desk::reason;
use crate::gate::Gate;
use crate::harness::{connect, fresh_id};

/// The only team of the first operator.
fn first<'r>(rig: &'r Rig<'_>) -> (&'r str, &'r str) {
    let (operator, teams) = &rig.operators[0];
    (operator, &teams[0])
}

fn pairs<const N: usize>(expected: [(&'static str, &str); N]) -> Vec<(&'static str, String)> {
    expected.into_iter().map(|(kind, id)| (kind, id.to_owned())).collect()
}

#[tokio::test]
async fn a_snapshot_has_safety_stops_first_then_assignments_tasks_and_sites() {
    with_teams(&[2], async |rig| {
        let (operator, team) = first(rig);
        let (one, two) = (rig.site().await, rig.site().await);
        let task = rig.task(operator, &[one.clone(), two.clone()]).await;
        let assignment = rig.assign(operator, team, &task).await;
        let others = rig.task(operator, &[rig.site().await]).await;
        rig.assign(operator, &rig.operators[0].1[1], &others).await;
        rig.stop(&[operator], "TASK", &others).await;
        let lifted = rig.stop(&[operator], "TASK", &task).await;
        rig.lift(&[operator], &lifted).await;
        let on_site = rig.stop(&[operator], "SITE", &two).await;
        let on_operator = rig.stop(&[operator], "OPERATOR", operator).await;
        let mut feed = open(rig.world.teams(), team, "").await.unwrap();
        let Message::Begin(begin) = told(&mut feed).await else { panic!("begin is first") };
        assert!(!begin.resumed);
        assert_eq!(begin.progress_interval, Some(prost_types::Duration { seconds: 1, nanos: 0 }));
        let expected = pairs([
            ("stop", &on_site),
            ("stop", &on_operator),
            ("assignment", &assignment),
            ("task", &task),
            ("site", &one),
            ("site", &two),
        ]);
        assert_eq!(several(&mut feed, 6).await, expected);
        let Message::SnapshotEnd(end) = told(&mut feed).await else { panic!("the snapshot ends") };
        assert_eq!(end.revision, begin.revision);
        let counts = (end.safety_stop_count, end.assignment_count, end.task_count, end.site_count);
        assert_eq!(counts, (2, 1, 1, 2));
        let Some(Message::Progress(progress)) = next(&mut feed).await.message else { panic!("progress") };
        assert_eq!(progress.revision, end.revision);
    })
    .await;
}

#[tokio::test]
async fn a_team_is_shown_no_money_and_nothing_of_other_teams() {
    with_teams(&[1], async |rig| {
        let (operator, team) = first(rig);
        let task = rig.task(operator, &[rig.site().await]).await;
        rig.assign(operator, team, &task).await;
        rig.stop(&[operator], "OPERATOR", operator).await;
        let mut feed = open(rig.world.teams(), team, "").await.unwrap();
        told(&mut feed).await;
        let Message::SafetyStop(stop) = told(&mut feed).await else { panic!("a stop") };
        assert!(stop.suspended_task_ids.is_empty(), "{stop:?}");
        told(&mut feed).await;
        let Message::Task(task) = told(&mut feed).await else { panic!("a task") };
        assert_eq!((task.allocation_id.as_str(), task.safety_stop_ids.len()), ("", 0));
        assert_eq!((task.title.as_str(), task.site_ids.len()), ("Clear it", 1));
    })
    .await;
}

#[tokio::test]
async fn a_new_assignment_brings_its_task_sites_and_stops_and_takes_them_along_when_it_ends() {
    with_teams(&[1], async |rig| {
        let (operator, team) = first(rig);
        let (shared, own) = (rig.site().await, rig.site().await);
        let lasting = rig.task(operator, std::slice::from_ref(&shared)).await;
        rig.assign(operator, team, &lasting).await;
        let passing = rig.task(operator, &[shared.clone(), own.clone()]).await;
        let stop = rig.stop(&[operator], "SITE", &own).await;
        let mut feed = open(rig.world.teams(), team, "").await.unwrap();
        assert_eq!(several(&mut feed, 5).await.last().unwrap().0, "end");
        let assignment = rig.assign(operator, team, &passing).await;
        let brought = pairs([
            ("stop", &stop),
            ("assignment", &assignment),
            ("task", &passing),
            ("site", &shared),
            ("site", &own),
        ]);
        assert_eq!(several(&mut feed, 5).await, brought);
        rig.end(operator, &assignment, "ENDED").await;
        let taken = pairs([("removed", &assignment), ("removed", &passing), ("removed", &own)]);
        assert_eq!(several(&mut feed, 3).await, taken);
    })
    .await;
}

#[tokio::test]
async fn a_stop_comes_before_the_suspension_that_it_brought_about() {
    with_teams(&[1], async |rig| {
        let (operator, team) = first(rig);
        let site = rig.site().await;
        let task = rig.task(operator, from_ref(&site)).await;
        rig.assign(operator, team, &task).await;
        let mut feed = open(rig.world.teams(), team, "").await.unwrap();
        several(&mut feed, 5).await;
        for (target, id) in [("TASK", task.as_str()), ("OPERATOR", operator)] {
            // The record of the task comes first in the journal's event and by id.
            let (stop, statement) = rig.stopping(target, id);
            let subjects = vec![(task.clone(), Kind::Task), (stop.clone(), Kind::SafetyStop)];
            rig.write(operator, vec![Rig::instructing(&task, target), statement], subjects).await;
            let expected = pairs([("stop", &stop), ("task", &task), ("site", &site)]);
            assert_eq!(several(&mut feed, 3).await, expected);
            rig.lift(&[operator], &stop).await;
            assert_eq!(several(&mut feed, 1).await, pairs([("lifted", &stop)]));
        }
    })
    .await;
}

#[tokio::test]
async fn a_cursor_resumes_without_a_snapshot_and_says_what_left_meanwhile() {
    with_teams(&[1], async |rig| {
        let (operator, team) = first(rig);
        let (leaving, staying) = (rig.site().await, rig.site().await);
        let (old, new) =
            (rig.task(operator, from_ref(&leaving)).await, rig.task(operator, from_ref(&staying)).await);
        let gone = rig.assign(operator, team, &old).await;
        let kept = rig.assign(operator, team, &new).await;
        let mut feed = open(rig.world.teams(), team, "").await.unwrap();
        let mut unfinished = String::new();
        let cursor = loop {
            let sent = next(&mut feed).await;
            match sent.message.unwrap() {
                Message::SnapshotEnd(_) => break sent.cursor,
                _ => unfinished = sent.cursor,
            }
        };
        drop(feed);
        rig.end(operator, &gone, "CANCELLED").await;
        rig.instruct(operator, &new, "Go on").await;
        let mut feed = open(rig.world.teams(), team, &cursor).await.unwrap();
        let begin = next(&mut feed).await;
        assert_eq!(begin.cursor, cursor);
        let Some(Message::Begin(begin)) = begin.message else { panic!("begin is first") };
        assert!(begin.resumed);
        let removed = [("removed", &gone), ("removed", &old), ("removed", &leaving)];
        let expected = [[("task", &new), ("site", &staying)].as_slice(), &removed].concat();
        for (index, (kind, id)) in expected.into_iter().enumerate() {
            let sent = next(&mut feed).await;
            assert_eq!(about(&sent.message.unwrap()), (kind, id.clone()));
            // A cut before the end of the batch repeats it.
            assert_eq!(sent.cursor == cursor, index < 4);
        }
        let mut again = open(rig.world.teams(), team, &unfinished).await.unwrap();
        let Message::Begin(begin) = told(&mut again).await else { panic!("begin is first") };
        assert!(!begin.resumed);
        assert_eq!(several(&mut again, 1).await, pairs([("assignment", &kept)]));
    })
    .await;
}

async fn refusal(client: TeamServiceClient<Channel>, team: &str, cursor: &str) -> Status {
    open(client, team, cursor).await.expect_err("it is refused before the first message")
}

#[tokio::test]
async fn a_cursor_of_another_team_or_history_or_a_changed_one_is_refused() {
    with_teams(&[2], async |rig| {
        let (_, team) = first(rig);
        let mut feed = open(rig.world.teams(), team, "").await.unwrap();
        next(&mut feed).await;
        let end = next(&mut feed).await;
        assert!(matches!(end.message, Some(Message::SnapshotEnd(_))));
        let mut changed = end.cursor.clone().into_bytes();
        let middle = changed.len() / 2;
        changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        let other = &rig.operators[0].1[1];
        for (team, cursor) in
            [(other.as_str(), end.cursor.as_str()), (team, changed.as_str()), (team, "AAAA")]
        {
            let refused = refusal(rig.world.teams(), team, cursor).await;
            assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        }
        renew_epoch(&rig.world.store).await.unwrap();
        let replica = rig.world.replica().await;
        let refused = refusal(replica.teams(), team, &end.cursor).await;
        assert_eq!(
            (refused.code(), reason(&refused).0.as_str()),
            (Code::FailedPrecondition, "RESUME_TOKEN_EPOCH")
        );
        replica.finish().await;
    })
    .await;
}

#[tokio::test]
async fn only_the_operator_auditors_and_administrators_follow_a_team() {
    with_teams(&[1, 1], async |rig| {
        let (operator, team) = first(rig);
        let other = &rig.operators[1].0;
        let gate = Gate::open(rig.world).await;
        let request = pb::StreamTeamFeedRequest { team_id: team.to_owned(), ..Default::default() };
        for (role, organization) in
            [("field", operator), ("coordinator", operator), ("auditor", operator), ("admin", operator)]
        {
            let opened =
                gate.server.teams().stream_team_feed(gate.sent(role, organization, request.clone())).await;
            assert!(opened.is_ok(), "{role}: {opened:?}");
        }
        for (role, organization) in
            [("field", other), ("coordinator", other), ("coordinator", &rig.authority)]
        {
            let refused =
                gate.server.teams().stream_team_feed(gate.sent(role, organization, request.clone())).await;
            assert_eq!(refused.unwrap_err().code(), Code::NotFound, "{role}");
        }
        let refused = gate
            .server
            .teams()
            .stream_team_feed(gate.sent("funder", &rig.desk.funder_id, request.clone()))
            .await;
        assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
        let unknown = pb::StreamTeamFeedRequest { team_id: fresh_id(), ..request };
        let refused = gate.server.teams().stream_team_feed(gate.sent("admin", operator, unknown)).await;
        assert_eq!(refused.unwrap_err().code(), Code::NotFound);
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_feed_ends_when_the_token_expires() {
    with_teams(&[1], async |rig| {
        let (operator, team) = first(rig);
        let gate = Gate::open(rig.world).await;
        let progress_interval = Some(prost_types::Duration { seconds: 1, nanos: 0 });
        let request =
            pb::StreamTeamFeedRequest { team_id: team.to_owned(), progress_interval, ..Default::default() };
        let opened = gate.server.teams().stream_team_feed(gate.sent("field", operator, request)).await;
        let mut feed = opened.unwrap().into_inner();
        assert_eq!(several(&mut feed, 2).await.last().unwrap().0, "end");
        rig.world.clock.set("1998-06-15T14:00:00Z");
        let ended = loop {
            match feed.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ends with a status"),
                Err(status) => break status,
            }
        };
        assert_eq!(ended.code(), Code::Unauthenticated);
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_known_of_a_site_ages_by_the_days_of_its_time_zone() {
    with_teams(&[1], async |rig| {
        let (operator, team) = first(rig);
        let leap = pb::Site { information_on: Some(day(1996, 2, 29)), ..site(&rig.authority, "ZW-LEAP", 10) };
        let known = created(rig.world, leap).await;
        let task = rig.task(operator, std::slice::from_ref(&known.site_id)).await;
        rig.assign(operator, team, &task).await;
        for (now, today, age) in [
            ("2000-02-28T21:59:59Z", day(2000, 2, 28), 1_460),
            ("2000-02-28T22:00:00Z", day(2000, 2, 29), 1_461),
        ] {
            rig.world.clock.set(now);
            let mut feed = open(rig.world.teams(), team, "").await.unwrap();
            several(&mut feed, 3).await;
            let Message::Site(sent) = told(&mut feed).await else { panic!("a site") };
            let data_age = sent.data_age.unwrap();
            assert_eq!((data_age.today, data_age.age_days), (Some(today), age));
            assert_eq!(data_age.information_on, Some(day(1996, 2, 29)));
            assert_eq!(sent.site.unwrap().position, known.position);
        }
    })
    .await;
}

#[tokio::test]
async fn a_drain_ends_a_feed_with_reconnect() {
    with_teams(&[1], async |rig| {
        let (_, team) = first(rig);
        let replica = rig.world.replica().await;
        let mut feed = open(replica.teams(), team, "").await.unwrap();
        let end = next_end(&mut feed).await;
        let finishing = replica.finish();
        let reading = async {
            let Message::Reconnect(last) = told(&mut feed).await else { panic!("reconnect is last") };
            assert!(feed.message().await.unwrap().is_none());
            drop(feed);
            last
        };
        let ((), last) = tokio::join!(finishing, reading);
        assert!(last.after.unwrap().seconds < 2);
        assert_eq!(last.cursor, end);
        let mut feed = open(rig.world.teams(), team, &last.cursor).await.unwrap();
        assert!(matches!(told(&mut feed).await, Message::Begin(begin) if begin.resumed));
    })
    .await;
}

/// Reads a snapshot and answers the cursor of its end.
async fn next_end(feed: &mut Streaming<pb::StreamTeamFeedResponse>) -> String {
    loop {
        let sent = next(feed).await;
        if let Some(Message::SnapshotEnd(_)) = sent.message {
            return sent.cursor;
        }
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_stops_nobody_else() {
    with_teams(&[1], async |rig| {
        let (operator, team) = first(rig);
        let task = rig.task(operator, &[rig.site().await]).await;
        rig.assign(operator, team, &task).await;
        // More than its queue and windows hold.
        let channel = connect(rig.world.address).await;
        let stuck = open(TeamServiceClient::new(channel), team, "").await.unwrap();
        let mut feed = open(rig.world.teams(), team, "").await.unwrap();
        next_end(&mut feed).await;
        let text = "x".repeat(10_000);
        for number in 0..60 {
            let told_last = format!("{number} {text}")[..10_000].to_owned();
            rig.instruct(operator, &task, &told_last).await;
            // Wakes the feeds.
            rig.add_team(operator).await;
            loop {
                match told(&mut feed).await {
                    Message::Task(of) if of.instructions == told_last => break,
                    // Its site comes along.
                    Message::Task(_) | Message::Site(_) => {}
                    other => panic!("only the task is changed, not {other:?}"),
                }
            }
        }
        drop(stuck);
    })
    .await;
}
