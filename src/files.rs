//! Files that reports declare, outside the database: an object store for what is whole, and a folder for what is being
//! uploaded. Nothing here knows reports, callers or SQL. No path is ever made of a name that somebody sent: only of
//! hashes, sizes and ids.
//!
//! ```text
//! uploads/<operator>/<hash>-<size>   what came of a file so far; append only, locked by its writer
//! objects/<two digits>/<hash>        a whole file, its hash verified; the same for every operator
//! installation                       whose objects these are
//! ```
//!
//! Both are in one folder by default. A whole file is then linked to its place, so that it is written once. With S3 the
//! uploads stay on this machine: an upload goes on at the replica where it began, or begins anew at another.

mod bucket;
pub mod content;
mod folder;
pub mod objects;
pub mod place;
pub mod resting;
pub mod staged;
pub mod staging;

use std::fmt::Write as _;

use uuid::Uuid;

/// SHA-256 of a file.
pub type Sha256Sum = [u8; 32];

/// Which file of whom is being uploaded. A wrong size makes it another upload, so that nobody can spoil a right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UploadKey {
    /// The operator.
    pub operator: Uuid,
    /// Its hash.
    pub sha256: Sha256Sum,
    /// Its size in bytes.
    pub size: i64,
}

/// The digits of a hash.
#[must_use]
pub fn hex(sum: &Sha256Sum) -> String {
    sum.iter().fold(String::with_capacity(64), |mut text, byte| {
        // A string takes whatever it is given.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

/// The hash that digits are of.
#[must_use]
pub fn from_hex(text: &str) -> Option<Sha256Sum> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut sum = [0; 32];
    for (byte, pair) in sum.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_as_it_was_written() {
        let sum: Sha256Sum = std::array::from_fn(|at| u8::try_from(at * 8).unwrap());
        assert_eq!(from_hex(&hex(&sum)), Some(sum));
        assert_eq!(from_hex(&hex(&sum)[1..]), None);
        assert_eq!(from_hex(&"zz".repeat(32)), None);
        assert_eq!(from_hex(&"é".repeat(32)), None);
    }
}
