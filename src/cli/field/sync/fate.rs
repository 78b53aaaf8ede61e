//! What a refusal means for what was sent. Only the service itself can refuse for good: such a refusal names the
//! service's own domain. Everything else, such as what a proxy or a login page of a network answers, is a bad link.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, RpcStatusExt as _, StatusExt as _};

/// The domain in the service's refusals.
const DOMAIN: &str = "safelane.v1";
/// In which field a report differs that another operator has.
const ELSEWHERE: &str = "report.team_id";
/// What a report has too much of.
const TOO_LARGE: &str = "bytes of a report";

/// The way out where a report counts.
const COUNTS: &str = "; no device changes this report any more: tell the office, whose coordinator changes what counts of it \
                      by AmendReport";
/// The way out where it does not.
const GONE: &str =
    "; this report counts no more: if the work was done, capture it as a new report, and tell the office";

/// What a refusal means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It will never be taken as it is.
    Final(String, Why),
    /// The service put off this one thing, and may take others. Not before the delay, if there is one.
    PutOff(String, Option<Duration>),
    /// Nothing may be taken now, after the delay if there is one.
    Later(String, Option<Duration>),
    /// The caller may not call at all.
    Denied(String),
}

/// Why something is refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The service has other content under the id.
    Taken,
    /// Another version replaced the base; the newest one, if the service names it.
    Replaced(Option<i32>),
    /// A reviewer's decision is final.
    Closed,
    /// Another operator has it.
    Elsewhere,
    /// Anything else.
    Other,
}

/// The fate of a call.
pub(super) fn of_status(status: &Status) -> Fate {
    fate(status.code(), status.message(), &status.get_error_details())
}

/// The fate of one report in a stream.
pub(super) fn of_answer(status: &tonic_types::Status) -> Fate {
    fate(Code::from(status.code), &status.message, &status.get_error_details())
}

fn fate(code: Code, message: &str, details: &ErrorDetails) -> Fate {
    let wait = details.retry_info().and_then(|info| info.retry_delay);
    let info = details.error_info().filter(|info| info.domain == DOMAIN);
    let Some(info) = info else {
        return Fate::Later(format!("{code:?}: {message}"), wait);
    };
    let told = format!("{message} [{}]", info.reason);
    let fact = |name: &str| info.metadata.get(name).map_or("", String::as_str);
    match (code, info.reason.trim_start_matches("ERROR_REASON_")) {
        // A service of before it stored such reports without the details; and it may be this one file that the store does
        // not give or take.
        (_, "PERSONAL_KEY_MISSING") | (Code::Unavailable, "FILES_AWAY") => Fate::PutOff(told, wait),
        (Code::AlreadyExists, _) if fact("differs") == ELSEWHERE => Fate::Final(told, Why::Elsewhere),
        (Code::AlreadyExists, _) => Fate::Final(told, Why::Taken),
        (Code::Aborted, "STALE_REVISION") => Fate::Final(told, Why::Replaced(fact("current").parse().ok())),
        (_, "WRONG_STATE") if fact("state") == "APPROVED" => {
            Fate::Final(format!("{told}{COUNTS}"), Why::Closed)
        }
        (_, "WRONG_STATE") => Fate::Final(format!("{told}{GONE}"), Why::Closed),
        (Code::InvalidArgument | Code::FailedPrecondition | Code::NotFound, _) => {
            Fate::Final(told, Why::Other)
        }
        // No quota grows with time that is below the size of one report.
        (Code::ResourceExhausted, _) if fact("what") == TOO_LARGE => Fate::Final(told, Why::Other),
        (Code::Unauthenticated | Code::PermissionDenied, _) => Fate::Denied(told),
        (Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled, _) => Fate::Later(told, wait),
        _ => Fate::PutOff(told, wait),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code, domain: &str, reason: &str) -> Fate {
        let details = ErrorDetails::with_error_info(reason, domain, []);
        of_status(&Status::with_error_details(code, "no", details))
    }

    #[test]
    fn only_the_service_refuses_for_good() {
        let own = |code, reason: &str| refused(code, DOMAIN, reason);
        assert!(matches!(
            own(Code::InvalidArgument, "ERROR_REASON_FIELD_INVALID"),
            Fate::Final(_, Why::Other)
        ));
        let stale = own(Code::Aborted, "ERROR_REASON_STALE_REVISION");
        assert!(matches!(stale, Fate::Final(_, Why::Replaced(None))));
        assert!(matches!(own(Code::Aborted, "ERROR_REASON_CONTENDED"), Fate::PutOff(..)));
        assert!(matches!(own(Code::Internal, "ERROR_REASON_INTERNAL"), Fate::PutOff(..)));
        assert!(matches!(own(Code::Unavailable, "ERROR_REASON_DRAINING"), Fate::Later(..)));
        assert!(matches!(own(Code::ResourceExhausted, "ERROR_REASON_QUOTA_EXCEEDED"), Fate::PutOff(..)));
        assert!(matches!(own(Code::Unavailable, "ERROR_REASON_FILES_AWAY"), Fate::PutOff(..)));
        let key = own(Code::FailedPrecondition, "ERROR_REASON_PERSONAL_KEY_MISSING");
        assert!(matches!(key, Fate::PutOff(..)));
        assert!(matches!(own(Code::Unauthenticated, "ERROR_REASON_UNAUTHENTICATED"), Fate::Denied(_)));
        for code in [Code::InvalidArgument, Code::PermissionDenied, Code::Unauthenticated, Code::NotFound] {
            assert!(matches!(refused(code, "login.example", "X"), Fate::Later(..)), "{code:?}");
            assert!(matches!(of_status(&Status::new(code, "<html>")), Fate::Later(..)), "{code:?}");
        }
    }

    #[test]
    fn facts_tell_a_report_that_is_too_large_and_one_of_another_operator() {
        let with = |code, reason: &str, fact: (&str, &str)| {
            let facts = [(fact.0.to_owned(), fact.1.to_owned())];
            let details = ErrorDetails::with_error_info(reason, DOMAIN, facts);
            of_status(&Status::with_error_details(code, "no", details))
        };
        let large = with(Code::ResourceExhausted, "ERROR_REASON_QUOTA_EXCEEDED", ("what", TOO_LARGE));
        assert!(matches!(large, Fate::Final(_, Why::Other)));
        let stale = with(Code::Aborted, "ERROR_REASON_STALE_REVISION", ("current", "3"));
        assert!(matches!(stale, Fate::Final(_, Why::Replaced(Some(3)))));
        let closed = |state| with(Code::FailedPrecondition, "ERROR_REASON_WRONG_STATE", ("state", state));
        for (state, way_out) in
            [("APPROVED", "AmendReport"), ("REJECTED", "a new report"), ("VOIDED", "a new report")]
        {
            assert!(
                matches!(closed(state), Fate::Final(told, Why::Closed) if told.contains(way_out)),
                "{state}"
            );
        }
        for (differs, why) in [(ELSEWHERE, Why::Elsewhere), ("report.note", Why::Taken)] {
            let taken = with(Code::AlreadyExists, "ERROR_REASON_ID_TAKEN", ("differs", differs));
            assert!(matches!(taken, Fate::Final(_, of) if of == why), "{differs}");
        }
    }
}
