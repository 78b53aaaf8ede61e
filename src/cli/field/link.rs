//! The connection of a device. Each round has a new one: nobody can tell a connection that died without a word from one
//! that is slow, so none is trusted for long.

use std::net::IpAddr;
use std::time::Duration;

use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::cli::client::{Bearer, Connection, endpoint};
use crate::cli::field::outbox::Settings;
use crate::cli::field::sync::Pace;
use crate::config::Secret;
use crate::error::StartError;

const SERVER: &str = "--server (SAFELANE_SERVER)";

/// Checks address and token before anything depends on them.
pub(super) fn check(settings: &Settings) -> Result<(), StartError> {
    way_to(settings)?;
    Bearer::of(token(settings)?.as_ref()).map(drop)
}

/// Connects when it is used. Pings keep a connection that is quiet from being forgotten on its way; the answer to one
/// waits behind whatever else is sent, so that on a slow link it is late and nothing is wrong.
pub(super) fn open(settings: &Settings, pace: &Pace) -> Result<Connection, StartError> {
    let channel = way_to(settings)?
        .connect_timeout(pace.patience)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(pace.patience)
        .keep_alive_timeout(pace.longest())
        .connect_lazy();
    Ok(InterceptedService::new(channel, Bearer::of(token(settings)?.as_ref())?))
}

/// The address, with TLS where it is `https://`. In the clear only what stays on this machine is sent: reports name
/// victims, and whoever reads the token can stop all work.
fn way_to(settings: &Settings) -> Result<Endpoint, StartError> {
    let server = &settings.server;
    if !server.starts_with("https://") {
        let endpoint = endpoint(server, SERVER)?;
        if settings.insecure || endpoint.uri().host().is_some_and(is_here) {
            return Ok(endpoint);
        }
        let told = "reports and token would be sent in the clear; give an https:// URL, or a proxy on this machine, or \
                    --insecure on a network that you trust";
        return Err(wrong(server, told.to_owned()));
    }
    let roots = ClientTlsConfig::new();
    let roots = match &settings.ca_file {
        None => roots.with_native_roots(),
        Some(path) => {
            let pem = std::fs::read(path);
            let pem =
                pem.map_err(|error| wrong(server, format!("{} cannot be read: {error}", path.display())))?;
            roots.ca_certificate(Certificate::from_pem(pem))
        }
    };
    let endpoint = Endpoint::from_shared(server.clone())
        .map_err(|_| wrong(server, "give a URL such as https://safelane.example".to_owned()))?;
    endpoint.tls_config(roots).map_err(|error| {
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        wrong(server, format!("TLS cannot be used: {why}; name the file of the certificates with --ca"))
    })
}

fn is_here(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn wrong(server: &str, allowed: String) -> StartError {
    StartError::Setting { setting: SERVER, value: server.to_owned(), allowed }
}

/// The token is read anew each time: it is renewed more often than an outbox is made.
fn token(settings: &Settings) -> Result<Option<Secret>, StartError> {
    let Some(path) = &settings.token_file else { return Ok(None) };
    let read = std::fs::read_to_string(path).map_err(|error| {
        StartError::Refused(format!("the token file {} cannot be read: {error}", path.display()))
    })?;
    Ok(Some(Secret::from(read.trim())))
}

/// Waits for an answer, but not for ever.
pub(super) async fn patiently<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Status::deadline_exceeded(format!("no answer within {} s", patience.as_secs()))),
    }
}
