//! Tasks: writing them, planning them, ordering them. Their steps, their history and who may do what are
//! in the files of `tasks/`.

mod changes_of_orders;
mod history;
mod rights;
mod steps;

use safelane::rpc::pb;
use safelane::rpc::pb::task_service_client::TaskServiceClient;
use sqlx::Connection as _;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::teams::recorded_team;
use super::{assets, members, sites};
use crate::bad_input::{day, names};
use crate::desk::{Desk, reason};
use crate::harness::{World, fresh_id, in_world};

/// A funded program, an authority with two sites, and an operator that is accredited for clearance by hand.
pub(super) struct Works {
    pub(super) desk: Desk,
    pub(super) authority_id: String,
    pub(super) site_ids: Vec<String>,
    pub(super) tasks: TaskServiceClient<Channel>,
    /// What the operator mobilises with.
    pub(super) cover: pb::MedicalCover,
}

impl Works {
    pub(super) async fn open(world: &World) -> Self {
        let desk = Desk::open(world).await;
        let authority_id = sites::authority(world).await;
        let mut site_ids = Vec::new();
        for code in ["ZW-0042", "ZW-0043"] {
            site_ids.push(sites::created(world, sites::site(&authority_id, code, 10_000)).await.site_id);
        }
        let cover = cover(world, &desk.operator_id).await;
        let works = Self { tasks: world.tasks(), desk, authority_id, site_ids, cover };
        works.accredit(world).await;
        works
    }

    /// Runs SQL that stands for what other services record.
    pub(super) async fn run(world: &World, statement: String) {
        let mut conn = world.database.connect().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut conn).await.expect("it is written");
        conn.close().await.expect("the connection closes");
    }

    async fn accredit(&self, world: &World) {
        let accreditation = pb::Accreditation {
            accreditation_id: fresh_id(),
            level: pb::AccreditationLevel::Organization.into(),
            subject_id: self.desk.operator_id.clone(),
            authority_id: self.authority_id.clone(),
            activity: pb::ActivityType::ManualClearance.into(),
            certificate: "C-1".to_owned(),
            first_day: Some(day(1998, 1, 1)),
            ..pb::Accreditation::default()
        };
        let grant = pb::grant_accreditation_request::Grant::Accreditation(accreditation);
        let request = pb::GrantAccreditationRequest { grant: Some(grant) };
        world.teams().grant_accreditation(request).await.expect("it is granted");
    }

    /// A task that lacks nothing.
    pub(super) fn task(&self, code: &str) -> pb::Task {
        pb::Task {
            task_id: fresh_id(),
            program_id: self.desk.program_id.clone(),
            allocation_id: self.desk.node("T1"),
            code: code.to_owned(),
            title: "Clear the path to the well".to_owned(),
            site_ids: self.site_ids.clone(),
            activity: pb::ActivityType::ManualClearance.into(),
            depth_cm: 13,
            planned_area_m2: 8_000,
            first_day: Some(day(1998, 6, 1)),
            last_day: Some(day(1998, 9, 30)),
            operator_id: self.desk.operator_id.clone(),
            instructions: "Mark the lanes daily.".to_owned(),
            ..pb::Task::default()
        }
    }

    pub(super) async fn create(&self, task: pb::Task) -> Result<pb::Task, Status> {
        let request = pb::CreateTaskRequest { task: Some(task) };
        Ok(self.tasks.clone().create_task(request).await?.into_inner().task.unwrap())
    }

    pub(super) async fn plan(&self, task: &pb::Task) -> Result<pb::Task, Status> {
        self.step(task, "Plan").await
    }

    pub(super) async fn issue(&self, task: &pb::Task) -> Result<pb::Task, Status> {
        self.step(task, "Issue").await
    }

    /// Takes a step, by the name of its method without `Task`.
    pub(super) async fn step(&self, task: &pb::Task, name: &str) -> Result<pb::Task, Status> {
        steps::take(self, self.tasks.clone(), task, name, &steps::Plain).await
    }

    /// A task that went from one step to the next.
    pub(super) async fn walked(&self, code: &str, path: &[&str]) -> pb::Task {
        let mut task = self.create(self.task(code)).await.expect("it is recorded");
        for name in path {
            task = self.step(&task, name).await.unwrap_or_else(|refused| panic!("{name}: {refused}"));
        }
        task
    }

    /// A task that is ready for work.
    pub(super) async fn mobilised(&self, code: &str) -> pb::Task {
        self.walked(code, &["Plan", "Issue", "Accept", "Mobilise"]).await
    }

    pub(super) async fn update(&self, task: &pb::Task, paths: &[&str]) -> Result<pb::Task, Status> {
        let request = update(task, paths);
        Ok(self.tasks.clone().update_task(request).await?.into_inner().task.unwrap())
    }

    pub(super) async fn get(&self, task_id: &str) -> pb::Task {
        let request = pb::GetTaskRequest { task_id: task_id.to_owned(), min_revision: 0 };
        self.tasks.clone().get_task(request).await.expect("it is there").into_inner().task.unwrap()
    }
}

/// A paramedic and an ambulance of an operator, and a drill that was held.
async fn cover(world: &World, operator: &str) -> pb::MedicalCover {
    let team = recorded_team(world, operator, "MED-1").await;
    let paramedic_id = fresh_id();
    let role = pb::MemberRole::Paramedic.into();
    members::added(world, pb::Member { role, ..members::member(&team, &paramedic_id) }).await;
    let ambulance = assets::registered(world, assets::ambulance(operator, "AMB-1", 3)).await;
    pb::MedicalCover {
        paramedic_id,
        ambulance_id: ambulance.asset_id,
        hospital: "Mutare Provincial Hospital".to_owned(),
        evacuation_minutes: 50,
        drill_on: Some(day(1998, 6, 10)),
    }
}

/// A request to change some fields.
pub(super) fn update(task: &pb::Task, paths: &[&str]) -> pb::UpdateTaskRequest {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    pb::UpdateTaskRequest {
        request_id: fresh_id(),
        expected_revision: task.revision,
        task: Some(task.clone()),
        update_mask: Some(prost_types::FieldMask { paths }),
    }
}

/// The reason of a refusal by a rule.
pub(super) fn rule(refused: Result<pb::Task, Status>) -> String {
    let refused = refused.expect_err("it is refused");
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    reason(&refused).0
}

#[tokio::test]
async fn a_task_is_written_planned_and_ordered_once() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let new = pb::CreateTaskRequest { task: Some(works.task("T-1")) };
        let first = works.tasks.clone().create_task(new.clone()).await.unwrap().into_inner();
        assert_eq!(works.tasks.clone().create_task(new).await.unwrap().into_inner(), first);
        let draft = first.task.unwrap();
        assert_eq!((draft.state(), draft.country_code.as_str()), (pb::TaskState::Draft, "ZW"));
        let planned = works.plan(&draft).await.unwrap();
        assert_eq!((planned.state(), planned.revision), (pb::TaskState::Planned, draft.revision + 1));
        let issued = works.issue(&planned).await.unwrap();
        assert_eq!((issued.state(), issued.order_reference.as_str()), (pb::TaskState::Issued, "D-1998-12"));
        assert_eq!(works.get(&issued.task_id).await, issued);
        let stale = works.issue(&planned).await.unwrap_err();
        assert_eq!((stale.code(), reason(&stale).0.as_str()), (Code::Aborted, "STALE_REVISION"));
    })
    .await;
}

#[tokio::test]
async fn an_empty_draft_is_told_all_that_it_lacks_at_once() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let empty = pb::Task {
            task_id: fresh_id(),
            program_id: works.desk.program_id.clone(),
            code: "T-1".to_owned(),
            title: "Clear".to_owned(),
            ..pb::Task::default()
        };
        let draft = works.create(empty).await.unwrap();
        let refused = works.plan(&draft).await.unwrap_err();
        assert_eq!(reason(&refused).0, "NOT_READY");
        for lacks in ["allocation_id", "site_ids", "activity", "operator_id", "first_day", "last_day"] {
            assert!(refused.message().contains(lacks), "{lacks}: {}", refused.message());
        }
        let mut flat = works.task("T-2");
        (flat.depth_cm, flat.planned_area_m2) = (0, 0);
        let flat = works.create(flat).await.unwrap();
        let refused = works.plan(&flat).await.unwrap_err();
        assert!(refused.message().contains("depth_cm") && refused.message().contains("planned_area_m2"));
        // A survey has neither.
        let mut survey = works.task("T-3");
        (survey.depth_cm, survey.planned_area_m2) = (0, 0);
        survey.activity = pb::ActivityType::Nts.into();
        let survey = works.create(survey).await.unwrap();
        let planned = works.plan(&survey).await.unwrap();
        // But the operator is accredited for clearance only.
        let refused = works.issue(&planned).await.unwrap_err();
        assert!(refused.message().contains("not accredited for NTS on 1998-06-01"), "{}", refused.message());
        assert_eq!(works.get(&planned.task_id).await, planned);
        // And what another authority gave does not count.
        let planned = works.plan(&works.create(works.task("T-4")).await.unwrap()).await.unwrap();
        let other = &works.desk.office_id;
        Works::run(world, format!("UPDATE accreditations SET authority_id = '{other}'")).await;
        let refused = works.issue(&planned).await.unwrap_err();
        assert!(refused.message().contains("not accredited for MANUAL_CLEARANCE"), "{}", refused.message());
    })
    .await;
}

#[tokio::test]
async fn a_task_is_paid_by_an_open_leaf_of_its_own_program() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let mut elsewhere = works.task("T-1");
        elsewhere.allocation_id = fresh_id();
        assert_eq!(works.create(elsewhere).await.unwrap_err().code(), Code::NotFound);
        let mut inner = works.task("T-2");
        inner.allocation_id = works.desk.node("A1");
        let inner = works.create(inner).await.unwrap();
        let refused = works.plan(&inner).await.unwrap_err();
        assert!(refused.message().contains("has 1 children"), "{}", refused.message());
        let planned = works.plan(&works.create(works.task("T-3")).await.unwrap()).await.unwrap();
        let draft = works.create(works.task("T-4")).await.unwrap();
        works.desk.move_period().await.unwrap();
        for refused in [works.plan(&draft).await, works.issue(&planned).await] {
            let refused = refused.unwrap_err();
            assert_eq!(reason(&refused).0, "NOT_READY");
            assert!(refused.message().contains("is EXPIRED"), "{}", refused.message());
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_named_must_be_there_and_fit() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let other = super::teams::organization(world, pb::OrganizationKind::Authority, "OTHER", "MZ").await;
        let abroad = sites::created(world, sites::site(&other, "MZ-1", 10)).await.site_id;
        let mut task = works.task("T-1");
        task.site_ids.push(abroad);
        assert_eq!(rule(works.create(task.clone()).await), "BELONGS_ELSEWHERE");
        task.site_ids = vec![fresh_id()];
        assert_eq!(works.create(task.clone()).await.unwrap_err().code(), Code::NotFound);
        task.site_ids.clear();
        task.operator_id = works.desk.office_id.clone();
        assert_eq!(rule(works.create(task.clone()).await), "WRONG_ORGANIZATION_KIND");
        task.operator_id = fresh_id();
        assert_eq!(works.create(task).await.unwrap_err().code(), Code::NotFound);
        let first = works.create(works.task("T-1")).await.unwrap();
        assert_eq!(rule(works.create(works.task("T-1")).await), "CODE_TAKEN");
        let second = works.create(works.task("T-2")).await.unwrap();
        let taken = pb::Task { code: "T-1".to_owned(), ..second };
        assert_eq!(rule(works.update(&taken, &["code"]).await), "CODE_TAKEN");
        // A site that was closed is no place to work.
        let site = &works.site_ids[0];
        let closed = format!("UPDATE sites SET status = 'CLOSED', area_m2 = 0 WHERE site_id = '{site}'");
        Works::run(world, closed).await;
        let refused = works.plan(&first).await.unwrap_err();
        assert!(refused.message().contains(&format!("site {site} is CLOSED")), "{}", refused.message());
        let area = format!("UPDATE sites SET status = 'OPEN', area_m2 = 10000 WHERE site_id = '{site}'");
        Works::run(world, area).await;
    })
    .await;
}

#[tokio::test]
async fn bad_fields_are_all_named() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let twice = works.site_ids[0].clone();
        let bad = pb::Task {
            task_id: "7".to_owned(),
            code: "t 1".to_owned(),
            title: " ".to_owned(),
            site_ids: vec![twice.clone(), "x".to_owned(), twice],
            activity: 99,
            team_type: -1,
            depth_cm: 2_001,
            planned_area_m2: -1,
            first_day: Some(day(1998, 2, 29)),
            instructions: "x".repeat(10_001),
            ..works.task("T-1")
        };
        let every = [
            "task.task_id",
            "task.code",
            "task.title",
            "task.site_ids[1]",
            "task.site_ids[2]",
            "task.activity",
            "task.depth_cm",
            "task.planned_area_m2",
            "task.team_type",
            "task.first_day",
            "task.instructions",
        ];
        let request = pb::CreateTaskRequest { task: Some(bad) };
        names(works.tasks.clone().create_task(request).await, &every);
        let crowd = pb::Task { site_ids: (0..101).map(|_| fresh_id()).collect(), ..works.task("T-1") };
        let request = pb::CreateTaskRequest { task: Some(crowd) };
        names(works.tasks.clone().create_task(request).await, &["task.site_ids"]);
        let backwards = pb::Task { last_day: Some(day(1998, 5, 31)), ..works.task("T-1") };
        let request = pb::CreateTaskRequest { task: Some(backwards) };
        names(works.tasks.clone().create_task(request).await, &["task.last_day"]);
        let draft = works.create(works.task("T-1")).await.unwrap();
        for paths in [&[][..], &["state"], &["title", "revision"]] {
            names(works.tasks.clone().update_task(update(&draft, paths)).await, &["update_mask"]);
        }
        assert_eq!(works.get(&draft.task_id).await, draft);
    })
    .await;
}

#[tokio::test]
async fn a_plan_changes_freely_until_it_is_an_order_and_hardly_after() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let draft = works.create(works.task("T-1")).await.unwrap();
        let new = pb::Task {
            code: "T-9".to_owned(),
            title: "Clear the field".to_owned(),
            site_ids: works.site_ids[1..].to_vec(),
            depth_cm: 20,
            team_type: pb::TeamType::Manual.into(),
            last_day: Some(day(1998, 8, 31)),
            instructions: String::new(),
            ..draft.clone()
        };
        let mask = ["code", "title", "site_ids", "depth_cm", "team_type", "last_day", "instructions"];
        let changed = works.update(&new, &mask).await.unwrap();
        assert_eq!(changed, pb::Task { revision: draft.revision + 1, ..new });
        let planned = works.plan(&changed).await.unwrap();
        // It stays complete.
        let without = pb::Task { allocation_id: String::new(), ..planned.clone() };
        assert_eq!(rule(works.update(&without, &["allocation_id"]).await), "NOT_READY");
        let issued = works.issue(&planned).await.unwrap();
        for path in ["allocation_id", "code", "site_ids", "activity", "team_type", "first_day", "operator_id"]
        {
            assert_eq!(rule(works.update(&issued, &[path]).await), "WRONG_STATE", "{path}");
        }
        let longer = pb::Task { last_day: Some(day(1998, 9, 15)), planned_area_m2: 9_000, ..issued.clone() };
        let longer = works.update(&longer, &["last_day", "planned_area_m2"]).await.unwrap();
        assert_eq!((longer.planned_area_m2, longer.state()), (9_000, pb::TaskState::Issued));
        let shallow = pb::Task { depth_cm: 0, ..longer.clone() };
        assert_eq!(rule(works.update(&shallow, &["depth_cm"]).await), "NOT_READY");
        assert_eq!(works.get(&issued.task_id).await, longer);
    })
    .await;
}

#[tokio::test]
async fn of_two_who_change_a_task_at_once_one_is_told_to_read_again() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let mut task = works.create(works.task("T-1")).await.unwrap();
        for round in 0..20 {
            let titled = |who: &str| pb::Task { title: format!("{who} {round}"), ..task.clone() };
            let (one, other) = (titled("one"), titled("other"));
            let (one, other) = tokio::join!(works.update(&one, &["title"]), works.update(&other, &["title"]));
            let (won, lost) = if let Ok(won) = one { (won, other) } else { (other.unwrap(), one) };
            let lost = lost.expect_err("only one wins");
            assert_eq!((lost.code(), reason(&lost).0.as_str()), (Code::Aborted, "STALE_REVISION"));
            assert_eq!(works.get(&task.task_id).await, won);
            task = won;
        }
    })
    .await;
}
