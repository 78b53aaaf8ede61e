//! Restatements on the wire.

use crate::app::restatement::FreezePeriod;
use crate::domain::field_report::reference::reference;
use crate::domain::ids::{ProgramId, ReportingPeriodId};
use crate::domain::restatement::{ReportingPeriod, Restated, RestatedRow, Restatement};
use crate::domain::text::Code;
use crate::rpc::convert::field_report::review::credit;
use crate::rpc::convert::outputs::outputs;
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::convert::{date, timestamp};
use crate::rpc::pb;
use crate::rpc::read::Reader;

/// Reads a period to freeze.
pub fn read_freeze(reader: &mut Reader, sent: &pb::ReportingPeriod) -> Option<FreezePeriod> {
    let at = |name: &str| format!("reporting_period.{name}");
    let id = reader.id(&at("reporting_period_id"), &sent.reporting_period_id, ReportingPeriodId::new);
    let program = reader.id(&at("program_id"), &sent.program_id, ProgramId::new);
    let code = reader.parse(&at("code"), Code::parse(&sent.code));
    let days = reader.days("reporting_period.", sent.first_day, sent.last_day);
    Some(FreezePeriod { id: id?, program: program?, code: code?, days: days? })
}

/// A frozen period.
#[must_use]
pub fn reporting_period(of: &ReportingPeriod) -> pb::ReportingPeriod {
    pb::ReportingPeriod {
        reporting_period_id: of.id.to_string(),
        program_id: of.program.to_string(),
        code: of.code.to_string(),
        first_day: Some(date(of.first_day)),
        last_day: Some(date(of.last_day)),
        told: Some(outputs(&of.told)),
        frozen_revision: of.frozen_revision,
        frozen_at: Some(timestamp(of.frozen_at)),
        frozen_by: of.frozen_by.clone(),
    }
}

/// What became of what was told.
#[must_use]
pub fn restatement(of: &Restatement) -> pb::GetRestatementResponse {
    let known = of.known();
    pb::GetRestatementResponse {
        reporting_period: Some(reporting_period(&of.period)),
        revision: of.revision,
        rows: of.rows.iter().map(row).collect(),
        told: Some(outputs(&of.period.told)),
        known: Some(outputs(&known)),
        difference: Some(outputs(&known.minus(&of.period.told))),
        changes: of.changes.iter().map(|change| restated(change, of.period.frozen_revision)).collect(),
        next_page_token: of.next.clone().unwrap_or_default(),
    }
}

fn row(of: &RestatedRow) -> pb::RestatedRow {
    pb::RestatedRow {
        allocation_id: of.allocation.to_string(),
        code: of.code.to_string(),
        told: Some(outputs(&of.told)),
        known: Some(outputs(&of.known)),
        difference: Some(outputs(&of.known.minus(&of.told))),
    }
}

fn restated(of: &Restated, frozen: i64) -> pb::RestatedReport {
    let (cause, reason) = of.why();
    pb::RestatedReport {
        credit: Some(credit(&of.credit)),
        cause: cause.wire(),
        reason: reason.to_owned(),
        difference: Some(outputs(&of.difference(frozen))),
        revision: of.revision(),
        reference: reference(of.credit.report),
    }
}
