//! The gate: every reason why a team should not be sent to a task, at once.
//!
//! Each file below looks at one side of it. Nothing here stops at the first reason: whoever plans mends all of them
//! in one go.

mod cover;
mod equipment;
mod people;
mod task;
mod team;
#[cfg(test)]
mod tests;

use jiff::civil::Date;
use uuid::Uuid;

use crate::domain::assignment::facts::{Asked, Facts};
use crate::domain::assignment::{Finding, FindingReason};
use crate::domain::days::Days;
use crate::domain::ids::AssignmentId;
use crate::domain::policy::Policy;

/// Why the team of the facts should not be sent, in the order of [`FindingReason`], then by day and subject. Empty
/// when nothing stands in the way. `today` is the day at the task's sites.
///
/// That the task is another operator's stands alone: nothing else of it is any business of this one. Equipment and medical cover are looked at only when the facts hold them.
///
/// # Errors
/// Says so when the days are empty.
pub fn findings(
    facts: Facts<'_>,
    asked: &Asked,
    today: Date,
    policy: Policy,
) -> Result<Vec<Finding>, String> {
    let days = asked.days()?;
    if let Some(other) = task::of_another_operator(facts) {
        return Ok(vec![other]);
    }
    let mut found = team::findings(facts, days);
    found.extend(task::findings(facts, days));
    found.extend(people::findings(facts, policy));
    if let Some(gear) = facts.gear {
        found.extend(equipment::findings(gear, days));
        found.extend(cover::findings(gear, asked, (days, today), facts.work.task, policy));
    }
    found.sort_by_key(|finding| (finding.reason, finding.first_day, finding.subject));
    Ok(found)
}

/// Whether all of them may be overridden.
#[must_use]
pub fn overridable(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.reason.overridable())
}

fn finding(reason: FindingReason, subject: Uuid, text: String) -> Finding {
    Finding { reason, text, subject, first_day: None, blocking: None }
}

impl Finding {
    fn on(self, day: Date) -> Self {
        Self { first_day: Some(day), ..self }
    }

    fn blocked_by(self, assignment: AssignmentId) -> Self {
        Self { blocking: Some(assignment), ..self }
    }
}

/// The first day of some that others have too.
fn first_common(days: Days, others: Days) -> Date {
    days.first().max(others.first())
}
