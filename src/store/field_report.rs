//! SQL of field reports: what is known when some arrive, writing them, reading them, and what reviewers decided. Each
//! function is a constant number of statements, however many reports there are.

pub mod changed;
pub mod compared;
pub mod credits;
pub mod facts;
pub mod known;
pub mod listing;
pub mod review;
pub(super) mod rows;
pub mod strength;
pub mod write;
