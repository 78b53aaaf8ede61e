//! What work on a task needs: medical cover before it begins, and days in order when it is done.

use jiff::civil::Date;

use crate::domain::assignment::MedicalCover;
use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;
use crate::domain::task::Task;
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
}

/// Everything that medical cover lacks today, in words, each with the way out.
#[must_use]
pub fn missing_cover(
    cover: &MedicalCover,
    is_paramedic: bool,
    vehicle: Option<Vehicle>,
    today: Date,
) -> Vec<String> {
    let mut missing = Vec::new();
    if !is_paramedic {
        let person = cover.paramedic;
        missing
            .push(format!("person {person} is not a paramedic of the operator on {today}; name one who is"));
    }
    missing.extend(missing_vehicle(cover, vehicle, today));
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
    let ended = vehicle.valid_until.filter(|last| *last < today)?;
    Some(format!("ambulance {id} was valid until {ended}; renew it or name another"))
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
    use crate::domain::ids::{AssetId, PersonId, SafetyStopId};
    use crate::domain::task::tests::task;
    use crate::domain::text::Title;

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
        Vehicle { kind, state, valid_until }
    }

    #[test]
    fn cover_holds_on_the_last_valid_day_and_the_day_of_the_drill() {
        let ambulance = vehicle(AssetKind::Ambulance, AssetState::InUse, Some(TODAY));
        assert_eq!(missing_cover(&cover(Some(TODAY)), true, Some(ambulance), TODAY), Vec::<String>::new());
    }

    #[test]
    fn everything_that_cover_lacks_is_told_at_once() {
        assert_eq!(missing_cover(&cover(None), false, None, TODAY).len(), 3);
        let tomorrow = Some(date(2024, 3, 1));
        for (unfit, word) in [
            (vehicle(AssetKind::Vehicle, AssetState::InUse, None), "is a VEHICLE"),
            (vehicle(AssetKind::Ambulance, AssetState::Withdrawn, None), "is WITHDRAWN"),
            (vehicle(AssetKind::Ambulance, AssetState::InUse, Some(date(2024, 2, 28))), "until 2024-02-28"),
        ] {
            let missing = missing_cover(&cover(tomorrow), true, Some(unfit), TODAY);
            assert!(missing[0].contains(word) && missing[1].contains("is after"), "{missing:?}");
        }
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
