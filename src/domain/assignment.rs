//! Assignments: which team is where, on which days, with what, and why it may not be.

pub mod ending;
pub mod facts;
pub mod gate;
pub mod joining;

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use crate::domain::ids::{AssetId, AssignmentId, OrganizationId, PersonId, ProgramId, TaskId, TeamId};
use crate::domain::text::{Reason, Title};
use crate::domain::words::words;

/// The most minutes to a hospital that can be written down: a day.
pub const EVACUATION_MINUTES_MAX: i32 = 1_440;

/// Who saves lives when something goes wrong (IMAS 10.40).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MedicalCover {
    /// A paramedic of the operator.
    pub paramedic: PersonId,
    /// An ambulance of the operator.
    pub ambulance: AssetId,
    /// Where an injured person is brought.
    pub hospital: Title,
    /// Minutes from the site to the hospital.
    pub evacuation_minutes: i32,
    /// Day of the last evacuation drill.
    pub drill_on: Option<Date>,
}

words! {
    /// What became of an assignment.
    AssignmentState {
        /// Is planned or going on.
        Standing = "STANDING",
        /// Was ended, with a last day that had passed.
        Ended = "ENDED",
        /// Was ended before its first day.
        Cancelled = "CANCELLED",
    }
}

words! {
    /// Why a team should not be sent.
    FindingReason {
        /// The team has another assignment.
        TeamBusy = "TEAM_BUSY",
        /// A member has another assignment, with another team.
        PersonBusy = "PERSON_BUSY",
        /// An asset has another assignment.
        AssetBusy = "ASSET_BUSY",
        /// Nobody is in the team on some day.
        TeamEmpty = "TEAM_EMPTY",
        /// The team is disbanded.
        TeamDisbanded = "TEAM_DISBANDED",
        /// The task does not take teams in its state.
        TaskState = "TASK_STATE",
        /// The task is not issued to the team's operator.
        OtherOperator = "OTHER_OPERATOR",
        /// A site of the task is suspended, closed or handed over.
        SiteState = "SITE_STATE",
        /// A safety stop is in force.
        SafetyStop = "SAFETY_STOP",
        /// A day is outside the task's days.
        OutsideTaskDays = "OUTSIDE_TASK_DAYS",
        /// The team is of another type than the task asks for.
        WrongTeamType = "WRONG_TEAM_TYPE",
        /// The operator has no licence for the task on some day.
        NotLicensed = "NOT_LICENSED",
        /// The operator is not accredited on some day.
        OrganizationNotAccredited = "ORGANIZATION_NOT_ACCREDITED",
        /// The team is not accredited on some day.
        TeamNotAccredited = "TEAM_NOT_ACCREDITED",
        /// A member is not accredited on some day.
        PersonNotAccredited = "PERSON_NOT_ACCREDITED",
        /// A member has not worked for too long and had no refresher.
        PersonStoodDown = "PERSON_STOOD_DOWN",
        /// The calibration, test or licence of an asset does not last.
        AssetInvalid = "ASSET_INVALID",
        /// An asset is withdrawn.
        AssetWithdrawn = "ASSET_WITHDRAWN",
        /// Paramedic, ambulance, hospital or minutes are missing.
        NoMedicalCover = "NO_MEDICAL_COVER",
        /// The person is not a paramedic of the operator on some day.
        ParamedicUnfit = "PARAMEDIC_UNFIT",
        /// The paramedic does other work on some day.
        ParamedicBusy = "PARAMEDIC_BUSY",
        /// The vehicle is not an ambulance in use.
        NotAnAmbulance = "NOT_AN_AMBULANCE",
        /// The ambulance covers as many tasks on some day as it may.
        AmbulanceFull = "AMBULANCE_FULL",
        /// The hospital is further than allowed.
        EvacuationTooLong = "EVACUATION_TOO_LONG",
        /// No evacuation drill was held by the first day.
        DrillMissing = "DRILL_MISSING",
    }
}

impl FindingReason {
    /// Whether a coordinator may send the team all the same. Nobody can be in two places, nobody is sent where work
    /// is stopped, and nobody works without medical cover.
    #[must_use]
    pub const fn overridable(self) -> bool {
        matches!(
            self,
            Self::OutsideTaskDays
                | Self::WrongTeamType
                | Self::NotLicensed
                | Self::OrganizationNotAccredited
                | Self::TeamNotAccredited
                | Self::PersonNotAccredited
                | Self::PersonStoodDown
                | Self::AssetInvalid
                | Self::ParamedicUnfit
                | Self::ParamedicBusy
                | Self::AmbulanceFull
                | Self::EvacuationTooLong
                | Self::DrillMissing
        )
    }
}

/// One reason why a team should not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// For programs.
    pub reason: FindingReason,
    /// For people: what, whose, which day, and the way out. It is recorded when it is overridden, so persons are told by
    /// their ids.
    pub text: String,
    /// The team, person, asset, site, task, organization or safety stop that it is about.
    pub subject: Uuid,
    /// First day on which it stands in the way.
    pub first_day: Option<Date>,
    /// The assignment that is in the way.
    pub blocking: Option<AssignmentId>,
}

/// A coordinator's decision to send a team all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Why.
    pub reason: Reason,
    /// Who decided.
    pub by: String,
    /// What was overridden.
    pub findings: Vec<Finding>,
}

/// A member of the team on days of an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssignedPerson {
    /// The person.
    pub person: PersonId,
    /// From when.
    pub first_day: Date,
    /// Until when, inclusive.
    pub last_day: Date,
}

/// A team that is sent to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Its id.
    pub id: AssignmentId,
    /// The team.
    pub team: TeamId,
    /// The team's operator.
    pub organization: OrganizationId,
    /// The task's program.
    pub program: ProgramId,
    /// The task.
    pub task: TaskId,
    /// First day on the task, in the country of its sites.
    pub first_day: Date,
    /// Last day on the task, inclusive.
    pub last_day: Date,
    /// What the team takes along.
    pub assets: Vec<AssetId>,
    /// Who saves lives.
    pub medical_cover: MedicalCover,
    /// What was overridden.
    pub overridden: Option<Override>,
    /// Why it was ended.
    pub end_reason: Option<Reason>,
    /// Who works, on which days.
    pub people: Vec<AssignedPerson>,
    /// What became of it.
    pub state: AssignmentState,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Revision of the operator's journal at the last change.
    pub revision: i64,
}
