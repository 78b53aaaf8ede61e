//! `safelane token`.

use super::*;

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
