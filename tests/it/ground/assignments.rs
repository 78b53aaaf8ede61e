//! Assignments: every gate, overrides, ends, lists, and races.

mod calendar;
mod ends;
mod holding;
mod lists;
mod overrides;
mod races;
mod reasons;
mod standing;
mod stops;
mod yard;
