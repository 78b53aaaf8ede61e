//! Operators with teams, tasks and sites, whose rows and journal a test writes itself: so it says exactly what each
//! revision of an operator's journal touches. And a tablet, which keeps what a feed sends.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use safelane::domain::ids::ScopeId;
use safelane::domain::kind::Kind;
use safelane::rpc::pb;
use safelane::rpc::pb::safety_stop::Target;
use safelane::rpc::pb::stream_team_feed_response::Message;
use safelane::rpc::pb::team_service_client::TeamServiceClient;
use safelane::store::change::{Appended, append};
use safelane::store::journal::{EventKind, NewEvent, lock_heads};
use sqlx::AssertSqlSafe;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use uuid::Uuid;

use super::sites::{authority, created, site};
use super::teams::organization;
use crate::desk::Desk;
use crate::harness::{World, fresh_id, in_world};

/// Longer than any message should take; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// More messages of progress in a row, one a second, than any wait for something else should see.
pub(super) const QUIET_MAX: usize = 20;

/// A record of an operator's journal.
pub(super) type Subject = (String, Kind);

/// The rows that a test writes.
pub(super) struct Rig<'w> {
    pub(super) world: &'w World,
    pub(super) desk: Desk,
    pub(super) authority: String,
    /// Operators, each with its teams.
    pub(super) operators: Vec<(String, Vec<String>)>,
    count: AtomicU32,
}

/// Runs a test with operators of so many teams each.
pub(super) async fn with_teams(teams: &[usize], test: impl AsyncFnOnce(&Rig<'_>)) {
    in_world(async |world| test(&Rig::new(world, teams).await).await).await;
}

impl<'w> Rig<'w> {
    async fn new(world: &'w World, teams: &[usize]) -> Self {
        let (desk, authority) = (Desk::open(world).await, authority(world).await);
        let mut rig = Self { world, desk, authority, operators: Vec::new(), count: AtomicU32::new(0) };
        for count in teams {
            let code = format!("OP-{}", rig.next());
            let operator = organization(world, pb::OrganizationKind::Operator, &code, "ZW").await;
            let mut ids = Vec::new();
            for _ in 0..*count {
                ids.push(rig.add_team(&operator).await);
            }
            rig.operators.push((operator, ids));
        }
        rig
    }

    /// A number that was not used before.
    fn next(&self) -> u32 {
        1 + self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// Records a team of an operator, which also wakes everyone who follows the operator.
    pub(super) async fn add_team(&self, operator: &str) -> String {
        let team = pb::Team {
            team_id: fresh_id(),
            organization_id: operator.to_owned(),
            code: format!("MT-{}", self.next()),
            name: "Manual team".to_owned(),
            r#type: pb::TeamType::Manual.into(),
            ..pb::Team::default()
        };
        let id = team.team_id.clone();
        let request = pb::CreateTeamRequest { team: Some(team) };
        self.world.teams().create_team(request).await.expect("it is recorded");
        id
    }

    /// Writes rows and one event of an operator's journal, in one transaction.
    pub(super) async fn write(&self, operator: &str, statements: Vec<String>, subjects: Vec<Subject>) -> i64 {
        let scope = operator.parse::<Uuid>().unwrap();
        let subjects: Vec<_> = subjects.into_iter().map(|(id, kind)| (id.parse().unwrap(), kind)).collect();
        let request = fresh_id().parse().unwrap();
        let done = self.world.store.transaction("test", move |conn| {
            let (statements, subjects) = (statements.clone(), subjects.clone());
            Box::pin(async move {
                let heads = lock_heads(&mut *conn, &[scope]).await?;
                let head = *heads.iter().find(|head| head.scope == ScopeId::new(scope)).unwrap();
                for statement in statements {
                    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *conn).await.unwrap();
                }
                let revision = head.revision + 1;
                let (kind, payload) = (EventKind::Changed, Bytes::new());
                let event = NewEvent { revision, kind, payload, request, digest: None };
                append(&mut *conn, &Appended { head, at: head.recorded_at, event, subjects }).await?;
                Ok(revision)
            })
        });
        done.await.expect("it is written")
    }

    /// A site of the authority.
    pub(super) async fn site(&self) -> String {
        let code = format!("ZW-{}", self.next());
        created(self.world, site(&self.authority, &code, 1_000)).await.site_id
    }

    /// Many sites of the authority, each with a boundary of 40,000 characters.
    pub(super) async fn wide_sites(&self, count: usize) -> Vec<String> {
        let mut conn = self.world.database.connect().await;
        let ids: Vec<String> = (0..count).map(|_| fresh_id()).collect();
        let (authority, from) = (&self.authority, self.next() * 1_000);
        for (id, number) in ids.iter().zip(from..) {
            let statement = format!(
                "INSERT INTO sites (authority_id, site_id, country_code, code, name, former_names, class, status, area_m2,
                    computed_area_m2, boundary_geojson, searched, south_e7, west_e7, north_e7, east_e7, time_zone,
                    information_on, evidence_on, evidence, conflict, created_at, revision)
                 VALUES ('{authority}', '{id}', 'ZW', 'W-{number}', 'A place', '{{}}', 'SHA', 'OPEN', 10, 10,
                    repeat('x', 40000), 'w', 0, 0, 1, 1, 'Africa/Harare', '1998-01-01', '1998-01-01', '', '', now(), 1);
                 INSERT INTO land_movements (authority_id, revision, ordinal, site_id, country_code, kind, area_m2,
                    effective_on, note)
                 VALUES ('{authority}', 1, {number}, '{id}', 'ZW', 'IDENTIFIED', 10, '1998-01-01', '')"
            );
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut conn).await.unwrap();
        }
        ids
    }

    /// A task of an operator on sites.
    pub(super) async fn task(&self, operator: &str, sites: &[String]) -> String {
        let id = fresh_id();
        let (desk, code) = (&self.desk, format!("T-{}", self.next()));
        let mut statements = vec![format!(
            "INSERT INTO tasks (program_id, task_id, allocation_id, code, title, activity, depth_cm, planned_area_m2,
                first_day, last_day, operator_id, authority_id, country_code, instructions, state, order_reference,
                created_at, revision, issued_revision)
             VALUES ('{}', '{id}', '{}', '{code}', 'Clear it', 'MANUAL_CLEARANCE', 20, 1000, '1998-01-01',
                '2099-12-31', '{operator}', '{}', 'ZW', '', 'ISSUED', 'TD-1', now(), 1, 1)",
            desk.program_id,
            desk.node("T1"),
            self.authority,
        )];
        for (ordinal, site) in sites.iter().enumerate() {
            statements.push(format!("INSERT INTO task_sites VALUES ('{id}', '{site}', {ordinal})"));
        }
        self.write(operator, statements, vec![(id.clone(), Kind::Task)]).await;
        id
    }

    /// What sends a team to a task for one day.
    pub(super) fn assigning(&self, operator: &str, team: &str, task: &str) -> (String, String) {
        let (id, program, day) = (fresh_id(), &self.desk.program_id, self.next());
        let statement = format!(
            "INSERT INTO assignments (organization_id, assignment_id, team_id, program_id, task_id, first_day, last_day,
                state, paramedic_id, ambulance_id, hospital, evacuation_minutes, created_at, revision)
             VALUES ('{operator}', '{id}', '{team}', '{program}', '{task}', DATE '2000-01-01' + {day},
                DATE '2000-01-01' + {day}, 'STANDING', '{operator}', '{operator}', 'Mutare', 40, now(), 1)"
        );
        (id, statement)
    }

    pub(super) async fn assign(&self, operator: &str, team: &str, task: &str) -> String {
        let (id, statement) = self.assigning(operator, team, task);
        self.write(operator, vec![statement], vec![(id.clone(), Kind::Assignment)]).await;
        id
    }

    /// Ends or cancels an assignment.
    pub(super) async fn end(&self, operator: &str, assignment: &str, state: &str) -> i64 {
        let statement =
            format!("UPDATE assignments SET state = '{state}' WHERE assignment_id = '{assignment}'");
        self.write(operator, vec![statement], vec![(assignment.to_owned(), Kind::Assignment)]).await
    }

    /// What gives a task other instructions.
    pub(super) fn instructing(task: &str, instructions: &str) -> String {
        format!(
            "UPDATE tasks SET instructions = '{instructions}', revision = revision + 1 WHERE task_id = '{task}'"
        )
    }

    pub(super) async fn instruct(&self, operator: &str, task: &str, instructions: &str) {
        let statement = Self::instructing(task, instructions);
        self.write(operator, vec![statement], vec![(task.to_owned(), Kind::Task)]).await;
    }

    /// Renames a site, in the journals of these operators.
    pub(super) async fn rename(&self, operators: &[&str], site: &str, name: &str) {
        for operator in operators {
            let statement = format!("UPDATE sites SET name = '{name}' WHERE site_id = '{site}'");
            self.write(operator, vec![statement], vec![(site.to_owned(), Kind::Site)]).await;
        }
    }

    /// What issues a safety stop on a TASK, SITE or OPERATOR.
    pub(super) fn stopping(&self, target: &str, target_id: &str) -> (String, String) {
        let id = fresh_id();
        let scope = match target {
            "TASK" => &self.desk.program_id,
            "SITE" => &self.authority,
            _ => target_id,
        };
        let statement = format!(
            "INSERT INTO safety_stops (safety_stop_id, scope_id, target, target_id, cause, reason, issued_by, issued_at,
                suspended_task_ids, told_scope_ids, revision)
             VALUES ('{id}', '{scope}', '{target}', '{target_id}', 'ACCIDENT', 'An accident', 'tester', now(),
                ARRAY['{}']::uuid[], '{{}}', 1) ON CONFLICT DO NOTHING",
            fresh_id(),
        );
        (id, statement)
    }

    pub(super) async fn stop(&self, operators: &[&str], target: &str, target_id: &str) -> String {
        let (id, statement) = self.stopping(target, target_id);
        for operator in operators {
            self.write(operator, vec![statement.clone()], vec![(id.clone(), Kind::SafetyStop)]).await;
        }
        id
    }

    /// What lifts a safety stop.
    pub(super) fn lifting(stop: &str) -> String {
        format!(
            "UPDATE safety_stops SET lifted_by = 'tester', lifted_at = now(), lift_reason = 'Safe again'
              WHERE safety_stop_id = '{stop}' AND lifted_at IS NULL"
        )
    }

    pub(super) async fn lift(&self, operators: &[&str], stop: &str) {
        for operator in operators {
            self.write(operator, vec![Self::lifting(stop)], vec![(stop.to_owned(), Kind::SafetyStop)]).await;
        }
    }
}

/// Opens a feed with progress every second.
pub(super) async fn open(
    client: TeamServiceClient<Channel>,
    team: &str,
    cursor: &str,
) -> Result<Streaming<pb::StreamTeamFeedResponse>, Status> {
    let request = pb::StreamTeamFeedRequest {
        team_id: team.to_owned(),
        cursor: cursor.to_owned(),
        progress_interval: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
    };
    let mut client = client;
    let opened = tokio::time::timeout(PATIENCE, client.stream_team_feed(request)).await;
    opened.expect("an answer in time").map(tonic::Response::into_inner)
}

/// The next message of a feed that goes on.
pub(super) async fn next(feed: &mut Streaming<pb::StreamTeamFeedResponse>) -> pb::StreamTeamFeedResponse {
    let message = tokio::time::timeout(PATIENCE, feed.message()).await.expect("a message in time");
    message.expect("the feed does not fail").expect("the feed goes on")
}

/// The next message that is not progress.
pub(super) async fn told(feed: &mut Streaming<pb::StreamTeamFeedResponse>) -> Message {
    for _ in 0..QUIET_MAX {
        match next(feed).await.message.expect("every message has a body") {
            Message::Progress(_) => {}
            message => return message,
        }
    }
    panic!("nothing but progress");
}

/// Kind and id of what a message is about.
pub(super) fn about(message: &Message) -> (&'static str, String) {
    match message {
        Message::Begin(_) => ("begin", String::new()),
        Message::SafetyStop(stop) if stop.lifted_at.is_some() => ("lifted", stop.safety_stop_id.clone()),
        Message::SafetyStop(stop) => ("stop", stop.safety_stop_id.clone()),
        Message::Assignment(of) => ("assignment", of.assignment_id.clone()),
        Message::Task(of) => ("task", of.task_id.clone()),
        Message::Site(of) => ("site", of.site.as_ref().expect("a site").site_id.clone()),
        Message::Removed(of) => ("removed", of.id.clone()),
        Message::SnapshotEnd(_) => ("end", String::new()),
        Message::Progress(_) => ("progress", String::new()),
        Message::ReturnedReport(of) => ("returned", of.report.as_ref().expect("a report").report_id.clone()),
        Message::Reconnect(_) => ("reconnect", String::new()),
    }
}

/// So many messages that are not progress.
pub(super) async fn several(
    feed: &mut Streaming<pb::StreamTeamFeedResponse>,
    count: usize,
) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(about(&told(feed).await));
    }
    all
}

/// What a tablet holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Held {
    pub(super) stops: BTreeMap<String, pb::SafetyStop>,
    pub(super) assignments: BTreeMap<String, pb::Assignment>,
    pub(super) tasks: BTreeMap<String, pb::Task>,
    pub(super) sites: BTreeMap<String, pb::FeedSite>,
}

/// A tablet: it stores what it holds and the cursor together.
#[derive(Debug, Clone, Default)]
pub(super) struct Tablet {
    pub(super) held: Held,
    pub(super) cursor: String,
    /// Messages of progress since something else came.
    pub(super) quiet: usize,
    snapshot: Option<Held>,
}

impl Tablet {
    /// Takes over a message.
    pub(super) fn take(&mut self, sent: pb::StreamTeamFeedResponse) {
        self.cursor = sent.cursor;
        match sent.message.expect("every message has a body") {
            Message::Begin(begin) => self.snapshot = (!begin.resumed).then(Held::default),
            Message::SnapshotEnd(_) => self.held = self.snapshot.take().expect("a snapshot was begun"),
            message => self.snapshot.as_mut().unwrap_or(&mut self.held).take(message),
        }
    }
}

impl Held {
    fn take(&mut self, message: Message) {
        match message {
            Message::SafetyStop(stop) if stop.lifted_at.is_some() => {
                self.stops.remove(&stop.safety_stop_id);
            }
            Message::SafetyStop(stop) => {
                self.stops.insert(stop.safety_stop_id.clone(), stop);
            }
            Message::Assignment(of) => {
                self.assignments.insert(of.assignment_id.clone(), of);
            }
            Message::Task(of) => {
                self.tasks.insert(of.task_id.clone(), of);
            }
            Message::Site(of) => {
                self.sites.insert(of.site.as_ref().expect("a site").site_id.clone(), of);
            }
            Message::Removed(of) => {
                self.assignments.remove(&of.id);
                self.tasks.remove(&of.id);
                self.sites.remove(&of.id);
                self.stops.retain(|_, stop| !is_on(stop, &of.id));
            }
            _ => {}
        }
    }
}

fn is_on(stop: &pb::SafetyStop, id: &str) -> bool {
    match stop.target.as_ref().expect("a target") {
        Target::Task(of) => of.task_id == id,
        Target::SiteId(of) => of == id,
        Target::OperatorId(_) => false,
    }
}
