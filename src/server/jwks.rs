//! The public keys that may sign tokens, read from a JSON Web Key Set (RFC 7517) in a file.
//!
//! A key is taken only if it can be used without a doubt: a known curve, a sound point and an id of its own.
//! This module must not know what a token says; it only answers "which key, and which algorithm".

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::StartError;

/// The setting that names the file.
const SETTING: &str = "--jwks-file (SAFELANE_JWKS_FILE)";
/// Largest key set file. A real one has a few kilobytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Bytes of an Ed25519 public key, and of each coordinate of a P-256 point.
const COORDINATE_BYTES: usize = 32;
/// Bytes of a signature of either algorithm.
const SIGNATURE_BYTES: usize = 64;

/// A public key and the one algorithm that it may be used with.
#[derive(Debug, Clone)]
pub struct TrustedKey {
    /// The algorithm; it comes from the key's type and curve.
    pub algorithm: Algorithm,
    /// The key itself.
    pub key: DecodingKey,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Entry>,
}

/// One member of the set. `d` and `k` are secrets: their presence is noticed, their value is never kept.
#[derive(Deserialize)]
struct Entry {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
}

/// Reads the trusted keys from a file, by key id.
pub fn read_file(path: &Path) -> Result<HashMap<String, TrustedKey>, StartError> {
    read_text(path).and_then(|text| parse(&text)).map_err(|fault| StartError::Setting {
        setting: SETTING,
        value: path.display().to_string(),
        allowed: format!("{fault}; give a JSON Web Key Set with public Ed25519 or P-256 keys"),
    })
}

fn read_text(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut text = String::new();
    // One byte over the limit is enough to see that the file is too large.
    let taken = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    taken.map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("has more than {MAX_FILE_BYTES} bytes"));
    }
    Ok(text)
}

fn parse(text: &str) -> Result<HashMap<String, TrustedKey>, String> {
    let set: KeySet = serde_json::from_str(text).map_err(|error| format!("is not a key set: {error}"))?;
    let mut keys = HashMap::new();
    for (index, entry) in set.keys.iter().enumerate() {
        let fault = |what: &str| format!("key {index} {what}");
        // A file with a secret in it was given by mistake, and the secret is now in the wrong place.
        if entry.d.is_some() || entry.k.is_some() {
            return Err(fault("is a private key"));
        }
        let Some(trusted) = trusted(entry).map_err(|what| fault(&what))? else { continue };
        let kid = entry.kid.clone().filter(|kid| !kid.is_empty());
        let kid = kid.ok_or_else(|| fault("has no `kid`"))?;
        if keys.insert(kid, trusted).is_some() {
            return Err(fault("has the `kid` of another key"));
        }
    }
    if keys.is_empty() {
        return Err(format!("has no usable key among {}", set.keys.len()));
    }
    Ok(keys)
}

/// The key of an entry; `None` for a key of another kind, which an issuer may list beside ours.
fn trusted(entry: &Entry) -> Result<Option<TrustedKey>, String> {
    if entry.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
        return Ok(None);
    }
    let (algorithm, name, key) = match (entry.kty.as_str(), entry.crv.as_deref()) {
        ("OKP", Some("Ed25519")) => {
            let x = coordinate("x", entry.x.as_deref())?;
            (Algorithm::EdDSA, "EdDSA", DecodingKey::from_ed_der(&x))
        }
        ("EC", Some("P-256")) => {
            let x = coordinate("x", entry.x.as_deref())?;
            let y = coordinate("y", entry.y.as_deref())?;
            // An uncompressed point in SEC1 form: the tag 4, then both coordinates.
            (Algorithm::ES256, "ES256", DecodingKey::from_ec_der(&[&[4], &x[..], &y[..]].concat()))
        }
        _ => return Ok(None),
    };
    if entry.alg.as_deref().is_some_and(|alg| alg != name) {
        return Err(format!("has another `alg` than {name}"));
    }
    check_point(&key, algorithm)?;
    Ok(Some(TrustedKey { algorithm, key }))
}

/// Decodes a coordinate. The length is checked here because jsonwebtoken 11.1 slices the first 32 bytes of
/// an Ed25519 key without looking: a shorter key would panic at the first token.
fn coordinate(name: &str, text: Option<&str>) -> Result<[u8; COORDINATE_BYTES], String> {
    let text = text.ok_or_else(|| format!("has no `{name}`"))?;
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let bytes = bytes.and_then(|bytes| <[u8; COORDINATE_BYTES]>::try_from(bytes).ok());
    bytes.ok_or_else(|| format!("has a `{name}` that is not {COORDINATE_BYTES} bytes in base64url"))
}

/// Checks that the coordinates are a point of the curve. jsonwebtoken builds a key only when it verifies,
/// so a signature of zeros is verified once: a bad key is an error, a good key only says "no".
fn check_point(key: &DecodingKey, algorithm: Algorithm) -> Result<(), String> {
    let zeros = URL_SAFE_NO_PAD.encode([0; SIGNATURE_BYTES]);
    jsonwebtoken::crypto::verify(&zeros, b"", key, algorithm)
        .map(|_| ())
        .map_err(|_| "is not a point of its curve".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn fault_of(json: &str) -> String {
        match parse(json) {
            Ok(keys) => panic!("{} keys were taken from {json}", keys.len()),
            Err(fault) => fault,
        }
    }

    fn ed_key(rest: &str) -> String {
        format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519",{rest}}}]}}"#)
    }

    #[test]
    fn a_key_of_another_kind_is_passed_over_beside_a_usable_one() {
        let json = format!(
            r#"{{"keys":[{{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"}},
            {{"kty":"OKP","crv":"Ed25519","kid":"enc","use":"enc","x":"{ED_X}"}},
            {{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{ED_X}"}}]}}"#
        );
        let keys = parse(&json).unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys["a"].algorithm, Algorithm::EdDSA);
    }

    #[test]
    fn every_faulty_key_set_is_told_apart() {
        let cases = [
            ("garbage".to_owned(), "is not a key set"),
            (r#"{"keys":[]}"#.to_owned(), "has no usable key among 0"),
            (r#"{"keys":[{"kty":"RSA","kid":"r"}]}"#.to_owned(), "has no usable key among 1"),
            (ed_key(&format!(r#""kid":"a","d":"AAAA","x":"{ED_X}""#)), "is a private key"),
            (r#"{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}"#.to_owned(), "is a private key"),
            (ed_key(&format!(r#""x":"{ED_X}""#)), "has no `kid`"),
            (ed_key(&format!(r#""kid":"","x":"{ED_X}""#)), "has no `kid`"),
            (ed_key(r#""kid":"a""#), "has no `x`"),
            (ed_key(r#""kid":"a","x":"AAAA""#), "not 32 bytes"),
            (ed_key(&format!(r#""kid":"a","alg":"ES256","x":"{ED_X}""#)), "another `alg`"),
        ];
        for (json, expected) in cases {
            let fault = fault_of(&json);
            assert!(fault.contains(expected), "{json}: {fault}");
        }
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        let one = URL_SAFE_NO_PAD.encode([1; 32]);
        let json = format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"a","x":"{one}","y":"{one}"}}]}}"#);
        assert!(fault_of(&json).contains("is not a point"));
    }

    #[test]
    fn two_keys_with_one_id_are_refused() {
        let key = format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{ED_X}"}}"#);
        assert!(fault_of(&format!(r#"{{"keys":[{key},{key}]}}"#)).contains("of another key"));
    }
}
