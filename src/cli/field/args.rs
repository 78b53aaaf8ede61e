//! Arguments of `safelane field`, and its help.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

use crate::cli::field::ask;

/// Arguments of `safelane field`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  safelane field init --outbox ./tablet --server http://127.0.0.1:50051 --team UUID
  safelane field capture --outbox ./tablet --ask progress --attach lane.jpg
  safelane field sync --outbox ./tablet --for 10m
  safelane field status --outbox ./tablet

Exit codes: 0 done; 1 an error, told on standard error; 2 wrong arguments; 3 something still waits in the
outbox, or the service keeps it in part, since it does not know all fields of this app yet; 4 all was answered, and
some reports were refused, or files of them changed here: they stay until you amend them; 5 nothing waits,
and the service or the team feed was not reached: what is known of safety stops may be old.

An outbox holds details of victims until the service keeps them: only its owner reads the folder.")]
pub(in crate::cli) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the outbox of a device
    #[command(after_help = "\
Examples:
  safelane field init --outbox ./tablet --server http://127.0.0.1:50051 --team 0190a5b6-7c1d-7e2f-8a3b-4c5d6e7f8091
  safelane field init --outbox ./tablet --server http://127.0.0.1:50051 --team UUID --token-file ./token")]
    Init(InitArgs),
    /// Put a report into the outbox; no link is needed
    #[command(after_help = "\
The file is a FieldReport as JSON (proto3 JSON mapping), without ids of the device and its clock:

  {\"taskId\": \"UUID\", \"workDate\": {\"year\": 2026, \"month\": 3, \"day\": 14},
   \"progress\": {\"activity\": \"ACTIVITY_TYPE_MANUAL_CLEARANCE\",
                \"areas\": [{\"siteId\": \"UUID\", \"type\": \"RELEASE_TYPE_CLEARED\", \"areaM2\": 400, \"depthCm\": 13}],
                \"worked\": [{\"role\": \"MEMBER_ROLE_DEMINER\", \"people\": 8, \"minutes\": 3840}]}}

--ask KIND asks instead, question by question: progress, survey, ordnance, completion, spot-task, accident,
risk-education, inspection or expense-claim. Lists are answered by number or in words, tasks and sites also by
code or id. What cannot be right is asked again with its rule. Answers that end early make no report.

Examples:
  safelane field capture --outbox ./tablet --file report.json --attach lane.jpg --attach marks.jpg
  safelane field capture --outbox ./tablet --ask ordnance
  safelane field capture --outbox ./tablet --ask expense-claim --attach receipt.pdf
  generate | safelane field capture --outbox ./tablet --file -")]
    Capture(CaptureArgs),
    /// Bring what waits to the service, and hear what came of it
    #[command(after_help = "\
Reports go before photos, small photos before large ones. Whatever was cut goes on where it was; sending
again is always safe. What does not arrive stays in the outbox.

Examples:
  safelane field sync --outbox ./tablet               try for 10 minutes
  safelane field sync --outbox ./tablet --for 2h      try for two hours
  safelane field sync --outbox ./tablet --once --json one try, events as JSON
  safelane field sync --outbox ./tablet --check-files after the office said that photos are lost

Exit codes: 0 all arrived; 3 something still waits, or is kept in part by a service that is older than this app;
4 some reports were refused, or files of them changed here; 5 nothing waits, and the
service or the team feed was not reached.")]
    Sync(SyncArgs),
    /// Show safety stops, what waits, what arrived and what came back; no link is needed
    #[command(after_help = "\
Examples:
  safelane field status --outbox ./tablet
  safelane field status --outbox ./tablet --json")]
    Status(StatusArgs),
    /// Take the feed of the team: assignments, tasks, sites, safety stops, returned reports
    #[command(after_help = "\
Examples:
  safelane field feed --outbox ./tablet
  safelane field feed --outbox ./tablet --follow     until Ctrl-C; safety stops are told as they come")]
    Feed(FeedArgs),
    /// Put a new version of a report into the outbox, such as of one that was returned or refused
    #[command(after_help = "\
Examples:
  safelane field amend --outbox ./tablet 7Q2M4XKD --file report.json
  safelane field amend --outbox ./tablet 0198c5d6-7e8f-7a01-8b2c-3d4e5f607182 --file report.json --attach new.jpg")]
    Amend(AmendArgs),
    /// Delete the copies of photos that the service has
    #[command(after_help = "\
Copies stay in the outbox until you do this, so that a service that loses a file gets it again, by
`safelane field sync --check-files`. After it the service has the only copy. What was not uploaded, or
belongs to a report that waits, stays.

Example:
  safelane field prune --outbox ./tablet")]
    Prune(OutboxArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct OutboxArgs {
    /// Folder of the outbox
    #[arg(long, env = "SAFELANE_OUTBOX", value_name = "DIR")]
    pub(super) outbox: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct InitArgs {
    #[command(flatten)]
    pub(super) outbox: OutboxArgs,
    /// Address of the service
    #[arg(long, env = "SAFELANE_SERVER", value_name = "URL", default_value = "http://127.0.0.1:50051")]
    pub(super) server: String,
    /// Team that reports
    #[arg(long, value_name = "UUID")]
    pub(super) team: uuid::Uuid,
    /// File with the bearer token, read at each sync; none when the service asks for none
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) trust: TrustArgs,
}

/// How far the network is trusted.
#[derive(Debug, clap::Args)]
pub(super) struct TrustArgs {
    /// File with the certificates, as PEM, that the service is known by at https://; by default those of the system
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Send reports and token over the network in the clear, at http://, from now on and to this address only
    #[arg(long)]
    pub(super) insecure: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct CaptureArgs {
    #[command(flatten)]
    pub(super) outbox: OutboxArgs,
    /// File with the report as JSON; - for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "ask", conflicts_with = "ask")]
    pub(super) file: Option<PathBuf>,
    /// Ask for the report of this kind, question by question
    #[arg(long, value_enum, value_name = "KIND")]
    pub(super) ask: Option<ask::Kind>,
    /// Photo or other file that belongs to the report; may be given often
    #[arg(long, value_name = "FILE")]
    pub(super) attach: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct AmendArgs {
    #[command(flatten)]
    pub(super) outbox: OutboxArgs,
    /// The report, by id or by its short reference
    pub(super) report: String,
    /// File with the whole new report as JSON; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Files of the new version; without any it keeps those of the version before
    #[arg(long, value_name = "FILE")]
    pub(super) attach: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct SyncArgs {
    #[command(flatten)]
    pub(super) outbox: OutboxArgs,
    /// Address of the service, from now on
    #[arg(long, value_name = "URL")]
    pub(super) server: Option<String>,
    #[command(flatten)]
    pub(super) trust: TrustArgs,
    /// How long to try, such as 90s, 10m or 2h
    #[arg(long = "for", value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
    pub(super) lasting: Duration,
    /// Try once
    #[arg(long, conflicts_with = "lasting")]
    pub(super) once: bool,
    /// Ask for each uploaded file whether the service still has it, and upload those that it lost
    #[arg(long)]
    pub(super) check_files: bool,
    /// Print events and the end as JSON, one object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub(super) outbox: OutboxArgs,
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct FeedArgs {
    #[command(flatten)]
    pub(super) outbox: OutboxArgs,
    /// Go on until Ctrl-C
    #[arg(long)]
    pub(super) follow: bool,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    Duration::try_from(span).map_err(|_| "give a duration such as 90s, 10m or 2h".to_owned())
}
