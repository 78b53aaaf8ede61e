//! What the bytes of an upload come to, taken in piece by piece and in order. It knows nothing of where they are written, so
//! that a piece can be hashed while the one before it is written.

use sha2::{Digest as _, Sha256};

use crate::domain::field_report::media::Sniffer;
use crate::files::Sha256Sum;

/// Hash, kind and length of what came so far.
#[derive(Debug, Default)]
pub struct Content {
    digest: Sha256,
    sniffer: Sniffer,
    length: u64,
}

impl Content {
    /// Takes in the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.digest.update(piece);
        self.sniffer.update(piece);
        self.length += piece.len() as u64;
    }

    /// Bytes so far.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Hash and media type of a whole file, given its last [`crate::domain::field_report::media::WINDOW`] bytes, or all of
    /// a shorter one.
    pub(super) fn finish(self, tail: &[u8]) -> (Sha256Sum, &'static str) {
        (self.digest.finalize().into(), self.sniffer.media_type(tail))
    }
}
