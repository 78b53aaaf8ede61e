//! What ingest is compared with: multi-row INSERTs by as many connections as there are streams, of as many rows as the
//! service takes in together. No rules, no journal's head, no answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use jiff::civil::Date;
use prost::Message as _;
use safelane::rpc::pb;
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::ingest::{made, per_second};
use crate::options::Sizes;
use crate::{DATABASE, Failure, OPERATORS};

/// Rows of one INSERT: as many as the service takes in together.
const ROWS: usize = 256;
/// More than one round inserts.
const NUMBERS_OF_ROUND: i64 = 1_000_000_000;

/// What is inserted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Plain {
    /// The bytes that the client sends, in a table of two columns with one index.
    Content,
    /// The rows that the service stores for each report, in copies of its tables with the same indexes and checks, without
    /// foreign keys: one transaction of three INSERTs.
    SameRows,
}

pub(crate) async fn make_tables(connection: &mut PgConnection) -> Result<(), Failure> {
    sqlx::raw_sql(
        "CREATE TABLE plain_reports (report_id UUID PRIMARY KEY, content BYTEA NOT NULL);
         CREATE TABLE same_reports (LIKE reports INCLUDING ALL);
         CREATE TABLE same_report_versions (LIKE report_versions INCLUDING ALL);
         CREATE TABLE same_journal (LIKE journal INCLUDING ALL)",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Rows a second. A round of the same rows begins with what the service stored in the round, one report of each operator.
pub(crate) async fn insert(
    cluster: &Cluster,
    sizes: Sizes,
    today: Date,
    (what, round): (Plain, usize),
) -> Result<u64, Failure> {
    let (inserted, until) = (Arc::new(AtomicU64::new(0)), Instant::now() + sizes.measured);
    let mut running = JoinSet::new();
    let begun = Instant::now();
    for operator in 0..OPERATORS {
        let mut connection = cluster.connect(DATABASE).await?;
        let (inserted, team) = (Arc::clone(&inserted), operator * sizes.teams);
        let sample = made(team, round, 0, today).report_id.parse()?;
        running.spawn(async move {
            let (mut number, mut event) = (i64::try_from(round)? * NUMBERS_OF_ROUND, Vec::new());
            if matches!(what, Plain::SameRows) {
                event = stored_event(&mut connection, sample).await?;
            }
            while Instant::now() < until {
                let first = number + 1;
                let reports: Vec<_> = (0..ROWS)
                    .map(|_| {
                        number += 1;
                        made(team, round, number, today)
                    })
                    .collect();
                match what {
                    Plain::Content => insert_contents(&mut connection, &reports).await?,
                    Plain::SameRows => {
                        insert_rows(&mut connection, sample, (&reports, first), &event).await?;
                    }
                }
                inserted.fetch_add(ROWS as u64, Ordering::Relaxed);
            }
            connection.close().await?;
            Ok::<(), Failure>(())
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(per_second(inserted.load(Ordering::Relaxed), begun.elapsed()))
}

fn ids(reports: &[pb::FieldReport]) -> Result<Vec<Uuid>, Failure> {
    Ok(reports.iter().map(|report| report.report_id.parse()).collect::<Result<_, _>>()?)
}

fn contents(reports: &[pb::FieldReport]) -> Vec<Vec<u8>> {
    reports.iter().map(pb::FieldReport::encode_to_vec).collect()
}

async fn insert_contents(connection: &mut PgConnection, reports: &[pb::FieldReport]) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO plain_reports (report_id, content) SELECT * FROM UNNEST($1::uuid[], $2::bytea[])",
    )
    .bind(ids(reports)?)
    .bind(contents(reports))
    .execute(connection)
    .await?;
    Ok(())
}

/// The event with which the service told of a report: its bytes in the journal.
async fn stored_event(connection: &mut PgConnection, report: Uuid) -> Result<Vec<u8>, Failure> {
    let event = sqlx::query_scalar(
        "SELECT j.payload FROM journal j JOIN reports r ON r.organization_id = j.scope_id AND r.revision = j.revision
          WHERE r.report_id = $1",
    );
    Ok(event.bind(report).fetch_one(connection).await?)
}

/// Columns in which the reports of a round do not differ come from the sample.
async fn insert_rows(
    connection: &mut PgConnection,
    sample: Uuid,
    (reports, first): (&[pb::FieldReport], i64),
    event: &[u8],
) -> Result<(), Failure> {
    let (ids, contents) = (ids(reports)?, contents(reports));
    let numbers: Vec<i64> = (first..).take(reports.len()).collect();
    let events = vec![event; reports.len()];
    let mut transaction = connection.begin().await?;
    sqlx::query(
        "INSERT INTO same_journal (scope_id, revision, kind, recorded_at, payload, leaf_hash, request_id)
         SELECT r.organization_id, n.number, 7, now(), n.event, v.content_sha256, n.id
           FROM reports r JOIN report_versions v USING (report_id),
                UNNEST($2::uuid[], $3::bigint[], $4::bytea[]) AS n(id, number, event)
          WHERE r.report_id = $1",
    )
    .bind(sample)
    .bind(&ids)
    .bind(&numbers)
    .bind(&events)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO same_reports (organization_id, report_id, first_revision, device_id, team_id, task_id, program_id,
                kind, work_date, newest_version, state, hold_reasons, claimed, revision)
         SELECT organization_id, n.id, n.number, device_id, team_id, task_id, program_id, kind, work_date, newest_version,
                state, hold_reasons, claimed, n.number
           FROM reports, UNNEST($2::uuid[], $3::bigint[]) AS n(id, number)
          WHERE report_id = $1",
    )
    .bind(sample)
    .bind(&ids)
    .bind(&numbers)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO same_report_versions (report_id, version, device_id, device_sequence, content, content_sha256,
                received_at, received_by, clock_offset_ms, captured_at, hold_reasons, hold_texts, hold_subjects, revision,
                amendment)
         SELECT n.id, version, device_id, n.number, n.content, content_sha256, received_at, received_by, clock_offset_ms,
                captured_at, hold_reasons, hold_texts, hold_subjects, n.number, amendment
           FROM report_versions, UNNEST($2::uuid[], $3::bigint[], $4::bytea[]) AS n(id, number, content)
          WHERE report_id = $1",
    )
    .bind(sample)
    .bind(&ids)
    .bind(&numbers)
    .bind(&contents)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}
