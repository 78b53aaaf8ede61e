//! Every setting of the service: one flag and one environment variable each, validated once into types.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::domain::policy::Policy;
use crate::error::StartError;
use crate::files::place::Place;
use crate::server::limits::Limits;
use crate::server::{JwksSettings, ServerSettings};
use crate::telemetry::{self, LogFormat};

/// Where the database is.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// External PostgreSQL 15 or newer, such as `postgres://user:password@host:5432/safelane`.
    /// Without it the service runs a private PostgreSQL of its own.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<Secret>,
    /// Folder of the private PostgreSQL. Default: /var/lib/safelane as root, else
    /// ~/.local/share/safelane; `safelane-demo` instead of `safelane` for the demo.
    #[arg(long, env = "SAFELANE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Folder with the programs `postgres`, `initdb` and `pg_ctl`, if they are not found by themselves.
    #[arg(long, env = "SAFELANE_PG_BIN_DIR")]
    pub pg_bin_dir: Option<PathBuf>,
    /// Most connections to the database for reads: 2 to 500. Rows found by key have as many, writers and readiness 5 more:
    /// with 10 there are at most 25 for each process.
    #[arg(long, env = "SAFELANE_CONNECTIONS", default_value = "10")]
    pub connections: String,
}

/// What the service tells about itself.
#[derive(Debug, Clone, Args)]
pub struct TelemetryArgs {
    /// Which log lines to write, such as `info` or `warn,safelane::store=debug`. Default: `info`; `warn`
    /// for the demo.
    #[arg(long, env = "SAFELANE_LOG")]
    pub log: Option<String>,
    /// How to write them: `human` or `json`.
    #[arg(long, env = "SAFELANE_LOG_FORMAT", default_value = "human")]
    pub log_format: String,
    /// Collector for traces and metrics by OTLP over gRPC, such as `http://127.0.0.1:4317`. Off by default.
    #[arg(long, env = "SAFELANE_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// Share of calls that are traced, in parts per million: 0 to 1000000.
    #[arg(long, env = "SAFELANE_TRACE_SAMPLE_PPM", default_value = "1000000")]
    pub trace_sample_ppm: String,
}

/// How the service serves.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Where the database is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// What the service tells about itself.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    /// Address to listen on. Without a JWKS only a loopback address is allowed.
    #[arg(long, env = "SAFELANE_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: String,
    /// Public keys that sign the callers' tokens. Without it every caller is a local administrator.
    #[arg(long, env = "SAFELANE_JWKS_FILE")]
    pub jwks_file: Option<PathBuf>,
    /// Who must have issued a token.
    #[arg(long, env = "SAFELANE_TOKEN_ISSUER", default_value = "safelane-dev")]
    pub token_issuer: String,
    /// For whom a token must be.
    #[arg(long, env = "SAFELANE_TOKEN_AUDIENCE", default_value = "safelane")]
    pub token_audience: String,
    /// Whether clients may ask for the proto files: `on` or `off`.
    #[arg(long, env = "SAFELANE_REFLECTION", default_value = "on")]
    pub reflection: String,
    /// How long to go on serving after SIGTERM, for load balancers to notice: 0s to 60s.
    #[arg(long, env = "SAFELANE_DRAIN_WAIT", default_value = "0s")]
    pub drain_wait: String,
    /// How long calls and streams then have to end before they are cut: 1s to 300s.
    #[arg(long, env = "SAFELANE_DRAIN_DEADLINE", default_value = "20s")]
    pub drain_deadline: String,
    /// Days without work and refresher after which a person's accreditation lapses: 1 to 365.
    #[arg(long, env = "SAFELANE_STAND_DOWN_DAYS", default_value = "10")]
    pub stand_down_days: String,
    /// The longest way from a site to the hospital, in minutes: 1 to 1440.
    #[arg(long, env = "SAFELANE_EVACUATION_MINUTES_MAX", default_value = "120")]
    pub evacuation_minutes_max: String,
    /// Keys that encrypt the details of victims: one a line, 32 bytes in hexadecimal or base64. The first encrypts, all
    /// decrypt. Default: a file in the data directory; with an external database none, and details are refused.
    #[arg(long, env = "SAFELANE_PERSONAL_KEY_FILE")]
    pub personal_key_file: Option<PathBuf>,
    /// Where files that reports declare are kept: a folder, or `s3://bucket/prefix` with credentials, region and
    /// endpoint from the usual `AWS_` variables. Several replicas need the same bucket, or a folder that they share.
    /// Default: `attachments` in the data directory.
    #[arg(long, env = "SAFELANE_ATTACHMENTS")]
    pub attachments: Option<String>,
}

/// A setting that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value. Do not log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl DatabaseArgs {
    /// The external database; an empty setting is none.
    #[must_use]
    pub fn url(&self) -> Option<&Secret> {
        self.database_url.as_ref().filter(|url| !url.reveal().is_empty())
    }

    /// The number of connections.
    ///
    /// # Errors
    /// Says what is allowed.
    pub fn connections(&self) -> Result<u16, StartError> {
        number("--connections (SAFELANE_CONNECTIONS)", &self.connections, 2, 500)
    }
}

impl TelemetryArgs {
    /// Settings of the telemetry.
    ///
    /// # Errors
    /// Says which setting is wrong and what is allowed.
    pub fn settings(&self, default_log: &str) -> Result<telemetry::Settings, StartError> {
        let log_format = match self.log_format.as_str() {
            "human" => LogFormat::Human,
            "json" => LogFormat::Json,
            other => {
                return Err(wrong("--log-format (SAFELANE_LOG_FORMAT)", other, "give human or json"));
            }
        };
        let ppm = "--trace-sample-ppm (SAFELANE_TRACE_SAMPLE_PPM)";
        Ok(telemetry::Settings {
            log_format,
            log_filter: self
                .log
                .clone()
                .filter(|log| !log.is_empty())
                .unwrap_or_else(|| default_log.to_owned()),
            otlp_endpoint: self.otlp_endpoint.clone().filter(|endpoint| !endpoint.is_empty()),
            sample_ratio_ppm: number(ppm, &self.trace_sample_ppm, 0, 1_000_000)?,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: instance(),
        })
    }
}

/// Tells replicas apart: the host's name where there is one, else the process.
fn instance() -> String {
    std::env::var("HOSTNAME").unwrap_or_else(|_| format!("pid-{}", std::process::id()))
}

impl ServeArgs {
    /// Settings of the server. What it keeps by itself is in the data directory.
    ///
    /// # Errors
    /// Says which setting is wrong and what is allowed.
    pub fn server(&self, data_dir: &Path) -> Result<ServerSettings, StartError> {
        let setting = "--listen (SAFELANE_LISTEN)";
        let listen: SocketAddr = self.listen.parse().map_err(|_| {
            wrong(setting, &self.listen, "give an address and a port, such as 127.0.0.1:50051")
        })?;
        let jwks = self.jwks_file.as_ref().map(|file| JwksSettings {
            file: file.clone(),
            issuer: self.token_issuer.clone(),
            audience: self.token_audience.clone(),
        });
        if jwks.is_none() && !listen.ip().is_loopback() {
            let way_out = "without --jwks-file only a loopback address such as 127.0.0.1:50051 is allowed";
            return Err(wrong(setting, &self.listen, way_out));
        }
        let reflection = match self.reflection.as_str() {
            "on" => true,
            "off" => false,
            other => return Err(wrong("--reflection (SAFELANE_REFLECTION)", other, "give on or off")),
        };
        Ok(ServerSettings {
            listen,
            jwks,
            reflection,
            drain_wait: span("--drain-wait (SAFELANE_DRAIN_WAIT)", &self.drain_wait, 0, 60)?,
            drain_deadline: span("--drain-deadline (SAFELANE_DRAIN_DEADLINE)", &self.drain_deadline, 1, 300)?,
            limits: Limits::default(),
            policy: self.policy()?,
            // They depend on the database; the command reads them.
            personal_keys: None,
            attachments: match self.attachments.as_deref().filter(|place| !place.is_empty()) {
                Some(place) => Place::parse(place, data_dir)?,
                None => Place::Folder(data_dir.join("attachments")),
            },
        })
    }

    fn policy(&self) -> Result<Policy, StartError> {
        let days = "--stand-down-days (SAFELANE_STAND_DOWN_DAYS)";
        let minutes = "--evacuation-minutes-max (SAFELANE_EVACUATION_MINUTES_MAX)";
        Ok(Policy {
            stand_down_days: number(days, &self.stand_down_days, 1, 365)?,
            evacuation_minutes_max: number(minutes, &self.evacuation_minutes_max, 1, 1_440)?,
        })
    }
}

fn wrong(setting: &'static str, value: &str, allowed: &str) -> StartError {
    StartError::Setting { setting, value: value.to_owned(), allowed: allowed.to_owned() }
}

fn number<T>(setting: &'static str, text: &str, low: T, high: T) -> Result<T, StartError>
where
    T: std::str::FromStr + PartialOrd + fmt::Display + Copy,
{
    let parsed = text.parse().ok().filter(|value| low <= *value && *value <= high);
    parsed.ok_or_else(|| wrong(setting, text, &format!("give a whole number from {low} to {high}")))
}

/// A span such as `20s` or `500ms`.
fn span(setting: &'static str, text: &str, low: u64, high: u64) -> Result<Duration, StartError> {
    let parsed = match text.strip_suffix("ms") {
        Some(digits) => digits.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s').and_then(|digits| digits.parse().ok()).map(Duration::from_secs),
    };
    let bounds = Duration::from_secs(low)..=Duration::from_secs(high);
    let allowed = format!("give seconds or milliseconds, such as 5s or 500ms, from {low}s to {high}s");
    parsed.filter(|value| bounds.contains(value)).ok_or_else(|| wrong(setting, text, &allowed))
}
