//! Changes that wait for each other: who waits looks again at what the change concerns.

use safelane::rpc::pb;
use sqlx::{AssertSqlSafe, PgConnection};

use super::members::{added, assign, member};
use super::tasks::Works;
use super::teams::{organization, recorded_team};
use crate::harness::{World, fresh_id, in_world};

/// How often to look whether somebody waits.
const LOOKS_MAX: usize = 100_000;

/// Takes the lock on the journal of a scope and keeps it until the transaction ends.
async fn hold(conn: &mut PgConnection, scope: &str) {
    run(conn, "BEGIN".to_owned()).await;
    run(conn, format!("SELECT 1 FROM journal_head WHERE scope_id = '{scope}' FOR UPDATE")).await;
}

async fn run(conn: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await.expect("it is done");
}

/// Waits until somebody waits for a lock.
async fn until_waiting(world: &World) {
    let mut conn = world.database.connect().await;
    for _ in 0..LOOKS_MAX {
        let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock')";
        if sqlx::query_scalar(sql).fetch_one(&mut conn).await.expect("an answer") {
            return;
        }
    }
    panic!("nobody waits for a lock");
}

async fn told(world: &World, scope: &str, subject: &str) -> i64 {
    let mut conn = world.database.connect().await;
    let sql = format!(
        "SELECT count(*) FROM change_subjects WHERE scope_id = '{scope}' AND subject_id = '{subject}'"
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut conn).await.expect("a number")
}

#[tokio::test]
async fn an_operator_hears_of_a_site_whose_task_is_issued_while_somebody_waits_to_change_it() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let planned = works.plan(&works.create(works.task("T-1")).await.unwrap()).await.unwrap();
        let mut conn = world.database.connect().await;
        hold(&mut conn, &works.authority_id).await;
        let request = pb::SuspendSiteRequest {
            request_id: fresh_id(),
            site_id: works.site_ids[0].clone(),
            cause: pb::SuspensionCause::Season.into(),
            reason: "Floods".to_owned(),
            expected_revision: 0,
        };
        let mut sites = world.sites();
        let site = pb::GetSiteRequest { site_id: works.site_ids[0].clone(), min_revision: 0 };
        let site = sites.get_site(site).await.unwrap().into_inner().site.unwrap();
        let request = pb::SuspendSiteRequest { expected_revision: site.revision, ..request };
        let waiting = tokio::spawn(async move { sites.suspend_site(request).await });
        until_waiting(world).await;
        let task = &planned.task_id;
        let issued = format!(
            "UPDATE tasks SET state = 'ISSUED', order_reference = 'D-1', issued_revision = revision
              WHERE task_id = '{task}'; COMMIT"
        );
        run(&mut conn, issued).await;
        waiting.await.unwrap().expect("it is suspended");
        assert_eq!(told(world, &works.desk.operator_id, &site.site_id).await, 1);
    })
    .await;
}

#[tokio::test]
async fn an_order_waits_for_a_change_of_its_sites() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let planned = works.plan(&works.create(works.task("T-1")).await.unwrap()).await.unwrap();
        let mut conn = world.database.connect().await;
        hold(&mut conn, &works.authority_id).await;
        let issue = works.issue(&planned);
        let looked = async {
            until_waiting(world).await;
            run(&mut conn, "COMMIT".to_owned()).await;
        };
        let (issued, ()) = tokio::join!(issue, looked);
        issued.expect("it is issued");
    })
    .await;
}

#[tokio::test]
async fn a_licence_waits_for_whoever_may_be_sending_a_team() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let task = works.walked("T-1", &["Plan", "Issue"]).await;
        let other = organization(world, pb::OrganizationKind::Operator, "OP-2", "ZW").await;
        let mut conn = world.database.connect().await;
        hold(&mut conn, &works.desk.operator_id).await;
        let licence = pb::TaskLicence {
            licence_id: fresh_id(),
            organization_id: other,
            authority_id: works.authority_id.clone(),
            task_id: task.task_id,
            certificate: "L-1".to_owned(),
            first_day: super::members::day("1998-01-01"),
            ..pb::TaskLicence::default()
        };
        let mut teams = world.teams();
        let grant = teams.grant_task_licence(pb::GrantTaskLicenceRequest { licence: Some(licence) });
        let looked = async {
            until_waiting(world).await;
            run(&mut conn, "COMMIT".to_owned()).await;
        };
        let (granted, ()) = tokio::join!(grant, looked);
        granted.expect("it is given");
    })
    .await;
}

#[tokio::test]
async fn two_records_of_one_change_may_share_an_id() {
    in_world(async |world| {
        let operator = organization(world, pb::OrganizationKind::Operator, "OP-1", "ZW").await;
        let team = recorded_team(world, &operator, "MT-01").await;
        let assignment = assign(world, &operator, &team, "1998-06-20", "1998-06-30").await;
        added(world, pb::Member { member_id: assignment.clone(), ..member(&team, &fresh_id()) }).await;
        assert_eq!(told(world, &operator, &assignment).await, 2, "the membership and the assignment");
    })
    .await;
}
