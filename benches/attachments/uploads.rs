//! Uploads as a tablet does them, over real gRPC.

use std::thread;

use safelane::rpc::pb;
use safelane::rpc::pb::download_attachment_response::Part as Downloaded;
use safelane::rpc::pb::field_report::Body;
use safelane::rpc::pb::field_report_service_client::FieldReportServiceClient;
use safelane::rpc::pb::organization_service_client::OrganizationServiceClient;
use safelane::rpc::pb::team_service_client::TeamServiceClient;
use safelane::rpc::pb::upload_attachment_request::Part;
use tokio::runtime::Builder;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

use crate::Failure;
use crate::photos::{Photo, Photos};

/// The largest chunk.
const CHUNK: usize = 64 * 1024;
/// Photos that are downloaded again after each round.
const CHECKED: usize = 5;

/// A team of an operator.
pub(crate) struct Team {
    address: String,
    team_id: String,
}

/// A report that declares photos.
pub(crate) struct Report {
    address: String,
    report_id: String,
}

fn id(kind: u8, number: u64) -> String {
    let mut bytes = [kind; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

async fn connect(address: &str) -> Result<Channel, Failure> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.connect().await?)
}

impl Team {
    pub(crate) async fn record(address: &str) -> Result<Self, Failure> {
        let channel = connect(address).await?;
        let operator = pb::Organization {
            organization_id: id(1, 1),
            kind: pb::OrganizationKind::Operator.into(),
            code: "OP-1".to_owned(),
            name: "Operator".to_owned(),
            country_code: "ZW".to_owned(),
            ..Default::default()
        };
        let team = pb::Team {
            team_id: id(2, 1),
            organization_id: operator.organization_id.clone(),
            code: "MT-1".to_owned(),
            name: "Manual team".to_owned(),
            r#type: pb::TeamType::Manual.into(),
            ..Default::default()
        };
        let request = pb::CreateOrganizationRequest { organization: Some(operator) };
        OrganizationServiceClient::new(channel.clone()).create_organization(request).await?;
        let team_id = team.team_id.clone();
        let request = pb::CreateTeamRequest { team: Some(team) };
        TeamServiceClient::new(channel).create_team(request).await?;
        Ok(Self { address: address.to_owned(), team_id })
    }

    /// Submits a report that declares photos.
    pub(crate) async fn declare(&self, photos: &Photos) -> Result<Report, Failure> {
        let declared = |photo: &Photo| pb::Attachment {
            sha256: photo.sha256.clone(),
            size: i64::try_from(photo.content.len()).unwrap_or(i64::MAX),
            media_type: "image/jpeg".to_owned(),
            name: String::new(),
        };
        let first = photos.all().first().ok_or("no photos")?;
        let report_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, &first.sha256).to_string();
        let wall_time = Some(prost_types::Timestamp { seconds: 1_780_000_000, nanos: 0 });
        let report = pb::FieldReport {
            report_id: report_id.clone(),
            device_id: report_id.clone(),
            device_sequence: 1,
            team_id: self.team_id.clone(),
            work_date: Some(pb::Date { year: 2026, month: 5, day: 4 }),
            captured: Some(pb::DeviceClock { wall_time, ..Default::default() }),
            attachments: photos.all().iter().map(declared).collect(),
            body: Some(Body::RiskEducation(pb::RiskEducationReport {
                topic: "Mines".to_owned(),
                minutes: 45,
                ..Default::default()
            })),
            ..Default::default()
        };
        let mut service = FieldReportServiceClient::new(connect(&self.address).await?);
        service.submit_report(pb::SubmitReportRequest { report: Some(report), sent: None }).await?;
        Ok(Report { address: self.address.clone(), report_id })
    }
}

impl Report {
    /// Uploads every photo, over so many connections: each of a tablet that has a thread for itself, as the senders of plain
    /// copies have.
    pub(crate) fn upload(&self, photos: &Photos, lanes: usize) -> Result<(), Failure> {
        let tablets: Vec<_> = (0..lanes)
            .map(|lane| {
                let (photos, address) = (photos.clone(), self.address.clone());
                let report_id = self.report_id.clone();
                thread::spawn(move || {
                    let tablet = Builder::new_current_thread().enable_all().build()?;
                    tablet.block_on(upload(&address, &photos, report_id, (lane, lanes)))
                })
            })
            .collect();
        for tablet in tablets {
            tablet.join().map_err(|_| "a tablet panicked")??;
        }
        Ok(())
    }

    /// Downloads some of them again, and wants the whole report to be complete.
    pub(crate) async fn check(&self, photos: &Photos) -> Result<(), Failure> {
        let mut service = FieldReportServiceClient::new(connect(&self.address).await?);
        let request = pb::GetReportRequest { report_id: self.report_id.clone(), ..Default::default() };
        let report = service.get_report(request).await?.into_inner().report.ok_or("no report")?;
        if !report.complete {
            return Err("the report is not complete".into());
        }
        for photo in photos.all().iter().take(CHECKED) {
            let request = pb::DownloadAttachmentRequest {
                report_id: self.report_id.clone(),
                sha256: photo.sha256.clone(),
                ..Default::default()
            };
            let mut parts = service.download_attachment(request).await?.into_inner();
            let mut content = Vec::new();
            while let Some(part) = parts.message().await? {
                if let Some(Downloaded::Chunk(chunk)) = part.part {
                    content.extend(chunk.content);
                }
            }
            if content != photo.content {
                return Err("a photo is not what it was".into());
            }
        }
        Ok(())
    }
}

/// Uploads the photos of one lane over one connection.
async fn upload(
    address: &str,
    photos: &Photos,
    report_id: String,
    (lane, lanes): (usize, usize),
) -> Result<(), Failure> {
    let mut service = FieldReportServiceClient::new(connect(address).await?);
    for number in (lane..photos.all().len()).step_by(lanes) {
        let sent = messages(photos.clone(), number, report_id.clone());
        let answer = service.upload_attachment(tokio_stream::iter(sent)).await?.into_inner();
        if !answer.upload.is_some_and(|upload| upload.present) {
            return Err("a photo is not present".into());
        }
    }
    Ok(())
}

fn messages(
    photos: Photos,
    number: usize,
    report_id: String,
) -> impl Iterator<Item = pb::UploadAttachmentRequest> + Send {
    let sha256 = photos.all()[number].sha256.clone();
    let begin = Part::Begin(pb::UploadBegin { report_id, sha256 });
    let begin = pb::UploadAttachmentRequest { part: Some(begin) };
    let length = photos.all()[number].content.len();
    let chunks = (0..length).step_by(CHUNK).map(move |at| {
        let content = photos.all()[number].content.slice(at..(at + CHUNK).min(length));
        let chunk = pb::UploadChunk { write_offset: i64::try_from(at).unwrap_or(i64::MAX), content };
        pb::UploadAttachmentRequest { part: Some(Part::Chunk(chunk)) }
    });
    std::iter::once(begin).chain(chunks)
}
