//! What a question is: about which field, when it is asked, and how its answer is read.

use prost_reflect::DynamicMessage;

/// A question about one field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    /// The field.
    pub(super) field: &'static str,
    /// The question, without what may be answered.
    pub(super) ask: &'static str,
    /// How the answer is read.
    pub(super) how: How,
    /// Whether it is asked, by what was answered of the same message.
    pub(super) when: fn(&DynamicMessage) -> bool,
}

/// How an answer is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    /// A text of so many characters.
    Text { least: usize, most: usize },
    /// A whole number; nothing stands for 0 where that is allowed.
    Number { least: i64, most: i64 },
    /// Minutes of as many people as the field `people` says.
    Minutes,
    /// One value of an enumeration, by its place in the list or in words.
    Choice { needed: bool, without: &'static [i32] },
    /// Several values of an enumeration, each once.
    Choices { most: usize },
    /// Yes or no.
    Yes,
    /// A day from that year on.
    Day { needed: bool, from_year: i16 },
    /// A task that the team feed knows, or any id.
    Task { needed: bool },
    /// A site that the team feed knows, or any id.
    Site { needed: bool },
    /// A UUID.
    Id { needed: bool },
    /// A point on the ground.
    Position,
    /// An amount in a currency.
    Money,
    /// A message of its own, if the first question is answered with yes, or always when there is none.
    Part { first: &'static str, of: &'static [Question] },
    /// A list: whether there is another one is asked before each, but for those that are needed.
    Rows { least: usize, most: usize, more: &'static str, of: &'static [Question] },
}

/// A question that is always asked.
pub(super) const fn ask(field: &'static str, ask: &'static str, how: How) -> Question {
    Question { field, ask, how, when: |_| true }
}

/// A question that is asked only when something else was answered before.
pub(super) const fn when(when: fn(&DynamicMessage) -> bool, question: Question) -> Question {
    Question { when, ..question }
}

pub(super) const fn text(field: &'static str, asked: &'static str, least: usize, most: usize) -> Question {
    ask(field, asked, How::Text { least, most })
}

pub(super) const fn number(field: &'static str, asked: &'static str, least: i64, most: i64) -> Question {
    ask(field, asked, How::Number { least, most })
}

pub(super) const fn choice(field: &'static str, asked: &'static str) -> Question {
    ask(field, asked, How::Choice { needed: true, without: &[] })
}

pub(super) const fn optional_choice(field: &'static str, asked: &'static str) -> Question {
    ask(field, asked, How::Choice { needed: false, without: &[] })
}

pub(super) fn number_in(of: &DynamicMessage, field: &str) -> i64 {
    of.get_field_by_name(field)
        .and_then(|value| value.as_i64().or(value.as_i32().map(i64::from)))
        .unwrap_or(0)
}

pub(super) fn chosen(of: &DynamicMessage, field: &str, value: impl Into<i32>) -> bool {
    let value = value.into();
    of.get_field_by_name(field).is_some_and(|chosen| chosen.as_enum_number() == Some(value))
}
