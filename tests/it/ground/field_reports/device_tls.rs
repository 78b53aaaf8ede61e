//! A device calls a service over TLS, by the certificates that it was given.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use safelane::cli::field::sync::Until;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::devices::{Pad, find};
use super::rig::Tablet;
use crate::harness::in_world;

/// Certificates for 127.0.0.1 that are good until 2120, and good for nothing but tests.
fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls").join(name)
}

/// A proxy that speaks TLS before a service that does not. Ends when what it answers is dropped.
async fn proxy(to: SocketAddr) -> (SocketAddr, JoinSet<()>) {
    let certificate = CertificateDer::from_pem_file(file("server.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(file("server.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate], key).expect("they belong together");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut proxy = JoinSet::new();
    proxy.spawn(async move {
        let mut carried = JoinSet::new();
        while let Ok((device, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            carried.spawn(async move {
                // A device that does not know the certificate goes away.
                let Ok(mut device) = acceptor.accept(device).await else { return };
                let mut service = TcpStream::connect(to).await.expect("the service is there");
                tokio::io::copy_bidirectional(&mut device, &mut service).await.ok();
            });
        }
    });
    (address, proxy)
}

#[tokio::test]
async fn reports_go_over_tls_to_a_service_whose_certificate_is_known_and_to_no_other() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let pad = Pad::new(&tablet.team, world.address);
        pad.capture(find(&tablet, "by TLS"), &[]);
        let (address, _proxy) = proxy(world.address).await;
        pad.link(|settings| {
            settings.server = format!("https://{address}");
            settings.ca_file = Some(file("server.pem"));
        });
        // That certificate is not one of an authority.
        let summary = pad.sync(Until::Once).await;
        assert_eq!((summary.left, Tablet::count(world).await), (1, 0), "{summary:?}");
        pad.link(|settings| settings.ca_file = Some(file("ca.pem")));
        let summary = pad.sync(Until::Once).await;
        assert_eq!((summary.left, Tablet::count(world).await), (0, 1), "{summary:?}");
    })
    .await;
}
