//! Names of persons: kept apart from all else, shown to whoever may read them, and erased for good ([`erasing`]).

pub mod erasing;
mod names;

use std::sync::Arc;

use crate::app::App;
use crate::app::rights::is_of;
use crate::domain::assignment::Finding;
use crate::domain::caller::{Caller, Role};
use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::personal::{KeptName, PersonalAccess};
use crate::domain::refusal::Refusal;
use crate::domain::text::Title;
use crate::error::Error;
use crate::store::Connection;
use crate::store::person_name::{list_names, list_plain_names, seal_name};
use crate::store::personal::note_access;

pub(crate) use names::Names;
pub use names::NamesByPerson;

/// Names that are sealed before others are read.
const BATCH: i64 = 500;

impl App {
    pub(crate) fn names(&self) -> Names {
        Names::new(self.personal_keys.clone())
    }

    /// The name of a person as it is now, for the answer to who changed something about the person by a method. None once
    /// it was erased, and where the service lacks the key: the change is done, and must not look as if it were not.
    ///
    /// # Errors
    /// `Unavailable` when the database is.
    pub async fn present_name(
        &self,
        caller: &Caller,
        (operator, person): (OrganizationId, PersonId),
        method: &'static str,
    ) -> Result<Option<Title>, Error> {
        match self.read_names(caller, operator, vec![person], method).await {
            Err(Error::Refused(refusal)) => {
                tracing::warn!(%refusal, "a name is left out");
                Ok(None)
            }
            shown => Ok(shown?.remove(&person)),
        }
    }

    /// Names of the persons whom findings are about, for callers of the operator itself. Others read names by
    /// `list_members`, which is noted.
    ///
    /// # Errors
    /// `Unavailable` when the database is.
    pub async fn names_in_findings(
        &self,
        caller: &Caller,
        operator: OrganizationId,
        findings: impl Iterator<Item = &Finding> + Send,
    ) -> Result<NamesByPerson, Error> {
        let subjects: Vec<PersonId> = findings.map(|finding| PersonId::new(finding.subject)).collect();
        if subjects.is_empty() || !reads_freely(caller, operator) {
            return Ok(NamesByPerson::new());
        }
        self.names_that_open(operator, &subjects).await
    }

    /// Says the persons in the findings of a refusal by name, to callers of the operator itself. Without names it is a
    /// refusal all the same.
    pub(crate) async fn naming<T>(
        &self,
        caller: &Caller,
        operator: OrganizationId,
        done: Result<T, Error>,
    ) -> Result<T, Error> {
        let mut refusal = match done {
            Err(Error::Refused(refusal)) => refusal,
            done => return done,
        };
        if let Refusal::AssignmentRefused { findings, .. } = &mut *refusal {
            let names = self.names_in_findings(caller, operator, findings.iter()).await.unwrap_or_default();
            for finding in findings {
                if let Some(name) = names.get(&PersonId::new(finding.subject)) {
                    finding.text = format!("{}: {}", name.as_str(), finding.text);
                }
            }
        }
        Err(Error::Refused(refusal))
    }

    async fn names_that_open(
        &self,
        operator: OrganizationId,
        persons: &[PersonId],
    ) -> Result<NamesByPerson, Error> {
        let kept = list_names(self.store.pool(), operator, persons).await?;
        let names = self.names();
        let open = |(person, kept)| match names.open((operator, person), kept) {
            Ok(found) => Some((person, found.name)),
            Err(error) => {
                tracing::warn!(%error, "a name is left out");
                None
            }
        };
        Ok(kept.into_iter().filter_map(open).collect())
    }

    /// Names of members, for who sees their memberships. The operator itself reads them freely; that anybody else did, and
    /// by which method, is noted before they are answered. Auditors need no names, and get none.
    ///
    /// # Errors
    /// A refusal when a key is missing.
    pub(crate) async fn read_names(
        &self,
        caller: &Caller,
        operator: OrganizationId,
        persons: Vec<PersonId>,
        method: &'static str,
    ) -> Result<NamesByPerson, Error> {
        if persons.is_empty() || caller.role() == Role::Auditor {
            return Ok(NamesByPerson::new());
        }
        let names = self.names();
        if reads_freely(caller, operator) {
            return names.open_all(operator, list_names(self.store.pool(), operator, &persons).await?);
        }
        let access = Arc::new(PersonalAccess {
            report: None,
            subject: caller.subject().to_owned(),
            role: caller.role().to_string(),
            reader: caller.organization_id(),
            purpose: method.to_owned(),
            at: self.now(),
            victims: Vec::new(),
            persons,
        });
        let read = self.store.transaction("person.read", move |conn| {
            let (names, access) = (names.clone(), Arc::clone(&access));
            Box::pin(async move { read_and_note(conn, operator, &names, &access).await })
        });
        read.await
    }

    /// Seals the names that came while the service had no key. Answers how many there were.
    ///
    /// # Errors
    /// `Unavailable` when the database is; the names that are left are sealed the next time.
    pub async fn seal_plain_names(&self) -> Result<u64, Error> {
        let Some(keys) = &self.personal_keys else { return Ok(0) };
        let mut count = 0;
        loop {
            let batch = list_plain_names(self.store.pool(), BATCH).await?;
            if batch.is_empty() {
                return Ok(count);
            }
            for (operator, person, kept) in batch {
                let KeptName::Plain(plain) = kept else { continue };
                let whose = (operator, person);
                let sealed = keys.seal_name(whose, &names::together(&plain))?;
                count += seal_name(self.store.pool(), whose, &plain, &sealed).await?;
            }
        }
    }
}

/// Names are daily work of the operator itself. An auditor is of no operator, whatever the token says.
fn reads_freely(caller: &Caller, operator: OrganizationId) -> bool {
    caller.role() != Role::Auditor && is_of(caller, operator)
}

/// Opens the names and notes the reading, in one transaction: what does not open was not read.
async fn read_and_note(
    conn: &mut Connection,
    operator: OrganizationId,
    names: &Names,
    access: &PersonalAccess,
) -> Result<NamesByPerson, Error> {
    let shown = names.open_all(operator, list_names(&mut *conn, operator, &access.persons).await?)?;
    let mut persons: Vec<PersonId> = shown.keys().copied().collect();
    persons.sort_unstable();
    if !persons.is_empty() {
        note_access(conn, operator, &PersonalAccess { persons, ..access.clone() }).await?;
    }
    Ok(shown)
}
