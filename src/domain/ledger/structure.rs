//! What the ledger is made of: opening, expiring and closing periods, and adding allocations.

use jiff::Timestamp;

use crate::domain::ids::{AllocationId, PeriodId};
use crate::domain::kind::Kind;
use crate::domain::ledger::Ledger;
use crate::domain::program::{
    Allocation, Balance, CHILDREN_MAX, DEPTH_MAX, PERIODS_MAX, Period, PeriodState, Purpose,
};
use crate::domain::refusal::Refusal;

/// The most allocations that a refusal lists.
const LISTED_MAX: usize = 10;

impl Ledger {
    /// Adds a period with its root, which has the period's code and title.
    ///
    /// # Errors
    /// Refuses a code that is taken, and a program with too many periods.
    pub fn open_period(&mut self, period: Period, created_at: Timestamp) -> Result<(), Refusal> {
        if PERIODS_MAX <= self.periods.len() {
            return Err(Refusal::too_many_periods());
        }
        if self.periods.contains_key(&period.id) {
            return Err(Refusal::PeriodTaken(period.id));
        }
        if self.periods.values().any(|other| other.code == period.code) {
            return Err(Refusal::CodeTaken { kind: Kind::Period, code: period.code });
        }
        if self.allocations.contains_key(&period.root) {
            return Err(Refusal::AllocationTaken(period.root));
        }
        let root = Allocation {
            id: period.root,
            program: period.program,
            period: period.id,
            parent: None,
            code: period.code.clone(),
            title: period.title.clone(),
            purpose: Purpose::Root,
            country: None,
            recipient: None,
            task: None,
            path: vec![period.code.as_str().to_owned()],
            child_count: 0,
            balance: Balance::default(),
            created_at,
            created_revision: period.revision,
            revision: period.revision,
        };
        self.allocations.insert(root.id, root);
        self.periods.insert(period.id, period);
        Ok(())
    }

    /// Moves a period to its next state as `revision`.
    ///
    /// Closing looks at the allocations at hand: those with anything reserved, obligated or advanced must
    /// be loaded.
    ///
    /// # Errors
    /// Refuses a stale caller, a step out of order, and closing what is not settled.
    pub fn change_period(
        &mut self,
        id: PeriodId,
        to: PeriodState,
        expected_revision: i64,
        revision: i64,
    ) -> Result<&Period, Refusal> {
        let found = self.period(id)?;
        if found.revision != expected_revision {
            let (expected, current) = (expected_revision, found.revision);
            return Err(Refusal::Stale { kind: Kind::Period, id: id.to_string(), expected, current });
        }
        match (found.state, to) {
            (PeriodState::Open, PeriodState::Expired) => {}
            (PeriodState::Expired, PeriodState::Closed) => self.check_settled(id)?,
            (state, PeriodState::Closed) => return Err(Refusal::PeriodNotExpired { period: id, state }),
            (state, _) => return Err(Refusal::PeriodNotOpen { period: id, state }),
        }
        let period = self.periods.get_mut(&id).ok_or(Refusal::UnknownPeriod(id))?;
        period.state = to;
        period.revision = revision;
        Ok(period)
    }

    fn check_settled(&self, period: PeriodId) -> Result<(), Refusal> {
        let mut sums = (0_i64, 0_i64, 0_i64);
        let mut allocations = Vec::new();
        for allocation in self.allocations.values().filter(|allocation| allocation.period == period) {
            let buckets = allocation.balance.buckets;
            sums = (
                sums.0.saturating_add(buckets.reserved),
                sums.1.saturating_add(buckets.obligated),
                sums.2.saturating_add(buckets.advanced),
            );
            if buckets.unsettled() && allocations.len() < LISTED_MAX {
                allocations.push(allocation.id);
            }
        }
        if sums == (0, 0, 0) {
            return Ok(());
        }
        let (reserved, obligated, advanced) = sums;
        Err(Refusal::PeriodNotSettled { period, reserved, obligated, advanced, allocations })
    }

    /// Adds an allocation below its parent. Its path and balance are set here.
    ///
    /// # Errors
    /// Refuses what does not fit the tree.
    pub fn add_allocation(&mut self, mut allocation: Allocation) -> Result<AllocationId, Refusal> {
        let parent_id = allocation.parent.ok_or(Refusal::UnknownAllocation(allocation.id))?;
        let period = self.period(allocation.period)?;
        let parent = self.allocation(parent_id)?;
        match period.state {
            PeriodState::Open => {}
            PeriodState::Expired => {
                return Err(Refusal::PeriodExpired { period: period.id, action: "create_allocation" });
            }
            PeriodState::Closed => {
                return Err(Refusal::PeriodClosed { period: period.id, action: "create_allocation" });
            }
        }
        check_below(parent, &allocation)?;
        if self.allocations.contains_key(&allocation.id) {
            return Err(Refusal::AllocationTaken(allocation.id));
        }
        let same_code =
            |other: &Allocation| other.period == allocation.period && other.code == allocation.code;
        if self.allocations.values().any(same_code) {
            return Err(Refusal::CodeTaken { kind: Kind::Allocation, code: allocation.code });
        }
        allocation.path = parent.path.iter().cloned().chain([allocation.code.to_string()]).collect();
        allocation.balance = Balance::default();
        allocation.child_count = 0;
        let id = allocation.id;
        self.allocations.insert(id, allocation);
        if let Some(parent) = self.allocations.get_mut(&parent_id) {
            parent.child_count += 1;
        }
        Ok(id)
    }
}

fn check_below(parent: &Allocation, child: &Allocation) -> Result<(), Refusal> {
    if parent.period != child.period {
        return Err(Refusal::OtherPeriod { parent: parent.id, period: child.period });
    }
    if !child.purpose.fits_below(parent.purpose) {
        return Err(Refusal::WrongPurpose { purpose: child.purpose, parent: parent.purpose });
    }
    let depth = parent.depth() + 1;
    if DEPTH_MAX < depth {
        return Err(Refusal::AllocationTooDeep { parent: parent.id, depth });
    }
    if CHILDREN_MAX <= parent.child_count {
        return Err(Refusal::too_many_children());
    }
    if parent.balance.buckets.in_use() {
        return Err(Refusal::AllocationInUse(parent.id));
    }
    Ok(())
}
