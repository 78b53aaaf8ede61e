//! Capturing: a report and its files are in the outbox for good before anybody is told so.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::field::outbox::{Entry, EntryState, KeptFile, Outbox};
use crate::cli::field::{clock, content, victims};
use crate::clock::Clock;
use crate::error::StartError;
use crate::rpc::pb;

/// The most files of a report.
const FILES_MAX: usize = 200;
/// The most bytes of a file.
const FILE_BYTES_MAX: u64 = 50 * 1_024 * 1_024;
/// The most characters of a name.
const NAME_MAX: usize = 200;

/// A device: its outbox and its clock.
#[derive(Clone)]
pub struct Device {
    /// What it captured.
    pub outbox: Arc<Outbox>,
    /// What it believes about time.
    pub clock: Arc<dyn Clock>,
}

impl Device {
    /// A device with an outbox.
    #[must_use]
    pub fn new(outbox: Outbox, clock: Arc<dyn Clock>) -> Self {
        Self { outbox: Arc::new(outbox), clock }
    }

    /// Captures a new report with files. Ids, number and clock are the device's.
    pub fn capture(&self, mut report: pb::FieldReport, files: &[PathBuf]) -> Result<Entry, StartError> {
        report.report_id = clock::fresh_id();
        report.base_version = 0;
        self.keep(report, files)
    }

    /// Captures a new version of a report: one that replaces the newest version that this device or the service knows
    /// of, or takes the place of one that was refused. Files of that version are kept when no others are given, and so
    /// are the ids of its victims, by their places.
    pub fn amend(
        &self,
        report_id: &str,
        mut report: pb::FieldReport,
        files: &[PathBuf],
    ) -> Result<Entry, StartError> {
        let versions = self.outbox.versions(report_id)?;
        let returned = self.outbox.feed_records::<pb::StoredReport>("returned")?;
        let returned = returned
            .iter()
            .find(|stored| stored.report.as_ref().is_some_and(|report| report.report_id == report_id));
        let standing = versions.iter().filter(|entry| entry.stands());
        let own = standing.map(|entry| entry.report.base_version + 1).max();
        let told = versions.iter().filter_map(|entry| entry.newest).max();
        let known = own.max(told).max(returned.map(|stored| stored.newest_version));
        let refused = versions.iter().any(|entry| entry.state == EntryState::Refused);
        if known.is_none() && !refused {
            return Err(StartError::Refused(format!(
                "this device knows no report {report_id}; `safelane field status` lists those it has"
            )));
        }
        report_id.clone_into(&mut report.report_id);
        report.base_version = known.unwrap_or(0);
        let newest = versions.last().map(|entry| &entry.report);
        let newest = newest.or(returned.and_then(|stored| stored.report.as_ref()));
        if files.is_empty() {
            report.attachments = newest.map(|report| report.attachments.clone()).unwrap_or_default();
            // A name may be what the version before was refused for.
            for file in &mut report.attachments {
                file.name = told_name(&file.name);
            }
        }
        if let Some(before) = newest {
            victims::take_over(before, &mut report)?;
        }
        self.keep(report, files)
    }

    fn keep(&self, mut report: pb::FieldReport, files: &[PathBuf]) -> Result<Entry, StartError> {
        let settings = self.outbox.settings()?;
        report.device_id = settings.device_id;
        if report.team_id.is_empty() {
            report.team_id = settings.team_id;
        }
        report.captured = Some(clock::reading(&*self.clock));
        victims::complete(&mut report)?;
        content::check(&report)?;
        check_files(files)?;
        for path in files {
            let kept = self.outbox.keep_file(path)?;
            report.attachments.push(attachment(path, &kept)?);
        }
        // The files belong to what is sent: with them a report may be too large, and then it would never be taken.
        content::check_size(&report)?;
        self.outbox.add(report)
    }
}

/// Looks at files before anything is asked or copied.
pub(super) fn check_files(files: &[PathBuf]) -> Result<(), StartError> {
    if FILES_MAX < files.len() {
        let count = files.len();
        return Err(StartError::Refused(format!(
            "{count} files are too many; attach at most {FILES_MAX} to one report"
        )));
    }
    files.iter().try_for_each(|path| check_file(path))
}

fn check_file(path: &Path) -> Result<(), StartError> {
    let refuse = |told: String| {
        let path = path.display();
        StartError::Refused(format!("{path} cannot be attached: {told}; nothing was captured"))
    };
    let of = fs::metadata(path).map_err(|error| refuse(error.to_string()))?;
    if of.is_dir() {
        return Err(refuse("it is a folder".to_owned()));
    }
    if FILE_BYTES_MAX < of.len() {
        let size = of.len();
        return Err(refuse(format!(
            "it has {size} bytes, and at most {FILE_BYTES_MAX} are taken; make it smaller"
        )));
    }
    Ok(())
}

fn attachment(path: &Path, kept: &KeptFile) -> Result<pb::Attachment, StartError> {
    let refuse = |told: &str| StartError::Refused(format!("{} cannot be attached: {told}", path.display()));
    if kept.size == 0 {
        return Err(refuse("it is empty"));
    }
    let media_type = content::media_type(&kept.head).ok_or_else(|| {
        refuse("it is none of JPEG, PNG, WebP, HEIC, MP4, MP3, M4A, PDF and plain text; convert it")
    })?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(pb::Attachment {
        sha256: kept.sha256.to_vec(),
        size: kept.size,
        media_type: media_type.to_owned(),
        name: told_name(&name),
    })
}

/// A name as the contract takes it: without a path, and without characters that nobody sees.
fn told_name(name: &str) -> String {
    let turns_writing = |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let allowed = |c: &char| !matches!(c, '/' | '\\') && !c.is_control() && !turns_writing(*c);
    name.chars().filter(allowed).take(NAME_MAX).collect()
}
