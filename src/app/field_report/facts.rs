//! What the rules of the quarantine look at, for a whole group of reports: a constant number of queries.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use uuid::Uuid;

use crate::domain::accreditation::{Accreditation, counts_for, valid_days};
use crate::domain::days::{Days, today_in};
use crate::domain::field_report::filing::KnownReport;
use crate::domain::field_report::quarantine::{Known, KnownTask};
use crate::domain::field_report::sequence::Received;
use crate::domain::field_report::{Attachment, AttachmentStates, FieldReport};
use crate::domain::ids::{
    DeviceId, OrganizationId, ProgramId, ReportId, SafetyStopId, SiteId, TaskId, TeamId,
};
use crate::error::Error;
use crate::store::Connection;
use crate::store::accreditation::list_for;
use crate::store::attachment::list_present;
use crate::store::field_report::facts::{
    Alike, OrderedTask, Stopped, list_alike, list_ordered_tasks, list_owners, list_sent, list_stops,
};
use crate::store::field_report::known::list_numbers;

use super::Sent;
use super::strength::Strength;
use super::told::{Tells, Told};

/// Seconds of a minute.
const MINUTE: i32 = 60;

/// What is known of teams, tasks, days and other reports.
pub(super) struct Facts {
    operator: OrganizationId,
    teams: BTreeSet<TeamId>,
    tasks: BTreeMap<TaskId, OrderedTask>,
    /// Safety stops of the operator, if work was reported of which no task is known, and those of sites that are named and
    /// not the task's.
    stops: Vec<(Option<SiteId>, Stopped)>,
    sent: Vec<(TeamId, TaskId, Days)>,
    accreditations: Vec<Accreditation>,
    /// Reports by what makes them alike, those that were received first before the others.
    alike: BTreeMap<Alike, BTreeSet<(i64, ReportId)>>,
    told: Told,
    strength: Strength,
    numbers: BTreeMap<(DeviceId, i64), ReportId>,
    /// Size and media type of files that are there, by their SHA-256.
    files: BTreeMap<[u8; 32], (i64, String)>,
}

/// What makes a report look like another; none where several a day are usual.
fn alike_of(report: &KnownReport) -> Option<Alike> {
    let task = report.task.filter(|_| report.kind.is_daily())?;
    Some((report.team, task, report.work_date, report.kind))
}

impl Facts {
    pub(super) async fn load(
        conn: &mut Connection,
        operator: OrganizationId,
        group: &[Sent],
        devices: &BTreeMap<DeviceId, Received>,
        tells: Tells,
    ) -> Result<Self, Error> {
        let reports = || group.iter().map(|sent| &sent.report);
        let teams = distinct(reports().map(|report| report.team.uuid()));
        let tasks = distinct(reports().filter_map(|report| report.task).map(TaskId::uuid));
        let days =
            (reports().map(|report| report.work_date).min(), reports().map(|report| report.work_date).max());
        let mut facts = Self {
            operator,
            teams: BTreeSet::new(),
            tasks: BTreeMap::new(),
            stops: Vec::new(),
            sent: Vec::new(),
            accreditations: Vec::new(),
            alike: BTreeMap::new(),
            told: Told::default(),
            strength: Strength::default(),
            numbers: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        let (Some(first), last) = days else { return Ok(facts) };
        let worked = Days::new(first, last).map_err(Error::bug)?;
        let owners = list_owners(&mut *conn, &teams).await?;
        facts.teams.extend(owners.into_iter().filter(|(_, owner)| *owner == operator).map(|(team, _)| team));
        if !tasks.is_empty() {
            facts.load_work(conn, (&teams, &tasks), worked).await?;
        }
        let halted = || reports().filter(|report| report.kind.is_halted_by_stops());
        let elsewhere = distinct(halted().flat_map(|report| facts.sites_beside(report)).map(SiteId::uuid));
        if !elsewhere.is_empty() || halted().any(|report| facts.task_of(report).is_none()) {
            facts.stops = list_stops(&mut *conn, operator, &elsewhere, worked).await?;
        }
        let (ours, ordered) = (|team| facts.teams.contains(&team), |task| facts.tasks.contains_key(&task));
        facts.strength = Strength::load(&mut *conn, group, ours, ordered).await?;
        let keys: BTreeSet<Alike> = reports()
            .filter_map(|report| Some((report.team, report.task?, report.work_date, report.kind)))
            .filter(|key| key.3.is_daily())
            .collect();
        if !keys.is_empty() {
            let keys: Vec<Alike> = keys.into_iter().collect();
            for (key, revision, id) in list_alike(&mut *conn, operator, &keys).await? {
                facts.alike.entry(key).or_default().insert((revision, id));
            }
        }
        facts.told = Told::load(&mut *conn, operator, group, tells).await?;
        // A number that was not received is of no report.
        let used = |(device, number): &(DeviceId, i64)| {
            devices.get(device).is_some_and(|received| received.contains(*number))
        };
        let numbers: BTreeSet<_> =
            reports().map(|report| (report.device, report.sequence)).filter(used).collect();
        if !numbers.is_empty() {
            let numbers: Vec<_> = numbers.into_iter().collect();
            facts.numbers = list_numbers(&mut *conn, operator, &numbers).await?.into_iter().collect();
        }
        let files: BTreeSet<[u8; 32]> =
            reports().flat_map(|report| &report.attachments).map(|file| file.sha256).collect();
        if !files.is_empty() {
            let files: Vec<[u8; 32]> = files.into_iter().collect();
            let present = list_present(conn, operator, &files).await?.into_iter();
            facts.files = present.map(|file| (file.sha256, (file.size, file.media_type))).collect();
        }
        Ok(facts)
    }

    async fn load_work(
        &mut self,
        conn: &mut Connection,
        (teams, tasks): (&[Uuid], &[Uuid]),
        worked: Days,
    ) -> Result<(), Error> {
        let ordered = list_ordered_tasks(&mut *conn, self.operator, tasks, worked).await?;
        self.tasks = ordered.into_iter().map(|task| (task.id, task)).collect();
        self.sent = list_sent(&mut *conn, teams, tasks, worked).await?;
        let subjects: Vec<Uuid> = teams.iter().copied().chain([self.operator.uuid()]).collect();
        self.accreditations = list_for(conn, &subjects, None).await?;
        Ok(())
    }

    /// A report's task, if that was ordered from the operator.
    fn task_of(&self, report: &FieldReport) -> Option<&OrderedTask> {
        self.tasks.get(&report.task?)
    }

    /// Sites that a report names and that are none of a known task.
    fn sites_beside(&self, report: &FieldReport) -> impl Iterator<Item = SiteId> {
        let task = self.task_of(report);
        let of_task =
            move |id: &SiteId| task.is_some_and(|task| task.sites.iter().any(|site| site.id == *id));
        report.claims.sites.iter().copied().filter(move |site| !of_task(site))
    }

    /// Safety stops that may halt a report's work.
    fn stops_of(&self, report: &FieldReport) -> Vec<Stopped> {
        let task = self.task_of(report);
        let halts = |target: &Option<SiteId>| match target {
            Some(site) => self.sites_beside(report).any(|beside| beside == *site),
            None => task.is_none(),
        };
        let others = self.stops.iter().filter(|(target, _)| halts(target)).map(|(_, stop)| *stop);
        task.map_or(&[][..], |task| &task.stops).iter().copied().chain(others).collect()
    }

    /// The program of that task.
    pub(super) fn program_of(&self, report: &FieldReport) -> Option<ProgramId> {
        Some(self.task_of(report)?.program)
    }

    /// What is known about one report.
    pub(super) fn known(&self, report: &FieldReport, now: Timestamp, base_missing: bool) -> Known {
        let task = self.task_of(report);
        let zone = task.map_or_else(|| device_zone(report), zone_of);
        let (team, day) = (report.team, report.work_date);
        let assigned = |(sent, to, days): &(TeamId, TaskId, Days)| {
            *sent == team && Some(*to) == report.task && days.contains(day)
        };
        Known {
            today: today_in(&zone, now),
            team: self.teams.contains(&team),
            assigned: self.sent.iter().any(assigned),
            accredited: task.is_none_or(|task| self.accredited(report, task)),
            members: self.strength.members_of(report),
            spent: self.strength.spent_on(report),
            alike: self.alike_to(report),
            repeats: self.told.repeated_by(report),
            under_this_number: self.numbers.get(&(report.device, report.sequence)).copied(),
            base_missing,
            files: self.files_of(report),
            stops: self.stops_of(report).iter().filter_map(on_days(&zone)).collect(),
            task: task.map(known_task),
        }
    }

    fn files_of(&self, report: &FieldReport) -> BTreeMap<[u8; 32], (i64, String)> {
        let there = |file: &Attachment| Some((file.sha256, self.files.get(&file.sha256)?.clone()));
        report.attachments.iter().filter_map(there).collect()
    }

    /// What a report declares, and whether it is there.
    pub(super) fn declared(&self, report: &FieldReport) -> AttachmentStates {
        let state = |file: &Attachment| (file.sha256, self.files.contains_key(&file.sha256));
        report.attachments.iter().map(state).collect()
    }

    fn accredited(&self, report: &FieldReport, task: &OrderedTask) -> bool {
        let Some(activity) = report.claims.activity.or(task.activity) else { return true };
        let holds_on = |subject: Uuid, day: Date| {
            let held = self.accreditations.iter().filter(|held| {
                held.subject == subject && held.activity == activity && counts_for(task.authority, held)
            });
            let held: Vec<Accreditation> = held.cloned().collect();
            valid_days(&held).intervals().iter().any(|days| days.contains(day))
        };
        [self.operator.uuid(), report.team.uuid()]
            .into_iter()
            .all(|subject| holds_on(subject, report.work_date))
    }

    fn alike_to(&self, report: &FieldReport) -> Option<ReportId> {
        let key = (report.team, report.task?, report.work_date, report.kind);
        self.alike.get(&key)?.iter().map(|(_, id)| *id).find(|id| *id != report.id)
    }

    /// Notes what a version became known as, for the reports after it.
    pub(super) fn note(&mut self, before: Option<&KnownReport>, after: &KnownReport, report: &FieldReport) {
        self.told.note(before, after, report);
        if let Some((key, before)) = before.and_then(|before| Some((alike_of(before)?, before)))
            && let Some(reports) = self.alike.get_mut(&key)
        {
            reports.remove(&(before.first_revision, before.id));
        }
        if let Some(key) = alike_of(after) {
            self.alike.entry(key).or_default().insert((after.first_revision, after.id));
        }
    }

    /// Notes what a device sent under a number.
    pub(super) fn note_number(&mut self, report: &FieldReport) {
        self.numbers.entry((report.device, report.sequence)).or_insert(report.id);
    }
}

fn distinct(ids: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    ids.collect::<BTreeSet<_>>().into_iter().collect()
}

fn zone_of(task: &OrderedTask) -> TimeZone {
    TimeZone::get(&task.time_zone).unwrap_or(TimeZone::UTC)
}

/// Where there is no task, the tablet's own time zone says which day it is.
fn device_zone(report: &FieldReport) -> TimeZone {
    let seconds = report.captured.utc_offset_minutes.saturating_mul(MINUTE);
    Offset::from_seconds(seconds).map_or(TimeZone::UTC, TimeZone::fixed)
}

fn known_task(task: &OrderedTask) -> KnownTask {
    KnownTask {
        state: task.state,
        sites: task.sites.clone(),
        has_cover: task.has_cover,
        activity: task.activity,
    }
}

/// The days on which a stop was in force.
fn on_days(zone: &TimeZone) -> impl Fn(&Stopped) -> Option<(SafetyStopId, Days)> {
    let day = |at: Timestamp| today_in(zone, at);
    move |(id, issued, lifted)| Some((*id, Days::new(day(*issued), lifted.map(day)).ok()?))
}
