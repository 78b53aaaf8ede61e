//! The land ledger: square metres that come to a site and leave it, as signed movements. What is left of a site is
//! their sum. All areas are whole square metres.

mod split;
mod sums;

use jiff::civil::Date;

use crate::domain::ids::{ReportId, SiteId, TaskId};
use crate::domain::site::Site;
use crate::domain::text::CountryCode;
use crate::domain::words::words;

pub use split::{PARTS_MAX, Part, SplitDone, split, tolerance_m2};
pub use sums::LandSums;

words! {
    /// Why land came to a site or left it.
    MovementKind {
        /// It was found to be dangerous.
        Identified = "IDENTIFIED",
        /// It was measured anew.
        Remeasured = "REMEASURED",
        /// Released by non-technical survey.
        Cancelled = "CANCELLED",
        /// Released by technical survey.
        Reduced = "REDUCED",
        /// Released by clearance.
        Cleared = "CLEARED",
        /// It came from a site that was split.
        SplitIn = "SPLIT_IN",
        /// It went to the parts of a split site.
        SplitOut = "SPLIT_OUT",
    }
}

impl MovementKind {
    /// Whether it is a release of land.
    #[must_use]
    pub const fn is_release(self) -> bool {
        matches!(self, Self::Cancelled | Self::Reduced | Self::Cleared)
    }
}

/// Land that came to a site or left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The site.
    pub site: SiteId,
    /// Its country.
    pub country: CountryCode,
    /// Why.
    pub kind: MovementKind,
    /// Square metres; the sign is that of the effect on the site's area.
    pub area_m2: i64,
    /// The day on which it happened.
    pub effective_on: Date,
    /// Why, in words.
    pub note: String,
    /// The task whose approved work it is.
    pub task: Option<TaskId>,
    /// The report that was approved, amended or voided.
    pub report: Option<ReportId>,
}

impl Movement {
    /// Of a site.
    #[must_use]
    pub fn new(site: &Site, kind: MovementKind, area_m2: i64, effective_on: Date, note: String) -> Self {
        let (site, country) = (site.id, site.country);
        Self { site, country, kind, area_m2, effective_on, note, task: None, report: None }
    }
}

/// What was booked of a site before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Booked {
    /// The day.
    pub on: Date,
    /// Why.
    pub kind: MovementKind,
}

/// What is wrong with booking on a day, if anything is: what is booked of a site is in the order of its days, so that
/// older information never changes what newer information says, and no day has less land than nothing.
#[must_use]
pub fn out_of_order(day: Date, booked: &[Booked]) -> Option<String> {
    let last = booked.iter().max_by_key(|booked| booked.on)?;
    let on = last.on;
    let before = match last.kind {
        MovementKind::Identified => format!("{on}, when its land was recorded"),
        MovementKind::Remeasured => format!("the measurement of {on} that rules"),
        MovementKind::SplitIn | MovementKind::SplitOut => format!("the split of {on}"),
        MovementKind::Cancelled | MovementKind::Reduced | MovementKind::Cleared => {
            format!("the release of {on}")
        }
    };
    (day < on).then(|| format!("{day} is before {before}; give that day or a later one"))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn what_is_booked_late_is_not_before_what_was_booked_before() {
        let booked = |on, kind| Booked { on, kind };
        let all = [
            booked(date(2014, 6, 30), MovementKind::Identified),
            booked(date(2016, 12, 31), MovementKind::Remeasured),
        ];
        assert_eq!(out_of_order(date(2016, 12, 31), &all), None);
        let older = out_of_order(date(2015, 6, 30), &all).unwrap();
        assert!(older.contains("2015-06-30 is before the measurement of 2016-12-31 that rules"), "{older}");
        let first = out_of_order(date(2014, 6, 29), &all[..1]).unwrap();
        assert!(first.contains("before 2014-06-30, when its land was recorded"), "{first}");
        assert_eq!(out_of_order(date(2014, 6, 29), &[]), None);
    }
}
