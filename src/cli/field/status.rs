//! What waits, what arrived, what came back, and above all whether work may go on.

mod entries;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::field::capture::Device;
use crate::cli::field::outbox::{BrokenFile, Entry, EntryState, FileCount, Heard, hex};
use crate::cli::field::places::Places;
use crate::cli::field::{clock, shown};
use crate::error::StartError;
use crate::rpc::pb;

use entries::{entry_json, entry_text, returned_json, returned_text, without_stop};

/// Everything that the device knows, at one moment.
#[derive(Debug, Clone)]
pub struct Status {
    /// Safety stops in force, as far as is known.
    pub stops: Vec<pb::SafetyStop>,
    /// How old that knowledge is.
    pub feed_age: FeedAge,
    /// Every version, in the order of capture.
    pub entries: Vec<Entry>,
    /// Reports that were returned, with the remarks.
    pub returned: Vec<pb::StoredReport>,
    /// What the service has of the numbering, as it said last.
    pub numbering: Option<Heard<pb::SyncState>>,
    /// How far the files are.
    pub files: FileCount,
    /// Files that cannot be uploaded, and why.
    pub broken: Vec<BrokenFile>,
    /// What people call tasks and sites.
    pub places: Places,
    /// Numbers of refused versions, which the next ones take.
    pub free_numbers: Vec<i64>,
}

/// How long ago the feed last said that all was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedAge {
    /// It never did.
    Never,
    /// So many seconds.
    Seconds(i64),
    /// Nobody can tell: the clock of the device was set back since.
    ClockChanged,
}

/// What becomes of numbers that the service misses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Their reports wait here.
    Waits,
    /// Some of them are of reports that were refused, and the next reports take them.
    Free,
    /// They are lost: the office must ask the team.
    Lost,
}

impl Status {
    /// Reads it all from the outbox.
    pub fn of(device: &Device) -> Result<Self, StartError> {
        let outbox = &device.outbox;
        let now = clock::reading(&*device.clock);
        Ok(Self {
            stops: outbox.feed_records("stop")?,
            feed_age: outbox.feed_heard()?.map_or(FeedAge::Never, |then| {
                clock::seconds_since(&then, &now).map_or(FeedAge::ClockChanged, FeedAge::Seconds)
            }),
            entries: outbox.entries()?,
            returned: outbox.feed_records("returned")?,
            numbering: outbox.sync_state()?,
            files: outbox.file_count()?,
            broken: outbox.broken_files()?,
            places: Places::of(outbox)?,
            free_numbers: outbox.free_numbers()?,
        })
    }

    /// Versions in one of the states.
    pub fn in_state(&self, states: &[EntryState]) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| states.contains(&entry.state))
    }

    /// Numbers that the service misses, as ranges, and what becomes of each.
    #[must_use]
    pub fn gaps(&self) -> Vec<(i64, i64, Gap)> {
        let waiting = self.in_state(&[EntryState::Waiting, EntryState::Sending]);
        let mut known: BTreeSet<i64> = waiting.map(|entry| entry.report.device_sequence).collect();
        let free: BTreeSet<i64> = self.free_numbers.iter().copied().collect();
        known.extend(&free);
        let missing = self.numbering.iter().flat_map(|heard| &heard.told.missing);
        let fate = |first: i64, last: i64| {
            let here = i64::try_from(known.range(first..=last).count()).unwrap_or(0);
            match free.range(first..=last).next() {
                _ if here != last - first + 1 => Gap::Lost,
                None => Gap::Waits,
                Some(_) => Gap::Free,
            }
        };
        missing.map(|range| (range.first, range.last, fate(range.first, range.last))).collect()
    }

    /// For machines.
    #[must_use]
    pub fn json(&self) -> Value {
        let stop = |stop: &pb::SafetyStop| json!({ "id": stop.safety_stop_id, "told": shown::stop(stop, &self.places) });
        let unraised =
            |(entry, told): (&Entry, String)| json!({ "report_id": entry.report.report_id, "told": told });
        let gap = |(first, last, fate): (i64, i64, Gap)| json!({ "first": first, "last": last, "waits_here": fate == Gap::Waits, "free": fate == Gap::Free, "lost": fate == Gap::Lost });
        let numbering = self.numbering.as_ref().map(|heard| {
            json!({ "durable_through": heard.told.durable_through, "highest": heard.told.highest,
                    "missing_count": heard.told.missing_count,
                    "missing": self.gaps().into_iter().map(gap).collect::<Vec<_>>() })
        });
        let seconds = if let FeedAge::Seconds(seconds) = self.feed_age { Some(seconds) } else { None };
        let broken = |of: &BrokenFile| json!({ "sha256": hex(&of.sha256), "name": of.name, "report_id": of.report_id, "told": of.told });
        json!({
            "safety": { "known_seconds_ago": seconds, "clock_changed": self.feed_age == FeedAge::ClockChanged,
                        "stops": self.stops.iter().map(stop).collect::<Vec<_>>(),
                        "without_stop": without_stop(&self.entries).into_iter().map(unraised).collect::<Vec<_>>() },
            "reports": self.entries.iter().map(entry_json).collect::<Vec<_>>(),
            "returned": self.returned.iter().map(returned_json).collect::<Vec<_>>(),
            "numbering": numbering,
            "files": { "files": self.files.files, "present": self.files.present, "bytes": self.files.bytes,
                       "durable": self.files.durable, "broken": self.broken.iter().map(broken).collect::<Vec<_>>() },
        })
    }

    /// For people: safety first. With colours only where somebody sees them.
    #[must_use]
    pub fn text(&self, coloured: bool) -> String {
        let mut out = self.banner(coloured);
        let add = |out: &mut String, line: String| {
            out.push_str(&line);
            out.push('\n');
        };
        for (entry, told) in without_stop(&self.entries) {
            let (on, off) = if coloured { ("\x1b[1;97;41m", "\x1b[0m") } else { ("", "") };
            let report = shown::short(&entry.report.report_id);
            add(&mut out, format!("{on} WARNING {off} report {report} asks for a safety stop: {told}"));
        }
        let count = |states: &[EntryState]| self.in_state(states).count();
        add(
            &mut out,
            format!(
                "reports: {} wait, {} acknowledged, {} refused",
                count(&[EntryState::Waiting, EntryState::Sending]),
                count(&[EntryState::Acknowledged]),
                count(&[EntryState::Refused])
            ),
        );
        for entry in &self.entries {
            if entry.state != EntryState::Replaced {
                out.push_str(&entry_text(entry));
            }
        }
        for stored in &self.returned {
            out.push_str(&returned_text(stored));
        }
        for (first, last, fate) in self.gaps() {
            let numbers =
                if first == last { format!("number {first}") } else { format!("numbers {first} to {last}") };
            let told = match fate {
                Gap::Waits => "waits here; sync sends it",
                Gap::Free => "was of a refused report; the next one takes it",
                Gap::Lost => "is not here either; tell the office",
            };
            add(&mut out, format!("gap: the service misses {numbers}, which {told}"));
        }
        let files = &self.files;
        if 0 < files.files {
            let (durable, bytes) = (shown::size(files.durable), shown::size(files.bytes));
            add(
                &mut out,
                format!("files: {} of {} uploaded, {durable} of {bytes}", files.present, files.files),
            );
        }
        for file in &self.broken {
            add(&mut out, format!("  NOT UPLOADED {}", shown::broken(file)));
        }
        out
    }

    /// Whether work may go on, and how old that knowledge is.
    fn banner(&self, coloured: bool) -> String {
        let known = match self.feed_age {
            FeedAge::Never => "never heard from the service: run sync before work".to_owned(),
            FeedAge::Seconds(seconds) => format!("as of {}", shown::age(seconds)),
            FeedAge::ClockChanged => "age not known: the clock was changed; run sync before work".to_owned(),
        };
        if self.stops.is_empty() {
            let fresh = matches!(self.feed_age, FeedAge::Seconds(_));
            let told = if fresh { "no stop in force" } else { "NOT KNOWN" };
            return format!("safety: {told} ({known})\n");
        }
        let mut banner = String::new();
        let (on, off) = if coloured { ("\x1b[1;97;41m", "\x1b[0m") } else { ("", "") };
        for stop in &self.stops {
            // Writing to text cannot fail.
            writeln!(banner, "{on} STOP WORK {off} {}", shown::stop(stop, &self.places)).ok();
        }
        writeln!(banner, "safety: {} in force ({known})", self.stops.len()).ok();
        banner
    }
}
