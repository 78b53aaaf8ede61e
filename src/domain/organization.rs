//! Organizations: who gives, plans, rules and works.

use std::fmt;

use jiff::Timestamp;

use crate::domain::ids::OrganizationId;
use crate::domain::text::{Code, CountryCode, Title};

/// What an organization does in mine action. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrganizationKind {
    /// Gives money.
    Funder,
    /// Runs programs for a funder.
    Office,
    /// A national mine action authority.
    Authority,
    /// Has teams in the field.
    Operator,
}

impl OrganizationKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Funder, Self::Office, Self::Authority, Self::Operator];

    /// The word for it in storage and in error metadata.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Funder => "FUNDER",
            Self::Office => "OFFICE",
            Self::Authority => "AUTHORITY",
            Self::Operator => "OPERATOR",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Display for OrganizationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id, which is also its journal.
    pub id: OrganizationId,
    /// What it does.
    pub kind: OrganizationKind,
    /// Its short code, unique among all.
    pub code: Code,
    /// What people call it.
    pub name: Title,
    /// Its country; none for an international body.
    pub country: Option<CountryCode>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Revision of its journal at the last change.
    pub revision: i64,
}
