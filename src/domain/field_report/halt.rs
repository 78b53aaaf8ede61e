//! What a report that asks for a safety stop is told of it: whoever asked must never believe that work stands still when it
//! does not.

use std::fmt;

use crate::domain::ids::SafetyStopId;

/// What became of the safety stop that a report asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltAnswer {
    /// It is in force.
    InForce(SafetyStopId),
    /// It was raised, and is lifted.
    Lifted(SafetyStopId),
    /// None was raised, since the report names no task.
    NoTask,
    /// None was raised, since the task is not one that was ordered from the operator.
    NotOrdered,
    /// None was raised yet: nothing was acknowledged since the task was ordered from the operator. Sending it again raises it.
    NotYet,
}

impl HaltAnswer {
    /// The stop, if one was raised.
    #[must_use]
    pub const fn stop(self) -> Option<SafetyStopId> {
        match self {
            Self::InForce(stop) | Self::Lifted(stop) => Some(stop),
            Self::NoTask | Self::NotOrdered | Self::NotYet => None,
        }
    }
}

/// Whom to call where no stop was raised.
const CALL: &str = "call your coordinator and the mine action authority at once, who can stop the work";

impl fmt::Display for HaltAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InForce(stop) => write!(f, "the work of the task is stopped by safety stop {stop}"),
            Self::Lifted(stop) => {
                write!(
                    f,
                    "safety stop {stop}, which this report raised, was lifted; if it must stop again, {CALL}"
                )
            }
            Self::NoTask => write!(f, "NO safety stop was raised: the report names no task; {CALL}"),
            Self::NotOrdered => {
                write!(f, "NO safety stop was raised: the task was not ordered from this operator; {CALL}")
            }
            Self::NotYet => {
                write!(
                    f,
                    "NO safety stop was raised by this report; {CALL}, or send the report again, which raises it"
                )
            }
        }
    }
}
