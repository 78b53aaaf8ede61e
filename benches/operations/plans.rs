//! How PostgreSQL answers the questions of a check on these tables. Written beside the drafts: plans are for whoever
//! changes a query, not for the results.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, Connection as _};

use crate::cluster::Cluster;
use crate::ids::{Of, id};
use crate::options::Sizes;
use crate::{DATABASE, Failure};

/// Where the queries are that are explained: those of the check.
const SOURCES: [&str; 2] = [
    include_str!("../../src/store/assignment/facts.rs"),
    include_str!("../../src/store/assignment/people.rs"),
];
/// How the service asks them.
const LOOK_UP: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off";
/// Names and parameters of the queries, for one team and for a page of fifty.
const QUESTIONS: [(&str, &str); 8] = [
    ("assignment.find_work", "'{task}', '{operator}'"),
    ("assignment.list_gear", "'{operator}', '{assets}', current_date, current_date + 10, NULL"),
    ("assignment.list_covered", "'{ambulance}', current_date, current_date + 10, NULL"),
    (
        "assignment.find_paramedic",
        "'{operator}', '{paramedic}', current_date, current_date + 10, '{task}', NULL",
    ),
    (
        "assignment.list_elsewhere",
        "'{paramedic}', current_date, current_date + 10, '{task}', NULL, '{ambulance}'",
    ),
    ("assignment.list_of_teams", "'{team}', current_date, current_date + 10, NULL"),
    (
        "assignment.list_members",
        "'{team}', current_date, current_date + 10, NULL, '{task}', '{TEAM_LEADER,DEMINER}'",
    ),
    (
        "assignment.list_members",
        "'{teams}', current_date, current_date + 10, NULL, '{task}', '{TEAM_LEADER,DEMINER}'",
    ),
];

pub(crate) async fn explain(cluster: &Cluster, sizes: Sizes) -> Result<String, Failure> {
    let mut connection = cluster.connect(DATABASE).await?;
    let team = sizes.teams() / 2;
    let list = |ids: Vec<String>| format!("{{{}}}", ids.join(","));
    let values = [
        ("task", id(Of::Task, team)),
        ("operator", id(Of::Operator, team / sizes.teams)),
        ("assets", list(vec![id(Of::Detector, team * 5), id(Of::Ambulance, team)])),
        ("ambulance", id(Of::Ambulance, team)),
        ("paramedic", id(Of::Person, team * 10 + 9)),
        ("team", list(vec![id(Of::Team, team)])),
        ("teams", list((0..50.min(sizes.teams)).map(|number| id(Of::Team, number)).collect())),
    ];
    let mut told = String::new();
    for (name, parameters) in QUESTIONS {
        let mut parameters = parameters.to_owned();
        for (key, value) in &values {
            parameters = parameters.replace(&format!("{{{key}}}"), value);
        }
        let statement = statement(name)?;
        let prepared = format!("PREPARE question AS {statement}");
        sqlx::raw_sql(AssertSqlSafe(prepared)).execute(&mut connection).await?;
        let again = format!("EXECUTE question({parameters})");
        for statement in [LOOK_UP, &again, &again, &again] {
            sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await?;
        }
        let explained = format!("EXPLAIN (ANALYZE, BUFFERS) EXECUTE question({parameters})");
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(explained)).fetch_all(&mut connection).await?;
        writeln!(told, "== {name}\n{}\n", rows.join("\n"))?;
        sqlx::raw_sql("DEALLOCATE question").execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(told)
}

/// The text of a query in the source.
fn statement(name: &str) -> Result<&'static str, Failure> {
    let start = format!("\"-- {name}\n");
    let found = SOURCES.iter().find_map(|source| source.split_once(&start));
    let (_, rest) = found.ok_or_else(|| format!("{name} is in none of the sources"))?;
    Ok(rest.split_once("\",\n").ok_or("a query without an end")?.0)
}
