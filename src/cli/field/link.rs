//! The connection of a device. Each round has a new one: nobody can tell a connection that died without a word from one
//! that is slow, so none is trusted for long.

use std::time::Duration;

use tonic::Status;
use tonic::service::interceptor::InterceptedService;

use crate::cli::client::{Bearer, Connection, endpoint};
use crate::cli::field::outbox::Settings;
use crate::config::Secret;
use crate::error::StartError;

const SERVER: &str = "--server (SAFELANE_SERVER)";

/// Checks address and token before anything depends on them.
pub(super) fn check(settings: &Settings) -> Result<(), StartError> {
    endpoint(&settings.server, SERVER)?;
    Bearer::of(token(settings)?.as_ref()).map(drop)
}

/// Connects when it is used.
pub(super) fn open(settings: &Settings, patience: Duration) -> Result<Connection, StartError> {
    // So that a connection that died is known before its answer is missed.
    let channel = endpoint(&settings.server, SERVER)?
        .connect_timeout(patience)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(patience / 2)
        .keep_alive_timeout(patience)
        .connect_lazy();
    Ok(InterceptedService::new(channel, Bearer::of(token(settings)?.as_ref())?))
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
