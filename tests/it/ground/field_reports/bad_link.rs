//! A link between a device and the service that does everything that links do: it cuts, delays, dies without a word, cuts
//! messages into single bytes, delivers a whole connection a second time, and puts a login page in between.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::evidence::chance::Chance;

/// What becomes of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Fair,
    /// Both ends see it break after so many bytes in all.
    Cut(usize),
    /// After so many bytes nothing arrives any more, and nobody is told.
    HalfOpen(usize),
    /// The first bytes of both directions come one by one.
    Slices(usize),
    /// Each piece is late by up to so long.
    Late(Duration),
    /// Answers come so late that nobody waits for them.
    LateAnswers(Duration),
    /// Whatever the device sends arrives a second time, over a connection of its own, when this one ends.
    Replayed,
    /// A login page answers.
    Portal,
}

/// What a login page says to whatever it is asked.
pub(super) const LOGIN: &str = "<html><body>Welcome to the hotel. Please log in.</body></html>";
/// The most that is kept to be replayed.
const REPLAY_BYTES: usize = 4 * 1_024 * 1_024;

/// The link. Ends when dropped.
pub(super) struct BadLink {
    pub(super) address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    planned: Arc<Mutex<Planned>>,
    _accepting: JoinSet<()>,
}

struct Planned {
    /// For the next connections, last first.
    next: Vec<Weather>,
    /// For all others, one as good as the other.
    rest: Vec<Weather>,
    chance: Chance,
    carried: usize,
}

impl BadLink {
    /// A link whose first connections meet these weathers in order; all later ones are fair.
    pub(super) async fn meeting(target: SocketAddr, first: &[Weather]) -> Self {
        let next = first.iter().rev().copied().collect();
        Self::start(target, Planned { next, rest: Vec::new(), chance: Chance::new(1), carried: 0 }).await
    }

    /// A link with any of these weathers, drawn anew for each connection.
    pub(super) async fn drawing(target: SocketAddr, from: &[Weather], chance: Chance) -> Self {
        Self::start(target, Planned { next: Vec::new(), rest: from.to_vec(), chance, carried: 0 }).await
    }

    async fn start(target: SocketAddr, planned: Planned) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (target, planned) = (Arc::new(Mutex::new(target)), Arc::new(Mutex::new(planned)));
        let (to, plan, mut accepting) = (Arc::clone(&target), Arc::clone(&planned), JoinSet::new());
        accepting.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((device, _)) = listener.accept().await {
                let to = *to.lock().expect("no panic");
                let (weather, chance) = plan.lock().expect("no panic").draw();
                // Either end may go away at any moment; the other one then sees that.
                carried.spawn(async move { carry(device, to, weather, chance).await });
                while carried.try_join_next().is_some() {}
            }
        });
        Self { address, target, planned, _accepting: accepting }
    }

    /// New connections go there from now on.
    pub(super) fn point_at(&self, target: SocketAddr) {
        *self.target.lock().expect("no panic") = target;
    }

    /// From now on every new connection is fair.
    pub(super) fn clear_up(&self) {
        let mut planned = self.planned.lock().expect("no panic");
        planned.rest.clear();
        planned.next.clear();
    }

    /// How many connections there were.
    pub(super) fn carried(&self) -> usize {
        self.planned.lock().expect("no panic").carried
    }
}

impl Planned {
    fn draw(&mut self) -> (Weather, Chance) {
        self.carried += 1;
        let mut chance = self.chance.fork();
        let drawn = self.next.pop().or_else(|| (!self.rest.is_empty()).then(|| *chance.pick(&self.rest)));
        let spread = |most: usize, chance: &mut Chance| {
            usize::try_from(chance.below(u64::try_from(most.max(1)).expect("a length"))).expect("a length")
        };
        let weather = match drawn.unwrap_or(Weather::Fair) {
            // Planned ones are exact; drawn ones break anywhere up to there.
            Weather::Cut(most) if !self.rest.is_empty() => Weather::Cut(spread(most, &mut chance)),
            Weather::HalfOpen(most) if !self.rest.is_empty() => Weather::HalfOpen(spread(most, &mut chance)),
            weather => weather,
        };
        (weather, chance)
    }
}

async fn carry(mut device: TcpStream, to: SocketAddr, weather: Weather, mut chance: Chance) {
    if weather == Weather::Portal {
        let page = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{LOGIN}",
            LOGIN.len()
        );
        device.write_all(page.as_bytes()).await.ok();
        device.shutdown().await.ok();
        return;
    }
    let Ok(service) = TcpStream::connect(to).await else { return };
    for end in [&device, &service] {
        // Fails only on a connection that is gone, and then reading says so.
        end.set_nodelay(true).ok();
    }
    let ((says, hears), (answers, asked)) = (device.into_split(), service.into_split());
    let (out, back) = (chance.fork(), chance.fork());
    let passed = Arc::new(Mutex::new(0));
    let sent = Arc::new(Mutex::new(Vec::new()));
    let there = Way { from: says, to: asked, passed: Arc::clone(&passed), chance: out, weather };
    let home = Way { from: answers, to: hears, passed, chance: back, weather };
    tokio::select! {
        () = there.carry(true, Some(&sent)) => {}
        () = home.carry(false, None) => {}
    }
    if weather == Weather::Replayed {
        let sent = std::mem::take(&mut *sent.lock().expect("no panic"));
        replay(to, &sent).await;
    }
}

/// Sends the bytes of a connection again. What is answered is read and forgotten.
async fn replay(to: SocketAddr, sent: &[u8]) {
    let Ok(mut service) = TcpStream::connect(to).await else { return };
    if service.write_all(sent).await.is_err() {
        return;
    }
    let (mut forgotten, quiet) = (vec![0; 4_096], Duration::from_millis(300));
    while let Ok(Ok(1..)) = tokio::time::timeout(quiet, service.read(&mut forgotten)).await {}
}

/// One direction of a connection.
struct Way {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    /// Bytes of both directions.
    passed: Arc<Mutex<usize>>,
    chance: Chance,
    weather: Weather,
}

impl Way {
    async fn carry(mut self, outward: bool, sent: Option<&Mutex<Vec<u8>>>) {
        let mut piece = vec![0; 16 * 1_024];
        loop {
            let Ok(count @ 1..) = self.from.read(&mut piece).await else { return };
            let passed = {
                let mut passed = self.passed.lock().expect("no panic");
                *passed += count;
                *passed
            };
            match self.weather {
                Weather::Cut(limit) if limit < passed => return,
                Weather::HalfOpen(limit) if limit < passed => continue,
                Weather::Late(most) => {
                    self.chance.pause(u64::try_from(most.as_micros()).expect("microseconds")).await;
                }
                Weather::LateAnswers(wait) if !outward => tokio::time::sleep(wait).await,
                _ => {}
            }
            if let (Weather::Replayed, Some(sent)) = (self.weather, sent) {
                let mut sent = sent.lock().expect("no panic");
                if sent.len() < REPLAY_BYTES {
                    sent.extend_from_slice(&piece[..count]);
                }
            }
            let sliced = matches!(self.weather, Weather::Slices(limit) if passed < limit);
            if !self.pass(&piece[..count], sliced).await {
                return;
            }
        }
    }

    async fn pass(&mut self, piece: &[u8], sliced: bool) -> bool {
        if !sliced {
            return self.to.write_all(piece).await.is_ok();
        }
        for byte in piece.chunks(1) {
            if self.to.write_all(byte).await.is_err() {
                return false;
            }
            // So that the other end reads one by one.
            tokio::task::yield_now().await;
        }
        true
    }
}
