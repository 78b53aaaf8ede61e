//! Whom a safety stop concerns, and what each may do about it.

use uuid::Uuid;

use crate::app::rights::is_of;
use crate::domain::caller::{Caller, Role};
use crate::domain::ids::{OrganizationId, ProgramId, SafetyStopId, ScopeId};
use crate::domain::safety_stop::{SafetyStop, StopTarget};
use crate::error::Error;
use crate::store::Store;
use crate::store::accreditation::list_for;
use crate::store::safety_stop::{list_offices, list_told};
use crate::store::task::{find_task, list_concerned};

/// The organizations that a target concerns.
#[derive(Debug, Default)]
pub(super) struct Parties {
    /// Of the programs of the tasks.
    offices: Vec<OrganizationId>,
    /// Of the sites, and those that have accredited an operator.
    authorities: Vec<OrganizationId>,
    /// Who does the work.
    operators: Vec<OrganizationId>,
}

impl Parties {
    /// The parties of a target. A task that is not yet issued does not concern its operator.
    pub(super) async fn of(store: &Store, target: StopTarget) -> Result<Self, Error> {
        let pool = store.pool();
        let mut tasks = list_concerned(pool, target).await?;
        let mut parties = Self::default();
        match target {
            // In whatever state it is.
            StopTarget::Task(_, id) => tasks = find_task(pool, id).await?.into_iter().collect(),
            StopTarget::Site(authority, _) => parties.authorities.push(authority),
            StopTarget::Operator(operator) => {
                parties.operators.push(operator);
                let accredited = list_for(pool, &[operator.uuid()], None).await?;
                // Whoever is merely asked for an accreditation, or took it away, has no say.
                let held =
                    accredited.into_iter().filter(|of| of.granted_at.is_some() && of.withdrawn.is_none());
                parties.authorities.extend(held.map(|of| of.authority));
            }
        }
        let programs: Vec<_> = tasks.iter().map(|task| task.program).collect();
        parties.offices = list_offices(pool, &programs).await?;
        parties.authorities.extend(tasks.iter().filter_map(|task| task.authority));
        let issued = tasks.iter().filter(|task| task.is_issued());
        parties.operators.extend(issued.filter_map(|task| task.plan.operator));
        Ok(parties)
    }

    /// The parties whose journals hold a stop; nobody when there is no such stop.
    pub(super) async fn told(store: &Store, stop: SafetyStopId) -> Result<Self, Error> {
        let told: Vec<Uuid> = list_told(store.pool(), stop).await?.into_iter().map(ScopeId::uuid).collect();
        // No scope is both a program and an organization.
        let programs: Vec<_> = told.iter().copied().map(ProgramId::new).collect();
        let offices = list_offices(store.pool(), &programs).await?;
        let others = told.into_iter().map(OrganizationId::new).collect();
        Ok(Self { offices, authorities: others, operators: Vec::new() })
    }

    /// Whether a caller may stop work: anybody on the ground and in the offices may.
    pub(super) fn may_issue(&self, caller: &Caller) -> bool {
        let mut all = self.offices.iter().chain(&self.authorities).chain(&self.operators);
        match caller.role() {
            Role::Admin => true,
            Role::Coordinator | Role::Field => all.any(|party| is_of(caller, *party)),
            Role::Funder | Role::Auditor => false,
        }
    }

    /// Whether a caller may let work go on: those who answer for the ground and the work, not those who do it; but
    /// an operator that stopped all of its own work by itself may go on by itself.
    pub(super) fn may_lift(&self, caller: &Caller, stop: &SafetyStop) -> bool {
        let own = stop.self_imposed_by().is_some_and(|operator| is_of(caller, operator));
        match caller.role() {
            Role::Admin => true,
            Role::Coordinator => {
                own || self.offices.iter().chain(&self.authorities).any(|party| is_of(caller, *party))
            }
            Role::Field | Role::Funder | Role::Auditor => false,
        }
    }
}
