//! The members of the team: is each of them free and fit for the work.

use std::collections::HashMap;

use jiff::civil::Date;

use crate::domain::accreditation::stood_down;
use crate::domain::activity::ActivityType;
use crate::domain::assignment::facts::{CrewMember, Facts};
use crate::domain::assignment::gate::finding;
use crate::domain::assignment::{Finding, FindingReason};
use crate::domain::days::Days;
use crate::domain::ids::PersonId;
use crate::domain::policy::Policy;

pub(super) fn findings(facts: Facts<'_>, policy: Policy) -> Vec<Finding> {
    let mut found = Vec::new();
    // When a person comes back within the same assignment, the days before count as work.
    let mut worked: HashMap<PersonId, Date> = HashMap::new();
    for member in &facts.crew.members {
        found.extend(elsewhere(member));
        if let Some(activity) = facts.work.activity.filter(|_| member.role.searches_or_clears()) {
            let last_worked = worked.get(&member.person).copied().max(member.last_worked);
            found.extend(unfit(member, activity, last_worked, policy));
        }
        worked.insert(member.person, member.last_day);
    }
    found
}

fn elsewhere(member: &CrewMember) -> Vec<Finding> {
    let (who, id) = (member.told(), member.person.uuid());
    let busy = member.busy.map(|busy| {
        let (first, assignment) = (member.first_day.max(busy.days.first()), busy.assignment);
        let text = format!(
            "{who} works in assignment {assignment} with another team from {first}; end that, or the membership"
        );
        finding(FindingReason::PersonBusy, id, text).on(first).blocked_by(assignment)
    });
    let covers = member.covers.map(|busy| {
        let (first, assignment) = (member.first_day.max(busy.days.first()), busy.assignment);
        let text = format!(
            "{who} is the paramedic of assignment {assignment} from {first} and does no other work then; name \
             another paramedic there"
        );
        finding(FindingReason::ParamedicBusy, id, text).on(first).blocked_by(assignment)
    });
    busy.into_iter().chain(covers).collect()
}

fn unfit(
    member: &CrewMember,
    activity: ActivityType,
    last_worked: Option<Date>,
    policy: Policy,
) -> Option<Finding> {
    let (who, id) = (member.told(), member.person.uuid());
    let days = Days::new(member.first_day, Some(member.last_day)).ok()?;
    let missing = member.accredited.first_missing(days);
    if let Some(day) = missing {
        let text = format!(
            "{who} is not accredited for {activity} on {day}; the authority grants that with GrantAccreditation"
        );
        return Some(finding(FindingReason::PersonNotAccredited, id, text).on(day));
    }
    let since = member.accredited.intervals().iter().find(|held| held.contains(member.first_day))?;
    let lapsed = stood_down(
        member.first_day,
        last_worked,
        member.last_refresher,
        since.first(),
        policy.stand_down_days,
    )?;
    let text = format!(
        "{who} has stood down since {lapsed}: no work and no refresher for more than {} days before {}; hold a \
         refresher and tell it with RecordRefresher",
        policy.stand_down_days, member.first_day
    );
    Some(finding(FindingReason::PersonStoodDown, id, text).on(member.first_day))
}
