//! Reading the rows that a working set needs.

use std::collections::BTreeSet;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::ids::{AllocationId, EntryId, ObligationId, PeriodId, ProgramId, ReservationId};
use crate::domain::ledger::Ledger;
use crate::domain::program::{Allocation, Obligation, Reservation};
use crate::error::Error;
use crate::store::failed;
use crate::store::funding::list_periods;
use crate::store::ledger::Wanted;
use crate::store::rows::{AllocationRow, ObligationRow, ReservationRow};

fn uuids<T: Copy>(ids: &BTreeSet<T>, uuid: impl Fn(T) -> Uuid) -> Vec<Uuid> {
    ids.iter().copied().map(uuid).collect()
}

/// Adds to a ledger what is wanted and not there yet.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.ledger.load", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "ledger.load"))]
pub async fn load_ledger(
    conn: &mut PgConnection,
    program: ProgramId,
    ledger: &mut Ledger,
    wanted: &Wanted,
) -> Result<(), Error> {
    if ledger.periods.is_empty() {
        let periods = list_periods(&mut *conn, program).await?;
        ledger.periods.extend(periods.into_iter().map(|period| (period.id, period)));
    }
    let mut ids = wanted.allocations.clone();
    for reservation in load_reservations(conn, program, wanted).await? {
        ids.insert(reservation.allocation);
        ledger.reservations.insert(reservation.id, reservation);
    }
    for obligation in load_obligations(conn, program, wanted).await? {
        ids.insert(obligation.allocation);
        ledger.obligations.insert(obligation.id, obligation);
    }
    let root = |id: &PeriodId| ledger.periods.get(id).map(|period| period.root);
    ids.extend(wanted.periods.iter().filter_map(root));
    let shared: Vec<Uuid> = wanted.shared.iter().filter_map(root).map(AllocationId::uuid).collect();
    for allocation in load_allocations(conn, program, &ids, &shared, wanted).await? {
        ledger.allocations.insert(allocation.id, allocation);
    }
    Ok(())
}

async fn load_reservations(
    conn: &mut PgConnection,
    program: ProgramId,
    wanted: &Wanted,
) -> Result<Vec<Reservation>, Error> {
    if wanted.reservations.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<ReservationRow> = sqlx::query_as(
        "-- ledger.load_reservations
         SELECT reservation_id, allocation_id, remaining FROM reservations
          WHERE program_id = $1 AND reservation_id = ANY($2)",
    )
    .bind(program.uuid())
    .bind(uuids(&wanted.reservations, ReservationId::uuid))
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(rows.into_iter().map(Reservation::from).collect())
}

async fn load_obligations(
    conn: &mut PgConnection,
    program: ProgramId,
    wanted: &Wanted,
) -> Result<Vec<Obligation>, Error> {
    if wanted.obligations.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<ObligationRow> = sqlx::query_as(
        "-- ledger.load_obligations
         SELECT obligation_id, allocation_id, payee_name, payee_id, reference, obligated, advanced,
                expended, revision
           FROM obligations WHERE program_id = $1 AND obligation_id = ANY($2)",
    )
    .bind(program.uuid())
    .bind(uuids(&wanted.obligations, ObligationId::uuid))
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Obligation::try_from).collect()
}

async fn load_allocations(
    conn: &mut PgConnection,
    program: ProgramId,
    ids: &BTreeSet<AllocationId>,
    shared: &[Uuid],
    wanted: &Wanted,
) -> Result<Vec<Allocation>, Error> {
    let rows: Vec<AllocationRow> = sqlx::query_as(
        "-- ledger.load_allocations
         WITH named AS (
             SELECT id FROM UNNEST($2::uuid[]) AS n(id)
             UNION
             SELECT a.parent_id FROM allocations a
              WHERE a.program_id = $1 AND a.allocation_id = ANY($2) AND a.parent_id IS NOT NULL
             UNION
             SELECT a.allocation_id FROM allocations a WHERE a.program_id = $1 AND a.parent_id = ANY($3)
             UNION
             SELECT a.allocation_id
               FROM UNNEST($4::uuid[], $5::text[]) AS c(period_id, code)
               JOIN allocations a
                 ON a.program_id = $1 AND a.period_id = c.period_id AND a.code = c.code COLLATE \"C\"
             UNION
             SELECT a.allocation_id FROM allocations a
              WHERE a.program_id = $1 AND a.period_id = ANY($6)
                AND (a.reserved <> 0 OR a.obligated <> 0 OR a.advanced <> 0)
         )
         SELECT a.program_id, a.allocation_id, a.period_id, a.parent_id, a.code, a.title, a.purpose,
                a.country_code, a.recipient_id, a.task_id, a.path, a.child_count, a.created_at, a.created_revision,
                a.revision, a.received, a.available, a.allocated_out, a.reserved, a.obligated,
                a.advanced, a.expended, a.received_in, a.returned_out, a.expended_in, a.expended_out,
                a.open_obligations
           FROM named n JOIN allocations a ON a.program_id = $1 AND a.allocation_id = n.id",
    )
    .bind(program.uuid())
    .bind(uuids(ids, AllocationId::uuid))
    .bind(shared)
    .bind(wanted.codes.iter().map(|(period, _)| period.uuid()).collect::<Vec<_>>())
    .bind(wanted.codes.iter().map(|(_, code)| code.as_str()).collect::<Vec<_>>())
    .bind(uuids(&wanted.closing, PeriodId::uuid))
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    rows.into_iter().map(Allocation::try_from).collect()
}

/// Loads every row of a program's ledger.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.ledger.load_all", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "ledger.load_all"))]
pub async fn load_whole_ledger(
    conn: &mut PgConnection,
    program: ProgramId,
    ledger: &mut Ledger,
) -> Result<(), Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "-- ledger.list_allocation_ids
         SELECT allocation_id FROM allocations WHERE program_id = $1",
    )
    .bind(program.uuid())
    .fetch_all(&mut *conn)
    .await
    .map_err(failed)?;
    let reservations: Vec<Uuid> = sqlx::query_scalar(
        "-- ledger.list_reservation_ids
         SELECT reservation_id FROM reservations WHERE program_id = $1",
    )
    .bind(program.uuid())
    .fetch_all(&mut *conn)
    .await
    .map_err(failed)?;
    let obligations: Vec<Uuid> = sqlx::query_scalar(
        "-- ledger.list_obligation_ids
         SELECT obligation_id FROM obligations WHERE program_id = $1",
    )
    .bind(program.uuid())
    .fetch_all(&mut *conn)
    .await
    .map_err(failed)?;
    let wanted = Wanted {
        allocations: ids.into_iter().map(AllocationId::new).collect(),
        reservations: reservations.into_iter().map(ReservationId::new).collect(),
        obligations: obligations.into_iter().map(ObligationId::new).collect(),
        ..Wanted::default()
    };
    load_ledger(conn, program, ledger, &wanted).await
}

/// The reversals of a program among these entries.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.ledger.find_reversals", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "ledger.find_reversals"))]
pub async fn find_reversals(
    conn: &mut PgConnection,
    program: ProgramId,
    entries: &BTreeSet<EntryId>,
) -> Result<Vec<(EntryId, EntryId)>, Error> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "-- ledger.find_reversals
         SELECT entry_id, reversed_by FROM reversals WHERE program_id = $1 AND entry_id = ANY($2)",
    )
    .bind(program.uuid())
    .bind(uuids(entries, EntryId::uuid))
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(rows.into_iter().map(|(entry, by)| (EntryId::new(entry), EntryId::new(by))).collect())
}

/// All reversals of a program.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.ledger.list_reversals", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "ledger.list_reversals"))]
pub async fn list_reversals(
    conn: &mut PgConnection,
    program: ProgramId,
) -> Result<Vec<(EntryId, EntryId)>, Error> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "-- ledger.list_reversals
         SELECT entry_id, reversed_by FROM reversals
          WHERE program_id = $1 ORDER BY entry_id",
    )
    .bind(program.uuid())
    .fetch_all(conn)
    .await
    .map_err(failed)?;
    Ok(rows.into_iter().map(|(entry, by)| (EntryId::new(entry), EntryId::new(by))).collect())
}
