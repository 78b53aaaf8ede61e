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
    /// What comes of a state; none where the change is not allowed.
    #[must_use]
    pub const fn from(&self, state: State) -> Option<State> {
        match (self, state) {
            (Self::Review, State::Applied) => Some(State::DeskReview),
            (Self::Assess, State::DeskReview) => Some(State::FieldAssessment),
            (Self::Grant { .. }, State::FieldAssessment) | (Self::Reinstate { .. }, State::Suspended) => {
                Some(State::Accredited)
            }
            (Self::Suspend { .. }, State::Accredited) => Some(State::Suspended),
            (
                Self::Withdraw { .. },
                State::Applied
                | State::DeskReview
                | State::FieldAssessment
                | State::Accredited
                | State::Suspended,
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
            AccreditationChange::Withdraw { on_day, reason } => self.withdrawn = Some((on_day, reason)),
        }
        self.state = state;
        Ok(())
    }

    fn suspend(&mut self, first_day: Date, reason: Reason) -> Result<(), Objection> {
        if let Some(last) = self.days.last().filter(|last| *last < first_day) {
            let rule = format!("{first_day} is after {last}, the last day of the accreditation");
            return Err(Objection::Field("first_day", rule));
        }
        let before = self.suspensions.last().and_then(|suspension| suspension.days.last());
        if let Some(last) = before.filter(|last| first_day <= *last) {
            let rule = format!("{first_day} is not after {last}, the last day of the suspension before");
            return Err(Objection::Field("first_day", rule));
        }
        let days = Days::new(first_day, None).map_err(|rule| Objection::Field("first_day", rule))?;
        self.suspensions.push(Suspension { days, reason });
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
