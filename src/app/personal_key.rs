//! The keys that seal personal data: XChaCha20-Poly1305, with a nonce drawn for each record. What a record is about is
//! bound to it, so that nobody who can write to the tables shows one person's details as another's.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};

use crate::domain::ids::{OrganizationId, PersonId};
use crate::domain::personal::{About, Sealed};
use crate::domain::refusal::Refusal;
use crate::error::Error;

/// Bytes of a key.
pub const KEY_LEN: usize = 32;
/// Bytes of a nonce, which stands before the ciphertext.
const NONCE_LEN: usize = 24;
/// Bytes of a hash that name a key.
const KEY_ID_LEN: usize = 8;
/// The most keys of a file.
const KEYS_MAX: usize = 100;

/// What a record of a victim is about, as it is bound to it.
fn bound(about: About) -> Vec<u8> {
    let ids = [about.operator.uuid(), about.report.uuid(), about.victim.uuid()];
    let mut bytes = b"safelane victim".to_vec();
    for id in ids {
        bytes.extend_from_slice(id.as_bytes());
    }
    bytes.extend_from_slice(&about.version.to_be_bytes());
    bytes
}

/// Whose name it is, as it is bound to it.
fn bound_name(operator: OrganizationId, person: PersonId) -> Vec<u8> {
    [b"safelane person", &operator.uuid().as_bytes()[..], person.uuid().as_bytes()].concat()
}

struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

/// The keys of a service: the first seals, all open. Cheap to clone; never shown.
#[derive(Clone)]
pub struct PersonalKeys(Arc<[Key]>);

impl fmt::Debug for PersonalKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

impl PersonalKeys {
    /// Reads keys: one a line, 32 bytes as 64 hexadecimal digits or in base64. Lines that are empty or begin with `#`
    /// are passed over.
    ///
    /// # Errors
    /// Says which line is wrong, without what is in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let mut keys = Vec::<Key>::new();
        for (index, line) in lines {
            let told = || format!("line {} is not 32 bytes in hexadecimal or base64", index + 1);
            let key = Key::of(&read_key(line).ok_or_else(told)?);
            if keys.iter().any(|known| known.id == key.id) {
                return Err(format!("line {} is a key that stands there before", index + 1));
            }
            keys.push(key);
        }
        match keys.len() {
            0 => Err("holds no key; make one with `openssl rand -hex 32`".to_owned()),
            count if KEYS_MAX < count => Err(format!("holds {count} keys; at most {KEYS_MAX}")),
            _ => Ok(Self(keys.into())),
        }
    }

    /// Names of the keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    /// Seals bytes with the first key.
    ///
    /// # Errors
    /// A bug when the system has no randomness.
    pub fn seal(&self, about: About, plain: &[u8]) -> Result<Sealed, Error> {
        self.seal_bound(&bound(about), plain)
    }

    /// Seals salt and name of a person with the first key.
    ///
    /// # Errors
    /// A bug when the system has no randomness.
    pub fn seal_name(
        &self,
        (operator, person): (OrganizationId, PersonId),
        plain: &[u8],
    ) -> Result<Sealed, Error> {
        self.seal_bound(&bound_name(operator, person), plain)
    }

    fn seal_bound(&self, aad: &[u8], plain: &[u8]) -> Result<Sealed, Error> {
        let key = self.0.first().ok_or_else(|| Error::bug("no key to seal with"))?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|error| Error::bug(format!("no randomness: {error}")))?;
        let payload = Payload { msg: plain, aad };
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| Error::bug("a record cannot be sealed"))?;
        Ok(Sealed { key_id: key.id.clone(), bytes: [&nonce[..], &sealed].concat() })
    }

    /// Opens sealed bytes.
    ///
    /// # Errors
    /// A refusal when the key is not there; a bug when the bytes are not what was sealed about this.
    pub fn open(&self, about: About, sealed: &Sealed) -> Result<Vec<u8>, Error> {
        let broken = || Error::bug(format!("a sealed record of report {} does not open", about.report));
        self.open_bound(&bound(about), sealed)?.ok_or_else(broken)
    }

    /// Opens salt and name of a person.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_name(
        &self,
        (operator, person): (OrganizationId, PersonId),
        sealed: &Sealed,
    ) -> Result<Vec<u8>, Error> {
        let broken = || Error::bug(format!("the sealed name of person {person} does not open"));
        self.open_bound(&bound_name(operator, person), sealed)?.ok_or_else(broken)
    }

    /// None when the bytes are not what was sealed about this.
    fn open_bound(&self, aad: &[u8], sealed: &Sealed) -> Result<Option<Vec<u8>>, Error> {
        let key = self.0.iter().find(|key| key.id == sealed.key_id);
        let missing = || Refusal::PersonalKeyMissing { key_id: Some(sealed.key_id.clone()) };
        let key = key.ok_or_else(missing)?;
        let Some((nonce, bytes)) = sealed.bytes.split_first_chunk::<NONCE_LEN>() else { return Ok(None) };
        Ok(key.cipher.decrypt(&XNonce::from(*nonce), Payload { msg: bytes, aad }).ok())
    }
}

impl Key {
    fn of(bytes: &[u8; KEY_LEN]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"safelane personal key");
        hash.update(bytes);
        let id = hex(&hash.finalize()[..KEY_ID_LEN]);
        Self { id, cipher: XChaCha20Poly1305::new(bytes.into()) }
    }
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn read_key(line: &str) -> Option<[u8; KEY_LEN]> {
    if line.len() != 2 * KEY_LEN {
        return STANDARD.decode(line).ok()?.try_into().ok();
    }
    let digits: Option<Vec<u8>> = line.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let bytes: Vec<u8> = digits?.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{ReportId, VictimId};

    const FIRST: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
    const SECOND: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

    fn about() -> About {
        let id = Uuid::from_u128;
        About {
            operator: OrganizationId::new(id(1)),
            report: ReportId::new(id(2)),
            version: 1,
            victim: VictimId::new(id(3)),
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let old = PersonalKeys::parse(FIRST).unwrap();
        let sealed = old.seal(about(), b"Nyasha").unwrap();
        let rotated = PersonalKeys::parse(&format!("# new\n{SECOND}\n\n{FIRST}\n")).unwrap();
        assert_eq!(rotated.open(about(), &sealed).unwrap(), b"Nyasha");
        let anew = rotated.seal(about(), b"Nyasha").unwrap();
        assert_ne!(anew.key_id, sealed.key_id);
        let refused = old.open(about(), &anew).unwrap_err();
        let key_id = Some(anew.key_id);
        assert!(matches!(refused, Error::Refused(told) if *told == Refusal::PersonalKeyMissing { key_id }));
    }

    #[test]
    fn a_record_opens_only_as_what_it_was_sealed_about_and_unchanged() {
        let keys = PersonalKeys::parse(FIRST).unwrap();
        let sealed = keys.seal(about(), b"Nyasha").unwrap();
        assert_ne!(keys.seal(about(), b"Nyasha").unwrap(), sealed, "a nonce of its own each time");
        let other = Uuid::from_u128(9);
        for wrong in [
            About { operator: OrganizationId::new(other), ..about() },
            About { report: ReportId::new(other), ..about() },
            About { victim: VictimId::new(other), ..about() },
            About { version: 2, ..about() },
        ] {
            assert!(keys.open(wrong, &sealed).is_err(), "{wrong:?}");
        }
        for index in 0..sealed.bytes.len() {
            let mut bytes = sealed.bytes.clone();
            bytes[index] ^= 1;
            assert!(keys.open(about(), &Sealed { bytes, ..sealed.clone() }).is_err(), "{index}");
        }
    }

    #[test]
    fn a_name_opens_only_as_that_of_its_person() {
        let keys = PersonalKeys::parse(FIRST).unwrap();
        let (operator, person) = (about().operator, PersonId::new(Uuid::from_u128(4)));
        let sealed = keys.seal_name((operator, person), b"Tendai").unwrap();
        assert_eq!(keys.open_name((operator, person), &sealed).unwrap(), b"Tendai");
        let other = Uuid::from_u128(9);
        assert!(keys.open_name((OrganizationId::new(other), person), &sealed).is_err());
        assert!(keys.open_name((operator, PersonId::new(other)), &sealed).is_err());
        assert!(keys.open(about(), &sealed).is_err());
        let other = PersonalKeys::parse(SECOND).unwrap();
        let refused = other.open_name((operator, person), &sealed).unwrap_err();
        let key_id = Some(sealed.key_id);
        assert!(matches!(refused, Error::Refused(told) if *told == Refusal::PersonalKeyMissing { key_id }));
    }

    #[test]
    fn keys_that_are_none_are_told_by_their_line_and_never_shown() {
        let short = &FIRST[2..];
        for (text, told) in [
            ("", "no key"),
            ("# only words", "no key"),
            (short, "line 1"),
            ("\nzz", "line 2"),
            (&*format!("{FIRST}\n{}", FIRST.to_lowercase()), "line 2"),
        ] {
            let error = PersonalKeys::parse(text).unwrap_err();
            assert!(error.contains(told) && !error.contains(short), "{error}");
        }
        let shown = format!("{:?}", PersonalKeys::parse(FIRST).unwrap());
        assert!(!shown.contains("0102") && !shown.contains("1, 2"), "{shown}");
    }
}
