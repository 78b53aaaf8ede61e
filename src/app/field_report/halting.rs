//! Safety stops that reports ask for. A stop is raised after its report is durable and before that is acknowledged: a
//! tablet that was not answered sends the report again, and the stop is raised then. A report raises it once for each task
//! that its versions name.

use crate::app::App;
use crate::app::change::Request;
use crate::app::safety_stop::{Halt, Halted};
use crate::app::token::Filter;
use crate::domain::caller::Caller;
use crate::domain::field_report::halt::HaltAnswer;
use crate::domain::field_report::reference::reference;
use crate::domain::field_report::{FieldReport, ReportKind, StoredReport};
use crate::domain::ids::{OrganizationId, ProgramId, ReportId, SafetyStopId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::safety_stop::{SafetyStop, SafetyStopCause, StopTarget};
use crate::domain::text::Reason;
use crate::error::Error;
use crate::store::safety_stop::find_stop;
use crate::store::task::find_task;

/// A safety stop that a report asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    report: ReportId,
    task: Option<TaskId>,
    cause: SafetyStopCause,
    reason: String,
}

impl Asked {
    /// What a report asks for, if it does.
    pub(super) fn by(report: &FieldReport) -> Option<Self> {
        let cause = report.claims.halts?;
        let (name, day) = (reference(report.id), report.work_date);
        let reason =
            format!("field report {name} of {day} ({}) asks for it; report_id {}", report.kind, report.id);
        Some(Self { report: report.id, task: report.task, cause, reason })
    }
}

/// What is there of a stop that was asked for.
enum Found {
    /// Nothing more is to be done.
    Answer(HaltAnswer),
    /// It is to be raised, under this id.
    Missing(ProgramId, TaskId, SafetyStopId),
}

fn answer_of(stop: &SafetyStop) -> HaltAnswer {
    if stop.lifted.is_some() { HaltAnswer::Lifted(stop.id) } else { HaltAnswer::InForce(stop.id) }
}

impl App {
    /// What became of the stop that a stored version asks for; none when it asks for none.
    ///
    /// # Errors
    /// Fails when the database does.
    pub async fn halt_answer(&self, stored: &StoredReport) -> Result<Option<HaltAnswer>, Error> {
        if !matches!(stored.kind, ReportKind::Accident | ReportKind::Inspection) {
            return Ok(None);
        }
        let Some(asked) = Asked::by(&(self.codec.read_report)(&stored.content)?) else { return Ok(None) };
        Ok(Some(match self.find_halt(stored.operator, &asked).await? {
            Found::Answer(answer) => answer,
            Found::Missing(..) => HaltAnswer::NotYet,
        }))
    }

    /// Whatever became of a stop since: it is raised once.
    async fn find_halt(&self, operator: OrganizationId, asked: &Asked) -> Result<Found, Error> {
        let Some(task) = asked.task else { return Ok(Found::Answer(HaltAnswer::NoTask)) };
        let of = Filter::of(&[b"stop by a report", asked.report.uuid().as_bytes(), task.uuid().as_bytes()]);
        let id = SafetyStopId::new(self.sealer.id(of));
        if let Some(stop) = find_stop(self.store.pool(), id).await? {
            return Ok(Found::Answer(answer_of(&stop)));
        }
        let found = find_task(self.store.pool(), task).await?;
        let ordered = found.filter(|task| task.is_issued() && task.plan.operator == Some(operator));
        Ok(match ordered {
            Some(task) => Found::Missing(task.program, task.id, id),
            None => Found::Answer(HaltAnswer::NotOrdered),
        })
    }

    /// Raises a stop, if the task was ordered from the operator. Whoever reports for it may stop its work.
    pub(super) async fn halt(
        &self,
        caller: &Caller,
        operator: OrganizationId,
        asked: Asked,
    ) -> Result<HaltAnswer, Error> {
        let (program, task, id) = match self.find_halt(operator, &asked).await? {
            Found::Answer(answer) => return Ok(answer),
            Found::Missing(program, task, id) => (program, task, id),
        };
        let halt = Halt {
            id,
            what: Halted::Task(program, task),
            cause: asked.cause,
            reason: Reason::parse(&asked.reason).map_err(Error::bug)?,
        };
        let request = Request {
            id: id.uuid(),
            kind: Kind::SafetyStop,
            method: "TaskService/IssueSafetyStop",
            message: (self.codec.encode_halt)(&halt).into(),
        };
        match self.raise_stop(caller, request, halt, StopTarget::Task(program, task)).await {
            // The same report by another way, at the same moment.
            Ok(_) | Err(Error::AlreadyExists { .. }) => Ok(HaltAnswer::InForce(id)),
            Err(error) => Err(error),
        }
    }
}
