//! Who makes a call: a subject, the one role it acts in and the organization it acts for.
//!
//! A [`Caller`] exists only if its parts fit together, so nothing behind it has to check them again. This
//! module does not know where a caller comes from: no tokens, no headers, no clock.

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

/// Longest subject in bytes. A subject is written into every journal event, so it must stay small.
pub const MAX_SUBJECT_BYTES: usize = 200;

/// What a caller may do. A caller has exactly one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A team in the field.
    Field,
    /// Plans work and spends what was allocated.
    Coordinator,
    /// Gives the money and follows it.
    Funder,
    /// Reads everything and changes nothing.
    Auditor,
    /// Runs the service.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Field, Self::Coordinator, Self::Funder, Self::Auditor, Self::Admin];

    /// The role's name as it stands in a token.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Field => "field",
            Self::Coordinator => "coordinator",
            Self::Funder => "funder",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    /// The role of this exact name. Upper case is not accepted: one spelling, everywhere.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether the role means something only inside an organization.
    #[must_use]
    pub const fn needs_organization(self) -> bool {
        match self {
            Self::Field | Self::Coordinator | Self::Funder => true,
            Self::Auditor | Self::Admin => false,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why parts do not make a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// The subject is empty, too long or not printable.
    #[error("a subject has 1 to {MAX_SUBJECT_BYTES} bytes and no control characters")]
    Subject,
    /// The role acts for an organization and none was named.
    #[error("role {0} needs an organization")]
    OrganizationMissing(Role),
    /// The nil UUID stands for "not set" in too many systems to be somebody's organization.
    #[error("the nil UUID is not an organization")]
    OrganizationNil,
}

/// Who makes a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    subject: String,
    role: Role,
    organization_id: Option<Uuid>,
    expires_at: Option<Timestamp>,
}

impl Caller {
    /// Puts a caller together, if the parts fit.
    pub fn new(
        subject: impl Into<String>,
        role: Role,
        organization_id: Option<Uuid>,
    ) -> Result<Self, CallerError> {
        let subject = subject.into();
        let sized = (1..=MAX_SUBJECT_BYTES).contains(&subject.len());
        if !sized || subject.chars().any(char::is_control) {
            return Err(CallerError::Subject);
        }
        match organization_id {
            Some(id) if id.is_nil() => Err(CallerError::OrganizationNil),
            None if role.needs_organization() => Err(CallerError::OrganizationMissing(role)),
            _ => Ok(Self { subject, role, organization_id, expires_at: None }),
        }
    }

    /// The caller that everyone is when the service runs without authentication on loopback.
    #[must_use]
    pub fn local_admin() -> Self {
        Self { subject: "local-admin".to_owned(), role: Role::Admin, organization_id: None, expires_at: None }
    }

    /// The same caller, known only until this moment.
    #[must_use]
    pub fn until(self, moment: Timestamp) -> Self {
        Self { expires_at: Some(moment), ..self }
    }

    /// The name under which the caller is recorded.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The role in which the caller acts.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The organization for which the caller acts. Always there for field, coordinator and funder.
    #[must_use]
    pub const fn organization_id(&self) -> Option<Uuid> {
        self.organization_id
    }

    /// From when on the caller must prove itself again; a long stream ends then. `None` is never.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_acts_for_an_organization_cannot_be_made_without_one() {
        for role in Role::ALL {
            let made = Caller::new("lea", role, None);
            let needs = matches!(role, Role::Field | Role::Coordinator | Role::Funder);
            assert_eq!(made.is_err(), needs, "{role}");
            assert!(Caller::new("lea", role, Some(Uuid::from_u128(7))).is_ok(), "{role}");
        }
    }

    #[test]
    fn the_nil_organization_is_refused_for_every_role() {
        for role in Role::ALL {
            let made = Caller::new("lea", role, Some(Uuid::nil()));
            assert_eq!(made, Err(CallerError::OrganizationNil), "{role}");
        }
    }

    #[test]
    fn a_subject_is_short_and_printable() {
        for subject in ["", "a\nb", "a\u{0}", &"x".repeat(MAX_SUBJECT_BYTES + 1)] {
            let made = Caller::new(subject, Role::Admin, None);
            assert_eq!(made, Err(CallerError::Subject), "{subject:?}");
        }
        assert!(Caller::new("x".repeat(MAX_SUBJECT_BYTES), Role::Admin, None).is_ok());
    }

    #[test]
    fn a_role_has_one_spelling() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
            assert_eq!(Role::from_name(&role.name().to_uppercase()), None);
        }
    }

    #[test]
    fn the_local_admin_is_an_admin_without_an_end() {
        let caller = Caller::local_admin();
        assert_eq!((caller.role(), caller.expires_at()), (Role::Admin, None));
    }
}
