//! `kill -9` of the service, and of PostgreSQL, at random moments under load.

use std::time::{Duration, Instant};

use safelane::store::embedded::{Embedded, Options};
use safelane::store::{Store, migrate};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::transport::Channel;

use crate::binary::DataDir;
use crate::evidence::finding::{Check, Verdict, conclude};
use crate::evidence::follower::{Sent, follow};
use crate::evidence::history::{Answer, History};
use crate::evidence::link::{Link, Weather};
use crate::evidence::load::{Size, Work};
use crate::evidence::reading::{check_stream, examine};
use crate::evidence::rig::Rig;
use crate::harness::TestDatabase;

/// How long a killed process takes to be gone.
pub(crate) const GONE: Duration = Duration::from_secs(10);
/// The longest that a run goes on between two kills.
const BETWEEN_KILLS_MICROS: u64 = 400_000;
/// The fewest kills of a run.
const KILLS_MIN: u32 = 2;

/// Kills the service again and again while clerks work and a stream follows.
pub(crate) async fn kill_the_service(rig: &mut Rig, size: Size) -> Verdict {
    let mut service = rig.service().await;
    let link = Link::start(service.address, Weather::default(), rig.chance.fork()).await;
    let (history, doors) = (History::default(), [link.channel()]);
    let (head, following) = begin_following(rig, &link);
    let work = Work::begin(rig, &history, &doors, size);
    let (start, mut kills) = (Instant::now(), 0);
    while kills < KILLS_MIN || start.elapsed() < size.lasting {
        rig.chance.pause(BETWEEN_KILLS_MICROS).await;
        service.signal("KILL");
        service.ended(GONE).await;
        service = rig.service().await;
        link.point_at(service.address);
        kills += 1;
    }
    work.finish().await;
    println!("{kills} kills of the service; accepted, refused, open: {:?}", history.tally());
    judge(rig, &history, &doors, head, following).await
}

/// Kills PostgreSQL again and again under a service that stays up.
pub(crate) async fn kill_postgres(seed: u64, size: Size) -> Verdict {
    let place = DataDir::new();
    let mut cluster = start_cluster(&place).await;
    let options = cluster.connect_options();
    let store = Store::new(options.clone(), 2);
    migrate::migrate(&store).await.expect("the migrations run");
    store.close().await;
    let database = TestDatabase { name: "safelane".to_owned(), options };
    let mut rig = Rig::on_database(database, seed).await;
    let service = rig.service().await;
    let link = Link::start(service.address, Weather::default(), rig.chance.fork()).await;
    let (history, doors) = (History::default(), [link.channel()]);
    let (head, following) = begin_following(&rig, &link);
    let work = Work::begin(&mut rig, &history, &doors, size);
    let (start, mut kills) = (Instant::now(), 0);
    while kills < KILLS_MIN || start.elapsed() < size.lasting {
        rig.chance.pause(BETWEEN_KILLS_MICROS).await;
        kill(cluster);
        cluster = start_cluster(&place).await;
        kills += 1;
    }
    work.finish().await;
    println!("{kills} kills of PostgreSQL; accepted, refused, open: {:?}", history.tally());
    let judged = judge(&rig, &history, &doors, head, following).await;
    cluster.stop().await;
    judged.and(only_unavailable(&history))
}

type Following = JoinHandle<Result<Vec<Sent>, String>>;

fn begin_following(rig: &Rig, link: &Link) -> (watch::Sender<Option<i64>>, Following) {
    let (head, known) = watch::channel(None);
    let following = follow(link.channel(), rig.desk.program_id.clone(), rig.base, known);
    (head, tokio::spawn(following))
}

/// Judges the run, and the stream that followed it from beginning to end.
async fn judge(
    rig: &Rig,
    history: &History,
    doors: &[Channel],
    head: watch::Sender<Option<i64>>,
    following: Following,
) -> Verdict {
    let journal = rig.journal().await?;
    head.send_replace(Some(rig.base + i64::try_from(journal.len()).expect("a length")));
    let sent = following.await.expect("no panic")?;
    conclude(check_stream(&sent, &journal))?;
    examine(rig, history, doors).await
}

/// While the database is away, calls fail as the contract says and in no other way.
fn only_unavailable(history: &History) -> Verdict {
    let attempts = history.attempts();
    let mut unavailable = 0;
    let other = attempts.iter().filter_map(|attempt| match &attempt.answer {
        Answer::Unknown(Code::Unavailable, reason)
            if ["DATABASE_AWAY", "OUTCOME_UNKNOWN"].contains(&&**reason) =>
        {
            unavailable += 1;
            None
        }
        Answer::Unknown(code, told) => Some(Check::ClientIsServed.broken(format!("{code:?}: {told}"))),
        _ => None,
    });
    let other = other.collect();
    if unavailable == 0 {
        return Err("PostgreSQL was killed and no call noticed".to_owned());
    }
    conclude(other)
}

pub(crate) async fn start_cluster(place: &DataDir) -> Embedded {
    let data_dir = place.path().to_owned();
    let options = Options { data_dir, bin_dir: None, durable: true, max_connections: 60 };
    Embedded::start(options).await.expect("it starts")
}

/// Kills the server at once, with everyone in it, and frees its directory.
pub(crate) fn kill(cluster: Embedded) {
    let pid = cluster.pid().to_string();
    let killed = std::process::Command::new("kill").args(["-s", "KILL", "--", &format!("-{pid}")]).status();
    assert!(killed.expect("kill is there").success());
    drop(cluster);
}
