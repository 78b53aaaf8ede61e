//! The only table from errors to gRPC codes, reasons and details. The codes and the groups of refusals have no
//! wildcard, so a new error must choose; a test provokes every reason.

mod refusals;

use std::collections::HashMap;

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::domain::refusal::Refusal;
use crate::error::{Away, Error, Violations};
use crate::rpc::MESSAGE_BYTES_MAX;
use crate::rpc::pb::ErrorReason;
use crate::telemetry::current_trace_id;

use refusals::refused;

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
        Code::OutOfRange if large => format!("is larger than {} bytes; send less at a time", limit_in(text)),
        _ => return None,
    };
    Some(status(&Violations::one("request", rule)))
}

/// The limit that a decoder's words name: services differ.
fn limit_in(text: &str) -> usize {
    let named = text.rsplit_once("the limit is: ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    named.unwrap_or(MESSAGE_BYTES_MAX)
}

/// Why something was refused, in the word of the contract.
#[must_use]
pub fn reason_of(refusal: &Refusal) -> ErrorReason {
    refused(refusal).0
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
        Error::Refused(refusal) => add_rules(details, refusal, reason),
        Error::Quota { what, .. } | Error::TooLarge { what, .. } => {
            details.add_quota_failure_violation(*what, error.to_string());
        }
        Error::AlreadyExists { .. }
        | Error::Stale { .. }
        | Error::Contended
        | Error::Unauthenticated
        | Error::Forbidden
        | Error::Lost { .. }
        | Error::Unavailable(_)
        | Error::DeadlineExceeded
        | Error::Panicked
        | Error::Internal(_) => {}
    }
    if let Some(wait) = error.retry_after() {
        details.set_retry_info(Some(wait));
    }
}

/// Every rule that a refusal names, each as a violation of its own, so that a caller mends them in one go.
fn add_rules(details: &mut ErrorDetails, refusal: &Refusal, reason: ErrorReason) {
    match refusal {
        Refusal::AssignmentRefused { findings, .. } => {
            for finding in findings {
                details.add_precondition_failure_violation(RULE, finding.reason.word(), &finding.text);
            }
        }
        Refusal::AreaCredited { parts, .. } => {
            for (_, text) in parts {
                details.add_precondition_failure_violation(RULE, reason.as_str_name(), text);
            }
        }
        Refusal::NotReady { missing, .. } => {
            for text in missing {
                details.add_precondition_failure_violation(RULE, reason.as_str_name(), text);
            }
        }
        _ => {
            details.add_precondition_failure_violation(RULE, reason.as_str_name(), refusal.to_string());
        }
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
        Error::TooLarge { field, what, size, max, .. } => {
            let facts = vec![
                ("what", (*what).to_owned()),
                ("max", max.to_string()),
                ("field", (*field).to_owned()),
                ("size", size.to_string()),
            ];
            (Code::ResourceExhausted, ErrorReason::QuotaExceeded, facts)
        }
        Error::Lost { sha256 } => (Code::DataLoss, ErrorReason::FileLost, vec![("sha256", sha256.clone())]),
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
        Away::Files => ErrorReason::FilesAway,
    }
}
