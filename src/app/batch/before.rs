//! Requests that were answered before.

use std::collections::HashMap;

use uuid::Uuid;

use crate::app::codec::EventCodec;
use crate::app::command::Command;
use crate::app::writer::{Outcomes, Submission, Written};
use crate::domain::ids::ScopeId;
use crate::error::Error;
use crate::seeded::{Bug, seeded};
use crate::store::Connection;
use crate::store::journal::{Answered, find_answered};

/// Requests that were answered before this transaction.
#[derive(Default)]
pub(super) struct Before {
    answered: HashMap<(ScopeId, Uuid), Answered>,
}

impl Before {
    pub(super) async fn look_up(
        &mut self,
        conn: &mut Connection,
        sent: impl Iterator<Item = &Submission>,
    ) -> Result<(), Error> {
        let requests: Vec<Uuid> = sent.map(|sent| sent.command.request()).collect();
        if requests.is_empty() || seeded(Bug::SkipReplayCheck) {
            return Ok(());
        }
        for known in find_answered(conn, &requests).await? {
            self.answered.insert((known.scope, known.request), known);
        }
        Ok(())
    }

    pub(super) fn find(&self, command: &Command) -> Option<&Answered> {
        self.answered.get(&(command.scope(), command.request()))
    }

    pub(super) fn found(&self) -> bool {
        !self.answered.is_empty()
    }

    /// A refused command may be one that was accepted before, when the rules still allowed it. It changed
    /// nothing now, so only its answer is exchanged.
    pub(super) async fn answer_refused<'s>(
        &mut self,
        conn: &mut Connection,
        codec: EventCodec,
        submissions: impl Iterator<Item = &'s Submission> + Clone,
        outcomes: &mut Outcomes,
    ) -> Result<(), Error> {
        let refused = submissions.clone().zip(&*outcomes).filter(|(_, outcome)| outcome.is_err());
        let refused: Vec<&Submission> = refused.map(|(sent, _)| sent).collect();
        self.look_up(conn, refused.into_iter()).await?;
        for (sent, outcome) in submissions.zip(outcomes) {
            if outcome.is_err()
                && let Some(known) = self.find(&sent.command)
            {
                *outcome = replay(codec, known, &sent.command);
            }
        }
        Ok(())
    }
}

/// The answer to a request that was answered before.
pub(super) fn replay(codec: EventCodec, known: &Answered, command: &Command) -> Result<Written, Error> {
    let stored = &known.event;
    let same = known.digest.as_ref().is_some_and(|digest| **digest == (codec.digest)(command));
    if !same
        && !seeded(Bug::OtherContentIsAReplay)
        && let Some(differs) = (codec.differs)(stored.kind, &stored.payload, command)
    {
        return Err(Error::AlreadyExists {
            kind: command.kind(),
            id: command.request().to_string(),
            differs,
        });
    }
    let event = (codec.decode)(stored.kind, &stored.payload)?;
    Ok(Written { revision: stored.revision, event, message: stored.payload.clone() })
}
