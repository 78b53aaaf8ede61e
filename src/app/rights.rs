//! Who may change and see what on the operations side, beyond the roles that the contract names for each method.

use crate::app::App;
use crate::domain::caller::{Caller, Role};
use crate::domain::ids::OrganizationId;
use crate::domain::kind::Kind;
use crate::domain::organization::{Organization, OrganizationKind};
use crate::domain::refusal::Refusal;
use crate::error::Error;
use crate::store::organization::find_organization;

/// An administrator acts for everyone, others for their own organization only.
pub(crate) fn may_act_for(caller: &Caller, organization: OrganizationId) -> Result<(), Error> {
    if caller.role() == Role::Admin || is_of(caller, organization) { Ok(()) } else { Err(Error::Forbidden) }
}

/// Whether a caller acts for an organization.
pub(crate) fn is_of(caller: &Caller, organization: OrganizationId) -> bool {
    caller.organization_id() == Some(organization.uuid())
}

impl App {
    /// An organization that must be of a kind.
    pub(crate) async fn expect_organization(
        &self,
        id: OrganizationId,
        required: OrganizationKind,
    ) -> Result<Organization, Error> {
        let found = find_organization(self.store.pool(), id).await?;
        let found = found.ok_or_else(|| Error::not_found(Kind::Organization, id))?;
        if found.kind == required {
            return Ok(found);
        }
        Err(Refusal::WrongOrganizationKind { organization: id, kind: found.kind, required }.into())
    }

    /// Whether a caller sees an operator's teams, people and equipment: the operator itself, authorities and offices,
    /// which accredit and order, auditors and administrators. Never funders, and never other operators.
    pub(crate) async fn sees_operator(
        &self,
        caller: &Caller,
        operator: OrganizationId,
    ) -> Result<bool, Error> {
        match (caller.role(), caller.organization_id()) {
            (Role::Admin | Role::Auditor, _) => Ok(true),
            (Role::Field | Role::Coordinator, Some(own)) if own == operator.uuid() => Ok(true),
            (Role::Funder | Role::Field, _) | (_, None) => Ok(false),
            (Role::Coordinator, Some(own)) => {
                let own = find_organization(self.store.pool(), OrganizationId::new(own)).await?;
                let kind = own.map(|own| own.kind);
                Ok(matches!(kind, Some(OrganizationKind::Authority | OrganizationKind::Office)))
            }
        }
    }

    /// What is not seen does not exist for the caller.
    pub(crate) async fn expect_seen(
        &self,
        caller: &Caller,
        operator: OrganizationId,
        kind: Kind,
        id: impl std::fmt::Display + Send,
    ) -> Result<(), Error> {
        if self.sees_operator(caller, operator).await? { Ok(()) } else { Err(Error::not_found(kind, id)) }
    }
}
