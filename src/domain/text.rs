//! Texts with a limit: what does not fit is refused at the edge, with the rule that it broke.

use std::fmt;

/// A human code of a program, period, organization or allocation, such as `US-HD-1998`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(String);

impl Code {
    /// The longest code, in characters.
    pub const CHARS_MAX: usize = 40;

    /// Reads 1 to 40 characters of `A-Z`, `0-9`, `.`, `_`, `/` and `-`.
    ///
    /// # Errors
    /// Says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let allowed =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"._/-".contains(&byte);
        if text.is_empty() || Self::CHARS_MAX < text.len() || !text.bytes().all(allowed) {
            let max = Self::CHARS_MAX;
            return Err(format!(
                "{} is not 1 to {max} characters of A-Z, 0-9, '.', '_', '/', '-'",
                quote(text)
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Free text of `MIN` to `MAX` characters without control characters other than line breaks and tabs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

/// A name or title.
pub type Title = Text<1, 200>;
/// A remark that may be empty.
pub type Note = Text<0, 1_000>;
/// Why something was undone.
pub type Reason = Text<1, 1_000>;
/// The number of a contract or order; may be empty.
pub type Reference = Text<0, 100>;
/// Who published something.
pub type Source = Text<1, 100>;

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// Checks length and characters.
    ///
    /// # Errors
    /// Says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let count = text.chars().count();
        if count < MIN || MAX < count {
            return Err(format!("has {count} characters, not {MIN} to {MAX}"));
        }
        if MIN != 0 && text.trim().is_empty() {
            return Err("is blank".to_owned());
        }
        match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            Some(control) => Err(format!("holds the control character {control:?}")),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A country of ISO 3166-1, by its two letters. Only the form is checked: countries come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountryCode([u8; 2]);

impl CountryCode {
    /// Reads two capital letters.
    ///
    /// # Errors
    /// Says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self([*a, *b])),
            _ => Err(format!("{} is not two capital letters of ISO 3166-1, such as \"ZW\"", quote(text))),
        }
    }

    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Both bytes are ASCII letters, so the empty text is never taken.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Quotes what a caller sent, cut so that an error text stays short.
#[must_use]
pub fn quote(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_short_and_plain() {
        assert_eq!(Code::parse("US-HD-1998").unwrap().as_str(), "US-HD-1998");
        for text in ["", "zw", "ZW 1", "Ä", &"A".repeat(41)] {
            assert!(Code::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn texts_count_characters_and_refuse_control_characters() {
        assert!(Title::parse(&"é".repeat(200)).is_ok());
        assert!(Title::parse(&"é".repeat(201)).unwrap_err().contains("201"));
        assert!(Title::parse("   ").is_err());
        assert!(Note::parse("").is_ok());
        assert!(Note::parse("a\nb\tc").is_ok());
        assert!(Note::parse("a\0b").unwrap_err().contains("control"));
    }
}
