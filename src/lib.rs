//! Safelane: money, teams and field reports of humanitarian demining, as one gRPC service.
//!
//! Reading order: [`domain`] holds the rules and knows nothing else; [`store`] holds the SQL and [`files`] what is
//! too large for it; [`app`] holds the use cases that join them; [`rpc`] is the wire; [`server`] puts everything on a socket; `cli` is
//! what an operator types. Dependencies point only that way: `rpc → app → domain + store`.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod error;
pub mod files;
pub mod rpc;
pub mod seeded;
pub mod server;
pub mod store;
pub mod telemetry;
