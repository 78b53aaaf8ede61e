//! What whoever runs the service may set about assignments.

use crate::domain::accreditation::STAND_DOWN_DAYS_DEFAULT;

/// Limits of the check of an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Days without work and without refresher after which a person's accreditation lapses.
    pub stand_down_days: u16,
    /// The longest way to the hospital, in minutes.
    pub evacuation_minutes_max: i32,
}

impl Policy {
    /// Surgery within two hours, the last step of the 10-1-2 rule.
    pub const EVACUATION_MINUTES_DEFAULT: i32 = 120;
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            stand_down_days: STAND_DOWN_DAYS_DEFAULT,
            evacuation_minutes_max: Self::EVACUATION_MINUTES_DEFAULT,
        }
    }
}
