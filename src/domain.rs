//! The rules and the types that cannot be wrong. Nothing here waits, reads a clock, draws a random number,
//! or knows SQL or the wire; everything can be tested by calling it.
//!
//! Reading order: [`money`], [`program`], [`entry`], [`ledger`].

pub mod caller;
pub mod currency;
pub mod entry;
pub mod ids;
pub mod kind;
pub mod ledger;
pub mod legs;
pub mod money;
pub mod organization;
pub mod program;
pub mod rate;
pub mod refusal;
pub mod report;
pub mod text;
