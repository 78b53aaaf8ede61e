//! The connection to PostgreSQL is cut around a commit. Around COMMIT the outcome is unknown, and a retry by id
//! tells it. Around a booking that is a transaction by itself the service finds out and answers.

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use tonic::Code;
use tonic::transport::Channel;

use crate::evidence::clerk::Clerk;
use crate::evidence::finding::Verdict;
use crate::evidence::history::{Answer, History};
use crate::evidence::link::lazily;
use crate::evidence::load::{Size, Work};
use crate::evidence::proxy::{Cut, DatabaseProxy};
use crate::evidence::reading::examine;
use crate::evidence::rig::Rig;

/// How often each cut is tried, with each of the moves in between.
const ROUNDS: i64 = 4;
/// One in so many commits is cut under load.
const CUT_ONE_IN: u64 = 6;

/// One call at a time is cut, and what the service does next is watched. Between the cut and the retry the other
/// replica books as many entries as the lost transaction had, none, or one more: a service that believes its
/// own lost work is then exactly right about the revision and wrong about the money.
pub(crate) async fn cut_one_commit(rig: &mut Rig) -> Verdict {
    let proxy = DatabaseProxy::start(&rig.world.database.options, rig.chance.fork()).await;
    let (behind, beside) = tokio::join!(rig.service_at(&proxy.url), rig.service());
    let (cut, whole) = (lazily(behind.address), lazily(beside.address));
    let history = History::default();
    let mut here = Clerk::new(&rig.desk, rig.chance.fork(), &history, std::slice::from_ref(&cut));
    let mut there = Clerk::new(&rig.desk, rig.chance.fork(), &history, std::slice::from_ref(&whole));
    for round in 0..ROUNDS {
        for fate in [Cut::BeforeCommit, Cut::AfterCommit] {
            for others in 0..3 {
                let amount = 1_000 + round;
                // What a service keeps in memory is there before the cut.
                here.settle(&expense(rig, amount)).await;
                let lost = expense(rig, 10 * amount);
                let bookings = proxy.cut_bookings();
                proxy.cut_next(fate);
                let told = here.attempt(&lost).await;
                let as_it_must = if bookings < proxy.cut_bookings() {
                    matches!(told, Answer::Accepted(_))
                } else {
                    matches!(&told, Answer::Unknown(Code::Unavailable, reason) if reason == "OUTCOME_UNKNOWN")
                };
                if !as_it_must {
                    history.complain(format!("a commit was cut, {fate:?}, and the call was {}", told.told()));
                }
                for _ in 0..others {
                    there.settle(&expense(rig, 100 * amount)).await;
                }
                here.settle(&expense(rig, amount)).await;
                here.settle(&lost).await;
            }
        }
    }
    examine(rig, &history, &[cut, whole]).await
}

/// Only bookings are cut, on the only replica: the service answers each call as if nothing had happened.
pub(crate) async fn cut_bookings(rig: &mut Rig) -> Verdict {
    let proxy = DatabaseProxy::start(&rig.world.database.options, rig.chance.fork()).await;
    let behind = rig.service_at(&proxy.url).await;
    let doors = [lazily(behind.address)];
    let history = History::default();
    let mut clerk = Clerk::new(&rig.desk, rig.chance.fork(), &history, &doors);
    for round in 0..ROUNDS {
        for fate in [Cut::BeforeCommit, Cut::AfterCommit] {
            // The first one reads the working set, and after a cut the writer looks for replays once more.
            for _ in 0..3 {
                clerk.settle(&expense(rig, 1 + round)).await;
            }
            let before = proxy.cut_bookings();
            proxy.cut_next(fate);
            let told = clerk.attempt(&expense(rig, 100 + round)).await;
            if !matches!(told, Answer::Accepted(_)) {
                history.complain(format!("a booking was cut, {fate:?}, and the call was {}", told.told()));
            }
            if proxy.cut_bookings() != before + 1 {
                return Err(format!("no booking was cut in round {round}, so nothing is shown"));
            }
        }
    }
    examine(rig, &history, &doors).await
}

/// Many commits are cut under load, before and after as it comes.
pub(crate) async fn cut_under_load(rig: &mut Rig, size: Size) -> Verdict {
    let proxy = DatabaseProxy::start(&rig.world.database.options, rig.chance.fork()).await;
    let (behind, beside) = tokio::join!(rig.service_at(&proxy.url), rig.service());
    let doors: [Channel; 2] = [lazily(behind.address), lazily(beside.address)];
    let history = History::default();
    proxy.cut_one_in(CUT_ONE_IN);
    let work = Work::begin(rig, &history, &doors, size);
    tokio::time::sleep(size.lasting).await;
    work.finish().await;
    proxy.cut_one_in(0);
    println!("{} commits cut; accepted, refused, open: {:?}", proxy.cut(), history.tally());
    if proxy.cut() == 0 {
        return Err("no commit was cut, so nothing is shown".to_owned());
    }
    examine(rig, &history, &doors).await
}

fn expense(rig: &mut Rig, minor_units: i64) -> pb::Entry {
    let entry_id = rig.chance.id();
    pb::Entry { entry_id, ..rig.desk.entry(Action::Expend(rig.desk.expend("T1", minor_units))) }
}
