//! `FundingService`. The writes are here; the reads are in `funding_reads.rs`, which this file calls.

use std::pin::Pin;

use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use crate::app::App;
use crate::app::command::ChangePeriod;
use crate::domain::caller::Caller;
use crate::domain::entry::Entry;
use crate::domain::ids::{PeriodId, ProgramId, RequestId};
use crate::domain::program::{Period, PeriodState, Program};
use crate::error::Error;
use crate::rpc::convert::entry::{Context, read_entry};
use crate::rpc::convert::entry_out::posted_entry;
use crate::rpc::convert::report::verification;
use crate::rpc::funding_reads as reads;
use crate::rpc::groups::GroupedAnswers;
use crate::rpc::journal::currency_of;
use crate::rpc::pb::funding_service_server::FundingService;
use crate::rpc::read::Reader;
use crate::rpc::status::in_band;
use crate::rpc::{caller, convert, pb};

/// Answers the calls of `FundingService`.
#[derive(Clone)]
pub struct FundingRpc {
    /// The use cases.
    pub app: App,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl FundingRpc {
    /// Reads an entry. The program comes first, because its currency says how to read the amounts.
    pub(super) async fn read_entry(&self, caller: &Caller, sent: Option<&pb::Entry>) -> Result<Entry, Error> {
        let mut reader = Reader::default();
        let Some(sent) = reader.need("entry", sent) else { return reader.finish(None) };
        let mut first = Reader::default();
        let currency = match first.id("entry.program_id", &sent.program_id, ProgramId::new) {
            Some(id) => self.app.program(caller, id).await?.currency,
            // Without a program the amounts are held against their own currency, so that the caller hears
            // of every other bad field too.
            None => currency_of(sent),
        };
        let context = Context { currency, now: self.app.now() };
        let entry = read_entry(&mut reader, sent, context);
        reader.finish(entry)
    }
}

#[tonic::async_trait]
impl FundingService for FundingRpc {
    async fn create_program(
        &self,
        request: Request<pb::CreateProgramRequest>,
    ) -> Result<Response<pb::CreateProgramResponse>, Status> {
        let caller = caller(&request)?;
        let mut reader = Reader::default();
        let sent = reader.need("program", request.into_inner().program);
        let new: Option<Program> = sent.and_then(|sent| convert::read_program(&mut reader, &sent));
        let (program, revision) = self.app.create_program(&caller, reader.finish(new)?).await?;
        let program = Some(convert::program(&program, &[]));
        Ok(Response::new(pb::CreateProgramResponse { program, revision }))
    }

    async fn open_period(
        &self,
        request: Request<pb::OpenPeriodRequest>,
    ) -> Result<Response<pb::OpenPeriodResponse>, Status> {
        let caller = caller(&request)?;
        let mut reader = Reader::default();
        let sent = reader.need("period", request.into_inner().period);
        let new: Option<Period> = sent.and_then(|sent| convert::read_period(&mut reader, &sent));
        let (period, revision) = self.app.open_period(&caller, reader.finish(new)?).await?;
        Ok(Response::new(pb::OpenPeriodResponse { period: Some(convert::period(&period)), revision }))
    }

    async fn expire_period(
        &self,
        request: Request<pb::ExpirePeriodRequest>,
    ) -> Result<Response<pb::ExpirePeriodResponse>, Status> {
        let caller = caller(&request)?;
        let change = read_change(&request.into_inner(), PeriodState::Expired)?;
        let (period, revision) = self.app.change_period(&caller, change).await?;
        Ok(Response::new(pb::ExpirePeriodResponse { period: Some(convert::period(&period)), revision }))
    }

    async fn close_period(
        &self,
        request: Request<pb::ClosePeriodRequest>,
    ) -> Result<Response<pb::ClosePeriodResponse>, Status> {
        let caller = caller(&request)?;
        let sent = request.into_inner();
        // The two requests have the same fields.
        let sent = pb::ExpirePeriodRequest {
            request_id: sent.request_id,
            program_id: sent.program_id,
            period_id: sent.period_id,
            expected_revision: sent.expected_revision,
        };
        let change = read_change(&sent, PeriodState::Closed)?;
        let (period, revision) = self.app.change_period(&caller, change).await?;
        Ok(Response::new(pb::ClosePeriodResponse { period: Some(convert::period(&period)), revision }))
    }

    async fn create_allocation(
        &self,
        request: Request<pb::CreateAllocationRequest>,
    ) -> Result<Response<pb::CreateAllocationResponse>, Status> {
        let caller = caller(&request)?;
        let mut reader = Reader::default();
        let sent = reader.need("allocation", request.into_inner().allocation);
        let new = sent.and_then(|sent| convert::read_allocation(&mut reader, &sent));
        let (allocation, revision) = self.app.create_allocation(&caller, reader.finish(new)?).await?;
        let allocation = Some(convert::allocation(&allocation));
        Ok(Response::new(pb::CreateAllocationResponse { allocation, revision }))
    }

    async fn post_entry(
        &self,
        request: Request<pb::PostEntryRequest>,
    ) -> Result<Response<pb::PostEntryResponse>, Status> {
        let caller = caller(&request)?;
        let entry = self.read_entry(&caller, request.get_ref().entry.as_ref()).await?;
        let posted = self.app.post_entry(&caller, entry).await?;
        Ok(Response::new(posted_entry(&posted)))
    }

    type PostEntriesStream = GroupedAnswers<pb::PostEntriesResponse>;

    async fn post_entries(
        &self,
        request: Request<Streaming<pb::PostEntriesRequest>>,
    ) -> Result<Response<Self::PostEntriesStream>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.answer_entries(caller, request.into_inner())?))
    }

    async fn preview_entry(
        &self,
        request: Request<pb::PreviewEntryRequest>,
    ) -> Result<Response<pb::PreviewEntryResponse>, Status> {
        use pb::preview_entry_response::Outcome;
        let caller = caller(&request)?;
        let entry = self.read_entry(&caller, request.get_ref().entry.as_ref()).await?;
        let outcome = match self.app.preview_entry(&caller, entry).await {
            Ok(posted) => Outcome::Accepted(posted_entry(&posted)),
            Err(error @ (Error::Refused(_) | Error::NotFound { .. } | Error::AlreadyExists { .. })) => {
                Outcome::Refused(in_band(&error))
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Response::new(pb::PreviewEntryResponse { outcome: Some(outcome) }))
    }

    async fn get_program(
        &self,
        request: Request<pb::GetProgramRequest>,
    ) -> Result<Response<pb::GetProgramResponse>, Status> {
        Ok(Response::new(reads::get_program(&self.app, &caller(&request)?, request.get_ref()).await?))
    }

    async fn list_programs(
        &self,
        request: Request<pb::ListProgramsRequest>,
    ) -> Result<Response<pb::ListProgramsResponse>, Status> {
        Ok(Response::new(reads::list_programs(&self.app, &caller(&request)?, request.get_ref()).await?))
    }

    async fn get_allocation(
        &self,
        request: Request<pb::GetAllocationRequest>,
    ) -> Result<Response<pb::GetAllocationResponse>, Status> {
        Ok(Response::new(reads::get_allocation(&self.app, &caller(&request)?, request.get_ref()).await?))
    }

    async fn list_allocations(
        &self,
        request: Request<pb::ListAllocationsRequest>,
    ) -> Result<Response<pb::ListAllocationsResponse>, Status> {
        Ok(Response::new(reads::list_allocations(&self.app, &caller(&request)?, request.get_ref()).await?))
    }

    async fn get_entry(
        &self,
        request: Request<pb::GetEntryRequest>,
    ) -> Result<Response<pb::GetEntryResponse>, Status> {
        Ok(Response::new(reads::get_entry(&self.app, &caller(&request)?, request.get_ref()).await?))
    }

    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        Ok(Response::new(reads::list_entries(&self.app, &caller(&request)?, request.get_ref()).await?))
    }

    async fn get_obligation(
        &self,
        request: Request<pb::GetObligationRequest>,
    ) -> Result<Response<pb::GetObligationResponse>, Status> {
        Ok(Response::new(reads::get_obligation(&self.app, &caller(&request)?, request.get_ref()).await?))
    }

    async fn list_obligations(
        &self,
        request: Request<pb::ListObligationsRequest>,
    ) -> Result<Response<pb::ListObligationsResponse>, Status> {
        Ok(Response::new(reads::list_obligations(&self.app, &caller(&request)?, request.get_ref()).await?))
    }

    type VerifyLedgerStream = Answers<pb::VerifyLedgerResponse>;

    async fn verify_ledger(
        &self,
        request: Request<pb::VerifyLedgerRequest>,
    ) -> Result<Response<Self::VerifyLedgerStream>, Status> {
        let caller = caller(&request)?;
        let mut reader = Reader::default();
        let id = reader.id("program_id", &request.get_ref().program_id, ProgramId::new);
        let told = self.app.verify_ledger(&caller, reader.finish(id)?).await?;
        let answers = ReceiverStream::new(told).map(|told| Ok(verification(told?)));
        Ok(Response::new(Box::pin(answers)))
    }
}

fn read_change(sent: &pb::ExpirePeriodRequest, to: PeriodState) -> Result<ChangePeriod, Error> {
    let mut reader = Reader::default();
    let request = reader.id("request_id", &sent.request_id, RequestId::new);
    let program = reader.id("program_id", &sent.program_id, ProgramId::new);
    let period = reader.id("period_id", &sent.period_id, PeriodId::new);
    if sent.expected_revision < 1 {
        let given = sent.expected_revision;
        reader.bad("expected_revision", format!("is {given}; give the period's revision"));
    }
    let change = request.zip(program.zip(period)).map(|(request, (program, period))| ChangePeriod {
        request,
        program,
        period,
        to,
        expected_revision: sent.expected_revision,
    });
    reader.finish(change)
}
