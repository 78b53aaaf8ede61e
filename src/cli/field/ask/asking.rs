//! Asking: a question is asked until its answer can be read, and what was answered fills a message of the contract.

use std::fmt::Write as _;
use std::io::{BufRead, Read as _, Write};
use std::ops::RangeInclusive;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind as Type, ReflectMessage as _, Value};

use crate::cli::field::capture::Device;
use crate::cli::field::shown;
use crate::error::StartError;
use crate::rpc::pb;

use super::question::{How, Question};
use super::{answers, unknown};

/// The most bytes of an answer: more than any may have.
const LINE_BYTES_MAX: u64 = 64 * 1_024;
/// Minutes of a day.
const DAY_MINUTES: i64 = 1_440;

/// Something that the team feed knows.
struct Known {
    id: String,
    code: String,
    name: String,
}

/// Who asks.
pub(super) struct Asking<'a> {
    tasks: Vec<Known>,
    sites: Vec<Known>,
    answers: &'a mut dyn BufRead,
    questions: &'a mut dyn Write,
}

impl<'a> Asking<'a> {
    /// Knows the tasks and sites of the team, as the feed told them.
    pub(super) fn new(
        device: &Device,
        answers: &'a mut dyn BufRead,
        questions: &'a mut dyn Write,
    ) -> Result<Self, StartError> {
        let tasks: Vec<pb::Task> = device.outbox.feed_records("task")?;
        let tasks = tasks.into_iter().map(|of| Known { id: of.task_id, code: of.code, name: of.title });
        let sites: Vec<pb::FeedSite> = device.outbox.feed_records("site")?;
        let sites = sites.into_iter().filter_map(|of| of.site);
        let sites = sites.map(|of| Known { id: of.site_id, code: of.code, name: of.name });
        Ok(Self { tasks: tasks.collect(), sites: sites.collect(), answers, questions })
    }

    /// Asks all of these about a message, and sets in it what was answered.
    pub(super) fn fill(
        &mut self,
        message: &mut DynamicMessage,
        asked: &[Question],
    ) -> Result<(), StartError> {
        for question in asked {
            if !(question.when)(message) {
                continue;
            }
            let name = question.field;
            let field = message.descriptor().get_field_by_name(name).ok_or_else(|| unknown(name))?;
            if let Some(value) = self.answer(question, &field, message)? {
                message.try_set_field(&field, value).map_err(|_| unknown(name))?;
            }
        }
        Ok(())
    }

    /// The answer to one question; none when the field stays as it is.
    fn answer(
        &mut self,
        question: &Question,
        field: &FieldDescriptor,
        of: &DynamicMessage,
    ) -> Result<Option<Value>, StartError> {
        let ask = question.ask;
        Ok(match question.how {
            How::Text { least, most } => {
                let asked = or_nothing(ask, 0 < least);
                Some(Value::String(self.until(&asked, |line| answers::text(line, least, most))?))
            }
            How::Number { least, most } => {
                Some(self.number(&or_nothing(ask, 0 < least), least..=most, field)?)
            }
            How::Minutes => {
                let people = of.get_field_by_name("people").and_then(|value| value.as_i32()).unwrap_or(1);
                Some(self.number(ask, 1..=i64::from(people) * DAY_MINUTES, field)?)
            }
            How::Choice { needed, without } => self.choice((ask, needed), field, without)?,
            How::Choices { most } => Some(self.choices(ask, field, most)?),
            How::Yes => Some(Value::Bool(self.yes(ask)?)),
            How::Day { needed, from_year } => {
                let asked = or_nothing(&format!("{ask}, such as 2026-03-14"), needed);
                let day = self.maybe(&asked, needed, |line| answers::day(line, from_year))?;
                day.map(|day| message(field, &day)).transpose()?
            }
            How::Task { needed } => self.known(ask, needed, |of| &of.tasks)?,
            How::Site { needed } => self.known(ask, needed, |of| &of.sites)?,
            How::Id { needed } => {
                self.maybe(&or_nothing(ask, needed), needed, answers::id)?.map(Value::String)
            }
            How::Position => {
                let asked = or_nothing(&format!("{ask}, such as -18.97, 32.67"), false);
                let at = self.maybe(&asked, false, answers::position)?;
                at.map(|at| message(field, &at)).transpose()?
            }
            How::Money => Some(message(field, &self.money(ask)?)?),
            How::Part { first, of } => {
                if !first.is_empty() && !self.yes(first)? {
                    return Ok(None);
                }
                Some(self.part(field, of)?)
            }
            How::Rows { least, most, more, of } => Some(self.rows((ask, more), field, (least, most), of)?),
        })
    }

    /// Asks until the answer can be read. What ends in the middle of a line is no answer.
    fn until<T>(
        &mut self,
        question: &str,
        mut read: impl FnMut(&str) -> Result<T, String>,
    ) -> Result<T, StartError> {
        loop {
            let told = |error: std::io::Error| {
                StartError::Refused(format!("cannot ask: {error}; nothing was captured"))
            };
            write!(self.questions, "{question}: ").and_then(|()| self.questions.flush()).map_err(told)?;
            let mut line = String::new();
            (&mut *self.answers).take(LINE_BYTES_MAX).read_line(&mut line).map_err(told)?;
            if !line.ends_with('\n') {
                let told = "the answers ended in the middle; nothing was captured: begin again";
                return Err(StartError::Refused(told.to_owned()));
            }
            match read(line.trim()) {
                Ok(answer) => return Ok(answer),
                Err(wrong) => writeln!(self.questions, "  {wrong}").map_err(told)?,
            }
        }
    }

    /// The same, where nothing may be answered.
    fn maybe<T>(
        &mut self,
        question: &str,
        needed: bool,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, StartError> {
        self.until(question, |line| if line.is_empty() && !needed { Ok(None) } else { read(line).map(Some) })
    }

    fn yes(&mut self, question: &str) -> Result<bool, StartError> {
        self.until(&format!("{question}, y or n"), answers::yes)
    }

    fn number(
        &mut self,
        question: &str,
        within: RangeInclusive<i64>,
        field: &FieldDescriptor,
    ) -> Result<Value, StartError> {
        let read = self.until(question, |line| answers::number(line, &within))?;
        if field.kind() == Type::Int64 {
            return Ok(Value::I64(read));
        }
        i32::try_from(read).map(Value::I32).map_err(|_| unknown(field.name()))
    }

    fn choice(
        &mut self,
        (ask, needed): (&str, bool),
        field: &FieldDescriptor,
        without: &[i32],
    ) -> Result<Option<Value>, StartError> {
        let (numbers, words) = values_of(field, without)?;
        let asked = listed(&words, &or_nothing(ask, needed));
        let chosen = self.maybe(&asked, needed, |line| answers::one_of(line, &words))?;
        Ok(chosen.and_then(|place| numbers.get(place).copied()).map(Value::EnumNumber))
    }

    fn choices(&mut self, ask: &str, field: &FieldDescriptor, most: usize) -> Result<Value, StartError> {
        let (numbers, words) = values_of(field, &[])?;
        let asked = listed(&words, &or_nothing(&format!("{ask}, with commas between"), false));
        let chosen = self.until(&asked, |line| answers::some_of(line, &words, most))?;
        let chosen = chosen.into_iter().filter_map(|place| numbers.get(place).copied());
        Ok(Value::List(chosen.map(Value::EnumNumber).collect()))
    }

    fn known(
        &mut self,
        ask: &str,
        needed: bool,
        of: impl Fn(&Self) -> &[Known],
    ) -> Result<Option<Value>, StartError> {
        let list = of(self).iter();
        let (ids, codes): (Vec<_>, Vec<_>) = list.map(|known| (known.id.clone(), known.code.clone())).unzip();
        let named: Vec<String> =
            of(self).iter().map(|known| format!("{} {}", known.code, known.name)).collect();
        let by = if ids.is_empty() { "by id" } else { "by number, code or id" };
        let asked = listed(&named, &or_nothing(&format!("{ask}, {by}"), needed));
        let chosen = self.maybe(&asked, needed, |line| {
            let place = answers::one_of(line, &codes);
            let listed = place.ok().and_then(|place| ids.get(place).cloned());
            listed.map_or_else(|| answers::id(line).map_err(|told| format!("{told}, nor one of these")), Ok)
        })?;
        Ok(chosen.map(Value::String))
    }

    fn money(&mut self, ask: &str) -> Result<pb::Money, StartError> {
        let currency_code = self.until(&format!("{ask}: the currency, such as USD"), answers::currency)?;
        let asked = format!("the amount in {currency_code}");
        let minor_units = self.until(&asked, |line| answers::amount(line, &currency_code))?;
        Ok(pb::Money { currency_code, minor_units })
    }

    /// A message of its own, as the value of a field.
    pub(super) fn part(&mut self, field: &FieldDescriptor, asked: &[Question]) -> Result<Value, StartError> {
        let kind = field.kind();
        let mut part = DynamicMessage::new(kind.as_message().ok_or_else(|| unknown(field.name()))?.clone());
        self.fill(&mut part, asked)?;
        Ok(Value::Message(part))
    }

    fn rows(
        &mut self,
        (first, more): (&str, &str),
        field: &FieldDescriptor,
        (least, most): (usize, usize),
        asked: &[Question],
    ) -> Result<Value, StartError> {
        let mut rows = Vec::new();
        while rows.len() < least
            || (rows.len() < most && self.yes(if rows.is_empty() { first } else { more })?)
        {
            rows.push(self.part(field, asked)?);
        }
        Ok(Value::List(rows))
    }
}

/// Says so where nothing may be answered.
fn or_nothing(question: &str, needed: bool) -> String {
    if needed { question.to_owned() } else { format!("{question}, or nothing") }
}

/// A list with numbers, and the question under it.
fn listed(names: &[String], question: &str) -> String {
    let mut asked = String::new();
    for (name, number) in names.iter().zip(1..) {
        // Writing to text cannot fail.
        writeln!(asked, "  {number}) {name}").ok();
    }
    asked.push_str(question);
    asked
}

/// The values of an enumeration that may be chosen, and what people call them.
fn values_of(field: &FieldDescriptor, without: &[i32]) -> Result<(Vec<i32>, Vec<String>), StartError> {
    let kind = field.kind();
    let of = kind.as_enum().ok_or_else(|| unknown(field.name()))?;
    let prefix = of.default_value().name().trim_end_matches("UNSPECIFIED").to_owned();
    let values = of.values().filter(|value| value.number() != 0 && !without.contains(&value.number()));
    Ok(values.map(|value| (value.number(), shown::word(value.name(), &prefix))).unzip())
}

/// A message of the contract as the value of a field.
fn message(field: &FieldDescriptor, told: &impl prost::Message) -> Result<Value, StartError> {
    let kind = field.kind();
    let mut value = DynamicMessage::new(kind.as_message().ok_or_else(|| unknown(field.name()))?.clone());
    value.transcode_from(told).map_err(|_| unknown(field.name()))?;
    Ok(Value::Message(value))
}
