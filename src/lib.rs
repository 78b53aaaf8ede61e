//! Safelane: money, teams and field reports of humanitarian demining, as one gRPC service.
pub mod domain;
pub mod error;
