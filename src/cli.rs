//! What an operator types: one binary, one file for each command.

pub mod audit;
mod client;
mod database;
mod demo;
pub mod field;
mod migrate;
mod personal_key;
mod report;
mod serve;
pub mod signing_key;
mod table;
pub mod token;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::clock::SystemClock;
use crate::error::StartError;
use crate::telemetry;

/// Safelane: which money, held by whom, sent which team to which ground, and what did the ground get for it.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "\
Examples:
  safelane demo                                  play the USD 68,000,000 program and keep serving
  safelane serve --data-dir ./safelane           serve on a private PostgreSQL
  DATABASE_URL=postgres://... safelane migrate   bring an external database up to date
  safelane report watch --program US-HD-1998     follow a budget"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C
    Serve(serve::Args),
    /// Bring the database to the schema of this binary
    Migrate(migrate::Args),
    /// Serve, and play the example program through the public API
    Demo(demo::Args),
    /// Read or follow a budget report of a running service
    Report(report::Args),
    /// Keep a team's reports and photos on its device, and bring them to a service
    Field(field::Args),
    /// Check every rule of the ledger that spans rows, and list what breaks it
    Audit(audit::Args),
    /// Make keys and tokens for development
    Token(token::TokenArgs),
}

/// Runs the command line. A failure is told in one line on standard error.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(error) => {
            // Nothing can be done when standard error is closed too.
            let _unheard: std::io::Result<()> = writeln!(std::io::stderr(), "safelane: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode, StartError> {
    match command {
        Command::Token(args) => {
            token::run(&args, &SystemClock, &mut std::io::stdout())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Serve(args) => with_runtime(&args.settings()?, serve::run(args)),
        Command::Migrate(args) => with_runtime(&args.settings()?, migrate::run(args)),
        Command::Demo(args) => with_runtime(&args.settings()?, demo::run(args)),
        Command::Audit(args) => with_runtime(&args.settings()?, audit::run(args)),
        Command::Field(args) => with_runtime(&quiet(), field::run(args)),
        Command::Report(args) => with_runtime(&quiet(), report::run(args)),
    }
}

/// Telemetry of a command that only calls a service.
fn quiet() -> telemetry::Settings {
    telemetry::Settings {
        log_format: telemetry::LogFormat::Human,
        log_filter: "error".to_owned(),
        otlp_endpoint: None,
        sample_ratio_ppm: 0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instance: String::new(),
    }
}

/// Runs a command with telemetry around it, which is flushed whether the command succeeds or fails.
fn with_runtime(
    settings: &telemetry::Settings,
    command: impl Future<Output = Result<ExitCode, StartError>>,
) -> Result<ExitCode, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Refused(format!("cannot start the runtime: {error}")))?;
    let guard = {
        let _entered = runtime.enter();
        telemetry::init(settings)?
    };
    let done = runtime.block_on(command);
    guard.shutdown();
    done
}

/// A failure to write to standard output, such as a closed pipe.
#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn unwritten(error: std::io::Error) -> StartError {
    StartError::Refused(format!("cannot write to standard output: {error}"))
}
