//! Tasks: orders to work on sites, each paid by one allocation. What may follow what is in [`transitions`], what a plan
//! needs and how it may change in [`plan`], what work needs in [`work`].

pub mod plan;
pub mod transitions;
pub mod work;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::activity::ActivityType;
use crate::domain::assignment::MedicalCover;
use crate::domain::field_report::outputs::Outputs;
use crate::domain::ids::{AllocationId, OrganizationId, ProgramId, SafetyStopId, ScopeId, SiteId, TaskId};
use crate::domain::site::SuspensionCause;
use crate::domain::team::TeamType;
use crate::domain::text::{Code, CountryCode, Note, Reference, Source, Text, Title};
use crate::domain::words::words;

words! {
    /// How far a task is.
    TaskState {
        /// Is being written.
        Draft = "DRAFT",
        /// Has everything that an order needs.
        Planned = "PLANNED",
        /// Was ordered from an operator.
        Issued = "ISSUED",
        /// Was accepted by the operator.
        Accepted = "ACCEPTED",
        /// Has a prepared site, medical cover and an evacuation drill.
        Mobilised = "MOBILISED",
        /// Is being worked on.
        Active = "ACTIVE",
        /// Stands still.
        Suspended = "SUSPENDED",
        /// Has a completion report.
        Completed = "COMPLETED",
        /// Passed quality control.
        QcPassed = "QC_PASSED",
        /// Failed quality control.
        QcFailed = "QC_FAILED",
        /// Has its land back with its users.
        HandedOver = "HANDED_OVER",
        /// Has ended.
        Closed = "CLOSED",
        /// Was given up.
        Cancelled = "CANCELLED",
    }
}

/// What a team is to know, at most 10,000 characters.
pub type Instructions = Text<0, 10_000>;

/// An order to work on sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The program in whose journal it is.
    pub program: ProgramId,
    /// What it is to be; may change until it is issued, and partly after that.
    pub plan: TaskPlan,
    /// How far it is.
    pub state: TaskState,
    /// The authority of its sites.
    pub authority: Option<OrganizationId>,
    /// The country of its sites.
    pub country: Option<CountryCode>,
    /// Number of the dossier.
    pub order_reference: Reference,
    /// Medical cover since it was mobilised.
    pub medical_cover: Option<MedicalCover>,
    /// Why it is suspended, and to which state it goes back.
    pub suspension: Option<(SuspensionCause, TaskState)>,
    /// The operator's report that the work is done.
    pub completion: Option<Completion>,
    /// Inspections, the oldest first.
    pub quality_controls: Vec<QualityControl>,
    /// Day of the handover certificate.
    pub handed_over_on: Option<Date>,
    /// Safety stops that are in force for it.
    pub safety_stops: Vec<SafetyStopId>,
    /// What its approved reports count for.
    pub approved: Outputs,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Revision of the program's journal at the last change.
    pub revision: i64,
}

impl Task {
    /// Whether it was ordered from its operator, whatever became of it since.
    #[must_use]
    pub fn is_issued(&self) -> bool {
        !self.order_reference.as_str().is_empty()
    }

    /// The journals that hold its changes: the program's first, and the operator's once it is issued.
    #[must_use]
    pub fn scopes(&self) -> Vec<ScopeId> {
        let operator = self.plan.operator.filter(|_| self.is_issued());
        std::iter::once(self.program.scope()).chain(operator.map(OrganizationId::scope)).collect()
    }
}

/// The journals of tasks, each once, in order.
#[must_use]
pub fn scopes_of(tasks: &[Task]) -> Vec<ScopeId> {
    let mut scopes: Vec<ScopeId> = tasks.iter().flat_map(Task::scopes).collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// What is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPlan {
    /// The allocation that pays for it.
    pub allocation: Option<AllocationId>,
    /// Its code, unique in the program.
    pub code: Code,
    /// For people.
    pub title: Title,
    /// Where, in the order of the plan.
    pub sites: Vec<SiteId>,
    /// The method.
    pub activity: Option<ActivityType>,
    /// Depth to clear to, in centimetres; 0 for none.
    pub depth_cm: i32,
    /// Square metres; 0 for none.
    pub planned_area_m2: i64,
    /// The type of team that is asked for; none takes any.
    pub team_type: Option<TeamType>,
    /// First day of work.
    pub first_day: Option<Date>,
    /// Last day of work.
    pub last_day: Option<Date>,
    /// Who is to do it.
    pub operator: Option<OrganizationId>,
    /// What the team is to know.
    pub instructions: Instructions,
}

impl TaskPlan {
    /// A plan that lacks everything that may be missing.
    #[must_use]
    pub fn new(code: Code, title: Title) -> Self {
        Self {
            allocation: None,
            code,
            title,
            sites: Vec::new(),
            activity: None,
            depth_cm: 0,
            planned_area_m2: 0,
            team_type: None,
            first_day: None,
            last_day: None,
            operator: None,
            instructions: Instructions::default(),
        }
    }
}

/// The operator's report that the work is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The last day of work.
    pub completed_on: Date,
    /// Number of the report.
    pub reference: Source,
    /// What was not done and why.
    pub not_done: Note,
}

/// An inspection of completed work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualityControl {
    /// The day of the inspection.
    pub inspected_on: Date,
    /// Whether the work was accepted.
    pub passed: bool,
    /// Number of the report.
    pub reference: Source,
    /// Area that was inspected.
    pub sampled_m2: i64,
    /// Remarks.
    pub remarks: Note,
}

#[cfg(test)]
pub(in crate::domain) mod tests {
    use uuid::Uuid;

    use super::*;

    /// A draft that lacks everything that may be missing.
    pub(in crate::domain) fn task() -> Task {
        let plan = TaskPlan::new(Code::parse("T-0107").unwrap(), Title::parse("Clear the well").unwrap());
        Task {
            id: TaskId::new(Uuid::from_u128(7)),
            program: ProgramId::new(Uuid::from_u128(1)),
            plan,
            state: TaskState::Draft,
            authority: None,
            country: None,
            order_reference: Reference::parse("").unwrap(),
            medical_cover: None,
            suspension: None,
            completion: None,
            quality_controls: Vec::new(),
            handed_over_on: None,
            safety_stops: Vec::new(),
            approved: Outputs::default(),
            created_at: Timestamp::UNIX_EPOCH,
            revision: 1,
        }
    }

    #[test]
    fn an_operator_hears_of_a_task_once_it_is_issued() {
        let mut task = task();
        let operator = OrganizationId::new(Uuid::from_u128(2));
        task.plan.operator = Some(operator);
        assert_eq!(task.scopes(), [task.program.scope()]);
        task.order_reference = Reference::parse("D-1").unwrap();
        assert_eq!(task.scopes(), [task.program.scope(), operator.scope()]);
    }
}
