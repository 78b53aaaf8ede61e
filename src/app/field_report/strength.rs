//! How many people and machines there were, of the reports of a group that are judged by it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::domain::days::Days;
use crate::domain::field_report::FieldReport;
use crate::domain::field_report::quarantine::{DaysSpent, sums_up_days, tells_searchers};
use crate::domain::ids::{TaskId, TeamId};
use crate::error::Error;
use crate::store::Connection;
use crate::store::field_report::strength::{list_days_spent, list_member_days};

use super::Sent;

/// What is known of people and machines.
#[derive(Default)]
pub(super) struct Strength {
    /// Memberships by team, of teams that have any.
    members: BTreeMap<TeamId, Vec<Days>>,
    /// Days that were spent on a task until a day.
    spent: BTreeMap<(TaskId, Date), DaysSpent>,
}

impl Strength {
    /// Loads what the reports of a group need: members of teams of the operator, days that were spent on its tasks.
    pub(super) async fn load(
        conn: &mut Connection,
        group: &[Sent],
        is_ours: impl Fn(TeamId) -> bool,
        is_ordered: impl Fn(TaskId) -> bool,
    ) -> Result<Self, Error> {
        let (mut strength, reports) = (Self::default(), || group.iter().map(|sent| &sent.report));
        let teams: BTreeSet<TeamId> = reports()
            .filter(|report| tells_searchers(report))
            .map(|report| report.team)
            .filter(|team| is_ours(*team))
            .collect();
        if !teams.is_empty() {
            let teams: Vec<TeamId> = teams.into_iter().collect();
            for (team, days) in list_member_days(&mut *conn, &teams).await? {
                strength.members.entry(team).or_default().push(days);
            }
        }
        let tasks: BTreeSet<(TaskId, Date)> = reports()
            .filter(|report| sums_up_days(report))
            .filter_map(|report| Some((report.task?, report.work_date)))
            .filter(|(task, _)| is_ordered(*task))
            .collect();
        if !tasks.is_empty() {
            let tasks: Vec<(TaskId, Date)> = tasks.into_iter().collect();
            let spent = list_days_spent(conn, &tasks).await?.into_iter();
            strength.spent = spent.map(|(task, day, spent)| ((task, day), spent)).collect();
        }
        Ok(strength)
    }

    /// The members of a report's team on its day, if the team has any on whichever day.
    pub(super) fn members_of(&self, report: &FieldReport) -> Option<i64> {
        let members = self.members.get(&report.team)?;
        let there = members.iter().filter(|days| days.contains(report.work_date));
        Some(i64::try_from(there.count()).unwrap_or(i64::MAX))
    }

    /// The days that were spent on a report's task until its day, if they are known.
    pub(super) fn spent_on(&self, report: &FieldReport) -> Option<DaysSpent> {
        self.spent.get(&(report.task?, report.work_date)).copied()
    }
}
