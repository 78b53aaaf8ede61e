//! The locked way: one transaction that holds the heads. A batch that fails as a whole is split, so that one
//! bad command fails alone.

use tracing::Instrument as _;

use crate::app::batch::{Done, Terms, write_locked};
use crate::app::working_sets::WorkingSets;
use crate::app::writer::shard::{Shard, answer};
use crate::app::writer::{Group, Outcomes, Submission};
use crate::error::{Away, Error};
use crate::seeded::{Bug, seeded};
use crate::store::line::Line;
use crate::store::{TRIES_MAX, TRY_MAX};

impl Shard {
    /// Writes groups and answers them. `unknown` says that they may have been written already.
    ///
    /// The work is in a task of its own, so that a panic costs one batch and not the writer. Whoever waits for
    /// that batch is told that its outcome is unknown.
    pub(super) async fn write_locked(&mut self, groups: Vec<Group>, look_first: bool, unknown: bool) {
        if groups.is_empty() {
            return;
        }
        self.set_aside();
        let (clock, feed) = (self.clock.clone(), self.feed.clone());
        let spare = Self::new(self.store.clone(), clock, self.codec, feed);
        let parked = std::mem::take(&mut self.parked);
        let whole = std::mem::replace(self, spare);
        let writing = tokio::spawn(whole.write_groups(groups, look_first, unknown).in_current_span());
        if let Ok(whole) = writing.await {
            *self = whole;
        }
        self.parked = parked;
    }

    async fn write_groups(mut self, groups: Vec<Group>, look_first: bool, unknown: bool) -> Self {
        let mut line = self.take_line();
        let submissions = groups.iter().flat_map(|group| group.submissions.iter().cloned()).collect();
        self.locked_batches = self.locked_batches.saturating_sub(1);
        let outcomes = self.write(&mut line, submissions, look_first, unknown).await;
        self.line = Some(line);
        answer(groups, outcomes);
        self
    }

    /// Writes a batch, in halves and quarters if it fails as a whole.
    async fn write(
        &mut self,
        line: &mut Line,
        submissions: Vec<Submission>,
        look_first: bool,
        unknown: bool,
    ) -> Outcomes {
        let mut outcomes = Vec::with_capacity(submissions.len());
        let mut pieces = vec![submissions];
        while let Some(mut piece) = pieces.pop() {
            match self.try_to_write(line, &piece, look_first).await {
                Ok(done) => outcomes.extend(done),
                // Splitting cures neither of these. What may have been done before stays unknown.
                Err(Error::Unavailable(_) | Error::Contended) if unknown => {
                    let unknown = || Err(Error::Unavailable(Away::OutcomeUnknown));
                    outcomes.extend(piece.iter().map(|_| unknown()));
                }
                Err(Error::Unavailable(away)) => {
                    outcomes.extend(piece.iter().map(|_| Err(Error::Unavailable(away))));
                }
                Err(Error::Contended) => outcomes.extend(piece.iter().map(|_| Err(Error::Contended))),
                Err(error) if piece.len() == 1 => outcomes.push(Err(error)),
                Err(_) if seeded(Bug::OneBadEntryFailsAll) => {
                    outcomes.extend(piece.iter().map(|_| Err(Error::bug("a batch failed"))));
                }
                Err(error) => {
                    tracing::debug!(%error, commands = piece.len(), "splitting a batch that failed");
                    let second = piece.split_off(piece.len() / 2);
                    pieces.extend([second, piece]);
                }
            }
        }
        outcomes
    }

    /// Tries until it does not lose to a concurrent transaction, or to a request that was answered before.
    #[tracing::instrument(name = "app.write", skip_all, fields(commands = submissions.len()))]
    async fn try_to_write(
        &mut self,
        line: &mut Line,
        submissions: &[Submission],
        mut look_first: bool,
    ) -> Result<Outcomes, Error> {
        for _ in 0..TRIES_MAX {
            let terms = self.terms(look_first);
            let locked = commit(line, &mut self.sets, terms, submissions);
            // The server's own limits do not help when it never answers. The line closes what was left open.
            let tried = tokio::time::timeout(TRY_MAX, locked).await;
            let error = match tried.unwrap_or(Err(Error::Unavailable(Away::OutcomeUnknown))) {
                Ok(done) => return Ok(self.finish(done)),
                Err(error) => error,
            };
            // The working sets may hold what was not committed.
            if !seeded(Bug::KeepWorkingSetAfterFailure) {
                self.sets.clear();
            }
            if !matches!(error, Error::Contended) {
                return Err(error);
            }
            look_first = true;
        }
        Err(Error::Contended)
    }
}

/// One transaction, from BEGIN to COMMIT.
async fn commit(
    line: &mut Line,
    sets: &mut WorkingSets,
    terms: Terms,
    submissions: &[Submission],
) -> Result<Done, Error> {
    line.begin().await?;
    if line.is_new() && !seeded(Bug::KeepWorkingSetAfterFailure) {
        // The database may be another one than before, after a failover that lost its last commits.
        sets.clear();
    }
    let conn = line.open()?;
    match write_locked(conn, sets, terms, submissions).await {
        Ok(done) => match line.commit().await {
            Err(_) if seeded(Bug::AcknowledgeBeforeCommit) => Ok(done),
            committed => committed.map(|()| done),
        },
        Err(error) => {
            line.roll_back().await;
            Err(error)
        }
    }
}
