//! The same entries again and again: by calls and streams at once, in other orders, late, over links that break,
//! and between them impostors that use the ids for other content.

use std::sync::Arc;

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use tokio::task::JoinSet;

use crate::evidence::chance::Chance;
use crate::evidence::clerk::Clerk;
use crate::evidence::finding::Verdict;
use crate::evidence::history::History;
use crate::evidence::link::{Link, Weather};
use crate::evidence::load::Size;
use crate::evidence::reading::examine;
use crate::evidence::rig::Rig;

/// Entries that are delivered together, many times.
const TOGETHER: usize = 30;
/// Streams and callers that deliver all of them.
const COURIERS: usize = 3;
const WEATHER: Weather = Weather { delay_micros_max: 3_000, cut_one_in: 60 };

/// Delivers everything several times at once.
pub(crate) async fn deliver_again_and_again(rig: &mut Rig, size: Size) -> Verdict {
    let (first, second) = tokio::join!(rig.service(), rig.service());
    let links = [
        Link::start(first.address, WEATHER, rig.chance.fork()).await,
        Link::start(second.address, WEATHER, rig.chance.fork()).await,
    ];
    let (history, start) = (History::default(), std::time::Instant::now());
    let mut rounds = 0;
    while rounds < 2 || start.elapsed() < size.lasting {
        let entries = draw(rig, &history);
        let mut couriers = JoinSet::new();
        for number in 0..2 * COURIERS {
            // Each has connections of its own.
            let doors = [links[0].channel(), links[1].channel()];
            let clerk = Clerk::new(&rig.desk, rig.chance.fork(), &history, &doors);
            couriers.spawn(deliver(clerk, rig.chance.fork(), Arc::clone(&entries), number < COURIERS));
        }
        couriers.join_all().await;
        rounds += 1;
    }
    println!("{rounds} rounds of deliveries; accepted, refused, open: {:?}", history.tally());
    let calm = [
        Link::start(first.address, Weather::default(), rig.chance.fork()).await,
        Link::start(second.address, Weather::default(), rig.chance.fork()).await,
    ];
    examine(rig, &history, &calm.each_ref().map(Link::channel)).await
}

/// Entries, and for some an impostor with the same id.
fn draw(rig: &mut Rig, history: &History) -> Arc<Vec<pb::Entry>> {
    let mut clerk = Clerk::new(&rig.desk, rig.chance.fork(), history, &[]);
    let mut entries: Vec<pb::Entry> = (0..TOGETHER).map(|_| clerk.draw()).collect();
    for place in (0..TOGETHER).step_by(5) {
        entries.push(impostor(&entries[place], rig, place));
    }
    Arc::new(entries)
}

fn impostor(of: &pb::Entry, rig: &Rig, place: usize) -> pb::Entry {
    if place.is_multiple_of(2) {
        return pb::Entry { note: "another".to_owned(), ..of.clone() };
    }
    let other = Action::Expend(rig.desk.expend("B", 4_711));
    pb::Entry { action: Some(other), ..of.clone() }
}

async fn deliver(mut clerk: Clerk, mut chance: Chance, entries: Arc<Vec<pb::Entry>>, streams: bool) {
    let mut mine = (*entries).clone();
    chance.shuffle(&mut mine);
    if streams {
        clerk.settle_streamed(&mine).await;
        return;
    }
    for entry in mine {
        clerk.settle(&entry).await;
    }
}
