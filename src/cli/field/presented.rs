//! How a sync shows what it does: a bar on a terminal, lines in a log, JSON for machines.

use std::io::{IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::field::shown;
use crate::cli::field::sync::{Event, Summary};

/// Where events of a sync go.
pub(super) enum Presenter {
    /// A bar with the bytes of files, and lines above it.
    Bar(ProgressBar),
    /// One line for each event.
    Plain,
    /// One JSON object for each event.
    Json,
}

impl Presenter {
    pub(super) fn new(json: bool) -> Self {
        if json {
            return Self::Json;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Plain;
        }
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{msg:24} [{bar:30}] {decimal_bytes}/{decimal_total_bytes}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self::Bar(bar)
    }

    pub(super) fn show(&self, event: &Event) {
        match self {
            Self::Json => say(&event_json(event).to_string()),
            Self::Plain => {
                if let Some(line) = event_line(event) {
                    say(&line);
                }
            }
            Self::Bar(bar) => {
                match event {
                    Event::Round { reports, files, bytes } => {
                        bar.set_length(bar.position() + bytes);
                        bar.set_message(format!("{reports} reports, {files} files"));
                    }
                    Event::Durable { bytes } => bar.inc(*bytes),
                    _ => {}
                }
                if let Some(line) = event_line(event) {
                    bar.println(line);
                }
            }
        }
    }

    pub(super) fn end(&self, summary: &Summary) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
        if matches!(self, Self::Json) {
            say(&summary_json(summary).to_string());
            return;
        }
        say(&format!(
            "{} reports acknowledged ({} held), {} refused, {} files uploaded; {} still wait",
            summary.acknowledged, summary.held, summary.refused, summary.files, summary.left
        ));
        if 0 < summary.details_left {
            say(&format!(
                "details of victims of {} reports wait here, since the service does not keep them; sync sends them again",
                summary.details_left
            ));
        }
        if 0 < summary.partly_left {
            say(&format!(
                "{} reports are kept in part, since the service does not know all fields of this app yet: tell the office; \
                 they stay here whole, and sync sends them again",
                summary.partly_left
            ));
        }
        if !summary.feed_refused.is_empty() {
            say(&format!(
                "the team feed was not taken, safety stops may be missing: {}",
                summary.feed_refused
            ));
        }
        if 0 < summary.left {
            say(&format!("not everything arrived: {}; run sync again, nothing is lost", summary.trouble));
        } else if !summary.trouble.is_empty() {
            say(&format!("not everything was heard: {}; run sync again before work", summary.trouble));
        }
    }
}

fn say(line: &str) {
    // Nothing can be done when nobody reads any more.
    let _unheard: std::io::Result<()> = writeln!(std::io::stdout(), "{line}");
}

/// What an answer says of a report: first whether work stands still.
fn answer_line(held: &[String], details: &str, halt: &str) -> String {
    let part = |text: &str| if text.is_empty() { String::new() } else { format!("; {text}") };
    let held = if held.is_empty() { String::new() } else { format!("; held: {}", held.join("; ")) };
    format!("{}{held}{}", part(halt), part(details))
}

fn event_line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Round { reports, files, bytes } if 0 < reports + files => {
            let size = shown::size(i64::try_from(*bytes).unwrap_or(i64::MAX));
            format!("sending {reports} reports and {files} files ({size})")
        }
        Event::Round { .. } | Event::Durable { .. } => return None,
        Event::Acknowledged { reference, held, details, halt } => {
            format!("acknowledged {reference}{}", answer_line(held, details, halt))
        }
        Event::Refused { report_id, told } => format!("REFUSED {}: {told}", shown::short(report_id)),
        Event::Partly { report_id, told, held, details, halt } => {
            let (report, answer) = (shown::short(report_id), answer_line(held, details, halt));
            format!("kept in part {report}{answer}; {told}")
        }
        Event::Anew { report_id } => {
            format!(
                "the service knows more fields of {} now: the whole report is sent anew",
                shown::short(report_id)
            )
        }
        Event::Broken { told } => format!("NOT UPLOADED {told}"),
        Event::Uploaded { sha256 } => format!("uploaded {}", sha256.get(..12).unwrap_or(sha256)),
        Event::Stop { told } => format!("STOP WORK: {told}"),
        Event::Cut { told, wait: Some(wait) } => {
            format!("the link broke ({told}); trying again in {} ms", wait.as_millis())
        }
        Event::Cut { told, wait: None } => format!("the link broke ({told})"),
    })
}

fn event_json(event: &Event) -> Value {
    match event {
        Event::Round { reports, files, bytes } => {
            json!({ "event": "round", "reports": reports, "files": files, "bytes": bytes })
        }
        Event::Acknowledged { reference, held, details, halt } => {
            json!({ "event": "acknowledged", "reference": reference, "held": held, "details_not_kept": details, "halt": halt })
        }
        Event::Refused { report_id, told } => {
            json!({ "event": "refused", "report_id": report_id, "told": told })
        }
        Event::Partly { report_id, told, held, details, halt } => {
            json!({ "event": "partly", "report_id": report_id, "told": told, "held": held, "details_not_kept": details,
                    "halt": halt })
        }
        Event::Anew { report_id } => json!({ "event": "anew", "report_id": report_id }),
        Event::Broken { told } => json!({ "event": "broken", "told": told }),
        Event::Durable { bytes } => json!({ "event": "durable", "bytes": bytes }),
        Event::Uploaded { sha256 } => json!({ "event": "uploaded", "sha256": sha256 }),
        Event::Stop { told } => json!({ "event": "stop", "told": told }),
        Event::Cut { told, wait } => {
            let wait = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            json!({ "event": "cut", "told": told, "wait_ms": wait })
        }
    }
}

fn summary_json(of: &Summary) -> Value {
    json!({
        "event": "end", "rounds": of.rounds, "cuts": of.cuts, "acknowledged": of.acknowledged, "held": of.held,
        "refused": of.refused, "foreign": of.foreign, "files": of.files, "sent_bytes": of.sent_bytes,
        "again_bytes": of.again_bytes, "again_bytes_max": of.again_bytes_max, "left": of.left, "details_left": of.details_left,
        "partly_left": of.partly_left,
        "feed_refused": of.feed_refused, "trouble": of.trouble,
    })
}
