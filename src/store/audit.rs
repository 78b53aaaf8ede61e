//! The one audit of what spans rows. `VerifyLedger`, `safelane audit` and the tests share it.

use sqlx::{FromRow, PgConnection};
use tokio_stream::StreamExt as _;
use uuid::Uuid;

use crate::domain::ids::ProgramId;
use crate::error::Error;
use crate::store::journal::LeafRow;
use crate::store::{Store, failed};

/// One thing that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Finding {
    /// Name of the rule, as in `audit.sql`.
    pub invariant: String,
    /// The program, or the scope of the journal.
    pub program_id: Uuid,
    /// The row that does not fit.
    pub object_id: Uuid,
    /// The figures.
    pub detail: String,
}

/// Every rule that the audit checks, with its meaning.
pub const INVARIANTS: [(&str, &str); 29] = [
    ("children_sum_to_allocated_out", "what a parent gave out is what its children received"),
    ("child_count_is_exact", "every allocation knows how many children it has"),
    ("reservations_sum_to_reserved", "what is reserved is what the reservations hold"),
    ("obligations_sum_to_buckets", "what is obligated, advanced and open is what the obligations say"),
    ("authorization_is_the_root", "a period's authorization is what its root received"),
    ("one_root_a_period", "every root belongs to the period that names it"),
    ("tree_stays_in_its_period", "no allocation hangs below one of another period"),
    ("journal_has_no_gap", "revisions run from 1 to the head without a gap"),
    ("head_time_is_that_of_the_last", "the head knows when its last revision was recorded"),
    ("time_never_goes_back", "no revision was recorded before the one before it"),
    ("site_area_is_the_sum_of_its_movements", "what is left of a site is what came and went"),
    ("splits_move_land_and_make_none", "what goes out of split sites comes to their parts"),
    ("released_sites_have_no_land", "nothing is left of a site that is closed or handed over"),
    ("no_site_is_below_zero_on_any_day", "on no day has a site less land than nothing"),
    ("no_work_under_a_safety_stop", "no task is ready for work or at work while a stop of it is in force"),
    ("people_work_while_they_are_members", "days of people are days of the assignment and of a membership"),
    ("assets_are_away_as_long_as_the_team", "days of assets are those of their assignment"),
    (
        "suspended_is_what_a_suspension_holds",
        "what is suspended has a suspension without end, and nothing else",
    ),
    ("an_assignment_is_of_one_operator", "team, people and assets are the operator's own"),
    ("a_report_is_its_newest_version", "what is said of a report is what its newest version says"),
    (
        "every_version_has_its_event",
        "every version of a report stands in its operator's journal, and nothing else does",
    ),
    (
        "every_attachment_has_its_event",
        "every file that is present stands in its operator's journal, and nothing else does",
    ),
    ("a_device_has_what_it_sent", "the numbers that were received of a device are those of its reports"),
    ("an_approved_report_has_one_credit", "what is approved for a program counts there once"),
    ("tasks_sum_their_credits", "what a task brought about is what its approved reports count for"),
    ("credited_land_has_left_its_site", "land that counts has left its site, and only that by reports"),
    (
        "an_erased_victim_stays_erased",
        "of a victim whose details were erased there are none, and the operator's journal says so",
    ),
    (
        "an_erased_person_stays_erased",
        "of a person whose name was erased there is none, and the operator's journal says so",
    ),
    (LEAF_HASH, "every stored hash is that of its stored bytes"),
];

/// The rule that is not checked in SQL.
const LEAF_HASH: &str = "leaf_hash_is_of_the_payload";

/// Runs the audit for one program, or for everything, in the caller's transaction.
///
/// # Errors
/// Fails when the database does.
#[tracing::instrument(level = "debug", name = "db.audit.run", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "audit.run"))]
pub async fn run_audit(conn: &mut PgConnection, program: Option<ProgramId>) -> Result<Vec<Finding>, Error> {
    // It reads the whole journal, which takes longer than a call may.
    sqlx::query("-- audit.unlimit\nSET LOCAL statement_timeout = 0")
        .execute(&mut *conn)
        .await
        .map_err(failed)?;
    let mut findings: Vec<Finding> = sqlx::query_as(include_str!("audit.sql"))
        .bind(program.map(ProgramId::uuid))
        .fetch_all(&mut *conn)
        .await
        .map_err(failed)?;
    findings.extend(check_leaf_hashes(conn, program).await?);
    Ok(findings)
}

/// Reads the journal row by row and hashes every message anew.
async fn check_leaf_hashes(
    conn: &mut PgConnection,
    program: Option<ProgramId>,
) -> Result<Vec<Finding>, Error> {
    let mut rows = sqlx::query_as::<_, LeafRow>(
        "-- audit.list_leaves
         SELECT scope_id, revision, request_id, leaf_hash, payload FROM journal
          WHERE $1::uuid IS NULL OR scope_id = $1",
    )
    .bind(program.map(ProgramId::uuid))
    .fetch(conn);
    let mut findings = Vec::new();
    while let Some(row) = rows.next().await {
        let row = row.map_err(failed)?;
        let (scope, revision) = (row.scope_id, row.revision);
        if !row.holds() {
            let detail = format!("revision {revision}");
            findings.push(Finding {
                invariant: LEAF_HASH.to_owned(),
                program_id: scope,
                object_id: scope,
                detail,
            });
        }
    }
    Ok(findings)
}

/// Runs the audit over the whole database.
///
/// # Errors
/// Fails when the database does.
pub async fn audit_everything(store: &Store) -> Result<Vec<Finding>, Error> {
    store.long_snapshot(|conn| Box::pin(async move { run_audit(conn, None).await })).await
}
