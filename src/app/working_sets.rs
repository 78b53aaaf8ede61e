//! What a writer remembers of the ledgers that it wrote last.
//!
//! A working set is fenced by the revision at which it was kept: it counts only if the scope's head is still
//! there, as the writer sees under its lock, or as the booking statement makes sure. When another replica wrote
//! in between, the head has moved, and everything is read again.

use std::collections::HashMap;

use crate::domain::ids::ScopeId;
use crate::domain::ledger::Ledger;
use crate::seeded::{Bug, seeded};
use crate::store::journal::Head;

/// The most ledgers that one writer remembers.
const LEDGERS_MAX: usize = 1_000;
/// The most allocations, reservations and obligations in all of them: about 64 MiB.
const OBJECTS_MAX: usize = 100_000;

/// The working sets of one writer.
#[derive(Debug, Default)]
pub(crate) struct WorkingSets {
    kept: HashMap<ScopeId, (Head, Ledger)>,
    objects: usize,
}

impl WorkingSets {
    /// Hands out the working set of a scope, if it is that of the head, whose lock the caller holds.
    pub(crate) fn take(&mut self, head: &Head) -> Option<Ledger> {
        let (kept_at, ledger) = self.take_unfenced(head.scope)?;
        (kept_at.revision == head.revision || seeded(Bug::TrustStaleWorkingSet)).then_some(ledger)
    }

    /// Hands out the working set of a scope with the head at which it was kept. Whoever writes on it must make
    /// sure that the head is still there.
    pub(crate) fn take_unfenced(&mut self, scope: ScopeId) -> Option<(Head, Ledger)> {
        let (kept_at, ledger) = self.kept.remove(&scope)?;
        self.objects = self.objects.saturating_sub(ledger.objects());
        Some((kept_at, ledger))
    }

    /// Keeps the working set of a scope as of its head. It counts once that head is committed: on any failure
    /// the caller must [`WorkingSets::clear`].
    pub(crate) fn keep(&mut self, head: Head, mut ledger: Ledger) {
        ledger.reversible.clear();
        if LEDGERS_MAX <= self.kept.len() || OBJECTS_MAX < self.objects + ledger.objects() {
            self.clear();
        }
        if ledger.objects() <= OBJECTS_MAX {
            self.objects += ledger.objects();
            self.kept.insert(head.scope, (head, ledger));
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        self.objects = 0;
    }
}
