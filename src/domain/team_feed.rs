//! What a team may see of the operations side, and what it must be told after records were changed.
//!
//! A team sees its standing assignments, their tasks, the sites of those, its reports that were returned, and the safety
//! stops on any of them and on its operator. Tasks and sites leave its view only with assignments of the team: once a task is issued no site is
//! taken from it, and when one is split its parts are added. That is why the assignments that were changed are all that
//! must be known to work out what left the view, and nobody has to remember what a client holds.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::domain::days::today_in;
use crate::domain::ids::{AssignmentId, ReportId, SiteId, TaskId};
use crate::domain::site::Site;

/// An assignment with all that it lets its team see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// The assignment.
    pub assignment: AssignmentId,
    /// Its task.
    pub task: TaskId,
    /// The sites of the task.
    pub sites: Vec<SiteId>,
}

impl Duty {
    fn items(&self) -> impl Iterator<Item = Item> {
        let sites = self.sites.iter().copied().map(Item::Site);
        [Item::Assignment(self.assignment), Item::Task(self.task)].into_iter().chain(sites)
    }
}

/// A record that a team may see, in the order in which records are sent. Safety stops are not among them: they are sent
/// before all of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A standing assignment of the team.
    Assignment(AssignmentId),
    /// The task of one.
    Task(TaskId),
    /// A site of such a task.
    Site(SiteId),
    /// A report of the team that waits for a new version.
    Returned(ReportId),
}

/// What a team sees, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sees {
    /// By its standing assignments.
    pub standing: Vec<Duty>,
    /// Reports of its own.
    pub returned: Vec<ReportId>,
}

impl Sees {
    /// Every record of it.
    #[must_use]
    pub fn view(&self) -> View {
        let returned = self.returned.iter().copied().map(Item::Returned);
        View(self.standing.iter().flat_map(Duty::items).chain(returned).collect())
    }
}

/// What to do with a record, in the order in which it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Send it as it is.
    Show(Item),
    /// Say that the team does not see it any more.
    Remove(Item),
}

/// Every record that a team sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View(BTreeSet<Item>);

impl View {
    /// Whether the team sees a record.
    #[must_use]
    pub fn has(&self, item: Item) -> bool {
        self.0.contains(&item)
    }

    /// Its tasks.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskId> {
        let task = |item: &Item| if let Item::Task(id) = item { Some(*id) } else { None };
        self.0.iter().filter_map(task).collect()
    }

    /// Its sites.
    #[must_use]
    pub fn sites(&self) -> Vec<SiteId> {
        let site = |item: &Item| if let Item::Site(id) = item { Some(*id) } else { None };
        self.0.iter().filter_map(site).collect()
    }

    /// Sends all of it, for a team that knows nothing.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        self.0.iter().copied().map(Step::Show).collect()
    }
}

/// What a team must be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// What may have entered the view: the safety stops on these tasks and sites must be sent as well.
    pub entered: View,
}

/// Works out what a team must be told, now that it sees what `standing` and `returned` say, after the records in
/// `touched` were changed, whoever they belong to. `left` are the assignments of the team among them that do not stand any
/// more, and its reports that wait for a new version no more.
///
/// A task that was changed brings its sites, as a new assignment does: some may be new. A team that already knows some of
/// it is told again, which changes nothing; a record is named as removed only if an assignment once let the team see it.
#[must_use]
pub fn changes(sees: &Sees, touched: &[Item], left: &Sees) -> Plan {
    let (standing, view) = (&sees.standing, sees.view());
    let touched: BTreeSet<Item> = touched.iter().copied().collect();
    let entered = View(standing.iter().flat_map(|duty| brought(duty, &touched)).collect());
    let shown = touched.into_iter().filter(|item| view.has(*item)).chain(entered.0.iter().copied());
    let gone = left.view().0.into_iter().filter(|item| !view.has(*item));
    let steps: BTreeSet<Step> = shown.map(Step::Show).chain(gone.map(Step::Remove)).collect();
    Plan { steps: steps.into_iter().collect(), entered }
}

/// What may have entered the view with a duty: all of it when its assignment was changed, the task and its sites when
/// that was.
fn brought<'a>(duty: &'a Duty, touched: &BTreeSet<Item>) -> impl Iterator<Item = Item> + use<'a> {
    let assignment = touched.contains(&Item::Assignment(duty.assignment));
    let task = touched.contains(&Item::Task(duty.task));
    duty.items().filter(move |item| assignment || task && !matches!(item, Item::Assignment(_)))
}

/// How old what is known about a site is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataAge {
    /// Which day it is at the site.
    pub today: Date,
    /// Days since the date of information; 0 when that is ahead.
    pub days: i32,
}

impl DataAge {
    /// The age at a moment.
    #[must_use]
    pub fn of(site: &Site, now: Timestamp) -> Self {
        Self::between(&site.time_zone, site.information_on, now)
    }

    /// A zone that this system does not know any more counts as UTC, which is a day off at most.
    fn between(time_zone: &str, information_on: Date, now: Timestamp) -> Self {
        let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
        let today = today_in(&zone, now);
        let days = information_on.until(today).map_or(0, |span| span.get_days());
        Self { today, days: days.max(0) }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use uuid::Uuid;

    use super::*;

    fn duty(assignment: u128, task: u128, sites: &[u128]) -> Duty {
        Duty {
            assignment: AssignmentId::new(Uuid::from_u128(assignment)),
            task: TaskId::new(Uuid::from_u128(task)),
            sites: sites.iter().map(|id| SiteId::new(Uuid::from_u128(*id))).collect(),
        }
    }

    fn sees(standing: &[Duty]) -> Sees {
        Sees { standing: standing.to_vec(), returned: Vec::new() }
    }

    fn task(id: u128) -> Item {
        Item::Task(TaskId::new(Uuid::from_u128(id)))
    }

    fn site(id: u128) -> Item {
        Item::Site(SiteId::new(Uuid::from_u128(id)))
    }

    fn assignment(id: u128) -> Item {
        Item::Assignment(AssignmentId::new(Uuid::from_u128(id)))
    }

    #[test]
    fn a_new_assignment_brings_its_task_and_sites() {
        let standing = [duty(1, 10, &[20, 21]), duty(2, 11, &[21, 22])];
        let plan = changes(&sees(&standing), &[assignment(2)], &Sees::default());
        let brought = [assignment(2), task(11), site(21), site(22)];
        assert_eq!(plan.steps, brought.map(Step::Show));
        assert_eq!(plan.entered, sees(&standing[1..]).view());
    }

    #[test]
    fn an_ended_assignment_takes_along_only_what_no_other_one_shows() {
        let standing = [duty(1, 10, &[20, 21])];
        let plan = changes(&sees(&standing), &[assignment(2)], &sees(&[duty(2, 11, &[21, 22])]));
        assert_eq!(plan.steps, [assignment(2), task(11), site(22)].map(Step::Remove));
        let same_task = changes(&sees(&standing), &[assignment(2)], &sees(&[duty(2, 10, &[20, 21])]));
        assert_eq!(same_task.steps, [Step::Remove(assignment(2))]);
    }

    #[test]
    fn what_others_changed_is_told_only_where_the_team_sees_it() {
        let standing = [duty(1, 10, &[20])];
        let plan =
            changes(&sees(&standing), &[site(99), assignment(9), site(20), task(12)], &Sees::default());
        assert_eq!(plan.steps, [Step::Show(site(20))]);
        assert_eq!(plan.entered, View::default());
    }

    #[test]
    fn a_changed_task_brings_its_sites_which_may_be_parts_of_one_that_was_split() {
        let standing = [duty(1, 10, &[20, 21]), duty(2, 11, &[22])];
        let plan = changes(&sees(&standing), &[task(10)], &Sees::default());
        assert_eq!(plan.steps, [task(10), site(20), site(21)].map(Step::Show));
        assert!(
            plan.entered.has(site(21)) && !plan.entered.has(assignment(1)) && !plan.entered.has(site(22))
        );
    }

    #[test]
    fn a_returned_report_is_shown_until_it_is_mended() {
        let report = ReportId::new(Uuid::from_u128(30));
        let waits = Sees { standing: vec![duty(1, 10, &[20])], returned: vec![report] };
        assert_eq!(
            changes(&waits, &[Item::Returned(report)], &Sees::default()).steps,
            [Step::Show(Item::Returned(report))]
        );
        let mended = Sees { returned: vec![], ..waits.clone() };
        let left = Sees { standing: vec![], returned: vec![report] };
        assert_eq!(
            changes(&mended, &[Item::Returned(report)], &left).steps,
            [Step::Remove(Item::Returned(report))]
        );
        let others = ReportId::new(Uuid::from_u128(31));
        assert_eq!(changes(&mended, &[Item::Returned(others)], &Sees::default()).steps, []);
    }

    #[test]
    fn records_come_before_removals_and_assignments_before_tasks_and_sites() {
        let standing = [duty(7, 5, &[1])];
        let plan =
            changes(&sees(&standing), &[site(1), assignment(7), assignment(8)], &sees(&[duty(8, 6, &[2])]));
        let shown = [assignment(7), task(5), site(1)].map(Step::Show);
        let removed = [assignment(8), task(6), site(2)].map(Step::Remove);
        assert_eq!(plan.steps, [shown, removed].concat());
    }

    #[test]
    fn information_ages_by_the_days_of_the_site() {
        let age = |zone, information_on, now: &str| {
            let DataAge { today, days } = DataAge::between(zone, information_on, now.parse().unwrap());
            (today, days)
        };
        let late = "2024-02-28T22:30:00Z";
        assert_eq!(age("Africa/Harare", date(2024, 2, 28), late), (date(2024, 2, 29), 1));
        assert_eq!(age("UTC", date(2024, 2, 28), late), (date(2024, 2, 28), 0));
        assert_eq!(age("Africa/Harare", date(2023, 3, 1), "2024-02-29T22:00:00Z"), (date(2024, 3, 1), 366));
        assert_eq!(age("Africa/Harare", date(2024, 3, 1), late), (date(2024, 2, 29), 0));
    }
}
