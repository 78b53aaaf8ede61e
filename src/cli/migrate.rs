//! `safelane migrate`.

use std::io::Write as _;
use std::process::ExitCode;

use crate::cli::database::{self, Database};
use crate::cli::unwritten;
use crate::config::{DatabaseArgs, TelemetryArgs};
use crate::error::StartError;
use crate::store::migrate::{migrate, pending, renew_epoch};
use crate::telemetry;

/// Arguments of `safelane migrate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  DATABASE_URL=postgres://... safelane migrate
  DATABASE_URL=postgres://... safelane migrate --new-epoch    after restoring a backup")]
pub(super) struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    telemetry: TelemetryArgs,
    /// Give the history a new name, after a backup was restored: tokens of the old one are refused from
    /// then on. Restart the services afterwards
    #[arg(long)]
    new_epoch: bool,
}

impl Args {
    pub(super) fn settings(&self) -> Result<telemetry::Settings, StartError> {
        self.telemetry.settings("info")
    }
}

pub(super) async fn run(args: Args) -> Result<ExitCode, StartError> {
    let database = Database::open(&args.database, database::SERVICE).await?;
    let done = bring_up(&database, args.new_epoch).await;
    database.close().await;
    done
}

async fn bring_up(database: &Database, new_epoch: bool) -> Result<ExitCode, StartError> {
    let before = pending(&database.store).await?;
    migrate(&database.store).await?;
    if new_epoch {
        let told = |error| StartError::Refused(format!("cannot renew the epoch: {error}"));
        renew_epoch(&database.store).await.map_err(told)?;
    }
    let epoch = if new_epoch { "; the history has a new epoch" } else { "" };
    writeln!(std::io::stdout(), "{before} migrations applied; the database is current{epoch}")
        .map_err(unwritten)?;
    Ok(ExitCode::SUCCESS)
}
