//! Field reports: what a team did, found or saw on a day, as its device wrote it.
//!
//! A report is stored even when it breaks a rule of the work, because a tablet has nowhere else to put it: the rules only
//! say why it is held ([`quarantine`]). What a rule needs of a report is in its [`Claims`]; all of it is in `content`,
//! which was checked when it was read.

pub mod clock;
pub mod credit;
pub mod filing;
pub mod halt;
pub mod media;
pub mod outputs;
pub mod quarantine;
pub mod reference;
pub mod review;
pub mod sequence;

use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::activity::ActivityType;
use crate::domain::entry::CostCategory;
use crate::domain::field_report::clock::DeviceClock;
use crate::domain::field_report::outputs::Outputs;
use crate::domain::field_report::review::Reviewed;
use crate::domain::geometry::Outline;
use crate::domain::ids::{
    DeviceId, ObligationId, OrganizationId, ProgramId, ReportId, SiteId, TaskId, TeamId, VictimId,
};
use crate::domain::money::Money;
use crate::domain::personal::Details;
use crate::domain::safety_stop::SafetyStopCause;
use crate::domain::site::{Position, ReleaseType};
use crate::domain::text::{Note, Reference, Source, Title};
use crate::domain::words::words;

words! {
    /// Which body a report has.
    ReportKind {
        /// The work of a day.
        Progress = "PROGRESS",
        /// A survey of a site.
        Survey = "SURVEY",
        /// Ordnance that was found.
        Ordnance = "ORDNANCE",
        /// The end of the work of a task.
        Completion = "COMPLETION",
        /// The disposal of single items.
        SpotTask = "SPOT_TASK",
        /// An accident, an incident or a near miss.
        Accident = "ACCIDENT",
        /// A session of risk education.
        RiskEducation = "RISK_EDUCATION",
        /// An inspection of quality.
        Inspection = "INSPECTION",
        /// Money that a team spent.
        ExpenseClaim = "EXPENSE_CLAIM",
    }
}

impl ReportKind {
    /// Whether a team writes one a day for a task, so that a second one is most likely the same work again. Of the
    /// others there are several on a busy day.
    #[must_use]
    pub const fn is_daily(self) -> bool {
        matches!(self, Self::Progress | Self::Survey | Self::Completion | Self::Inspection)
    }

    /// Whether a second one that tells the same is the same again on whichever day: a receipt is paid once.
    #[must_use]
    pub const fn is_once_a_task(self) -> bool {
        matches!(self, Self::ExpenseClaim)
    }

    /// Whether it is nothing without a task. The others happen on the road, too.
    #[must_use]
    pub const fn needs_task(self) -> bool {
        matches!(self, Self::Progress | Self::Survey | Self::Completion | Self::ExpenseClaim)
    }

    /// Whether it is about work on the ground of a task.
    #[must_use]
    pub const fn is_field_work(self) -> bool {
        matches!(self, Self::Progress | Self::Survey | Self::Ordnance | Self::Completion)
    }

    /// Whether it is about work that a safety stop halts. A demolition is such work wherever it is done.
    #[must_use]
    pub const fn is_halted_by_stops(self) -> bool {
        self.is_field_work() || matches!(self, Self::SpotTask)
    }
}

words! {
    /// What became of a report that was sent.
    ReportOutcome {
        /// A new report.
        Stored = "STORED",
        /// The same content as before.
        AlreadyStored = "ALREADY_STORED",
        /// A version that replaces its base.
        NewVersion = "NEW_VERSION",
        /// Stored, in quarantine.
        Held = "HELD",
    }
}

words! {
    /// Where a report is on its way.
    ReportState {
        /// Stored; waits for a reviewer.
        Received = "RECEIVED",
        /// Stored in quarantine.
        Held = "HELD",
        /// A reviewer took it.
        UnderReview = "UNDER_REVIEW",
        /// Waits for a new version from its device.
        Returned = "RETURNED",
        /// Counts, for good.
        Approved = "APPROVED",
        /// Does not count, for good.
        Rejected = "REJECTED",
        /// Was approved, and what it moved was moved back.
        Voided = "VOIDED",
    }
}

words! {
    /// Why a report is in quarantine.
    HoldReason {
        /// The team is not one of the operator.
        UnknownTeam = "UNKNOWN_TEAM",
        /// The task was not ordered from the operator.
        UnknownTask = "UNKNOWN_TASK",
        /// A site is not one of the task.
        UnknownSite = "UNKNOWN_SITE",
        /// No assignment sent the team to the task on that day.
        NotAssigned = "NOT_ASSIGNED",
        /// Team or operator were not accredited on that day.
        AccreditationLapsed = "ACCREDITATION_LAPSED",
        /// The task has no medical cover.
        NoMedicalCover = "NO_MEDICAL_COVER",
        /// A safety stop was in force on that day.
        AfterSafetyStop = "AFTER_SAFETY_STOP",
        /// The task was not begun, or is over.
        TaskNotAtWork = "TASK_NOT_AT_WORK",
        /// The day has not come at the site.
        FutureDate = "FUTURE_DATE",
        /// The day is before 1990.
        ImplausibleDate = "IMPLAUSIBLE_DATE",
        /// There is another report of the same team, task, day and kind; where several a day are usual, one that tells the
        /// same.
        PossibleDuplicate = "POSSIBLE_DUPLICATE",
        /// More land than the people and machines can have released.
        ImplausibleArea = "IMPLAUSIBLE_AREA",
        /// More land than the site has left.
        AreaBeyondSite = "AREA_BEYOND_SITE",
        /// The base of this version has not arrived.
        BaseMissing = "BASE_MISSING",
        /// The device sent something else under this number.
        SequenceReused = "SEQUENCE_REUSED",
        /// The position is far from the site.
        FarFromSite = "FAR_FROM_SITE",
        /// An attachment is not what it says.
        MediaType = "MEDIA_TYPE",
    }
}

words! {
    /// How hard ground is to search.
    Terrain {
        /// Flat and open.
        Open = "OPEN",
        /// Under bush or trees.
        Vegetated = "VEGETATED",
        /// A slope.
        Steep = "STEEP",
        /// Among buildings.
        Urban = "URBAN",
        /// Rock, or soil full of metal.
        Hard = "HARD",
    }
}

impl ReportState {
    /// Whether no further version is taken.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Approved | Self::Rejected | Self::Voided)
    }
}

/// The greatest version that a new one may replace.
pub const BASE_VERSION_MAX: i32 = 10_000;

/// One reason of a quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The reason.
    pub reason: HoldReason,
    /// What is wrong, with the figures, and what to do.
    pub text: String,
    /// What stands in the way, such as the other report.
    pub subject: Option<uuid::Uuid>,
}

/// A file that belongs to a report, by its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// Bytes.
    pub size: i64,
    /// What it says it is.
    pub media_type: String,
    /// A name for people.
    pub name: String,
}

/// A part of a site that a report says was released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedArea {
    /// The site.
    pub site: SiteId,
    /// How.
    pub release: ReleaseType,
    /// Square metres.
    pub area_m2: i64,
    /// Depth to which it was cleared, in centimetres; 0 when it was not cleared.
    pub depth_cm: i32,
    /// Its outline, if it was measured.
    pub outline: Option<Outline>,
}

/// The end of the work of a task, as its team tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedCompletion {
    /// Number of the completion report.
    pub reference: Source,
    /// What was not done and why.
    pub not_done: Note,
}

/// Which bucket is to pay a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimedSource {
    /// The available money of the task's allocation.
    Available,
    /// The unpaid part of an obligation.
    Obligated(ObligationId),
    /// The advance on an obligation.
    Advanced(ObligationId),
}

/// Money that a team spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedExpense {
    /// Which bucket is to pay.
    pub source: ClaimedSource,
    /// How much.
    pub amount: Money,
    /// What for.
    pub category: CostCategory,
    /// Who was paid.
    pub payee: Title,
    /// Number of the receipt.
    pub reference: Reference,
}

/// What a report says that rules look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// The method of the day.
    pub activity: Option<ActivityType>,
    /// Sites that are named.
    pub sites: BTreeSet<SiteId>,
    /// Land that was released.
    pub areas: Vec<ClaimedArea>,
    /// How hard the ground is, if it was noted.
    pub terrain: Option<Terrain>,
    /// People who search ground, by the rows of hours.
    pub searchers: i64,
    /// Minutes of all of them.
    pub search_minutes: i64,
    /// Minutes of machines.
    pub machine_minutes: i64,
    /// Why it asks for a safety stop at once, if it does.
    pub halts: Option<SafetyStopCause>,
    /// What it counts for once it is approved.
    pub outputs: Outputs,
    /// That the work is done.
    pub completion: Option<ClaimedCompletion>,
    /// Money to pay.
    pub expense: Option<ClaimedExpense>,
}

/// A report as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldReport {
    /// Its id, the same in all versions.
    pub id: ReportId,
    /// The device that wrote it.
    pub device: DeviceId,
    /// Its number among what the device sent.
    pub sequence: i64,
    /// The team.
    pub team: TeamId,
    /// The task, if it belongs to one.
    pub task: Option<TaskId>,
    /// Day of the work.
    pub work_date: Date,
    /// The device's clock when it was written.
    pub captured: DeviceClock,
    /// Where the device was.
    pub position: Option<Position>,
    /// The version that it replaces; 0 for the first.
    pub base_version: i32,
    /// Which body it has.
    pub kind: ReportKind,
    /// Files that belong to it.
    pub attachments: Vec<Attachment>,
    /// What rules look at.
    pub claims: Claims,
    /// Details of victims that came with it: no part of its content.
    pub personal: Vec<(VictimId, Details)>,
    /// The whole message, without personal data.
    pub content: Bytes,
    /// SHA-256 of it.
    pub content_sha256: [u8; 32],
}

/// Declared files, and whether they are there.
pub type AttachmentStates = Vec<([u8; 32], bool)>;

/// What the server has for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The report.
    pub report: ReportId,
    /// The version that was stored.
    pub version: i32,
    /// SHA-256 of its content.
    pub content_sha256: [u8; 32],
    /// Files that it declared.
    pub attachments: AttachmentStates,
    /// When the server got it.
    pub received_at: Timestamp,
    /// Revision of the operator's journal.
    pub revision: i64,
    /// State of the report now.
    pub state: ReportState,
}

/// A version of a report with what the server knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReport {
    /// Its id.
    pub id: ReportId,
    /// The operator in whose journal it is.
    pub operator: OrganizationId,
    /// Program of its task, if that is known.
    pub program: Option<ProgramId>,
    /// Which body it has.
    pub kind: ReportKind,
    /// This version.
    pub version: i32,
    /// The newest one.
    pub newest_version: i32,
    /// The message.
    pub content: Bytes,
    /// SHA-256 of it.
    pub content_sha256: [u8; 32],
    /// Where the report is.
    pub state: ReportState,
    /// Why it is, or was, in quarantine.
    pub holds: Vec<Hold>,
    /// Declared files, and whether they are there.
    pub attachments: AttachmentStates,
    /// When the server got it.
    pub received_at: Timestamp,
    /// Who sent it.
    pub received_by: String,
    /// How many milliseconds the device's clock was ahead.
    pub clock_offset_ms: Option<i64>,
    /// The server's estimate of when it was written.
    pub captured_at: Option<Timestamp>,
    /// Why a coordinator amended the report by this version; empty for one that a device sent.
    pub amendment: String,
    /// What was decided about the report last.
    pub reviewed: Reviewed,
    /// Revision of the operator's journal at the last change.
    pub revision: i64,
}
