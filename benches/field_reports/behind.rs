//! A million reports behind everything: days of progress of one operator's teams. The last sixty days wait for a reviewer,
//! every hundredth of them is held; all others are approved and credited.

use std::time::{Duration, Instant};

use jiff::ToSpan as _;
use jiff::civil::Date;
use prost::Message as _;
use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::ids::{Of, id};
use crate::options::Sizes;
use crate::{DATABASE, Failure, progress};

/// Reports of one statement.
const BATCH: i64 = 5_000;
/// Days that wait for a reviewer.
pub(crate) const WAITING_DAYS: i64 = 60;
/// One of so many that wait is held.
pub(crate) const HELD_EACH: i64 = 100;
/// Square metres of a report.
const AREA_M2: i64 = 3;
/// Kinds of ids that no other table has.
const REPORT: u32 = 20;
const DEVICE: u32 = 21;
const SITE: u32 = 11;

/// What loading came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loaded {
    pub(crate) reports: i64,
    pub(crate) took: Duration,
    pub(crate) bytes: u64,
    pub(crate) report_bytes: usize,
}

fn uuid(kind: u32, number: i64) -> String {
    format!("{kind:08x}-0000-7000-8000-{number:012x}")
}

/// The id of a report behind.
pub(crate) fn report_id(number: i64) -> String {
    uuid(REPORT, number)
}

fn wire(day: Date) -> pb::Date {
    pb::Date { year: day.year().into(), month: day.month().into(), day: day.day().into() }
}

/// A day's progress of a team on its own task.
pub(crate) fn progress_of(report_id: String, team: i64, sequence: i64, day: Date) -> pb::FieldReport {
    let area = pb::ReleasedArea {
        site_id: uuid(SITE, team),
        r#type: pb::ReleaseType::Cleared.into(),
        area_m2: AREA_M2,
        depth_cm: 20,
        ..pb::ReleasedArea::default()
    };
    let worked = pb::WorkedHours { role: pb::MemberRole::Deminer.into(), people: 7, minutes: 7 * 420 };
    let captured = pb::DeviceClock {
        wall_time: Some(prost_types::Timestamp { seconds: 1_700_000_000 + sequence, nanos: 0 }),
        utc_offset_minutes: 120,
        elapsed: Some(prost_types::Duration { seconds: 3_600, nanos: 0 }),
        boot_id: "5e0d5c7a-8c0e-4f8e-9a55-0b9f2f9d1b11".to_owned(),
        gnss_time: None,
    };
    pb::FieldReport {
        report_id,
        device_id: uuid(DEVICE, team),
        device_sequence: sequence,
        team_id: id(Of::Team, team),
        task_id: id(Of::Task, team),
        work_date: Some(wire(day)),
        captured: Some(captured),
        note: "Lane 3, two signals, both scrap. Marked and closed at noon.".to_owned(),
        body: Some(Body::Progress(pb::ProgressReport {
            activity: pb::ActivityType::ManualClearance.into(),
            areas: vec![area],
            worked: vec![worked],
            ..pb::ProgressReport::default()
        })),
        ..pb::FieldReport::default()
    }
}

pub(crate) async fn load(cluster: &Cluster, sizes: Sizes, reports: i64) -> Result<Loaded, Failure> {
    let start = Instant::now();
    let mut connection = cluster.connect(DATABASE).await?;
    run(&mut connection, "SET session_replication_role = replica").await?;
    for statement in &ordered(sizes) {
        run(&mut connection, statement).await?;
    }
    let today: jiff_sqlx::Date = sqlx::query_scalar("SELECT current_date").fetch_one(&mut connection).await?;
    let (today, mut report_bytes) = (today.to_jiff(), 0);
    for first in (0..reports).step_by(usize::try_from(BATCH)?) {
        let batch = Batch::make(first..(first + BATCH).min(reports), sizes, today)?;
        report_bytes = batch.contents.first().map_or(report_bytes, Vec::len);
        batch.insert(&mut connection).await?;
        if first % (BATCH * 40) == 0 {
            progress(&format!("{:.0?}: {first} reports are there", start.elapsed()));
        }
    }
    for statement in &derived(sizes, reports) {
        run(&mut connection, statement).await?;
    }
    progress(&format!("{:.0?}: credits are there", start.elapsed()));
    cluster.settle(DATABASE).await?;
    let bytes = Cluster::stored_bytes(&mut connection).await?;
    connection.close().await?;
    Ok(Loaded { reports, took: start.elapsed(), bytes, report_bytes })
}

async fn run(connection: &mut PgConnection, statement: &str) -> Result<(), Failure> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await;
    done.map_err(|error| format!("{statement}: {error}"))?;
    Ok(())
}

/// Tasks are ordered and at work, and every team is sent to its own.
fn ordered(sizes: Sizes) -> [String; 2] {
    let (each, teams) = (sizes.teams, sizes.teams());
    [
        "UPDATE tasks SET order_reference = 'D-1', issued_revision = 1, paramedic_id = bench_id(7, 0),
                ambulance_id = bench_id(8, 0), hospital = 'Mutare', evacuation_minutes = 55, drill_on = current_date"
            .to_owned(),
        format!(
            "INSERT INTO assignments (organization_id, assignment_id, team_id, program_id, task_id, first_day, last_day,
                    state, paramedic_id, ambulance_id, hospital, evacuation_minutes, drill_on, created_at, revision)
             SELECT bench_id(1, t / {each}), bench_id(16, t), bench_id(6, t), bench_id(5, 0), bench_id(10, t),
                    current_date - 2000, current_date + 30, 'STANDING', bench_id(7, t * 10 + 9), bench_id(8, t), 'Mutare',
                    55, current_date - 2000, now(), 1
               FROM generate_series(0, {teams} - 1) AS t"
        ),
    ]
}

/// Rows of some reports, side by side.
struct Batch {
    ids: Vec<Uuid>,
    places: Vec<i64>,
    teams: Vec<i64>,
    sequences: Vec<i64>,
    days: Vec<String>,
    states: Vec<&'static str>,
    holds: Vec<&'static str>,
    contents: Vec<Vec<u8>>,
    hashes: Vec<[u8; 32]>,
}

impl Batch {
    fn make(numbers: std::ops::Range<i64>, sizes: Sizes, today: Date) -> Result<Self, Failure> {
        let mut batch = Self {
            ids: vec![],
            places: vec![],
            teams: vec![],
            sequences: vec![],
            days: vec![],
            states: vec![],
            holds: vec![],
            contents: vec![],
            hashes: vec![],
        };
        for number in numbers {
            // The first operator has all of them. What comes later is of a later day.
            let (team, age) = (number % sizes.teams, number / sizes.teams);
            let day = today.saturating_sub(1.day()).saturating_sub(age.days());
            let (waits, held) = (age < WAITING_DAYS, number % HELD_EACH == 0);
            let content = progress_of(report_id(number), team, age + 1, day).encode_to_vec();
            batch.ids.push(report_id(number).parse()?);
            batch.places.push(number + 1);
            batch.teams.push(team);
            batch.sequences.push(age + 1);
            batch.days.push(day.to_string());
            batch.states.push(match (waits, held) {
                (false, _) => "APPROVED",
                (true, true) => "HELD",
                (true, false) => "RECEIVED",
            });
            batch.holds.push(if waits && held { "POSSIBLE_DUPLICATE" } else { "" });
            batch.hashes.push(Sha256::digest(&content).into());
            batch.contents.push(content);
        }
        Ok(batch)
    }

    async fn insert(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        sqlx::query(
            "WITH n AS (
                 SELECT n.*, bench_id(1, 0) AS operator_id, bench_id(21, n.team) AS device_id
                   FROM UNNEST($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                               $8::bytea[], $9::bytea[])
                        AS n(report_id, place, team, sequence, work_date, state, held, content, sha256)),
             reported AS (
                 INSERT INTO reports (organization_id, report_id, first_revision, device_id, team_id, task_id, program_id,
                        kind, work_date, newest_version, state, hold_reasons, revision, approved_version, claimed)
                 SELECT operator_id, report_id, place, device_id, bench_id(6, team), bench_id(10, team), bench_id(5, 0),
                        'PROGRESS', work_date::date, 1, state, string_to_array(held, ','), place,
                        CASE state WHEN 'APPROVED' THEN 1 END,
                        array_fill(0::bigint, ARRAY[2]) || 3::bigint || array_fill(0::bigint, ARRAY[19])
                   FROM n)
             INSERT INTO report_versions (report_id, version, device_id, device_sequence, content, content_sha256,
                    received_at, received_by, hold_reasons, hold_texts, hold_subjects, revision)
             SELECT report_id, 1, device_id, sequence, content, sha256, now() - interval '1 day', 'tablet',
                    string_to_array(held, ','), string_to_array(held, ','),
                    array_fill('00000000-0000-0000-0000-000000000000'::uuid,
                               ARRAY[cardinality(string_to_array(held, ','))]), place
               FROM n",
        )
        .bind(&self.ids)
        .bind(&self.places)
        .bind(&self.teams)
        .bind(&self.sequences)
        .bind(&self.days)
        .bind(&self.states)
        .bind(&self.holds)
        .bind(&self.contents)
        .bind(&self.hashes)
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// What follows from the reports: numberings, credits, what tasks have, and where the journals are.
fn derived(sizes: Sizes, reports: i64) -> Vec<String> {
    let teams = sizes.teams;
    vec![
        format!(
            "INSERT INTO devices (device_id, organization_id, run_firsts, run_lasts, seen_at)
             SELECT bench_id(21, t), bench_id(1, 0), ARRAY[1], ARRAY[{reports} / {teams}], now()
               FROM generate_series(0, {teams} - 1) AS t"
        ),
        "INSERT INTO credits (program_id, report_id, version, organization_id, task_id, allocation_id, work_date, outputs,
                approved_revision, approved_at, approved_by)
         SELECT program_id, report_id, 1, organization_id, task_id, bench_id(5, 1), work_date, claimed, first_revision,
                now(), 'reviewer'
           FROM reports WHERE state = 'APPROVED'"
            .to_owned(),
        "INSERT INTO credited_areas (program_id, report_id, version, ordinal, authority_id, site_id, release_type, area_m2,
                moved)
         SELECT r.program_id, r.report_id, 1, 1, bench_id(2, 0), s.site_id, 'CLEARED', 3, TRUE
           FROM reports r JOIN task_sites s ON s.task_id = r.task_id WHERE r.state = 'APPROVED'"
            .to_owned(),
        "UPDATE tasks t SET approved = array_fill(0::bigint, ARRAY[2]) || c.area || array_fill(0::bigint, ARRAY[19]),
                approved_revision = c.revision
           FROM (SELECT task_id, sum(outputs[3])::bigint AS area, max(approved_revision) AS revision
                   FROM credits GROUP BY task_id) c
          WHERE c.task_id = t.task_id"
            .to_owned(),
        format!("UPDATE journal_head SET revision = {reports} + 1"),
    ]
}
