//! Finds the server programs of PostgreSQL on this machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::StartError;

/// The oldest major version that the service's SQL is written for.
const OLDEST: u32 = 15;

/// What must lie side by side.
const PROGRAMS: [&str; 3] = ["postgres", "initdb", "pg_ctl"];

/// Where packages put the programs outside of `PATH`: parent, start of the version's folder, rest.
const USUAL: [(&str, &str, &str); 9] = [
    ("/usr/lib/postgresql", "", "bin"),         // Debian, Ubuntu
    ("/usr", "pgsql-", "bin"),                  // RHEL, Fedora
    ("/usr/libexec", "postgresql", ""),         // Alpine
    ("/usr/lib", "postgresql", "bin"),          // SUSE
    ("/opt/homebrew/opt", "postgresql", "bin"), // Homebrew
    ("/usr/local/opt", "postgresql", "bin"),    // Homebrew on Intel
    ("/Library/PostgreSQL", "", "bin"),         // EDB on macOS
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"), // Postgres.app
    ("/usr/local", "pgsql", "bin"),             // built from source
];

const WAY_OUT: &str = "install PostgreSQL (Debian and Ubuntu: postgresql; Fedora: postgresql-server; \
                       Alpine: postgresql15 or newer; macOS: brew install postgresql@17), or set \
                       DATABASE_URL to use a server of your own";

/// One installation of the server programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    dir: PathBuf,
    /// The major version, such as 15.
    pub(super) major: u32,
}

impl Binaries {
    /// The path of one of the programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The programs for a cluster of major version `cluster`, or the newest when there is no cluster yet.
pub(super) fn find(bin_dir: Option<&Path>, cluster: Option<u32>) -> Result<Binaries, StartError> {
    let Some(dir) = bin_dir else {
        return choose(&installed(), cluster);
    };
    let found = inspect(dir).ok_or_else(|| StartError::Setting {
        setting: "--pg-bin-dir (SAFELANE_PG_BIN_DIR)",
        value: dir.display().to_string(),
        allowed: format!(
            "a directory that holds working programs {}; leave it out to search, or {WAY_OUT}",
            PROGRAMS.join(", ")
        ),
    })?;
    choose(&[found], cluster)
}

fn choose(found: &[Binaries], cluster: Option<u32>) -> Result<Binaries, StartError> {
    let usable = || found.iter().filter(|binaries| binaries.major >= OLDEST);
    if usable().next().is_none() {
        return Err(StartError::Refused(format!(
            "no server programs of PostgreSQL {OLDEST} or newer were found (found: {}): {WAY_OUT}",
            list(found)
        )));
    }
    let chosen = match cluster {
        Some(major) => usable().find(|binaries| binaries.major == major),
        // Reversed, as max_by_key takes the last of equals and the first found is the likelier one.
        None => usable().rev().max_by_key(|binaries| binaries.major),
    };
    chosen.cloned().ok_or_else(|| {
        let major = cluster.unwrap_or(OLDEST);
        StartError::Refused(format!(
            "the database in the data directory was made by PostgreSQL {major}, whose server programs \
             were not found (found: {}): install PostgreSQL {major}, name its directory with \
             --pg-bin-dir, or move the database with pg_upgrade",
            list(found)
        ))
    })
}

fn list(found: &[Binaries]) -> String {
    let words: Vec<_> = found.iter().map(|one| format!("{} in {}", one.major, one.dir.display())).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// Every installation on this machine, the likeliest first.
fn installed() -> Vec<Binaries> {
    let on_path =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let usual = USUAL.iter().flat_map(|(parent, start, rest)| folders(Path::new(parent), start, rest));
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for dir in on_path.into_iter().chain(pg_config()).chain(usual) {
        let Some(home) = home(&dir) else { continue };
        if !seen.contains(&home) {
            found.extend(inspect(&home));
            seen.push(home);
        }
    }
    found
}

/// What `pg_config --bindir` says, where there is one.
fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (!text.trim().is_empty()).then(|| PathBuf::from(text.trim()))
}

/// The folders `parent/start*/rest`.
fn folders(parent: &Path, start: &str, rest: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(start))
        .map(|entry| entry.path().join(rest))
        .collect()
}

/// The directory that really holds the programs, seen through links such as those in `/usr/local/bin`.
fn home(dir: &Path) -> Option<PathBuf> {
    let complete = |dir: &Path| PROGRAMS.iter().all(|program| dir.join(program).is_file());
    if !complete(dir) {
        return None;
    }
    let real = fs::canonicalize(dir.join("postgres")).ok()?;
    match real.parent() {
        Some(home) if complete(home) => Some(home.to_owned()),
        _ => fs::canonicalize(dir).ok(),
    }
}

/// The installation in a directory, when it is complete and its server runs.
fn inspect(dir: &Path) -> Option<Binaries> {
    let dir = home(dir)?;
    let output = Command::new(dir.join("postgres")).arg("--version").output().ok()?;
    let major = major(&String::from_utf8_lossy(&output.stdout))?;
    Some(Binaries { dir, major })
}

/// The major version in a text such as `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major(version: &str) -> Option<u32> {
    let (_, number) = version.split_once("(PostgreSQL) ")?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(dir: &str, major: u32) -> Binaries {
        Binaries { dir: PathBuf::from(dir), major }
    }

    #[test]
    fn the_major_version_is_read_from_releases_and_betas() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn a_new_cluster_gets_the_newest_and_of_equals_the_first() {
        let found = [at("/a", 15), at("/b", 17), at("/c", 17), at("/d", 13)];
        assert_eq!(choose(&found, None).unwrap(), at("/b", 17));
    }

    #[test]
    fn an_existing_cluster_gets_its_own_version_or_a_clear_error() {
        let found = [at("/a", 15), at("/b", 17)];
        assert_eq!(choose(&found, Some(15)).unwrap(), at("/a", 15));
        let error = choose(&found, Some(16)).unwrap_err().to_string();
        assert!(error.contains("PostgreSQL 16") && error.contains("17 in /b"), "{error}");
    }

    #[test]
    fn too_old_or_nothing_names_the_packages() {
        for found in [vec![], vec![at("/old", 13)]] {
            let error = choose(&found, None).unwrap_err().to_string();
            for word in ["postgresql-server", "postgresql15", "brew install", "DATABASE_URL"] {
                assert!(error.contains(word), "{word} is missing in: {error}");
            }
        }
    }
}
