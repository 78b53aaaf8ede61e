//! Loads the ground: operators with teams and years of assignments, and a country full of sites.
//!
//! Straight to the tables, with foreign keys asleep and the indexes of the two big tables made afterwards: over gRPC it
//! would take a day.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::cluster::Cluster;
use crate::ids::FUNCTION;
use crate::options::Sizes;
use crate::{DATABASE, Failure, progress};

/// The tables that are filled without their indexes.
const BIG: [&str; 2] = ["assignments", "assignment_people"];

/// What loading came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loaded {
    pub(crate) took: Duration,
    pub(crate) bytes: u64,
}

pub(crate) async fn load(cluster: &Cluster, sizes: Sizes) -> Result<Loaded, Failure> {
    let start = Instant::now();
    let mut connection = cluster.connect(DATABASE).await?;
    run(&mut connection, "SET session_replication_role = replica").await?;
    run(&mut connection, "SET maintenance_work_mem = '1GB'").await?;
    run(&mut connection, FUNCTION).await?;
    for statement in parties(sizes).iter().chain(&crews(sizes)).chain(&work(sizes)) {
        run(&mut connection, statement).await?;
    }
    progress(&format!("{:.0?}: parties, teams, sites and tasks are there", start.elapsed()));
    run(&mut connection, &indexes(false)).await?;
    for statement in &past(sizes) {
        run(&mut connection, statement).await?;
        progress(&format!("{:.0?}: rows of the past are there", start.elapsed()));
    }
    run(&mut connection, &indexes(true)).await?;
    for table in BIG {
        run(&mut connection, &format!("VACUUM FULL {table}")).await?;
        progress(&format!("{:.0?}: {table} has its indexes", start.elapsed()));
    }
    cluster.settle(DATABASE).await?;
    let bytes = Cluster::stored_bytes(&mut connection).await?;
    connection.close().await?;
    Ok(Loaded { took: start.elapsed(), bytes })
}

async fn run(connection: &mut PgConnection, statement: &str) -> Result<(), Failure> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await;
    done.map_err(|error| format!("{statement}: {error}"))?;
    Ok(())
}

/// Switches the indexes of the big tables off and on. To make them again by `VACUUM FULL` is the only way that does not
/// search the whole of an exclusion constraint for each of its rows once more, which takes a quarter of an hour.
fn indexes(ready: bool) -> String {
    let tables = BIG.map(|table| format!("'{table}'::REGCLASS")).join(", ");
    format!("UPDATE pg_index SET indisready = {ready}, indisvalid = {ready} WHERE indrelid IN ({tables})")
}

fn parties(sizes: Sizes) -> Vec<String> {
    let organization = |kind: u8, word: &str, country: &str, count: i64| {
        format!(
            "INSERT INTO organizations (organization_id, kind, code, name, country_code, created_at, revision)
             SELECT bench_id({kind}, n), '{word}', '{word}-' || n, '{word} ' || n, {country}, now(), 1
               FROM generate_series(0, {count} - 1) AS n"
        )
    };
    vec![
        organization(1, "OPERATOR", "NULL", sizes.operators),
        organization(2, "AUTHORITY", "'ZW'", 1),
        organization(3, "OFFICE", "NULL", 1),
        organization(4, "FUNDER", "NULL", 1),
        "INSERT INTO programs (program_id, code, title, funder_id, office_id, currency_code, created_at, revision)
         VALUES (bench_id(5, 0), 'HD', 'Humanitarian demining', bench_id(4, 0), bench_id(3, 0), 'USD', now(), 1)"
            .to_owned(),
        "INSERT INTO journal_head (scope_id, revision, recorded_at)
         SELECT organization_id, 0, now() FROM organizations UNION ALL SELECT program_id, 0, now() FROM programs"
            .to_owned(),
    ]
}

fn crews(sizes: Sizes) -> Vec<String> {
    let (each, teams, people) = (sizes.teams, sizes.teams(), sizes.people());
    let accredited = |first: i64, level: &str, kind: u8, count: i64, operator: &str| {
        format!(
            "INSERT INTO accreditations (organization_id, accreditation_id, level, subject_id, authority_id, activity,
                    certificate, first_day, last_day, state, granted_at, created_at, revision)
             SELECT bench_id(1, {operator}), bench_id(13, {first} + n), '{level}', bench_id({kind}, n), bench_id(2, 0),
                    'MANUAL_CLEARANCE', 'A-' || n, '2015-01-01', NULL, 'ACCREDITED', now(), now(), 1
               FROM generate_series(0, {count} - 1) AS n"
        )
    };
    vec![
        format!(
            "INSERT INTO teams (organization_id, team_id, code, name, type, state, note, created_at, revision)
             SELECT bench_id(1, n / {each}), bench_id(6, n), 'MT-' || lpad((n % {each})::TEXT, 4, '0'), 'Team ' || n,
                    'MANUAL', 'ACTIVE', '', now(), 1
               FROM generate_series(0, {teams} - 1) AS n"
        ),
        format!(
            "INSERT INTO people (organization_id, person_id)
             SELECT bench_id(1, n / 10 / {each}), bench_id(7, n)
               FROM generate_series(0, {people} - 1) AS n"
        ),
        format!(
            "INSERT INTO person_names (organization_id, person_id, digest, name, salt)
             SELECT bench_id(1, n / 10 / {each}), bench_id(7, n), sha256('a name'), 'Person ' || n, sha256('a salt')
               FROM generate_series(0, {people} - 1) AS n"
        ),
        format!(
            "INSERT INTO members (organization_id, member_id, team_id, person_id, role, first_day, last_day, created_at,
                    revision)
             SELECT bench_id(1, n / 10 / {each}), bench_id(14, n), bench_id(6, n / 10), bench_id(7, n),
                    CASE n % 10 WHEN 0 THEN 'TEAM_LEADER' WHEN 8 THEN 'DRIVER' WHEN 9 THEN 'PARAMEDIC'
                         ELSE 'DEMINER' END,
                    '2015-01-01', NULL, now(), 1
               FROM generate_series(0, {people} - 1) AS n"
        ),
        accredited(0, "ORGANIZATION", 1, sizes.operators, "n"),
        accredited(1_000_000, "TEAM", 6, teams, &format!("n / {each}")),
        accredited(2_000_000, "PERSON", 7, people, &format!("n / 10 / {each}")),
        // One ambulance for each team, and five detectors.
        format!(
            "INSERT INTO assets (organization_id, asset_id, kind, code, description, valid_until, shared_tasks_max,
                    state, created_at, revision)
             SELECT bench_id(1, n / {each}), bench_id(8, n), 'AMBULANCE', 'AMB-' || n, 'Ambulance', NULL, 4, 'IN_USE',
                    now(), 1
               FROM generate_series(0, {teams} - 1) AS n
              UNION ALL
             SELECT bench_id(1, n / 5 / {each}), bench_id(9, n), 'DETECTOR', 'DET-' || n, 'Detector',
                    current_date + 3650, 0, 'IN_USE', now(), 1
               FROM generate_series(0, {teams} * 5 - 1) AS n"
        ),
    ]
}

/// One task for each team, each on a site of its own among all sites: a grid of 0.02 degrees.
fn work(sizes: Sizes) -> Vec<String> {
    let (each, teams, columns, count) = (sizes.teams, sizes.teams(), sizes.grid.0, sizes.sites());
    vec![
        format!(
            "INSERT INTO sites (authority_id, site_id, country_code, code, name, former_names, class, status, area_m2,
                    searched, latitude_e7, longitude_e7, accuracy_m, south_e7, west_e7, north_e7, east_e7, time_zone,
                    information_on, evidence_on, evidence, conflict, created_at, revision)
             SELECT bench_id(2, 0), bench_id(11, n), 'ZW', 'ZW-' || lpad(n::TEXT, 6, '0'), 'Site ' || n, '{{}}', 'CHA',
                    'OPEN', 10000, 'zw-' || lpad(n::TEXT, 6, '0') || E'\\nsite ' || n, p.south, p.west, 20, p.south,
                    p.west, p.south, p.west, 'Africa/Harare', '2020-01-01', '2020-01-01', 'Records', '', now(), 1
               FROM generate_series(0, {count} - 1) AS n,
                    LATERAL (SELECT (-220000000 + n / {columns} * 200000)::INTEGER AS south,
                                    (250000000 + n % {columns} * 200000)::INTEGER AS west) AS p"
        ),
        format!(
            "INSERT INTO tasks (program_id, task_id, allocation_id, code, title, activity, depth_cm, planned_area_m2,
                    team_type, first_day, last_day, operator_id, authority_id, country_code, instructions, state,
                    order_reference, created_at, revision)
             SELECT bench_id(5, 0), bench_id(10, n), bench_id(5, 1), 'T-' || n, 'Task ' || n, 'MANUAL_CLEARANCE', 20,
                    10000, 'MANUAL', '2015-01-01', current_date + 3650, bench_id(1, n / {each}), bench_id(2, 0), 'ZW',
                    '', 'PLANNED', '', now(), 1
               FROM generate_series(0, {teams} - 1) AS n"
        ),
        "UPDATE tasks SET state = 'ACTIVE'".to_owned(),
        format!(
            "INSERT INTO task_sites (task_id, site_id, ordinal)
             SELECT bench_id(10, n), bench_id(11, n % {count}), 1 FROM generate_series(0, {teams} - 1) AS n"
        ),
    ]
}

/// Five days of every week until ten days ago, for years; and for every second team something in two months.
fn past(sizes: Sizes) -> Vec<String> {
    let (each, teams, count) = (sizes.teams, sizes.teams(), sizes.past_assignments());
    let row = |number: &str, first: &str, length: i64, state: &str| {
        format!(
            "SELECT bench_id(1, t / {each}), bench_id(12, {number}), bench_id(6, t), bench_id(5, 0), bench_id(10, t),
                    {first}, {first} + {length}, '{state}', bench_id(7, t * 10 + 9), bench_id(8, t), 'Mutare', 55,
                    {first} - 1, now(), 1"
        )
    };
    let behind = row("n", "current_date - 10 - (n / TEAMS * 7)::INTEGER", 4, "ENDED");
    let behind = behind.replace("TEAMS", &teams.to_string());
    let ahead = row(&format!("{count} + t"), "current_date + 60", 10, "STANDING");
    vec![
        format!(
            "INSERT INTO assignments (organization_id, assignment_id, team_id, program_id, task_id, first_day, last_day,
                    state, paramedic_id, ambulance_id, hospital, evacuation_minutes, drill_on, created_at, revision)
             {behind} FROM generate_series(0, {count} - 1) AS n, LATERAL (SELECT n % {teams} AS t) AS t
              UNION ALL
             {ahead} FROM generate_series(0, {teams} - 1, 2) AS t"
        ),
        format!(
            "INSERT INTO assignment_people (assignment_id, person_id, first_day, last_day, role)
             SELECT a.assignment_id, m.person_id, a.first_day, a.last_day, m.role
               FROM assignments a JOIN members m ON m.team_id = a.team_id
              WHERE a.state = 'STANDING' OR ('x' || right(m.person_id::TEXT, 12))::BIT(48)::BIGINT % 10 < {}",
            sizes.people_each
        ),
    ]
}
