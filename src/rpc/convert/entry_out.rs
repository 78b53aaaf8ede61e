//! Writing entries, and the messages of the ledger around them.

use crate::domain::currency::Currency;
use crate::domain::entry::{
    Action, CostCategory, Entry, Expend, ExpendSource, ForeignAmount, Increase, IncreaseBy, PostedEntry,
};
use crate::domain::ids::AllocationId;
use crate::domain::money::{Amount, Money};
use crate::domain::program::Balance;
use crate::rpc::convert::{buckets, date, timestamp};
use crate::rpc::pb;
use crate::rpc::pb::entry::Action as Sent;

/// An entry as its caller sent it: what the server sets is empty.
#[must_use]
pub fn asked_entry(of: &Entry) -> pb::Entry {
    pb::Entry {
        entry_id: of.id.to_string(),
        program_id: of.program.to_string(),
        effective_on: Some(date(of.effective_on)),
        note: of.note.as_str().to_owned(),
        evidence_sha256: of.evidence.map(|digest| digest.to_vec()).unwrap_or_default(),
        action: Some(action(&of.action, of.currency)),
        recorded_at: None,
        recorded_by: String::new(),
    }
}

/// A booked entry. `EntryPosted` has the same fields, so these bytes are what is stored.
#[must_use]
pub fn posted_entry(of: &PostedEntry) -> pb::PostEntryResponse {
    let entry = pb::Entry {
        recorded_at: Some(timestamp(of.recorded_at)),
        recorded_by: of.recorded_by.clone(),
        ..asked_entry(&of.entry)
    };
    pb::PostEntryResponse {
        entry: Some(entry),
        revision: of.revision,
        allocations: of.balances.iter().map(balance).collect(),
    }
}

fn balance((id, of): &(AllocationId, Balance)) -> pb::AllocationBalance {
    pb::AllocationBalance {
        allocation_id: id.to_string(),
        buckets: Some(buckets(&of.buckets)),
        turnover: Some(turnover(of)),
        open_obligations: of.open_obligations,
    }
}

/// Turnover for the wire.
#[must_use]
pub const fn turnover(of: &Balance) -> pb::Turnover {
    pb::Turnover {
        received_in: of.turnover.received_in,
        returned_out: of.turnover.returned_out,
        expended_in: of.turnover.expended_in,
        expended_out: of.turnover.expended_out,
    }
}

fn money(of: Money) -> pb::Money {
    pb::Money { currency_code: of.currency.to_string(), minor_units: of.amount.get() }
}

fn action(of: &Action, currency: Currency) -> Sent {
    let booked = |amount: &Amount| Some(money(Money { currency, amount: *amount }));
    match of {
        Action::Authorize { period, amount } => {
            Sent::Authorize(pb::Authorize { period_id: period.to_string(), amount: booked(amount) })
        }
        Action::Increase(increase) => Sent::Increase(increase_out(increase, currency)),
        Action::Rescind { period, amount } => {
            Sent::Rescind(pb::Rescind { period_id: period.to_string(), amount: booked(amount) })
        }
        Action::CarryOver { from, to, amount } => Sent::CarryOver(pb::CarryOver {
            from_period_id: from.to_string(),
            to_period_id: to.to_string(),
            amount: booked(amount),
        }),
        Action::Allocate { allocation, amount } => {
            Sent::Allocate(pb::Allocate { allocation_id: allocation.to_string(), amount: booked(amount) })
        }
        Action::Deallocate { allocation, amount } => {
            Sent::Deallocate(pb::Deallocate { allocation_id: allocation.to_string(), amount: booked(amount) })
        }
        Action::Reserve { reservation, allocation, amount } => Sent::Reserve(pb::Reserve {
            reservation_id: reservation.to_string(),
            allocation_id: allocation.to_string(),
            amount: booked(amount),
        }),
        Action::Release { reservation, amount } => {
            Sent::Release(pb::Release { reservation_id: reservation.to_string(), amount: booked(amount) })
        }
        Action::Obligate { obligation, allocation, amount, reservation, payee } => {
            Sent::Obligate(pb::Obligate {
                obligation_id: obligation.to_string(),
                allocation_id: allocation.to_string(),
                amount: booked(amount),
                reservation_id: reservation.map(|id| id.to_string()).unwrap_or_default(),
                payee_name: payee.name.as_str().to_owned(),
                payee_id: payee.organization.map(|id| id.to_string()).unwrap_or_default(),
                reference: payee.reference.as_str().to_owned(),
            })
        }
        Action::Deobligate { obligation, amount } => {
            Sent::Deobligate(pb::Deobligate { obligation_id: obligation.to_string(), amount: booked(amount) })
        }
        Action::Disburse { obligation, amount } => {
            Sent::Disburse(pb::Disburse { obligation_id: obligation.to_string(), amount: booked(amount) })
        }
        Action::Refund { obligation, amount } => {
            Sent::Refund(pb::Refund { obligation_id: obligation.to_string(), amount: booked(amount) })
        }
        Action::Expend(expend) => Sent::Expend(expend_out(expend, currency)),
        Action::Reverse { entry, reason } => {
            Sent::Reverse(pb::Reverse { entry_id: entry.to_string(), reason: reason.as_str().to_owned() })
        }
    }
}

fn increase_out(of: &Increase, currency: Currency) -> pb::Increase {
    let (amount, base) = match of.by {
        IncreaseBy::Amount(amount) => {
            (pb::increase::Amount::By(money(Money { currency, amount })), pb::IncreaseBase::Unspecified)
        }
        IncreaseBy::PercentOfOriginal(percent) => {
            (pb::increase::Amount::PercentPpm(percent.ppm()), pb::IncreaseBase::Original)
        }
        IncreaseBy::PercentOfCurrent(percent) => {
            (pb::increase::Amount::PercentPpm(percent.ppm()), pb::IncreaseBase::Current)
        }
    };
    let push_down = if of.push_down { pb::PushDown::ProRata } else { pb::PushDown::None };
    let pushed = of.outcome.iter().flat_map(|outcome| &outcome.pushed_down);
    let part = |(id, minor_units): &(AllocationId, i64)| pb::PushedDown {
        allocation_id: id.to_string(),
        minor_units: *minor_units,
    };
    pb::Increase {
        period_id: of.period.to_string(),
        amount: Some(amount),
        base: base.into(),
        base_revision: of.base_revision.unwrap_or_default(),
        push_down: push_down.into(),
        added: of.outcome.as_ref().map_or(0, |outcome| outcome.added),
        pushed_down: pushed.map(part).collect(),
    }
}

fn expend_out(of: &Expend, currency: Currency) -> pb::Expend {
    let (source, allocation, obligation) = match of.source {
        ExpendSource::Available(id) => (pb::ExpendSource::Available, id.to_string(), String::new()),
        ExpendSource::Obligated(id) => (pb::ExpendSource::Obligated, String::new(), id.to_string()),
        ExpendSource::Advanced(id) => (pb::ExpendSource::Advanced, String::new(), id.to_string()),
    };
    pb::Expend {
        source: source.into(),
        allocation_id: allocation,
        obligation_id: obligation,
        amount: Some(money(Money { currency, amount: of.amount })),
        draw_from_available: of.draw_from_available.map(|amount| money(Money { currency, amount })),
        category: category(of.category).into(),
        task_id: of.task.map(|id| id.to_string()).unwrap_or_default(),
        report_id: of.report.map(|id| id.to_string()).unwrap_or_default(),
        foreign: of.foreign.as_ref().map(foreign),
    }
}

const fn category(of: CostCategory) -> pb::CostCategory {
    match of {
        CostCategory::Personnel => pb::CostCategory::Personnel,
        CostCategory::Equipment => pb::CostCategory::Equipment,
        CostCategory::Vehicles => pb::CostCategory::Vehicles,
        CostCategory::Explosives => pb::CostCategory::Explosives,
        CostCategory::Medical => pb::CostCategory::Medical,
        CostCategory::Training => pb::CostCategory::Training,
        CostCategory::Services => pb::CostCategory::Services,
        CostCategory::Overhead => pb::CostCategory::Overhead,
        CostCategory::Other => pb::CostCategory::Other,
    }
}

fn foreign(of: &ForeignAmount) -> pb::ForeignAmount {
    pb::ForeignAmount {
        original: Some(money(of.original)),
        rate: of.rate.to_string(),
        rate_date: Some(date(of.rate_date)),
        rate_source: of.source.as_str().to_owned(),
    }
}
