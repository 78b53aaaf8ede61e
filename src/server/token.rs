//! Decides whether a bearer token is genuine, and who its bearer is.
//!
//! The algorithm comes from the key that the token names and never from the token, so a token cannot choose
//! a weaker one. This module must not know which method is called, and it never writes a token anywhere.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Header, Validation, decode, decode_header};
use serde::Deserialize;
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::caller::{Caller, CallerError, Role};
use crate::error::StartError;
use crate::server::jwks::{self, TrustedKey};

/// How far the issuer's clock may be from ours.
pub const LEEWAY: SignedDuration = SignedDuration::from_secs(60);
/// Longest token that is looked at.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Why a token was refused. For the log only: the caller is told no more than "not authenticated".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Too long, not three parts, not JSON, an unknown algorithm or a claim of the wrong type.
    #[error("the token is malformed")]
    Malformed,
    /// The header asks for something that we do not understand (`crit`).
    #[error("the token has critical headers that are not supported")]
    Critical,
    /// The header's `kid` is missing or names no trusted key.
    #[error("the token names no trusted key")]
    UnknownKey,
    /// The header's algorithm is not the key's, or the signature is wrong, or `iss` or `aud` is not ours.
    #[error("the token's signature, issuer or audience is wrong")]
    NotOurs,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `role` is not a role of ours.
    #[error("the token's role is unknown")]
    UnknownRole,
    /// The claims do not make a caller.
    #[error("the token's claims do not fit together: {0}")]
    Caller(#[from] CallerError),
}

/// The claims that we read. `iat` is not read: nothing depends on it.
#[derive(Deserialize)]
struct Claims {
    exp: NumericDate,
    nbf: Option<NumericDate>,
    // jsonwebtoken compares `iss` too, but it also takes a list in which ours is only one of many issuers.
    // A plain string here makes that impossible.
    #[serde(rename = "iss")]
    _issuer: String,
    sub: String,
    role: String,
    org: Option<String>,
}

/// Seconds since 1970, which RFC 7519 allows to have a fraction.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumericDate {
    Whole(i64),
    Fraction(f64),
}

impl NumericDate {
    /// The moment, if it lies in the years that a timestamp can hold.
    fn moment(&self) -> Result<Timestamp, TokenFault> {
        let since_1970 = match *self {
            Self::Whole(seconds) => Ok(SignedDuration::from_secs(seconds)),
            Self::Fraction(seconds) => SignedDuration::try_from_secs_f64(seconds),
        };
        since_1970.and_then(Timestamp::from_duration).map_err(|_| TokenFault::Malformed)
    }
}

/// A trusted key with the checks that jsonwebtoken makes under it.
struct Lock {
    trusted: TrustedKey,
    validation: Validation,
}

/// Verifies tokens of one issuer for one audience.
pub struct Verifier {
    locks: HashMap<String, Lock>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("keys", &self.locks.len()).finish_non_exhaustive()
    }
}

impl Verifier {
    /// A verifier that trusts the keys of a JSON Web Key Set.
    pub fn from_jwks_file(
        path: &Path,
        issuer: &str,
        audience: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let keys = jwks::read_file(path)?.into_iter();
        let locks = keys.map(|(kid, trusted)| {
            let validation = validation(&trusted, issuer, audience);
            (kid, Lock { trusted, validation })
        });
        Ok(Self { locks: locks.collect(), clock })
    }

    /// The caller that a token stands for.
    pub fn verify(&self, token: &str) -> Result<Caller, TokenFault> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenFault::Malformed);
        }
        let header = decode_header(token).map_err(|_| TokenFault::Malformed)?;
        let lock = self.lock_for(&header)?;
        let claims: Claims =
            decode(token, &lock.trusted.key, &lock.validation).map_err(|error| fault_of(&error))?.claims;
        let end = self.check_times(&claims)?;
        let role = Role::from_name(&claims.role).ok_or(TokenFault::UnknownRole)?;
        let organization = claims.org.as_deref().map(Uuid::parse_str).transpose();
        let organization = organization.map_err(|_| TokenFault::Malformed)?;
        Ok(Caller::new(claims.sub, role, organization)?.until(end))
    }

    fn lock_for(&self, header: &Header) -> Result<&Lock, TokenFault> {
        // RFC 7515 section 4.1.11: a critical header that is not understood makes the token invalid.
        if header.crit.is_some() {
            return Err(TokenFault::Critical);
        }
        let kid = header.kid.as_deref().ok_or(TokenFault::UnknownKey)?;
        self.locks.get(kid).ok_or(TokenFault::UnknownKey)
    }

    /// Checks `exp` and `nbf`, and answers from when on the token will be refused.
    fn check_times(&self, claims: &Claims) -> Result<Timestamp, TokenFault> {
        let now = self.clock.now();
        let end = shifted(claims.exp.moment()?, LEEWAY)?;
        if now >= end {
            return Err(TokenFault::Expired);
        }
        if let Some(nbf) = &claims.nbf
            && now < shifted(nbf.moment()?, -LEEWAY)?
        {
            return Err(TokenFault::NotYetValid);
        }
        Ok(end)
    }
}

fn shifted(moment: Timestamp, by: SignedDuration) -> Result<Timestamp, TokenFault> {
    moment.checked_add(by).map_err(|_| TokenFault::Malformed)
}

/// What jsonwebtoken checks: algorithm, signature, `iss`, `aud` and that the claims are there.
///
/// It compares `exp` and `nbf` with the system clock by itself, which no test can set. So that is turned off
/// and [`Verifier::check_times`] does it with our clock. `exp` stays required.
fn validation(trusted: &TrustedKey, issuer: &str, audience: &str) -> Validation {
    let mut validation = Validation::new(trusted.algorithm);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

/// The library's error may quote the token, so only its kind goes on.
fn fault_of(error: &jsonwebtoken::errors::Error) -> TokenFault {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidSignature
        | ErrorKind::InvalidIssuer
        | ErrorKind::InvalidAudience => TokenFault::NotOurs,
        _ => TokenFault::Malformed,
    }
}
