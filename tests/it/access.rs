//! Who is let in, and to what: tokens, access rules, the layer before every call and the development keys.

mod command;
mod layer;
mod rules;
mod tokens;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use safelane::cli::signing_key::{KeyAlgorithm, SigningKey};
use safelane::clock::{Clock, SystemClock};
use safelane::domain::caller::{Caller, Role};
use safelane::error::StartError;
use safelane::rpc::access::AccessRules;
use safelane::server::auth::AuthLayer;
use safelane::server::token::{LEEWAY, TokenFault, Verifier};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;
use tower::{Layer, Service};

const ISSUER: &str = "safelane-dev";
const AUDIENCE: &str = "safelane";
const ORGANIZATION: &str = "0190a5b6-7c1d-7e2f-8a3b-4c5d6e7f8091";
/// In the past, so that a look at the system clock would end every token.
const NOW: i64 = 1_600_000_000;

/// A clock that a test sets.
#[derive(Debug)]
struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Timestamp::from_second(NOW).unwrap())))
    }

    fn advance(&self, by: SignedDuration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A key set on disk, a verifier that trusts it and a clock that both obey.
struct Bench {
    dir: TempDir,
    key: SigningKey,
    clock: Arc<ManualClock>,
    verifier: Verifier,
}

impl Bench {
    fn new(algorithm: KeyAlgorithm) -> Self {
        let dir = TempDir::new().unwrap();
        let key = SigningKey::draw(algorithm).unwrap();
        key.write(dir.path(), false).unwrap();
        let clock = ManualClock::new();
        let verifier = verifier(&dir.path().join("jwks.json"), clock.clone()).unwrap();
        Self { dir, key, clock, verifier }
    }

    fn jwks(&self) -> Value {
        serde_json::from_slice(&fs::read(self.dir.path().join("jwks.json")).unwrap()).unwrap()
    }

    fn sign(&self, claims: &Value) -> String {
        self.key.sign(claims).unwrap()
    }

    /// Verifies good claims after a change.
    fn verify_changed(&self, change: impl FnOnce(&mut Value)) -> Result<Caller, TokenFault> {
        let mut claims = good_claims();
        change(&mut claims);
        self.verifier.verify(&self.sign(&claims))
    }
}

fn verifier(path: &Path, clock: Arc<dyn Clock>) -> Result<Verifier, StartError> {
    Verifier::from_jwks_file(path, ISSUER, AUDIENCE, clock)
}

fn good_claims() -> Value {
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "lea", "role": "coordinator",
        "org": ORGANIZATION, "iat": NOW, "exp": NOW + 3600 })
}

/// A token put together by hand, for what no honest signer makes.
fn forged(header: &Value, claims: &Value, sign: impl FnOnce(&str) -> String) -> String {
    let message = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = sign(&message);
    format!("{message}.{signature}")
}

fn bytes_of(jwk: &Value, name: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap()
}
