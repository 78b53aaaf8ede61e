//! Reading answers: each is what was asked for, or the rule that it breaks.

use std::ops::RangeInclusive;

use crate::rpc::pb;

/// Currencies of ISO 4217 whose decimals are not two.
const DECIMALS: [(usize, &str); 3] = [
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];
/// The most minor units of an amount.
const AMOUNT_MAX: i64 = 1_000_000_000_000_000_000;
/// An id as an example.
const SUCH_AS: &str = "0190a5b6-7c1d-7e2f-8a3b-4c5d6e7f8091";
const LAST_YEAR: i16 = 2199;

/// A text of so many characters that people can see.
pub(super) fn text(line: &str, least: usize, most: usize) -> Result<String, String> {
    let count = line.chars().count();
    if count < least {
        return Err("say something; this cannot be left out".to_owned());
    }
    if most < count {
        return Err(format!("it has {count} characters; at most {most} are taken, say it in fewer"));
    }
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Err("it has characters that nobody sees; type it again, without arrow keys".to_owned());
    }
    Ok(line.to_owned())
}

/// A whole number; nothing is 0 where 0 is allowed.
pub(super) fn number(line: &str, within: &RangeInclusive<i64>) -> Result<i64, String> {
    if line.is_empty() && within.contains(&0) {
        return Ok(0);
    }
    let (least, most) = (within.start(), within.end());
    match line.parse() {
        Ok(number) if within.contains(&number) => Ok(number),
        _ => Err(format!("{line:?} is not a whole number from {least} to {most}, without separators")),
    }
}

pub(super) fn yes(line: &str) -> Result<bool, String> {
    match line.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _ => Err("answer y or n".to_owned()),
    }
}

/// A day from a year on.
pub(super) fn day(line: &str, from_year: i16) -> Result<pb::Date, String> {
    let day: Option<jiff::civil::Date> = line.parse().ok();
    match day {
        Some(day) if (from_year..=LAST_YEAR).contains(&day.year()) => {
            Ok(pb::Date { year: day.year().into(), month: day.month().into(), day: day.day().into() })
        }
        Some(_) => Err(format!("{line} is not from {from_year} to {LAST_YEAR}; say the day as 2026-03-14")),
        None => Err(format!("{line:?} is not a day such as 2026-03-14")),
    }
}

/// A UUID, in the form that everybody has it.
pub(super) fn id(line: &str) -> Result<String, String> {
    let read = uuid::Uuid::try_parse(line).ok().filter(|id| !id.is_nil());
    read.map(|id| id.to_string()).ok_or_else(|| format!("{line:?} is no id such as {SUCH_AS}"))
}

/// The place in a list, by its number or by one of its words.
pub(super) fn one_of(line: &str, words: &[String]) -> Result<usize, String> {
    let said = plain(line);
    let by_number = line.parse::<usize>().ok().filter(|number| (1..=words.len()).contains(number));
    let found = by_number.map(|number| number - 1);
    let found = found.or_else(|| words.iter().position(|word| !said.is_empty() && plain(word) == said));
    found.ok_or_else(|| {
        format!("{line:?} is none of these; give a number from 1 to {} or the words", words.len())
    })
}

/// Several places in a list, each once.
pub(super) fn some_of(line: &str, words: &[String], most: usize) -> Result<Vec<usize>, String> {
    let said = line.split(',').map(str::trim).filter(|part| !part.is_empty());
    let mut found = Vec::new();
    for part in said {
        let place = one_of(part, words)?;
        if found.contains(&place) {
            return Err(format!("{part:?} is there twice; name each once"));
        }
        found.push(place);
    }
    if most < found.len() {
        return Err(format!("these are {}; name at most {most}", found.len()));
    }
    Ok(found)
}

/// However it is written: `AP_MINE`, `ap-mine` and `ap mine` are the same.
fn plain(words: &str) -> String {
    words.replace(['_', '-'], " ").to_lowercase()
}

/// A point as latitude and longitude in degrees.
pub(super) fn position(line: &str) -> Result<pb::Position, String> {
    let degrees = |text: &str, within: RangeInclusive<f64>| {
        let read: Option<f64> = text.trim().parse().ok();
        read.filter(|degrees| within.contains(degrees))
    };
    let parts = line.split_once(',');
    let read =
        parts.and_then(|(south, east)| Some((degrees(south, -90.0..=90.0)?, degrees(east, -180.0..=180.0)?)));
    let (latitude, longitude) = read.ok_or_else(|| {
        format!("{line:?} is not latitude (-90 to 90) and longitude (-180 to 180), such as -18.97, 32.67")
    })?;
    Ok(pb::Position { latitude, longitude, accuracy_m: 0 })
}

/// The code of a currency.
pub(super) fn currency(line: &str) -> Result<String, String> {
    if line.len() == 3 && line.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Ok(line.to_ascii_uppercase());
    }
    Err(format!("{line:?} is not the three letters of a currency, such as USD"))
}

/// An amount as people write it, in the smallest units of the currency.
pub(super) fn amount(line: &str, currency: &str) -> Result<i64, String> {
    let decimals = decimals(currency);
    let (whole, part) = line.split_once('.').unwrap_or((line, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = digits(whole) && digits(part) && !whole.is_empty() && part.len() <= decimals;
    // A point with nothing behind it is half an amount.
    let fits = fits && (!part.is_empty() || !line.contains('.'));
    let minor = fits.then(|| format!("{whole}{part:0<decimals$}").parse::<i64>().ok()).flatten();
    minor.filter(|minor| (1..=AMOUNT_MAX).contains(minor)).ok_or_else(|| {
        let such_as = if decimals == 0 { "42".to_owned() } else { format!("42.{}", "5".repeat(decimals)) };
        format!("{line:?} is no amount above 0 with at most {decimals} decimals, such as {such_as}, without separators")
    })
}

fn decimals(currency: &str) -> usize {
    let listed = DECIMALS.iter().find(|(_, codes)| codes.split(' ').any(|code| code == currency));
    listed.map_or(2, |(decimals, _)| *decimals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::currency::Currency;

    #[test]
    fn currencies_have_the_decimals_that_the_service_knows() {
        let letters = || b'A'..=b'Z';
        for code in letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c]))) {
            let code = String::from_utf8(code.to_vec()).unwrap();
            if let Ok(known) = Currency::parse(&code) {
                assert_eq!(decimals(&code), usize::from(known.exponent()), "{code}");
            }
        }
    }

    #[test]
    fn amounts_are_read_in_the_smallest_unit_of_their_currency() {
        let read = |line, currency| amount(line, currency).ok();
        assert_eq!(read("42.50", "USD"), Some(4_250));
        assert_eq!(read("42.5", "USD"), Some(4_250));
        assert_eq!(read("42", "USD"), Some(4_200));
        assert_eq!(read("42", "JPY"), Some(42));
        assert_eq!(read("42.5", "IQD"), Some(42_500));
        for bad in ["", "0", "0.00", "42.", ".5", "42.505", "1,000", "-1", "+1", "1e3", "9999999999999999999"]
        {
            let told = amount(bad, "USD").unwrap_err();
            assert!(told.contains("at most 2 decimals, such as 42.55"), "{bad}: {told}");
        }
        assert!(amount("42.5", "JPY").is_err());
    }

    #[test]
    fn lists_are_answered_by_number_or_by_word() {
        let words: Vec<String> = ["ap mine", "axo"].map(str::to_owned).into();
        for line in ["1", "ap mine", "AP_MINE", "Ap-Mine"] {
            assert_eq!(one_of(line, &words), Ok(0), "{line}");
        }
        for line in ["", "0", "3", "mine", "-1"] {
            assert!(one_of(line, &words).unwrap_err().contains("from 1 to 2"), "{line}");
        }
        assert_eq!(some_of("2, ap mine", &words, 20), Ok(vec![1, 0]));
        assert_eq!(some_of("", &words, 20), Ok(vec![]));
        assert!(some_of("1, ap mine", &words, 20).unwrap_err().contains("twice"));
        assert!(some_of("1, 2", &words, 1).unwrap_err().contains("at most 1"));
    }

    #[test]
    fn texts_numbers_days_and_positions_keep_their_rules() {
        assert!(text("", 1, 5).unwrap_err().contains("cannot be left out"));
        assert!(text("abcdef", 0, 5).unwrap_err().contains("at most 5"));
        assert!(text("a\u{1b}[D", 0, 9).unwrap_err().contains("arrow keys"));
        assert_eq!(number("", &(0..=9)), Ok(0));
        assert!(number("", &(1..=9)).is_err() && number("10", &(1..=9)).is_err());
        assert_eq!(day("1998-06-15", 1990), Ok(pb::Date { year: 1998, month: 6, day: 15 }));
        assert!(day("1989-12-31", 1990).unwrap_err().contains("1990") && day("30 June", 1).is_err());
        assert_eq!(position("-18.97, 32.67").map(|at| (at.latitude, at.longitude)), Ok((-18.97, 32.67)));
        for bad in ["", "1", "91, 0", "0, 181", "NaN, 0", "1, 2, 3"] {
            assert!(position(bad).is_err(), "{bad}");
        }
    }
}
