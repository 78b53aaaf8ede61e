//! What may change of a plan in which state, and what an order still lacks.

use jiff::civil::Date;

use crate::domain::activity::ActivityType;
use crate::domain::ids::{AllocationId, OrganizationId, SiteId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::program::{Allocation, Period, PeriodState};
use crate::domain::refusal::Refusal;
use crate::domain::site::SiteStatus;
use crate::domain::task::{Instructions, Task, TaskPlan, TaskState};
use crate::domain::team::TeamType;
use crate::domain::text::{Code, CountryCode, Title};

/// Most sites of one task.
pub const SITES_MAX: usize = 100;
/// Deepest clearance, in centimetres.
pub const DEPTH_CM_MAX: i32 = 2_000;
/// Largest planned or sampled area, in square metres.
pub const AREA_M2_MAX: i64 = 10_000_000_000;

/// States in which everything of the plan may change.
const BEFORE_ISSUE: &[TaskState] = &[TaskState::Draft, TaskState::Planned];
/// States in which the operator is bound by the order, and the work is not done.
const UNTIL_DONE: &[TaskState] = &[
    TaskState::Draft,
    TaskState::Planned,
    TaskState::Issued,
    TaskState::Accepted,
    TaskState::Mobilised,
    TaskState::Active,
    TaskState::Suspended,
];

/// A new value of one part of a plan. None takes the value away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanEdit {
    /// The allocation that pays.
    Allocation(Option<AllocationId>),
    /// The code.
    Code(Code),
    /// The title.
    Title(Title),
    /// The sites, in order.
    Sites(Vec<SiteId>),
    /// The method.
    Activity(Option<ActivityType>),
    /// Centimetres; 0 for none.
    Depth(i32),
    /// Square metres; 0 for none.
    PlannedArea(i64),
    /// The type of team.
    TeamType(Option<TeamType>),
    /// The first day of work.
    FirstDay(Option<Date>),
    /// The last day of work.
    LastDay(Option<Date>),
    /// Who is to do it.
    Operator(Option<OrganizationId>),
    /// What the team is to know.
    Instructions(Instructions),
}

impl PlanEdit {
    /// What a task cannot do when the edit is refused, and the states in which it can.
    const fn rule(&self) -> (&'static str, &'static [TaskState]) {
        match self {
            Self::Allocation(_) => ("change its allocation", BEFORE_ISSUE),
            Self::Code(_) => ("change its code", BEFORE_ISSUE),
            Self::Sites(_) => ("change its sites", BEFORE_ISSUE),
            Self::Activity(_) => ("change its activity", BEFORE_ISSUE),
            Self::TeamType(_) => ("change its team type", BEFORE_ISSUE),
            Self::FirstDay(_) => ("change its first day", BEFORE_ISSUE),
            Self::Operator(_) => ("change its operator", BEFORE_ISSUE),
            Self::Title(_) => ("change its title", UNTIL_DONE),
            Self::Depth(_) => ("change its depth", UNTIL_DONE),
            Self::PlannedArea(_) => ("change its planned area", UNTIL_DONE),
            Self::LastDay(_) => ("change its last day", UNTIL_DONE),
            Self::Instructions(_) => ("change its instructions", UNTIL_DONE),
        }
    }

    /// Puts the value into a plan.
    pub fn write(&self, plan: &mut TaskPlan) {
        match self.clone() {
            Self::Allocation(new) => plan.allocation = new,
            Self::Code(new) => plan.code = new,
            Self::Title(new) => plan.title = new,
            Self::Sites(new) => plan.sites = new,
            Self::Activity(new) => plan.activity = new,
            Self::Depth(new) => plan.depth_cm = new,
            Self::PlannedArea(new) => plan.planned_area_m2 = new,
            Self::TeamType(new) => plan.team_type = new,
            Self::FirstDay(new) => plan.first_day = new,
            Self::LastDay(new) => plan.last_day = new,
            Self::Operator(new) => plan.operator = new,
            Self::Instructions(new) => plan.instructions = new,
        }
    }
}

/// The plan of a task after edits.
///
/// # Errors
/// `WrongState` when the task is too far for one of them.
pub fn edited(task: &Task, edits: &[PlanEdit]) -> Result<TaskPlan, Refusal> {
    let mut plan = task.plan.clone();
    for edit in edits {
        let (action, allowed) = edit.rule();
        if !allowed.contains(&task.state) {
            return Err(Refusal::WrongState {
                kind: Kind::Task,
                id: task.id.uuid(),
                state: task.state.word(),
                action,
                allowed: allowed.iter().map(|state| state.word()).collect(),
            });
        }
        edit.write(&mut plan);
    }
    Ok(plan)
}

/// What a task needs to know of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SitePlace {
    /// The site.
    pub site: SiteId,
    /// The authority in whose journal it is.
    pub authority: OrganizationId,
    /// The authority's country.
    pub country: CountryCode,
    /// What is being done with it.
    pub status: SiteStatus,
    /// IANA name of the time zone whose days count there.
    pub time_zone: String,
}

/// The authority and the country of sites, which must be one; none without sites.
///
/// # Errors
/// `BelongsElsewhere` for the first site of another authority.
pub fn one_authority(places: &[SitePlace]) -> Result<Option<(OrganizationId, CountryCode)>, Refusal> {
    let Some(first) = places.first() else { return Ok(None) };
    match places.iter().find(|place| place.authority != first.authority) {
        None => Ok(Some((first.authority, first.country))),
        Some(other) => Err(Refusal::BelongsElsewhere {
            kind: Kind::Site,
            id: other.site.uuid(),
            owner: other.authority,
            organization: first.authority,
        }),
    }
}

/// Whether a method clears ground, so that it has a depth and an area.
#[must_use]
pub const fn clears(activity: ActivityType) -> bool {
    matches!(
        activity,
        ActivityType::ManualClearance
            | ActivityType::Mechanical
            | ActivityType::AnimalDetection
            | ActivityType::Bac
    )
}

/// Everything that the plan of a task lacks to be an order, in words, each with the way out.
#[must_use]
pub fn missing(
    task: TaskId,
    plan: &TaskPlan,
    allocation: Option<(&Allocation, PeriodState)>,
    places: &[SitePlace],
) -> Vec<String> {
    let mut missing = missing_money(task, plan, allocation);
    missing.extend(missing_places(places));
    if plan.activity.is_none() {
        missing.push("activity is missing; name the method".to_owned());
    }
    if plan.operator.is_none() {
        missing.push("operator_id is missing; name who is to do it".to_owned());
    }
    missing.extend(missing_of_work(plan));
    missing
}

/// The part of it that an edit of an order can take away. What else has come about since, such as a period that is
/// over, no edit mends, and it must not bar one.
#[must_use]
pub fn missing_of_work(plan: &TaskPlan) -> Vec<String> {
    let mut missing = Vec::new();
    for (field, day) in [("first_day", plan.first_day), ("last_day", plan.last_day)] {
        if day.is_none() {
            missing.push(format!("{field} is missing; give the days of work"));
        }
    }
    if let Some(activity) = plan.activity.filter(|activity| clears(*activity)) {
        for (field, given) in
            [("depth_cm", i64::from(plan.depth_cm)), ("planned_area_m2", plan.planned_area_m2)]
        {
            if given == 0 {
                missing.push(format!("{field} is 0, but {activity} clears ground; give it"));
            }
        }
    }
    missing
}

fn missing_money(
    task: TaskId,
    plan: &TaskPlan,
    allocation: Option<(&Allocation, PeriodState)>,
) -> Vec<String> {
    let Some(named) = plan.allocation else {
        return vec!["allocation_id is missing; name the allocation that pays".to_owned()];
    };
    let Some((allocation, state)) = allocation else {
        return vec![format!("allocation {named} is not one of the program; name one that is")];
    };
    let mut missing = Vec::new();
    if let Some(other) = allocation.task.filter(|other| *other != task) {
        missing.push(format!("allocation {named} pays for task {other}; name another"));
    }
    if allocation.child_count != 0 {
        let children = allocation.child_count;
        missing.push(format!("allocation {named} has {children} children; name a leaf below it"));
    }
    if state != PeriodState::Open {
        let (period, state) = (allocation.period, state.word());
        missing.push(format!("period {period} of the allocation is {state}; name one of an open period"));
    }
    missing
}

fn missing_places(places: &[SitePlace]) -> Vec<String> {
    if places.is_empty() {
        return vec!["site_ids is empty; name at least one site".to_owned()];
    }
    let gone =
        places.iter().filter(|place| !matches!(place.status, SiteStatus::Open | SiteStatus::Suspended));
    gone.map(|place| format!("site {} is {}; take it out of site_ids", place.site, place.status)).collect()
}

/// Whether the days of a plan are in order.
///
/// # Errors
/// Says so when the last is before the first.
pub fn check_days(plan: &TaskPlan) -> Result<(), String> {
    match (plan.first_day, plan.last_day) {
        (Some(first), Some(last)) if last < first => Err(format!("{last} is before first_day {first}")),
        _ => Ok(()),
    }
}

/// The state of an allocation's period, if both are there.
#[must_use]
pub fn with_period<'a>(
    allocation: Option<&'a Allocation>,
    periods: &[Period],
) -> Option<(&'a Allocation, PeriodState)> {
    let allocation = allocation?;
    let period = periods.iter().find(|period| period.id == allocation.period)?;
    Some((allocation, period.state))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::task::tests::task;

    fn every_edit() -> [PlanEdit; 12] {
        [
            PlanEdit::Allocation(Some(AllocationId::new(Uuid::from_u128(3)))),
            PlanEdit::Code(Code::parse("T-9").unwrap()),
            PlanEdit::Title(Title::parse("Another").unwrap()),
            PlanEdit::Sites(vec![SiteId::new(Uuid::from_u128(4))]),
            PlanEdit::Activity(Some(ActivityType::Bac)),
            PlanEdit::Depth(20),
            PlanEdit::PlannedArea(500),
            PlanEdit::TeamType(Some(TeamType::Bac)),
            PlanEdit::FirstDay(Some(date(2024, 2, 29))),
            PlanEdit::LastDay(Some(date(2024, 3, 1))),
            PlanEdit::Operator(Some(OrganizationId::new(Uuid::from_u128(5)))),
            PlanEdit::Instructions(Instructions::parse("Mark the lanes.").unwrap()),
        ]
    }

    fn place(site: u128, authority: u128, status: SiteStatus) -> SitePlace {
        SitePlace {
            site: SiteId::new(Uuid::from_u128(site)),
            authority: OrganizationId::new(Uuid::from_u128(authority)),
            country: CountryCode::parse("ZW").unwrap(),
            status,
            time_zone: "Africa/Harare".to_owned(),
        }
    }

    #[test]
    fn every_field_changes_before_the_order_five_after_it_and_none_when_the_work_is_done() {
        for state in TaskState::ALL.iter().copied() {
            let mut task = task();
            task.state = state;
            let allowed =
                every_edit().iter().filter(|edit| edited(&task, &[(*edit).clone()]).is_ok()).count();
            let expected = match state {
                TaskState::Draft | TaskState::Planned => 12,
                TaskState::Issued
                | TaskState::Accepted
                | TaskState::Mobilised
                | TaskState::Active
                | TaskState::Suspended => 5,
                _ => 0,
            };
            assert_eq!(allowed, expected, "{state}");
        }
    }

    #[test]
    fn one_refused_edit_refuses_all() {
        let mut task = task();
        task.state = TaskState::Active;
        let refused = edited(&task, &every_edit());
        assert!(matches!(refused, Err(Refusal::WrongState { action: "change its allocation", .. })));
    }

    #[test]
    fn a_site_may_be_suspended_but_not_released() {
        let lacking = |status| missing_places(&[place(1, 2, status)]).len();
        let lacks = SiteStatus::ALL.iter().map(|status| lacking(*status)).collect::<Vec<_>>();
        assert_eq!(lacks, [0, 0, 1, 1]);
        assert_eq!(missing_places(&[]).len(), 1);
    }

    #[test]
    fn sites_are_of_one_authority() {
        let (one, other) = (place(1, 2, SiteStatus::Open), place(3, 4, SiteStatus::Open));
        assert_eq!(one_authority(&[]), Ok(None));
        assert_eq!(one_authority(std::slice::from_ref(&one)), Ok(Some((one.authority, one.country))));
        let refused = one_authority(&[one.clone(), other.clone()]);
        assert!(matches!(refused, Err(Refusal::BelongsElsewhere { id, .. }) if id == other.site.uuid()));
    }

    proptest! {
        /// Each field that is given takes its own complaint away and adds none, whatever the others are; only a method
        /// that clears asks for two more.
        #[test]
        fn what_is_given_is_not_missing(given in proptest::collection::vec(any::<bool>(), 12)) {
            let edits: Vec<PlanEdit> =
                every_edit().into_iter().zip(given).filter(|(_, given)| *given).map(|(edit, _)| edit).collect();
            let plan = edited(&task(), &edits).unwrap();
            let told = missing(task().id, &plan, None, &[]).join("; ");
            for (field, lacks) in [
                ("activity is", plan.activity.is_none()),
                ("operator_id is", plan.operator.is_none()),
                ("first_day is", plan.first_day.is_none()),
                ("last_day is", plan.last_day.is_none()),
                ("allocation_id is", plan.allocation.is_none()),
                ("depth_cm is", plan.activity.is_some() && plan.depth_cm == 0),
                ("planned_area_m2 is", plan.activity.is_some() && plan.planned_area_m2 == 0),
            ] {
                prop_assert_eq!(told.contains(field), lacks, "{}: {}", field, told);
            }
        }
    }
}
