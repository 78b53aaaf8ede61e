//! Splitting a site: its land goes to its parts, to the square metre.

use jiff::civil::Date;

use crate::domain::land::{Movement, MovementKind};
use crate::domain::refusal::Refusal;
use crate::domain::site::release::{Proof, close, expect_status};
use crate::domain::site::{LandRelease, Site, SiteStatus, Survey};

/// The most parts of a split. The least is two.
pub const PARTS_MAX: usize = 100;

/// A part of a site that is split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The new site, open, with its area.
    pub site: Site,
    /// How it is released at once.
    pub release: Option<LandRelease>,
    /// The survey that the release names, if it exists.
    pub survey: Option<Survey>,
}

/// What came of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitDone {
    /// The new sites, in the order of the parts.
    pub parts: Vec<Site>,
    /// Everything that moved, in order.
    pub movements: Vec<Movement>,
}

/// Square metres that the areas of parts may differ from that of the site: survey errors add up.
#[must_use]
pub fn tolerance_m2(area_m2: i64) -> i64 {
    (area_m2 / 100).max(100)
}

/// Splits a site on a day: it closes with nothing left, and each part has its area. A difference within the tolerance
/// is booked as a new measurement first. `ground` is what stands behind every release there but its survey.
///
/// # Errors
/// Refuses a site that is not open, areas that do not add up, and a release that is not proven.
pub fn split(
    site: &mut Site,
    parts: Vec<Part>,
    day: Date,
    note: &str,
    ground: &Proof<'_>,
) -> Result<SplitDone, Refusal> {
    expect_status(site, "be split", &[SiteStatus::Open])?;
    let parts_m2 = parts.iter().fold(0_i64, |sum, part| sum.saturating_add(part.site.area_m2));
    let tolerance_m2 = tolerance_m2(site.area_m2);
    let difference = parts_m2.saturating_sub(site.area_m2);
    if tolerance_m2 < difference.saturating_abs() {
        return Err(Refusal::AreaMismatch { site: site.id, area_m2: site.area_m2, parts_m2, tolerance_m2 });
    }
    let moved = |site: &Site, kind, area| Movement::new(site, kind, area, day, note.to_owned());
    let mut movements = Vec::with_capacity(2 + 2 * parts.len());
    if difference != 0 {
        movements.push(moved(site, MovementKind::Remeasured, difference));
    }
    movements.push(moved(site, MovementKind::SplitOut, parts_m2.saturating_neg()));
    let mut made = Vec::with_capacity(parts.len());
    for Part { site: mut part, release, survey } in parts {
        movements.push(moved(&part, MovementKind::SplitIn, part.area_m2));
        if let Some(release) = release {
            let proof = Proof { survey: survey.as_ref(), ..*ground };
            movements.push(close(&mut part, release, &proof)?);
        }
        made.push(part);
    }
    site.area_m2 = 0;
    site.status = SiteStatus::Closed;
    Ok(SplitDone { parts: made, movements })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::civil::date;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::SiteId;
    use crate::domain::land::LandSums;
    use crate::domain::site::ReleaseType;
    use crate::domain::site::sample::{release, site};

    fn part(number: u128, area_m2: i64, release: Option<LandRelease>) -> Part {
        let site = Site { id: SiteId::new(Uuid::from_u128(number)), area_m2, ..site() };
        Part { site, release, survey: None }
    }

    #[test]
    fn areas_add_up_within_one_percent_or_a_hundred_square_metres() {
        let tried = |area_m2, parts: [i64; 2]| {
            let mut whole = Site { area_m2, ..site() };
            let parts = parts.iter().zip(10..).map(|(area, number)| part(number, *area, None)).collect();
            split(&mut whole, parts, date(2017, 12, 31), "", &Proof::default())
                .map(|done| (done.movements, whole.area_m2))
        };
        let exact = tried(23_586_602, [11_784_543, 11_802_059]).unwrap();
        assert_eq!(
            exact.0.iter().map(|moved| moved.kind).collect::<Vec<_>>(),
            [MovementKind::SplitOut, MovementKind::SplitIn, MovementKind::SplitIn]
        );
        let within = tried(1_000, [900, 200]).unwrap().0;
        assert_eq!((within[0].kind, within[0].area_m2), (MovementKind::Remeasured, 100));
        assert!(tried(1_000, [900, 201]).is_err());
        assert!(tried(1_000_000, [400_000, 590_000]).is_ok());
        let refused = tried(1_000_000, [400_000, 589_999]).unwrap_err();
        assert!(matches!(refused, Refusal::AreaMismatch { parts_m2: 989_999, tolerance_m2: 10_000, .. }));
        assert!(tried(1, [i64::MAX, i64::MAX]).is_err());
    }

    proptest! {
        /// Sites of many ages are measured, split and released; whatever the days of the ledger, it balances.
        #[test]
        fn the_ledger_balances_for_every_site_and_period(
            areas in proptest::collection::vec(1_i64..10_000_000, 2..6),
            off in -90_i64..90,
            released in proptest::collection::vec(any::<bool>(), 6),
            measured in -500_i64..500,
            days in proptest::collection::vec(0_i32..400, 3),
        ) {
            let day = |offset: i32| date(2016, 1, 1).saturating_add(jiff::Span::new().days(offset));
            let (first, last) = (day(days[0].min(days[1])), day(days[0].max(days[1])));
            let total: i64 = areas.iter().sum();
            prop_assume!(0 < total + off);
            let mut whole = Site { area_m2: total + off, ..site() };
            let mut movements = vec![
                Movement::new(&whole, MovementKind::Identified, total + off - measured, day(10), String::new()),
                Movement::new(&whole, MovementKind::Remeasured, measured, day(100), String::new()),
            ];
            let parts = areas.iter().zip(10_u128..).zip(&released).map(|((area, number), released)| {
                part(number, *area, released.then(|| release(ReleaseType::Cleared, day(300))))
            });
            let done = split(&mut whole, parts.collect(), day(200), "", &Proof::default()).unwrap();
            movements.extend(done.movements);
            let ledger = |from, to| {
                let mut rows: BTreeMap<SiteId, LandSums> = BTreeMap::new();
                for moved in movements.iter().filter(|moved| moved.effective_on <= to) {
                    rows.entry(moved.site).or_default().add(from, moved);
                }
                rows
            };
            for (id, sums) in ledger(first, last) {
                let until: i64 = movements.iter()
                    .filter(|moved| moved.site == id && moved.effective_on <= last)
                    .map(|moved| moved.area_m2).sum();
                prop_assert_eq!(sums.closing(), until);
                // The next period opens with what this one closed with.
                let next = ledger(last.tomorrow().unwrap(), day(500))[&id];
                prop_assert_eq!(next.opening, sums.closing());
            }
            let all = ledger(day(0), day(500));
            let split: i64 = all.values().map(|sums| sums.split_in + sums.split_out).sum();
            prop_assert_eq!(split, 0);
            for site in done.parts.iter().chain([&whole]) {
                prop_assert_eq!(all[&site.id].closing(), site.area_m2);
            }
        }
    }
}
