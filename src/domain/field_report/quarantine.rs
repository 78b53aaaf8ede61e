//! Why a report is held. Nothing here loses a report: a reviewer sees every reason at once and decides.

mod capacity;

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use uuid::Uuid;

use crate::domain::activity::ActivityType;
use crate::domain::days::Days;
use crate::domain::field_report::media::hold_of;
use crate::domain::field_report::reference::reference;
use crate::domain::field_report::{FieldReport, Hold, HoldReason};
use crate::domain::ids::{ReportId, SafetyStopId, SiteId};
use crate::domain::site::BoundingBox;
use crate::domain::task::TaskState;

pub use capacity::{DaysSpent, sums_up_days, tells_searchers};

/// Before this day no report of a device is plausible: most likely its clock was reset.
pub const WORK_DATE_MIN: Date = date(1990, 1, 1);
/// How far beyond the box of a site a position may be, in degrees times ten million: about five kilometres.
const FAR_E7: i64 = 500_000;

/// A site of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSite {
    /// Its id.
    pub id: SiteId,
    /// Its code, which people know it by.
    pub code: String,
    /// What is left of it.
    pub area_m2: i64,
    /// Where it is.
    pub bounds: Option<BoundingBox>,
}

/// What is known of a task that was ordered from the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTask {
    /// Where it is on its way.
    pub state: TaskState,
    /// Its sites.
    pub sites: Vec<KnownSite>,
    /// Whether it was mobilised with medical cover.
    pub has_cover: bool,
    /// Its method.
    pub activity: Option<ActivityType>,
}

/// What the server knows when a report arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub struct Known {
    /// The day it is at the site.
    pub today: Date,
    /// Whether the team is one of the operator.
    pub team: bool,
    /// The task, if it is one of the operator.
    pub task: Option<KnownTask>,
    /// Safety stops of the task, its sites and the operator, and of the sites that the report names; without a known task
    /// of the operator and those sites. With the days on which they were in force.
    pub stops: Vec<(SafetyStopId, Days)>,
    /// Whether an assignment sent the team there on that day.
    pub assigned: bool,
    /// Whether operator and team were accredited for the method on that day.
    pub accredited: bool,
    /// How many members the team had on that day; none when it is not known who its members are.
    pub members: Option<i64>,
    /// The days that people and machines spent on the task until that day, if they are known.
    pub spent: Option<DaysSpent>,
    /// Another report of the same team, task, day and kind that counts or may count; for kinds that are daily.
    pub alike: Option<ReportId>,
    /// Another report of the same team, task and kind that tells the same, and counts or may count; for kinds of which
    /// several a day are usual. A receipt may be another team's.
    pub repeats: Option<ReportId>,
    /// What the device sent under this number before, if it was something else.
    pub under_this_number: Option<ReportId>,
    /// Whether the base of a new version is not there.
    pub base_missing: bool,
    /// Size and media type of those files that are there already, by their SHA-256.
    pub files: BTreeMap<[u8; 32], (i64, String)>,
}

/// Every reason to hold a report, in the order of the contract; none when it can be reviewed as it is.
#[must_use]
pub fn holds(report: &FieldReport, known: &Known) -> Vec<Hold> {
    let mut found = Vec::new();
    of_team_and_task(report, known, &mut found);
    of_work(report, known, &mut found);
    of_stops(report, known, &mut found);
    of_days(report, known, &mut found);
    of_others(report, known, &mut found);
    of_areas(report, known, &mut found);
    let files = report.attachments.iter();
    found.extend(files.filter_map(|file| {
        let (size, is) = known.files.get(&file.sha256)?;
        hold_of(file, *size, is)
    }));
    found.sort_by_key(|hold| hold.reason);
    found
}

fn hold(found: &mut Vec<Hold>, reason: HoldReason, subject: Option<Uuid>, text: String) {
    found.push(Hold { reason, text, subject });
}

fn of_team_and_task(report: &FieldReport, known: &Known, found: &mut Vec<Hold>) {
    if !known.team {
        let text = "its team is not one of the operator; choose the team of this tablet anew".to_owned();
        hold(found, HoldReason::UnknownTeam, Some(report.team.uuid()), text);
    }
    let Some(task) = report.task else { return };
    let Some(known_task) = &known.task else {
        let text = "its task was not ordered from this operator; choose the task anew".to_owned();
        return hold(found, HoldReason::UnknownTask, Some(task.uuid()), text);
    };
    for site in &report.claims.sites {
        if known_task.sites.iter().all(|of| of.id != *site) {
            let codes: Vec<&str> = known_task.sites.iter().map(|of| of.code.as_str()).collect();
            let text =
                format!("a site of it is not one of the task's, {}; choose the site anew", codes.join(", "));
            hold(found, HoldReason::UnknownSite, Some(site.uuid()), text);
        }
    }
}

fn of_work(report: &FieldReport, known: &Known, found: &mut Vec<Hold>) {
    let (Some(task), true) = (&known.task, report.kind.is_field_work()) else { return };
    let day = report.work_date;
    if !known.assigned {
        let text =
            format!("no assignment sent the team to this task on {day}; ask the coordinator to assign it");
        hold(found, HoldReason::NotAssigned, None, text);
    }
    if !known.accredited {
        let text = format!(
            "team or operator were not accredited for this work on {day}; ask the coordinator to have it renewed or \
             recorded"
        );
        hold(found, HoldReason::AccreditationLapsed, Some(report.team.uuid()), text);
    }
    if !task.has_cover {
        let text = "the task has no medical cover, and no work is done without it; ask the coordinator to arrange it"
            .to_owned();
        hold(found, HoldReason::NoMedicalCover, None, text);
    }
    let open = matches!(task.state, TaskState::Active | TaskState::Suspended | TaskState::Completed);
    if !open {
        let text =
            format!("the task is {}, not ACTIVE; ask the coordinator whether it was begun", task.state);
        hold(found, HoldReason::TaskNotAtWork, None, text);
    }
}

/// Also of a report that names no task, or none that is known: all work of the operator may have been stopped.
fn of_stops(report: &FieldReport, known: &Known, found: &mut Vec<Hold>) {
    let day = report.work_date;
    for (stop, days) in &known.stops {
        if report.kind.is_halted_by_stops() && days.contains(day) {
            let text = format!("a safety stop was in force on {day}; say in the note when the work was done");
            hold(found, HoldReason::AfterSafetyStop, Some(stop.uuid()), text);
        }
    }
}

fn of_days(report: &FieldReport, known: &Known, found: &mut Vec<Hold>) {
    let day = report.work_date;
    if known.today < day {
        let text =
            format!("{day} has not come: it is {} at the site; set the date of the tablet", known.today);
        hold(found, HoldReason::FutureDate, None, text);
    }
    if day < WORK_DATE_MIN {
        let text =
            format!("{day} is before {WORK_DATE_MIN}; the tablet's clock was reset, correct the day of work");
        hold(found, HoldReason::ImplausibleDate, None, text);
    }
}

fn of_others(report: &FieldReport, known: &Known, found: &mut Vec<Hold>) {
    if let Some(other) = known.alike {
        let text = format!(
            "report {} is of the same team, task, day and kind; if this one replaces it, a reviewer rejects the other",
            reference(other)
        );
        hold(found, HoldReason::PossibleDuplicate, Some(other.uuid()), text);
    }
    if let Some(other) = known.repeats {
        let told = if report.kind.is_once_a_task() {
            "claims the same amount of the same payee and reference for this task"
        } else {
            "is of the same team, task and day and tells the same"
        };
        let text = format!(
            "report {} {told}; if both happened, the reviewer says so in looked_past; if not, reject or void one",
            reference(other)
        );
        hold(found, HoldReason::PossibleDuplicate, Some(other.uuid()), text);
    }
    if known.base_missing {
        let text =
            format!("version {} has not arrived; send it, then this one is settled", report.base_version);
        hold(found, HoldReason::BaseMissing, None, text);
    }
    if let Some(other) = known.under_this_number {
        let text = format!(
            "number {} of this device was report {}; the app lost its numbering and needs a new device_id",
            report.sequence,
            reference(other)
        );
        hold(found, HoldReason::SequenceReused, Some(other.uuid()), text);
    }
}

fn of_areas(report: &FieldReport, known: &Known, found: &mut Vec<Hold>) {
    for text in capacity::beyond(report, known) {
        hold(found, HoldReason::ImplausibleArea, None, text);
    }
    let Some(task) = &known.task else { return };
    for site in &task.sites {
        let of_site = report.claims.areas.iter().filter(|area| area.site == site.id);
        let claimed = of_site.fold(0_i64, |sum, area| sum.saturating_add(area.area_m2));
        if site.area_m2 < claimed {
            let text = format!(
                "{claimed} m2 are more than the {} m2 that site {} has left; measure again or correct the area",
                site.area_m2, site.code
            );
            hold(found, HoldReason::AreaBeyondSite, Some(site.id.uuid()), text);
        }
    }
    if let Some(text) = far_away(report, task) {
        hold(found, HoldReason::FarFromSite, None, text);
    }
}

/// Says so when the device was far from every site of the task.
fn far_away(report: &FieldReport, task: &KnownTask) -> Option<String> {
    let position = report.position.filter(|_| report.kind.is_field_work())?;
    let boxes: Vec<BoundingBox> = task.sites.iter().filter_map(|site| site.bounds).collect();
    let beyond = |value: i32, least: i32, most: i32| {
        i64::from(value) < i64::from(least) - FAR_E7 || i64::from(most) + FAR_E7 < i64::from(value)
    };
    let outside = |of: &BoundingBox| {
        beyond(position.latitude_e7, of.south_e7, of.north_e7)
            || beyond(position.longitude_e7, of.west_e7, of.east_e7)
    };
    let far = !boxes.is_empty() && boxes.iter().all(outside);
    far.then(|| {
        "the position is more than five kilometres from every site of the task; check the task".to_owned()
    })
}

#[cfg(test)]
pub(super) mod tests;
