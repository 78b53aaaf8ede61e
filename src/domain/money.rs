//! Amounts in integer minor units, percentages in parts per million, and the two roundings of the
//! project: half to even, and largest remainder. No floats.

use std::fmt;

use crate::domain::currency::Currency;

/// One whole in parts per million.
const WHOLE_PPM: i128 = 1_000_000;

/// The most that any counter of an allocation may reach, in minor units.
pub const TOTAL_MAX: i64 = 4_000_000_000_000_000_000;

/// A positive amount in minor units of a currency that the context knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

impl Amount {
    /// The largest amount of one entry. Together with [`TOTAL_MAX`] it keeps every sum inside 63 bits.
    pub const MAX: i64 = 1_000_000_000_000_000_000;

    /// Wraps minor units above zero and at most [`Self::MAX`].
    #[must_use]
    pub const fn new(minor_units: i64) -> Option<Self> {
        if 0 < minor_units && minor_units <= Self::MAX { Some(Self(minor_units)) } else { None }
    }

    /// The minor units, above zero.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// A positive amount with its currency, as a caller gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// The currency.
    pub currency: Currency,
    /// The amount in its minor units.
    pub amount: Amount,
}

/// A share in parts per million, from 1 to 10,000,000 (1,000 %).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(i64);

impl Percent {
    /// The largest percentage that an increase may have.
    pub const PPM_MAX: i64 = 10_000_000;

    /// Wraps parts per million.
    #[must_use]
    pub const fn new(ppm: i64) -> Option<Self> {
        if 0 < ppm && ppm <= Self::PPM_MAX { Some(Self(ppm)) } else { None }
    }

    /// Parts per million.
    #[must_use]
    pub const fn ppm(self) -> i64 {
        self.0
    }

    /// The share of `base`, rounded half to even. `None` when it does not fit 63 bits.
    #[must_use]
    pub fn of(self, base: i64) -> Option<i64> {
        let share = round_half_even(i128::from(base) * i128::from(self.0), WHOLE_PPM);
        i64::try_from(share).ok()
    }
}

/// `numerator / denominator` rounded to the nearest integer, ties to the even one.
/// Both must be at or above zero, the denominator above.
#[must_use]
pub fn round_half_even(numerator: i128, denominator: i128) -> i128 {
    let (quotient, rest) = (numerator / denominator, numerator % denominator);
    let twice = rest * 2;
    let up = denominator < twice || (twice == denominator && quotient % 2 == 1);
    quotient + i128::from(up)
}

/// Splits `total` in proportion to `weights` so that the parts sum to it exactly: each part is rounded
/// down, and what is left goes unit by unit to the largest remainders, ties to the smaller key.
///
/// `None` when there is no weight above zero to share by.
#[must_use]
pub fn split_pro_rata<K: Ord + Copy>(total: i64, weights: &[(K, i64)]) -> Option<Vec<(K, i64)>> {
    let whole: i128 = weights.iter().map(|(_, weight)| i128::from(*weight)).sum();
    if whole <= 0 {
        return None;
    }
    let mut parts: Vec<(K, i64, i128)> = Vec::with_capacity(weights.len());
    let mut left = total;
    for (key, weight) in weights {
        let exact = i128::from(total) * i128::from(*weight);
        // A part is at most the total, which is an i64.
        let floor = i64::try_from(exact / whole).ok()?;
        left -= floor;
        parts.push((*key, floor, exact % whole));
    }
    parts.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(&b.0)));
    for part in &mut parts {
        let unit = i64::from(0 < left);
        part.1 += unit;
        left -= unit;
    }
    parts.sort_by_key(|part| part.0);
    Some(parts.into_iter().map(|(key, part, _)| (key, part)).collect())
}

/// Shows minor units as people write them: thousands separators, and the currency's decimals.
#[must_use]
pub fn format_minor_units(minor_units: i64, exponent: u8) -> String {
    let digits = format!("{:0width$}", minor_units.unsigned_abs(), width = usize::from(exponent) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(exponent));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index != 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if minor_units < 0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{grouped}{point}{fraction}")
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = format_minor_units(self.amount.get(), self.currency.exponent());
        write!(f, "{} {amount}", self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quarter_of_68_million_is_17_million() {
        assert_eq!(Percent::new(250_000).unwrap().of(6_800_000_000), Some(1_700_000_000));
    }

    #[test]
    fn ties_go_to_the_even_cent() {
        let quarter = Percent::new(250_000).unwrap();
        assert_eq!(quarter.of(2), Some(0));
        assert_eq!(quarter.of(6), Some(2));
        assert_eq!(quarter.of(10), Some(2));
        assert_eq!(quarter.of(14), Some(4));
    }

    #[test]
    fn a_third_of_85_million_goes_to_the_smaller_key() {
        let parts = split_pro_rata(8_500_000_000, &[(3, 1), (1, 1), (2, 1)]).unwrap();
        assert_eq!(parts, [(1, 2_833_333_334), (2, 2_833_333_333), (3, 2_833_333_333)]);
    }

    #[test]
    fn nothing_is_shared_by_no_weight() {
        assert_eq!(split_pro_rata(100, &[(1, 0), (2, 0)]), None);
        assert_eq!(split_pro_rata::<u8>(100, &[]), None);
    }

    #[test]
    fn amounts_read_as_people_write_them() {
        assert_eq!(format_minor_units(8_500_000_000, 2), "85,000,000.00");
        assert_eq!(format_minor_units(5, 2), "0.05");
        assert_eq!(format_minor_units(-123_456, 3), "-123.456");
        assert_eq!(format_minor_units(1_000, 0), "1,000");
        assert_eq!(format_minor_units(0, 0), "0");
    }

    proptest! {
        #[test]
        fn a_split_sums_to_its_total_and_no_part_is_off_by_a_unit(
            total in 0..i64::MAX,
            weights in prop::collection::vec(0..i64::MAX, 1..40),
        ) {
            let keyed: Vec<(usize, i64)> = weights.iter().copied().enumerate().collect();
            let whole: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
            let Some(parts) = split_pro_rata(total, &keyed) else {
                prop_assert_eq!(whole, 0);
                return Ok(());
            };
            prop_assert_eq!(parts.iter().map(|(_, part)| i128::from(*part)).sum::<i128>(), i128::from(total));
            for ((_, part), weight) in parts.iter().zip(&weights) {
                let floor = i128::from(total) * i128::from(*weight) / whole;
                prop_assert!(floor <= i128::from(*part) && i128::from(*part) <= floor + 1);
            }
        }

        #[test]
        fn rounding_is_never_off_by_more_than_half(base in 0..i64::MAX, ppm in 1..=Percent::PPM_MAX) {
            let exact = i128::from(base) * i128::from(ppm);
            let rounded = round_half_even(exact, WHOLE_PPM);
            prop_assert!((rounded * WHOLE_PPM - exact).abs() * 2 <= WHOLE_PPM);
        }
    }
}
