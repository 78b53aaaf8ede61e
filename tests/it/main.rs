//! The integration tests: the real server, a real PostgreSQL, real clients. One binary, so that PostgreSQL
//! starts once. See README.md in this folder.

mod access;
mod architecture;
mod calls;
mod desk;
mod embedded;
mod example;
mod harness;
mod health;
mod lane;
mod scripted;
mod telemetry;
mod transport;
