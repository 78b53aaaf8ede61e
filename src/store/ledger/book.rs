//! The one statement that books: it moves the head of a scope, appends the events, and writes the rows that
//! they changed. It is fenced: if the head is not where the working set was made, it writes nothing.

use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;

use crate::domain::ids::OrganizationId;
use crate::domain::program::{Allocation, Obligation, Reservation};
use crate::error::Error;
use crate::seeded::{Bug, seeded};
use crate::store::journal::{ANSWERED_BEFORE, Head, NewEvent, appended, bind_appended, leaf_hash, packed};
use crate::store::{broken_constraint, failed};

/// What a batch did to one scope.
#[derive(Debug, Clone)]
pub struct Booking {
    /// The revision of the head from which the work began.
    pub from: i64,
    /// The head as it will be.
    pub head: Head,
    /// The events in between, oldest first.
    pub events: Vec<NewEvent>,
    /// The allocations whose balance or children changed.
    pub allocations: Vec<Allocation>,
    /// The reservations that are new or changed.
    pub reservations: Vec<Reservation>,
    /// The obligations that are new or changed.
    pub obligations: Vec<Obligation>,
}

/// Everything hangs on `head`: when the fence does not hold it is empty, and so is all the rest. A balance that
/// misses its row divides by zero: the statement may be a transaction by itself, so that it must fail by itself.
const BOOK: &str = concat!(
    "-- ledger.book
WITH ",
    appended!(),
    ", balances AS (
    UPDATE allocations a
       SET child_count = n.child_count, received = n.received, available = n.available,
           allocated_out = n.allocated_out, reserved = n.reserved, obligated = n.obligated,
           advanced = n.advanced, expended = n.expended, received_in = n.received_in,
           returned_out = n.returned_out, expended_in = n.expended_in, expended_out = n.expended_out,
           open_obligations = n.open_obligations, revision = n.revision
      FROM head, UNNEST($11::uuid[], $12::int[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
                        $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[],
                        $22::bigint[], $23::bigint[], $24::int[], $25::bigint[])
                 AS n(allocation_id, child_count, received, available, allocated_out, reserved, obligated,
                      advanced, expended, received_in, returned_out, expended_in, expended_out,
                      open_obligations, revision)
     WHERE a.program_id = $1 AND a.allocation_id = n.allocation_id
    RETURNING a.allocation_id
), held AS (
    INSERT INTO reservations (program_id, reservation_id, allocation_id, remaining)
    SELECT $1, n.reservation_id, n.allocation_id, n.remaining
      FROM head, UNNEST($26::uuid[], $27::uuid[], $28::bigint[]) AS n(reservation_id, allocation_id, remaining)
    ON CONFLICT (program_id, reservation_id) DO UPDATE SET remaining = excluded.remaining
), promised AS (
    INSERT INTO obligations (program_id, obligation_id, allocation_id, payee_name, payee_id, reference,
                             obligated, advanced, expended, revision)
    SELECT $1, n.obligation_id, n.allocation_id, n.payee_name, n.payee_id, n.reference, n.obligated,
           n.advanced, n.expended, n.revision
      FROM head, UNNEST($29::uuid[], $30::uuid[], $31::text[], $32::uuid[], $33::text[], $34::bigint[],
                        $35::bigint[], $36::bigint[], $37::bigint[])
                 AS n(obligation_id, allocation_id, payee_name, payee_id, reference, obligated, advanced,
                      expended, revision)
    ON CONFLICT (program_id, obligation_id) DO UPDATE
       SET obligated = excluded.obligated, advanced = excluded.advanced, expended = excluded.expended,
           revision = excluded.revision
)
SELECT (SELECT count(*) FROM head),
       (SELECT 1 / CAST(count(*) = cardinality($11) OR NOT EXISTS (SELECT FROM head) AS INTEGER)::bigint FROM balances)"
);

/// Books. Answers whether the fence held; if not, nothing was written.
///
/// # Errors
/// `Contended` when a request was answered before: whoever books must look that up first. Otherwise fails
/// when the database does, or when the working set broke a constraint, which is a bug.
#[tracing::instrument(level = "debug", name = "db.ledger.book", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "ledger.book", events = booking.events.len()))]
pub async fn book(conn: &mut PgConnection, booking: &Booking) -> Result<bool, Error> {
    let Booking { from, head, events, allocations, reservations, obligations } = booking;
    let scope = head.scope.uuid();
    let column = |read: fn(&Allocation) -> i64| allocations.iter().map(read).collect::<Vec<_>>();
    let promise = |read: fn(&Obligation) -> i64| obligations.iter().map(read).collect::<Vec<_>>();
    let payees = obligations.iter().map(|row| row.payee.organization.map(OrganizationId::uuid));
    let book = bind_appended!(sqlx::query_as(BOOK), scope, from, head.revision, head.recorded_at, events);
    let booked: Result<(i64, i64), _> = book
        .bind(allocations.iter().map(|row| row.id.uuid()).collect::<Vec<_>>())
        .bind(allocations.iter().map(|row| row.child_count).collect::<Vec<_>>())
        .bind(column(|row| row.balance.buckets.received))
        .bind(column(|row| row.balance.buckets.available))
        .bind(column(|row| row.balance.buckets.allocated_out))
        .bind(column(|row| row.balance.buckets.reserved))
        .bind(column(|row| row.balance.buckets.obligated))
        .bind(column(|row| row.balance.buckets.advanced))
        .bind(column(|row| row.balance.buckets.expended))
        .bind(column(|row| row.balance.turnover.received_in))
        .bind(column(|row| row.balance.turnover.returned_out))
        .bind(column(|row| row.balance.turnover.expended_in))
        .bind(column(|row| row.balance.turnover.expended_out))
        .bind(allocations.iter().map(|row| row.balance.open_obligations).collect::<Vec<_>>())
        .bind(column(|row| row.revision))
        .bind(reservations.iter().map(|row| row.id.uuid()).collect::<Vec<_>>())
        .bind(reservations.iter().map(|row| row.allocation.uuid()).collect::<Vec<_>>())
        .bind(reservations.iter().map(|row| row.remaining).collect::<Vec<_>>())
        .bind(obligations.iter().map(|row| row.id.uuid()).collect::<Vec<_>>())
        .bind(obligations.iter().map(|row| row.allocation.uuid()).collect::<Vec<_>>())
        .bind(obligations.iter().map(|row| row.payee.name.as_str()).collect::<Vec<_>>())
        .bind(payees.collect::<Vec<_>>())
        .bind(obligations.iter().map(|row| row.payee.reference.as_str()).collect::<Vec<_>>())
        .bind(promise(|row| row.obligated))
        .bind(promise(|row| row.advanced))
        .bind(promise(|row| row.expended))
        .bind(promise(|row| row.revision))
        .fetch_one(conn)
        .await;
    match booked {
        Ok((heads, _)) => Ok(heads != 0),
        // Without the look-up there is nothing to begin again for.
        Err(error) if seeded(Bug::SkipReplayCheck) => Err(failed(error)),
        Err(error) if broken_constraint(&error) == Some(ANSWERED_BEFORE) => Err(Error::Contended),
        Err(error) => Err(failed(error)),
    }
}
