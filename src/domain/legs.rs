//! What an entry does, as movements: each takes from one place what it puts in another, so every entry sums
//! to zero by construction. The mirror of an entry's legs is its reversal.

use crate::domain::entry::{Action, Entry, Expend, ExpendSource, Increase};
use crate::domain::ids::{AllocationId, ObligationId, PeriodId, ReservationId};
use crate::domain::ledger::Ledger;
use crate::domain::money::Amount;
use crate::domain::program::{Bucket, Obligation};
use crate::domain::refusal::Refusal;

/// Where money can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Outside the program.
    Outside,
    /// In a bucket of an allocation.
    In(AllocationId, Bucket),
}

/// Money going from one place to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    /// Where it leaves.
    pub from: Place,
    /// Where it arrives.
    pub to: Place,
    /// How much.
    pub amount: Amount,
}

/// Signed change of an obligation, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObligationDelta {
    /// The obligation.
    pub id: ObligationId,
    /// Change of what is promised and unpaid.
    pub obligated: i64,
    /// Change of what is paid ahead.
    pub advanced: i64,
    /// Change of what is used up.
    pub expended: i64,
}

/// Everything that an entry does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Legs {
    /// Movements, in order.
    pub movements: Vec<Movement>,
    /// Signed change of a reservation.
    pub reservation: Option<(ReservationId, i64)>,
    /// Signed change of an obligation.
    pub obligation: Option<ObligationDelta>,
    /// Signed change of what a period was originally authorized.
    pub original: Option<(PeriodId, i64)>,
}

impl Legs {
    fn one(from: Place, to: Place, amount: Amount) -> Self {
        Self { movements: vec![Movement { from, to, amount }], ..Self::default() }
    }

    /// The legs that undo these.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        let mirror = |leg: &Movement| Movement { from: leg.to, to: leg.from, amount: leg.amount };
        Self {
            movements: self.movements.iter().rev().map(mirror).collect(),
            reservation: self.reservation.map(|(id, change)| (id, -change)),
            obligation: self.obligation.map(|delta| ObligationDelta {
                obligated: -delta.obligated,
                advanced: -delta.advanced,
                expended: -delta.expended,
                ..delta
            }),
            original: self.original.map(|(id, change)| (id, -change)),
        }
    }
}

/// The legs of an entry other than a reversal. An increase must have its outcome.
///
/// Only facts that never change are read from the ledger (which allocation an obligation is of, which
/// parent an allocation has), so the legs of a past entry can be found at any time.
///
/// # Errors
/// Refuses what names something unknown.
pub fn legs_of(ledger: &Ledger, entry: &Entry) -> Result<Legs, Refusal> {
    use Bucket::{Advanced, Available, Expended, Obligated, Reserved};
    let root = |period: &PeriodId| ledger.period(*period).map(|found| Place::In(found.root, Available));
    match &entry.action {
        Action::Authorize { period, amount } => {
            let mut legs = Legs::one(Place::Outside, root(period)?, *amount);
            legs.original = Some((*period, amount.get()));
            Ok(legs)
        }
        Action::Increase(increase) => increase_legs(ledger, increase),
        Action::Rescind { period, amount } => Ok(Legs::one(root(period)?, Place::Outside, *amount)),
        Action::CarryOver { from, to, amount } => Ok(Legs::one(root(from)?, root(to)?, *amount)),
        Action::Allocate { allocation, amount } => {
            let parent = ledger.parent(*allocation)?;
            Ok(Legs::one(Place::In(parent, Available), Place::In(*allocation, Available), *amount))
        }
        Action::Deallocate { allocation, amount } => {
            let parent = ledger.parent(*allocation)?;
            Ok(Legs::one(Place::In(*allocation, Available), Place::In(parent, Available), *amount))
        }
        Action::Reserve { reservation, allocation, amount } => {
            let mut legs = within(*allocation, Available, Reserved, *amount);
            legs.reservation = Some((*reservation, amount.get()));
            Ok(legs)
        }
        Action::Release { reservation, amount } => {
            let held = ledger.reservation(*reservation)?;
            let mut legs = within(held.allocation, Reserved, Available, *amount);
            legs.reservation = Some((*reservation, -amount.get()));
            Ok(legs)
        }
        Action::Obligate { obligation, allocation, amount, reservation, .. } => {
            let from = if reservation.is_some() { Reserved } else { Available };
            let mut legs = within(*allocation, from, Obligated, *amount);
            legs.reservation = reservation.map(|id| (id, -amount.get()));
            legs.obligation = Some(delta(*obligation, *amount, 1, 0, 0));
            Ok(legs)
        }
        Action::Deobligate { obligation, amount } => {
            promise(ledger, *obligation, Obligated, Available, *amount, (-1, 0, 0))
        }
        Action::Disburse { obligation, amount } => {
            promise(ledger, *obligation, Obligated, Advanced, *amount, (-1, 1, 0))
        }
        Action::Refund { obligation, amount } => {
            promise(ledger, *obligation, Advanced, Obligated, *amount, (1, -1, 0))
        }
        Action::Expend(expend) => match expend.source {
            ExpendSource::Available(leaf) => Ok(within(leaf, Available, Expended, expend.amount)),
            ExpendSource::Obligated(id) => Ok(expend_legs(ledger.obligation(id)?, Obligated, expend)),
            ExpendSource::Advanced(id) => Ok(expend_legs(ledger.obligation(id)?, Advanced, expend)),
        },
        Action::Reverse { .. } => Err(Refusal::NotReversible(entry.id)),
    }
}

fn within(allocation: AllocationId, from: Bucket, to: Bucket, amount: Amount) -> Legs {
    Legs::one(Place::In(allocation, from), Place::In(allocation, to), amount)
}

fn delta(id: ObligationId, amount: Amount, obligated: i64, advanced: i64, expended: i64) -> ObligationDelta {
    let amount = amount.get();
    ObligationDelta {
        id,
        obligated: obligated * amount,
        advanced: advanced * amount,
        expended: expended * amount,
    }
}

fn promise(
    ledger: &Ledger,
    id: ObligationId,
    from: Bucket,
    to: Bucket,
    amount: Amount,
    (obligated, advanced, expended): (i64, i64, i64),
) -> Result<Legs, Refusal> {
    let mut legs = within(ledger.obligation(id)?.allocation, from, to, amount);
    legs.obligation = Some(delta(id, amount, obligated, advanced, expended));
    Ok(legs)
}

/// An invoice takes from its obligation, and from available what it says to draw beyond.
fn expend_legs(obligation: &Obligation, from: Bucket, expend: &Expend) -> Legs {
    let total = expend.amount.get();
    // The edge refuses a draw above the amount; here it must not become a promise out of nothing.
    let drawn = expend.draw_from_available.map_or(0, Amount::get).min(total);
    let leaf = obligation.allocation;
    let mut legs = Legs::default();
    for (bucket, part) in [(from, total - drawn), (Bucket::Available, drawn)] {
        if let Some(amount) = Amount::new(part) {
            let (from, to) = (Place::In(leaf, bucket), Place::In(leaf, Bucket::Expended));
            legs.movements.push(Movement { from, to, amount });
        }
    }
    let liquidated = total - drawn;
    let (obligated, advanced) = if from == Bucket::Obligated { (-liquidated, 0) } else { (0, -liquidated) };
    legs.obligation = Some(ObligationDelta { id: obligation.id, obligated, advanced, expended: total });
    legs
}

fn increase_legs(ledger: &Ledger, increase: &Increase) -> Result<Legs, Refusal> {
    let root = ledger.period(increase.period)?.root;
    let mut legs = Legs::default();
    let Some(outcome) = &increase.outcome else { return Ok(legs) };
    let source = Place::In(root, Bucket::Available);
    if let Some(amount) = Amount::new(outcome.added) {
        legs.movements.push(Movement { from: Place::Outside, to: source, amount });
    }
    for (child, part) in &outcome.pushed_down {
        if let Some(amount) = Amount::new(*part) {
            legs.movements.push(Movement { from: source, to: Place::In(*child, Bucket::Available), amount });
        }
    }
    Ok(legs)
}
