//! `safelane serve`.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::personal_key::PersonalKeys;
use crate::cli::database::{self, Database};
use crate::cli::{personal_key, unwritten};
use crate::clock::SystemClock;
use crate::config::ServeArgs;
use crate::error::StartError;
use crate::server::accept::Drained;
use crate::server::{Server, ServerSettings};
use crate::store::migrate;
use crate::telemetry;

/// Arguments of `safelane serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  safelane serve                                        private PostgreSQL, loopback only
  DATABASE_URL=postgres://... safelane serve            external PostgreSQL, migrated before
  safelane serve --listen 0.0.0.0:50051 --jwks-file jwks.json

SIGTERM and Ctrl-C drain: not serving, wait, streams are asked to reconnect, then close. A second
signal cuts what is left at once.")]
pub(super) struct Args {
    #[command(flatten)]
    serve: ServeArgs,
    /// Bring an external database up to date first. The private one always is
    #[arg(long)]
    migrate: bool,
}

impl Args {
    pub(super) fn settings(&self) -> Result<telemetry::Settings, StartError> {
        self.serve.telemetry.settings("info")
    }
}

pub(super) async fn run(args: Args) -> Result<ExitCode, StartError> {
    let data_dir = database::data_dir(&args.serve.database, database::SERVICE)?;
    let settings = args.serve.server(&data_dir)?;
    let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
    on_signals(stop.clone(), cut.clone())?;
    let opened = Database::open(&args.serve.database, database::SERVICE);
    let Some(opened) = stop.run_until_cancelled(opened).await else {
        tracing::info!("stopped while starting");
        return Ok(ExitCode::SUCCESS);
    };
    let mut database = opened?;
    if args.migrate {
        migrate::migrate(&database.store).await?;
    }
    let served = match ready(&args.serve, &database).await {
        Ok(personal_keys) => {
            let settings = ServerSettings { personal_keys, ..settings };
            Box::pin(serve(settings, &mut database, stop, cut)).await
        }
        Err(error) => Err(error),
    };
    database.close().await;
    served
}

/// The keys, when the database is what the binary needs.
async fn ready(args: &ServeArgs, database: &Database) -> Result<Option<PersonalKeys>, StartError> {
    expect_current(database).await?;
    personal_key::load(args, database)
}

/// Refuses a database that lacks migrations of this binary.
pub(super) async fn expect_current(database: &Database) -> Result<(), StartError> {
    match migrate::pending(&database.store).await? {
        0 => Ok(()),
        pending => Err(StartError::Refused(format!(
            "the database lacks {pending} migrations; run `safelane migrate`, or serve with --migrate"
        ))),
    }
}

async fn serve(
    settings: ServerSettings,
    database: &mut Database,
    stop: CancellationToken,
    cut: CancellationToken,
) -> Result<ExitCode, StartError> {
    let without_keys = settings.jwks.is_none();
    let personal_keys = settings.personal_keys.clone();
    let server = Server::bind(settings, database.store.clone(), Arc::new(SystemClock)).await?;
    let address = server.address();
    // Not before: a service that does not start says one thing only, why.
    if without_keys {
        tracing::warn!("no --jwks-file: every caller is a local administrator, on loopback only");
    }
    personal_key::tell_of_missing(personal_keys.as_ref(), &database.store).await;
    // The image sets it when it is built.
    let built_from = std::env::var("GIT_REVISION").unwrap_or_default();
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), built_from, "serving");
    // Alone on standard output, so that a script can read the port.
    writeln!(std::io::stdout(), "listening on {address}").map_err(unwritten)?;
    let died = database_died(database, stop.clone());
    let (drained, died) = tokio::join!(run_to_the_end(server, stop, cut), died);
    let drained = drained?;
    if let Some(told) = died {
        return Err(StartError::Refused(told));
    }
    if drained.cut_connections != 0 {
        tracing::warn!(connections = drained.cut_connections, "cut at the drain deadline");
        return Ok(ExitCode::from(2));
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Runs the server. However it ends, everything else ends with it.
pub(super) async fn run_to_the_end(
    server: Server,
    stop: CancellationToken,
    cut: CancellationToken,
) -> Result<Drained, StartError> {
    let done = server.run_until(stop.clone(), cut).await;
    stop.cancel();
    done
}

/// Watches the private PostgreSQL. When it dies the service cannot bring it back with its rows in doubt, so
/// it drains and lets its supervisor start both anew.
pub(super) async fn database_died(database: &mut Database, stop: CancellationToken) -> Option<String> {
    let Some(embedded) = database.embedded.as_mut() else {
        stop.cancelled().await;
        return None;
    };
    tokio::select! {
        () = stop.cancelled() => None,
        told = embedded.died() => {
            tracing::error!(%told, "the private PostgreSQL has died");
            stop.cancel();
            Some(told)
        }
    }
}

/// The first signal drains, the second cuts.
pub(super) fn on_signals(stop: CancellationToken, cut: CancellationToken) -> Result<(), StartError> {
    let told = |error: std::io::Error| StartError::Refused(format!("cannot listen for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(told)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(told)?;
    tokio::spawn(async move {
        for token in [stop, cut] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            token.cancel();
        }
    });
    Ok(())
}
