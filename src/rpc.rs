//! The wire: one file per service, the conversions, and the only table of status codes. Handlers parse,
//! call one use case and convert the answer; they hold no rules and no SQL.

pub mod access;
pub mod budget_report;
mod change;
pub mod convert;
mod difference;
pub mod field_report;
pub mod funding;
pub mod funding_reads;
mod groups;
pub mod health;
pub mod journal;
pub mod organization;
mod posting_stream;
pub mod read;
pub mod site;
pub mod status;
pub mod stored;
pub mod task;
pub mod team;

use tonic::{Request, Status};

use crate::domain::caller::Caller;
use crate::error::Error;

/// The generated messages and services of `safelane.v1`.
#[expect(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod pb {
    tonic::include_proto!("safelane.v1");
}

/// Every message, service and option of `safelane.v1`, as an encoded `FileDescriptorSet`.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

/// The most bytes of one request message.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Who calls. The authentication layer puts it there for every method of this package.
pub(crate) fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let found = request.extensions().get::<Caller>().cloned();
    found.ok_or_else(|| status::status(&Error::bug("a call reached its handler without a caller")))
}
