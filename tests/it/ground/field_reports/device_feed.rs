//! What a device knows of safety stops: nothing is taken for all that is not, and nothing old for new.

use std::collections::BTreeSet;
use std::time::Duration;

use safelane::cli::field::status::{FeedAge, Status};
use safelane::cli::field::sync::{Pace, Until, take_feed};
use safelane::rpc::pb::safety_stop::Target;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use super::bad_link::{BadLink, Weather};
use super::devices::{LONG, Pad, pace};
use super::rig::Tablet;
use crate::harness::in_world;

fn with_feed() -> Pace {
    Pace { feed: true, patience: Duration::from_secs(10), ..pace() }
}

/// Waits until somebody has waited in vain for what is locked, and tries again: in between a heartbeat was due.
async fn tried_twice(conn: &mut PgConnection) {
    let waiting =
        "SELECT waitstart::text FROM pg_locks WHERE relation = 'change_subjects'::regclass AND NOT granted";
    let mut waits = BTreeSet::new();
    while waits.len() < 2 {
        let seen: Vec<Option<String>> =
            sqlx::query_scalar(waiting).fetch_all(&mut *conn).await.expect("the locks");
        waits.extend(seen.into_iter().flatten());
    }
}

#[tokio::test]
async fn a_heartbeat_of_a_service_that_cannot_read_is_not_taken_for_all() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        pad.sync_at(&with_feed(), LONG).await;
        assert_eq!(pad.status().stops, []);
        let operator = tablet.works.desk.operator_id.clone();
        let stop = tablet.works.stop(Target::OperatorId(operator)).await.expect("it is issued");
        let (mut locking, mut watch) = (world.database.connect().await, world.database.connect().await);
        let lock = "BEGIN; LOCK TABLE change_subjects IN ACCESS EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut locking).await.expect("it is locked");
        let back = async {
            tried_twice(&mut watch).await;
            sqlx::raw_sql("COMMIT").execute(&mut locking).await.expect("it is free");
        };
        let pace = with_feed();
        let syncing = pad.sync_at(&pace, Until::Once);
        tokio::pin!(syncing);
        tokio::select! {
            ended = &mut syncing => panic!("it ended before the journal could be read: {ended:?}"),
            () = back => {}
        }
        let summary = syncing.await;
        assert_eq!((&*summary.trouble, &*summary.feed_refused), ("", ""), "{summary:?}");
        assert_eq!(pad.status().stops.len(), 1);
        tablet.works.lift(&stop).await.expect("it is lifted");
        for conn in [locking, watch] {
            conn.close().await.expect("it closes");
        }
    })
    .await;
}

#[tokio::test]
async fn one_process_takes_the_feed_and_others_trust_it_while_it_hears_something() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        let other = pad.device.outbox.alone_with_feed().expect("a lock").expect("nobody has it");
        let summary = pad.sync_at(&with_feed(), LONG).await;
        assert!(summary.feed_refused.contains("hears nothing"), "{summary:?}");
        assert_eq!(pad.status().feed_age, FeedAge::Never);
        let refused = take_feed(&pad.device, &with_feed(), &|_| {}, false).await.unwrap_err().to_string();
        assert!(refused.contains("another process takes the team feed"), "{refused}");
        drop(other);
        assert_eq!(pad.sync_at(&with_feed(), LONG).await.feed_refused, "");
        let _other = pad.device.outbox.alone_with_feed().expect("a lock").expect("nobody has it");
        assert_eq!(pad.sync_at(&with_feed(), LONG).await.feed_refused, "", "it has just heard all");
    })
    .await;
}

#[tokio::test]
async fn a_service_that_is_not_reached_is_told_although_nothing_waits() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        // It dies without a word, and nobody would wait so long for it.
        let link = BadLink::meeting(world.address, &[Weather::HalfOpen(0)]).await;
        let pad = Pad::new(&tablet.team, link.address);
        let patient = Pace { patience: Duration::from_secs(20), ..with_feed() };
        let summary = pad.sync_at(&patient, Until::Elapsed(Duration::from_millis(500))).await;
        assert_eq!((summary.left, &*summary.trouble), (0, "the time was over"), "{summary:?}");
    })
    .await;
}

#[test]
fn knowledge_of_an_age_that_nobody_can_tell_is_not_shown_as_fresh() {
    let pad = Pad::new("0190a5b6-7c1d-7e2f-8a3b-4c5d6e7f8091", ([127, 0, 0, 1], 9).into());
    let status = Status { feed_age: FeedAge::ClockChanged, ..pad.status() };
    let told = status.text(false);
    let expected = "safety: NOT KNOWN (age not known: the clock was changed; run sync before work)";
    assert_eq!(told.lines().next(), Some(expected));
    let json = status.json();
    assert_eq!(
        (&json["safety"]["known_seconds_ago"], &json["safety"]["clock_changed"]),
        (&Value::Null, &true.into())
    );
}
