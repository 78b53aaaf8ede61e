//! The reads of `FundingService`: parse, call the use case, convert.

use bytes::Bytes;

use crate::app::App;
use crate::app::funding_reads::EntryFilter;
use crate::domain::caller::Caller;
use crate::domain::ids::{AllocationId, EntryId, ObligationId, OrganizationId, PeriodId, ProgramId};
use crate::domain::text::Code;
use crate::error::Error;
use crate::rpc::read::Reader;
use crate::rpc::stored::EntryPosted;
use crate::rpc::{convert, pb};
use crate::store::funding::ProgramFilter;

/// `GetProgram`.
pub(super) async fn get_program(
    app: &App,
    caller: &Caller,
    sent: &pb::GetProgramRequest,
) -> Result<pb::GetProgramResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("program_id", &sent.program_id, ProgramId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let (id, min_revision) = reader.finish(id.zip(min_revision))?;
    let (program, periods, revision) = app.get_program(caller, id, min_revision).await?;
    Ok(pb::GetProgramResponse { program: Some(convert::program(&program, &periods)), revision })
}

/// `ListPrograms`.
pub(super) async fn list_programs(
    app: &App,
    caller: &Caller,
    sent: &pb::ListProgramsRequest,
) -> Result<pb::ListProgramsResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let funder = reader.optional_id("funder_id", &sent.funder_id, OrganizationId::new);
    let prefix = reader.optional("code_prefix", &sent.code_prefix, Code::parse);
    let ((page, funder), _prefix) = reader.finish(page.zip(funder).zip(prefix))?;
    let filter = ProgramFilter {
        funder: funder.map(OrganizationId::uuid),
        code_prefix: sent.code_prefix.clone(),
        ..ProgramFilter::default()
    };
    let found = app.list_programs(caller, filter, page).await?;
    Ok(pb::ListProgramsResponse {
        programs: found.rows.iter().map(|row| convert::program(row, &[])).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

/// `GetAllocation`.
pub(super) async fn get_allocation(
    app: &App,
    caller: &Caller,
    sent: &pb::GetAllocationRequest,
) -> Result<pb::GetAllocationResponse, Error> {
    let mut reader = Reader::default();
    let program = reader.id("program_id", &sent.program_id, ProgramId::new);
    let id = reader.id("allocation_id", &sent.allocation_id, AllocationId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let ((program, id), min_revision) = reader.finish(program.zip(id).zip(min_revision))?;
    let allocation = app.get_allocation(caller, program, id, min_revision).await?;
    Ok(pb::GetAllocationResponse { allocation: Some(convert::allocation(&allocation)) })
}

/// `ListAllocations`.
pub(super) async fn list_allocations(
    app: &App,
    caller: &Caller,
    sent: &pb::ListAllocationsRequest,
) -> Result<pb::ListAllocationsResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let program = reader.id("program_id", &sent.program_id, ProgramId::new);
    let period = reader.id("period_id", &sent.period_id, PeriodId::new);
    let top = reader.optional_id("allocation_id", &sent.allocation_id, AllocationId::new);
    let depth = reader.depth("max_depth", sent.max_depth);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let all = page.zip(program.zip(period)).zip(top.zip(depth)).zip(min_revision);
    let (((page, tree), (top, depth)), min_revision) = reader.finish(all)?;
    let found = app.list_allocations(caller, tree, top, depth, min_revision, page).await?;
    Ok(pb::ListAllocationsResponse {
        allocations: found.rows.iter().map(convert::allocation).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

/// `GetEntry`.
pub(super) async fn get_entry(
    app: &App,
    caller: &Caller,
    sent: &pb::GetEntryRequest,
) -> Result<pb::GetEntryResponse, Error> {
    let mut reader = Reader::default();
    let program = reader.id("program_id", &sent.program_id, ProgramId::new);
    let id = reader.id("entry_id", &sent.entry_id, EntryId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let ((program, id), min_revision) = reader.finish(program.zip(id).zip(min_revision))?;
    let (stored, reversed_by) = app.get_entry(caller, program, id, min_revision).await?;
    Ok(pb::GetEntryResponse {
        posted: Some(message(stored)),
        reversed_by: reversed_by.map(|id| id.to_string()).unwrap_or_default(),
    })
}

fn message(stored: Bytes) -> EntryPosted {
    EntryPosted { stored, previous_revision: 0 }
}

/// `ListEntries`.
pub(super) async fn list_entries(
    app: &App,
    caller: &Caller,
    sent: &pb::ListEntriesRequest,
) -> Result<pb::ListEntriesResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let program = reader.id("program_id", &sent.program_id, ProgramId::new);
    let allocation = reader.optional_id("allocation_id", &sent.allocation_id, AllocationId::new);
    let after = reader.revision("after_revision", sent.after_revision);
    let from = sent.effective_from.map(|day| reader.date("effective_from", Some(day)));
    let to = sent.effective_to.map(|day| reader.date("effective_to", Some(day)));
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let all = page.zip(program).zip(allocation).zip(after).zip(min_revision);
    let ((((page, program), allocation), after_revision), min_revision) = reader.finish(all)?;
    let filter = EntryFilter { program, allocation, after_revision, from: from.flatten(), to: to.flatten() };
    let found = app.list_entries(caller, filter, min_revision, page).await?;
    Ok(pb::ListEntriesResponse {
        entries: found.rows.into_iter().map(message).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

/// `GetObligation`.
pub(super) async fn get_obligation(
    app: &App,
    caller: &Caller,
    sent: &pb::GetObligationRequest,
) -> Result<pb::GetObligationResponse, Error> {
    let mut reader = Reader::default();
    let program = reader.id("program_id", &sent.program_id, ProgramId::new);
    let id = reader.id("obligation_id", &sent.obligation_id, ObligationId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let ((program, id), min_revision) = reader.finish(program.zip(id).zip(min_revision))?;
    let obligation = app.get_obligation(caller, program, id, min_revision).await?;
    Ok(pb::GetObligationResponse { obligation: Some(convert::obligation(program, &obligation)) })
}

/// `ListObligations`.
pub(super) async fn list_obligations(
    app: &App,
    caller: &Caller,
    sent: &pb::ListObligationsRequest,
) -> Result<pb::ListObligationsResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let program = reader.id("program_id", &sent.program_id, ProgramId::new);
    let allocation = reader.optional_id("allocation_id", &sent.allocation_id, AllocationId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let all = page.zip(program).zip(allocation).zip(min_revision);
    let (((page, program), allocation), min_revision) = reader.finish(all)?;
    let open_only = sent.open_only;
    let found = app.list_obligations(caller, program, allocation, open_only, min_revision, page).await?;
    Ok(pb::ListObligationsResponse {
        obligations: found.rows.iter().map(|row| convert::obligation(program, row)).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}
