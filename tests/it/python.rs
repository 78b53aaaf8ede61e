//! A client in Python, with code generated from our proto files, plays the worked example.

use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tokio::process::Command;

use crate::binary::{output, text};
use crate::desk::Desk;
use crate::ground::teams::recorded_team;
use crate::harness::in_world;

#[tokio::test]
async fn a_python_client_plays_the_example_to_the_cent() {
    let python = interpreter();
    let code = tempfile::tempdir().expect("a folder");
    generate(&python, code.path()).await;
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let team = recorded_team(world, &desk.operator_id, "EOD-1").await;
        let mut ids = json!({ "program": desk.program_id, "period": desk.period_id, "team": team });
        for name in ["P", "A", "B", "C", "A1", "T1"] {
            ids[name] = desk.node(name).into();
        }
        let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python/client.py");
        let mut command = Command::new(&python);
        command.arg(client).arg(world.address.to_string()).arg(ids.to_string());
        command.env("PYTHONPATH", code.path()).kill_on_drop(true);
        let done = output(command).await;
        assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
        let saw: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
        assert_eq!(saw, json!({ "revision": desk.state().await.0, "entries": 10 }));
    })
    .await;
}

/// The Python with the client's packages.
pub(crate) fn interpreter() -> String {
    std::env::var("SAFELANE_TEST_PYTHON").unwrap_or_else(|_| {
        panic!("SAFELANE_TEST_PYTHON is not set: run `make test`, which installs the Python client")
    })
}

/// Generates the client's code from the proto files.
pub(crate) async fn generate(python: &str, into: &Path) {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files = std::fs::read_dir(proto.join("safelane/v1")).expect("the proto files");
    let mut command = Command::new(python);
    command.args(["-m", "grpc_tools.protoc"]).arg("-I").arg(&proto).stdin(Stdio::null());
    command.arg("--python_out").arg(into).arg("--grpc_python_out").arg(into);
    command.args(files.map(|file| file.expect("a proto file").path()));
    let done = output(command).await;
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
}
