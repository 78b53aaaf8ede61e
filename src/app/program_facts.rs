//! What never changes about a program (currency, funder, office), kept in memory once read, and whether a
//! caller may see it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::caller::{Caller, Role};
use crate::domain::ids::ProgramId;
use crate::domain::kind::Kind;
use crate::domain::program::Program;
use crate::error::Error;
use crate::store::Store;
use crate::store::funding::find_program;

/// How many programs are kept; beyond it the memory is emptied and filled anew.
const KEPT_MAX: usize = 10_000;

/// Programs by id. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ProgramFacts {
    store: Store,
    kept: Arc<Mutex<HashMap<ProgramId, Arc<Program>>>>,
}

impl ProgramFacts {
    /// Nothing is kept yet.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, kept: Arc::default() }
    }

    /// The program, if the caller may see it.
    ///
    /// # Errors
    /// `NotFound` when there is none, and just so when there is one of others.
    pub async fn get(&self, caller: &Caller, id: ProgramId) -> Result<Arc<Program>, Error> {
        let program = match self.kept(id) {
            Some(program) => program,
            None => self.read(id).await?,
        };
        if sees(caller, &program) { Ok(program) } else { Err(Error::not_found(Kind::Program, id)) }
    }

    /// The program, if the caller may change it: as its funder, its office, or an administrator.
    ///
    /// # Errors
    /// `NotFound` when there is none that it sees; `Forbidden` when it sees it in another part.
    pub async fn get_to_change(&self, caller: &Caller, id: ProgramId) -> Result<Arc<Program>, Error> {
        let program = self.get(caller, id).await?;
        let own = caller.organization_id();
        let allowed = match caller.role() {
            Role::Admin => true,
            Role::Funder => own == Some(program.funder.uuid()),
            Role::Coordinator => own == Some(program.office.uuid()),
            Role::Field | Role::Auditor => false,
        };
        if allowed { Ok(program) } else { Err(Error::Forbidden) }
    }

    fn kept(&self, id: ProgramId) -> Option<Arc<Program>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    async fn read(&self, id: ProgramId) -> Result<Arc<Program>, Error> {
        let found = find_program(self.store.pool(), id).await?;
        let program = Arc::new(found.ok_or_else(|| Error::not_found(Kind::Program, id))?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if KEPT_MAX <= kept.len() {
            kept.clear();
        }
        kept.insert(id, Arc::clone(&program));
        Ok(program)
    }
}

/// A funder and an office see their own programs; auditors and administrators see all.
fn sees(caller: &Caller, program: &Program) -> bool {
    let party = [program.funder.uuid(), program.office.uuid()];
    match caller.role() {
        Role::Admin | Role::Auditor => true,
        Role::Funder | Role::Coordinator | Role::Field => {
            caller.organization_id().is_some_and(|own| party.contains(&own))
        }
    }
}
