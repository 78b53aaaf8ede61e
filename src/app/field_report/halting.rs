//! Safety stops that reports ask for. A stop is raised after its report is durable and before that is acknowledged: a
//! tablet that was not answered sends the report again, and the stop is raised then. A report raises it once for each task
//! that its versions name.

use crate::app::App;
use crate::app::change::Request;
use crate::app::safety_stop::{Halt, Halted};
use crate::app::token::Filter;
use crate::domain::caller::Caller;
use crate::domain::field_report::FieldReport;
use crate::domain::field_report::reference::reference;
use crate::domain::ids::{OrganizationId, ReportId, SafetyStopId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::safety_stop::{SafetyStopCause, StopTarget};
use crate::domain::text::Reason;
use crate::error::Error;
use crate::store::safety_stop::find_stop;
use crate::store::task::find_task;

/// A safety stop that a report asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    report: ReportId,
    task: TaskId,
    cause: SafetyStopCause,
    reason: String,
}

impl Asked {
    /// What a report asks for, if it does and names a task.
    pub(super) fn by(report: &FieldReport) -> Option<Self> {
        let (cause, task) = (report.claims.halts?, report.task?);
        let (name, day) = (reference(report.id), report.work_date);
        let reason =
            format!("field report {name} of {day} ({}) asks for it; report_id {}", report.kind, report.id);
        Some(Self { report: report.id, task, cause, reason })
    }
}

impl App {
    /// Raises a stop, if the task was ordered from the operator. Whoever reports for it may stop its work.
    pub(super) async fn halt(
        &self,
        caller: &Caller,
        operator: OrganizationId,
        asked: Asked,
    ) -> Result<(), Error> {
        let found = find_task(self.store.pool(), asked.task).await?;
        let ordered =
            |task: &crate::domain::task::Task| task.is_issued() && task.plan.operator == Some(operator);
        let Some(task) = found.filter(ordered) else { return Ok(()) };
        let target = StopTarget::Task(task.program, task.id);
        let of =
            Filter::of(&[b"stop by a report", asked.report.uuid().as_bytes(), asked.task.uuid().as_bytes()]);
        let id = SafetyStopId::new(self.sealer.id(of));
        // Whatever became of it since: this report has stopped this task.
        if find_stop(self.store.pool(), id).await?.is_some() {
            return Ok(());
        }
        let halt = Halt {
            id,
            what: Halted::Task(task.program, task.id),
            cause: asked.cause,
            reason: Reason::parse(&asked.reason).map_err(Error::bug)?,
        };
        let request = Request {
            id: halt.id.uuid(),
            kind: Kind::SafetyStop,
            method: "TaskService/IssueSafetyStop",
            message: (self.codec.encode_halt)(&halt).into(),
        };
        match self.raise_stop(caller, request, halt, target).await {
            // The same report by another way, at the same moment.
            Ok(_) | Err(Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
