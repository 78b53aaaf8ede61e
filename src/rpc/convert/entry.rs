//! Reading entries.

use jiff::Timestamp;

use crate::domain::currency::Currency;
use crate::domain::entry::{
    Action, CostCategory, Entry, Expend, ExpendSource, ForeignAmount, Increase, IncreaseBy, Increased,
};
use crate::domain::ids::{
    AllocationId, EntryId, ObligationId, OrganizationId, PeriodId, ProgramId, ReportId, ReservationId, TaskId,
};
use crate::domain::money::{Amount, Money, Percent};
use crate::domain::program::Payee;
use crate::domain::rate::Rate;
use crate::domain::text::{Note, Reason, Reference, Source, Title};
use crate::rpc::pb;
use crate::rpc::pb::entry::Action as Sent;
use crate::rpc::read::Reader;

/// What the reading of an entry depends on.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The program's currency.
    pub currency: Currency,
    /// The present, against which `effective_on` is checked.
    pub now: Timestamp,
}

/// Reads an entry.
pub fn read_entry(reader: &mut Reader, sent: &pb::Entry, context: Context) -> Option<Entry> {
    let id = reader.id("entry.entry_id", &sent.entry_id, EntryId::new);
    let program = reader.id("entry.program_id", &sent.program_id, ProgramId::new);
    let effective_on = reader.past_date("entry.effective_on", sent.effective_on, context.now);
    let note = reader.parse("entry.note", Note::parse(&sent.note));
    let evidence = read_evidence(reader, &sent.evidence_sha256);
    let action = reader.need("entry.action", sent.action.as_ref());
    let action = action.and_then(|action| read_action(reader, action, context.currency));
    Some(Entry {
        id: id?,
        program: program?,
        currency: context.currency,
        effective_on: effective_on?,
        note: note?,
        evidence: evidence?,
        action: action?,
    })
}

#[expect(clippy::option_option, reason = "absent and bad are different things")]
fn read_evidence(reader: &mut Reader, sent: &[u8]) -> Option<Option<[u8; 32]>> {
    if sent.is_empty() {
        return Some(None);
    }
    let digest = <[u8; 32]>::try_from(sent);
    if digest.is_err() {
        reader.bad("entry.evidence_sha256", format!("has {} bytes, not 32", sent.len()));
    }
    digest.ok().map(Some)
}

fn read_action(reader: &mut Reader, action: &Sent, currency: Currency) -> Option<Action> {
    match action {
        Sent::Authorize(sent) => {
            let period = reader.id("entry.authorize.period_id", &sent.period_id, PeriodId::new);
            let amount = reader.amount("entry.authorize.amount", sent.amount.as_ref(), currency);
            Some(Action::Authorize { period: period?, amount: amount? })
        }
        Sent::Increase(sent) => read_increase(reader, sent, currency).map(Action::Increase),
        Sent::Rescind(sent) => {
            let period = reader.id("entry.rescind.period_id", &sent.period_id, PeriodId::new);
            let amount = reader.amount("entry.rescind.amount", sent.amount.as_ref(), currency);
            Some(Action::Rescind { period: period?, amount: amount? })
        }
        Sent::CarryOver(sent) => {
            let from = reader.id("entry.carry_over.from_period_id", &sent.from_period_id, PeriodId::new);
            let to = reader.id("entry.carry_over.to_period_id", &sent.to_period_id, PeriodId::new);
            let amount = reader.amount("entry.carry_over.amount", sent.amount.as_ref(), currency);
            Some(Action::CarryOver { from: from?, to: to?, amount: amount? })
        }
        Sent::Allocate(sent) => {
            let id = reader.id("entry.allocate.allocation_id", &sent.allocation_id, AllocationId::new);
            let amount = reader.amount("entry.allocate.amount", sent.amount.as_ref(), currency);
            Some(Action::Allocate { allocation: id?, amount: amount? })
        }
        Sent::Deallocate(sent) => {
            let id = reader.id("entry.deallocate.allocation_id", &sent.allocation_id, AllocationId::new);
            let amount = reader.amount("entry.deallocate.amount", sent.amount.as_ref(), currency);
            Some(Action::Deallocate { allocation: id?, amount: amount? })
        }
        Sent::Reserve(sent) => {
            let id = reader.id("entry.reserve.reservation_id", &sent.reservation_id, ReservationId::new);
            let leaf = reader.id("entry.reserve.allocation_id", &sent.allocation_id, AllocationId::new);
            let amount = reader.amount("entry.reserve.amount", sent.amount.as_ref(), currency);
            Some(Action::Reserve { reservation: id?, allocation: leaf?, amount: amount? })
        }
        Sent::Release(sent) => {
            let id = reader.id("entry.release.reservation_id", &sent.reservation_id, ReservationId::new);
            let amount = reader.amount("entry.release.amount", sent.amount.as_ref(), currency);
            Some(Action::Release { reservation: id?, amount: amount? })
        }
        Sent::Obligate(sent) => read_obligate(reader, sent, currency),
        Sent::Deobligate(sent) => {
            let id = reader.id("entry.deobligate.obligation_id", &sent.obligation_id, ObligationId::new);
            let amount = reader.amount("entry.deobligate.amount", sent.amount.as_ref(), currency);
            Some(Action::Deobligate { obligation: id?, amount: amount? })
        }
        Sent::Disburse(sent) => {
            let id = reader.id("entry.disburse.obligation_id", &sent.obligation_id, ObligationId::new);
            let amount = reader.amount("entry.disburse.amount", sent.amount.as_ref(), currency);
            Some(Action::Disburse { obligation: id?, amount: amount? })
        }
        Sent::Refund(sent) => {
            let id = reader.id("entry.refund.obligation_id", &sent.obligation_id, ObligationId::new);
            let amount = reader.amount("entry.refund.amount", sent.amount.as_ref(), currency);
            Some(Action::Refund { obligation: id?, amount: amount? })
        }
        Sent::Expend(sent) => read_expend(reader, sent, currency).map(Action::Expend),
        Sent::Reverse(sent) => {
            let id = reader.id("entry.reverse.entry_id", &sent.entry_id, EntryId::new);
            let reason = reader.parse("entry.reverse.reason", Reason::parse(&sent.reason));
            Some(Action::Reverse { entry: id?, reason: reason? })
        }
    }
}

fn read_increase(reader: &mut Reader, sent: &pb::Increase, currency: Currency) -> Option<Increase> {
    let period = reader.id("entry.increase.period_id", &sent.period_id, PeriodId::new);
    let by = match reader.need("entry.increase.amount", sent.amount.as_ref()) {
        None => None,
        Some(pb::increase::Amount::By(by)) => {
            if sent.base != 0 {
                reader.bad(
                    "entry.increase.base",
                    format!("is {}; an amount has no base, leave it out", sent.base),
                );
            }
            reader.amount("entry.increase.by", Some(by), currency).map(IncreaseBy::Amount)
        }
        Some(pb::increase::Amount::PercentPpm(ppm)) => read_percent(reader, *ppm, sent),
    };
    let base_revision = reader.revision("entry.increase.base_revision", sent.base_revision);
    let push_down = reader.choice("entry.increase.push_down", sent.push_down, |choice| match choice {
        pb::PushDown::Unspecified => None,
        pb::PushDown::None => Some(false),
        pb::PushDown::ProRata => Some(true),
    });
    Some(Increase {
        period: period?,
        by: by?,
        base_revision: base_revision.map(|revision| Some(revision).filter(|given| *given != 0))?,
        push_down: push_down?,
        outcome: None,
    })
}

fn read_percent(reader: &mut Reader, ppm: i64, sent: &pb::Increase) -> Option<IncreaseBy> {
    let percent = Percent::new(ppm);
    if percent.is_none() {
        let rule = format!("is {ppm}; give parts per million from 1 to {}", Percent::PPM_MAX);
        reader.bad("entry.increase.percent_ppm", rule);
    }
    match pb::IncreaseBase::try_from(sent.base) {
        Ok(pb::IncreaseBase::Original) => Some(IncreaseBy::PercentOfOriginal(percent?)),
        Ok(pb::IncreaseBase::Current) if sent.base_revision == 0 => {
            reader.bad(
                "entry.increase.base_revision",
                "is missing; a percentage of CURRENT needs the revision at which the base was read",
            );
            None
        }
        Ok(pb::IncreaseBase::Current) => Some(IncreaseBy::PercentOfCurrent(percent?)),
        Ok(pb::IncreaseBase::Unspecified) | Err(_) => {
            reader.bad("entry.increase.base", format!("is {}; give ORIGINAL or CURRENT", sent.base));
            None
        }
    }
}

fn read_obligate(reader: &mut Reader, sent: &pb::Obligate, currency: Currency) -> Option<Action> {
    let field = |name: &str| format!("entry.obligate.{name}");
    let id = reader.id(&field("obligation_id"), &sent.obligation_id, ObligationId::new);
    let leaf = reader.id(&field("allocation_id"), &sent.allocation_id, AllocationId::new);
    let amount = reader.amount(&field("amount"), sent.amount.as_ref(), currency);
    let held = reader.optional_id(&field("reservation_id"), &sent.reservation_id, ReservationId::new);
    let name = reader.parse(&field("payee_name"), Title::parse(&sent.payee_name));
    let organization = reader.optional_id(&field("payee_id"), &sent.payee_id, OrganizationId::new);
    let reference = reader.parse(&field("reference"), Reference::parse(&sent.reference));
    Some(Action::Obligate {
        obligation: id?,
        allocation: leaf?,
        amount: amount?,
        reservation: held?,
        payee: Payee { name: name?, organization: organization?, reference: reference? },
    })
}

fn read_expend(reader: &mut Reader, sent: &pb::Expend, currency: Currency) -> Option<Expend> {
    let source = read_source(reader, sent);
    let amount = reader.amount("entry.expend.amount", sent.amount.as_ref(), currency);
    let draw = match &sent.draw_from_available {
        None => Some(None),
        Some(draw) => read_draw(reader, draw, amount, source, currency).map(Some),
    };
    let category = reader.choice("entry.expend.category", sent.category, read_category);
    let task = reader.optional_id("entry.expend.task_id", &sent.task_id, TaskId::new);
    let report = reader.optional_id("entry.expend.report_id", &sent.report_id, ReportId::new);
    let booked = amount.map(|amount| Money { currency, amount });
    let foreign = match &sent.foreign {
        None => Some(None),
        Some(foreign) => read_foreign(reader, foreign, booked, currency).map(Some),
    };
    Some(Expend {
        source: source?,
        amount: amount?,
        draw_from_available: draw?,
        category: category?,
        task: task?,
        report: report?,
        foreign: foreign?,
    })
}

fn read_source(reader: &mut Reader, sent: &pb::Expend) -> Option<ExpendSource> {
    let source = reader.choice("entry.expend.source", sent.source, |source| {
        Some(source).filter(|source| *source != pb::ExpendSource::Unspecified)
    })?;
    let (leaf, obligation) = ("entry.expend.allocation_id", "entry.expend.obligation_id");
    if source == pb::ExpendSource::Available {
        if !sent.obligation_id.is_empty() {
            reader.bad(obligation, "is given, but the source is AVAILABLE; leave it empty");
        }
        return reader.id(leaf, &sent.allocation_id, AllocationId::new).map(ExpendSource::Available);
    }
    if !sent.allocation_id.is_empty() {
        reader.bad(leaf, "is given, but it follows from the obligation; leave it empty");
    }
    let id = reader.id(obligation, &sent.obligation_id, ObligationId::new)?;
    Some(match source {
        pb::ExpendSource::Advanced => ExpendSource::Advanced(id),
        _ => ExpendSource::Obligated(id),
    })
}

fn read_draw(
    reader: &mut Reader,
    sent: &pb::Money,
    total: Option<Amount>,
    source: Option<ExpendSource>,
    currency: Currency,
) -> Option<Amount> {
    let field = "entry.expend.draw_from_available";
    let draw = reader.amount(field, Some(sent), currency);
    if matches!(source, Some(ExpendSource::Available(_))) {
        reader.bad(field, "is given, but the source is AVAILABLE already; leave it out");
    }
    if let (Some(draw), Some(total)) = (draw, total)
        && total < draw
    {
        reader.bad(field, format!("is {}, more than the amount {}", draw.get(), total.get()));
    }
    draw
}

/// What money was used for; none when it is not said.
pub(super) const fn read_category(category: pb::CostCategory) -> Option<CostCategory> {
    match category {
        pb::CostCategory::Unspecified => None,
        pb::CostCategory::Personnel => Some(CostCategory::Personnel),
        pb::CostCategory::Equipment => Some(CostCategory::Equipment),
        pb::CostCategory::Vehicles => Some(CostCategory::Vehicles),
        pb::CostCategory::Explosives => Some(CostCategory::Explosives),
        pb::CostCategory::Medical => Some(CostCategory::Medical),
        pb::CostCategory::Training => Some(CostCategory::Training),
        pb::CostCategory::Services => Some(CostCategory::Services),
        pb::CostCategory::Overhead => Some(CostCategory::Overhead),
        pb::CostCategory::Other => Some(CostCategory::Other),
    }
}

fn read_foreign(
    reader: &mut Reader,
    sent: &pb::ForeignAmount,
    booked: Option<Money>,
    currency: Currency,
) -> Option<ForeignAmount> {
    let field = |name: &str| format!("entry.expend.foreign.{name}");
    let original = reader.any_money(&field("original"), sent.original.as_ref());
    if original.is_some_and(|original| original.currency == currency) {
        let rule = format!("is {currency}, the program's own currency; leave foreign out");
        reader.bad(field("original.currency_code"), rule);
    }
    let rate = reader.parse(&field("rate"), Rate::parse(&sent.rate));
    let rate_date = reader.date(&field("rate_date"), sent.rate_date);
    let source = reader.parse(&field("rate_source"), Source::parse(&sent.rate_source));
    if let (Some(rate), Some(original), Some(booked)) = (&rate, original, booked)
        && reader.is_edge()
        && !rate.fits(original, booked)
    {
        let rule = format!("{original} at {rate} is not {booked} to within one minor unit");
        reader.bad(field("rate"), rule);
    }
    Some(ForeignAmount { original: original?, rate: rate?, rate_date: rate_date?, source: source? })
}

/// Takes over what the server worked out for a stored entry.
pub fn read_outcome(entry: &mut Entry, sent: &pb::Entry) -> Option<()> {
    if let (Action::Increase(increase), Some(Sent::Increase(stored))) = (&mut entry.action, &sent.action) {
        let mut pushed_down = Vec::with_capacity(stored.pushed_down.len());
        for part in &stored.pushed_down {
            let id = uuid::Uuid::try_parse(&part.allocation_id).ok()?;
            pushed_down.push((AllocationId::new(id), part.minor_units));
        }
        increase.outcome = Some(Increased { added: stored.added, pushed_down });
    }
    Some(())
}
