//! Which rows the commands at hand need, and loading those that are not in the working set yet.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use crate::app::codec::EventCodec;
use crate::app::command::{Command, Event};
use crate::domain::entry::{Action, Entry, Expend, ExpendSource};
use crate::domain::ids::{EntryId, ProgramId};
use crate::domain::ledger::{Ledger, Reversible};
use crate::error::Error;
use crate::store::Connection;
use crate::store::journal::find_answered;
use crate::store::ledger::{Wanted, find_reversals, load_ledger};

/// Loads what the commands name, past entries that they reverse included.
pub(crate) async fn load_for(
    conn: &mut Connection,
    codec: EventCodec,
    program: ProgramId,
    ledger: &mut Ledger,
    commands: &[&Command],
) -> Result<(), Error> {
    let mut wanted = Wanted::default();
    for command in commands {
        want(&mut wanted, command);
    }
    if !wanted.entries.is_empty() {
        load_reversible(&mut *conn, codec, program, ledger, &wanted.entries).await?;
        for past in ledger.reversible.values() {
            want_entry(&mut wanted, &past.entry);
        }
    }
    wanted.leave_out(ledger);
    if wanted.is_empty() {
        return Ok(());
    }
    load_ledger(conn, program, ledger, &wanted).await
}

/// Whether a working set holds everything that an entry names. What is new is looked up first, so it is not.
pub(super) fn at_hand(ledger: &Ledger, entry: &Entry) -> bool {
    let mut wanted = Wanted::default();
    want_entry(&mut wanted, entry);
    wanted.leave_out(ledger);
    wanted.is_empty()
}

async fn load_reversible(
    conn: &mut Connection,
    codec: EventCodec,
    program: ProgramId,
    ledger: &mut Ledger,
    entries: &BTreeSet<EntryId>,
) -> Result<(), Error> {
    let ids: Vec<Uuid> = entries.iter().map(|id| id.uuid()).collect();
    let reversals: HashMap<EntryId, EntryId> =
        find_reversals(&mut *conn, program, entries).await?.into_iter().collect();
    let scope = program.scope();
    for known in find_answered(&mut *conn, &ids).await? {
        if known.scope != scope {
            continue;
        }
        if let Event::Entry(past) = (codec.decode)(known.event.kind, &known.event.payload)? {
            let reversed_by = reversals.get(&past.entry.id).copied();
            ledger.reversible.insert(past.entry.id, Reversible { entry: past.entry, reversed_by });
        }
    }
    Ok(())
}

fn want(wanted: &mut Wanted, command: &Command) {
    match command {
        Command::CreateOrganization(_) | Command::CreateProgram(_) => {}
        Command::OpenPeriod(new) => wanted.allocations.extend([new.root]),
        Command::ChangePeriod(change) => wanted.closing.extend([change.period]),
        Command::CreateAllocation(new) => {
            wanted.allocations.insert(new.id);
            wanted.allocations.extend(new.parent);
            wanted.codes.push((new.period, new.code.as_str().to_owned()));
        }
        Command::PostEntry(entry) => want_entry(wanted, entry),
    }
}

fn want_entry(wanted: &mut Wanted, entry: &Entry) {
    match &entry.action {
        Action::Authorize { period, .. } | Action::Rescind { period, .. } => {
            wanted.periods.insert(*period);
        }
        Action::Increase(increase) => {
            wanted.periods.insert(increase.period);
            if increase.push_down && increase.outcome.is_none() {
                wanted.shared.insert(increase.period);
            }
            let outcome = increase.outcome.iter().flat_map(|outcome| &outcome.pushed_down);
            wanted.allocations.extend(outcome.map(|(child, _)| *child));
        }
        Action::CarryOver { from, to, .. } => wanted.periods.extend([*from, *to]),
        Action::Allocate { allocation, .. } | Action::Deallocate { allocation, .. } => {
            wanted.allocations.insert(*allocation);
        }
        Action::Reserve { reservation, allocation, .. } => {
            wanted.reservations.insert(*reservation);
            wanted.allocations.insert(*allocation);
        }
        Action::Release { reservation, .. } => {
            wanted.reservations.insert(*reservation);
        }
        Action::Obligate { obligation, allocation, reservation, .. } => {
            wanted.obligations.insert(*obligation);
            wanted.allocations.insert(*allocation);
            wanted.reservations.extend(*reservation);
        }
        Action::Deobligate { obligation, .. }
        | Action::Disburse { obligation, .. }
        | Action::Refund { obligation, .. } => {
            wanted.obligations.insert(*obligation);
        }
        Action::Expend(Expend { source, .. }) => match source {
            ExpendSource::Available(allocation) => {
                wanted.allocations.insert(*allocation);
            }
            ExpendSource::Obligated(obligation) | ExpendSource::Advanced(obligation) => {
                wanted.obligations.insert(*obligation);
            }
        },
        Action::Reverse { entry, .. } => {
            wanted.entries.insert(*entry);
        }
    }
}
