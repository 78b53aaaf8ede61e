//! A desk that posts entries one by one, ids from small pools, and a short word for each action.

use jiff::Timestamp;
use jiff::civil::{Date, date};
use uuid::Uuid;

use crate::domain::currency::Currency;
use crate::domain::entry::{Action, CostCategory, Entry, Expend, ExpendSource, Increase, IncreaseBy};
use crate::domain::ids::{AllocationId, EntryId, ObligationId, PeriodId, ProgramId, ReservationId};
use crate::domain::ledger::{Effect, Ledger};
use crate::domain::money::{Amount, Percent};
use crate::domain::program::{Allocation, Balance, Buckets, Obligation, Payee, Period, PeriodState, Purpose};
use crate::domain::refusal::Refusal;
use crate::domain::text::{Code, Note, Reason, Reference, Title};

pub(super) fn period_id(number: u64) -> PeriodId {
    PeriodId::new(Uuid::from_u64_pair(1, number))
}

/// Numbers below ten are the roots of the periods with the same number.
pub(super) fn allocation_id(number: u64) -> AllocationId {
    AllocationId::new(Uuid::from_u64_pair(2, number))
}

pub(super) fn reservation_id(number: u64) -> ReservationId {
    ReservationId::new(Uuid::from_u64_pair(3, number))
}

pub(super) fn obligation_id(number: u64) -> ObligationId {
    ObligationId::new(Uuid::from_u64_pair(4, number))
}

pub(super) fn entry_id(number: u64) -> EntryId {
    EntryId::new(Uuid::from_u64_pair(5, number))
}

pub(super) fn program_id() -> ProgramId {
    ProgramId::new(Uuid::from_u64_pair(6, 1))
}

pub(super) fn usd() -> Currency {
    Currency::parse("USD").unwrap()
}

pub(super) fn amount(minor_units: i64) -> Amount {
    Amount::new(minor_units).unwrap()
}

pub(super) fn percent(ppm: i64) -> Percent {
    Percent::new(ppm).unwrap()
}

/// The calendar year 2024 + `number`, so that higher numbers are later.
pub(super) fn period(number: u64, revision: i64) -> Period {
    let year = 2024 + i16::try_from(number).unwrap();
    Period {
        id: period_id(number),
        program: program_id(),
        code: Code::parse(&format!("P{number}")).unwrap(),
        title: Title::parse("A year").unwrap(),
        first_day: date(year, 1, 1),
        last_day: date(year, 12, 31),
        root: allocation_id(number),
        state: PeriodState::Open,
        original: 0,
        authorized: 0,
        authorization_revision: revision,
        revision,
    }
}

pub(super) fn allocation(number: u64, period: u64, parent: u64, purpose: Purpose) -> Allocation {
    Allocation {
        id: allocation_id(number),
        program: program_id(),
        period: period_id(period),
        parent: Some(allocation_id(parent)),
        code: Code::parse(&format!("A{number}")).unwrap(),
        title: Title::parse("A share").unwrap(),
        purpose,
        country: None,
        recipient: None,
        task: None,
        path: Vec::new(),
        child_count: 0,
        balance: Balance::default(),
        created_at: Timestamp::UNIX_EPOCH,
        created_revision: 0,
        revision: 0,
    }
}

pub(super) fn entry(number: u64, effective_on: Date, action: Action) -> Entry {
    Entry {
        id: entry_id(number),
        program: program_id(),
        currency: usd(),
        effective_on,
        note: Note::default(),
        evidence: None,
        action,
    }
}

pub(super) fn authorize(period: u64, units: i64) -> Action {
    Action::Authorize { period: period_id(period), amount: amount(units) }
}

pub(super) fn increase(period: u64, by: IncreaseBy, push_down: bool) -> Action {
    let period = period_id(period);
    Action::Increase(Increase { period, by, base_revision: None, push_down, outcome: None })
}

pub(super) fn rescind(period: u64, units: i64) -> Action {
    Action::Rescind { period: period_id(period), amount: amount(units) }
}

pub(super) fn carry_over(from: u64, to: u64, units: i64) -> Action {
    Action::CarryOver { from: period_id(from), to: period_id(to), amount: amount(units) }
}

pub(super) fn allocate(to: u64, units: i64) -> Action {
    Action::Allocate { allocation: allocation_id(to), amount: amount(units) }
}

pub(super) fn deallocate(from: u64, units: i64) -> Action {
    Action::Deallocate { allocation: allocation_id(from), amount: amount(units) }
}

pub(super) fn reserve(number: u64, leaf: u64, units: i64) -> Action {
    let (reservation, allocation) = (reservation_id(number), allocation_id(leaf));
    Action::Reserve { reservation, allocation, amount: amount(units) }
}

pub(super) fn release(number: u64, units: i64) -> Action {
    Action::Release { reservation: reservation_id(number), amount: amount(units) }
}

pub(super) fn obligate(number: u64, leaf: u64, units: i64, held: Option<u64>) -> Action {
    let payee = Payee {
        name: Title::parse("Deminers Ltd").unwrap(),
        organization: None,
        reference: Reference::default(),
    };
    let (obligation, allocation) = (obligation_id(number), allocation_id(leaf));
    let reservation = held.map(reservation_id);
    Action::Obligate { obligation, allocation, amount: amount(units), reservation, payee }
}

pub(super) fn deobligate(number: u64, units: i64) -> Action {
    Action::Deobligate { obligation: obligation_id(number), amount: amount(units) }
}

pub(super) fn disburse(number: u64, units: i64) -> Action {
    Action::Disburse { obligation: obligation_id(number), amount: amount(units) }
}

pub(super) fn refund(number: u64, units: i64) -> Action {
    Action::Refund { obligation: obligation_id(number), amount: amount(units) }
}

pub(super) fn expend(source: ExpendSource, units: i64, draw: Option<i64>) -> Action {
    Action::Expend(Expend {
        source,
        amount: amount(units),
        draw_from_available: draw.map(amount),
        category: CostCategory::Services,
        task: None,
        report: None,
        foreign: None,
    })
}

pub(super) fn reverse(entry: EntryId) -> Action {
    Action::Reverse { entry, reason: Reason::parse("a slip of the pen").unwrap() }
}

/// A ledger with period 1 open, and one entry after the other at the next revision.
pub(super) struct Desk {
    pub(super) ledger: Ledger,
    pub(super) revision: i64,
    pub(super) today: Date,
    entries: u64,
}

impl Desk {
    pub(super) fn new() -> Self {
        let ledger = Ledger::new(usd());
        let mut desk = Self { ledger, revision: 0, today: date(2025, 6, 1), entries: 0 };
        desk.open(1);
        desk
    }

    /// Root 1 with 1,000 units, of which the task 10 below it has `units`.
    pub(super) fn with_task(units: i64) -> Self {
        let mut desk = Self::new();
        desk.done(authorize(1, 1_000));
        desk.add(10, 1, Purpose::Task);
        desk.done(allocate(10, units));
        desk
    }

    pub(super) fn open(&mut self, number: u64) {
        self.revision += 1;
        self.ledger.open_period(period(number, self.revision), Timestamp::UNIX_EPOCH).unwrap();
    }

    pub(super) fn add(&mut self, number: u64, parent: u64, purpose: Purpose) {
        self.revision += 1;
        self.ledger.add_allocation(allocation(number, 1, parent, purpose)).unwrap();
    }

    pub(super) fn expire(&mut self) {
        self.change(PeriodState::Expired).unwrap();
    }

    /// Takes period 1 to its next state.
    pub(super) fn change(&mut self, to: PeriodState) -> Result<(), Refusal> {
        let current = self.ledger.periods[&period_id(1)].revision;
        self.revision += 1;
        self.ledger.change_period(period_id(1), to, current, self.revision).map(|_| ())
    }

    pub(super) fn post(&mut self, action: Action) -> Result<Effect, Refusal> {
        self.entries += 1;
        let effect = self.ledger.apply(entry(self.entries, self.today, action), self.revision + 1)?;
        self.revision += 1;
        Ok(effect)
    }

    pub(super) fn done(&mut self, action: Action) -> EntryId {
        self.post(action).unwrap().entry.id
    }

    /// The refusal of an action that changes nothing.
    pub(super) fn refused(&mut self, action: Action) -> Refusal {
        let before = self.ledger.clone();
        let refusal = self.post(action).unwrap_err();
        assert_eq!(self.ledger, before, "{refusal}");
        refusal
    }

    pub(super) fn buckets(&self, number: u64) -> Buckets {
        self.ledger.allocations[&allocation_id(number)].balance.buckets
    }

    pub(super) fn obligation(&self, number: u64) -> &Obligation {
        &self.ledger.obligations[&obligation_id(number)]
    }
}
