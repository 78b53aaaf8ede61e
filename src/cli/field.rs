//! `safelane field`: a team's device. It keeps reports and photos in an outbox, brings them to the service when there is
//! a link, and tells what came of them. It uses nothing but the contract: what it does, an app can do.

pub mod capture;
pub mod clock;
pub mod content;
pub mod outbox;
pub mod places;
pub mod status;
pub mod sync;

mod args;
mod ask;
mod commands;
mod feed;
mod link;
mod presented;
mod shown;
mod victims;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::unwritten;
use crate::clock::SystemClock;
use crate::error::StartError;

pub(super) use args::Args;
use args::{Command, FeedArgs, OutboxArgs, SyncArgs};
use capture::Device;
use outbox::{EntryState, Outbox};
use presented::Presenter;
use status::Status;
use sync::{Pace, Summary, Until};

/// Something still waits in the outbox.
const STILL_WAITING: u8 = 3;
/// Everything was answered, and some of it refused: it stays in the outbox until it is amended.
const SOME_REFUSED: u8 = 4;
/// Nothing waits, and the service was not heard to the end: safety stops may be missing.
const NOT_HEARD: u8 = 5;

pub(super) async fn run(args: Args) -> Result<ExitCode, StartError> {
    match args.command {
        Command::Init(args) => commands::init(&args),
        Command::Capture(args) => commands::capture(&args),
        Command::Amend(args) => commands::amend(&args),
        Command::Sync(args) => run_sync(args).await,
        Command::Status(args) => commands::status(&args),
        Command::Feed(args) => run_feed(args).await,
        Command::Prune(args) => commands::prune(&args),
    }
}

fn open(args: &OutboxArgs) -> Result<Device, StartError> {
    Ok(Device::new(Outbox::open(&args.outbox)?, Arc::new(SystemClock)))
}

fn say(text: &str) -> Result<ExitCode, StartError> {
    writeln!(std::io::stdout(), "{text}").map_err(unwritten)?;
    Ok(ExitCode::SUCCESS)
}

async fn run_sync(args: SyncArgs) -> Result<ExitCode, StartError> {
    let device = open(&args.outbox)?;
    let known = device.outbox.settings()?;
    let mut settings = known.clone();
    if let Some(server) = &args.server {
        settings.server.clone_from(server);
    }
    if let Some(ca) = &args.trust.ca {
        settings.ca_file = Some(commands::absolute(ca)?);
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

fn code(summary: &Summary, status: &Status) -> ExitCode {
    if 0 < summary.left + summary.details_left + summary.partly_left {
        return ExitCode::from(STILL_WAITING);
    }
    if !(summary.trouble.is_empty() && summary.feed_refused.is_empty()) {
        return ExitCode::from(NOT_HEARD);
    }
    let refused = status.in_state(&[EntryState::Refused]).count();
    if 0 < refused + status.broken.len() { ExitCode::from(SOME_REFUSED) } else { ExitCode::SUCCESS }
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
