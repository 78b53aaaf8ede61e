//! Field reports: what a team did, found or saw on a day, as its device wrote it.
//!
//! A report is stored even when it breaks a rule of the work, because a tablet has nowhere else to put it: the rules only
//! say why it is held ([`quarantine`]). What a rule needs of a report is in its [`Claims`]; all of it is in `content`,
//! which was checked when it was read.

pub mod quarantine;
pub mod reference;
pub mod sequence;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::activity::ActivityType;
use crate::domain::ids::{DeviceId, OrganizationId, ProgramId, ReportId, SiteId, TaskId, TeamId};
use crate::domain::site::{Position, ReleaseType};
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

    /// Whether it is about work on hazardous ground.
    #[must_use]
    pub const fn is_field_work(self) -> bool {
        matches!(self, Self::Progress | Self::Survey | Self::Ordnance | Self::Completion)
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
        /// There is another report of the same team, task, day and kind.
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

/// What a device believes about time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceClock {
    /// Its wall clock.
    pub wall_time: Timestamp,
    /// Minutes of its time zone from UTC.
    pub utc_offset_minutes: i32,
    /// Time since it was switched on.
    pub elapsed: Option<Duration>,
    /// Names the time since it was switched on.
    pub boot_id: String,
    /// Time of the last fix.
    pub gnss_time: Option<Timestamp>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimedArea {
    /// The site.
    pub site: SiteId,
    /// How.
    pub release: ReleaseType,
    /// Square metres.
    pub area_m2: i64,
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
    /// Minutes of people who search: deminers, dog handlers, machine operators.
    pub search_minutes: i64,
    /// Minutes of machines.
    pub machine_minutes: i64,
    /// Whether it asks for a safety stop at once.
    pub halts_work: bool,
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
    /// The whole message, without personal data.
    pub content: Bytes,
    /// SHA-256 of it.
    pub content_sha256: [u8; 32],
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
    pub attachments: Vec<([u8; 32], bool)>,
    /// When the server got it.
    pub received_at: Timestamp,
    /// Who sent it.
    pub received_by: String,
    /// How many milliseconds the device's clock was ahead.
    pub clock_offset_ms: Option<i64>,
    /// The server's estimate of when it was written.
    pub captured_at: Option<Timestamp>,
    /// Revision of the operator's journal at the last change.
    pub revision: i64,
}

/// How far a device's clock was ahead of the server's when it sent, in milliseconds. Travel counts as if there were none:
/// it is seconds, and clocks are wrong by days.
#[must_use]
pub fn clock_offset_ms(sent: &DeviceClock, received_at: Timestamp) -> i64 {
    sent.wall_time.as_millisecond() - received_at.as_millisecond()
}

/// When a report was written, by the server's clock. The clock that nobody can set is better than the wall clock, if the
/// device was not switched off in between; a fix of a satellite is better than both.
#[must_use]
pub fn captured_at(
    captured: &DeviceClock,
    sent: Option<&DeviceClock>,
    received_at: Timestamp,
) -> Option<Timestamp> {
    if let Some(fix) = captured.gnss_time {
        return Some(fix);
    }
    let sent = sent?;
    let same_boot = !captured.boot_id.is_empty() && captured.boot_id == sent.boot_id;
    if same_boot && let (Some(then), Some(now)) = (captured.elapsed, sent.elapsed) {
        let ago = now.checked_sub(then)?;
        return received_at.checked_sub(ago).ok();
    }
    let offset = jiff::SignedDuration::from_millis(clock_offset_ms(sent, received_at));
    captured.wall_time.checked_sub(offset).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(wall: &str, elapsed: Option<u64>, boot: &str) -> DeviceClock {
        DeviceClock {
            wall_time: wall.parse().unwrap(),
            utc_offset_minutes: 120,
            elapsed: elapsed.map(Duration::from_secs),
            boot_id: boot.to_owned(),
            gnss_time: None,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_wrong_clock_is_put_right_by_what_it_says_when_it_sends() {
        // Nine days offline, with a clock that was reset to 1970.
        let captured = clock("1970-01-01T08:00:00Z", None, "");
        let sent = clock("1970-01-10T08:00:00Z", None, "");
        let received = at("2026-05-10T12:00:00Z");
        assert_eq!(captured_at(&captured, Some(&sent), received), Some(at("2026-05-01T12:00:00Z")));
        assert_eq!(captured_at(&captured, None, received), None);
    }

    #[test]
    fn a_clock_that_was_set_in_between_does_not_matter_if_the_device_stayed_on() {
        let captured = clock("2026-05-01T08:00:00Z", Some(1_000), "boot-7");
        let sent = clock("2031-01-01T00:00:00Z", Some(4_600), "boot-7");
        let received = at("2026-05-10T12:00:00Z");
        assert_eq!(captured_at(&captured, Some(&sent), received), Some(at("2026-05-10T11:00:00Z")));
        let rebooted = DeviceClock { boot_id: "boot-8".to_owned(), ..sent };
        let by_wall = captured_at(&captured, Some(&rebooted), received);
        assert_ne!(by_wall, Some(at("2026-05-10T11:00:00Z")));
    }

    #[test]
    fn a_fix_is_better_than_any_clock() {
        let fix = at("2026-05-02T06:00:00Z");
        let captured = DeviceClock { gnss_time: Some(fix), ..clock("1970-01-01T00:00:00Z", Some(5), "b") };
        let sent = clock("1970-01-01T01:00:00Z", Some(9), "b");
        assert_eq!(captured_at(&captured, Some(&sent), at("2026-05-10T12:00:00Z")), Some(fix));
    }
}
