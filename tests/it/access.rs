//! Who is let in, and to what: tokens, access rules, the layer before every call and the development keys.

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

// ---------------------------------------------------------------------------------------------------------
// Tools

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

// ---------------------------------------------------------------------------------------------------------
// Tokens

#[test]
fn a_good_token_gives_its_caller_for_both_algorithms() {
    for algorithm in [KeyAlgorithm::Eddsa, KeyAlgorithm::Es256] {
        let caller = Bench::new(algorithm).verify_changed(|_| ()).unwrap();
        assert_eq!(caller.subject(), "lea");
        assert_eq!(caller.role(), Role::Coordinator);
        assert_eq!(caller.organization_id(), Some(ORGANIZATION.parse().unwrap()));
        assert_eq!(caller.expires_at().unwrap().as_second(), NOW + 3600 + LEEWAY.as_secs());
    }
}

#[test]
fn a_token_without_each_required_claim_is_refused() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    for claim in ["exp", "iss", "aud", "sub", "role", "org"] {
        let verified = bench.verify_changed(|claims| {
            claims.as_object_mut().unwrap().remove(claim);
        });
        assert!(verified.is_err(), "{claim}");
    }
    assert!(bench.verify_changed(|claims| drop(claims.as_object_mut().unwrap().remove("iat"))).is_ok());
}

#[test]
fn each_claim_with_a_wrong_value_is_refused() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let cases = [
        ("iss", json!("somebody"), TokenFault::NotOurs),
        ("iss", json!([ISSUER, "somebody"]), TokenFault::Malformed),
        ("aud", json!("another-service"), TokenFault::NotOurs),
        ("aud", json!([]), TokenFault::NotOurs),
        ("role", json!("superuser"), TokenFault::UnknownRole),
        ("role", json!("Admin"), TokenFault::UnknownRole),
        ("role", json!(["admin"]), TokenFault::Malformed),
        ("org", json!("not-a-uuid"), TokenFault::Malformed),
        ("exp", json!("1600003600"), TokenFault::Malformed),
        ("exp", json!(i64::MAX), TokenFault::Malformed),
        ("exp", json!(-1), TokenFault::Malformed),
        ("exp", json!(1e300), TokenFault::Malformed),
        ("nbf", json!("soon"), TokenFault::Malformed),
        ("sub", json!(7), TokenFault::Malformed),
    ];
    for (claim, value, expected) in cases {
        let verified = bench.verify_changed(|claims| claims[claim] = value.clone());
        assert_eq!(verified, Err(expected), "{claim} = {value}");
    }
    let empty = bench.verify_changed(|claims| claims["sub"] = json!(""));
    assert!(matches!(empty, Err(TokenFault::Caller(_))));
}

#[test]
fn an_audience_list_that_names_us_is_accepted() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    assert!(bench.verify_changed(|claims| claims["aud"] = json!(["other", AUDIENCE])).is_ok());
}

#[test]
fn only_admin_and_auditor_need_no_organization() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    for role in Role::ALL {
        let verified = bench.verify_changed(|claims| {
            claims["role"] = json!(role.name());
            claims["org"] = Value::Null;
        });
        assert_eq!(verified.is_ok(), matches!(role, Role::Admin | Role::Auditor), "{role}");
    }
}

#[test]
fn a_token_expires_by_the_given_clock_and_not_by_the_system_clock() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let token = bench.sign(&good_claims());
    bench.clock.advance(SignedDuration::from_secs(3600) + LEEWAY - SignedDuration::from_secs(1));
    assert!(bench.verifier.verify(&token).is_ok());
    bench.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(bench.verifier.verify(&token), Err(TokenFault::Expired));
}

#[test]
fn a_token_is_refused_until_its_not_before_minus_the_leeway() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let mut claims = good_claims();
    claims["nbf"] = json!(NOW + 61);
    let token = bench.sign(&claims);
    assert_eq!(bench.verifier.verify(&token), Err(TokenFault::NotYetValid));
    bench.clock.advance(SignedDuration::from_secs(1));
    assert!(bench.verifier.verify(&token).is_ok());
}

#[test]
fn a_fraction_of_a_second_is_read_as_rfc_7519_allows() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    assert!(bench.verify_changed(|claims| claims["exp"] = json!(1_600_000_000.5)).is_ok());
}

#[test]
fn a_token_that_names_another_key_or_none_is_refused() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let other = Bench::new(KeyAlgorithm::Eddsa);
    let foreign = other.sign(&good_claims());
    assert_eq!(bench.verifier.verify(&foreign), Err(TokenFault::UnknownKey));
    let nameless = forged(&json!({ "alg": "EdDSA" }), &good_claims(), |_| "AAAA".to_owned());
    assert_eq!(bench.verifier.verify(&nameless), Err(TokenFault::UnknownKey));
}

#[test]
fn a_signature_of_another_key_under_our_key_id_is_refused() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let other = Bench::new(KeyAlgorithm::Eddsa);
    let foreign = other.sign(&good_claims());
    let (_, signature) = foreign.rsplit_once('.').unwrap();
    let header = json!({ "alg": "EdDSA", "kid": bench.key.key_id() });
    let token = forged(&header, &good_claims(), |_| signature.to_owned());
    assert_eq!(bench.verifier.verify(&token), Err(TokenFault::NotOurs));
}

#[test]
fn changed_claims_under_an_old_signature_are_refused() {
    let bench = Bench::new(KeyAlgorithm::Es256);
    let token = bench.sign(&good_claims());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let mut claims = good_claims();
    claims["role"] = json!("admin");
    let forged = format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    assert_eq!(bench.verifier.verify(&forged), Err(TokenFault::NotOurs));
}

#[test]
fn a_token_without_an_algorithm_is_refused() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    for name in ["none", "None", "NONE", ""] {
        let header = json!({ "alg": name, "kid": bench.key.key_id() });
        let token = forged(&header, &good_claims(), |_| String::new());
        assert_eq!(bench.verifier.verify(&token), Err(TokenFault::Malformed), "{name}");
    }
}

#[test]
fn a_token_signed_with_the_public_key_as_a_shared_secret_is_refused() {
    for algorithm in [KeyAlgorithm::Eddsa, KeyAlgorithm::Es256] {
        let bench = Bench::new(algorithm);
        let jwk = &bench.jwks()["keys"][0];
        let mut point = vec![4];
        point.extend(bytes_of(jwk, "x"));
        if algorithm == KeyAlgorithm::Es256 {
            point.extend(bytes_of(jwk, "y"));
        }
        for secret in [&point[..], &point[1..], jwk.to_string().as_bytes()] {
            let kid = Some(bench.key.key_id().to_owned());
            let header = Header { kid, ..Header::new(Algorithm::HS256) };
            let secret = EncodingKey::from_secret(secret);
            let token = jsonwebtoken::encode(&header, &good_claims(), &secret).unwrap();
            assert_eq!(bench.verifier.verify(&token), Err(TokenFault::NotOurs));
        }
    }
}

#[test]
fn a_token_with_the_algorithm_of_another_key_of_the_set_is_refused() {
    let ed = Bench::new(KeyAlgorithm::Eddsa);
    let ec = Bench::new(KeyAlgorithm::Es256);
    let both = json!({ "keys": [ed.jwks()["keys"][0], ec.jwks()["keys"][0]] });
    let path = ed.dir.path().join("both.json");
    fs::write(&path, both.to_string()).unwrap();
    let verifier = verifier(&path, ed.clock.clone()).unwrap();
    assert!(verifier.verify(&ed.sign(&good_claims())).is_ok());
    assert!(verifier.verify(&ec.sign(&good_claims())).is_ok());
    let header = json!({ "alg": "ES256", "kid": ed.key.key_id() });
    let token = ec.sign(&good_claims());
    let (_, signature) = token.rsplit_once('.').unwrap();
    let token = forged(&header, &good_claims(), |_| signature.to_owned());
    assert_eq!(verifier.verify(&token), Err(TokenFault::NotOurs));
}

#[test]
fn a_token_with_a_critical_header_is_refused() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let header = json!({ "alg": "EdDSA", "kid": bench.key.key_id(), "crit": ["b64"] });
    let token = forged(&header, &good_claims(), |_| "AAAA".to_owned());
    assert_eq!(bench.verifier.verify(&token), Err(TokenFault::Critical));
}

#[test]
fn garbage_is_refused_and_never_panics() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let good = bench.sign(&good_claims());
    let long = format!("{good}{}", "A".repeat(9000));
    for token in ["", ".", "..", "...", "a.b.c", "ä.ö.ü", "{}.{}.{}", &long] {
        assert_eq!(bench.verifier.verify(token), Err(TokenFault::Malformed), "{token}");
    }
    for cut in 0..good.len() {
        assert!(bench.verifier.verify(&good[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn a_bad_key_set_stops_the_start_and_names_the_setting() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let bad = bench.dir.path().join("bad.json");
    fs::write(&bad, "{}").unwrap();
    for path in [bad, bench.dir.path().join("missing.json"), bench.dir.path().to_owned()] {
        let error = verifier(&path, bench.clock.clone()).unwrap_err().to_string();
        assert!(error.contains("--jwks-file (SAFELANE_JWKS_FILE)"), "{error}");
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
    let large = bench.dir.path().join("large.json");
    fs::write(&large, bench.jwks().to_string() + &" ".repeat(1 << 20)).unwrap();
    let error = verifier(&large, bench.clock.clone()).unwrap_err().to_string();
    assert!(error.contains("more than 1048576 bytes"), "{error}");
    let private = bench.dir.path().join("private.json");
    let key = fs::read_to_string(bench.dir.path().join("signing-key.json")).unwrap();
    fs::write(&private, format!(r#"{{"keys":[{key}]}}"#)).unwrap();
    let error = verifier(&private, bench.clock.clone()).unwrap_err().to_string();
    let secret = serde_json::from_str::<Value>(&key).unwrap()["d"].as_str().unwrap().to_owned();
    assert!(error.contains("is a private key") && !error.contains(&secret), "{error}");
}

// ---------------------------------------------------------------------------------------------------------
// Access rules

/// Compiles a contract of our package whose service has these methods.
fn contract(methods: &str) -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    let source = format!(
        r#"syntax = "proto3";
        package safelane.v1;
        import "safelane/v1/access.proto";
        message Note {{ string text = 1; }}
        service DemoService {{ {methods} }}"#
    );
    fs::write(dir.path().join("demo.proto"), source).unwrap();
    let includes = [dir.path(), Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/proto"))];
    let mut compiler = protox::Compiler::new(includes).unwrap();
    compiler.include_imports(true).open_file("demo.proto").unwrap();
    compiler.encode_file_descriptor_set()
}

/// A contract with one method for each set of roles, and one method of each kind.
fn demo_rules() -> AccessRules {
    let methods = "
        rpc Report(Note) returns (Note) { option (safelane.v1.access) = { roles: ROLE_FIELD }; }
        rpc Plan(Note) returns (Note) {
            option (safelane.v1.access) = { roles: [ROLE_COORDINATOR, ROLE_ADMIN] }; }
        rpc Watch(Note) returns (stream Note) {
            option (safelane.v1.access) = { roles: [ROLE_FUNDER, ROLE_AUDITOR, ROLE_COORDINATOR] }; }
        rpc Upload(stream Note) returns (Note) {
            option (safelane.v1.access) = { roles: [ROLE_FIELD, ROLE_COORDINATOR] }; }
        rpc Everyone(Note) returns (Note) { option (safelane.v1.access) = { roles: [
            ROLE_FIELD, ROLE_COORDINATOR, ROLE_FUNDER, ROLE_AUDITOR, ROLE_ADMIN] }; }";
    AccessRules::from_descriptor(&contract(methods)).unwrap()
}

#[test]
fn each_role_may_call_exactly_the_methods_that_name_it() {
    use Role::{Admin, Auditor, Coordinator, Field, Funder};
    let table: BTreeMap<&str, Vec<Role>> = BTreeMap::from([
        ("/safelane.v1.DemoService/Report", vec![Field]),
        ("/safelane.v1.DemoService/Plan", vec![Coordinator, Admin]),
        ("/safelane.v1.DemoService/Watch", vec![Funder, Auditor, Coordinator]),
        ("/safelane.v1.DemoService/Upload", vec![Field, Coordinator]),
        ("/safelane.v1.DemoService/Everyone", Role::ALL.to_vec()),
        ("/safelane.v1.DemoService/Unknown", vec![]),
        ("/safelane.v1.DemoService/Report/", vec![]),
        ("/safelane.v1.demoservice/report", vec![]),
        ("safelane.v1.DemoService/Report", vec![]),
        ("", vec![]),
    ]);
    let rules = demo_rules();
    for (path, allowed) in &table {
        for role in Role::ALL {
            assert_eq!(rules.allows(path, role), allowed.contains(&role), "{role} {path}");
        }
    }
}

#[test]
fn methods_are_listed_with_their_kind() {
    let rules = demo_rules();
    let listed: Vec<_> = rules
        .methods()
        .map(|method| (method.name(), method.client_streaming(), method.server_streaming()))
        .collect();
    let expected = [
        ("safelane.v1.DemoService/Everyone", false, false),
        ("safelane.v1.DemoService/Plan", false, false),
        ("safelane.v1.DemoService/Report", false, false),
        ("safelane.v1.DemoService/Upload", true, false),
        ("safelane.v1.DemoService/Watch", false, true),
    ];
    assert_eq!(listed, expected);
}

#[test]
fn every_method_without_a_usable_rule_is_named_and_stops_the_start() {
    let bytes = contract(
        "rpc Good(Note) returns (Note) { option (safelane.v1.access) = { roles: ROLE_ADMIN }; }
        rpc Bare(Note) returns (Note);
        rpc Empty(Note) returns (Note) { option (safelane.v1.access) = {}; }
        rpc Unset(Note) returns (Note) {
            option (safelane.v1.access) = { roles: [ROLE_ADMIN, ROLE_UNSPECIFIED] }; }
        rpc Other(Note) returns (Note) { option deprecated = true; }",
    );
    let error = AccessRules::from_descriptor(&bytes).unwrap_err().to_string();
    for fault in [
        "safelane.v1.DemoService/Bare has no rule",
        "safelane.v1.DemoService/Empty has a rule without roles",
        "safelane.v1.DemoService/Unset lists ROLE_UNSPECIFIED",
        "safelane.v1.DemoService/Other has no rule",
    ] {
        assert!(error.contains(fault), "{fault} is not in: {error}");
    }
    assert!(!error.contains("Good"), "{error}");
}

#[test]
fn a_descriptor_without_our_methods_or_without_sense_stops_the_start() {
    for bytes in [&b""[..], b"garbage", &contract("")] {
        let error = AccessRules::from_descriptor(bytes).unwrap_err().to_string();
        assert!(error.starts_with("access rules: "), "{error}");
    }
}

// ---------------------------------------------------------------------------------------------------------
// The layer, over a socket

/// A message without fields is enough: what is tested is who gets through.
#[derive(Clone, PartialEq, prost::Message)]
struct Note {
    #[prost(string, tag = "1")]
    text: String,
}

type Handled<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Answers with what it knows about its caller.
#[derive(Clone)]
struct WhoAmI;

impl tonic::server::UnaryService<Note> for WhoAmI {
    type Response = Note;
    type Future = Handled<Result<tonic::Response<Note>, Status>>;

    fn call(&mut self, request: tonic::Request<Note>) -> Self::Future {
        let token_seen = request.metadata().contains_key("authorization");
        let caller = request.extensions().get::<Caller>().cloned();
        Box::pin(async move {
            let caller = caller.ok_or_else(|| Status::internal("no caller"))?;
            let text = format!("{} {} token:{token_seen}", caller.subject(), caller.role());
            Ok(tonic::Response::new(Note { text }))
        })
    }
}

/// A gRPC service of our package, written by hand.
macro_rules! demo_service {
    ($type:ident, $name:literal) => {
        #[derive(Clone)]
        struct $type;

        impl NamedService for $type {
            const NAME: &'static str = $name;
        }

        impl Service<Request<Body>> for $type {
            type Response = Response<Body>;
            type Error = std::convert::Infallible;
            type Future = Handled<Result<Self::Response, Self::Error>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: Request<Body>) -> Self::Future {
                Box::pin(async move {
                    let codec = tonic_prost::ProstCodec::<Note, Note>::default();
                    Ok(tonic::server::Grpc::new(codec).unary(WhoAmI, request).await)
                })
            }
        }
    };
}

demo_service!(DemoService, "safelane.v1.DemoService");
demo_service!(Reflection, "grpc.reflection.v1.ServerReflection");

/// Serves the demo service and health behind the layer; answers with a channel to it.
async fn serve(verifier: Option<Verifier>) -> Channel {
    let (_, health) = tonic_health::server::health_reporter();
    let routes = Routes::new(health).add_service(DemoService).add_service(Reflection).prepare();
    let service = TowerToHyperService::new(
        AuthLayer::new(demo_rules(), verifier.map(std::sync::Arc::new)).layer(routes),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let service = service.clone();
            tokio::spawn(async move {
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// Calls a method with these `authorization` headers and answers with the text or the refusal.
async fn call(channel: &Channel, path: &'static str, tokens: &[&str]) -> Result<String, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = tonic::Request::new(Note::default());
    for token in tokens {
        request.metadata_mut().append("authorization", token.parse().unwrap());
    }
    let codec = tonic_prost::ProstCodec::<Note, Note>::default();
    let path = http::uri::PathAndQuery::from_static(path);
    client.unary(request, path, codec).await.map(|answer| answer.into_inner().text)
}

fn assert_refused(refused: &Status, code: Code, reason: &str, text: &str) {
    assert_eq!((refused.code(), refused.message()), (code, text));
    let details = refused.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "safelane.v1"));
}

fn assert_unauthenticated(refused: &Status) {
    let text = "a valid bearer token is required";
    assert_refused(refused, Code::Unauthenticated, "ERROR_REASON_UNAUTHENTICATED", text);
}

fn assert_forbidden(refused: &Status) {
    let text = "the caller's role does not allow this call";
    assert_refused(refused, Code::PermissionDenied, "ERROR_REASON_PERMISSION_DENIED", text);
}

const PLAN: &str = "/safelane.v1.DemoService/Plan";
const REPORT: &str = "/safelane.v1.DemoService/Report";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const SERVING: i32 = 1;

#[tokio::test]
async fn a_call_with_a_good_token_reaches_its_handler_with_the_caller_and_without_the_token() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let token = format!("Bearer {}", bench.sign(&good_claims()));
    let channel = serve(Some(bench.verifier)).await;
    let answer = call(&channel, PLAN, &[&token]).await.unwrap();
    assert_eq!(answer, "lea coordinator token:false");
}

#[tokio::test]
async fn a_call_without_one_valid_token_is_unauthenticated() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let good = format!("Bearer {}", bench.sign(&good_claims()));
    let mut claims = good_claims();
    claims["exp"] = json!(NOW - 3600);
    let expired = format!("Bearer {}", bench.sign(&claims));
    let channel = serve(Some(bench.verifier)).await;
    let basic = good.replace("Bearer", "Basic");
    let cases: [&[&str]; 6] = [&[], &[&basic], &[&expired], &[&good, &good], &["Bearer"], &["Bearer x"]];
    for tokens in cases {
        for path in [PLAN, REFLECT, "/safelane.v1.DemoService/Unknown"] {
            assert_unauthenticated(&call(&channel, path, tokens).await.unwrap_err());
        }
    }
}

#[tokio::test]
async fn a_call_that_the_role_may_not_make_is_denied_as_is_an_unknown_method() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let token = format!("Bearer {}", bench.sign(&good_claims()));
    let channel = serve(Some(bench.verifier)).await;
    for path in [REPORT, "/safelane.v1.DemoService/Unknown", "/other.v1.Service/Call"] {
        assert_forbidden(&call(&channel, path, &[&token]).await.unwrap_err());
    }
}

#[tokio::test]
async fn a_refusal_is_a_trailers_only_answer() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let routes = Routes::new(DemoService).prepare();
    let mut service = AuthLayer::new(demo_rules(), Some(std::sync::Arc::new(bench.verifier))).layer(routes);
    let request = Request::builder().uri(PLAN).body(Body::empty()).unwrap();
    let response = service.call(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let header = |name: &str| text_of(response.headers(), name);
    assert_eq!(header("grpc-status"), "16");
    assert_eq!(header("content-type"), "application/grpc");
    assert!(http_body::Body::is_end_stream(response.body()));
}

fn text_of(headers: &HeaderMap, name: &str) -> String {
    headers[name].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn reflection_is_open_to_every_role_with_a_token() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let tokens = Role::ALL.map(|role| {
        let mut claims = good_claims();
        claims["role"] = json!(role.name());
        format!("Bearer {}", bench.sign(&claims))
    });
    let channel = serve(Some(bench.verifier)).await;
    for token in &tokens {
        assert!(call(&channel, REFLECT, &[token]).await.is_ok());
    }
}

#[tokio::test]
async fn health_is_open_to_all_even_with_a_bad_token() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let channel = serve(Some(bench.verifier)).await;
    let mut client = HealthClient::new(channel.clone());
    for token in [None, Some("Bearer x")] {
        let mut request = tonic::Request::new(HealthCheckRequest::default());
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", token.parse().unwrap());
        }
        assert_eq!(client.check(request).await.unwrap().into_inner().status, SERVING);
    }
    let similar = call(&channel, "/grpc.health.v1beta.Health/Check", &[]).await.unwrap_err();
    assert_unauthenticated(&similar);
}

#[tokio::test]
async fn without_a_key_set_every_caller_is_the_local_admin_under_the_same_rules() {
    let channel = serve(None).await;
    for tokens in [&[][..], &["Bearer x"]] {
        let answer = call(&channel, PLAN, tokens).await.unwrap();
        assert_eq!(answer, "local-admin admin token:false");
        assert!(call(&channel, REFLECT, tokens).await.is_ok());
        assert_forbidden(&call(&channel, REPORT, tokens).await.unwrap_err());
    }
}

// ---------------------------------------------------------------------------------------------------------
// `safelane token`

fn safelane(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_safelane")).arg("token").args(args).output().unwrap()
}

fn stdout_of(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr_of(output: &Output) -> String {
    assert!(!output.status.success() && output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Issued tokens live in real time, so they are verified by a clock that stands at the real time.
fn clock_at_real_time() -> Arc<ManualClock> {
    Arc::new(ManualClock(Mutex::new(SystemClock.now())))
}

#[test]
fn an_issued_token_is_accepted_under_the_keys_of_both_algorithms() {
    for algorithm in ["eddsa", "es256"] {
        let dir = TempDir::new().unwrap();
        let dir = dir.path().join("new");
        let path = dir.to_str().unwrap();
        stdout_of(&safelane(&["keys", "--dir", path, "--algorithm", algorithm]));
        let output = safelane(&[
            "issue",
            "--dir",
            path,
            "--role",
            "coordinator",
            "--subject",
            "lea",
            "--organization",
            ORGANIZATION,
            "--ttl",
            "30m",
        ]);
        let printed = stdout_of(&output);
        let token = printed.strip_suffix('\n').unwrap();
        assert!(!token.contains(char::is_whitespace), "{token:?}");
        let clock = clock_at_real_time();
        let verifier = verifier(&dir.join("jwks.json"), clock.clone()).unwrap();
        assert_eq!(verifier.verify(token).unwrap().role(), Role::Coordinator);
        clock.advance(SignedDuration::from_mins(30) + LEEWAY + SignedDuration::from_secs(1));
        assert_eq!(verifier.verify(token), Err(TokenFault::Expired));
    }
}

#[test]
fn a_token_for_another_issuer_or_audience_is_not_accepted() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().to_str().unwrap();
    stdout_of(&safelane(&["keys", "--dir", path]));
    let verifier = verifier(&dir.path().join("jwks.json"), clock_at_real_time()).unwrap();
    for option in ["--issuer", "--audience"] {
        let output = safelane(&["issue", "--dir", path, "--role", "admin", "--subject", "a", option, "x"]);
        assert_eq!(verifier.verify(stdout_of(&output).trim()), Err(TokenFault::NotOurs));
    }
}

#[test]
fn the_json_output_is_one_object_with_the_token() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().to_str().unwrap();
    let keys: Value =
        serde_json::from_str(&stdout_of(&safelane(&["keys", "--dir", path, "--json"]))).unwrap();
    assert_eq!(keys["files"]["jwks_file"], json!(dir.path().join("jwks.json")));
    let output = safelane(&["issue", "--dir", path, "--role", "auditor", "--subject", "bot", "--json"]);
    let issued: Value = serde_json::from_str(&stdout_of(&output)).unwrap();
    let verifier = verifier(&dir.path().join("jwks.json"), clock_at_real_time()).unwrap();
    let caller = verifier.verify(issued["token"].as_str().unwrap()).unwrap();
    assert_eq!((caller.subject(), caller.role()), ("bot", Role::Auditor));
    let end: Timestamp = issued["expires_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(end.as_second() + LEEWAY.as_secs(), caller.expires_at().unwrap().as_second());
}

#[test]
fn the_private_key_is_readable_by_its_owner_only_and_the_public_set_has_no_secret() {
    let bench = Bench::new(KeyAlgorithm::Es256);
    let mode = fs::metadata(bench.dir.path().join("signing-key.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(bench.jwks()["keys"][0].get("d").is_none());
}

#[test]
fn keys_are_never_overwritten_without_force() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().to_str().unwrap();
    let files = ["jwks.json", "signing-key.json"].map(|name| dir.path().join(name));
    let contents = || files.each_ref().map(|file| fs::read(file).unwrap());
    stdout_of(&safelane(&["keys", "--dir", path]));
    let first = contents();
    let refused = stderr_of(&safelane(&["keys", "--dir", path]));
    assert!(refused.contains("--force"), "{refused}");
    assert_eq!(contents(), first);
    for file in &files {
        let kept = fs::read(file).unwrap();
        fs::remove_file(file).unwrap();
        stderr_of(&safelane(&["keys", "--dir", path]));
        assert!(!file.exists(), "half a pair was made next to the other half");
        fs::write(file, kept).unwrap();
    }
    stdout_of(&safelane(&["keys", "--dir", path, "--force"]));
    assert!(contents()[0] != first[0] && contents()[1] != first[1]);
}

#[test]
fn an_issue_that_cannot_work_says_what_is_wrong() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().to_str().unwrap();
    let issue = |rest: &[&str]| {
        let args = [&["issue", "--dir", path, "--subject", "lea"], rest].concat();
        stderr_of(&safelane(&args))
    };
    assert!(issue(&["--role", "admin"]).contains("safelane token keys --dir"));
    assert!(issue(&["--role", "field"]).contains("role field needs an organization"));
    assert!(issue(&["--role", "boss"]).contains("coordinator"));
    assert!(issue(&["--role", "admin", "--ttl", "0s"]).contains("1 second to 31 days"));
    assert!(issue(&["--role", "admin", "--ttl", "32d"]).contains("31 days"));
    fs::write(dir.path().join("signing-key.json"), r#"{"d":"hunter2"}"#).unwrap();
    let broken = issue(&["--role", "admin"]);
    assert!(broken.contains("is not a signing key") && !broken.contains("hunter2"), "{broken}");
}

#[test]
fn a_private_file_that_was_edited_signs_nothing() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let path = bench.dir.path().join("signing-key.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(SigningKey::read(bench.dir.path()).is_ok());
    fs::write(&path, text.replace(bench.key.key_id(), "my-key")).unwrap();
    let error = SigningKey::read(bench.dir.path()).unwrap_err().to_string();
    assert!(error.contains("is not a signing key of this program"), "{error}");
}
