//! What tests expect of answers, and the retry that the contract calls safe.

use std::fmt::Debug;

use safelane::rpc::pb;
use safelane::rpc::pb::funding_service_client::FundingServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::desk::reason;

/// Tries of a call whose outcome is unknown or for which there was no room.
const TRIES_MAX: u32 = 200;

/// Expects a refusal with exactly this code, reason and metadata, and the details that belong to the code.
pub(crate) fn refuses<T: Debug>(
    answer: Result<T, Status>,
    code: Code,
    expected: &str,
    facts: &[(&str, &str)],
) -> Status {
    let status = answer.expect_err(expected);
    let (name, metadata) = reason(&status);
    assert_eq!((status.code(), name.as_str()), (code, expected), "{status:?}");
    let mut found: Vec<(&str, &str)> = metadata.iter().map(|(key, value)| (&**key, &**value)).collect();
    let mut wanted = facts.to_vec();
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "metadata of {expected}");
    check_details(&status, expected, facts);
    status
}

/// Expects that a rule says no: `FAILED_PRECONDITION`.
pub(crate) fn says_no<T: Debug>(answer: Result<T, Status>, expected: &str, facts: &[(&str, &str)]) {
    refuses(answer, Code::FailedPrecondition, expected, facts);
}

fn check_details(status: &Status, expected: &str, facts: &[(&str, &str)]) {
    let details = status.get_error_details();
    let fact = |key: &str| facts.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    match status.code() {
        Code::FailedPrecondition => {
            let broken = details.precondition_failure().expect("a PreconditionFailure");
            assert_eq!(broken.violations.len(), 1);
            assert_eq!(broken.violations[0].r#type, "RULE");
            assert_eq!(broken.violations[0].subject, format!("ERROR_REASON_{expected}"));
            assert!(!broken.violations[0].description.is_empty());
        }
        Code::NotFound => {
            let about = details.resource_info().expect("a ResourceInfo");
            assert_eq!(Some(about.resource_type.as_str()), fact("kind"));
            assert_eq!(Some(about.resource_name.as_str()), fact("id"));
        }
        Code::InvalidArgument => {
            assert!(!details.bad_request().expect("a BadRequest").field_violations.is_empty());
        }
        Code::ResourceExhausted => {
            assert!(!details.quota_failure().expect("a QuotaFailure").violations.is_empty());
            // What is too large is so however long one waits.
            assert_eq!(details.retry_info().is_some(), fact("size").is_none());
        }
        _ => {}
    }
    assert!(!status.message().is_empty());
}

/// Posts an entry; sends it again while the server has no room for it, as clients are told to.
pub(crate) async fn post_settled(
    mut funding: FundingServiceClient<Channel>,
    entry: pb::Entry,
) -> Result<pb::PostEntryResponse, Status> {
    for _ in 0..TRIES_MAX {
        match funding.post_entry(pb::PostEntryRequest { entry: Some(entry.clone()) }).await {
            Err(status) if status.code() == Code::Unavailable => tokio::task::yield_now().await,
            done => return done.map(tonic::Response::into_inner),
        }
    }
    panic!("the server had no room in {TRIES_MAX} tries");
}
