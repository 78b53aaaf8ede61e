//! What a changed membership does to the days on assignments.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::domain::days::{Days, today_in};
use crate::domain::ids::{AssignmentId, OrganizationId, TaskId, TeamId};
use crate::domain::team::{Member, MemberRole};

/// An assignment that was not cancelled, as far as whom and what it holds goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its id.
    pub id: AssignmentId,
    /// The team's operator.
    pub operator: OrganizationId,
    /// The team.
    pub team: TeamId,
    /// The task.
    pub task: TaskId,
    /// Its days.
    pub days: Days,
    /// Whether it stands.
    pub standing: bool,
    /// IANA name of the time zone whose days count.
    pub time_zone: String,
}

impl Held {
    /// The days that it still has from today on; none when it is over.
    #[must_use]
    pub fn ahead(&self, now: Timestamp) -> Option<Days> {
        let ahead = Days::new(self.today(now), None).ok()?;
        self.days.intersect(ahead).filter(|_| self.standing)
    }

    /// Which day it is at the place.
    #[must_use]
    pub fn today(&self, now: Timestamp) -> Date {
        today_in(&TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC), now)
    }
}

/// The days on which a membership that is written makes a difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Where the person is new in the team, or in the role.
    pub joins: Option<Days>,
    /// Where the person is no longer in the team.
    pub leaves: Option<Days>,
    /// Where the person is no longer a paramedic of the team.
    pub uncovers: Option<Days>,
}

impl Moved {
    /// From what a membership was, if it was there, to what it is. The first day never changes.
    #[must_use]
    pub fn between(was: Option<&Member>, is: &Member) -> Self {
        let Some(was) = was else { return Self { joins: Some(is.days), ..Self::default() } };
        let leaves = beyond(was.days, is.days);
        if was.role != is.role {
            let uncovers = Some(was.days).filter(|_| was.role == MemberRole::Paramedic);
            return Self { joins: Some(is.days), leaves, uncovers };
        }
        let uncovers = leaves.filter(|_| was.role == MemberRole::Paramedic);
        Self { joins: beyond(is.days, was.days), leaves, uncovers }
    }

    /// The days between which assignments may change; none when none can.
    #[must_use]
    pub fn reach(self) -> Option<Days> {
        let all = [self.joins, self.leaves].into_iter().flatten();
        let first = all.clone().map(Days::first).min()?;
        let last = all.map(|days| days.last().unwrap_or(Date::MAX)).max()?;
        Days::new(first, Some(last)).ok()
    }
}

/// The days of one interval after the last of another.
fn beyond(days: Days, other: Days) -> Option<Days> {
    let from = other.last()?.tomorrow().ok()?;
    Days::new(from.max(days.first()), days.last()).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{MemberId, PersonId};

    fn days(first: i8, last: Option<i8>) -> Days {
        Days::new(date(2024, 2, first), last.map(|day| date(2024, 2, day))).unwrap()
    }

    fn member(role: MemberRole, last: Option<i8>) -> Member {
        let id = Uuid::from_u128;
        Member {
            id: MemberId::new(id(1)),
            team: TeamId::new(id(2)),
            organization: OrganizationId::new(id(3)),
            person: PersonId::new(id(4)),
            name_digest: None,
            role,
            days: days(5, last),
            created_at: Timestamp::UNIX_EPOCH,
            revision: 1,
        }
    }

    #[test]
    fn who_is_new_joins_on_all_days() {
        let moved = Moved::between(None, &member(MemberRole::Driver, None));
        assert_eq!(moved, Moved { joins: Some(days(5, None)), ..Moved::default() });
    }

    #[test]
    fn a_new_last_day_adds_or_takes_the_days_in_between() {
        let medic = |last| member(MemberRole::Paramedic, last);
        let cut = Moved::between(Some(&medic(None)), &medic(Some(9)));
        assert_eq!(cut, Moved { joins: None, leaves: Some(days(10, None)), uncovers: Some(days(10, None)) });
        let longer = Moved::between(Some(&medic(Some(9))), &medic(Some(20)));
        assert_eq!(longer, Moved { joins: Some(days(10, Some(20))), leaves: None, uncovers: None });
        assert_eq!(longer.reach(), Some(days(10, Some(20))));
        let same = Moved::between(Some(&medic(Some(9))), &medic(Some(9)));
        assert_eq!((same, same.reach()), (Moved::default(), None));
    }

    #[test]
    fn a_new_role_is_a_new_beginning() {
        let (was, is) = (member(MemberRole::Paramedic, Some(9)), member(MemberRole::Deminer, Some(7)));
        let moved = Moved::between(Some(&was), &is);
        assert_eq!((moved.joins, moved.leaves), (Some(days(5, Some(7))), Some(days(8, Some(9)))));
        assert_eq!(moved.uncovers, Some(days(5, Some(9))));
        assert_eq!(moved.reach(), Some(days(5, Some(9))));
    }

    #[test]
    fn days_ahead_are_those_of_the_place_and_of_what_stands() {
        let held = Held {
            id: AssignmentId::new(Uuid::nil()),
            operator: OrganizationId::new(Uuid::nil()),
            team: TeamId::new(Uuid::nil()),
            task: TaskId::new(Uuid::nil()),
            days: days(5, Some(9)),
            standing: true,
            time_zone: "Africa/Harare".to_owned(),
        };
        // 22:30 UTC is half past midnight of the next day in Harare.
        let ahead = |text: &str| held.ahead(text.parse().unwrap());
        assert_eq!(ahead("2024-02-01T00:00:00Z"), Some(held.days));
        assert_eq!(ahead("2024-02-08T22:30:00Z"), Some(days(9, Some(9))));
        assert_eq!(ahead("2024-02-09T22:30:00Z"), None);
        let over = Held { standing: false, ..held.clone() };
        assert_eq!(over.ahead("2024-02-01T00:00:00Z".parse().unwrap()), None);
    }
}
