//! The states of an accreditation, and what moves it from one to the next.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::accreditation::AccreditationState as State;
use crate::domain::accreditation::{Accreditation, Suspension};
use crate::domain::days::Days;
use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;
use crate::domain::text::{Reason, Reference};

/// What an authority does with an accreditation or an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccreditationChange {
    /// Reads the application.
    Review,
    /// Tests in the field.
    Assess,
    /// Accredits, on the days and under the number that the authority says.
    Grant {
        /// The number on the paper.
        certificate: Reference,
        /// On which days it holds.
        days: Days,
    },
    /// Stops it.
    Suspend {
        /// First day without accreditation.
        first_day: Date,
        /// Why.
        reason: Reason,
    },
    /// Ends a suspension.
    Reinstate {
        /// First day with accreditation again.
        on_day: Date,
    },
    /// Ends it for ever, or refuses an application.
    Withdraw {
        /// First day without accreditation.
        on_day: Date,
        /// Why.
        reason: Reason,
    },
}

/// Why a change cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// A rule says no.
    Refused(Box<Refusal>),
    /// A field of the request does not fit the accreditation: its name, and the rule that it breaks.
    Field(&'static str, String),
}

impl AccreditationChange {
    /// What comes of a state; none where the change is not allowed. What is suspended or withdrawn may be so again from
    /// an earlier day on.
    #[must_use]
    pub const fn from(&self, state: State) -> Option<State> {
        match (self, state) {
            (Self::Review, State::Applied) => Some(State::DeskReview),
            (Self::Assess, State::DeskReview) => Some(State::FieldAssessment),
            (Self::Grant { .. }, State::FieldAssessment) | (Self::Reinstate { .. }, State::Suspended) => {
                Some(State::Accredited)
            }
            // Again for an earlier day than the one that stands: what happened must not wait for a later date.
            (Self::Suspend { .. }, State::Accredited | State::Suspended) => Some(State::Suspended),
            (
                Self::Withdraw { .. },
                State::Applied
                | State::DeskReview
                | State::FieldAssessment
                | State::Accredited
                | State::Suspended
                | State::Withdrawn,
            ) => Some(State::Withdrawn),
            _ => None,
        }
    }

    /// What it does, after "cannot".
    const fn words(&self) -> &'static str {
        match self {
            Self::Review => "be reviewed",
            Self::Assess => "be assessed in the field",
            Self::Grant { .. } => "be granted",
            Self::Suspend { .. } => "be suspended",
            Self::Reinstate { .. } => "be reinstated",
            Self::Withdraw { .. } => "be withdrawn",
        }
    }
}

impl Accreditation {
    /// Changes it.
    ///
    /// # Errors
    /// Why it cannot be changed so; it is as it was then.
    pub fn change(&mut self, change: AccreditationChange, now: Timestamp) -> Result<(), Objection> {
        let state = change.from(self.state).ok_or_else(|| self.wrong_state(&change))?;
        match change {
            AccreditationChange::Review | AccreditationChange::Assess => {}
            AccreditationChange::Grant { certificate, days } => {
                (self.certificate, self.days, self.granted_at) = (certificate, days, Some(now));
            }
            AccreditationChange::Suspend { first_day, reason } => self.suspend(first_day, reason)?,
            AccreditationChange::Reinstate { on_day } => self.reinstate(on_day)?,
            AccreditationChange::Withdraw { on_day, reason } => self.withdraw(on_day, reason)?,
        }
        self.state = state;
        Ok(())
    }

    fn suspend(&mut self, first_day: Date, reason: Reason) -> Result<(), Objection> {
        if let Some(last) = self.days.last().filter(|last| *last < first_day) {
            let rule = format!("{first_day} is after {last}, the last day of the accreditation");
            return Err(Objection::Field("first_day", rule));
        }
        let open = self.suspensions.last().filter(|suspension| suspension.days.last().is_none());
        if let Some(stands) = open.map(|open| open.days.first()).filter(|stands| *stands <= first_day) {
            let rule = format!("{first_day} is not before {stands}, since when it is suspended");
            return Err(Objection::Field("first_day", rule));
        }
        let closed = self.suspensions.len() - usize::from(open.is_some());
        let before = self.suspensions[..closed].last().and_then(|suspension| suspension.days.last());
        if let Some(last) = before.filter(|last| first_day <= *last) {
            let rule = format!("{first_day} is not after {last}, the last day of the suspension before");
            return Err(Objection::Field("first_day", rule));
        }
        let days = Days::new(first_day, None).map_err(|rule| Objection::Field("first_day", rule))?;
        self.suspensions.truncate(closed);
        self.suspensions.push(Suspension { days, reason });
        Ok(())
    }

    fn withdraw(&mut self, on_day: Date, reason: Reason) -> Result<(), Objection> {
        if let Some((stands, _)) = self.withdrawn.as_ref().filter(|(stands, _)| *stands <= on_day) {
            let rule = format!("{on_day} is not before {stands}, from which day on it is withdrawn");
            return Err(Objection::Field("on_day", rule));
        }
        self.withdrawn = Some((on_day, reason));
        Ok(())
    }

    fn reinstate(&mut self, on_day: Date) -> Result<(), Objection> {
        let Some(open) = self.suspensions.last_mut() else { return Ok(()) };
        let first = open.days.first();
        let ended = on_day.yesterday().ok().and_then(|last| Days::new(first, Some(last)).ok());
        let Some(days) = ended else {
            let rule = format!("{on_day} is not after {first}, the first day of the suspension");
            return Err(Objection::Field("on_day", rule));
        };
        open.days = days;
        Ok(())
    }

    fn wrong_state(&self, change: &AccreditationChange) -> Objection {
        let allowed = State::ALL.iter().filter(|state| change.from(**state).is_some());
        Objection::Refused(Box::new(Refusal::WrongState {
            kind: Kind::Accreditation,
            id: self.id.uuid(),
            state: self.state.word(),
            action: change.words(),
            allowed: allowed.map(|state| state.word()).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::domain::accreditation::sample::granted;

    fn whole() -> Days {
        Days::new(date(2024, 1, 1), Some(date(2024, 12, 31))).unwrap()
    }

    fn reason() -> Reason {
        Reason::parse("an accident").unwrap()
    }

    fn every_change() -> [AccreditationChange; 6] {
        [
            AccreditationChange::Review,
            AccreditationChange::Assess,
            AccreditationChange::Grant { certificate: Reference::default(), days: whole() },
            AccreditationChange::Suspend { first_day: date(2024, 5, 1), reason: reason() },
            AccreditationChange::Reinstate { on_day: date(2024, 7, 1) },
            AccreditationChange::Withdraw { on_day: date(2024, 8, 1), reason: reason() },
        ]
    }

    /// An accreditation that came to a state by way of what is allowed.
    fn in_state(state: State) -> Accreditation {
        let mut of = granted(whole());
        if matches!(state, State::Applied | State::DeskReview | State::FieldAssessment) {
            of.granted_at = None;
        }
        if state == State::Suspended {
            of.suspend(date(2024, 6, 1), reason()).unwrap();
        }
        if state == State::Withdrawn {
            of.withdraw(date(2024, 9, 1), reason()).unwrap();
        }
        Accreditation { state, ..of }
    }

    #[test]
    fn every_pair_of_state_and_change_is_told() {
        // A row for each state, a column for each change: what comes of it; "-" is refused.
        let table = [
            (State::Applied, ["DESK_REVIEW", "-", "-", "-", "-", "WITHDRAWN"]),
            (State::DeskReview, ["-", "FIELD_ASSESSMENT", "-", "-", "-", "WITHDRAWN"]),
            (State::FieldAssessment, ["-", "-", "ACCREDITED", "-", "-", "WITHDRAWN"]),
            (State::Accredited, ["-", "-", "-", "SUSPENDED", "-", "WITHDRAWN"]),
            (State::Suspended, ["-", "-", "-", "SUSPENDED", "ACCREDITED", "WITHDRAWN"]),
            (State::Withdrawn, ["-", "-", "-", "-", "-", "WITHDRAWN"]),
            (State::Expired, ["-"; 6]),
        ];
        assert_eq!(table.map(|(state, _)| state), *State::ALL);
        for (state, row) in table {
            for (change, word) in every_change().into_iter().zip(row) {
                let (before, mut after) = (in_state(state), in_state(state));
                let done = after.change(change.clone(), Timestamp::UNIX_EPOCH);
                let Some(next) = State::from_word(word) else {
                    let refused = matches!(&done, Err(Objection::Refused(refusal))
                        if matches!(&**refusal, Refusal::WrongState { state: told, .. } if *told == state.word()));
                    assert!(refused, "{state} {change:?}: {done:?}");
                    assert_eq!(after, before);
                    continue;
                };
                assert_eq!((done, after.state), (Ok(()), next), "{state} {change:?}");
                let was_granted = before.granted_at.is_some() || next == State::Accredited;
                assert_eq!(after.granted_at.is_some(), was_granted, "{state} {change:?}");
            }
        }
    }

    #[test]
    fn days_that_do_not_fit_are_told_by_field_and_change_nothing() {
        let suspend = |first_day| AccreditationChange::Suspend { first_day, reason: reason() };
        let reinstate = |on_day| AccreditationChange::Reinstate { on_day };
        let mut of = in_state(State::Accredited);
        let expect = |of: &mut Accreditation, change: AccreditationChange, field: &str| {
            let before = of.clone();
            match of.change(change, Timestamp::UNIX_EPOCH) {
                Err(Objection::Field(told, _)) => assert_eq!(told, field),
                other => panic!("{other:?}"),
            }
            assert_eq!(*of, before);
        };
        expect(&mut of, suspend(date(2025, 1, 1)), "first_day");
        of.change(suspend(date(2024, 6, 1)), Timestamp::UNIX_EPOCH).unwrap();
        expect(&mut of, suspend(date(2024, 6, 1)), "first_day");
        expect(&mut of, reinstate(date(2024, 6, 1)), "on_day");
        of.change(reinstate(date(2024, 6, 2)), Timestamp::UNIX_EPOCH).unwrap();
        expect(&mut of, suspend(date(2024, 6, 1)), "first_day");
        of.change(suspend(date(2024, 6, 2)), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(of.suspensions.len(), 2);
        let withdraw = |on_day| AccreditationChange::Withdraw { on_day, reason: reason() };
        of.change(withdraw(date(2024, 8, 1)), Timestamp::UNIX_EPOCH).unwrap();
        expect(&mut of, withdraw(date(2024, 8, 1)), "on_day");
    }

    #[test]
    fn an_earlier_day_takes_the_place_of_the_one_that_stands() {
        let suspend = |first_day| AccreditationChange::Suspend { first_day, reason: reason() };
        let mut of = in_state(State::Suspended);
        of.change(suspend(date(2024, 4, 1)), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(of.suspensions.len(), 1);
        assert_eq!(of.valid_days().first_missing(whole()), Some(date(2024, 4, 1)));
        let accident = Reason::parse("fraud").unwrap();
        for on_day in [date(2024, 3, 1), date(2024, 2, 1)] {
            let change = AccreditationChange::Withdraw { on_day, reason: accident.clone() };
            of.change(change, Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(of.valid_days().first_missing(whole()), Some(on_day));
        }
        assert_eq!(of.withdrawn, Some((date(2024, 2, 1), accident)));
    }
}
