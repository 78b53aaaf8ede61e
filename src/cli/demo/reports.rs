//! The tablet of the demo: the outbox of the disposal team, sent as a whole, and sent again as after a link that broke.

use std::io::Write;

use crate::cli::client::{Connection, refused};
use crate::cli::demo::say;
use crate::cli::demo::steps::id;
use crate::error::StartError;
use crate::rpc::pb;
use crate::rpc::pb::field_report::Body;
use crate::rpc::pb::field_report_service_client::FieldReportServiceClient;
use crate::rpc::pb::sync_reports_response::Outcome;

/// When the tablet wrote its reports: 15 June 1998, 14:00 at Harare.
const CAPTURED: i64 = 897_912_000;
/// Minutes from UTC at Harare.
const HARARE: i32 = 120;

/// Sends the outbox twice, and says what became of each report.
pub(super) async fn send_reports(
    connection: Connection,
    out: &mut (dyn Write + Send),
) -> Result<(), StartError> {
    let mut service = FieldReportServiceClient::new(connection);
    say(out, "\nThe outbox of team EOD-01, sent with SyncReports:")?;
    send(&mut service, out).await?;
    say(out, "No answer came, so it is sent again:")?;
    send(&mut service, out).await?;
    let request = pb::GetSyncStateRequest { device_id: device() };
    let answer = service.get_sync_state(request).await.map_err(refused)?.into_inner();
    let state = answer.sync_state.unwrap_or_default();
    say(
        out,
        &format!(
            "GetSyncState: all numbers up to {} are durable; {} are missing below {}.",
            state.durable_through, state.missing_count, state.highest
        ),
    )
}

async fn send(
    service: &mut FieldReportServiceClient<Connection>,
    out: &mut (dyn Write + Send),
) -> Result<(), StartError> {
    let sent = outbox().map(|report| pb::SyncReportsRequest { report: Some(report), sent: Some(clock()) });
    let mut answers = service.sync_reports(tokio_stream::iter(sent)).await.map_err(refused)?.into_inner();
    while let Some(answer) = answers.message().await.map_err(refused)? {
        say(out, &outcome(&answer))?;
    }
    Ok(())
}

fn outcome(answer: &pb::SyncReportsResponse) -> String {
    let number = answer.device_sequence;
    match &answer.outcome {
        Some(Outcome::Stored(stored)) => {
            let reference = stored.receipt.as_ref().map_or("", |receipt| receipt.reference.as_str());
            let word = stored.outcome().as_str_name().trim_start_matches("REPORT_OUTCOME_").to_owned();
            let holds = stored.holds.iter().map(|hold| format!("\n     {}", hold.text));
            format!("  {number}  {reference}  {word}{}", holds.collect::<String>())
        }
        Some(Outcome::Refused(status)) => format!("  {number}  refused: {}", status.message),
        None => format!("  {number}  no outcome"),
    }
}

/// A find that was dealt with, a session, and a report of a tablet whose date is wrong.
fn outbox() -> impl Iterator<Item = pb::FieldReport> {
    let mine = pb::OrdnanceItem {
        category: pb::OrdnanceCategory::ApMine.into(),
        model: "PMN-2".to_owned(),
        quantity: 2,
        condition: pb::OrdnanceCondition::Armed.into(),
        disposal: pb::OrdnanceDisposal::DemolishedInPlace.into(),
        depth_cm: 8,
        ..Default::default()
    };
    let spot = pb::SpotTaskReport {
        place: "The path from the school to the well".to_owned(),
        items: vec![mine],
        direct: Some(pb::Beneficiaries { girls: 60, boys: 55, women: 20, men: 15 }),
        ..Default::default()
    };
    let session = |minutes| {
        Body::RiskEducation(pb::RiskEducationReport {
            topic: "What mines look like, and whom to tell".to_owned(),
            minutes,
            direct: Some(pb::Beneficiaries { girls: 31, boys: 28, women: 4, men: 2 }),
            ..Default::default()
        })
    };
    let day = |year, month, day| pb::Date { year, month, day };
    [
        ("spot", day(1998, 6, 15), Body::SpotTask(spot)),
        ("session", day(1998, 6, 15), session(45)),
        ("wrong date", day(2098, 6, 15), session(30)),
    ]
    .into_iter()
    .zip(1..)
    .map(|((name, work_date, body), device_sequence)| pb::FieldReport {
        report_id: id(&format!("report {name}")).to_string(),
        device_id: device(),
        device_sequence,
        team_id: id("team EOD-01").to_string(),
        work_date: Some(work_date),
        captured: Some(clock()),
        body: Some(body),
        ..Default::default()
    })
}

fn device() -> String {
    id("tablet of EOD-01").to_string()
}

fn clock() -> pb::DeviceClock {
    let wall_time = Some(prost_types::Timestamp { seconds: CAPTURED, nanos: 0 });
    pb::DeviceClock { wall_time, utc_offset_minutes: HARARE, ..Default::default() }
}
