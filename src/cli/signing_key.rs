//! A signing key for development: drawn, kept in a private file, and used to sign tokens.
//!
//! The service itself never holds a private key: in production tokens come from an identity provider. This
//! module knows files and signatures; it must not know what the claims of a token mean.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::ValueEnum;
use jsonwebtoken::jwk::{CommonParameters, Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::{Deserialize, Serialize};

use crate::error::StartError;

/// Name of the file with the public key set.
const PUBLIC_FILE: &str = "jwks.json";
/// Name of the file with the private key.
const PRIVATE_FILE: &str = "signing-key.json";
/// The private key is for its owner only; the public set is for everyone.
const PRIVATE_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;
/// Bytes of the secret of either algorithm.
const SECRET_BYTES: usize = 32;
/// How often a secret is drawn before giving up. One draw in 2^32 is not a P-256 key.
const MAX_DRAWS: usize = 4;
/// PKCS#8 wrapping of an Ed25519 secret (RFC 8410 section 7): everything before the 32 bytes.
const ED25519_PREFIX: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
/// PKCS#8 wrapping of a P-256 secret without its public key (RFC 5915, RFC 5480): the same.
const P256_PREFIX: &[u8] = b"\x30\x41\x02\x01\x00\x30\x13\
    \x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\
    \x04\x27\x30\x25\x02\x01\x01\x04\x20";

/// The signature algorithms that the service accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyAlgorithm {
    /// `EdDSA` with Ed25519
    Eddsa,
    /// ECDSA with P-256 and SHA-256
    Es256,
}

impl KeyAlgorithm {
    const fn jwt(self) -> Algorithm {
        match self {
            Self::Eddsa => Algorithm::EdDSA,
            Self::Es256 => Algorithm::ES256,
        }
    }
}

/// The private file: a JSON Web Key (RFC 7517) with its secret part `d`.
#[derive(Serialize, Deserialize)]
struct PrivateKey {
    #[serde(flatten)]
    public: Jwk,
    d: String,
}

/// A private key that can sign tokens.
pub struct SigningKey {
    public: Jwk,
    key_id: String,
    algorithm: Algorithm,
    encoding: EncodingKey,
    secret: [u8; SECRET_BYTES],
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Draws a new key from the randomness of the operating system.
    pub fn draw(algorithm: KeyAlgorithm) -> Result<Self, StartError> {
        for _ in 0..MAX_DRAWS {
            let mut secret = [0; SECRET_BYTES];
            getrandom::fill(&mut secret)
                .map_err(|error| refused(&format!("no randomness from the system: {error}")))?;
            if let Some(key) = Self::from_secret(algorithm.jwt(), secret) {
                return Ok(key);
            }
        }
        Err(refused("no usable key among the randomness of the system; it may be broken"))
    }

    /// The key with this secret, unless these bytes are no key of the algorithm.
    fn from_secret(algorithm: Algorithm, secret: [u8; SECRET_BYTES]) -> Option<Self> {
        let encoding = if algorithm == Algorithm::ES256 {
            EncodingKey::from_ec_der(&[P256_PREFIX, &secret].concat())
        } else {
            EncodingKey::from_ed_der(&[ED25519_PREFIX, &secret].concat())
        };
        let mut public = Jwk::from_encoding_key(&encoding, algorithm).ok()?;
        let key_id = public.thumbprint(ThumbprintHash::SHA256).ok()?;
        public.common = CommonParameters {
            public_key_use: Some(PublicKeyUse::Signature),
            key_algorithm: Some(algorithm.into()),
            key_id: Some(key_id.clone()),
            ..CommonParameters::default()
        };
        Some(Self { public, key_id, algorithm, encoding, secret })
    }

    /// The name of the key: its thumbprint (RFC 7638), so that two keys never share a name.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Reads the private file in a directory.
    pub fn read(dir: &Path) -> Result<Self, StartError> {
        let path = private_path(dir);
        let text = fs::read_to_string(&path).map_err(|error| {
            refused(&format!(
                "{} cannot be read: {error}; make it with `safelane token keys --dir {}`",
                path.display(),
                dir.display()
            ))
        })?;
        // The parser's message would quote the file, and the file is a secret.
        Self::parse(&text)
            .ok_or_else(|| refused(&format!("{} is not a signing key of this program", path.display())))
    }

    fn parse(text: &str) -> Option<Self> {
        let file: PrivateKey = serde_json::from_str(text).ok()?;
        let secret = URL_SAFE_NO_PAD.decode(&file.d).ok()?.try_into().ok()?;
        let key = Self::from_secret(file.public.common.key_algorithm?.try_into().ok()?, secret)?;
        // Otherwise somebody edited the file, and its tokens would not verify.
        (key.public == file.public).then_some(key)
    }

    /// Writes both files into a directory. Files that exist are kept, and refused, without `force`.
    pub fn write(&self, dir: &Path, force: bool) -> Result<(PathBuf, PathBuf), StartError> {
        fs::create_dir_all(dir).map_err(|error| unwritable(dir, &error))?;
        let (public, private) = (dir.join(PUBLIC_FILE), private_path(dir));
        if force {
            remove(&public)?;
            remove(&private)?;
        } else if public.exists() {
            // Seen before anything is written, so that two halves of different keys never meet.
            return Err(unwritable(&public, &ErrorKind::AlreadyExists.into()));
        }
        let set = JwkSet { keys: vec![self.public.clone()] };
        let file = PrivateKey { public: self.public.clone(), d: URL_SAFE_NO_PAD.encode(self.secret) };
        // Private first: if it exists, nothing has been written yet.
        write_new(&private, PRIVATE_MODE, &file)?;
        write_new(&public, PUBLIC_MODE, &set)?;
        Ok((public, private))
    }

    /// Signs claims.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, StartError> {
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.encoding)
            .map_err(|error| refused(&format!("the token cannot be signed: {error}")))
    }
}

fn private_path(dir: &Path) -> PathBuf {
    dir.join(PRIVATE_FILE)
}

fn remove(path: &Path) -> Result<(), StartError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unwritable(path, &error)),
        _ => Ok(()),
    }
}

/// Writes a file that must not exist yet, with its mode from the first moment on.
fn write_new(path: &Path, mode: u32, content: &impl Serialize) -> Result<(), StartError> {
    let mut text = serde_json::to_string_pretty(content)
        .map_err(|error| refused(&format!("{} cannot be encoded: {error}", path.display())))?;
    text.push('\n');
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file: File| file.write_all(text.as_bytes()))
        .map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> StartError {
    let path = path.display();
    if error.kind() == ErrorKind::AlreadyExists {
        return refused(&format!("{path} exists; --force replaces it and ends its tokens"));
    }
    refused(&format!("{path} cannot be written: {error}"))
}

fn refused(text: &str) -> StartError {
    StartError::Refused(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_outside_the_order_of_the_curve_are_no_key() {
        assert!(SigningKey::from_secret(Algorithm::ES256, [0; 32]).is_none());
        assert!(SigningKey::from_secret(Algorithm::ES256, [0xff; 32]).is_none());
        assert!(SigningKey::from_secret(Algorithm::ES256, [1; 32]).is_some());
    }

    #[test]
    fn the_known_secret_of_rfc_8037_has_its_known_thumbprint() {
        let secret = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let key = SigningKey::from_secret(Algorithm::EdDSA, secret.try_into().unwrap()).unwrap();
        assert_eq!(key.key_id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_secret_is_not_in_the_debug_output() {
        let key = SigningKey::from_secret(Algorithm::EdDSA, [7; 32]).unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains(key.key_id()));
        assert!(!shown.contains("secret") && !shown.contains("7, 7"), "{shown}");
    }
}
