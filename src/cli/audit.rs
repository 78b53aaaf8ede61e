//! `safelane audit`: the SQL audit of `VerifyLedger`, straight on the database.

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::database::{self, Database};
use crate::cli::serve::expect_current;
use crate::cli::unwritten;
use crate::config::{DatabaseArgs, TelemetryArgs};
use crate::error::StartError;
use crate::store::audit::{Finding, INVARIANTS, audit_everything};
use crate::telemetry;

/// Arguments of `safelane audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with 0 when nothing is wrong and with 1 when something is.

Examples:
  DATABASE_URL=postgres://... safelane audit
  safelane audit --data-dir ./safelane --json")]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    telemetry: TelemetryArgs,
    /// Print a JSON array instead of text
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn settings(&self) -> Result<telemetry::Settings, StartError> {
        self.telemetry.settings("warn")
    }
}

pub(super) async fn run(args: Args) -> Result<ExitCode, StartError> {
    let database = Database::open_existing(&args.database, database::SERVICE).await?;
    let audited = audit(&database).await;
    database.close().await;
    let findings = audited?;
    print(&findings, args.json).map_err(unwritten)?;
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn audit(database: &Database) -> Result<Vec<Finding>, StartError> {
    expect_current(database).await?;
    let told = |error| StartError::Refused(format!("cannot audit: {error}"));
    audit_everything(&database.store).await.map_err(told)
}

fn print(findings: &[Finding], as_json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    if as_json {
        let rows = findings.iter().map(|finding| {
            json!({
                "invariant": finding.invariant,
                "program_id": finding.program_id.to_string(),
                "object_id": finding.object_id.to_string(),
                "detail": finding.detail,
            })
        });
        return writeln!(out, "{}", rows.collect::<serde_json::Value>());
    }
    for (name, meaning) in INVARIANTS {
        let broken: Vec<&Finding> = findings.iter().filter(|finding| finding.invariant == name).collect();
        let verdict =
            if broken.is_empty() { "holds".to_owned() } else { format!("BROKEN {}x", broken.len()) };
        writeln!(out, "{verdict:<10} {name}: {meaning}")?;
        for finding in broken {
            writeln!(
                out,
                "           program {}, {}: {}",
                finding.program_id, finding.object_id, finding.detail
            )?;
        }
    }
    Ok(())
}
