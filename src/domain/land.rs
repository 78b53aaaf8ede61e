//! The land ledger: square metres that come to a site and leave it, as signed movements. What is left of a site is
//! their sum. All areas are whole square metres.

mod split;
mod sums;

use jiff::civil::Date;

use crate::domain::ids::SiteId;
use crate::domain::refusal::Refusal;
use crate::domain::site::Site;
use crate::domain::site::release::expect_ready;
use crate::domain::text::CountryCode;
use crate::domain::words::words;

pub use split::{PARTS_MAX, Part, SplitDone, split};
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
}

impl Movement {
    /// Of a site.
    #[must_use]
    pub fn new(site: &Site, kind: MovementKind, area_m2: i64, effective_on: Date, note: String) -> Self {
        Self { site: site.id, country: site.country, kind, area_m2, effective_on, note }
    }
}

/// Square metres that moved on a day.
pub type Moved = (Date, i64);

/// Passes movements of a site that fit what was booked before: none is before the first, and on no day would less
/// than nothing be left.
///
/// # Errors
/// `NotReady` with the day and the figure.
pub fn expect_covered(
    site: SiteId,
    action: &'static str,
    booked: &[Moved],
    new: &[Moved],
) -> Result<(), Refusal> {
    let mut missing = Vec::new();
    let first = booked.iter().map(|(day, _)| *day).min();
    let early = first.and_then(|first| Some((first, new.iter().find(|(day, _)| *day < first)?)));
    if let Some((first, (day, _))) = early {
        missing.push(format!("{day} is before {first}, when its land was first recorded"));
    }
    if let Some((day, left)) = first_shortfall(booked, new) {
        missing.push(format!("on {day} it would have {left} m2; later releases were booked on earlier days"));
    }
    expect_ready(site, action, missing)
}

/// The first day on which less than nothing would be left, and how much less.
fn first_shortfall(booked: &[Moved], new: &[Moved]) -> Option<Moved> {
    let mut moved: Vec<Moved> = booked.iter().chain(new).copied().collect();
    // What comes on a day comes before what goes.
    moved.sort_unstable_by_key(|(day, area)| (*day, std::cmp::Reverse(*area)));
    let mut left = 0_i64;
    moved.into_iter().find_map(|(day, area)| {
        left = left.saturating_add(area);
        (left < 0).then_some((day, left))
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::domain::site::sample::site;

    #[test]
    fn what_is_booked_late_must_fit_what_was_booked_before() {
        let id = site().id;
        let booked = [(date(2014, 6, 30), 100), (date(2016, 6, 30), -80)];
        let fits = |day, area| expect_covered(id, "be remeasured", &booked, &[(day, area)]);
        assert!(fits(date(2016, 7, 1), -20).is_ok());
        assert!(fits(date(2015, 7, 1), -20).is_ok());
        assert!(fits(date(2014, 6, 30), 5).is_ok());
        let early = fits(date(2014, 6, 29), 5).unwrap_err().to_string();
        assert!(early.contains("before 2014-06-30"), "{early}");
        let short = fits(date(2015, 7, 1), -21).unwrap_err().to_string();
        assert!(short.contains("on 2016-06-30 it would have -1 m2"), "{short}");
        assert!(expect_covered(id, "begin", &[], &[(date(2014, 6, 30), 1), (date(2014, 6, 30), -1)]).is_ok());
    }
}
