//! Writing what is rare: periods, new allocations, reversals. What entries change is in `book.rs`.

use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;

use crate::domain::ids::{AllocationId, EntryId, OrganizationId, ProgramId, TaskId};
use crate::domain::ledger::Ledger;
use crate::domain::program::{Allocation, Period};
use crate::domain::text::CountryCode;
use crate::error::Error;
use crate::store::ledger::Dirty;
use crate::store::{expect_rows, failed};

/// Writes the rows that are new but for their balances, periods, and what was reversed. It comes before the
/// booking, in the same transaction.
///
/// # Errors
/// Fails when the database does, or when the working set broke a constraint, which is a bug.
#[tracing::instrument(level = "debug", name = "db.ledger.write_structure", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "ledger.write_structure"))]
pub async fn write_structure(
    conn: &mut PgConnection,
    program: ProgramId,
    ledger: &Ledger,
    dirty: &Dirty,
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
    insert_reversals(conn, program, &dirty.reversals).await
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

async fn insert_reversals(
    conn: &mut PgConnection,
    program: ProgramId,
    reversals: &[(EntryId, EntryId)],
) -> Result<(), Error> {
    if reversals.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "-- ledger.insert_reversals
         INSERT INTO reversals (program_id, entry_id, reversed_by)
         SELECT $1, n.entry_id, n.reversed_by FROM UNNEST($2::uuid[], $3::uuid[]) AS n(entry_id, reversed_by)",
    )
    .bind(program.uuid())
    .bind(reversals.iter().map(|(entry, _)| entry.uuid()).collect::<Vec<_>>())
    .bind(reversals.iter().map(|(_, by)| by.uuid()).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}
