//! Ending an assignment: its last day moves to an earlier one, or it never took place.

use jiff::civil::Date;

use crate::domain::assignment::{Assignment, AssignmentState};
use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;
use crate::domain::text::Reason;

/// Why an assignment cannot be ended so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CannotEnd {
    /// A rule says no.
    Refused(Box<Refusal>),
    /// The day does not fit; says what does.
    Day(String),
}

/// The assignment with another last day. `today` is the day at the task's sites.
///
/// - A day before the first one cancels it, as long as it has not begun: nobody worked. It begins with its first day.
/// - A day before today ends it: the days after it were not worked.
/// - Today, or a day that is still to come, leaves it standing: the team is still out there, and must go on to hear of
///   safety stops.
///
/// # Errors
/// Refuses what does not stand, a later last day than now, and to cancel what has begun.
pub fn end(
    assignment: &Assignment,
    last_day: Date,
    today: Date,
    reason: Reason,
) -> Result<Assignment, CannotEnd> {
    let Assignment { id, first_day, last_day: planned, state, .. } = *assignment;
    if state != AssignmentState::Standing {
        let allowed = vec![AssignmentState::Standing.word()];
        return Err(CannotEnd::Refused(Box::new(Refusal::WrongState {
            kind: Kind::Assignment,
            id: id.uuid(),
            state: state.word(),
            action: "be ended",
            allowed,
        })));
    }
    if planned < last_day {
        let rule =
            format!("{last_day} is after the last day {planned}; make another assignment for more days");
        return Err(CannotEnd::Day(rule));
    }
    if last_day < first_day && first_day <= today {
        let rule = format!(
            "{last_day} would cancel the assignment, which began on {first_day}; end it on that day or later"
        );
        return Err(CannotEnd::Day(rule));
    }
    let mut ended = Assignment { end_reason: Some(reason), ..assignment.clone() };
    if last_day < first_day {
        ended.state = AssignmentState::Cancelled;
        ended.people.clear();
        ended.assets.clear();
        return Ok(ended);
    }
    ended.state = if last_day < today { AssignmentState::Ended } else { AssignmentState::Standing };
    ended.last_day = last_day;
    ended.people.retain(|person| person.first_day <= last_day);
    for person in &mut ended.people {
        person.last_day = person.last_day.min(last_day);
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::date;
    use uuid::Uuid;

    use super::*;
    use crate::domain::assignment::{AssignedPerson, MedicalCover};
    use crate::domain::ids::{AssetId, AssignmentId, OrganizationId, PersonId, ProgramId, TaskId, TeamId};
    use crate::domain::text::Title;

    fn assignment() -> Assignment {
        let id = Uuid::from_u128;
        let person = |number, first, last| AssignedPerson {
            person: PersonId::new(id(number)),
            first_day: date(2024, 2, first),
            last_day: date(2024, 2, last),
        };
        Assignment {
            id: AssignmentId::new(id(1)),
            team: TeamId::new(id(2)),
            organization: OrganizationId::new(id(3)),
            program: ProgramId::new(id(4)),
            task: TaskId::new(id(5)),
            first_day: date(2024, 2, 10),
            last_day: date(2024, 2, 29),
            assets: vec![AssetId::new(id(6))],
            medical_cover: MedicalCover {
                paramedic: PersonId::new(id(7)),
                ambulance: AssetId::new(id(8)),
                hospital: Title::parse("Mutare").unwrap(),
                evacuation_minutes: 40,
                drill_on: None,
            },
            overridden: None,
            end_reason: None,
            people: vec![person(10, 10, 29), person(11, 10, 15), person(11, 25, 29)],
            state: AssignmentState::Standing,
            created_at: Timestamp::UNIX_EPOCH,
            revision: 1,
        }
    }

    fn reason() -> Reason {
        Reason::parse("The rains came early.").unwrap()
    }

    fn ended(last: u8, today: u8) -> Result<Assignment, CannotEnd> {
        end(&assignment(), date(2024, 2, last.cast_signed()), date(2024, 2, today.cast_signed()), reason())
    }

    #[test]
    fn a_last_day_before_today_ends_it_and_cuts_everyone_s_days() {
        let ended = ended(20, 21).unwrap();
        assert_eq!((ended.state, ended.last_day), (AssignmentState::Ended, date(2024, 2, 20)));
        let days: Vec<_> = ended.people.iter().map(|person| (person.first_day, person.last_day)).collect();
        assert_eq!(days, [(date(2024, 2, 10), date(2024, 2, 20)), (date(2024, 2, 10), date(2024, 2, 15))]);
        assert_eq!(ended.assets.len(), 1);
    }

    #[test]
    fn today_or_a_day_to_come_cuts_it_and_leaves_it_standing() {
        for today in [19, 20] {
            let ended = ended(20, today).unwrap();
            assert_eq!((ended.state, ended.last_day), (AssignmentState::Standing, date(2024, 2, 20)));
            assert_eq!(ended.people.len(), 2);
        }
    }

    #[test]
    fn what_has_not_begun_is_cancelled_with_all_its_days() {
        for today in [1, 9] {
            let ended = ended(9, today).unwrap();
            assert_eq!((ended.state, ended.last_day), (AssignmentState::Cancelled, date(2024, 2, 29)));
            assert!(ended.people.is_empty() && ended.assets.is_empty());
        }
    }

    #[test]
    fn what_has_begun_is_not_cancelled_and_nothing_gets_longer() {
        for today in [10, 11] {
            assert!(matches!(ended(9, today), Err(CannotEnd::Day(rule)) if rule.contains("2024-02-10")));
        }
        let later = end(&assignment(), date(2024, 3, 1), date(2024, 2, 20), reason());
        assert!(matches!(later, Err(CannotEnd::Day(rule)) if rule.contains("2024-02-29")));
    }

    #[test]
    fn only_what_stands_is_ended() {
        for state in [AssignmentState::Ended, AssignmentState::Cancelled] {
            let over = Assignment { state, ..assignment() };
            let refused = end(&over, date(2024, 2, 20), date(2024, 2, 20), reason());
            let Err(CannotEnd::Refused(refusal)) = refused else { panic!("{refused:?}") };
            assert!(matches!(*refusal, Refusal::WrongState { .. }), "{refusal:?}");
        }
    }
}
