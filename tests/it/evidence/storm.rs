//! A storm of cancelled calls: thousands are dropped at random moments, in every part of a transaction.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::evidence::chance::Chance;
use crate::evidence::clerk::Clerk;
use crate::evidence::finding::Verdict;
use crate::evidence::history::{Answer, History};
use crate::evidence::link::{Link, Weather};
use crate::evidence::load::Size;
use crate::evidence::proxy::DatabaseProxy;
use crate::evidence::reading::examine;
use crate::evidence::rig::Rig;

/// Clerks who drop calls, and the calls that each makes at least.
const CALLERS: u64 = 12;
const CALLED: u64 = 40;
/// One in so many calls is not dropped but sent until it is answered, so that calls meet each other in every state
/// and the queue does not only grow.
const ANSWERED_ONE_IN: u64 = 6;
/// A call is dropped within this time; most take about as long.
const DROPPED_WITHIN_MICROS: u64 = 90_000;
/// One in so many dropped calls is sent again at the end.
const AGAIN_ONE_IN: u64 = 4;
/// Connections of the service, and the one of its readiness check.
const CONNECTIONS: i64 = 10 + 1;
/// How long what was begun may take to end.
const CALM_WITHIN: Duration = Duration::from_secs(30);

/// Drops calls at random moments; then nothing may be left open, and everything works.
pub(crate) async fn drop_calls(rig: &mut Rig, size: Size) -> Verdict {
    let proxy = DatabaseProxy::start(&rig.world.database.options, rig.chance.fork()).await;
    let service = rig.service_at(&proxy.url).await;
    let weather = Weather { delay_micros_max: 500, cut_one_in: 0 };
    let link = Link::start(service.address, weather, rig.chance.fork()).await;
    let (history, start) = (History::default(), Instant::now());
    let mut looking = rig.world.database.connect().await;
    // The honest server has its own, which come and go by themselves.
    let own = rig.sessions(&mut looking, "true").await;
    proxy.delay_up_to(400);
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let clerk = Clerk::new(&rig.desk, rig.chance.fork(), &history, &[link.channel()]);
        callers.spawn(drop_some(clerk, rig.chance.fork(), history.clone(), start, size.lasting));
    }
    let dropped: u64 = callers.join_all().await.into_iter().sum();
    proxy.delay_up_to(0);
    println!("{dropped} calls dropped; accepted, refused, open: {:?}", history.tally());
    let calm = Instant::now();
    while 0 < rig.sessions(&mut looking, "(state LIKE 'idle in transaction%' OR state = 'active')").await {
        if CALM_WITHIN < calm.elapsed() {
            return Err("connections are still in a transaction when nobody calls any more".to_owned());
        }
        tokio::task::yield_now().await;
    }
    let sessions = rig.sessions(&mut looking, "true").await;
    if own + CONNECTIONS < sessions {
        return Err(format!("the service holds {sessions} - {own} connections, of {CONNECTIONS}"));
    }
    settle_some(rig, &link, &history).await;
    let stuck = rig.sessions(&mut looking, "state LIKE 'idle in transaction%'").await;
    if stuck != 0 {
        return Err(format!("{stuck} connections went back to the pool with an open transaction"));
    }
    examine(rig, &history, &[link.channel()]).await
}

async fn drop_some(
    mut clerk: Clerk,
    mut chance: Chance,
    history: History,
    start: Instant,
    lasting: Duration,
) -> u64 {
    let (mut called, mut dropped) = (0, 0);
    while called < CALLED || start.elapsed() < lasting {
        let (entry, invoked) = (clerk.draw(), Instant::now());
        called += 1;
        if chance.one_in(ANSWERED_ONE_IN) {
            clerk.settle(&entry).await;
            continue;
        }
        let answered = tokio::select! {
            _ = clerk.attempt(&entry) => true,
            () = chance.pause(DROPPED_WITHIN_MICROS) => false,
        };
        if !answered {
            history.record(entry, invoked, Answer::Unknown(tonic::Code::Cancelled, "dropped".to_owned()));
            dropped += 1;
        }
    }
    dropped
}

/// Sends some of the dropped calls again: each has one answer, whatever became of it.
async fn settle_some(rig: &mut Rig, link: &Link, history: &History) {
    let mut clerk = Clerk::new(&rig.desk, rig.chance.fork(), history, &[link.channel()]);
    for attempt in history.attempts() {
        if !attempt.answer.is_settled() && rig.chance.one_in(AGAIN_ONE_IN) {
            clerk.settle(&attempt.entry).await;
        }
    }
}
