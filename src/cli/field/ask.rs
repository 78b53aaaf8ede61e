//! Capturing by questions: one line each, with what is known of the team's tasks and sites to choose from. Which questions
//! a kind has stands in tables; how each is asked, and asked again, is the same for all.

mod answers;
mod asking;
mod question;
mod questions;

use std::io::{BufRead, Write};

use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage as _};

use crate::cli::field::capture::Device;
use crate::error::StartError;
use crate::rpc::{DESCRIPTOR, pb};

use asking::Asking;
use question::Question;
use questions::{HEAD, HEAD_WITH_TASK, NOTE};

/// Kinds of reports that can be asked for: all that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// The work of a day
    Progress,
    /// What a survey found
    Survey,
    /// Ordnance that was found
    Ordnance,
    /// The work of a task is done
    Completion,
    /// A call for the disposal of single items
    SpotTask,
    /// An accident, an incident or a near miss
    Accident,
    /// A session of risk education
    RiskEducation,
    /// An inspection of quality
    Inspection,
    /// Money that the team spent for its task
    ExpenseClaim,
}

impl Kind {
    /// The field of the report that holds its body, and the questions of that.
    const fn body(self) -> (&'static str, &'static [Question]) {
        match self {
            Self::Progress => ("progress", questions::PROGRESS),
            Self::Survey => ("survey", questions::SURVEY),
            Self::Ordnance => ("ordnance", questions::ORDNANCE),
            Self::Completion => ("completion", questions::COMPLETION),
            Self::SpotTask => ("spot_task", questions::SPOT_TASK),
            Self::Accident => ("accident", questions::ACCIDENT),
            Self::RiskEducation => ("risk_education", questions::RISK_EDUCATION),
            Self::Inspection => ("inspection", questions::INSPECTION),
            Self::ExpenseClaim => ("expense_claim", questions::EXPENSE_CLAIM),
        }
    }

    /// The questions before those of the body. The work of a task says which.
    const fn head(self) -> &'static [Question] {
        match self {
            Self::Progress | Self::Survey | Self::Completion | Self::ExpenseClaim => HEAD_WITH_TASK,
            _ => HEAD,
        }
    }
}

/// Asks for a report.
pub(super) fn report(
    kind: Kind,
    device: &Device,
    answers: &mut dyn BufRead,
    questions: &mut dyn Write,
) -> Result<pb::FieldReport, StartError> {
    let mut asking = Asking::new(device, answers, questions)?;
    let mut report = empty("FieldReport")?;
    asking.fill(&mut report, kind.head())?;
    let (field, of_body) = kind.body();
    let field = report.descriptor().get_field_by_name(field).ok_or_else(|| unknown(field))?;
    let body = asking.part(&field, of_body)?;
    report.set_field(&field, body);
    asking.fill(&mut report, NOTE)?;
    report.transcode_to().map_err(|error| StartError::Refused(format!("the answers do not fit: {error}")))
}

/// A message of the contract in which nothing is set.
fn empty(name: &str) -> Result<DynamicMessage, StartError> {
    let pool = DescriptorPool::decode(DESCRIPTOR).map_err(|_| unknown(name))?;
    let of = pool.get_message_by_name(&format!("safelane.v1.{name}")).ok_or_else(|| unknown(name))?;
    Ok(DynamicMessage::new(of))
}

/// Excluded by a test of the tables.
fn unknown(name: &str) -> StartError {
    StartError::Refused(format!("the contract does not know {name}"))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use prost_reflect::{Kind as Type, MessageDescriptor};

    use super::question::How;
    use super::*;

    /// Every question is about a field of its message that can hold the answer.
    fn expect_fields(of: &MessageDescriptor, asked: &[Question]) {
        for question in asked {
            let name = question.field;
            let field = of.get_field_by_name(name).unwrap_or_else(|| panic!("{} has no {name}", of.name()));
            let (kind, listed) = (field.kind(), field.is_list());
            let message = || kind.as_message().expect("a message").clone();
            match question.how {
                How::Text { .. } | How::Task { .. } | How::Site { .. } | How::Id { .. } => {
                    assert!(kind == Type::String, "{name}");
                }
                How::Number { .. } | How::Minutes => {
                    assert!(matches!(kind, Type::Int32 | Type::Int64), "{name}");
                }
                How::Choice { .. } => assert!(kind.as_enum().is_some() && !listed, "{name}"),
                How::Choices { .. } => assert!(kind.as_enum().is_some() && listed, "{name}"),
                How::Yes => assert!(kind == Type::Bool, "{name}"),
                How::Day { .. } => assert_eq!(message().name(), "Date"),
                How::Position => assert_eq!(message().name(), "Position"),
                How::Money => assert_eq!(message().name(), "Money"),
                How::Part { of, .. } => expect_fields(&message(), of),
                How::Rows { of, .. } => {
                    assert!(listed, "{name}");
                    expect_fields(&message(), of);
                }
            }
        }
    }

    #[test]
    fn every_question_of_every_kind_fits_its_field() {
        let report = empty("FieldReport").unwrap().descriptor();
        let bodies = report.oneofs().next().unwrap();
        assert_eq!(bodies.fields().len(), Kind::value_variants().len(), "every kind is asked for");
        for kind in Kind::value_variants() {
            expect_fields(&report, kind.head());
            expect_fields(&report, NOTE);
            let (field, asked) = kind.body();
            let body = report.get_field_by_name(field).unwrap();
            expect_fields(body.kind().as_message().unwrap(), asked);
        }
    }
}
