//! Assignments: every gate, overrides, ends, lists, and races.

mod reasons;
mod yard;
