//! What makes a token good or bad.

use super::*;

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
