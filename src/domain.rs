//! The rules and the types that cannot be wrong. Nothing here waits, reads a clock, draws a random number,
//! or knows SQL or the wire; everything can be tested by calling it.
//!
//! Reading order: [`money`], [`program`], [`entry`], [`ledger`]; then [`days`], [`geometry`], [`site`], [`land`], [`task`], [`team`],
//! [`accreditation`], [`assignment`], [`safety_stop`], [`field_report`].

pub mod accreditation;
pub mod activity;
pub mod assignment;
pub mod caller;
pub mod currency;
pub mod days;
pub mod entry;
pub mod field_report;
pub mod geometry;
pub mod ids;
pub mod kind;
pub mod land;
pub mod ledger;
pub mod legs;
pub mod money;
pub mod organization;
pub mod personal;
pub mod policy;
pub mod program;
pub mod rate;
pub mod refusal;
pub mod report;
pub mod restatement;
pub mod safety_stop;
pub mod site;
pub mod task;
pub mod team;
pub mod team_feed;
pub mod text;
mod words;
