//! The fenced way: a batch that is filled while the one before is being written.

use crate::app::batch::before::Before;
use crate::app::batch::scope::Batch;
use crate::app::batch::wanted::at_hand;
use crate::app::batch::{Done, Terms};
use crate::app::codec::EventCodec;
use crate::app::command::Command;
use crate::app::working_sets::WorkingSets;
use crate::app::writer::{Outcomes, Submission};
use crate::domain::entry::Action;
use crate::domain::ids::ScopeId;
use crate::error::Error;
use crate::store::Connection;
use crate::store::journal::find_heads;
use crate::store::ledger::{Booking, book};

/// A batch that is being filled: entries are applied as they come.
pub(crate) struct Filling {
    codec: EventCodec,
    batch: Batch,
    outcomes: Outcomes,
}

/// A batch that is on its way to the database.
pub(crate) struct Departed {
    codec: EventCodec,
    booking: Booking,
    outcomes: Outcomes,
}

impl Filling {
    /// Begins on the working set of a scope, if it is remembered.
    pub(crate) fn begin(sets: &mut WorkingSets, codec: EventCodec, scope: ScopeId) -> Option<Self> {
        let (head, mut ledger) = sets.take_unfenced(scope)?;
        // Reversals are written locked, so nothing that is applied here is reversed here.
        ledger.remembers = false;
        Some(Self { codec, batch: Batch::on(codec, head, ledger), outcomes: Vec::new() })
    }

    /// Whether all of these are entries of the scope that change nothing but balances, reservations and
    /// obligations, and name only what is at hand.
    pub(crate) fn takes(&self, submissions: &[Submission]) -> bool {
        let Some(ledger) = self.batch.ledger() else { return false };
        submissions.iter().all(|sent| match &sent.command {
            Command::PostEntry(entry) => {
                let reverses = matches!(entry.action, Action::Reverse { .. });
                entry.program.scope() == self.batch.head().scope
                    && !reverses
                    && !entry.action.changes_authorization()
                    && at_hand(ledger, entry)
            }
            _ => false,
        })
    }

    /// Applies submissions that it [`Filling::takes`].
    pub(crate) fn fill(&mut self, terms: Terms, submissions: &[Submission]) {
        self.batch.begin_at(terms.now);
        self.outcomes.extend(submissions.iter().map(|sent| self.batch.enter(sent)));
    }

    /// Hands over what was applied since it departed last.
    pub(crate) fn depart(&mut self) -> Departed {
        let (codec, outcomes) = (self.codec, std::mem::take(&mut self.outcomes));
        Departed { codec, booking: self.batch.take_booking(), outcomes }
    }

    /// Puts the working set aside. Everything that departed must have arrived.
    pub(crate) fn keep(self, sets: &mut WorkingSets) {
        self.batch.keep(sets);
    }
}

impl Departed {
    /// Writes it by one statement. `None` when another replica has moved the head; then nothing was written.
    ///
    /// # Errors
    /// When the database fails. What it failed at may have been done.
    pub(crate) async fn write<'s>(
        mut self,
        conn: &mut Connection,
        submissions: impl Iterator<Item = &'s Submission> + Clone,
    ) -> Result<Option<Done>, Error> {
        let mut before = Before::default();
        before.answer_refused(&mut *conn, self.codec, submissions, &mut self.outcomes).await?;
        let (scope, changes) = (self.booking.head.scope, !self.booking.events.is_empty());
        let holds = if changes {
            book(conn, &self.booking).await?
        } else {
            // Refusals, too, are only right where the working set was made.
            let heads = find_heads(conn, &[scope.uuid()]).await?;
            heads.iter().any(|now| now.revision == self.booking.from)
        };
        let reached = changes.then_some((scope, self.booking.head.revision)).into_iter().collect();
        Ok(holds.then(|| Done { outcomes: self.outcomes, reached, replays: before.found() }))
    }
}
