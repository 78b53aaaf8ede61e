//! `safelane demo`: serves, and plays the example program through the public API as any client would, while
//! a budget stream shows what each step did; then it records teams and land, shows the land ledger, and sends the outbox of
//! a tablet. Ids are derived from names, so playing it again on the same data changes nothing: every step is answered as it
//! was the first time.

mod land;
mod play;
mod reports;
mod steps;
mod teams;

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::cli::client::ClientArgs;
use crate::cli::database::{self, Database};
use crate::cli::report::watch::Watch;
use crate::cli::serve::{database_died, on_signals, run_to_the_end};
use crate::cli::{personal_key, unwritten};
use crate::clock::SystemClock;
use crate::config::ServeArgs;
use crate::error::StartError;
use crate::rpc::pb;
use crate::server::{Server, ServerSettings};
use crate::store::migrate;
use crate::telemetry;

use land::Surveyor;
use play::{Player, program_id};

/// Arguments of `safelane demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  safelane demo                                  on the private PostgreSQL of the default folder
  safelane demo --data-dir /tmp/lane --once      play, then stop
  safelane demo --listen 127.0.0.1:6000")]
pub(super) struct Args {
    #[command(flatten)]
    serve: ServeArgs,
    /// Stop after the example instead of serving on
    #[arg(long)]
    once: bool,
    /// Play into the database of `DATABASE_URL`
    #[arg(long)]
    into_external: bool,
}

impl Args {
    pub(super) fn settings(&self) -> Result<telemetry::Settings, StartError> {
        self.serve.telemetry.settings("warn")
    }
}

pub(super) async fn run(args: Args) -> Result<ExitCode, StartError> {
    let data_dir = database::data_dir(&args.serve.database, database::DEMO)?;
    let settings = args.serve.server(&data_dir)?;
    if settings.jwks.is_some() {
        let told = "the demo calls as a local administrator; leave --jwks-file (SAFELANE_JWKS_FILE) out";
        return Err(StartError::Refused(told.to_owned()));
    }
    if args.serve.database.url().is_some() && !args.into_external {
        let told = "the demo would write an example program into the database of DATABASE_URL; unset it, or say \
                    --into-external";
        return Err(StartError::Refused(told.to_owned()));
    }
    let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
    on_signals(stop.clone(), cut.clone())?;
    say(&mut std::io::stdout(), "Starting the service and its database ...")?;
    let opened = Database::open(&args.serve.database, database::DEMO);
    let Some(opened) = stop.run_until_cancelled(opened).await else { return Ok(ExitCode::SUCCESS) };
    let mut database = opened?;
    migrate::migrate(&database.store).await?;
    let personal_keys = personal_key::load(&args.serve, &database)?;
    let settings = ServerSettings { personal_keys, ..settings };
    let server = Server::bind(settings, database.store.clone(), Arc::new(SystemClock)).await?;
    let address = server.address();
    let running = run_to_the_end(server, stop.clone(), cut);
    let died = database_died(&mut database, stop.clone());
    let shown = show(address, args.once, stop);
    let (drained, died, shown) = tokio::join!(running, died, shown);
    database.close().await;
    let drained = drained?;
    if drained.cut_connections != 0 {
        tracing::warn!(connections = drained.cut_connections, "cut at the drain deadline");
    }
    shown?;
    died.map_or(Ok(ExitCode::SUCCESS), |told| Err(StartError::Refused(told)))
}

/// Plays the example. Then the demo serves on until a signal, or stops when asked to.
async fn show(address: SocketAddr, once: bool, stop: CancellationToken) -> Result<(), StartError> {
    let mut out = std::io::stdout();
    let played = tokio::select! {
        played = play_and_watch(address, &mut out) => played,
        () = stop.cancelled() => Ok(()),
    };
    if once || played.is_err() {
        stop.cancel();
        return played;
    }
    say(&mut out, &how_to_call(address))?;
    stop.cancelled().await;
    say(&mut out, "Stopping.")
}

async fn play_and_watch(address: SocketAddr, out: &mut (dyn Write + Send)) -> Result<(), StartError> {
    let client = ClientArgs { server: format!("http://{address}"), token: None };
    let connection = client.connect().await?;
    let mut player = Player::new(connection.clone());
    say(out, &format!("Serving on {address}. Setting up the program US-HD-1998 ...\n"))?;
    player.set_up().await?;
    let request = pb::StreamBudgetReportRequest {
        program_id: program_id(),
        delivery: pb::Delivery::State.into(),
        ..Default::default()
    };
    let mut watch = Watch::open(&connection, request).await?;
    say(out, "The budget, live from StreamBudgetReport:")?;
    watch.until(player.revision(), out).await?;
    for step in steps::read()? {
        let told = player.play(&step).await?;
        say(out, &format!("\n> step {}: {}", step.number, told.text))?;
        watch.until(told.revision, out).await?;
        if let Some(refusal) = player.try_after(&step).await? {
            say(out, &format!("\n> {refusal}"))?;
        }
    }
    say(out, &teams::record_teams(connection.clone()).await?)?;
    Surveyor::new(connection.clone()).play(out).await?;
    reports::send_reports(connection, out).await?;
    let (authorized, revision) = player.authorized().await?;
    say(out, &format!("\nAuthorized: {authorized} at revision {revision}."))?;
    say(out, &format!("Resume token of the stream: {}", watch.token))
}

fn how_to_call(address: SocketAddr) -> String {
    let (program, team) = (program_id(), steps::id("team MT-01"));
    format!(
        "\nThe service goes on. Call it, by reflection, with either of:\n\
         \n  grpcurl -plaintext -d '{{\"program_id\": \"{program}\"}}' {address} \
         safelane.v1.FundingService/GetProgram\
         \n  buf curl --protocol grpc --http2-prior-knowledge --reflect -d '{{\"program_id\": \"{program}\"}}' \
         http://{address}/safelane.v1.FundingService/GetProgram\
         \n\nFollow the budget:  safelane report watch --program US-HD-1998 --server http://{address}\
         \nReport as a team:   safelane field init --outbox ./tablet --team {team} --server http://{address}\
         \nStop it:            Ctrl-C"
    )
}

fn say(out: &mut (dyn Write + Send), text: &str) -> Result<(), StartError> {
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(unwritten)
}
