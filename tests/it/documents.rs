//! The documents tell the truth where a test can tell.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Every `[env: NAME=...]` in the help of a command.
fn variables_of(command: &str) -> BTreeSet<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_safelane")).args([command, "--help"]).output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    let names = text.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
    names.map(str::to_owned).collect()
}

#[test]
fn the_readme_lists_every_setting_of_serve_and_no_other() {
    let readme = read("README.md");
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let told: BTreeSet<String> = rows
        .filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .map(str::to_owned)
        .collect();
    assert_eq!(told, variables_of("serve"));
}

#[test]
fn every_path_that_a_document_names_exists() {
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = read(document);
        let quoted = text.split('`').skip(1).step_by(2);
        for path in quoted.filter(|word| word.contains('/') && !word.contains([' ', '*', '<', ':', '$'])) {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let known = ["", "src", "src/domain"].iter().any(|folder| root.join(folder).join(path).exists());
            let outside = path.starts_with(['/', '~', '.']) || path.starts_with("127.");
            assert!(known || outside, "{document} names {path}, which does not exist");
        }
    }
}
