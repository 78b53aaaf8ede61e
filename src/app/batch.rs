//! One batch in one transaction, in one of two ways.
//!
//! **Locked** ([`write_locked`]): lock the heads, find replays, load, apply in order, write, commit. It serves
//! every batch.
//!
//! **Fenced** (`fenced.rs`): when the batch is of one scope whose working set the writer remembers, and only
//! moves money, it is applied to that set while the batch before is still being written, and then written by
//! one statement that is its own transaction: the statement writes nothing unless the head is still where the
//! working set was made. That is one round trip instead of five, and the database never waits for the rules.
//! Whatever stands in the way, the batch is then written locked.
//!
//! In both, every command is accepted or refused alone, and a command whose request was answered before gets
//! that answer. Replays are rare, so the journal is asked for them only afterwards, and only about what was
//! refused: a replay that the rules accept once more breaks the journal's key, and then the batch is begun
//! again with looking first.

mod before;
mod fenced;
mod scope;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

use crate::app::codec::EventCodec;
use crate::app::working_sets::WorkingSets;
use crate::app::writer::{Outcomes, Submission, Written};
use crate::domain::entry::PostedEntry;
use crate::domain::ids::{AllocationId, ScopeId};
use crate::domain::kind::Kind;
use crate::domain::ledger::{Effect, Ledger};
use crate::error::Error;
use crate::store::Connection;
use crate::store::journal::{Head, insert_head, lock_heads};

use before::Before;
use scope::Batch;

pub(crate) use fenced::{Departed, Filling};
pub(crate) use wanted::load_for;

/// How a transaction is run.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    /// Makes events into bytes.
    pub(crate) codec: EventCodec,
    /// The present.
    pub(crate) now: Timestamp,
    /// Whether requests are looked up before they are applied.
    pub(crate) look_first: bool,
}

/// What a transaction did. It counts once it is committed.
pub(crate) struct Done {
    /// What became of each command, in order.
    pub(crate) outcomes: Outcomes,
    /// The scopes that changed, and their new revisions.
    pub(crate) reached: Vec<(ScopeId, i64)>,
    /// Whether any request had been answered before.
    pub(crate) replays: bool,
}

/// Runs the commands in the caller's transaction. `sets` then holds what they left; if the transaction does
/// not commit, the caller must clear it.
pub(crate) async fn write_locked(
    conn: &mut Connection,
    sets: &mut WorkingSets,
    terms: Terms,
    submissions: &[Submission],
) -> Result<Done, Error> {
    let new = submissions.iter().filter(|submission| submission.command.begins_scope());
    for scope in new.map(|submission| submission.command.scope()).collect::<BTreeSet<ScopeId>>() {
        insert_head(&mut *conn, scope, terms.now).await?;
    }
    let mut by_scope: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
    for (index, submission) in submissions.iter().enumerate() {
        by_scope.entry(submission.command.scope().uuid()).or_default().push(index);
    }
    let scopes: Vec<Uuid> = by_scope.keys().copied().collect();
    let heads = lock_heads(&mut *conn, &scopes).await?;
    let mut before = Before::default();
    // A scope cannot be begun twice, not even to see whether the rules accept it.
    let first = submissions.iter().filter(|sent| terms.look_first || sent.command.begins_scope());
    before.look_up(&mut *conn, first).await?;
    let mut outcomes: Vec<Option<Result<Written, Error>>> = Vec::new();
    outcomes.resize_with(submissions.len(), || None);
    let mut batches = Vec::with_capacity(heads.len());
    for head in heads {
        let Some(indices) = by_scope.remove(&head.scope.uuid()) else { continue };
        let part: Vec<&Submission> = indices.iter().map(|index| &submissions[*index]).collect();
        let mut batch = Batch::begin(&mut *conn, terms, head, sets.take(&head), &before, &part).await?;
        for (index, submission) in indices.into_iter().zip(part) {
            outcomes[index] = Some(batch.step(&mut *conn, &before, submission).await?);
        }
        batches.push(batch);
    }
    let mut outcomes: Outcomes = outcomes.into_iter().zip(submissions).map(settle).collect();
    if !terms.look_first {
        before.answer_refused(&mut *conn, terms.codec, submissions.iter(), &mut outcomes).await?;
    }
    let mut reached = Vec::with_capacity(batches.len());
    for batch in &mut batches {
        reached.extend(batch.write(&mut *conn).await?);
    }
    for batch in batches {
        batch.keep(sets);
    }
    Ok(Done { outcomes, reached, replays: before.found() })
}

/// Books one entry under the head of its scope, which the caller has locked. Its id must be new: that of an entry that
/// somebody booked by hand is no retry. Answers where the head is after it.
pub(crate) async fn book_one(
    conn: &mut Connection,
    terms: Terms,
    head: Head,
    submission: Submission,
) -> Result<Head, Error> {
    let mut before = Before::default();
    before.look_up(&mut *conn, std::iter::once(&submission)).await?;
    let command = &submission.command;
    if before.find(command).is_some() {
        let (kind, id) = (command.kind(), command.request().to_string());
        return Err(Error::AlreadyExists { kind, id, differs: "entry_id".to_owned() });
    }
    let mut batch = Batch::begin(&mut *conn, terms, head, None, &before, &[&submission]).await?;
    batch.enter(&submission)?;
    batch.write(conn).await?;
    Ok(batch.head())
}

/// A command whose scope has no head is of nothing that exists.
fn settle((outcome, submission): (Option<Result<Written, Error>>, &Submission)) -> Result<Written, Error> {
    outcome.unwrap_or_else(|| Err(Error::not_found(Kind::Program, submission.command.scope())))
}

/// The entry as the journal keeps it, with the balances after it.
pub(crate) fn posted(
    ledger: &Ledger,
    effect: Effect,
    revision: i64,
    recorded_at: Timestamp,
    by: &str,
) -> PostedEntry {
    let balance = |id: &AllocationId| ledger.allocations.get(id).map(|found| (*id, found.balance));
    PostedEntry {
        balances: effect.allocations.iter().filter_map(balance).collect(),
        entry: effect.entry,
        revision,
        recorded_at,
        recorded_by: by.to_owned(),
    }
}
