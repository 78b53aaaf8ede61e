//! Tests of the whole state machine: random sequences of commands against the invariants of the design,
//! the worked example to the cent, and one case for each way in which a rule says no.
//!
//! Reading order: [`desk`] (how a test posts), [`commands`] (what is drawn), [`books`] (a second, simpler
//! bookkeeping to compare with), [`checks`] (the invariants), [`run`] (all of it step by step).

mod books;
mod calendar;
mod checks;
mod commands;
mod desk;
mod example;
mod increases;
mod limits;
mod refusals;
mod reversals;
mod run;
mod trees;
