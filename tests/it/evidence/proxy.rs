//! A proxy between a service and PostgreSQL that knows enough of the protocol to act on a commit: it cuts the
//! connection before the commit arrives, or after PostgreSQL has answered it but before the service hears so.
//! A commit is COMMIT, or the booking statement outside a transaction, which is one by itself.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;

use crate::evidence::chance::Chance;

/// Where the connection of a writing transaction is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The commit never arrives: nothing is written.
    BeforeCommit,
    /// All is written, and nobody is told.
    AfterCommit,
}

/// The proxy. Ends when dropped.
pub(crate) struct DatabaseProxy {
    /// For the service.
    pub(crate) url: String,
    plan: Arc<Plan>,
    _accepting: JoinSet<()>,
}

/// What is to be done to connections.
#[derive(Default)]
struct Plan {
    /// Cuts for the next commits, in order.
    next: Mutex<VecDeque<Cut>>,
    /// One in so many of the other commits is cut as well; 0 for none.
    cut_one_in: AtomicU64,
    delay_micros_max: AtomicU64,
    cut_commits: AtomicUsize,
    cut_bookings: AtomicUsize,
}

trait Both: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

impl DatabaseProxy {
    pub(crate) async fn start(database: &PgConnectOptions, mut chance: Chance) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (plan, to, mut accepting) = (Arc::<Plan>::default(), database.clone(), JoinSet::new());
        let shared = Arc::clone(&plan);
        accepting.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((service, _)) = listener.accept().await {
                let (to, plan, chance) = (to.clone(), Arc::clone(&shared), chance.fork());
                // Either end may go away at any moment; the other one then sees that.
                carried.spawn(async move { drop(carry(service, &to, &plan, chance).await) });
                while carried.try_join_next().is_some() {}
            }
        });
        Self { url: url_at(database, port), plan, _accepting: accepting }
    }

    /// Cuts the next commit of a transaction that may write.
    pub(crate) fn cut_next(&self, cut: Cut) {
        self.plan.next.lock().expect("no panic").push_back(cut);
    }

    /// Cuts one in so many commits, before or after as it comes; 0 for none.
    pub(crate) fn cut_one_in(&self, many: u64) {
        self.plan.cut_one_in.store(many, Ordering::Relaxed);
    }

    /// Makes each request and each answer late.
    pub(crate) fn delay_up_to(&self, micros: u64) {
        self.plan.delay_micros_max.store(micros, Ordering::Relaxed);
    }

    /// How many commits were cut, of both kinds.
    pub(crate) fn cut(&self) -> usize {
        self.plan.cut_commits.load(Ordering::Relaxed) + self.cut_bookings()
    }

    /// How many bookings that were transactions by themselves were cut.
    pub(crate) fn cut_bookings(&self) -> usize {
        self.plan.cut_bookings.load(Ordering::Relaxed)
    }
}

/// The database's URL with the proxy's port.
fn url_at(database: &PgConnectOptions, port: u16) -> String {
    let over_tcp = match socket(database) {
        // A socket has no password, and options that have one cannot lose it.
        Some(_) => PgConnectOptions::new_without_pgpass()
            .username(database.get_username())
            .database(database.get_database().expect("tests name their database")),
        None => database.clone(),
    };
    over_tcp.host("127.0.0.1").port(port).ssl_mode(PgSslMode::Disable).to_url_lossy().to_string()
}

fn socket(database: &PgConnectOptions) -> Option<PathBuf> {
    let folder = database.get_socket().cloned().or_else(|| {
        let host = database.get_host();
        host.starts_with('/').then(|| PathBuf::from(host))
    })?;
    Some(folder.join(format!(".s.PGSQL.{}", database.get_port())))
}

impl Plan {
    fn fate(&self, chance: &mut Chance, count: &AtomicUsize) -> Option<Cut> {
        let many = self.cut_one_in.load(Ordering::Relaxed);
        let chosen = self.next.lock().expect("no panic").pop_front();
        let fate = chosen.or_else(|| {
            let cut = many != 0 && chance.one_in(many);
            cut.then(|| if chance.one_in(2) { Cut::BeforeCommit } else { Cut::AfterCommit })
        });
        count.fetch_add(usize::from(fate.is_some()), Ordering::Relaxed);
        fate
    }
}

async fn carry(service: TcpStream, to: &PgConnectOptions, plan: &Plan, mut chance: Chance) -> io::Result<()> {
    let database: Box<dyn Both> = match socket(to) {
        Some(path) => Box::new(UnixStream::connect(path).await?),
        None => Box::new(TcpStream::connect((to.get_host(), to.get_port())).await?),
    };
    service.set_nodelay(true)?;
    let (service_says, service_hears) = tokio::io::split(service);
    let (database_says, database_hears) = tokio::io::split(database);
    let (silenced, back) = (AtomicBool::new(false), chance.fork());
    tokio::select! {
        ended = requests(BufReader::new(service_says), database_hears, plan, chance, &silenced) => ended,
        ended = answers(BufReader::new(database_says), service_hears, plan, back, &silenced) => ended,
    }
}

/// Passes requests on until one is to be cut.
async fn requests(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    plan: &Plan,
    mut chance: Chance,
    silenced: &AtomicBool,
) -> io::Result<()> {
    // The first message has no type.
    let startup = read_body(&mut from, Vec::new()).await?;
    to.write_all(&startup).await?;
    let mut session = Session::default();
    loop {
        let message = read_message(&mut from).await?;
        let count = match session.heard(&message) {
            Some(Ends::Transaction) => Some(&plan.cut_commits),
            Some(Ends::Booking) => Some(&plan.cut_bookings),
            None => None,
        };
        match count.and_then(|count| plan.fate(&mut chance, count)) {
            Some(Cut::BeforeCommit) => return Ok(()),
            Some(Cut::AfterCommit) => silenced.store(true, Ordering::SeqCst),
            None => {}
        }
        if matches!(message[0], b'Q' | b'S') {
            chance.pause(plan.delay_micros_max.load(Ordering::Relaxed)).await;
        }
        to.write_all(&message).await?;
    }
}

/// What a message of the service commits.
enum Ends {
    Transaction,
    Booking,
}

/// What the service has said before on a connection.
#[derive(Default)]
struct Session {
    in_transaction: bool,
    may_write: bool,
    /// The name under which the booking statement is prepared.
    booking: Option<Vec<u8>>,
}

impl Session {
    fn heard(&mut self, message: &[u8]) -> Option<Ends> {
        let said = statement(message);
        if said.starts_with("BEGIN") {
            (self.in_transaction, self.may_write) = (true, !said.contains("READ ONLY"));
        }
        if said.starts_with("COMMIT") || said.starts_with("ROLLBACK") {
            self.in_transaction = false;
        }
        match message {
            [b'P', _, _, _, _, rest @ ..] if said.starts_with("-- LEDGER.BOOK\n") => {
                self.booking = rest.split(|byte| *byte == 0).next().map(<[u8]>::to_vec);
                None
            }
            // A portal's name, and then the statement's.
            [b'B', _, _, _, _, rest @ ..] if !self.in_transaction => {
                let bound = rest.split(|byte| *byte == 0).nth(1);
                (bound.is_some() && bound == self.booking.as_deref()).then_some(Ends::Booking)
            }
            _ => (said.starts_with("COMMIT") && self.may_write).then_some(Ends::Transaction),
        }
    }
}

/// Passes answers on; one that is silenced is awaited, so that the commit is done, and kept.
async fn answers(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    plan: &Plan,
    mut chance: Chance,
    silenced: &AtomicBool,
) -> io::Result<()> {
    loop {
        let message = read_message(&mut from).await?;
        let complete = message[0] == b'Z';
        if silenced.load(Ordering::SeqCst) {
            if complete {
                return Ok(());
            }
            continue;
        }
        if complete {
            chance.pause(plan.delay_micros_max.load(Ordering::Relaxed)).await;
        }
        to.write_all(&message).await?;
    }
}

/// A message: its type, its length, its body.
async fn read_message(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let kind = from.read_u8().await?;
    read_body(from, vec![kind]).await
}

async fn read_body(from: &mut (impl AsyncRead + Unpin), mut message: Vec<u8>) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    message.extend(length.to_be_bytes());
    let (begun, rest) = (message.len(), usize::try_from(length.saturating_sub(4)).expect("32 bits"));
    message.resize(begun + rest, 0);
    from.read_exact(&mut message[begun..]).await?;
    Ok(message)
}

/// The text of a simple query, or of a statement that is prepared; empty for anything else.
fn statement(message: &[u8]) -> String {
    let text = match message {
        [b'Q', _, _, _, _, text @ ..] => text,
        // A name comes first.
        [b'P', _, _, _, _, rest @ ..] => rest.splitn(2, |byte| *byte == 0).nth(1).unwrap_or_default(),
        _ => &[],
    };
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).trim_start().to_uppercase()
}
