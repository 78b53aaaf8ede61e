//! Assignments: every gate, overrides, ends, lists, and races.

mod calendar;
mod ends;
mod holding;
mod lists;
mod names;
mod overrides;
mod races;
mod reasons;
mod standing;
mod stops;
mod yard;
