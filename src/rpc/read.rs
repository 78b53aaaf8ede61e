//! Reading request fields into types that cannot be wrong. A [`Reader`] goes on after a bad field, so that
//! the caller hears of all of them at once.

use std::fmt;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use uuid::Uuid;

use crate::app::page::PageRequest;
use crate::domain::currency::Currency;
use crate::domain::days::Days;
use crate::domain::entry::EFFECTIVE_AHEAD_DAYS_MAX;
use crate::domain::money::{Amount, Money};
use crate::domain::text::quote;
use crate::error::{Error, Violations};
use crate::rpc::pb;

/// Years that a date may have.
const YEARS: std::ops::RangeInclusive<i32> = 1990..=2199;

/// The longest silence of a stream, when the caller does not say.
const PROGRESS_DEFAULT: Duration = Duration::from_secs(15);
/// What the caller may say, in seconds.
const PROGRESS_SECONDS: std::ops::RangeInclusive<i64> = 1..=60;

/// Characters of a UUID with hyphens.
const HYPHENATED_LEN: usize = 36;

/// Collects what is wrong with a request.
#[derive(Debug, Default)]
pub struct Reader {
    violations: Violations,
    stored: bool,
}

impl Reader {
    /// For messages that were accepted once: rules of the edge (how far ahead a day may be, how long a period,
    /// whether a rate fits) are not asked again, since they may have become stricter.
    #[must_use]
    pub fn of_stored() -> Self {
        Self { stored: true, ..Self::default() }
    }

    /// Whether the rules of the edge apply.
    #[must_use]
    pub const fn is_edge(&self) -> bool {
        !self.stored
    }

    /// Notes a bad field.
    pub fn bad(&mut self, field: impl Into<String>, rule: impl Into<String>) {
        self.violations.add(field, rule);
    }

    /// Ends the reading: the value, if nothing was bad.
    ///
    /// # Errors
    /// Every violation.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Error> {
        self.violations.check()?;
        value.ok_or_else(|| Error::bug("a request was refused without a violation"))
    }

    /// Runs a parser and notes what it says.
    pub fn parse<T>(&mut self, field: &str, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|rule| self.bad(field, rule)).ok()
    }

    /// A field that must be there.
    pub fn need<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.bad(field, "is missing");
        }
        value
    }

    /// An id.
    pub fn id<T>(&mut self, field: &str, text: &str, wrap: impl Fn(Uuid) -> T) -> Option<T> {
        if text.is_empty() {
            self.bad(field, "is missing; give a UUID, version 7 advised");
            return None;
        }
        match Uuid::try_parse(text) {
            // The nil id stands for "not set" in too many systems.
            Ok(id) if !id.is_nil() && text.len() == HYPHENATED_LEN => Some(wrap(id)),
            _ => {
                self.bad(field, format!("{} is not a UUID with hyphens (RFC 9562)", quote(text)));
                None
            }
        }
    }

    /// An id that may be empty: `Some(None)` is empty, `None` is bad.
    pub fn optional_id<T>(&mut self, field: &str, text: &str, wrap: impl Fn(Uuid) -> T) -> Option<Option<T>> {
        if text.is_empty() { Some(None) } else { self.id(field, text, wrap).map(Some) }
    }

    /// A text that may be empty: `Some(None)` is empty, `None` is bad.
    pub fn optional<T>(
        &mut self,
        field: &str,
        text: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        if text.is_empty() { Some(None) } else { self.parse(field, parse(text)).map(Some) }
    }

    /// A value of an enum. Unspecified and unknown numbers are bad.
    pub fn choice<W: TryFrom<i32> + AsName, T>(
        &mut self,
        field: &str,
        number: i32,
        read: impl Fn(W) -> Option<T>,
    ) -> Option<T> {
        let known = W::try_from(number).ok();
        let name = known.as_ref().map_or_else(|| number.to_string(), |value| value.name().to_owned());
        let value = known.and_then(read);
        if value.is_none() {
            self.bad(field, format!("is {name}, which is not allowed here; see the enum's comments"));
        }
        value
    }

    /// A value of an enum, whichever but unspecified.
    pub fn specified<W: TryFrom<i32> + AsName + Into<i32> + Copy>(
        &mut self,
        field: &str,
        number: i32,
    ) -> Option<W> {
        self.choice(field, number, |value: W| Some(value).filter(|value| (*value).into() != 0))
    }

    /// A calendar day.
    pub fn date(&mut self, field: &str, date: Option<pb::Date>) -> Option<Date> {
        let date = self.need(field, date)?;
        let part = |value: i32| i8::try_from(value).ok();
        let made = match (i16::try_from(date.year), part(date.month), part(date.day)) {
            (Ok(year), Some(month), Some(day)) if YEARS.contains(&date.year) => {
                Date::new(year, month, day).ok()
            }
            _ => None,
        };
        if made.is_none() {
            let given = format!("{}-{}-{}", date.year, date.month, date.day);
            self.bad(field, format!("{given} is not a day from {} to {}", YEARS.start(), YEARS.end()));
        }
        made
    }

    /// A calendar day that may be absent: `Some(None)` is absent, `None` is bad.
    pub fn optional_date(&mut self, field: &str, date: Option<pb::Date>) -> Option<Option<Date>> {
        match date {
            None => Some(None),
            Some(date) => self.date(field, Some(date)).map(Some),
        }
    }

    /// A day that is at most [`EFFECTIVE_AHEAD_DAYS_MAX`] ahead of the server's.
    pub fn past_date(&mut self, field: &str, date: Option<pb::Date>, now: Timestamp) -> Option<Date> {
        let day = self.date(field, date)?;
        let today = now.to_zoned(TimeZone::UTC).date();
        let ahead = today.until(day).map_or(i64::MAX, |span| i64::from(span.get_days()));
        if self.is_edge() && EFFECTIVE_AHEAD_DAYS_MAX < ahead {
            let rule = format!(
                "{day} is in the future; the server's date is {today} UTC, at most \
                 {EFFECTIVE_AHEAD_DAYS_MAX} day ahead is allowed"
            );
            self.bad(field, rule);
            return None;
        }
        Some(day)
    }

    /// A positive amount in any currency.
    pub fn any_money(&mut self, field: &str, money: Option<&pb::Money>) -> Option<Money> {
        let money = self.need(field, money)?;
        let parsed = Currency::parse(&money.currency_code);
        let currency = self.parse(&format!("{field}.currency_code"), parsed);
        let amount = Amount::new(money.minor_units);
        if amount.is_none() {
            let given = money.minor_units;
            let rule = format!("is {given}; give minor units from 1 to {}", Amount::MAX);
            self.bad(format!("{field}.minor_units"), rule);
        }
        Some(Money { currency: currency?, amount: amount? })
    }

    /// A positive amount in the program's currency.
    pub fn amount(&mut self, field: &str, money: Option<&pb::Money>, currency: Currency) -> Option<Amount> {
        let given = money.and_then(|money| Currency::parse(&money.currency_code).ok());
        let money = self.any_money(field, money);
        // Told even when the amount is bad as well: the caller should hear of everything at once.
        if let Some(given) = given.filter(|given| *given != currency) {
            let rule = format!("is {given}, but the program's currency is {currency}");
            self.bad(format!("{field}.currency_code"), rule);
            return None;
        }
        Some(money?.amount)
    }

    /// Days from a first to a last one; without a last one they have no end.
    pub fn days(&mut self, field: &str, first: Option<pb::Date>, last: Option<pb::Date>) -> Option<Days> {
        let first = self.date(&format!("{field}first_day"), first);
        let last = self.optional_date(&format!("{field}last_day"), last);
        self.parse(&format!("{field}last_day"), Days::new(first?, last?))
    }

    /// A number within bounds.
    pub fn within<T: PartialOrd + fmt::Display + Copy>(
        &mut self,
        field: &str,
        value: T,
        low: T,
        high: T,
    ) -> Option<T> {
        if low <= value && value <= high {
            return Some(value);
        }
        self.bad(field, format!("is {value}; give {low} to {high}"));
        None
    }

    /// The paths of a mask: at least one, each of those that may be changed.
    pub fn mask(&mut self, mask: Option<&prost_types::FieldMask>, allowed: &[&str]) -> Option<Vec<String>> {
        let paths = mask.map_or(&[][..], |mask| mask.paths.as_slice());
        if paths.is_empty() {
            self.bad("update_mask", format!("is empty; name one or more of {}", allowed.join(", ")));
            return None;
        }
        let unknown = paths.iter().find(|path| !allowed.contains(&path.as_str()));
        if let Some(path) = unknown {
            let rule = format!("{} cannot be changed; only {}", quote(path), allowed.join(", "));
            self.bad("update_mask", rule);
            return None;
        }
        Some(paths.to_vec())
    }

    /// A span of whole seconds and nanoseconds within bounds, in seconds: `Some(None)` is absent, `None` is bad.
    pub fn span(
        &mut self,
        field: &str,
        sent: Option<prost_types::Duration>,
        seconds: std::ops::RangeInclusive<i64>,
    ) -> Option<Option<Duration>> {
        let Some(sent) = sent else { return Some(None) };
        let span = Duration::try_from(sent).ok();
        let (low, high) = (*seconds.start(), *seconds.end());
        let bounds = [low, high].map(|bound| Duration::from_secs(bound.unsigned_abs()));
        match span {
            Some(span) if bounds[0] <= span && span <= bounds[1] => Some(Some(span)),
            _ => {
                let rule = format!("is {}.{:09} s; give {low} to {high} s", sent.seconds, sent.nanos);
                self.bad(field, rule);
                None
            }
        }
    }

    /// The longest silence of a stream: what the caller says, or 15 seconds.
    pub fn progress_interval(&mut self, sent: Option<prost_types::Duration>) -> Option<Duration> {
        let span = self.span("progress_interval", sent, PROGRESS_SECONDS)?;
        Some(span.unwrap_or(PROGRESS_DEFAULT))
    }

    /// `min_revision` and its like.
    pub fn revision(&mut self, field: &str, revision: i64) -> Option<i64> {
        if revision < 0 {
            self.bad(field, format!("is {revision}; give 0 or more"));
            return None;
        }
        Some(revision)
    }

    /// Page size and token.
    pub fn page(&mut self, size: i32, token: &str) -> Option<PageRequest> {
        if size < 0 {
            self.bad("page_size", format!("is {size}; give 0 for the default or a number of rows"));
            return None;
        }
        let size = match u16::try_from(size) {
            Ok(0) => PageRequest::SIZE_DEFAULT,
            Ok(size) => size.min(PageRequest::SIZE_MAX),
            Err(_) => PageRequest::SIZE_MAX,
        };
        Some(PageRequest { size, token: token.to_owned() })
    }

    /// A depth limit that may be absent.
    pub fn depth(&mut self, field: &str, depth: Option<i32>) -> Option<Option<i32>> {
        if let Some(given) = depth.filter(|given| *given < 0) {
            self.bad(field, format!("is {given}; give 0 or more"));
            return None;
        }
        Some(depth)
    }
}

/// Wire enums know their names.
pub trait AsName {
    /// The name of the value in the proto file.
    fn name(&self) -> &'static str;
}

macro_rules! as_name {
    ($($kind:ty),+ $(,)?) => {$(
        impl AsName for $kind {
            fn name(&self) -> &'static str {
                self.as_str_name()
            }
        }
    )+};
}

as_name!(
    pb::AllocationPurpose,
    pb::CostCategory,
    pb::Delivery,
    pb::EvidenceType,
    pb::ExpendSource,
    pb::OrganizationKind,
    pb::PeriodState,
    pb::PushDown,
    pb::ReportProfile,
    pb::AccidentKind,
    pb::AccreditationLevel,
    pb::AccreditationState,
    pb::ActivityType,
    pb::AssetKind,
    pb::AssetState,
    pb::AssignmentState,
    pb::FindingReason,
    pb::HazardClass,
    pb::HoldReason,
    pb::InspectionResult,
    pb::MemberRole,
    pb::OrdnanceCategory,
    pb::OrdnanceCondition,
    pb::OrdnanceDisposal,
    pb::PersonGroup,
    pb::ReleaseType,
    pb::ReportKind,
    pb::ReportState,
    pb::SafetyStopCause,
    pb::SiteStatus,
    pb::SurveyKind,
    pb::SurveyResult,
    pb::SuspensionCause,
    pb::TaskState,
    pb::TeamState,
    pb::TeamType,
    pb::Terrain,
    pb::VictimOutcome,
);
