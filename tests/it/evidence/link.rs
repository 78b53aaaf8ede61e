//! A TCP link between clients and a service, with bad weather: chunks are late, and some links break.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use crate::evidence::chance::Chance;

/// How bad a link is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weather {
    /// The most that a chunk is late.
    pub(crate) delay_micros_max: u64,
    /// One in so many chunks breaks the link instead; 0 for none.
    pub(crate) cut_one_in: u64,
}

/// A link with an address that stays when the service behind it starts anew elsewhere. Ends when dropped.
pub(crate) struct Link {
    pub(crate) address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    _accepting: JoinSet<()>,
}

impl Link {
    pub(crate) async fn start(target: SocketAddr, weather: Weather, mut chance: Chance) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let target = Arc::new(Mutex::new(target));
        let (mut accepting, to) = (JoinSet::new(), Arc::clone(&target));
        accepting.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let to = *to.lock().expect("no panic");
                let chance = chance.fork();
                carried.spawn(async move { carry(client, to, weather, chance).await });
                while carried.try_join_next().is_some() {}
            }
        });
        Self { address, target, _accepting: accepting }
    }

    /// New connections go there from now on.
    pub(crate) fn point_at(&self, target: SocketAddr) {
        *self.target.lock().expect("no panic") = target;
    }

    /// A channel that connects when it is used, and again when the link broke.
    pub(crate) fn channel(&self) -> Channel {
        lazily(self.address)
    }
}

/// A channel that connects when it is used.
pub(crate) fn lazily(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).expect("an address is a URL").connect_lazy()
}

/// Carries both directions until one ends.
async fn carry(client: TcpStream, to: SocketAddr, weather: Weather, mut chance: Chance) {
    let Ok(service) = TcpStream::connect(to).await else { return };
    for end in [&client, &service] {
        // Fails only on a connection that is gone, and then reading says so.
        end.set_nodelay(true).ok();
    }
    let ((client_says, client_hears), (service_says, service_hears)) =
        (client.into_split(), service.into_split());
    let back = chance.fork();
    tokio::select! {
        () = copy(client_says, service_hears, weather, chance) => {}
        () = copy(service_says, client_hears, weather, back) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, weather: Weather, mut chance: Chance) {
    let mut chunk = vec![0; 16 * 1_024];
    loop {
        let Ok(count @ 1..) = from.read(&mut chunk).await else { return };
        if weather.cut_one_in != 0 && chance.one_in(weather.cut_one_in) {
            return;
        }
        chance.pause(weather.delay_micros_max).await;
        if to.write_all(&chunk[..count]).await.is_err() {
            return;
        }
    }
}
