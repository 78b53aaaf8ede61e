//! The ledger again, as small as it can be and written without looking at the service's: buckets, what a
//! reservation holds, what an obligation promises. One entry after another.

use std::collections::{BTreeMap, HashMap};

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;

/// The state of a program after some revision.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    buckets: BTreeMap<String, pb::Buckets>,
    parents: HashMap<String, String>,
    /// Reservations and obligations: of which allocation, and how much is left.
    held: HashMap<String, (String, i64)>,
    promised: HashMap<String, (String, i64)>,
    /// What is booked, by id.
    booked: HashMap<String, pb::Entry>,
}

/// Why the model would refuse an entry, with the figures that a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct No {
    pub(crate) reason: &'static str,
    pub(crate) facts: Vec<(&'static str, String)>,
}

/// One change of one bucket.
type Change = (String, fn(&mut pb::Buckets) -> &mut i64, i64);

impl Model {
    /// The state that a run begins with. Nothing may be reserved or obligated yet.
    pub(crate) fn opening(allocations: &[pb::Allocation]) -> Self {
        let mut model = Self::default();
        for allocation in allocations {
            let id = allocation.allocation_id.clone();
            model.buckets.insert(id.clone(), allocation.buckets.expect("buckets"));
            model.parents.insert(id, allocation.parent_id.clone());
        }
        model
    }

    pub(crate) fn buckets(&self, allocation: &str) -> Option<pb::Buckets> {
        self.buckets.get(allocation).copied()
    }

    /// What the service should say now: an entry that is booked is answered again, so that is no refusal.
    pub(crate) fn judge(&self, entry: &pb::Entry) -> Result<(), No> {
        match self.booked.get(&entry.entry_id) {
            Some(booked) if same_content(booked, entry) => Ok(()),
            Some(_) => Err(No { reason: "ID_TAKEN", facts: vec![("id", entry.entry_id.clone())] }),
            None => self.changes(entry).map(|_| ()),
        }
    }

    /// Books a new entry.
    pub(crate) fn book(&mut self, entry: &pb::Entry) -> Result<(), No> {
        for (allocation, bucket, by) in self.changes(entry)? {
            let buckets = self.buckets.get_mut(&allocation).expect("the allocations of a run are known");
            *bucket(buckets) += by;
        }
        self.note(entry);
        self.booked.insert(entry.entry_id.clone(), entry.clone());
        Ok(())
    }

    /// Keeps what reservations and obligations hold.
    fn note(&mut self, entry: &pb::Entry) {
        match entry.action.as_ref().expect("an action") {
            Action::Reserve(reserve) => {
                let held = (reserve.allocation_id.clone(), cents(reserve.amount.as_ref()));
                self.held.insert(reserve.reservation_id.clone(), held);
            }
            Action::Release(release) => {
                let (_, left) = self.held.get_mut(&release.reservation_id).expect("checked");
                *left -= cents(release.amount.as_ref());
            }
            Action::Obligate(obligate) => {
                let promised = (obligate.allocation_id.clone(), cents(obligate.amount.as_ref()));
                self.promised.insert(obligate.obligation_id.clone(), promised);
            }
            Action::Deobligate(deobligate) => {
                let (_, left) = self.promised.get_mut(&deobligate.obligation_id).expect("checked");
                *left -= cents(deobligate.amount.as_ref());
            }
            _ => {}
        }
    }

    /// What an entry does to the buckets.
    fn changes(&self, entry: &pb::Entry) -> Result<Vec<Change>, No> {
        let action = entry.action.as_ref().expect("runs post actions");
        match action {
            Action::Expend(expend) => {
                self.take(&expend.allocation_id, expend.amount.as_ref(), |buckets| &mut buckets.expended)
            }
            Action::Reserve(reserve) => {
                self.take(&reserve.allocation_id, reserve.amount.as_ref(), |buckets| &mut buckets.reserved)
            }
            Action::Obligate(obligate) => {
                self.take(&obligate.allocation_id, obligate.amount.as_ref(), |buckets| &mut buckets.obligated)
            }
            Action::Release(release) => {
                let held = self.held.get(&release.reservation_id);
                let names = ("reservation", "INSUFFICIENT_RESERVED", release.reservation_id.as_str());
                give_back(held, names, release.amount.as_ref(), |buckets| &mut buckets.reserved)
            }
            Action::Deobligate(deobligate) => {
                let promised = self.promised.get(&deobligate.obligation_id);
                let names = ("obligation", "INSUFFICIENT_OBLIGATED", deobligate.obligation_id.as_str());
                give_back(promised, names, deobligate.amount.as_ref(), |buckets| &mut buckets.obligated)
            }
            Action::Allocate(allocate) => {
                let (parent, child) =
                    (self.parents[&allocate.allocation_id].clone(), &allocate.allocation_id);
                let mut changes =
                    self.take(&parent, allocate.amount.as_ref(), |buckets| &mut buckets.allocated_out)?;
                let amount = cents(allocate.amount.as_ref());
                changes.push((child.clone(), |buckets| &mut buckets.received, amount));
                changes.push((child.clone(), |buckets| &mut buckets.available, amount));
                Ok(changes)
            }
            Action::Deallocate(deallocate) => {
                let (child, amount) = (&deallocate.allocation_id, cents(deallocate.amount.as_ref()));
                let mut changes =
                    self.take(child, deallocate.amount.as_ref(), |buckets| &mut buckets.received)?;
                // What was received is not more but less.
                changes[1].2 = -amount;
                let parent = self.parents[child].clone();
                changes.push((parent.clone(), |buckets| &mut buckets.allocated_out, -amount));
                changes.push((parent, |buckets| &mut buckets.available, amount));
                Ok(changes)
            }
            other => panic!("no run posts {other:?}"),
        }
    }

    /// Moves available money into another bucket.
    fn take(
        &self,
        allocation: &str,
        amount: Option<&pb::Money>,
        into: fn(&mut pb::Buckets) -> &mut i64,
    ) -> Result<Vec<Change>, No> {
        let (requested, available) = (positive(amount)?, self.buckets[allocation].available);
        if available < requested {
            let facts = vec![
                ("allocation_id", allocation.to_owned()),
                ("available", available.to_string()),
                ("requested", requested.to_string()),
            ];
            return Err(No { reason: "INSUFFICIENT_AVAILABLE", facts });
        }
        let allocation = allocation.to_owned();
        let out: Change = (allocation.clone(), |buckets| &mut buckets.available, -requested);
        Ok(vec![out, (allocation, into, requested)])
    }
}

/// Moves what a reservation or an obligation holds back to available.
fn give_back(
    left: Option<&(String, i64)>,
    (kind, short, id): (&'static str, &'static str, &str),
    amount: Option<&pb::Money>,
    from: fn(&mut pb::Buckets) -> &mut i64,
) -> Result<Vec<Change>, No> {
    let requested = positive(amount)?;
    let Some((allocation, left)) = left else {
        let facts = vec![("kind", kind.to_owned()), ("id", id.to_owned())];
        return Err(No { reason: "NOT_FOUND", facts });
    };
    if *left < requested {
        let facts = vec![("remaining", left.to_string()), ("requested", requested.to_string())];
        return Err(No { reason: short, facts });
    }
    let back: Change = (allocation.clone(), |buckets| &mut buckets.available, requested);
    Ok(vec![(allocation.clone(), from, -requested), back])
}

fn cents(amount: Option<&pb::Money>) -> i64 {
    amount.map_or(0, |money| money.minor_units)
}

fn positive(amount: Option<&pb::Money>) -> Result<i64, No> {
    match cents(amount) {
        good @ 1.. => Ok(good),
        _ => Err(No { reason: "FIELD_INVALID", facts: Vec::new() }),
    }
}

/// Whether two entries are the same request: what the service adds does not count.
pub(crate) fn same_content(one: &pb::Entry, other: &pb::Entry) -> bool {
    let sent =
        |entry: &pb::Entry| pb::Entry { recorded_at: None, recorded_by: String::new(), ..entry.clone() };
    sent(one) == sent(other)
}
