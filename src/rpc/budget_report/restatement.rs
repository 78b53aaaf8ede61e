//! Reporting periods and their restatements.

use crate::app::App;
use crate::domain::caller::Caller;
use crate::domain::ids::{ProgramId, ReportingPeriodId};
use crate::domain::kind::Kind;
use crate::error::Error;
use crate::rpc::change::{answered, request as asked};
use crate::rpc::convert::restatement as convert;
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::read::Reader;

pub(super) async fn freeze(
    app: &App,
    caller: &Caller,
    sent: pb::FreezeReportingPeriodRequest,
) -> Result<pb::FreezeReportingPeriodResponse, Error> {
    let mut reader = Reader::default();
    let period = reader.need("reporting_period", sent.reporting_period.as_ref());
    let freeze = period.and_then(|period| convert::read_freeze(&mut reader, period));
    let freeze = reader.finish(freeze)?;
    let method = "BudgetReportService/FreezeReportingPeriod";
    let asked = asked(freeze.id.uuid(), Kind::ReportingPeriod, method, &sent);
    let changed = app.freeze_period(caller, asked, freeze).await?;
    let pick = |record| if let Record::ReportingPeriod(of) = record { Some(of) } else { None };
    let frozen = answered(&changed, pick)?;
    Ok(pb::FreezeReportingPeriodResponse { reporting_period: Some(frozen), revision: changed.revision })
}

pub(super) async fn list(
    app: &App,
    caller: &Caller,
    sent: &pb::ListReportingPeriodsRequest,
) -> Result<pb::ListReportingPeriodsResponse, Error> {
    let mut reader = Reader::default();
    let program = reader.id("program_id", &sent.program_id, ProgramId::new);
    let page = reader.page(sent.page_size, &sent.page_token);
    let revision = reader.revision("min_revision", sent.min_revision);
    let (program, (page, revision)) = reader.finish(program.zip(page.zip(revision)))?;
    let page = app.list_reporting_periods(caller, program, revision, page).await?;
    Ok(pb::ListReportingPeriodsResponse {
        reporting_periods: page.rows.iter().map(convert::reporting_period).collect(),
        next_page_token: page.next.unwrap_or_default(),
    })
}

pub(super) async fn get(
    app: &App,
    caller: &Caller,
    sent: &pb::GetRestatementRequest,
) -> Result<pb::GetRestatementResponse, Error> {
    let mut reader = Reader::default();
    let program = reader.id("program_id", &sent.program_id, ProgramId::new);
    let id = reader.id("reporting_period_id", &sent.reporting_period_id, ReportingPeriodId::new);
    let page = reader.page(sent.page_size, &sent.page_token);
    let revision = reader.revision("min_revision", sent.min_revision);
    let (whose, (page, revision)) = reader.finish(program.zip(id).zip(page.zip(revision)))?;
    let found = app.get_restatement(caller, whose, revision, page).await?;
    Ok(convert::restatement(&found))
}
