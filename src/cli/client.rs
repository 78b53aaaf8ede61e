//! Calling a running service from the command line.

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

use crate::config::Secret;
use crate::error::StartError;

/// Which service to call.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ClientArgs {
    /// Address of the service
    #[arg(long, env = "SAFELANE_SERVER", default_value = "http://127.0.0.1:50051")]
    pub(super) server: String,
    /// Bearer token of the caller, if the service asks for one
    #[arg(long, env = "SAFELANE_TOKEN", hide_env_values = true)]
    pub(super) token: Option<Secret>,
}

/// A connection that sends the caller's token.
pub(super) type Connection = InterceptedService<Channel, Bearer>;

/// Adds the token to every call.
#[derive(Clone)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

impl ClientArgs {
    /// Connects.
    pub(super) async fn connect(&self) -> Result<Connection, StartError> {
        let channel =
            endpoint(&self.server, "--server (SAFELANE_SERVER)")?.connect().await.map_err(|_| {
                let server = &self.server;
                StartError::Refused(format!(
                    "no service answers at {server}; start one with `safelane serve`"
                ))
            })?;
        Ok(InterceptedService::new(channel, Bearer::of(self.token.as_ref())?))
    }
}

/// Reads the address of a service.
pub(super) fn endpoint(server: &str, setting: &'static str) -> Result<Endpoint, StartError> {
    let wrong = |allowed: &str| StartError::Setting {
        setting,
        value: server.to_owned(),
        allowed: allowed.to_owned(),
    };
    // Anything else would be spoken without TLS all the same, and the token sent in the clear.
    if server.starts_with("https://") {
        return Err(wrong("this command speaks no TLS; call a proxy on this machine by http://"));
    }
    if !server.starts_with("http://") {
        return Err(wrong("give a URL such as http://127.0.0.1:50051"));
    }
    Endpoint::from_shared(server.to_owned()).map_err(|_| wrong("give a URL such as http://127.0.0.1:50051"))
}

impl Bearer {
    /// The bearer of a token, or of none.
    pub(super) fn of(token: Option<&Secret>) -> Result<Self, StartError> {
        let Some(token) = token else { return Ok(Self(None)) };
        let value = format!("Bearer {}", token.reveal()).parse().map_err(|_| StartError::Setting {
            setting: "--token (SAFELANE_TOKEN)",
            value: "(hidden)".to_owned(),
            allowed: "give a token as `safelane token issue` prints it".to_owned(),
        })?;
        Ok(Self(Some(value)))
    }
}

/// A refusal in words: the message, its reason, and every bad field.
pub(super) fn told(status: &Status) -> String {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| format!(" [{}]", info.reason)).unwrap_or_default();
    format!("{:?}: {}{reason}", status.code(), status.message())
}

/// The same as an error of the command.
#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub(super) fn refused(status: Status) -> StartError {
    StartError::Refused(told(&status))
}
