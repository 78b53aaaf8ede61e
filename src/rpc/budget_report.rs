//! `BudgetReportService`: reports here, reporting periods in `restatement`.

mod restatement;

use std::pin::Pin;

use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use crate::app::App;
use crate::app::report::{AsOf, ReportQuery};
use crate::app::stream::{Delivery, Start, StreamQuery};
use crate::domain::ids::{AllocationId, PeriodId, ProgramId};
use crate::error::Error;
use crate::rpc::convert::report::{budget_report, profile, stream_message};
use crate::rpc::pb::budget_report_service_server::BudgetReportService;
use crate::rpc::read::Reader;
use crate::rpc::{caller, pb};

/// The longest pause between two reports, in seconds.
const UPDATE_SECONDS_MAX: i64 = 60;

/// Answers the calls of `BudgetReportService`.
#[derive(Clone)]
pub struct BudgetReportRpc {
    /// The use cases.
    pub app: App,
}

#[tonic::async_trait]
impl BudgetReportService for BudgetReportRpc {
    async fn get_budget_report(
        &self,
        request: Request<pb::GetBudgetReportRequest>,
    ) -> Result<Response<pb::GetBudgetReportResponse>, Status> {
        let caller = caller(&request)?;
        let sent = request.into_inner();
        let mut reader = Reader::default();
        let query = read_query(&mut reader, [&sent.program_id, &sent.period_id, &sent.allocation_id]);
        let as_of = read_as_of(&mut reader, sent.as_of);
        let depth = reader.depth("max_depth", sent.max_depth);
        let words = reader.choice("profile", sent.profile, |words| Some(profile(words)));
        let min_revision = reader.revision("min_revision", sent.min_revision);
        let all = query.zip(as_of).zip(depth.zip(words)).zip(min_revision);
        let (((query, as_of), (depth, words)), min_revision) = reader.finish(all)?;
        let depth = depth.and_then(|depth| usize::try_from(depth).ok());
        let report = self.app.get_budget_report(&caller, query, as_of, depth, min_revision).await?;
        let report = Some(budget_report(&report, words));
        Ok(Response::new(pb::GetBudgetReportResponse { report }))
    }

    type StreamBudgetReportStream =
        Pin<Box<dyn Stream<Item = Result<pb::StreamBudgetReportResponse, Status>> + Send>>;

    async fn stream_budget_report(
        &self,
        request: Request<pb::StreamBudgetReportRequest>,
    ) -> Result<Response<Self::StreamBudgetReportStream>, Status> {
        let caller = caller(&request)?;
        let query = read_stream(request.into_inner())?;
        let messages = self.app.stream_budget_report(&caller, query).await?;
        let answers = ReceiverStream::new(messages).map(|message| Ok(stream_message(message?)));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn freeze_reporting_period(
        &self,
        request: Request<pb::FreezeReportingPeriodRequest>,
    ) -> Result<Response<pb::FreezeReportingPeriodResponse>, Status> {
        let answer = restatement::freeze(&self.app, &caller(&request)?, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn list_reporting_periods(
        &self,
        request: Request<pb::ListReportingPeriodsRequest>,
    ) -> Result<Response<pb::ListReportingPeriodsResponse>, Status> {
        Ok(Response::new(restatement::list(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }

    async fn get_restatement(
        &self,
        request: Request<pb::GetRestatementRequest>,
    ) -> Result<Response<pb::GetRestatementResponse>, Status> {
        Ok(Response::new(restatement::get(&self.app, &caller(&request)?, &request.into_inner()).await?))
    }
}

fn read_query(reader: &mut Reader, [program, period, allocation]: [&str; 3]) -> Option<ReportQuery> {
    let program = reader.id("program_id", program, ProgramId::new);
    let period = reader.optional_id("period_id", period, PeriodId::new);
    let allocation = reader.optional_id("allocation_id", allocation, AllocationId::new);
    Some(ReportQuery { program: program?, period: period?, allocation: allocation? })
}

fn read_as_of(reader: &mut Reader, sent: Option<pb::get_budget_report_request::AsOf>) -> Option<AsOf> {
    use pb::get_budget_report_request::AsOf as Sent;
    match sent {
        None => Some(AsOf::Latest),
        Some(Sent::AsOfRevision(revision)) if revision < 1 => {
            reader.bad("as_of_revision", format!("is {revision}; revisions begin at 1"));
            None
        }
        Some(Sent::AsOfRevision(revision)) => Some(AsOf::Revision(revision)),
        Some(Sent::AsOfDate(day)) => reader.date("as_of_date", Some(day)).map(AsOf::Day),
    }
}

fn read_stream(sent: pb::StreamBudgetReportRequest) -> Result<StreamQuery, Error> {
    use pb::stream_budget_report_request::Start as Sent;
    let mut reader = Reader::default();
    let report = read_query(&mut reader, [&sent.program_id, &sent.period_id, &sent.allocation_id]);
    let delivery = reader.choice("delivery", sent.delivery, |delivery| match delivery {
        pb::Delivery::Unspecified => None,
        pb::Delivery::State => Some(Delivery::State),
        pb::Delivery::Entries => Some(Delivery::Entries),
    });
    let start = match sent.start {
        None | Some(Sent::Latest(_)) => Some(Start::Latest),
        Some(Sent::ResumeToken(token)) => Some(Start::Resume(token)),
        Some(Sent::AfterRevision(revision)) => reader.revision("after_revision", revision).map(Start::After),
    };
    let until = match sent.until_revision {
        None => Some(None),
        Some(revision) => reader.revision("until_revision", revision).map(Some),
    };
    let progress = reader.progress_interval(sent.progress_interval);
    let update = reader.span("min_update_interval", sent.min_update_interval, 0..=UPDATE_SECONDS_MAX);
    if delivery == Some(Delivery::Entries) && sent.min_update_interval.is_some() {
        reader.bad("min_update_interval", "is given, but ENTRIES delivery never skips; leave it out");
    }
    let all = report.zip(delivery).zip(start).zip(until).zip(progress.zip(update));
    let ((((report, delivery), start), until), (progress, update)) = reader.finish(all)?;
    Ok(StreamQuery {
        report,
        delivery,
        start,
        until,
        progress_interval: progress,
        min_update_interval: update.unwrap_or_default(),
    })
}
