//! A team at work, its tablet, and short ways to send what the tablet wrote.

use std::sync::atomic::{AtomicI64, Ordering};

use prost::Message as _;
use safelane::rpc::pb;
use safelane::rpc::pb::field_report::Body;
use safelane::rpc::pb::field_report_service_client::FieldReportServiceClient;
use safelane::rpc::pb::sync_reports_response::Outcome;
use sha2::{Digest as _, Sha256};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::bad_input::day;
use crate::ground::tasks::Works;
use crate::ground::teams::recorded_team;
use crate::harness::{World, fresh_id};

/// The day on which tests begin.
pub(super) const TODAY: (i32, i32, i32) = (1998, 6, 15);

/// A team of an operator that is sent to an active task from 1 June to 30 September 1998, with its tablet.
pub(super) struct Tablet {
    pub(super) works: Works,
    pub(super) task: pb::Task,
    pub(super) team: String,
    pub(super) device: String,
    pub(super) service: FieldReportServiceClient<Channel>,
    number: AtomicI64,
}

pub(super) fn client(channel: Channel) -> FieldReportServiceClient<Channel> {
    FieldReportServiceClient::new(channel)
}

impl Tablet {
    pub(super) async fn open(world: &World) -> Self {
        let works = Works::open(world).await;
        let task = works.walked("T-1", &["Plan", "Issue", "Accept", "Mobilise", "Start"]).await;
        let team = recorded_team(world, &works.desk.operator_id, "MT-1").await;
        let tablet = Self {
            works,
            task,
            team,
            device: fresh_id(),
            service: client(world.channel()),
            number: AtomicI64::new(0),
        };
        tablet.send_team(world).await;
        tablet
    }

    /// What no test here is about is written straight to the tables.
    async fn send_team(&self, world: &World) {
        let (operator, team, task) = (&self.works.desk.operator_id, &self.team, &self.task.task_id);
        let (authority, program) = (&self.works.authority_id, &self.works.desk.program_id);
        let (accreditation, assignment, cover) = (fresh_id(), fresh_id(), &self.works.cover);
        let (paramedic, ambulance) = (&cover.paramedic_id, &cover.ambulance_id);
        let statement = format!(
            "INSERT INTO accreditations (organization_id, accreditation_id, level, subject_id, authority_id, activity,
                    certificate, first_day, last_day, state, granted_at, created_at, revision)
             VALUES ('{operator}', '{accreditation}', 'TEAM', '{team}', '{authority}', 'MANUAL_CLEARANCE', '',
                    '1998-05-01', '1998-09-15', 'ACCREDITED', now(), now(), 1);
             INSERT INTO assignments (organization_id, assignment_id, team_id, program_id, task_id, first_day, last_day,
                    state, paramedic_id, ambulance_id, hospital, evacuation_minutes, created_at, revision)
             VALUES ('{operator}', '{assignment}', '{team}', '{program}', '{task}', '1998-06-01', '1998-09-30',
                    'STANDING', '{paramedic}', '{ambulance}', 'Mutare', 50, now(), 1)"
        );
        Works::run(world, statement).await;
    }

    /// The next number of the tablet.
    pub(super) fn next(&self) -> i64 {
        self.number.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// A report of today with the next number, that nothing holds.
    pub(super) fn report(&self, body: Body) -> pb::FieldReport {
        let (year, month, date) = TODAY;
        pb::FieldReport {
            report_id: fresh_id(),
            device_id: self.device.clone(),
            device_sequence: self.next(),
            team_id: self.team.clone(),
            task_id: self.task.task_id.clone(),
            work_date: Some(day(year, month, date)),
            captured: Some(clock("1998-06-15T11:00:00Z")),
            body: Some(body),
            ..pb::FieldReport::default()
        }
    }

    /// Ordnance that was found: of those there are many on a day, each in other words.
    pub(super) fn find(&self) -> pb::FieldReport {
        let body = pb::OrdnanceReport { site_id: self.site(), items: vec![item()] };
        let report = self.report(Body::Ordnance(body));
        pb::FieldReport { note: format!("find {}", report.device_sequence), ..report }
    }

    /// The work of a day on so many square metres.
    pub(super) fn progress(&self, area_m2: i64) -> pb::FieldReport {
        let worked = pb::WorkedHours { role: pb::MemberRole::Deminer.into(), people: 8, minutes: 8 * 480 };
        let area = pb::ReleasedArea {
            site_id: self.site(),
            r#type: pb::ReleaseType::Cleared.into(),
            area_m2,
            depth_cm: 13,
            ..pb::ReleasedArea::default()
        };
        self.report(Body::Progress(pb::ProgressReport {
            activity: pb::ActivityType::ManualClearance.into(),
            areas: vec![area],
            worked: vec![worked],
            ..pb::ProgressReport::default()
        }))
    }

    pub(super) fn site(&self) -> String {
        self.works.site_ids[0].clone()
    }

    pub(super) async fn submit(&self, report: &pb::FieldReport) -> Result<pb::SubmitReportResponse, Status> {
        submit(&self.service, report).await
    }

    pub(super) async fn sync(&self, reports: &[pb::FieldReport]) -> Vec<pb::SyncReportsResponse> {
        sync(&self.service, reports).await.expect("the stream ends well")
    }

    pub(super) async fn state(&self) -> pb::SyncState {
        let request = pb::GetSyncStateRequest { device_id: self.device.clone() };
        self.service.clone().get_sync_state(request).await.unwrap().into_inner().sync_state.unwrap()
    }

    pub(super) async fn get(&self, id: &str, version: i32) -> pb::StoredReport {
        let request =
            pb::GetReportRequest { report_id: id.to_owned(), version, ..pb::GetReportRequest::default() };
        self.service.clone().get_report(request).await.expect("it is there").into_inner().report.unwrap()
    }

    /// How many versions the database holds.
    pub(super) async fn count(world: &World) -> i64 {
        let mut conn = world.database.connect().await;
        let count = sqlx::query_scalar("SELECT count(*) FROM report_versions").fetch_one(&mut conn);
        count.await.expect("a number")
    }
}

pub(super) fn item() -> pb::OrdnanceItem {
    pb::OrdnanceItem {
        category: pb::OrdnanceCategory::ApMine.into(),
        model: "R2M2".to_owned(),
        quantity: 1,
        condition: pb::OrdnanceCondition::Armed.into(),
        disposal: pb::OrdnanceDisposal::DemolishedInPlace.into(),
        ..pb::OrdnanceItem::default()
    }
}

pub(super) fn clock(wall: &str) -> pb::DeviceClock {
    let at: jiff::Timestamp = wall.parse().expect("an instant");
    let wall_time = Some(prost_types::Timestamp { seconds: at.as_second(), nanos: 0 });
    pb::DeviceClock { wall_time, utc_offset_minutes: 120, ..pb::DeviceClock::default() }
}

/// A new version of a report, with other words in it.
pub(super) fn edited(tablet: &Tablet, report: &pb::FieldReport, base: i32, note: &str) -> pb::FieldReport {
    pb::FieldReport {
        base_version: base,
        device_sequence: tablet.next(),
        note: note.to_owned(),
        ..report.clone()
    }
}

pub(super) async fn submit(
    service: &FieldReportServiceClient<Channel>,
    report: &pb::FieldReport,
) -> Result<pb::SubmitReportResponse, Status> {
    let request =
        pb::SubmitReportRequest { report: Some(report.clone()), sent: Some(clock("1998-06-15T12:00:00Z")) };
    Ok(service.clone().submit_report(request).await?.into_inner())
}

/// Sends reports over one stream and half-closes.
pub(super) async fn sync(
    service: &FieldReportServiceClient<Channel>,
    reports: &[pb::FieldReport],
) -> Result<Vec<pb::SyncReportsResponse>, Status> {
    let sent: Vec<_> = reports.iter().map(|report| outbox(report.clone())).collect();
    let mut answers = service.clone().sync_reports(tokio_stream::iter(sent)).await?.into_inner();
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await? {
        all.push(answer);
    }
    Ok(all)
}

pub(super) fn outbox(report: pb::FieldReport) -> pb::SyncReportsRequest {
    pb::SyncReportsRequest { report: Some(report), sent: None }
}

/// What an answer of a stream says was stored.
pub(super) fn stored(answer: &pb::SyncReportsResponse) -> &pb::SubmitReportResponse {
    match &answer.outcome {
        Some(Outcome::Stored(stored)) => stored,
        other => panic!("not stored: {other:?}"),
    }
}

/// Code and text of a report that a stream refused.
pub(super) fn refusal(answer: &pb::SyncReportsResponse) -> (Code, String) {
    match &answer.outcome {
        Some(Outcome::Refused(status)) => (Code::from(status.code), status.message.clone()),
        other => panic!("not refused: {other:?}"),
    }
}

/// The words of the holds of an answer.
pub(super) fn reasons(of: &[pb::Hold]) -> Vec<&'static str> {
    of.iter().map(|hold| hold.reason().as_str_name().trim_start_matches("HOLD_REASON_")).collect()
}

pub(super) fn hash(report: &pb::FieldReport) -> Vec<u8> {
    Sha256::digest(report.encode_to_vec()).to_vec()
}

pub(super) fn outcome(of: &pb::SubmitReportResponse) -> &'static str {
    of.outcome().as_str_name().trim_start_matches("REPORT_OUTCOME_")
}
