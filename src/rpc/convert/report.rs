//! Budget reports and stream messages for the wire.

use std::time::Duration;

use crate::app::stream::{Body, Message};
use crate::app::verify::{Verdict, Verification};
use crate::domain::report::{BudgetReport, Profile, ReportRow, Totals, cost_per_m2};
use crate::rpc::convert::outputs::outputs;
use crate::rpc::convert::{buckets, period, purpose, timestamp};
use crate::rpc::pb;
use crate::rpc::pb::stream_budget_report_response::Message as Sent;
use crate::rpc::stored::EntryPosted;

/// A span of time for the wire.
#[must_use]
pub fn duration(of: Duration) -> prost_types::Duration {
    // Spans here are minutes at most; a longer one is cut.
    prost_types::Duration {
        seconds: i64::try_from(of.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(of.subsec_nanos()).unwrap_or(0),
    }
}

/// Reads a profile.
#[must_use]
pub const fn profile(of: pb::ReportProfile) -> Profile {
    match of {
        pb::ReportProfile::Unspecified => Profile::Safelane,
        pb::ReportProfile::UsFederal => Profile::UsFederal,
        pb::ReportProfile::Iati => Profile::Iati,
        pb::ReportProfile::Fts => Profile::Fts,
    }
}

/// A report.
#[must_use]
pub fn budget_report(of: &BudgetReport, profile: Profile) -> pb::BudgetReport {
    let column = |(bucket, label): (&str, &str)| pb::ReportColumn {
        bucket: bucket.to_owned(),
        label: label.to_owned(),
    };
    pb::BudgetReport {
        program_id: of.program.to_string(),
        period_id: of.period.map(|id| id.to_string()).unwrap_or_default(),
        revision: of.revision,
        as_of: Some(timestamp(of.as_of)),
        currency_code: of.currency.to_string(),
        minor_unit_exponent: of.currency.exponent().into(),
        columns: profile.columns().map(column).to_vec(),
        rows: of.rows.iter().map(row).collect(),
        totals: Some(totals(&of.totals)),
    }
}

fn row(row: &ReportRow) -> pb::BudgetReportRow {
    let of = &row.allocation;
    pb::BudgetReportRow {
        allocation_id: of.id.to_string(),
        period_id: of.period.to_string(),
        parent_id: of.parent.map(|id| id.to_string()).unwrap_or_default(),
        code: of.code.to_string(),
        title: of.title.as_str().to_owned(),
        purpose: purpose(of.purpose).into(),
        country_code: of.country.map(|country| country.as_str().to_owned()).unwrap_or_default(),
        depth: i32::try_from(of.depth()).unwrap_or(i32::MAX),
        buckets: Some(buckets(&of.balance.buckets)),
        open_obligations: of.balance.open_obligations,
        approved: Some(outputs(&row.approved)),
        provisional: row.provisional.as_ref().map(outputs),
        cost_per_m2_released: cost_per_m2(of.balance.buckets.expended, &row.approved),
    }
}

fn totals(of: &Totals) -> pb::BudgetTotals {
    pb::BudgetTotals {
        received: of.received,
        available: of.available,
        reserved: of.reserved,
        obligated: of.obligated,
        advanced: of.advanced,
        expended: of.expended,
        open_obligations: of.open_obligations,
        approved: Some(outputs(&of.approved)),
        provisional: of.provisional.as_ref().map(outputs),
        cost_per_m2_released: cost_per_m2(of.expended, &of.approved),
    }
}

/// A message of the budget stream.
#[must_use]
pub fn stream_message(of: Message) -> pb::StreamBudgetReportResponse {
    let resume_token = of.resume_token;
    let message = match of.body {
        Body::Begin { revision, feed_epoch, progress_interval, currency } => Sent::Begin(pb::StreamBegin {
            revision,
            feed_epoch: feed_epoch.to_string(),
            progress_interval: Some(duration(progress_interval)),
            currency_code: currency.to_string(),
            minor_unit_exponent: currency.exponent().into(),
        }),
        Body::Snapshot(rows) => Sent::Snapshot(pb::StreamSnapshot { rows: rows.iter().map(row).collect() }),
        Body::SnapshotEnd { revision, row_count, totals: sums } => Sent::SnapshotEnd(pb::StreamSnapshotEnd {
            revision,
            row_count: i64::try_from(row_count).unwrap_or(i64::MAX),
            totals: Some(totals(&sums)),
        }),
        Body::Report { revision, rows, totals: sums } => Sent::Report(pb::StreamReport {
            revision,
            rows: rows.iter().map(row).collect(),
            totals: Some(totals(&sums)),
        }),
        Body::Entry { payload, previous_revision } => {
            Sent::Entry(EntryPosted { stored: payload, previous_revision })
        }
        Body::Progress { revision, lag } => {
            Sent::Progress(pb::StreamProgress { revision, lag: Some(duration(lag)) })
        }
        Body::PeriodChanged { revision, period: changed } => {
            Sent::PeriodChanged(pb::StreamPeriodChanged { revision, period: Some(period(&changed)) })
        }
        Body::Reconnect { after } => Sent::Reconnect(pb::StreamReconnect {
            resume_token: resume_token.clone(),
            after: Some(duration(after)),
        }),
    };
    pb::StreamBudgetReportResponse { resume_token, message: Some(message) }
}

/// A message of a verification.
#[must_use]
pub fn verification(of: Verification) -> pb::VerifyLedgerResponse {
    use pb::verify_ledger_response::Message as Told;
    let message = match of {
        Verification::Progress { revision, head_revision } => {
            Told::Progress(pb::VerifyProgress { revision, head_revision })
        }
        Verification::Verdict(verdict) => Told::Verdict(verdict_out(verdict)),
    };
    pb::VerifyLedgerResponse { message: Some(message) }
}

fn verdict_out(of: Verdict) -> pb::VerifyVerdict {
    let invariants = of.invariants.iter().map(|invariant| pb::InvariantVerdict {
        name: invariant.name.to_owned(),
        meaning: invariant.meaning.to_owned(),
        holds: invariant.differences == 0,
        differences: invariant.differences,
    });
    pb::VerifyVerdict {
        holds: of.holds(),
        revision: of.revision,
        events_read: of.events_read,
        entries_read: of.entries_read,
        invariants: invariants.collect(),
        first_difference: of.first_difference.unwrap_or_default(),
    }
}
