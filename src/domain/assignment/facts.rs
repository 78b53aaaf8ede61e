//! What must be known to say whether a team may be sent to a task on some days.

use jiff::civil::Date;

use crate::domain::activity::ActivityType;
use crate::domain::assignment::MedicalCover;
use crate::domain::days::{DaySet, Days};
use crate::domain::ids::{
    AssetId, AssignmentId, OrganizationId, PersonId, ProgramId, SafetyStopId, SiteId, TaskId,
};
use crate::domain::site::SiteStatus;
use crate::domain::task::TaskState;
use crate::domain::team::{AssetKind, AssetState, MemberRole, Team, TeamType};
use crate::domain::text::{Code, Title};

/// What is asked: a task on days that have an end, with equipment and medical cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The first day.
    pub first_day: Date,
    /// The last day, inclusive.
    pub last_day: Date,
    /// Who saves lives, as far as it is said.
    pub cover: AskedCover,
}

impl Asked {
    /// The days as an interval.
    ///
    /// # Errors
    /// Says so when they are empty.
    pub fn days(&self) -> Result<Days, String> {
        Days::new(self.first_day, Some(self.last_day))
    }
}

/// Medical cover of which parts may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AskedCover {
    /// A paramedic of the operator.
    pub paramedic: Option<PersonId>,
    /// An ambulance of the operator.
    pub ambulance: Option<AssetId>,
    /// Where an injured person is brought.
    pub hospital: Option<Title>,
    /// Minutes from the site to the hospital.
    pub evacuation_minutes: Option<i32>,
    /// Day of the last evacuation drill.
    pub drill_on: Option<Date>,
}

impl AskedCover {
    /// The cover, when nothing but the drill is missing.
    #[must_use]
    pub fn complete(&self) -> Option<MedicalCover> {
        Some(MedicalCover {
            paramedic: self.paramedic?,
            ambulance: self.ambulance?,
            hospital: self.hospital.clone()?,
            evacuation_minutes: self.evacuation_minutes?,
            drill_on: self.drill_on,
        })
    }

    /// The names of what is missing.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let parts = [
            (self.paramedic.is_none(), "paramedic"),
            (self.ambulance.is_none(), "ambulance"),
            (self.hospital.is_none(), "hospital"),
            (self.evacuation_minutes.is_none(), "minutes to the hospital"),
        ];
        parts.into_iter().filter(|(missing, _)| *missing).map(|(_, name)| name).collect()
    }
}

/// Everything about one team, one task and some days.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'f> {
    /// The task and its sites.
    pub work: &'f Work,
    /// The team's operator.
    pub operator: &'f Operator,
    /// The team and its members.
    pub crew: &'f Crew,
    /// Equipment and medical cover; none when they are not asked for yet.
    pub gear: Option<&'f Gear>,
}

/// The task, and what stops it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The task.
    pub task: TaskId,
    /// Its program.
    pub program: ProgramId,
    /// The office of the program.
    pub office: OrganizationId,
    /// The task's code.
    pub code: Code,
    /// How far it is.
    pub state: TaskState,
    /// Who is to do it.
    pub operator: Option<OrganizationId>,
    /// The authority of its sites. Only what this one gave counts; none while the task has no sites.
    pub authority: Option<OrganizationId>,
    /// The method.
    pub activity: Option<ActivityType>,
    /// The type of team that is asked for; none takes any.
    pub team_type: Option<TeamType>,
    /// Its days.
    pub days: Option<Days>,
    /// Where.
    pub sites: Vec<WorkSite>,
    /// IANA name of the time zone whose days count: that of the first site.
    pub time_zone: String,
    /// Safety stops in force on the task, a site of it, or the team's operator.
    pub stops: Vec<Stop>,
}

/// A site of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkSite {
    /// The site.
    pub id: SiteId,
    /// Its code.
    pub code: Code,
    /// What is being done with it.
    pub status: SiteStatus,
}

/// A safety stop in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The stop.
    pub id: SafetyStopId,
    /// What it stops: `TASK`, `SITE` or `OPERATOR`.
    pub target: String,
}

/// The operator, as far as the task's activity and the task go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// The operator.
    pub id: OrganizationId,
    /// Days on which it is accredited for the activity.
    pub accredited: DaySet,
    /// Days on which it has a licence for the task; none when no licence was ever given for the task, so that it
    /// needs none.
    pub licensed: Option<DaySet>,
}

/// An assignment that is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    /// The assignment.
    pub assignment: AssignmentId,
    /// Its task.
    pub task: TaskId,
    /// Its days.
    pub days: Days,
}

/// The team and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crew {
    /// The team.
    pub team: Team,
    /// Days on which it is accredited for the activity.
    pub accredited: DaySet,
    /// Its other assignments on the days that are asked for.
    pub busy: Vec<Busy>,
    /// Memberships on the days that are asked for, by person and day.
    pub members: Vec<CrewMember>,
}

/// A membership, cut to the days that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrewMember {
    /// The person.
    pub person: PersonId,
    /// What the person does in the team.
    pub role: MemberRole,
    /// First day in the assignment.
    pub first_day: Date,
    /// Last day in the assignment.
    pub last_day: Date,
    /// Days on which the person is accredited for the activity.
    pub accredited: DaySet,
    /// Last day of work before the first day, if there was any.
    pub last_worked: Option<Date>,
    /// Last refresher until the first day, if there was any.
    pub last_refresher: Option<Date>,
    /// The first assignment with another team on these days.
    pub busy: Option<Busy>,
    /// The first other assignment on these days for which the person is the paramedic; for a paramedic of the team only
    /// one to another task.
    pub covers: Option<Busy>,
}

impl CrewMember {
    /// How texts say who it is. They may be recorded for ever, so they name nobody.
    #[must_use]
    pub fn told(&self) -> String {
        format!("{} {}", self.role, self.person)
    }
}

/// Equipment and medical cover. What is named but unknown was refused before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gear {
    /// What the team takes along.
    pub assets: Vec<GearItem>,
    /// The vehicle of the medical cover.
    pub ambulance: Option<Ambulance>,
    /// The paramedic of the medical cover.
    pub paramedic: Option<Paramedic>,
}

/// An asset of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GearItem {
    /// The asset.
    pub id: AssetId,
    /// What it is.
    pub kind: AssetKind,
    /// Its code or serial number.
    pub code: Code,
    /// Last day of its calibration, test or licence; none is without end.
    pub valid_until: Option<Date>,
    /// How many tasks it covers on one day; 0 for everything but ambulances.
    pub shared_tasks_max: i32,
    /// Whether it can be used.
    pub state: AssetState,
    /// The first assignment that takes it along on the days that are asked for.
    pub busy: Option<Busy>,
}

/// The vehicle of the medical cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ambulance {
    /// The vehicle.
    pub asset: GearItem,
    /// Assignments that it covers on the days that are asked for.
    pub covers: Vec<Busy>,
}

/// The paramedic of the medical cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paramedic {
    /// The person.
    pub id: PersonId,
    /// Days on which the person is a member with the role of paramedic.
    pub fit: DaySet,
    /// Work in another role for the same task on the days that are asked for.
    pub other_work: Vec<OtherWork>,
    /// Assignments to other tasks on these days, in which the person is in the team or gives cover with another
    /// ambulance.
    pub elsewhere: Vec<Busy>,
}

/// Work of a paramedic in another role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherWork {
    /// The role.
    pub role: MemberRole,
    /// First day of it among those that are asked for.
    pub first_day: Date,
    /// The assignment; none for the one that is asked for.
    pub assignment: Option<AssignmentId>,
}
