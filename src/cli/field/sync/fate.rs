//! What a refusal means for what was sent. Only the service itself can refuse for good: such a refusal names the
//! service's own domain. Everything else, such as what a proxy or a login page of a network answers, is a bad link.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, RpcStatusExt as _, StatusExt as _};

/// The domain in the service's refusals.
const DOMAIN: &str = "safelane.v1";

/// What a refusal means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It will never be taken as it is.
    Final(String),
    /// It may be taken later, after the delay if there is one.
    Later(String, Option<Duration>),
    /// The caller may not call at all.
    Denied(String),
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
    match code {
        Code::InvalidArgument | Code::AlreadyExists | Code::FailedPrecondition | Code::NotFound => {
            Fate::Final(told)
        }
        // The base was replaced. Other aborts are conflicts that pass.
        Code::Aborted if info.reason.ends_with("STALE_REVISION") => Fate::Final(told),
        Code::Unauthenticated | Code::PermissionDenied => Fate::Denied(told),
        _ => Fate::Later(told, wait),
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
        assert!(matches!(own(Code::InvalidArgument, "ERROR_REASON_FIELD_INVALID"), Fate::Final(_)));
        assert!(matches!(own(Code::Aborted, "ERROR_REASON_STALE_REVISION"), Fate::Final(_)));
        assert!(matches!(own(Code::Aborted, "ERROR_REASON_CONTENDED"), Fate::Later(..)));
        assert!(matches!(own(Code::Unavailable, "ERROR_REASON_DRAINING"), Fate::Later(..)));
        assert!(matches!(own(Code::ResourceExhausted, "ERROR_REASON_QUOTA_EXCEEDED"), Fate::Later(..)));
        assert!(matches!(own(Code::Unauthenticated, "ERROR_REASON_UNAUTHENTICATED"), Fate::Denied(_)));
        for code in [Code::InvalidArgument, Code::PermissionDenied, Code::Unauthenticated, Code::NotFound] {
            assert!(matches!(refused(code, "login.example", "X"), Fate::Later(..)), "{code:?}");
            assert!(matches!(of_status(&Status::new(code, "<html>")), Fate::Later(..)), "{code:?}");
        }
    }
}
