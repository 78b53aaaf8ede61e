//! Exact exchange rates, and the check that a booked amount fits what was paid in another currency.

use std::fmt;

use crate::domain::money::Money;
use crate::domain::text::quote;

/// How far the booked amount may be from original times rate, in minor units: a bank rounds its own way.
const TOLERANCE_MINOR_UNITS: i128 = 1;

/// A positive decimal of at most 18 digits, kept exactly as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    text: String,
    digits: i64,
    decimals: u8,
}

impl Rate {
    /// The most digits a rate may have.
    pub const DIGITS_MAX: usize = 18;

    /// Reads a decimal such as `1.0887`.
    ///
    /// # Errors
    /// Says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{} is not a decimal above zero such as \"1.0887\", at most 18 digits", quote(text));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fraction_missing = text.contains('.') && fraction.is_empty();
        let all = format!("{whole}{fraction}");
        let plain = all.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction_missing || !plain || Self::DIGITS_MAX < all.len() {
            return Err(wrong());
        }
        let digits: i64 = all.parse().map_err(|_| wrong())?;
        let decimals = u8::try_from(fraction.len()).map_err(|_| wrong())?;
        if digits == 0 { Err(wrong()) } else { Ok(Self { text: text.to_owned(), digits, decimals }) }
    }

    /// Whether `original` times this rate is `booked`, to within one minor unit.
    #[must_use]
    pub fn fits(&self, original: Money, booked: Money) -> bool {
        // Both sides are brought to the same power of ten; 18 + 19 digits and the exponents fit 38 digits.
        let paid = i128::from(original.amount.get()).checked_mul(i128::from(self.digits));
        let shift = i32::from(booked.currency.exponent())
            - i32::from(original.currency.exponent())
            - i32::from(self.decimals);
        let unit = 10_i128.checked_pow(shift.unsigned_abs());
        let (Some(paid), Some(unit)) = (paid, unit) else { return false };
        let target = i128::from(booked.amount.get());
        if shift < 0 {
            // paid / unit against target, without dividing.
            target.checked_mul(unit).is_some_and(|exact| (paid - exact).abs() <= TOLERANCE_MINOR_UNITS * unit)
        } else {
            paid.checked_mul(unit).is_some_and(|exact| (exact - target).abs() <= TOLERANCE_MINOR_UNITS)
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::currency::Currency;
    use crate::domain::money::Amount;

    fn money(code: &str, minor_units: i64) -> Money {
        Money { currency: Currency::parse(code).unwrap(), amount: Amount::new(minor_units).unwrap() }
    }

    #[test]
    fn the_euro_expense_of_the_example_fits_exactly() {
        let rate = Rate::parse("1.0887").unwrap();
        assert!(rate.fits(money("EUR", 3_450_000), money("USD", 3_756_015)));
        assert!(rate.fits(money("EUR", 3_450_000), money("USD", 3_756_016)));
        assert!(!rate.fits(money("EUR", 3_450_000), money("USD", 3_756_017)));
        assert!(!rate.fits(money("EUR", 3_450_000), money("USD", 3_756_013)));
    }

    #[test]
    fn decimals_of_both_currencies_count() {
        // 1,000 yen at 8.5 dinars: 8,500.000 dinars are 8,500,000 fils.
        assert!(Rate::parse("8.5").unwrap().fits(money("JPY", 1_000), money("IQD", 8_500_000)));
        assert!(!Rate::parse("8.5").unwrap().fits(money("JPY", 1_000), money("IQD", 8_500)));
    }

    #[test]
    fn what_is_not_a_rate_is_refused() {
        for text in ["", "0", "0.00", "-1", "1,5", ".5", "1.", "1e3", "NaN", "1.2.3", "1234567890123456789"] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }
}
