//! What work on a task needs: open ground and medical cover before it begins, and days in order when it is done.

use jiff::civil::Date;

use crate::domain::assignment::MedicalCover;
use crate::domain::kind::Kind;
use crate::domain::policy::Policy;
use crate::domain::refusal::Refusal;
use crate::domain::site::SiteStatus;
use crate::domain::task::plan::SitePlace;
use crate::domain::task::{Task, TaskState};
use crate::domain::team::{AssetKind, AssetState};

/// What is known of an ambulance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vehicle {
    /// What it is.
    pub kind: AssetKind,
    /// Whether it can be used.
    pub state: AssetState,
    /// Last day of its licence; none is without end.
    pub valid_until: Option<Date>,
    /// How many tasks it may serve at once.
    pub shared_tasks_max: i32,
    /// How many others that are prepared for work, at work or suspended it serves already.
    pub serves: i64,
}

/// What bars work on the ground of a task, in words, each with the way out. A site may have been split or released
/// since, as long as one is left to work on.
#[must_use]
pub fn missing_ground(places: &[SitePlace]) -> Vec<String> {
    let with =
        |place: &SitePlace, way_out: &str| format!("site {} is {}; {way_out}", place.site, place.status);
    let suspended = places.iter().filter(|place| place.status == SiteStatus::Suspended);
    let suspended: Vec<String> =
        suspended.map(|place| with(place, "its authority resumes it with ResumeSite")).collect();
    if !suspended.is_empty() || places.iter().any(|place| place.status == SiteStatus::Open) {
        return suspended;
    }
    places.iter().map(|place| with(place, "nothing is left to do there")).collect()
}

/// Says so when a day is not one of the days of work. Rework has none of its own: an inspection comes after them.
#[must_use]
pub fn missing_days(task: &Task, today: Date) -> Option<String> {
    let (first, last) = (task.plan.first_day?, task.plan.last_day?);
    if task.state == TaskState::QcFailed || (first..=last).contains(&today) {
        return None;
    }
    let way_out = if today < first {
        "begin then, or cancel it and order it anew"
    } else {
        "the office moves last_day with UpdateTask"
    };
    Some(format!("{today} is outside the days of the task, {first} to {last}; {way_out}"))
}

/// Everything that medical cover lacks today, in words, each with the way out.
#[must_use]
pub fn missing_cover(
    cover: &MedicalCover,
    is_paramedic: bool,
    vehicle: Option<Vehicle>,
    today: Date,
    policy: Policy,
) -> Vec<String> {
    let mut missing = Vec::new();
    if !is_paramedic {
        let person = cover.paramedic;
        missing
            .push(format!("person {person} is not a paramedic of the operator on {today}; name one who is"));
    }
    missing.extend(missing_vehicle(cover, vehicle, today));
    let (minutes, max) = (cover.evacuation_minutes, policy.evacuation_minutes_max);
    if max < minutes {
        missing.push(format!("the hospital is {minutes} minutes away, {max} are allowed; name a nearer one"));
    }
    match cover.drill_on {
        None => missing.push("drill_on is missing; hold an evacuation drill first".to_owned()),
        Some(day) if today < day => {
            missing.push(format!("the evacuation drill on {day} is after {today}; hold it first"));
        }
        Some(_) => {}
    }
    missing
}

fn missing_vehicle(cover: &MedicalCover, vehicle: Option<Vehicle>, today: Date) -> Option<String> {
    let id = cover.ambulance;
    let Some(vehicle) = vehicle else {
        return Some(format!("asset {id} is not one of the operator; name an ambulance of its own"));
    };
    if vehicle.kind != AssetKind::Ambulance {
        return Some(format!("asset {id} is a {}, which does not serve as an ambulance", vehicle.kind));
    }
    if vehicle.state != AssetState::InUse {
        return Some(format!("ambulance {id} is {}; name one that is in use", vehicle.state));
    }
    if let Some(ended) = vehicle.valid_until.filter(|last| *last < today) {
        return Some(format!("ambulance {id} was valid until {ended}; renew it or name another"));
    }
    let Vehicle { serves, shared_tasks_max: most, .. } = vehicle;
    (i64::from(most) <= serves)
        .then(|| format!("ambulance {id} serves {serves} tasks already, {most} are allowed; name another"))
}

/// Refuses work that a safety stop bars.
///
/// # Errors
/// `SafetyStopped` names the first stop that is in force.
pub fn expect_no_stop(task: &Task) -> Result<(), Refusal> {
    match task.safety_stops.first() {
        None => Ok(()),
        Some(stop) => Err(Refusal::SafetyStopped { kind: Kind::Task, id: task.id.uuid(), stop: *stop }),
    }
}

/// Whether a day on which something was done is not in the future and not before what it follows.
///
/// # Errors
/// Says which rule it breaks.
pub fn check_done_on(day: Date, today: Date, after: Option<(&str, Date)>) -> Result<(), String> {
    if today < day {
        return Err(format!("{day} is in the future; it is {today} on the site"));
    }
    match after {
        Some((what, earlier)) if day < earlier => Err(format!("{day} is before {what}, {earlier}")),
        _ => Ok(()),
    }
}

impl Task {
    /// The day that the end of the work must not be before: of the inspection that asked for it, or its first.
    #[must_use]
    pub fn begun(&self) -> Option<(&'static str, Date)> {
        self.inspected().or(self.plan.first_day.map(|day| ("first_day", day)))
    }

    /// The day of the last inspection, which what follows it must not be before.
    #[must_use]
    pub fn inspected(&self) -> Option<(&'static str, Date)> {
        self.quality_controls.last().map(|control| ("the last inspection", control.inspected_on))
    }

    /// The day of completion, which an inspection must not be before.
    #[must_use]
    pub fn completed(&self) -> Option<(&'static str, Date)> {
        self.completion.as_ref().map(|completion| ("completed_on", completion.completed_on))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{AssetId, OrganizationId, PersonId, SafetyStopId, SiteId};
    use crate::domain::task::tests::task;
    use crate::domain::text::{CountryCode, Title};

    fn place(status: SiteStatus) -> SitePlace {
        SitePlace {
            site: SiteId::new(Uuid::from_u128(4)),
            authority: OrganizationId::new(Uuid::from_u128(5)),
            country: CountryCode::parse("ZW").unwrap(),
            status,
            time_zone: "Africa/Harare".to_owned(),
        }
    }

    const TODAY: Date = date(2024, 2, 29);

    fn cover(drill_on: Option<Date>) -> MedicalCover {
        MedicalCover {
            paramedic: PersonId::new(Uuid::from_u128(1)),
            ambulance: AssetId::new(Uuid::from_u128(2)),
            hospital: Title::parse("Chiredzi").unwrap(),
            evacuation_minutes: 90,
            drill_on,
        }
    }

    const fn vehicle(kind: AssetKind, state: AssetState, valid_until: Option<Date>) -> Vehicle {
        Vehicle { kind, state, valid_until, shared_tasks_max: 2, serves: 1 }
    }

    fn lacking(cover: &MedicalCover, is_paramedic: bool, vehicle: Option<Vehicle>) -> Vec<String> {
        missing_cover(cover, is_paramedic, vehicle, TODAY, Policy::default())
    }

    #[test]
    fn cover_holds_on_the_last_valid_day_and_the_day_of_the_drill() {
        let ambulance = vehicle(AssetKind::Ambulance, AssetState::InUse, Some(TODAY));
        assert_eq!(lacking(&cover(Some(TODAY)), true, Some(ambulance)), Vec::<String>::new());
    }

    #[test]
    fn everything_that_cover_lacks_is_told_at_once() {
        assert_eq!(lacking(&cover(None), false, None).len(), 3);
        let tomorrow = Some(date(2024, 3, 1));
        for (unfit, word) in [
            (vehicle(AssetKind::Vehicle, AssetState::InUse, None), "is a VEHICLE"),
            (vehicle(AssetKind::Ambulance, AssetState::Withdrawn, None), "is WITHDRAWN"),
            (vehicle(AssetKind::Ambulance, AssetState::InUse, Some(date(2024, 2, 28))), "until 2024-02-28"),
        ] {
            let missing = lacking(&cover(tomorrow), true, Some(unfit));
            assert!(missing[0].contains(word) && missing[1].contains("is after"), "{missing:?}");
        }
    }

    #[test]
    fn the_way_is_not_too_long_and_the_ambulance_not_shared_by_too_many() {
        let far = MedicalCover { evacuation_minutes: 121, ..cover(Some(TODAY)) };
        let full = Vehicle { serves: 2, ..vehicle(AssetKind::Ambulance, AssetState::InUse, None) };
        let missing = lacking(&far, true, Some(full));
        assert!(missing[0].contains("serves 2 tasks already, 2 are allowed"), "{missing:?}");
        assert!(missing[1].contains("121 minutes away, 120 are allowed"), "{missing:?}");
    }

    #[test]
    fn one_open_site_is_enough_and_a_suspended_one_bars() {
        use SiteStatus::{Closed, HandedOver, Open, Suspended};
        let told = |statuses: &[SiteStatus]| {
            missing_ground(&statuses.iter().map(|of| place(*of)).collect::<Vec<_>>())
        };
        assert_eq!(told(&[Closed, Open, HandedOver]), Vec::<String>::new());
        assert!(told(&[Open, Suspended])[0].contains("ResumeSite"));
        assert_eq!(told(&[Closed, Suspended]).len(), 1);
        assert_eq!(told(&[Closed, HandedOver]).len(), 2);
    }

    #[test]
    fn work_begins_on_the_days_of_the_plan_and_rework_on_any() {
        let mut task = task();
        (task.plan.first_day, task.plan.last_day) = (Some(TODAY), Some(date(2024, 3, 1)));
        assert!([TODAY, date(2024, 3, 1)].iter().all(|day| missing_days(&task, *day).is_none()));
        assert!(missing_days(&task, date(2024, 2, 28)).unwrap().contains("order it anew"));
        assert!(missing_days(&task, date(2024, 3, 2)).unwrap().contains("UpdateTask"));
        task.state = TaskState::QcFailed;
        assert_eq!(missing_days(&task, date(2024, 3, 2)), None);
    }

    #[test]
    fn days_are_not_in_the_future_and_in_order() {
        let before = Some(("completed_on", date(2024, 2, 20)));
        assert!(check_done_on(TODAY, TODAY, before).is_ok());
        assert!(check_done_on(date(2024, 2, 20), TODAY, before).is_ok());
        assert!(check_done_on(date(2024, 2, 19), TODAY, before).is_err());
        assert!(check_done_on(date(2024, 3, 1), TODAY, None).is_err());
    }

    #[test]
    fn a_stop_in_force_bars_work() {
        let mut task = task();
        assert!(expect_no_stop(&task).is_ok());
        task.safety_stops = vec![SafetyStopId::new(Uuid::from_u128(9))];
        assert!(matches!(expect_no_stop(&task), Err(Refusal::SafetyStopped { .. })));
    }
}
