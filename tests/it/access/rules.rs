//! Rules read from the descriptor.

use super::*;

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
pub(super) fn demo_rules() -> AccessRules {
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
