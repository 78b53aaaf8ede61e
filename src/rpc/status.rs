//! The only table from errors to gRPC codes, reasons and details. The codes and the groups of refusals have no
//! wildcard, so a new error must choose; a test provokes every reason.

use std::collections::HashMap;

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::domain::ids::AllocationId;
use crate::domain::refusal::Refusal;
use crate::error::{Away, Error, Violations};
use crate::rpc::MESSAGE_BYTES_MAX;
use crate::rpc::pb::ErrorReason;
use crate::telemetry::current_trace_id;

/// Domain of every `ErrorInfo`.
pub const DOMAIN: &str = "safelane.v1";
/// Trailer by which gRPC clients learn how long to wait before a retry (gRFC A6).
const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// Ids in the metadata of a status that travels in headers: clients take 8 to 16 KiB of those.
const LISTED_MAX: usize = 50;
/// Type of every `PreconditionFailure` violation.
const RULE: &str = "RULE";

/// Facts for `ErrorInfo.metadata`.
type Facts = Vec<(&'static str, String)>;

/// The status of an error. A fault is logged here, once.
#[must_use]
pub fn status(error: &Error) -> Status {
    listing(error, LISTED_MAX)
}

/// The status of an error that lists at most so many ids.
fn listing(error: &Error, listed_max: usize) -> Status {
    let (code, reason, mut facts) = classify(error);
    if let Some((_, ids)) = facts.iter_mut().find(|(key, _)| *key == "also_blocking") {
        let listed: Vec<&str> = ids.split(',').take(listed_max).collect();
        *ids = listed.join(",");
    }
    if let Error::Internal(source) = error {
        tracing::error!(error = %chain(source.as_ref()), "a call failed by a fault of the service");
    }
    if code == Code::Internal {
        facts.extend(current_trace_id().map(|id| ("trace_id", id)));
    }
    let mut details = ErrorDetails::with_error_info(reason.as_str_name(), DOMAIN, metadata(facts));
    add_details(&mut details, error, reason);
    let mut status = Status::with_error_details(code, error.to_string(), details);
    if let (Code::Unavailable, Some(wait)) = (code, error.retry_after())
        && let Ok(value) = MetadataValue::try_from(wait.as_millis().to_string())
    {
        status.metadata_mut().insert(PUSHBACK, value);
    }
    status
}

/// What a caller is told whose request could not be taken in: it is not a message of the method, or too large.
/// The generated code (tonic 0.14) answers those in its own words and partly as `INTERNAL`; here is the one
/// place that knows them. None for any other status.
#[must_use]
pub fn not_taken_in(told: &Status) -> Option<Status> {
    let text = told.message();
    let broken = text.starts_with("failed to decode Protobuf message")
        || ["Missing request message.", "Unexpected EOF decoding stream."].contains(&text);
    let large = text.starts_with("Error, decoded message length too large");
    let rule = match told.code() {
        Code::Internal if broken => "is not a message of this method; check the proto files".to_owned(),
        Code::OutOfRange if large => format!("is larger than {MESSAGE_BYTES_MAX} bytes; send less at a time"),
        _ => return None,
    };
    Some(status(&Violations::one("request", rule)))
}

/// The same as a message inside a stream.
#[must_use]
pub fn in_band(error: &Error) -> tonic_types::Status {
    let status = listing(error, usize::MAX);
    // The details of a status are an encoded google.rpc.Status; one that does not decode has none.
    prost::Message::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        status(&error)
    }
}

fn metadata(facts: Facts) -> HashMap<String, String> {
    facts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(deeper) = source {
        told.push_str(": ");
        told.push_str(&deeper.to_string());
        source = deeper.source();
    }
    told
}

fn add_details(details: &mut ErrorDetails, error: &Error, reason: ErrorReason) {
    match error {
        Error::Invalid(violations) => {
            for violation in violations.list() {
                details.add_bad_request_violation(&violation.field, &violation.rule);
            }
        }
        Error::PageToken => {
            details.add_bad_request_violation("page_token", error.to_string());
        }
        Error::ResumeToken => {
            details.add_bad_request_violation("resume_token", error.to_string());
        }
        Error::NotFound { kind, id } => {
            details.set_resource_info(kind.to_string(), id, "", error.to_string());
        }
        Error::Refused(refusal) => {
            details.add_precondition_failure_violation(RULE, reason.as_str_name(), refusal.to_string());
        }
        Error::Quota { what, .. } => {
            details.add_quota_failure_violation(*what, error.to_string());
        }
        Error::AlreadyExists { .. }
        | Error::Stale { .. }
        | Error::Contended
        | Error::Unauthenticated
        | Error::Forbidden
        | Error::Unavailable(_)
        | Error::DeadlineExceeded
        | Error::Panicked
        | Error::Internal(_) => {}
    }
    if let Some(wait) = error.retry_after() {
        details.set_retry_info(Some(wait));
    }
}

fn classify(error: &Error) -> (Code, ErrorReason, Facts) {
    match error {
        Error::Invalid(_) => (Code::InvalidArgument, ErrorReason::FieldInvalid, Vec::new()),
        Error::PageToken => (Code::InvalidArgument, ErrorReason::PageTokenInvalid, Vec::new()),
        Error::ResumeToken => (Code::InvalidArgument, ErrorReason::ResumeTokenInvalid, Vec::new()),
        Error::NotFound { kind, id } => {
            let facts = vec![("kind", kind.to_string()), ("id", id.clone())];
            (Code::NotFound, ErrorReason::NotFound, facts)
        }
        Error::AlreadyExists { kind, id, differs } => {
            let facts = vec![("kind", kind.to_string()), ("id", id.clone()), ("differs", differs.clone())];
            (Code::AlreadyExists, ErrorReason::IdTaken, facts)
        }
        Error::Refused(refusal) => {
            let (reason, facts) = refused(refusal);
            (Code::FailedPrecondition, reason, facts)
        }
        Error::Stale { expected, current, .. } => {
            let facts = vec![("expected", expected.to_string()), ("current", current.to_string())];
            (Code::Aborted, ErrorReason::StaleRevision, facts)
        }
        Error::Contended => (Code::Aborted, ErrorReason::Contended, Vec::new()),
        Error::Unauthenticated => (Code::Unauthenticated, ErrorReason::Unauthenticated, Vec::new()),
        Error::Forbidden => (Code::PermissionDenied, ErrorReason::PermissionDenied, Vec::new()),
        Error::Quota { what, max } => {
            let facts = vec![("what", (*what).to_owned()), ("max", max.to_string())];
            (Code::ResourceExhausted, ErrorReason::QuotaExceeded, facts)
        }
        Error::Unavailable(away) => (Code::Unavailable, away_reason(*away), Vec::new()),
        Error::DeadlineExceeded => (Code::DeadlineExceeded, ErrorReason::DeadlineExceeded, Vec::new()),
        Error::Internal(_) | Error::Panicked => (Code::Internal, ErrorReason::Internal, Vec::new()),
    }
}

const fn away_reason(away: Away) -> ErrorReason {
    match away {
        Away::Database => ErrorReason::DatabaseAway,
        Away::OutcomeUnknown => ErrorReason::OutcomeUnknown,
        Away::Draining => ErrorReason::Draining,
        Away::Overloaded => ErrorReason::Overloaded,
    }
}

/// The reason and the facts of a refusal, by the comments of `error_reason.proto`.
fn refused(refusal: &Refusal) -> (ErrorReason, Facts) {
    match refusal {
        Refusal::InsufficientAvailable { .. }
        | Refusal::InsufficientReserved { .. }
        | Refusal::InsufficientObligated { .. }
        | Refusal::InsufficientAdvanced { .. }
        | Refusal::DrawNotNeeded { .. }
        | Refusal::AmountTooLarge(_) => refused_funds(refusal),
        Refusal::PeriodExpired { .. }
        | Refusal::PeriodClosed { .. }
        | Refusal::PeriodNotOpen { .. }
        | Refusal::PeriodNotExpired { .. }
        | Refusal::PeriodNotSettled { .. }
        | Refusal::EffectiveOutsidePeriod { .. }
        | Refusal::EffectiveBeforeEntry { .. }
        | Refusal::BaseChanged { .. }
        | Refusal::IncreaseIsZero { .. }
        | Refusal::SamePeriod(_) => refused_period(refusal),
        Refusal::NotALeaf { .. }
        | Refusal::AllocationInUse(_)
        | Refusal::AllocationTooDeep { .. }
        | Refusal::RootHasNoParent(_)
        | Refusal::ReservationElsewhere { .. }
        | Refusal::NothingToPushDown(_)
        | Refusal::WrongPurpose { .. }
        | Refusal::OtherPeriod { .. } => refused_tree(refusal),
        Refusal::CodeTaken { .. }
        | Refusal::LimitReached { .. }
        | Refusal::AlreadyReversed { .. }
        | Refusal::NotReversible(_)
        | Refusal::WrongOrganizationKind { .. }
        | Refusal::RevisionAhead { .. }
        | Refusal::OtherEpoch { .. } => refused_other(refusal),
        // These become NOT_FOUND, ALREADY_EXISTS or ABORTED before they get here.
        Refusal::UnknownPeriod(_)
        | Refusal::UnknownAllocation(_)
        | Refusal::UnknownReservation(_)
        | Refusal::UnknownObligation(_)
        | Refusal::UnknownEntry(_)
        | Refusal::PeriodTaken(_)
        | Refusal::ReservationTaken(_)
        | Refusal::ObligationTaken(_)
        | Refusal::AllocationTaken(_)
        | Refusal::Stale { .. } => (ErrorReason::Unspecified, Vec::new()),
    }
}

fn refused_funds(refusal: &Refusal) -> (ErrorReason, Facts) {
    let short = |key, id: String, remaining: i64, requested: i64| {
        vec![
            (key, id),
            ("remaining", remaining.to_string()),
            ("requested", requested.to_string()),
            ("shortfall", requested.saturating_sub(remaining).to_string()),
        ]
    };
    match refusal {
        Refusal::InsufficientAvailable { allocation, available, requested, currency, also } => {
            let mut facts = vec![
                ("allocation_id", allocation.to_string()),
                ("available", available.to_string()),
                ("requested", requested.to_string()),
                ("currency", currency.to_string()),
            ];
            if !also.is_empty() {
                facts.push(("also_blocking_count", also.len().to_string()));
                facts.push(("also_blocking", join(also)));
            }
            (ErrorReason::InsufficientAvailable, facts)
        }
        Refusal::InsufficientReserved { reservation, remaining, requested } => {
            let facts = short("reservation_id", reservation.to_string(), *remaining, *requested);
            (ErrorReason::InsufficientReserved, facts)
        }
        Refusal::InsufficientObligated { obligation, remaining, requested } => {
            let facts = short("obligation_id", obligation.to_string(), *remaining, *requested);
            (ErrorReason::InsufficientObligated, facts)
        }
        Refusal::InsufficientAdvanced { obligation, remaining, requested } => {
            let facts = short("obligation_id", obligation.to_string(), *remaining, *requested);
            (ErrorReason::InsufficientAdvanced, facts)
        }
        Refusal::DrawNotNeeded { obligation, remaining, left } => {
            let facts = vec![
                ("obligation_id", obligation.to_string()),
                ("remaining", remaining.to_string()),
                ("left", left.to_string()),
            ];
            (ErrorReason::DrawNotNeeded, facts)
        }
        Refusal::AmountTooLarge(id) => (ErrorReason::AmountTooLarge, vec![("allocation_id", id.to_string())]),
        _ => (ErrorReason::Unspecified, Vec::new()),
    }
}

fn refused_period(refusal: &Refusal) -> (ErrorReason, Facts) {
    match refusal {
        Refusal::PeriodExpired { period, action } => {
            let facts = vec![("period_id", period.to_string()), ("action", (*action).to_owned())];
            (ErrorReason::PeriodExpired, facts)
        }
        Refusal::PeriodClosed { period, action } => {
            let facts = vec![("period_id", period.to_string()), ("action", (*action).to_owned())];
            (ErrorReason::PeriodClosed, facts)
        }
        Refusal::PeriodNotOpen { period, state } => {
            let facts = vec![("period_id", period.to_string()), ("state", state.word().to_owned())];
            (ErrorReason::PeriodNotOpen, facts)
        }
        Refusal::PeriodNotExpired { period, state } => {
            let facts = vec![("period_id", period.to_string()), ("state", state.word().to_owned())];
            (ErrorReason::PeriodNotExpired, facts)
        }
        Refusal::PeriodNotSettled { period, reserved, obligated, advanced, allocations } => {
            let facts = vec![
                ("period_id", period.to_string()),
                ("reserved", reserved.to_string()),
                ("obligated", obligated.to_string()),
                ("advanced", advanced.to_string()),
                ("allocation_ids", join(allocations)),
            ];
            (ErrorReason::PeriodNotSettled, facts)
        }
        Refusal::EffectiveOutsidePeriod { period, effective_on, first_day, last_day } => {
            let facts = vec![
                ("period_id", period.to_string()),
                ("effective_on", effective_on.to_string()),
                ("first_day", first_day.to_string()),
                ("last_day", last_day.to_string()),
            ];
            (ErrorReason::EffectiveOutsidePeriod, facts)
        }
        Refusal::EffectiveBeforeEntry { entry, effective_on, earliest } => {
            let facts = vec![
                ("entry_id", entry.to_string()),
                ("effective_on", effective_on.to_string()),
                ("earliest", earliest.to_string()),
            ];
            (ErrorReason::EffectiveBeforeEntry, facts)
        }
        Refusal::BaseChanged { period, base_revision, authorization_revision } => {
            let facts = vec![
                ("period_id", period.to_string()),
                ("base_revision", base_revision.to_string()),
                ("authorization_revision", authorization_revision.to_string()),
            ];
            (ErrorReason::BaseChanged, facts)
        }
        Refusal::IncreaseIsZero { period, base, percent_ppm } => {
            let facts = vec![
                ("period_id", period.to_string()),
                ("base", base.to_string()),
                ("percent_ppm", percent_ppm.to_string()),
            ];
            (ErrorReason::IncreaseIsZero, facts)
        }
        Refusal::SamePeriod(id) => (ErrorReason::SamePeriod, vec![("period_id", id.to_string())]),
        _ => (ErrorReason::Unspecified, Vec::new()),
    }
}

fn refused_tree(refusal: &Refusal) -> (ErrorReason, Facts) {
    let of = |id: &AllocationId| vec![("allocation_id", id.to_string())];
    match refusal {
        Refusal::NotALeaf { allocation, child_count } => {
            let mut facts = of(allocation);
            facts.push(("child_count", child_count.to_string()));
            (ErrorReason::NotALeaf, facts)
        }
        Refusal::AllocationInUse(id) => (ErrorReason::AllocationInUse, of(id)),
        Refusal::AllocationTooDeep { parent, depth } => {
            let max = crate::domain::program::DEPTH_MAX.to_string();
            let facts = vec![("parent_id", parent.to_string()), ("depth", depth.to_string()), ("max", max)];
            (ErrorReason::AllocationTooDeep, facts)
        }
        Refusal::RootHasNoParent(id) => (ErrorReason::RootHasNoParent, of(id)),
        Refusal::ReservationElsewhere { reservation, allocation } => {
            let mut facts = of(allocation);
            facts.push(("reservation_id", reservation.to_string()));
            (ErrorReason::ReservationElsewhere, facts)
        }
        Refusal::NothingToPushDown(id) => (ErrorReason::NothingToPushDown, of(id)),
        Refusal::WrongPurpose { purpose, parent } => {
            let facts =
                vec![("purpose", purpose.word().to_owned()), ("parent_purpose", parent.word().to_owned())];
            (ErrorReason::WrongPurpose, facts)
        }
        Refusal::OtherPeriod { parent, period } => {
            let facts = vec![("parent_id", parent.to_string()), ("period_id", period.to_string())];
            (ErrorReason::OtherPeriod, facts)
        }
        _ => (ErrorReason::Unspecified, Vec::new()),
    }
}

fn refused_other(refusal: &Refusal) -> (ErrorReason, Facts) {
    match refusal {
        Refusal::CodeTaken { kind, code } => {
            (ErrorReason::CodeTaken, vec![("kind", kind.to_string()), ("code", code.to_string())])
        }
        Refusal::LimitReached { what, max } => {
            (ErrorReason::LimitReached, vec![("what", (*what).to_owned()), ("max", max.to_string())])
        }
        Refusal::AlreadyReversed { entry, by } => {
            let facts = vec![("entry_id", entry.to_string()), ("reversed_by", by.to_string())];
            (ErrorReason::AlreadyReversed, facts)
        }
        Refusal::NotReversible(id) => (ErrorReason::NotReversible, vec![("entry_id", id.to_string())]),
        Refusal::WrongOrganizationKind { organization, kind, required } => {
            let facts = vec![
                ("organization_id", organization.to_string()),
                ("kind", kind.to_string()),
                ("required", required.to_string()),
            ];
            (ErrorReason::WrongOrganizationKind, facts)
        }
        Refusal::RevisionAhead { requested, revision } => {
            let facts = vec![("requested", requested.to_string()), ("revision", revision.to_string())];
            (ErrorReason::RevisionAhead, facts)
        }
        Refusal::OtherEpoch { token_epoch, feed_epoch } => {
            let facts =
                vec![("token_epoch", token_epoch.to_string()), ("feed_epoch", feed_epoch.to_string())];
            (ErrorReason::ResumeTokenEpoch, facts)
        }
        _ => (ErrorReason::Unspecified, Vec::new()),
    }
}

fn join(ids: &[AllocationId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
