//! Writing the rows that commands changed: what entries change, each table in one statement.

use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;

use crate::domain::ids::{AllocationId, EntryId, OrganizationId, ProgramId, TaskId};
use crate::domain::program::{Allocation, Obligation, Period, Reservation};
use crate::domain::text::CountryCode;
use crate::error::Error;
use crate::store::ledger::Changes;
use crate::store::{expect_rows, failed};

/// A row with the program that it belongs to.
type Of<'a, T> = (ProgramId, &'a T);

/// Writes everything that changed, whichever programs it is of.
///
/// # Errors
/// Fails when the database does, or when a working set broke a constraint, which is a bug.
#[tracing::instrument(level = "debug", name = "db.ledger.write", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "ledger.write"))]
pub async fn write_ledgers(conn: &mut PgConnection, changes: &[Changes]) -> Result<(), Error> {
    for change in changes {
        write_structure(conn, change).await?;
    }
    let allocations = changes.iter().flat_map(|change| {
        let changed = change.dirty.allocations.union(&change.dirty.new_allocations);
        changed.filter_map(|id| change.ledger.allocations.get(id)).map(|row| (change.program, row))
    });
    update_allocations(conn, &allocations.collect::<Vec<_>>()).await?;
    let held = changes.iter().flat_map(|change| {
        let changed = change.dirty.reservations.iter();
        changed.filter_map(|id| change.ledger.reservations.get(id)).map(|row| (change.program, row))
    });
    upsert_reservations(conn, &held.collect::<Vec<_>>()).await?;
    let promised = changes.iter().flat_map(|change| {
        let changed = change.dirty.obligations.iter();
        changed.filter_map(|id| change.ledger.obligations.get(id)).map(|row| (change.program, row))
    });
    upsert_obligations(conn, &promised.collect::<Vec<_>>()).await?;
    let reversals = changes
        .iter()
        .flat_map(|change| change.dirty.reversals.iter().map(|reversal| (change.program, reversal)));
    insert_reversals(conn, &reversals.collect::<Vec<_>>()).await
}

/// Periods and new allocations, which are rare.
async fn write_structure(
    conn: &mut PgConnection,
    Changes { ledger, dirty, .. }: &Changes,
) -> Result<(), Error> {
    for period in dirty.new_periods.iter().filter_map(|id| ledger.periods.get(id)) {
        insert_period(conn, period).await?;
    }
    let changed = dirty.periods.difference(&dirty.new_periods);
    for period in changed.filter_map(|id| ledger.periods.get(id)) {
        update_period(conn, period).await?;
    }
    // In the order of the tree, so that parents are there before their children.
    let mut new: Vec<&Allocation> =
        dirty.new_allocations.iter().filter_map(|id| ledger.allocations.get(id)).collect();
    new.sort_by_key(|allocation| allocation.path.len());
    for allocation in new {
        insert_allocation(conn, allocation).await?;
    }
    Ok(())
}

async fn insert_period(conn: &mut PgConnection, new: &Period) -> Result<(), Error> {
    sqlx::query(
        "-- ledger.insert_period
         INSERT INTO periods (program_id, period_id, code, title, first_day, last_day,
                root_allocation_id, state, original, authorized, authorization_revision, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(new.program.uuid())
    .bind(new.id.uuid())
    .bind(new.code.as_str())
    .bind(new.title.as_str())
    .bind(new.first_day.to_sqlx())
    .bind(new.last_day.to_sqlx())
    .bind(new.root.uuid())
    .bind(new.state.word())
    .bind(new.original)
    .bind(new.authorized)
    .bind(new.authorization_revision)
    .bind(new.revision)
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn update_period(conn: &mut PgConnection, changed: &Period) -> Result<(), Error> {
    let done = sqlx::query(
        "-- ledger.update_period
         UPDATE periods SET state = $3, original = $4, authorized = $5, authorization_revision = $6,
                revision = $7
          WHERE program_id = $1 AND period_id = $2",
    )
    .bind(changed.program.uuid())
    .bind(changed.id.uuid())
    .bind(changed.state.word())
    .bind(changed.original)
    .bind(changed.authorized)
    .bind(changed.authorization_revision)
    .bind(changed.revision)
    .execute(conn)
    .await
    .map_err(failed)?;
    expect_rows(done.rows_affected(), 1)
}

async fn insert_allocation(conn: &mut PgConnection, new: &Allocation) -> Result<(), Error> {
    sqlx::query(
        "-- ledger.insert_allocation
         INSERT INTO allocations (program_id, allocation_id, period_id, parent_id, code, title, purpose,
                country_code, recipient_id, task_id, path, child_count, created_at, created_revision, revision,
                received, available, allocated_out, reserved, obligated, advanced, expended, received_in,
                returned_out, expended_in, expended_out, open_obligations)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, $13, $13,
                 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)",
    )
    .bind(new.program.uuid())
    .bind(new.id.uuid())
    .bind(new.period.uuid())
    .bind(new.parent.map(AllocationId::uuid))
    .bind(new.code.as_str())
    .bind(new.title.as_str())
    .bind(new.purpose.word())
    .bind(new.country.as_ref().map(CountryCode::as_str))
    .bind(new.recipient.map(OrganizationId::uuid))
    .bind(new.task.map(TaskId::uuid))
    .bind(&new.path)
    .bind(new.created_at.to_sqlx())
    .bind(new.created_revision)
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn update_allocations(conn: &mut PgConnection, changed: &[Of<'_, Allocation>]) -> Result<(), Error> {
    if changed.is_empty() {
        return Ok(());
    }
    let column =
        |read: fn(&Allocation) -> i64| changed.iter().map(|(_, row)| read(row)).collect::<Vec<i64>>();
    let done = sqlx::query(
        "-- ledger.update_allocations
         UPDATE allocations a
            SET child_count = n.child_count, received = n.received, available = n.available,
                allocated_out = n.allocated_out, reserved = n.reserved, obligated = n.obligated,
                advanced = n.advanced, expended = n.expended, received_in = n.received_in,
                returned_out = n.returned_out, expended_in = n.expended_in,
                expended_out = n.expended_out, open_obligations = n.open_obligations,
                revision = n.revision
           FROM UNNEST($1::uuid[], $2::uuid[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[],
                       $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
                       $12::bigint[], $13::bigint[], $14::bigint[], $15::int[], $16::bigint[])
                AS n(program_id, allocation_id, child_count, received, available, allocated_out, reserved,
                     obligated, advanced, expended, received_in, returned_out, expended_in, expended_out,
                     open_obligations, revision)
          WHERE a.program_id = n.program_id AND a.allocation_id = n.allocation_id",
    )
    .bind(changed.iter().map(|(program, _)| program.uuid()).collect::<Vec<_>>())
    .bind(changed.iter().map(|(_, row)| row.id.uuid()).collect::<Vec<_>>())
    .bind(changed.iter().map(|(_, row)| row.child_count).collect::<Vec<_>>())
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
    .bind(changed.iter().map(|(_, row)| row.balance.open_obligations).collect::<Vec<_>>())
    .bind(column(|row| row.revision))
    .execute(conn)
    .await
    .map_err(failed)?;
    expect_rows(done.rows_affected(), changed.len())
}

async fn upsert_reservations(conn: &mut PgConnection, held: &[Of<'_, Reservation>]) -> Result<(), Error> {
    if held.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "-- ledger.upsert_reservations
         INSERT INTO reservations (program_id, reservation_id, allocation_id, remaining)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[])
         ON CONFLICT (program_id, reservation_id) DO UPDATE SET remaining = excluded.remaining",
    )
    .bind(held.iter().map(|(program, _)| program.uuid()).collect::<Vec<_>>())
    .bind(held.iter().map(|(_, row)| row.id.uuid()).collect::<Vec<_>>())
    .bind(held.iter().map(|(_, row)| row.allocation.uuid()).collect::<Vec<_>>())
    .bind(held.iter().map(|(_, row)| row.remaining).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn upsert_obligations(conn: &mut PgConnection, promised: &[Of<'_, Obligation>]) -> Result<(), Error> {
    if promised.is_empty() {
        return Ok(());
    }
    let payee_ids = promised.iter().map(|(_, row)| row.payee.organization.map(OrganizationId::uuid));
    sqlx::query(
        "-- ledger.upsert_obligations
         INSERT INTO obligations (program_id, obligation_id, allocation_id, payee_name, payee_id,
                reference, obligated, advanced, expended, revision)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::text[],
                              $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
         ON CONFLICT (program_id, obligation_id) DO UPDATE
            SET obligated = excluded.obligated, advanced = excluded.advanced,
                expended = excluded.expended, revision = excluded.revision",
    )
    .bind(promised.iter().map(|(program, _)| program.uuid()).collect::<Vec<_>>())
    .bind(promised.iter().map(|(_, row)| row.id.uuid()).collect::<Vec<_>>())
    .bind(promised.iter().map(|(_, row)| row.allocation.uuid()).collect::<Vec<_>>())
    .bind(promised.iter().map(|(_, row)| row.payee.name.as_str()).collect::<Vec<_>>())
    .bind(payee_ids.collect::<Vec<_>>())
    .bind(promised.iter().map(|(_, row)| row.payee.reference.as_str()).collect::<Vec<_>>())
    .bind(promised.iter().map(|(_, row)| row.obligated).collect::<Vec<_>>())
    .bind(promised.iter().map(|(_, row)| row.advanced).collect::<Vec<_>>())
    .bind(promised.iter().map(|(_, row)| row.expended).collect::<Vec<_>>())
    .bind(promised.iter().map(|(_, row)| row.revision).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn insert_reversals(
    conn: &mut PgConnection,
    reversals: &[Of<'_, (EntryId, EntryId)>],
) -> Result<(), Error> {
    if reversals.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "-- ledger.insert_reversals
         INSERT INTO reversals (program_id, entry_id, reversed_by)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[])",
    )
    .bind(reversals.iter().map(|(program, _)| program.uuid()).collect::<Vec<_>>())
    .bind(reversals.iter().map(|(_, (entry, _))| entry.uuid()).collect::<Vec<_>>())
    .bind(reversals.iter().map(|(_, (_, by))| by.uuid()).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}
