//! Use cases of accreditations: what an operator asks for, and what an authority grants and takes back.

mod shown;

use uuid::Uuid;

use crate::app::App;
use crate::app::change::{Changed, Changing, Ground, Record, Request};
use crate::app::rights::may_act_for;
use crate::app::team::expect_revision;
use crate::domain::accreditation::{
    Accreditation, AccreditationChange, AccreditationLevel, AccreditationState, NewAccreditation, Objection,
};
use crate::domain::caller::Caller;
use crate::domain::ids::{AccreditationId, OrganizationId, ScopeId};
use crate::domain::kind::Kind;
use crate::domain::organization::OrganizationKind;
use crate::error::{Error, Violations};
use crate::store::Connection;
use crate::store::accreditation::{
    find_accreditation, find_owner, insert_accreditation, update_accreditation,
};

pub use shown::ShownAccreditation;

/// Ask for an accreditation.
#[derive(Debug, Clone)]
pub struct ApplyForAccreditation(pub NewAccreditation);

/// Accredit without an application.
#[derive(Debug, Clone)]
pub struct GrantAccreditation(pub NewAccreditation);

/// Change an accreditation, or move an application on.
#[derive(Debug, Clone)]
pub struct ChangeAccreditation {
    /// The accreditation.
    pub id: AccreditationId,
    /// What is done with it.
    pub change: AccreditationChange,
    /// Its revision as the caller knows it.
    pub expected_revision: i64,
}

impl Changing for ApplyForAccreditation {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![owner_of(conn, self.0.level, self.0.subject).await?.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        record(ground, &self.0, AccreditationState::Applied).await
    }
}

impl Changing for GrantAccreditation {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![owner_of(conn, self.0.level, self.0.subject).await?.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        record(ground, &self.0, AccreditationState::Accredited).await
    }
}

async fn record(
    ground: &mut Ground<'_>,
    new: &NewAccreditation,
    state: AccreditationState,
) -> Result<(), Error> {
    let organization = owner_of(ground.conn, new.level, new.subject).await?;
    let NewAccreditation { id, level, subject, authority, activity, certificate, days } = new.clone();
    let granted = state == AccreditationState::Accredited;
    let accreditation = Accreditation {
        id,
        level,
        subject,
        organization,
        authority,
        activity,
        certificate,
        days,
        state,
        suspensions: Vec::new(),
        granted_at: granted.then_some(ground.now),
        withdrawn: None,
        created_at: ground.now,
        revision: ground.revision(organization.scope())?,
    };
    insert_accreditation(ground.conn, &accreditation).await?;
    ground.record(organization.scope(), Record::Accreditation(Box::new(accreditation)))
}

impl Changing for ChangeAccreditation {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![known_accreditation(conn, self.id).await?.organization.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let mut of = known_accreditation(ground.conn, self.id).await?;
        expect_revision(Kind::Accreditation, of.id, self.expected_revision, of.revision)?;
        of.change(self.change.clone(), ground.now).map_err(|objection| match objection {
            Objection::Refused(refusal) => Error::from(*refusal),
            Objection::Field(field, rule) => Violations::one(field, rule),
        })?;
        let scope = of.organization.scope();
        of.revision = ground.revision(scope)?;
        update_accreditation(ground.conn, &of).await?;
        ground.record(scope, Record::Accreditation(Box::new(of)))
    }
}

async fn known_accreditation(conn: &mut Connection, id: AccreditationId) -> Result<Accreditation, Error> {
    find_accreditation(conn, id).await?.ok_or_else(|| Error::not_found(Kind::Accreditation, id))
}

/// What a subject of a level is.
const fn kind_of(level: AccreditationLevel) -> Kind {
    match level {
        AccreditationLevel::Organization => Kind::Organization,
        AccreditationLevel::Team => Kind::Team,
        AccreditationLevel::Person => Kind::Person,
    }
}

/// The operator that a subject is, or belongs to.
async fn owner_of(
    conn: &mut Connection,
    level: AccreditationLevel,
    subject: Uuid,
) -> Result<OrganizationId, Error> {
    let found = find_owner(conn, level, subject).await?;
    found.ok_or_else(|| Error::not_found(kind_of(level), subject))
}

impl App {
    /// Asks an authority for an accreditation.
    ///
    /// # Errors
    /// `NotFound` when the caller's operator has no such subject; refuses one that is no authority.
    pub async fn apply_for_accreditation(
        &self,
        caller: &Caller,
        request: Request,
        new: ApplyForAccreditation,
    ) -> Result<Changed, Error> {
        let owner = self.expect_subject(caller, &new.0).await?;
        may_act_for(caller, owner)?;
        self.expect_organization(new.0.authority, OrganizationKind::Authority).await?;
        self.change(caller, request, new).await
    }

    /// Accredits without an application.
    ///
    /// # Errors
    /// `Forbidden` to all but the authority; `NotFound` when there is no such subject.
    pub async fn grant_accreditation(
        &self,
        caller: &Caller,
        request: Request,
        new: GrantAccreditation,
    ) -> Result<Changed, Error> {
        may_act_for(caller, new.0.authority)?;
        self.expect_organization(new.0.authority, OrganizationKind::Authority).await?;
        self.expect_subject(caller, &new.0).await?;
        self.change(caller, request, new).await
    }

    /// Changes an accreditation, or moves an application on.
    ///
    /// # Errors
    /// `Forbidden` to all but its authority; `Stale` when the caller knows an older state; refuses changes that its
    /// state does not allow.
    pub async fn change_accreditation(
        &self,
        caller: &Caller,
        request: Request,
        change: ChangeAccreditation,
    ) -> Result<Changed, Error> {
        let of = self.seen_accreditation(caller, change.id).await?;
        may_act_for(caller, of.authority)?;
        self.change(caller, request, change).await
    }

    async fn seen_accreditation(&self, caller: &Caller, id: AccreditationId) -> Result<Accreditation, Error> {
        let found = find_accreditation(self.store.pool(), id).await?;
        let found = found.ok_or_else(|| Error::not_found(Kind::Accreditation, id))?;
        self.expect_seen(caller, found.organization, Kind::Accreditation, id).await?;
        Ok(found)
    }

    /// The operator of a subject that must be there and seen.
    async fn expect_subject(&self, caller: &Caller, new: &NewAccreditation) -> Result<OrganizationId, Error> {
        let owner = find_owner(self.store.pool(), new.level, new.subject).await?;
        let owner = owner.ok_or_else(|| Error::not_found(kind_of(new.level), new.subject))?;
        self.expect_seen(caller, owner, kind_of(new.level), new.subject).await?;
        self.expect_organization(owner, OrganizationKind::Operator).await?;
        Ok(owner)
    }
}
