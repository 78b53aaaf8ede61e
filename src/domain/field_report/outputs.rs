//! What work brought about: land released, ordnance destroyed, people reached. Whole numbers, kept in one list whose
//! order never changes, so that the database can sum them.

use crate::domain::site::ReleaseType;
use crate::domain::words::words;

words! {
    /// What kind of explosive ordnance something is (IMAS 04.10).
    OrdnanceCategory {
        /// Anti-personnel mine.
        ApMine = "AP_MINE",
        /// Anti-vehicle mine.
        AvMine = "AV_MINE",
        /// Unexploded submunition.
        Submunition = "SUBMUNITION",
        /// Any other unexploded ordnance.
        OtherUxo = "OTHER_UXO",
        /// Abandoned ordnance.
        Axo = "AXO",
        /// Booby trap.
        BoobyTrap = "BOOBY_TRAP",
        /// Improvised device.
        Ied = "IED",
        /// Small-arms ammunition, which is counted apart.
        SmallArmsAmmunition = "SMALL_ARMS_AMMUNITION",
        /// A fuze or another part.
        Component = "COMPONENT",
        /// No ordnance.
        Scrap = "SCRAP",
        /// Anything else.
        Other = "OTHER",
    }
}

/// People by sex and age.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct People {
    /// Below 18, female.
    pub girls: i64,
    /// Below 18, male.
    pub boys: i64,
    /// From 18, female.
    pub women: i64,
    /// From 18, male.
    pub men: i64,
}

impl People {
    const fn list(self) -> [i64; 4] {
        [self.girls, self.boys, self.women, self.men]
    }
}

/// How many figures there are: three ways of release, eleven categories, and two times four groups of people.
pub const FIGURES: usize = 3 + CATEGORIES + 8;
const CATEGORIES: usize = 11;
const DIRECT: usize = 3 + CATEGORIES;
const INDIRECT: usize = DIRECT + 4;

/// Outputs of one report, or of many.
///
/// A report has at most 10¹² square metres and fewer of everything else, so that nine million reports fit; beyond that a
/// sum stays at its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outputs([i64; FIGURES]);

impl Outputs {
    /// Reads a list as it is stored: empty for nothing. None when it has another length.
    #[must_use]
    pub fn read(stored: &[i64]) -> Option<Self> {
        if stored.is_empty() { Some(Self::default()) } else { stored.try_into().ok().map(Self) }
    }

    /// The list to store.
    #[must_use]
    pub fn list(&self) -> Vec<i64> {
        self.0.to_vec()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds released land.
    pub const fn release(&mut self, kind: ReleaseType, area_m2: i64) {
        let place = &mut self.0[kind as usize];
        *place = place.saturating_add(area_m2);
    }

    /// Adds destroyed ordnance. Scrap is none.
    pub const fn destroy(&mut self, category: OrdnanceCategory, quantity: i64) {
        if !matches!(category, OrdnanceCategory::Scrap) {
            let place = &mut self.0[3 + category as usize];
            *place = place.saturating_add(quantity);
        }
    }

    /// Adds people: those who were reached, and those who gain by it.
    pub fn reach(&mut self, direct: People, indirect: People) {
        let counts = direct.list().into_iter().chain(indirect.list());
        for (place, count) in self.0[DIRECT..].iter_mut().zip(counts) {
            *place = place.saturating_add(count);
        }
    }

    /// Square metres released in a way.
    #[must_use]
    pub const fn released_m2(&self, kind: ReleaseType) -> i64 {
        self.0[kind as usize]
    }

    /// Square metres released in all.
    #[must_use]
    pub fn all_released_m2(&self) -> i64 {
        self.0[..3].iter().fold(0, |sum, area| sum.saturating_add(*area))
    }

    /// Categories of which something was destroyed, with how many.
    pub fn destroyed(&self) -> impl Iterator<Item = (OrdnanceCategory, i64)> + '_ {
        let each = OrdnanceCategory::ALL.iter().copied().zip(self.0[3..DIRECT].iter().copied());
        each.filter(|(_, quantity)| *quantity != 0)
    }

    /// Who was reached.
    #[must_use]
    pub const fn direct(&self) -> People {
        self.people(DIRECT)
    }

    /// Who gains by it.
    #[must_use]
    pub const fn indirect(&self) -> People {
        self.people(INDIRECT)
    }

    const fn people(&self, from: usize) -> People {
        People { girls: self.0[from], boys: self.0[from + 1], women: self.0[from + 2], men: self.0[from + 3] }
    }

    /// Both together.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (place, more) in self.0.iter_mut().zip(other.0) {
            *place = place.saturating_add(more);
        }
        self
    }

    /// What is left without the other.
    #[must_use]
    pub fn minus(mut self, other: &Self) -> Self {
        for (place, less) in self.0.iter_mut().zip(other.0) {
            *place = place.saturating_sub(less);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_a_place_of_its_own() {
        let mut all = Outputs::default();
        for kind in ReleaseType::ALL {
            all.release(*kind, 1);
        }
        for category in OrdnanceCategory::ALL {
            all.destroy(*category, 1);
        }
        let one = People { girls: 1, boys: 1, women: 1, men: 1 };
        all.reach(one, one);
        let scrap = 3 + OrdnanceCategory::Scrap as usize;
        let expected: Vec<i64> = (0..FIGURES).map(|place| i64::from(place != scrap)).collect();
        assert_eq!(all.list(), expected);
        assert_eq!(Outputs::read(&expected), Some(all));
        assert_eq!((all.all_released_m2(), all.destroyed().count()), (3, OrdnanceCategory::ALL.len() - 1));
        assert_eq!((all.direct(), all.indirect()), (one, one));
        assert_eq!(all.plus(&all).minus(&all), all);
    }

    #[test]
    fn nothing_is_stored_as_an_empty_list_or_as_zeros() {
        assert_eq!(Outputs::read(&[]), Some(Outputs::default()));
        assert_eq!(Outputs::read(&[0; FIGURES]), Some(Outputs::default()));
        assert_eq!(Outputs::read(&[1, 2]), None);
    }
}
