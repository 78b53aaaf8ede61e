//! SQL of field reports: what is known when some arrive, writing them, and reading them. Each function is a constant
//! number of statements, however many reports there are.

pub mod facts;
pub mod known;
pub mod listing;
mod rows;
pub mod write;
