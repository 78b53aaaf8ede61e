//! Feeds that are larger than what is read at a time.

use safelane::domain::kind::Kind;
use safelane::rpc::pb::StreamTeamFeedResponse;
use safelane::rpc::pb::stream_team_feed_response::Message;
use tonic::Streaming;

use super::feed_rig::{Held, Rig, Subject, Tablet, about, next, open, with_teams};
use crate::harness::fresh_id;

/// More records than are read together and more subjects than are looked at together, while the reader waits: what it
/// gets late is of then, with the stop before everything that came after it.
#[tokio::test]
async fn a_large_snapshot_and_a_large_change_are_sent_in_parts() {
    with_teams(&[1], async |rig| {
        let (operator, teams) = &rig.operators[0];
        let team = &teams[0];
        let (mut tasks, mut assignments) = (Vec::new(), Vec::new());
        for _ in 0..6 {
            let sites = rig.wide_sites(100).await;
            let task = rig.task(operator, &sites).await;
            assignments.push(rig.assign(operator, team, &task).await);
            tasks.push((task, sites));
        }
        let mut tablet = Tablet::default();
        let mut feed = open(rig.world.teams(), team, "").await.unwrap();
        // The first part is read and waits for its reader; meanwhile the last task leaves and another is stopped.
        tablet.take(next(&mut feed).await);
        rig.end(operator, &assignments[5], "ENDED").await;
        let stopped = rig.stop(&[operator], "TASK", &tasks[0].0).await;
        let (mut seen, mut stop_at) = (0, None);
        while tablet.held == Held::default() {
            let sent = next(&mut feed).await;
            let (kind, id) = about(sent.message.as_ref().unwrap());
            stop_at = stop_at.or((id == stopped).then_some(seen));
            seen += usize::from(kind == "site");
            tablet.take(sent);
        }
        assert!(
            stop_at.is_some_and(|at| 0 < at && at < 600),
            "the stop overtakes what is read later: {stop_at:?}"
        );
        assert_eq!(seen, 500, "what has left meanwhile is not sent");
        same_as_fresh(rig, team, &mut feed, &mut tablet).await;
        // One revision touches more than are looked at together, and most of it is of others.
        let mut before = tablet.clone();
        let mut subjects: Vec<Subject> = (0..1_100).map(|_| (fresh_id(), Kind::Task)).collect();
        subjects.extend(tasks.iter().flat_map(|(_, sites)| sites).map(|site| (site.clone(), Kind::Site)));
        let renamed = "UPDATE sites SET name = 'Elsewhere' WHERE code LIKE 'W-%'".to_owned();
        rig.write(operator, vec![renamed], subjects).await;
        same_as_fresh(rig, team, &mut feed, &mut tablet).await;
        let mut feed = open(rig.world.teams(), team, &before.cursor).await.unwrap();
        same_as_fresh(rig, team, &mut feed, &mut before).await;
        assert!(before.held.sites.values().all(|of| of.site.as_ref().unwrap().name == "Elsewhere"));
    })
    .await;
}

/// Reads until a feed has told everything, and compares.
async fn same_as_fresh(
    rig: &Rig<'_>,
    team: &str,
    feed: &mut Streaming<StreamTeamFeedResponse>,
    tablet: &mut Tablet,
) {
    // Nobody writes any more, so progress at the head of the journal is the end of it.
    let mut fresh = Tablet::default();
    let mut other = open(rig.world.teams(), team, "").await.unwrap();
    let head = loop {
        let sent = next(&mut other).await;
        let end = if let Some(Message::SnapshotEnd(end)) = &sent.message { Some(end.revision) } else { None };
        fresh.take(sent);
        if let Some(revision) = end {
            break revision;
        }
    };
    loop {
        let sent = next(feed).await;
        let done = matches!(&sent.message, Some(Message::Progress(of)) if head <= of.revision);
        tablet.take(sent);
        if done {
            break;
        }
    }
    assert_eq!(tablet.held, fresh.held);
}
