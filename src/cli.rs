//! cli
pub mod signing_key;
pub mod token;
