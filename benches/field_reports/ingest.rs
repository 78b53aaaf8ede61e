//! Reports that are streamed in, beside plain multi-row INSERTs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::civil::Date;
use prost::Message as _;
use safelane::rpc::pb;
use safelane::rpc::pb::field_report_service_client::FieldReportServiceClient;
use safelane::rpc::pb::sync_reports_response::Outcome;
use sqlx::Connection as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tonic::transport::Endpoint;

use crate::behind::progress_of;
use crate::cluster::Cluster;
use crate::figures::{Hundredths, median};
use crate::options::Sizes;
use crate::plain::{self, Plain};
use crate::{DATABASE, Failure, OPERATORS, progress};

/// Times that both are measured, by turns; the medians count.
const ROUNDS: usize = 3;
/// Reports of one device that are not answered.
const IN_FLIGHT: usize = 1_024;
/// Numbers that the reports behind have not used.
const FIRST_SEQUENCE: i64 = 1_000_000;

/// Reports a second, and how they compare.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ingested {
    pub(crate) per_second: u64,
    pub(crate) content: Compared,
    pub(crate) rows: Compared,
    pub(crate) bytes: usize,
    pub(crate) streams: i64,
}

/// Plain rows a second, and how many of them a report is worth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compared {
    pub(crate) per_second: u64,
    pub(crate) ratio: Hundredths,
}

pub(crate) async fn measure(cluster: &Cluster, address: &str, sizes: Sizes) -> Result<Ingested, Failure> {
    let mut connection = cluster.connect(DATABASE).await?;
    plain::make_tables(&mut connection).await?;
    let today: jiff_sqlx::Date = sqlx::query_scalar("SELECT current_date").fetch_one(&mut connection).await?;
    connection.close().await?;
    let today = today.to_jiff();
    let (mut streamed, mut contents, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        streamed.push(stream_in(address, sizes, today, round).await?);
        contents.push(plain::insert(cluster, sizes, today, (Plain::Content, round)).await?);
        rows.push(plain::insert(cluster, sizes, today, (Plain::SameRows, round)).await?);
        progress(&format!(
            "ingest: {} reports/s, {} contents/s, {} rows/s",
            streamed[round], contents[round], rows[round]
        ));
    }
    let per_second = median(streamed);
    let compared = |rates: Vec<u64>| {
        let plain = median(rates);
        Compared { per_second: plain, ratio: Hundredths::of(per_second, plain) }
    };
    Ok(Ingested {
        per_second,
        content: compared(contents),
        rows: compared(rows),
        bytes: made(0, 0, 0, today).encode_to_vec().len(),
        streams: OPERATORS,
    })
}

/// A report of a new device, for each round and operator one.
pub(crate) fn made(team: i64, round: usize, number: i64, today: Date) -> pb::FieldReport {
    let round = i64::try_from(round).unwrap_or_default();
    // Ids that grow, as those of version 7 do.
    let id = format!("{:08x}-{:04x}-7000-8000-{number:012x}", 0x0190_0000 + round, team);
    let mut report = progress_of(id, team, FIRST_SEQUENCE + number, today);
    report.device_id = format!("{:08x}-0000-7000-8000-{:012x}", 22, team * 1_000 + round);
    report.device_sequence = number + 1;
    // Of a day there is one report of a team; of finds there are many, each in other words.
    report.note = format!("Find {number} of {round}: two signals, one scrap. Marked and closed.");
    report.body = Some(pb::field_report::Body::Ordnance(pb::OrdnanceReport {
        items: vec![pb::OrdnanceItem {
            category: pb::OrdnanceCategory::ApMine.into(),
            model: "R2M2".to_owned(),
            quantity: 1,
            condition: pb::OrdnanceCondition::Armed.into(),
            disposal: pb::OrdnanceDisposal::DemolishedInPlace.into(),
            ..pb::OrdnanceItem::default()
        }],
        ..pb::OrdnanceReport::default()
    }));
    report
}

/// One stream for each operator, as fast as they are answered.
async fn stream_in(address: &str, sizes: Sizes, today: Date, round: usize) -> Result<u64, Failure> {
    let (stored, until) = (Arc::new(AtomicU64::new(0)), Instant::now() + sizes.measured);
    let mut running = JoinSet::new();
    let begun = Instant::now();
    for operator in 0..OPERATORS {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        let (stored, team) = (Arc::clone(&stored), operator * sizes.teams);
        running.spawn(async move {
            let room = Arc::new(Semaphore::new(IN_FLIGHT));
            let taking = Arc::clone(&room);
            let mut number = 0;
            let sent = std::iter::from_fn(move || {
                number += 1;
                (Instant::now() < until).then(|| made(team, round, number - 1, today))
            });
            let sent = tokio_stream::iter(sent).then(move |report| {
                let taking = Arc::clone(&taking);
                async move {
                    // It is never closed.
                    if let Ok(permit) = taking.acquire_owned().await {
                        permit.forget();
                    }
                    pb::SyncReportsRequest { report: Some(report), sent: None }
                }
            });
            let mut answers = FieldReportServiceClient::new(channel).sync_reports(sent).await?.into_inner();
            while let Some(answer) = answers.message().await? {
                room.add_permits(1);
                match answer.outcome {
                    Some(Outcome::Stored(of)) if of.holds.is_empty() => {
                        stored.fetch_add(1, Ordering::Relaxed);
                    }
                    other => return Err(Failure::from(format!("a report became {other:?}"))),
                }
            }
            Ok(())
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(per_second(stored.load(Ordering::Relaxed), begun.elapsed()))
}

pub(crate) fn per_second(count: u64, took: Duration) -> u64 {
    let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    count.saturating_mul(1_000) / took.max(1)
}
