//! What is measured with a million reports behind, each over real gRPC, with every answer checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::ToSpan as _;
use safelane::clock::{Clock as _, SystemClock};
use safelane::rpc::pb;
use safelane::rpc::pb::field_report_service_client::FieldReportServiceClient;
use safelane::rpc::pb::review_report_request::Decision;
use tonic::transport::Channel;

use crate::behind::{HELD_EACH, WAITING_DAYS, report_id};
use crate::ids::{Of, id};
use crate::load::{Outcome, measure};
use crate::options::Sizes;
use crate::{Failure, progress};

/// A prime, so that neighbours in time are not neighbours in the tables.
const STRIDE: i64 = 7_919;
/// One caller alone, a few, and so many that both processors are always busy.
const CALLERS: [usize; 3] = [1, 4, 16];
/// Reports on a page.
const PAGE: usize = 50;
/// The target of every p99, in milliseconds.
pub(crate) const TARGET_MS: u64 = 25;

/// One measure.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) outcomes: Vec<Outcome>,
}

/// Which page of which list is asked for.
#[derive(Debug, Clone, Copy)]
enum Asks {
    Task,
    Team,
    Day,
    Queue,
    Held,
}

pub(crate) async fn all(address: &str, sizes: Sizes, reports: i64) -> Result<Vec<Measured>, Failure> {
    let mut measured = Vec::new();
    for (name, asks) in [
        ("ListReports of a task, a page of 50", Asks::Task),
        ("ListReports of a team, a page of 50", Asks::Team),
        ("ListReports of a day, a page of 50", Asks::Day),
        ("Queue to review, a page of 50", Asks::Queue),
        ("Queue of what is held for a reason, a page of 50", Asks::Held),
    ] {
        let call = move |channel, number| list(channel, (sizes, reports), asks, number);
        measured.push(Measured { name, outcomes: loads(address, sizes, name, call).await? });
    }
    // Goes on counting from one load to the next: what is approved is not approved again.
    let next = Arc::new(AtomicI64::new(0));
    let name = "ReviewReport: approve a day's progress";
    let call = move |channel, _| {
        let next = Arc::clone(&next);
        async move { approve(channel, sizes, next.fetch_add(1, Ordering::Relaxed)).await }
    };
    measured.push(Measured { name, outcomes: loads(address, sizes, name, call).await? });
    Ok(measured)
}

async fn loads<F, C>(address: &str, sizes: Sizes, name: &str, call: F) -> Result<Vec<Outcome>, Failure>
where
    F: Fn(Channel, i64) -> C + Send + Sync + Clone + 'static,
    C: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let mut outcomes = Vec::new();
    for callers in CALLERS {
        let outcome = measure(address, sizes, callers, call.clone()).await?;
        progress(&format!("{name}: {outcome:?}"));
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

async fn list(
    channel: Channel,
    (sizes, reports): (Sizes, i64),
    asks: Asks,
    number: i64,
) -> Result<(), Failure> {
    let team = number * STRIDE % sizes.teams;
    let mut request = pb::ListReportsRequest {
        operator_id: id(Of::Operator, 0),
        page_size: i32::try_from(PAGE)?,
        ..pb::ListReportsRequest::default()
    };
    match asks {
        Asks::Task => request.task_id = id(Of::Task, team),
        Asks::Team => request.team_id = id(Of::Team, team),
        Asks::Day => {
            let age = number * STRIDE % (reports / sizes.teams - 1) + 1;
            let day = SystemClock.now().to_zoned(jiff::tz::TimeZone::UTC).date().saturating_sub(age.days());
            let day = pb::Date { year: day.year().into(), month: day.month().into(), day: day.day().into() };
            (request.worked_from, request.worked_until) = (Some(day), Some(day));
        }
        Asks::Queue => request.to_review = true,
        Asks::Held => {
            request.hold = pb::HoldReason::PossibleDuplicate.into();
            request.state = pb::ReportState::Held.into();
        }
    }
    let found =
        FieldReportServiceClient::new(channel).list_reports(request).await?.into_inner().reports.len();
    // A small run has fewer of a day, and fewer that are held.
    let there = match asks {
        Asks::Task | Asks::Team => reports / sizes.teams,
        Asks::Day => sizes.teams,
        Asks::Queue => sizes.teams * WAITING_DAYS,
        Asks::Held => (sizes.teams * WAITING_DAYS + HELD_EACH - 1) / HELD_EACH,
    };
    if found == PAGE.min(usize::try_from(there)?) {
        return Ok(());
    }
    Err(format!("{asks:?}: {found} reports on a page").into())
}

/// Reads a report that waits, and approves it, as a reviewer does.
async fn approve(channel: Channel, sizes: Sizes, number: i64) -> Result<(), Failure> {
    let waiting = sizes.teams * WAITING_DAYS;
    // Every hundredth is held.
    let number = number + number / (HELD_EACH - 1) + 1;
    if waiting <= number {
        return Err("every report that waited is approved; load more".into());
    }
    let place = number;
    let request = pb::ReviewReportRequest {
        request_id: format!("{:08x}-0000-7000-8000-{place:012x}", 23),
        report_id: report_id(place),
        version: 1,
        expected_revision: place + 1,
        decision: Some(Decision::Approve(pb::ReviewApproval::default())),
    };
    let done = FieldReportServiceClient::new(channel).review_report(request).await?.into_inner();
    let credited = done.review.and_then(|review| review.credit).and_then(|credit| credit.outputs);
    match credited {
        Some(outputs) if outputs.cleared_m2 == 3 => Ok(()),
        other => Err(format!("report {place} counts for {other:?}").into()),
    }
}
