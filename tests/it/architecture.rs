//! The rules of the layers, checked by reading the source as text.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &mut found);
    let layer = root.join(folder);
    let file = root.join(format!("{folder}.rs"));
    found.retain(|(path, _)| path.starts_with(&layer) || *path == file);
    assert!(!found.is_empty(), "{folder} has no source files");
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
}

/// Lines of code of a layer that hold one of the words. Comments and tests may name anything.
fn offences(folder: &str, words: &[&str]) -> Vec<String> {
    let mut offences = Vec::new();
    for (path, text) in sources(folder) {
        if path.components().any(|part| part.as_os_str() == "invariants") {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let told = line.trim_start().starts_with("//");
            if !told && words.iter().any(|word| line.contains(word)) {
                offences.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    offences
}

fn expect_none(folder: &str, words: &[&str]) {
    let found = offences(folder, words);
    assert!(found.is_empty(), "src/{folder} must not use {words:?}:\n{}", found.join("\n"));
}

#[test]
fn the_domain_knows_nothing_but_itself() {
    let forbidden = [
        "sqlx",
        "crate::error",
        "tonic",
        "prost",
        "tokio",
        "async ",
        "crate::app",
        "crate::store",
        "crate::rpc",
        "crate::server",
        "Timestamp::now",
        "new_v4",
        "now_v7",
        "getrandom",
    ];
    expect_none("domain", &forbidden);
}

#[test]
fn sql_is_only_in_the_store() {
    for layer in ["app", "rpc", "server", "cli", "domain", "files"] {
        expect_none(layer, &["sqlx"]);
    }
}

#[test]
fn files_are_only_in_their_layer() {
    for layer in ["app", "rpc", "server", "cli", "domain", "store"] {
        expect_none(layer, &["object_store"]);
    }
}

#[test]
fn the_wire_is_only_in_rpc_and_server() {
    for layer in ["app", "store", "domain", "files"] {
        expect_none(layer, &["tonic", "prost"]);
    }
}

#[test]
fn nothing_points_back() {
    expect_none("files", &["crate::app", "crate::rpc", "crate::server", "crate::cli", "crate::store"]);
    expect_none("store", &["crate::app", "crate::rpc", "crate::server", "crate::cli"]);
    expect_none("app", &["crate::rpc", "crate::server", "crate::cli"]);
    expect_none("rpc", &["crate::server", "crate::cli"]);
    expect_none("server", &["crate::cli"]);
}

#[test]
fn a_device_knows_nothing_but_the_contract() {
    let forbidden = ["crate::app", "crate::store", "crate::server", "crate::files", "crate::telemetry"];
    expect_none("cli/field", &forbidden);
    let mut wire = offences("cli/field", &["crate::rpc"]);
    wire.retain(|line| !line.contains("crate::rpc::pb") && !line.contains("crate::rpc::{DESCRIPTOR, pb}"));
    assert!(wire.is_empty(), "src/cli/field must use the generated client only:\n{}", wire.join("\n"));
    // Types without any rule of the service: how a reference is made of an id.
    let mut rules = offences("cli/field", &["crate::domain"]);
    rules.retain(|line| !line.contains("domain::field_report::reference") && !line.contains("domain::ids"));
    assert!(rules.is_empty(), "src/cli/field must not use rules:\n{}", rules.join("\n"));
}

#[test]
fn the_outbox_of_a_device_is_the_only_other_store() {
    for layer in ["app", "store", "rpc", "server", "domain"] {
        expect_none(layer, &["rusqlite"]);
    }
    let mut found = offences("cli", &["rusqlite"]);
    found.retain(|line| !line.contains("cli/field/outbox"));
    assert!(found.is_empty(), "only the outbox may use SQLite:\n{}", found.join("\n"));
}

#[test]
fn money_has_no_floats() {
    for layer in ["domain", "app", "store"] {
        let mut found = offences(layer, &["f32", "f64"]);
        // Degrees come and go as floats, and areas on the ellipsoid are measured with them. Neither is money, and
        // both are whole numbers outside this module.
        found.retain(|line| !line.contains("domain/geometry"));
        assert!(found.is_empty(), "src/{layer} must not use floats:\n{}", found.join("\n"));
    }
}

#[test]
fn no_file_is_a_catch_all() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &mut found);
    for (path, text) in found {
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            !["util", "utils", "helper", "helpers", "manager", "data", "common"].contains(&name),
            "{name}"
        );
        let lines = text.lines().count();
        assert!(lines <= 480, "{} has {lines} lines; split it by responsibility", path.display());
    }
}
