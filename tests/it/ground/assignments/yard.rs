//! An operator that is ready for work: a task with a site, a team with everything that an assignment needs, and short
//! ways to take some of it away. Rows that no test here is about are written straight to the tables.

use safelane::rpc::pb;
use safelane::rpc::pb::team_service_client::TeamServiceClient;
use sqlx::{AssertSqlSafe, PgConnection};
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use crate::desk::{Desk, reason};
use crate::ground::sites::{authority, created, site};
use crate::harness::{World, fresh_id};

/// A day of the year in which tests begin, as `month-day`, or any day as `year-month-day`.
pub(super) fn day(text: &str) -> pb::Date {
    let parts: Vec<i32> = text.split('-').map(|part| part.parse().expect("a number")).collect();
    match parts[..] {
        [month, day] => pb::Date { year: 1998, month, day },
        [year, month, day] => pb::Date { year, month, day },
        _ => panic!("{text} is not a day"),
    }
}

pub(super) struct Yard {
    pub(super) desk: Desk,
    pub(super) teams: TeamServiceClient<Channel>,
    pub(super) sql: PgConnection,
    pub(super) operator: String,
    pub(super) authority: String,
    pub(super) site: String,
    pub(super) task: String,
    /// The team, its leader, and what it needs.
    pub(super) team: String,
    pub(super) leader: String,
    pub(super) paramedic: String,
    pub(super) ambulance: String,
    pub(super) detector: String,
}

impl Yard {
    /// Task `T-1` on site `ZW-1` in Zimbabwe from 1 June 1998 for a year; team `MT-1` with a leader and a driver, all
    /// accredited for manual clearance since 14 June 1998 without end; a paramedic in team `MED`.
    pub(super) async fn open(world: &World) -> Self {
        let desk = Desk::open(world).await;
        let authority = authority(world).await;
        let site = created(world, site(&authority, "ZW-1", 806_000)).await.site_id;
        let mut yard = Self {
            operator: desk.operator_id.clone(),
            teams: world.teams(),
            sql: world.database.connect().await,
            authority,
            site,
            task: String::new(),
            team: String::new(),
            leader: String::new(),
            paramedic: String::new(),
            ambulance: String::new(),
            detector: String::new(),
            desk,
        };
        yard.task = yard.new_task("T-1").await;
        yard.team = yard.new_team("MT-1", "MANUAL").await;
        let team = yard.team.clone();
        yard.leader = yard.new_member(&team, "Rudo", "TEAM_LEADER").await;
        yard.new_member(&team, "Tendai", "DRIVER").await;
        let (leader, operator) = (yard.leader.clone(), yard.operator.clone());
        for (level, subject) in [("ORGANIZATION", &operator), ("TEAM", &team), ("PERSON", &leader)] {
            yard.accredit(level, subject, "1998-06-14", None).await;
        }
        let medics = yard.new_team("MED", "MEDICAL").await;
        yard.paramedic = yard.new_member(&medics, "Chipo", "PARAMEDIC").await;
        yard.ambulance = yard.new_asset("AMBULANCE", "AMB-1", None, 2).await;
        yard.detector = yard.new_asset("DETECTOR", "DET-1", Some("1998-12-31"), 0).await;
        yard
    }

    pub(super) async fn run(&mut self, sql: String) {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut self.sql).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub(super) async fn count(&mut self, from: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {from}");
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.sql).await.expect("a number")
    }

    pub(super) async fn new_task(&mut self, code: &str) -> String {
        let (id, site, operator) = (fresh_id(), self.site.clone(), self.operator.clone());
        let authority = self.authority.clone();
        let (program, allocation) = (self.desk.program_id.clone(), self.desk.node("T1"));
        self.run(format!(
            "INSERT INTO tasks (program_id, task_id, allocation_id, code, title, activity, depth_cm, planned_area_m2,
                    team_type, first_day, last_day, operator_id, authority_id, country_code, instructions, state,
                    order_reference, issued_revision, created_at, revision)
             VALUES ('{program}', '{id}', '{allocation}', '{code}', 'Clear it', 'MANUAL_CLEARANCE', 20, 1000,
                    'MANUAL', '1998-06-01', '1999-05-31', '{operator}', '{authority}', 'ZW', '', 'ISSUED',
                    'D-1', 1, now(), 1);
             INSERT INTO task_sites VALUES ('{id}', '{site}', 1)"
        ))
        .await;
        id
    }

    pub(super) async fn new_team(&mut self, code: &str, kind: &str) -> String {
        let (id, operator) = (fresh_id(), self.operator.clone());
        self.run(format!(
            "INSERT INTO teams VALUES ('{operator}', '{id}', '{code}', '{code}', '{kind}', 'ACTIVE', '', now(), 1)"
        ))
        .await;
        id
    }

    /// A new person in a team from January 1998 without end.
    pub(super) async fn new_member(&mut self, team: &str, name: &str, role: &str) -> String {
        let (id, operator) = (fresh_id(), self.operator.clone());
        self.run(format!(
            "INSERT INTO people VALUES ('{operator}', '{id}');
             INSERT INTO person_names (organization_id, person_id, digest, name, salt)
             VALUES ('{operator}', '{id}', sha256('{name}'), '{name}', sha256('{id}'))"
        ))
        .await;
        self.join(team, &id, role, "1998-01-01", None).await;
        id
    }

    pub(super) async fn join(
        &mut self,
        team: &str,
        person: &str,
        role: &str,
        first: &str,
        last: Option<&str>,
    ) {
        let (id, operator, last) = (fresh_id(), self.operator.clone(), quoted(last));
        self.run(format!(
            "INSERT INTO members VALUES
                ('{operator}', '{id}', '{team}', '{person}', '{role}', '{first}', {last}, now(), 1)"
        ))
        .await;
    }

    /// Accredits for manual clearance; answers the id.
    pub(super) async fn accredit(
        &mut self,
        level: &str,
        subject: &str,
        first: &str,
        last: Option<&str>,
    ) -> String {
        let (id, operator, authority) = (fresh_id(), self.operator.clone(), self.authority.clone());
        let last = quoted(last);
        self.run(format!(
            "INSERT INTO accreditations (organization_id, accreditation_id, level, subject_id, authority_id, activity,
                    certificate, first_day, last_day, state, granted_at, created_at, revision)
             VALUES ('{operator}', '{id}', '{level}', '{subject}', '{authority}', 'MANUAL_CLEARANCE', '', '{first}',
                    {last}, 'ACCREDITED', now(), now(), 1)"
        ))
        .await;
        id
    }

    pub(super) async fn new_asset(
        &mut self,
        kind: &str,
        code: &str,
        valid_until: Option<&str>,
        shared: i32,
    ) -> String {
        let (id, operator, until) = (fresh_id(), self.operator.clone(), quoted(valid_until));
        self.run(format!(
            "INSERT INTO assets VALUES
                ('{operator}', '{id}', '{kind}', '{code}', '{code}', {until}, {shared}, 'IN_USE', now(), 1)"
        ))
        .await;
        id
    }

    /// The team to the task with its detector and full medical cover, on days of 1998. Nothing stands in the way.
    pub(super) fn assignment(&self, first: &str, last: &str) -> pb::Assignment {
        pb::Assignment {
            assignment_id: fresh_id(),
            team_id: self.team.clone(),
            task_id: self.task.clone(),
            first_day: Some(day(first)),
            last_day: Some(day(last)),
            asset_ids: vec![self.detector.clone()],
            medical_cover: Some(pb::MedicalCover {
                paramedic_id: self.paramedic.clone(),
                ambulance_id: self.ambulance.clone(),
                hospital: "Mutare Provincial Hospital".to_owned(),
                evacuation_minutes: 55,
                drill_on: Some(day("06-12")),
            }),
            ..pb::Assignment::default()
        }
    }

    pub(super) async fn assign(
        &mut self,
        assignment: pb::Assignment,
    ) -> Result<pb::AssignTeamResponse, Status> {
        let request = pb::AssignTeamRequest { assignment: Some(assignment), ..Default::default() };
        Ok(self.teams.assign_team(request).await?.into_inner())
    }

    pub(super) async fn check(
        &mut self,
        assignment: pb::Assignment,
    ) -> Result<pb::CheckAssignmentResponse, Status> {
        let request = pb::CheckAssignmentRequest { assignment: Some(assignment), min_revision: 0 };
        Ok(self.teams.check_assignment(request).await?.into_inner())
    }

    /// What a check finds, which is also what an assignment is refused for, with nothing stored.
    pub(super) async fn findings(&mut self, assignment: pb::Assignment) -> Vec<pb::Finding> {
        let checked = self.check(assignment.clone()).await.expect("a check");
        if checked.findings.is_empty() {
            return checked.findings;
        }
        let before = self.count("journal").await;
        let refused = self.assign(assignment).await.expect_err("it is refused");
        let (name, facts) = reason(&refused);
        assert_eq!((name.as_str(), refused.code()), ("ASSIGNMENT_REFUSED", tonic::Code::FailedPrecondition));
        assert_eq!(facts["findings"], checked.findings.len().to_string());
        let details = refused.get_error_details();
        let told = &details.precondition_failure().expect("a PreconditionFailure").violations;
        let told: Vec<(&str, &str)> = told.iter().map(|of| (&*of.subject, &*of.description)).collect();
        let found: Vec<(&str, &str)> = checked.findings.iter().map(|of| (name_of(of), &*of.text)).collect();
        assert_eq!(told, found, "a refusal lists what a check finds");
        assert_eq!(self.count("journal").await, before, "a refusal stores nothing");
        checked.findings
    }
}

fn quoted(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), |text| format!("'{text}'"))
}

/// The reason of a finding without its prefix.
pub(super) fn name_of(finding: &pb::Finding) -> &'static str {
    finding.reason().as_str_name().trim_start_matches("FINDING_REASON_")
}

/// The reasons of findings, in order.
pub(super) fn names(findings: &[pb::Finding]) -> Vec<&'static str> {
    findings.iter().map(name_of).collect()
}
