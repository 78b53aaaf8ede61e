//! The integration tests: the real server, a real PostgreSQL, real clients. One binary, so that PostgreSQL
//! starts once. See README.md in this folder.
#![expect(clippy::unwrap_used, reason = "a test that meets an impossible value should stop there and then")]
#![expect(clippy::unused_self, reason = "a desk's methods read as what the desk does")]

mod access;
mod access_rows;
mod architecture;
mod bad_entries;
mod bad_input;
mod binary;
mod budget_stream;
mod budget_stream_resume;
mod calls;
mod concurrency;
mod desk;
mod documents;
mod embedded;
mod entry_lists;
mod evidence;
mod example;
mod expect;
mod faults;
mod following;
mod gate;
mod ground;
mod harness;
mod health;
mod hidden_programs;
mod idempotency;
mod lane;
mod lists;
mod plans;
mod posting_stream;
mod preview;
mod python;
mod reflection;
mod refusals;
mod refusals_structure;
mod report;
mod scripted;
mod searching;
mod shutdown;
mod start;
mod telemetry;
mod transport;
mod verify;
