//! Apps that are older or newer than the service. Tablets are updated when they come in from the field, once a season, and
//! the services of different countries when these are ready. Adding a question to a form of the usual survey tools makes a
//! new service, which leaves the old apps behind; here fields are only ever added, and each side goes on with what it knows.

use prost::Message;
use safelane::rpc::pb;
use sha2::{Digest as _, Sha256};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::rig::{Tablet, clock, outcome};
use crate::harness::{World, in_world};

/// A report of progress in the words of an app that knows no terrain, no machines and nothing that was not done.
#[derive(Clone, PartialEq, Message)]
struct OlderReport {
    #[prost(string, tag = "1")]
    report_id: String,
    #[prost(string, tag = "2")]
    device_id: String,
    #[prost(int64, tag = "3")]
    device_sequence: i64,
    #[prost(string, tag = "4")]
    team_id: String,
    #[prost(string, tag = "5")]
    task_id: String,
    #[prost(message, optional, tag = "6")]
    work_date: Option<pb::Date>,
    #[prost(message, optional, tag = "7")]
    captured: Option<pb::DeviceClock>,
    #[prost(message, optional, tag = "20")]
    progress: Option<OlderProgress>,
}

#[derive(Clone, PartialEq, Message)]
struct OlderProgress {
    #[prost(int32, tag = "1")]
    activity: i32,
    #[prost(message, repeated, tag = "2")]
    areas: Vec<pb::ReleasedArea>,
    #[prost(message, repeated, tag = "3")]
    worked: Vec<pb::WorkedHours>,
}

/// A report of an app whose form asks for the weather as well.
#[derive(Clone, PartialEq, Message)]
struct NewerReport {
    #[prost(string, tag = "1")]
    report_id: String,
    #[prost(string, tag = "2")]
    device_id: String,
    #[prost(int64, tag = "3")]
    device_sequence: i64,
    #[prost(string, tag = "4")]
    team_id: String,
    #[prost(message, optional, tag = "6")]
    work_date: Option<pb::Date>,
    #[prost(message, optional, tag = "7")]
    captured: Option<pb::DeviceClock>,
    #[prost(string, tag = "11")]
    note: String,
    #[prost(message, optional, tag = "26")]
    risk_education: Option<pb::RiskEducationReport>,
    #[prost(string, tag = "900")]
    weather: String,
}

/// A call in the words of another season: a message is its bytes on the wire.
#[derive(Clone, PartialEq, Message)]
struct Submission {
    #[prost(bytes = "vec", tag = "1")]
    report: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    sent: Option<pb::DeviceClock>,
}

async fn submit(world: &World, report: &impl Message) -> Result<pb::SubmitReportResponse, Status> {
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", world.address));
    let mut client = Grpc::new(channel.expect("an address").connect_lazy());
    client.ready().await.expect("it is reached");
    let sent = Submission { report: report.encode_to_vec(), sent: Some(clock("1998-06-15T12:00:00Z")) };
    let method = PathAndQuery::from_static("/safelane.v1.FieldReportService/SubmitReport");
    let codec = ProstCodec::<Submission, pb::SubmitReportResponse>::default();
    Ok(client.unary(Request::new(sent), method, codec).await?.into_inner())
}

fn sha256_of(report: &impl Message) -> Vec<u8> {
    Sha256::digest(report.encode_to_vec()).to_vec()
}

#[tokio::test]
async fn gichd_a_question_that_was_added_leaves_no_older_app_behind() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let known = tablet.progress(400);
        let Some(pb::field_report::Body::Progress(progress)) = &known.body else { panic!("of progress") };
        let older = OlderReport {
            report_id: known.report_id.clone(),
            device_id: known.device_id.clone(),
            device_sequence: known.device_sequence,
            team_id: known.team_id.clone(),
            task_id: known.task_id.clone(),
            work_date: known.work_date,
            captured: known.captured,
            progress: Some(OlderProgress {
                activity: progress.activity,
                areas: progress.areas.clone(),
                worked: progress.worked.clone(),
            }),
        };
        let answer = submit(world, &older).await.expect("it is stored");
        assert_eq!((outcome(&answer), answer.holds.len()), ("STORED", 0));
        // What the service holds is what the app wrote: the receipt has the hash that the app made by itself.
        assert_eq!(answer.receipt.unwrap().content_sha256, sha256_of(&older));
        assert_eq!(outcome(&submit(world, &older).await.unwrap()), "ALREADY_STORED");
        let stored = tablet.get(&known.report_id, 0).await.report.unwrap();
        let Some(pb::field_report::Body::Progress(progress)) = &stored.body else { panic!("of progress") };
        assert_eq!((progress.terrain(), progress.areas[0].area_m2), (pb::Terrain::Unspecified, 400));
    })
    .await;
}

#[tokio::test]
async fn what_a_newer_app_asked_in_addition_is_missing_from_its_receipt_and_the_rest_is_stored() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let known = tablet.find();
        let session = pb::RiskEducationReport {
            topic: "what mines look like".to_owned(),
            minutes: 45,
            direct: Some(pb::Beneficiaries { girls: 12, boys: 9, ..pb::Beneficiaries::default() }),
            ..pb::RiskEducationReport::default()
        };
        let newer = NewerReport {
            report_id: known.report_id.clone(),
            device_id: known.device_id.clone(),
            device_sequence: known.device_sequence,
            team_id: known.team_id.clone(),
            work_date: known.work_date,
            captured: known.captured,
            note: "after the rain".to_owned(),
            risk_education: Some(session),
            weather: "cloudy".to_owned(),
        };
        let answer = submit(world, &newer).await.expect("it is stored");
        assert_eq!(outcome(&answer), "STORED");
        let receipt = answer.receipt.unwrap();
        assert_ne!(receipt.content_sha256, sha256_of(&newer), "the app learns that not all of it is there");
        let understood = NewerReport { weather: String::new(), ..newer.clone() };
        assert_eq!(receipt.content_sha256, sha256_of(&understood));
        let again = submit(world, &newer).await.unwrap();
        assert_eq!((outcome(&again), again.receipt.unwrap()), ("ALREADY_STORED", receipt));
        let stored = tablet.get(&known.report_id, 0).await.report.unwrap();
        assert_eq!(stored.note, "after the rain");
    })
    .await;
}
