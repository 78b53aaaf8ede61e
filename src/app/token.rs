//! Page and resume tokens: opaque, URL-safe, and bound to what they continue. A token carries no authority;
//! its seal only proves that this service made it for this filter.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::refusal::Refusal;
use crate::error::Error;

/// Bytes of the seal that are kept: half of HMAC-SHA-256 (RFC 2104 section 5 allows it).
const SEAL_LEN: usize = 16;
/// The longest token that is looked at, in characters.
const TOKEN_CHARS_MAX: usize = 4_096;

/// Says what a token continues: the call and its filter, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter([u8; 16]);

impl Filter {
    /// Hashes the parts of a filter. Each part is length-prefixed, so that no two filters look alike.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut half = [0; 16];
        half.copy_from_slice(&hash.finalize()[..16]);
        Self(half)
    }
}

/// Seals and opens tokens.
#[derive(Clone)]
pub struct Sealer {
    epoch: Uuid,
    key: Hmac<Sha256>,
}

impl Sealer {
    /// For this history and key.
    #[must_use]
    pub fn new(epoch: Uuid, key: &[u8]) -> Self {
        // HMAC takes a key of any length, so the empty key is never used in its place.
        let key = Hmac::new_from_slice(key)
            .unwrap_or_else(|_| Hmac::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        Self { epoch, key }
    }

    /// The history that tokens are of.
    #[must_use]
    pub const fn epoch(&self) -> Uuid {
        self.epoch
    }

    /// Makes a token for a position.
    #[must_use]
    pub fn seal(&self, filter: Filter, position: &[u8]) -> String {
        let mut bytes = Vec::with_capacity(SEAL_LEN + 16 + position.len());
        bytes.extend_from_slice(self.epoch.as_bytes());
        bytes.extend_from_slice(position);
        let seal = self.mac(filter, &bytes);
        bytes.extend_from_slice(&seal);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position in a token, and the history that it is of. None when it is not one of this filter.
    #[must_use]
    pub fn open(&self, filter: Filter, token: &str) -> Option<(Uuid, Vec<u8>)> {
        if TOKEN_CHARS_MAX < token.len() {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (content, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL_LEN)?)?;
        let mut mac = self.key.clone();
        mac.update(&filter.0);
        mac.update(content);
        mac.verify_truncated_left(seal).ok()?;
        let (epoch, position) = content.split_at_checked(16)?;
        Some((Uuid::from_slice(epoch).ok()?, position.to_vec()))
    }

    /// The position in a page token of this history.
    ///
    /// # Errors
    /// `PageToken` when it is not one.
    pub fn open_page(&self, filter: Filter, token: &str) -> Result<Vec<u8>, Error> {
        match self.open(filter, token) {
            Some((epoch, position)) if epoch == self.epoch => Ok(position),
            _ => Err(Error::PageToken),
        }
    }

    /// The position in a resume token: its bytes, as they were sealed.
    ///
    /// # Errors
    /// `ResumeToken` when it is not one of this filter; a refusal when it is of another history.
    pub fn open_resume(&self, filter: Filter, token: &str) -> Result<Vec<u8>, Error> {
        let (epoch, position) = self.open(filter, token).ok_or(Error::ResumeToken)?;
        if epoch != self.epoch {
            return Err(Refusal::OtherEpoch { token_epoch: epoch, feed_epoch: self.epoch }.into());
        }
        Ok(position)
    }

    /// The id of a record that the service makes by itself: the same each time, and nobody else can work it out and take
    /// it in advance.
    #[must_use]
    pub fn id(&self, of: Filter) -> Uuid {
        uuid::Builder::from_custom_bytes(self.mac(of, b"id")).into_uuid()
    }

    fn mac(&self, filter: Filter, content: &[u8]) -> [u8; SEAL_LEN] {
        let mut mac = self.key.clone();
        mac.update(&filter.0);
        mac.update(content);
        let mut seal = [0; SEAL_LEN];
        seal.copy_from_slice(&mac.finalize().into_bytes()[..SEAL_LEN]);
        seal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(epoch: u128) -> Sealer {
        Sealer::new(Uuid::from_u128(epoch), &[7; 32])
    }

    #[test]
    fn a_token_opens_only_for_its_filter() {
        let (this, other) = (Filter::of(&[b"entries", b"a"]), Filter::of(&[b"entriesa", b""]));
        let token = sealer(1).seal(this, b"position");
        assert_eq!(sealer(1).open_page(this, &token).unwrap(), b"position");
        assert!(matches!(sealer(1).open_page(other, &token), Err(Error::PageToken)));
    }

    #[test]
    fn a_changed_token_does_not_open() {
        let filter = Filter::of(&[b"entries"]);
        let token = sealer(1).seal(filter, &9_i64.to_be_bytes());
        for index in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(matches!(sealer(1).open_resume(filter, &changed), Err(Error::ResumeToken)), "{index}");
        }
        for garbage in ["", "!", "AAAA", &"A".repeat(5_000)] {
            assert!(sealer(1).open(filter, garbage).is_none());
        }
    }

    #[test]
    fn a_token_of_another_history_is_told_apart() {
        let filter = Filter::of(&[b"entries"]);
        let token = sealer(1).seal(filter, &9_i64.to_be_bytes());
        assert_eq!(sealer(1).open_resume(filter, &token).unwrap(), 9_i64.to_be_bytes());
        let refused = sealer(2).open_resume(filter, &token).unwrap_err();
        assert!(matches!(refused, Error::Refused(refusal) if matches!(*refusal, Refusal::OtherEpoch { .. })));
    }
}
