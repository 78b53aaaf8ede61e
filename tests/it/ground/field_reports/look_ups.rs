//! What intake looks up reaches its rows by key, however much else there is and whatever the statistics say.

use jiff::civil::date;
use safelane::domain::ids::{OrganizationId, TaskId, TeamId};
use safelane::store::field_report::compared::list_claims;
use safelane::store::field_report::strength::{list_days_spent, list_member_days};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::rig::Tablet;
use crate::harness::in_world;

/// How many rows there are beside those that are asked for.
const OTHERS: i64 = 5_000;

fn id(text: &str) -> Uuid {
    text.parse().expect("an id")
}

/// Rows of a table that this transaction has read.
async fn rows_read(conn: &mut PgConnection, table: &str) -> i64 {
    let sql = "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
                WHERE relname = $1";
    sqlx::query_scalar(sql).bind(table).fetch_one(conn).await.expect("counted")
}

/// Finds of the task, claims of another team, and assignments and members of others. No foreign key is in the way.
fn others(tablet: &Tablet) -> String {
    let (operator, team, task) = (&tablet.works.desk.operator_id, &tablet.team, &tablet.task.task_id);
    format!(
        "SET LOCAL session_replication_role = replica;
         INSERT INTO reports (organization_id, report_id, first_revision, device_id, team_id, task_id, kind, work_date,
                newest_version, state, hold_reasons, revision)
         SELECT '{operator}', gen_random_uuid(), n, gen_random_uuid(), '{team}', '{task}',
                CASE n % 1000 WHEN 0 THEN 'EXPENSE_CLAIM' ELSE 'ORDNANCE' END, '1998-06-15', 1, 'RECEIVED', '{{}}', n
           FROM generate_series(1, {OTHERS}) n;
         INSERT INTO assignments SELECT (jsonb_populate_record(a, jsonb_build_object('assignment_id', gen_random_uuid(),
                'team_id', gen_random_uuid(), 'task_id', gen_random_uuid()))).*
           FROM assignments a, generate_series(1, {OTHERS});
         INSERT INTO assignment_people SELECT assignment_id, gen_random_uuid(), first_day, last_day, 'DEMINER'
           FROM assignments;
         INSERT INTO members (organization_id, member_id, team_id, person_id, role, first_day, created_at, revision)
         SELECT '{operator}', gen_random_uuid(), team_id, gen_random_uuid(), 'DEMINER', '1998-01-01', now(), 1
           FROM assignments"
    )
}

#[tokio::test]
async fn claims_members_and_days_are_read_by_key_with_old_and_with_new_statistics() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let (team, task) = (TeamId::new(id(&tablet.team)), TaskId::new(id(&tablet.task.task_id)));
        let operator = OrganizationId::new(id(&tablet.works.desk.operator_id));
        let mut conn = world.database.connect().await;
        for statistics in ["SELECT 1", "ANALYZE reports, assignments, assignment_people, members"] {
            let begin = format!("BEGIN; {}; {statistics}", others(&tablet));
            sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut conn).await.expect("it is written");
            let names = ["reports", "assignments", "assignment_people", "members"];
            let mut before = Vec::new();
            for table in names {
                before.push(rows_read(&mut conn, table).await);
            }
            list_claims(&mut conn, operator, &[team], &[task]).await.expect("claims");
            let spent = list_days_spent(&mut conn, &[(task, date(1998, 6, 15))]).await.expect("days");
            assert_eq!(spent[0].2.people, 15);
            assert_eq!(list_member_days(&mut conn, &[team]).await.expect("members").len(), 1);
            for (table, before) in names.into_iter().zip(before) {
                let read = rows_read(&mut conn, table).await - before;
                assert!((1..=10).contains(&read), "{read} rows of {table} after {statistics}");
            }
            sqlx::raw_sql("ROLLBACK").execute(&mut conn).await.expect("nothing is left");
        }
    })
    .await;
}
