//! Currencies of ISO 4217 and the number of decimals that each has.

use std::fmt;

use crate::domain::text::quote;

/// Currencies whose exponent is not 2, by ISO 4217.
const EXPONENTS: &[(&str, u8)] = &[
    ("BHD", 3),
    ("BIF", 0),
    ("CLF", 4),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("IQD", 3),
    ("ISK", 0),
    ("JOD", 3),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("KWD", 3),
    ("LYD", 3),
    ("OMR", 3),
    ("PYG", 0),
    ("RWF", 0),
    ("TND", 3),
    ("UGX", 0),
    ("UYI", 0),
    ("UYW", 4),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
];

/// Currencies with two decimals, by ISO 4217; HRK and other recent ones for past contracts.
const TWO_DECIMALS: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV \
     BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB \
     EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW \
     KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN \
     NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS \
     SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG \
     YER ZAR ZMW ZWG ZWL";

/// A currency of ISO 4217.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; 3],
    exponent: u8,
}

impl Currency {
    /// ISO 4217's code for "no currency": for entries that name no amount.
    pub const NONE: Self = Self { code: *b"XXX", exponent: 0 };

    /// Reads a code in capitals.
    ///
    /// # Errors
    /// Says what is allowed, when the code is not one of ISO 4217.
    pub fn parse(text: &str) -> Result<Self, String> {
        let unknown = || format!("{} is not an ISO 4217 currency code such as \"USD\"", quote(text));
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| unknown())?;
        let listed = EXPONENTS.iter().find(|(known, _)| *known == text).map(|(_, exponent)| *exponent);
        let exponent = match listed {
            Some(exponent) => exponent,
            // By bytes: searching for separators takes longer than the rest of an entry's reading.
            None if TWO_DECIMALS.as_bytes().chunks(4).any(|known| known.starts_with(&code)) => 2,
            None => return Err(unknown()),
        };
        Ok(Self { code, exponent })
    }

    /// The three letters.
    #[must_use]
    pub fn code(&self) -> &str {
        // The bytes come from a str of three ASCII letters, so the empty text is never taken.
        std::str::from_utf8(&self.code).unwrap_or_default()
    }

    /// The number of decimals: 2 for USD, 0 for JPY, 3 for IQD.
    #[must_use]
    pub const fn exponent(&self) -> u8 {
        self.exponent
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_follow_iso_4217() {
        for (code, exponent) in [("USD", 2), ("EUR", 2), ("JPY", 0), ("IQD", 3), ("JOD", 3), ("UAH", 2)] {
            assert_eq!(Currency::parse(code).unwrap().exponent(), exponent, "{code}");
        }
    }

    #[test]
    fn what_is_not_a_currency_is_refused() {
        for text in ["", "usd", "US", "USDX", "XXX", "US ", "ÄÖ"] {
            assert!(Currency::parse(text).unwrap_err().contains("ISO 4217"), "{text}");
        }
    }
}
