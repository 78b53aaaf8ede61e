//! What `safelane field` does without a link.

use std::io::{BufRead, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::field::args::{AmendArgs, CaptureArgs, InitArgs, OutboxArgs, StatusArgs};
use crate::cli::field::capture::{Device, check_files};
use crate::cli::field::outbox::{Entry, Outbox, Settings};
use crate::cli::field::status::Status;
use crate::cli::field::{ask, clock, content, link, open, say, shown};
use crate::error::StartError;
use crate::rpc::pb;

/// Makes the outbox of a device.
pub(super) fn init(args: &InitArgs) -> Result<ExitCode, StartError> {
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
pub(super) fn absolute(path: &Path) -> Result<PathBuf, StartError> {
    std::path::absolute(path)
        .map_err(|error| StartError::Refused(format!("{} is no path: {error}", path.display())))
}

/// Puts a report into the outbox.
pub(super) fn capture(args: &CaptureArgs) -> Result<ExitCode, StartError> {
    let device = open(&args.outbox)?;
    check_files(&args.attach)?;
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

/// Puts a new version of a report into the outbox.
pub(super) fn amend(args: &AmendArgs) -> Result<ExitCode, StartError> {
    let device = open(&args.outbox)?;
    let report_id = find(&device, &args.report)?;
    let before = device.outbox.versions(&report_id)?;
    let entry = device.amend(&report_id, read(&args.file)?, &args.attach)?;
    if let Some(between) = came_between(&before, entry.report.base_version) {
        say(&format!(
            "version {between} came in between, from elsewhere or from here without its answer; what you captured takes its place. GetReport of {report_id} \
             shows it, or ask your office: when it says more than yours, amend again before you sync"
        ))?;
    }
    captured(&entry)
}

/// The version that another one is based on, when this device knows it by a refusal only.
fn came_between(versions: &[Entry], base: i32) -> Option<i32> {
    let is_own = versions.iter().any(|entry| entry.stands() && entry.report.base_version + 1 == base);
    let is_named = versions.iter().any(|entry| entry.newest == Some(base));
    (is_named && !is_own).then_some(base)
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

/// Deletes copies of files that the service has.
pub(super) fn prune(args: &OutboxArgs) -> Result<ExitCode, StartError> {
    let pruned = open(args)?.outbox.prune()?;
    let size = shown::size(i64::try_from(pruned.bytes).unwrap_or(i64::MAX));
    say(&format!("{} copies deleted, {size}", pruned.files))
}

/// Shows what is known.
pub(super) fn status(args: &StatusArgs) -> Result<ExitCode, StartError> {
    let status = Status::of(&open(&args.outbox)?)?;
    if args.json {
        return say(&status.json().to_string());
    }
    let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    say(status.text(coloured).trim_end())
}
