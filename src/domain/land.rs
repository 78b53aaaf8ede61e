//! The land ledger: square metres that come to a site and leave it, as signed movements. What is left of a site is
//! their sum. All areas are whole square metres.

use jiff::civil::Date;

use crate::domain::ids::SiteId;
use crate::domain::text::CountryCode;
use crate::domain::words::words;

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
