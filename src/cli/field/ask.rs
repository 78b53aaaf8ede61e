//! Capturing by questions: one line each, with what is known of the team's tasks and sites to choose from.

use std::fmt::Write as _;
use std::io::{BufRead, Write};

use prost_reflect::{DescriptorPool, EnumValueDescriptor};

use crate::cli::field::capture::Device;
use crate::error::StartError;
use crate::rpc::pb::field_report::Body;
use crate::rpc::{DESCRIPTOR, pb};

/// Kinds that can be asked for. All others are captured from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// The work of a day
    Progress,
    /// Ordnance that was found
    Ordnance,
    /// An accident, an incident or a near miss
    Accident,
}

/// Asks for a report.
pub(super) fn report(
    kind: Kind,
    device: &Device,
    answers: &mut dyn BufRead,
    questions: &mut dyn Write,
) -> Result<pb::FieldReport, StartError> {
    let mut asking = Asking { device, answers, questions };
    let task_id = asking.task(kind == Kind::Progress)?;
    let work_date = asking.day("day of the work, as 2026-03-14")?;
    let body = match kind {
        Kind::Progress => Body::Progress(asking.progress()?),
        Kind::Ordnance => Body::Ordnance(asking.ordnance()?),
        Kind::Accident => Body::Accident(asking.accident()?),
    };
    let note = asking.text("note, or nothing", false)?;
    Ok(pb::FieldReport { task_id, work_date: Some(work_date), note, body: Some(body), ..Default::default() })
}

struct Asking<'a> {
    device: &'a Device,
    answers: &'a mut dyn BufRead,
    questions: &'a mut dyn Write,
}

impl Asking<'_> {
    /// Asks until the answer can be read.
    fn until<T>(
        &mut self,
        question: &str,
        mut read: impl FnMut(&str) -> Result<T, String>,
    ) -> Result<T, StartError> {
        loop {
            let told = |error: std::io::Error| StartError::Refused(format!("cannot ask: {error}"));
            write!(self.questions, "{question}: ").and_then(|()| self.questions.flush()).map_err(told)?;
            let mut line = String::new();
            if self.answers.read_line(&mut line).map_err(told)? == 0 {
                let told = "the answers ended; nothing was captured";
                return Err(StartError::Refused(told.to_owned()));
            }
            match read(line.trim()) {
                Ok(answer) => return Ok(answer),
                Err(wrong) => writeln!(self.questions, "  {wrong}").map_err(told)?,
            }
        }
    }

    fn text(&mut self, question: &str, needed: bool) -> Result<String, StartError> {
        self.until(question, |line| match line {
            "" if needed => Err("say something".to_owned()),
            line => Ok(line.to_owned()),
        })
    }

    fn number<T: std::str::FromStr>(&mut self, question: &str) -> Result<T, StartError> {
        self.until(question, |line| line.parse().map_err(|_| format!("{line:?} is not a whole number")))
    }

    fn yes(&mut self, question: &str) -> Result<bool, StartError> {
        self.until(&format!("{question}, y or n"), |line| match line {
            "y" | "yes" => Ok(true),
            "n" | "no" => Ok(false),
            _ => Err("answer y or n".to_owned()),
        })
    }

    fn day(&mut self, question: &str) -> Result<pb::Date, StartError> {
        self.until(question, |line| {
            let day: jiff::civil::Date =
                line.parse().map_err(|_| format!("{line:?} is not a day such as 2026-03-14"))?;
            Ok(pb::Date { year: day.year().into(), month: day.month().into(), day: day.day().into() })
        })
    }

    /// One of a list, by its number, or something else that may be typed.
    fn one_of(
        &mut self,
        question: &str,
        names: &[String],
        typed: impl Fn(&str) -> bool,
    ) -> Result<Result<usize, String>, StartError> {
        let mut asked = String::new();
        for (name, number) in names.iter().zip(1..) {
            // Writing to text cannot fail.
            writeln!(asked, "  {number}) {name}").ok();
        }
        asked.push_str(question);
        self.until(&asked, |line| match line.parse::<usize>() {
            Ok(number) if (1..=names.len()).contains(&number) => Ok(Ok(number - 1)),
            _ if typed(line) => Ok(Err(line.to_owned())),
            _ => Err(format!("{line:?} is none of these")),
        })
    }

    /// A value of an enumeration of the contract.
    fn choice(&mut self, question: &str, of: &str) -> Result<i32, StartError> {
        let broken = || StartError::Refused(format!("{of} is unknown"));
        let pool = DescriptorPool::decode(DESCRIPTOR).map_err(|_| broken())?;
        let kind = pool.get_enum_by_name(&format!("safelane.v1.{of}")).ok_or_else(broken)?;
        let values: Vec<_> = kind.values().filter(|value| value.number() != 0).collect();
        let prefix = kind.default_value().name().trim_end_matches("UNSPECIFIED").to_owned();
        let names: Vec<String> =
            values.iter().map(|value| super::shown::word(value.name(), &prefix)).collect();
        let chosen = self.one_of(question, &names, |_| false)?;
        chosen.ok().and_then(|index| values.get(index)).map(EnumValueDescriptor::number).ok_or_else(broken)
    }

    fn task(&mut self, needed: bool) -> Result<String, StartError> {
        let tasks: Vec<pb::Task> = self.device.outbox.feed_records("task")?;
        let names: Vec<String> = tasks.iter().map(|task| format!("{} {}", task.code, task.title)).collect();
        let question = if needed { "task, by number or id" } else { "task, by number or id, or nothing" };
        let chosen = self.one_of(question, &names, |line| is_id(line) || (!needed && line.is_empty()))?;
        Ok(chosen.map_or_else(
            |typed| typed,
            |index| tasks.get(index).map(|task| task.task_id.clone()).unwrap_or_default(),
        ))
    }

    fn site(&mut self, needed: bool) -> Result<String, StartError> {
        let sites: Vec<pb::FeedSite> = self.device.outbox.feed_records("site")?;
        let sites: Vec<pb::Site> = sites.into_iter().filter_map(|site| site.site).collect();
        let names: Vec<String> = sites.iter().map(|site| format!("{} {}", site.code, site.name)).collect();
        let question = if needed { "site, by number or id" } else { "site, by number or id, or nothing" };
        let chosen = self.one_of(question, &names, |line| is_id(line) || (!needed && line.is_empty()))?;
        Ok(chosen.map_or_else(
            |typed| typed,
            |index| sites.get(index).map(|site| site.site_id.clone()).unwrap_or_default(),
        ))
    }

    fn progress(&mut self) -> Result<pb::ProgressReport, StartError> {
        let activity = self.choice("activity of the day", "ActivityType")?;
        let mut areas = Vec::new();
        while self.yes(if areas.is_empty() { "was land released" } else { "was more land released" })? {
            let site_id = self.site(true)?;
            let kind = self.choice("how it was released", "ReleaseType")?;
            let area_m2 = self.number("square metres")?;
            let cleared = kind == i32::from(pb::ReleaseType::Cleared);
            let depth_cm = if cleared { self.number("depth in centimetres")? } else { 0 };
            areas.push(pb::ReleasedArea { site_id, r#type: kind, area_m2, depth_cm, ..Default::default() });
        }
        let mut worked = Vec::new();
        while self.yes(if worked.is_empty() { "did people work" } else { "did others work" })? {
            let role = self.choice("their role", "MemberRole")?;
            let people = self.number("how many people")?;
            let minutes = self.number("minutes of all of them together")?;
            worked.push(pb::WorkedHours { role, people, minutes });
        }
        let not_done_m2 = self.number("square metres that were planned and not done, or 0")?;
        let not_done_reason = if not_done_m2 == 0 { String::new() } else { self.text("why not", true)? };
        Ok(pb::ProgressReport { activity, areas, worked, not_done_m2, not_done_reason, ..Default::default() })
    }

    fn ordnance(&mut self) -> Result<pb::OrdnanceReport, StartError> {
        let site_id = self.site(false)?;
        let mut items = Vec::new();
        loop {
            items.push(pb::OrdnanceItem {
                category: self.choice("category", "OrdnanceCategory")?,
                model: self.text("model such as PMN-2, or nothing", false)?,
                quantity: self.number("how many")?,
                condition: self.choice("condition", "OrdnanceCondition")?,
                disposal: self.choice("what became of it", "OrdnanceDisposal")?,
                ..Default::default()
            });
            if !self.yes("was more found")? {
                return Ok(pb::OrdnanceReport { site_id, items });
            }
        }
    }

    fn accident(&mut self) -> Result<pb::AccidentReport, StartError> {
        let kind = self.choice("what happened", "AccidentKind")?;
        let category = if self.yes("was a device involved")? {
            self.choice("its category", "OrdnanceCategory")?
        } else {
            0
        };
        let description = self.text("what happened, in words, without names of victims", true)?;
        let halt_work = self.yes("must work on the task stop")?;
        Ok(pb::AccidentReport { kind, category, description, halt_work, ..Default::default() })
    }
}

fn is_id(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}
