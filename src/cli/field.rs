//! `safelane field`: a team's device. It keeps reports and photos in an outbox, brings them to the service when there is
//! a link, and tells what came of them. It uses nothing but the contract: what it does, an app can do.

pub mod capture;
pub mod clock;
pub mod content;
pub mod outbox;
pub mod status;
pub mod sync;

mod ask;
mod feed;
mod link;
mod presented;
mod shown;
mod victims;

use std::io::{BufRead, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;

use crate::cli::unwritten;
use crate::clock::SystemClock;
use crate::error::StartError;
use crate::rpc::pb;

use capture::Device;
use outbox::{Entry, Outbox, Settings};
use presented::Presenter;
use status::Status;
use sync::{Pace, Summary, Until};

/// Something still waits in the outbox.
const STILL_WAITING: u8 = 3;
/// Everything was answered, and some of it refused: it stays in the outbox until it is amended.
const SOME_REFUSED: u8 = 4;
/// Nothing waits, and the service was not heard to the end: safety stops may be missing.
const NOT_HEARD: u8 = 5;

/// Arguments of `safelane field`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  safelane field init --outbox ./tablet --server http://127.0.0.1:50051 --team UUID
  safelane field capture --outbox ./tablet --ask progress --attach lane.jpg
  safelane field sync --outbox ./tablet --for 10m
  safelane field status --outbox ./tablet

Exit codes: 0 done; 1 an error, told on standard error; 2 wrong arguments; 3 something still waits in the
outbox; 4 all was answered, and some reports were refused: they stay until you amend them; 5 nothing waits,
and the service or the team feed was not reached: what is known of safety stops may be old.

An outbox holds details of victims until the service keeps them: only its owner reads the folder.")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
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

Examples:
  safelane field capture --outbox ./tablet --file report.json --attach lane.jpg --attach marks.jpg
  safelane field capture --outbox ./tablet --ask ordnance
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

Exit codes: 0 all arrived; 3 something still waits; 4 some reports were refused; 5 nothing waits, and the
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
struct OutboxArgs {
    /// Folder of the outbox
    #[arg(long, env = "SAFELANE_OUTBOX", value_name = "DIR")]
    outbox: PathBuf,
}

#[derive(Debug, clap::Args)]
struct InitArgs {
    #[command(flatten)]
    outbox: OutboxArgs,
    /// Address of the service
    #[arg(long, env = "SAFELANE_SERVER", value_name = "URL", default_value = "http://127.0.0.1:50051")]
    server: String,
    /// Team that reports
    #[arg(long, value_name = "UUID")]
    team: uuid::Uuid,
    /// File with the bearer token, read at each sync; none when the service asks for none
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
}

/// How far the network is trusted.
#[derive(Debug, clap::Args)]
struct TrustArgs {
    /// File with the certificates, as PEM, that the service is known by at https://; by default those of the system
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Send reports and token over the network in the clear, at http://, from now on and to this address only
    #[arg(long)]
    insecure: bool,
}

#[derive(Debug, clap::Args)]
struct CaptureArgs {
    #[command(flatten)]
    outbox: OutboxArgs,
    /// File with the report as JSON; - for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "ask", conflicts_with = "ask")]
    file: Option<PathBuf>,
    /// Ask for the report of this kind, question by question
    #[arg(long, value_enum, value_name = "KIND")]
    ask: Option<ask::Kind>,
    /// Photo or other file that belongs to the report; may be given often
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct AmendArgs {
    #[command(flatten)]
    outbox: OutboxArgs,
    /// The report, by id or by its short reference
    report: String,
    /// File with the whole new report as JSON; - for standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Files of the new version; without any it keeps those of the version before
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct SyncArgs {
    #[command(flatten)]
    outbox: OutboxArgs,
    /// Address of the service, from now on
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
    /// How long to try, such as 90s, 10m or 2h
    #[arg(long = "for", value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
    lasting: Duration,
    /// Try once
    #[arg(long, conflicts_with = "lasting")]
    once: bool,
    /// Ask for each uploaded file whether the service still has it, and upload those that it lost
    #[arg(long)]
    check_files: bool,
    /// Print events and the end as JSON, one object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    #[command(flatten)]
    outbox: OutboxArgs,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct FeedArgs {
    #[command(flatten)]
    outbox: OutboxArgs,
    /// Go on until Ctrl-C
    #[arg(long)]
    follow: bool,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    Duration::try_from(span).map_err(|_| "give a duration such as 90s, 10m or 2h".to_owned())
}

pub(super) async fn run(args: Args) -> Result<ExitCode, StartError> {
    match args.command {
        Command::Init(args) => init(&args),
        Command::Capture(args) => capture(&args),
        Command::Amend(args) => amend(&args),
        Command::Sync(args) => run_sync(args).await,
        Command::Status(args) => status(&args),
        Command::Feed(args) => run_feed(args).await,
        Command::Prune(args) => prune(&args),
    }
}

fn open(args: &OutboxArgs) -> Result<Device, StartError> {
    Ok(Device::new(Outbox::open(&args.outbox)?, Arc::new(SystemClock)))
}

fn say(text: &str) -> Result<ExitCode, StartError> {
    writeln!(std::io::stdout(), "{text}").map_err(unwritten)?;
    Ok(ExitCode::SUCCESS)
}

fn init(args: &InitArgs) -> Result<ExitCode, StartError> {
    let settings = Settings {
        device_id: clock::fresh_id(),
        team_id: args.team.to_string(),
        server: args.server.clone(),
        token_file: args.token_file.as_deref().map(absolute).transpose()?,
        ca_file: args.trust.ca.as_deref().map(absolute).transpose()?,
        insecure: args.trust.insecure,
    };
    link::check(&settings)?;
    Outbox::init(&args.outbox.outbox, &settings)?;
    let dir = args.outbox.outbox.display();
    say(&format!(
        "device {} of team {}\nnext: safelane field capture --outbox {dir} --ask progress",
        settings.device_id, settings.team_id
    ))
}

/// A path that holds wherever a later command runs.
fn absolute(path: &Path) -> Result<PathBuf, StartError> {
    std::path::absolute(path)
        .map_err(|error| StartError::Refused(format!("{} is no path: {error}", path.display())))
}

fn capture(args: &CaptureArgs) -> Result<ExitCode, StartError> {
    let device = open(&args.outbox)?;
    let report = match (&args.file, args.ask) {
        (Some(file), _) => read(file)?,
        (None, Some(kind)) => {
            let (mut answers, mut questions) = (std::io::stdin().lock(), std::io::stderr());
            ask::report(kind, &device, &mut answers as &mut dyn BufRead, &mut questions)?
        }
        (None, None) => return Err(StartError::Refused("give --file or --ask".to_owned())),
    };
    captured(&device.capture(report, &args.attach)?)
}

fn amend(args: &AmendArgs) -> Result<ExitCode, StartError> {
    let device = open(&args.outbox)?;
    let report_id = find(&device, &args.report)?;
    captured(&device.amend(&report_id, read(&args.file)?, &args.attach)?)
}

fn captured(entry: &Entry) -> Result<ExitCode, StartError> {
    let report = &entry.report;
    let files = report.attachments.len();
    say(&format!(
        "captured {} ({} version {}, number {}, {files} files, id {})",
        shown::short(&report.report_id),
        shown::kind(report),
        report.base_version + 1,
        report.device_sequence,
        report.report_id
    ))
}

fn read(file: &Path) -> Result<pb::FieldReport, StartError> {
    let mut text = String::new();
    let done = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    done.map_err(|error| StartError::Refused(format!("{} cannot be read: {error}", file.display())))?;
    content::from_json(&text)
}

/// The id of a report that is named by id or by reference.
fn find(device: &Device, named: &str) -> Result<String, StartError> {
    if uuid::Uuid::try_parse(named).is_ok() {
        return Ok(named.to_lowercase());
    }
    let own = device.outbox.entries()?.into_iter().map(|entry| entry.report);
    let returned = device.outbox.feed_records::<pb::StoredReport>("returned")?;
    let known = own.chain(returned.into_iter().filter_map(|stored| stored.report));
    let mut ids: Vec<String> = known.map(|report| report.report_id).collect();
    ids.retain(|id| shown::short(id).eq_ignore_ascii_case(named));
    ids.sort_unstable();
    ids.dedup();
    match ids.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(StartError::Refused(format!(
            "no report here has the reference {named:?}; `safelane field status` lists them"
        ))),
        several => Err(StartError::Refused(format!(
            "{} reports have the reference {named:?}; give the id of one: {}",
            several.len(),
            several.join(", ")
        ))),
    }
}

async fn run_sync(args: SyncArgs) -> Result<ExitCode, StartError> {
    let device = open(&args.outbox)?;
    let known = device.outbox.settings()?;
    let mut settings = known.clone();
    if let Some(server) = &args.server {
        settings.server.clone_from(server);
    }
    if let Some(ca) = &args.trust.ca {
        settings.ca_file = Some(absolute(ca)?);
    }
    // Trust in one network says nothing of the way to another address.
    settings.insecure = args.trust.insecure || (known.insecure && settings.server == known.server);
    link::check(&settings)?;
    if settings != known {
        device.outbox.set_link(&settings)?;
    }
    if args.check_files {
        device.outbox.doubt_files()?;
    }
    let until = if args.once { Until::Once } else { Until::Elapsed(args.lasting) };
    let presenter = Arc::new(Presenter::new(args.json));
    let shown = Arc::clone(&presenter);
    let summary = sync::sync(&device, &Pace::default(), until, &move |event| shown.show(&event)).await?;
    presenter.end(&summary);
    Ok(code(&summary, &Status::of(&device)?))
}

fn prune(args: &OutboxArgs) -> Result<ExitCode, StartError> {
    let pruned = open(args)?.outbox.prune()?;
    let size = shown::size(i64::try_from(pruned.bytes).unwrap_or(i64::MAX));
    say(&format!("{} copies deleted, {size}", pruned.files))
}

fn code(summary: &Summary, status: &Status) -> ExitCode {
    if 0 < summary.left + summary.details_left {
        return ExitCode::from(STILL_WAITING);
    }
    if !(summary.trouble.is_empty() && summary.feed_refused.is_empty()) {
        return ExitCode::from(NOT_HEARD);
    }
    let refused = status.in_state(&[outbox::EntryState::Refused]).count();
    if 0 < refused + status.broken.len() { ExitCode::from(SOME_REFUSED) } else { ExitCode::SUCCESS }
}

fn status(args: &StatusArgs) -> Result<ExitCode, StartError> {
    let status = Status::of(&open(&args.outbox)?)?;
    if args.json {
        return say(&status.json().to_string());
    }
    let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    say(status.text(coloured).trim_end())
}

async fn run_feed(args: FeedArgs) -> Result<ExitCode, StartError> {
    let device = open(&args.outbox)?;
    let presenter = Presenter::new(false);
    let tell = move |event: sync::Event| presenter.show(&event);
    let pace = Pace::default();
    let taken = sync::take_feed(&device, &pace, &tell, args.follow);
    tokio::select! {
        taken = taken => taken?,
        stopped = tokio::signal::ctrl_c(), if args.follow => {
            stopped.map_err(|error| StartError::Refused(format!("signals cannot be heard: {error}")))?;
        }
    }
    let held = |kind: &str| device.outbox.feed_count(kind);
    say(&format!(
        "{} assignments, {} tasks, {} sites, {} safety stops in force, {} returned reports",
        held("assignment")?,
        held("task")?,
        held("site")?,
        held("stop")?,
        held("returned")?
    ))
}
